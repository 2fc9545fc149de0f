"""Moves of features against what windows of the reference do, broken features against other cases, and the density."""

import numpy as np
import polars as pl
import pytest
from sklearn.linear_model import LogisticRegression

from fbkit.diagnose.corruption import Inspector
from fbkit.diagnose.density import density
from fbkit.diagnose.features import Feature, Yardstick, feature_columns, moves, quantile_line, served
from fbkit.diagnose.mixture import mixture
from fbkit.diagnose.replay import replay
from fbkit.diagnose.rows import CURRENT, REFERENCE, cross
from fbkit.diagnose.scope import scope_of
from fbkit.diagnose.stage import Stage
from tests.unit.diagnose.replay_world import make, scene_of

RNG = np.random.default_rng(11)


def looked_at(logs):
    scene, cells = scene_of(logs)
    usable = np.ones(len(scene.rows), dtype=bool)
    yardstick = Yardstick(scene, cross((), scene.encoded, rows=len(scene.rows)), usable)
    features = served(scene.rows, logs.contract)
    moved = moves(yardstick, features)
    return scene, features, moved, Inspector(yardstick, features, moved, cells).run()


def test_ranks_are_mid_ranks_of_the_reference():
    feature = Feature("x", np.array([1.0, 2.0, 2.0, 5.0, np.nan]), (), np.array([True, True, True, False, True]))
    assert feature.rank(np.array([0.0, 2.0, 9.0])) == pytest.approx([0.0, 2 / 3, 1.0])
    assert np.isnan(feature.ranks[4])


@pytest.mark.parametrize(
    ("change", "kind", "number"),
    [(lambda x: 2.5 * x, "rescale", 2.5), (lambda x: x + 3.0, "shift", 3.0), (lambda x: 100 * x, "rescale", 100.0)],
)
def test_a_line_tells_a_factor_from_an_addend(change, kind, number):
    before, after = RNG.gamma(3.0, 1.0, 20_000), change(RNG.gamma(3.0, 1.0, 5000))
    line = quantile_line(before, after)
    assert line is not None
    assert (line.kind, line.straight) == (kind, True)
    assert (line.factor if kind == "rescale" else line.addend) == pytest.approx(number, rel=0.05)


def test_a_line_through_a_bend_is_not_straight_and_a_constant_has_none():
    before = RNG.normal(size=5000)
    bent = quantile_line(before, np.where(before > 0, 5 * before, before))
    assert bent is not None
    assert not bent.straight
    assert quantile_line(np.ones(500), before) is None
    assert quantile_line(before[:10], before) is None


@pytest.mark.parametrize(("share", "factor"), [(0.3, 10.0), (0.5, 0.01), (1.0, 2.0)])
def test_a_mixture_finds_the_share_and_the_factor(share, factor):
    before, after = RNG.lognormal(0, 0.7, 20_000), RNG.lognormal(0, 0.7, 8000)
    found = mixture(before, np.where(RNG.random(8000) < share, factor * after, after))
    assert found is not None
    assert found.kind == "rescale"
    assert (found.share, found.factor) == (pytest.approx(share, abs=0.03), pytest.approx(factor, rel=0.08))


def test_no_mixture_explains_another_shape_or_no_change_at_all():
    before = RNG.normal(size=20_000)
    assert mixture(before, np.sign(before[:8000]) * np.abs(before[:8000]) ** 3) is None
    same = mixture(before, RNG.normal(size=8000))
    assert same is None or abs(np.log(same.factor)) < 0.1 or same.share < 0.1


def test_cases_that_move_along_are_other_cases_and_a_feature_that_moves_alone_is_broken():
    def along(c, rng):
        c["z"][c["now"]] += [0.8, 0.4, 0.4]

    def alone(c, rng):
        c["x"][c["now"], 0] += 0.8

    _, _, _, together = looked_at(make(before=along, seed=1))
    assert {name: finding.kind for name, finding in together.items()} == dict.fromkeys("abc", "covariate")
    _, _, _, single = looked_at(make(served=alone, seed=1))
    assert list(single) == ["a"]
    assert (single["a"].kind, single["a"].best) == ("shift", "established")
    assert single["a"].others is not None
    assert single["a"].others.ratio == pytest.approx(0.0, abs=0.2)


@pytest.mark.parametrize(("place", "size"), [(1, 1.0), (1, -1.0), (2, 1.2)])
def test_a_broken_feature_beside_cases_that_moved_is_set_apart(place, size):
    def along(c, rng):
        c["z"][c["now"]] += [0.8, 0.4, 0.4]

    def broken(c, rng):
        c["x"][c["now"], place] += size

    _, _, _, found = looked_at(make(before=along, served=broken, seed=3, n=40_000))
    name = "abc"[place]
    assert [n for n, one in found.items() if one.broken] == [name]
    assert found["a"].kind == "covariate"
    assert found[name].line is not None
    assert found[name].line.addend == pytest.approx(size, abs=0.1)


def test_outcomes_that_follow_make_a_lone_move_other_cases():
    def alone(c, rng):
        c["z"][c["now"], 0] += 1.0

    _, _, _, found = looked_at(make(before=alone, seed=1, n=20_000))
    assert (found["a"].kind, found["a"].best) == ("covariate", "probable")


def test_a_broken_feature_is_placed_in_its_slice_and_its_days():
    def eu_from_thursday(c, rng):
        hit = c["now"] & (c["region"] == "EU") & (c["second"] >= 31 * 86_400)
        c["x"][hit, 0] += 2.0

    scene, features, _, found = looked_at(make(served=eu_from_thursday, seed=2, n=20_000))
    scope = found["a"].scope
    assert scope.where == "region=EU"
    assert scope.days == pytest.approx(4 / 7, abs=0.03)
    assert found["a"].line is not None
    assert found["a"].line.addend == pytest.approx(2.0, abs=0.15)
    everywhere = scope_of(scene, np.zeros(len(scene.rows)), known=np.ones(len(scene.rows), dtype=bool))
    assert everywhere.where == ""
    assert features[0].name == "a"


def test_a_default_in_place_of_the_value_is_told():
    def stuck(c, rng):
        c["x"][c["now"] & (c["u"] < 0.3), 2] = 0.5

    _, _, _, found = looked_at(make(served=stuck, seed=2))
    assert (found["c"].kind, found["c"].value) == ("default", 0.5)
    assert found["c"].share == pytest.approx(0.3, abs=0.03)


def test_nulls_that_a_mix_of_slices_brings_are_no_jump():
    def never_in_eu(c, rng):
        c["x"][c["region"] == "EU", 1] = np.nan

    def more_eu(c, rng):
        c["region"] = np.where(c["now"] & (c["u"] < 0.4), "EU", c["region"])

    scene, _ = scene_of(make(before=more_eu, served=never_in_eu, seed=3))
    strata = cross(("region",), scene.encoded, rows=len(scene.rows))
    features = served(scene.rows, scene.joined.contract)
    usable = np.ones(len(scene.rows), dtype=bool)
    assert not moves(Yardstick(scene, strata, usable), features)["b"].nulls
    plain = cross((), scene.encoded, rows=len(scene.rows))
    assert moves(Yardstick(scene, plain, usable), features)["b"].nulls


def test_the_density_ratio_is_that_of_a_logistic_regression_and_averages_to_one():
    def along(c, rng):
        c["z"][c["now"]] += [0.5, 0.25, 0.25]

    scene, _ = scene_of(make(before=along, seed=4))
    features = served(scene.rows, scene.joined.contract)
    strata = cross((), scene.encoded, rows=len(scene.rows))
    usable = np.ones(len(scene.rows), dtype=bool)
    found = density(scene, features, strata=strata, usable=usable, with_score=False)
    assert found is not None
    reference = scene.rows.of(REFERENCE)
    assert found.ratio[reference].mean() == pytest.approx(1.0)
    other = LogisticRegression(C=np.inf, max_iter=500).fit(found.design, scene.rows.of(CURRENT))
    assert found.slopes == pytest.approx(other.coef_[0], abs=0.02)
    weighted = np.average(features[0].values[reference], weights=found.ratio[reference])
    assert weighted == pytest.approx(features[0].values[scene.rows.of(CURRENT)].mean(), abs=0.05)


def test_the_density_of_cells_and_of_rows_agree_on_scores_alone():
    def along(c, rng):
        c["z"][c["now"]] += [0.6, 0.3, 0.3]

    logs = make(before=along, seed=4, n=20_000)
    scene, cells = scene_of(logs)
    stage = Stage.of(cells, metric="recall", thin=6)
    by_cells = (stage.value(("covariate_shift",)) - stage.value(()))[0]

    bare = type(logs)(frame=logs.frame.drop("a", "b", "c"), contract=logs.contract)
    scene, cells = scene_of(bare)
    by_rows = replay(scene, scene.labels, cells).players["covariate_shift"][0]
    assert by_rows == pytest.approx(by_cells, abs=1e-6)


def test_without_named_features_the_numbers_of_the_log_stand_in(by_hand) -> None:
    frame = by_hand(n=500).frame.with_columns(
        amount=pl.col("score") * 3,
        latency_ms=pl.lit(5.0),
        store_id=pl.lit(7),
        note=pl.lit("x"),
        number=pl.int_range(pl.len()),
        clock=pl.col("ts_pred").dt.epoch("ms"),
    )
    contract = by_hand(n=500).contract
    assert feature_columns(frame.drop("outcome"), contract) == ["amount"]
    named = contract.model_copy(update={"features": contract.features.model_copy(update={"columns": ["note"]})})
    assert feature_columns(frame, named) == ["note"]
    private = contract.model_copy(update={"privacy": contract.privacy.model_copy(update={"personal": ["amount"]})})
    assert feature_columns(frame.drop("outcome"), private) == []
