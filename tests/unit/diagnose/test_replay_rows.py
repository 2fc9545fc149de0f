"""Each cause in front of the outcomes, put in by hand: found by its name, as large as the model itself says."""

import numpy as np
import polars as pl
import pytest

from fbkit.diagnose.bootstrap import standard_error
from fbkit.diagnose.correction import corrected
from fbkit.diagnose.metric import evaluate
from fbkit.diagnose.playback import Moves, Playback, stand_ins
from fbkit.diagnose.replay import replay
from fbkit.diagnose.rows import REFERENCE, cross
from fbkit.diagnose.rule import rule_of
from fbkit.diagnose.search import Search
from tests.unit.diagnose.replay_world import CONTRACT, START, THRESHOLD, make, model, played, recall, scene_of


def null(c, rng):
    hit = c["now"] & (c["u"] < 0.4)
    c["x"][hit, 0] = np.nan


def cents(c, rng):
    c["x"][c["now"], 1] = 100 * (c["z"][c["now"], 1])
    c["score_of"] = lambda c: model(np.nan_to_num(np.clip(c["x"], -4, 4)))


def moved_along(c, rng):
    c["z"][c["now"]] += np.array([0.8, 0.4, 0.4])


def moved_alone(c, rng):
    c["x"][c["now"], 0] += 0.8


def higher_threshold(c, rng):
    c["threshold"] = np.where(c["now"], 0.55, THRESHOLD)


def fallback(c, rng):
    hit = c["now"] & (c["u"] < 0.15)
    c["score"] = np.where(hit, 0.1, c["score"])


def fallback_told(c, rng):
    fallback(c, rng)
    c["more"] = {"status": np.where(c["now"] & (c["u"] < 0.15), "Timeout", "ok")}


def half_of_eu_unlogged(c, rng):
    c["kept"] = ~(c["now"] & (c["region"] == "EU") & (c["u"] < 0.5))


def more_eu(c, rng):
    c["region"] = np.where(c["now"] & (c["u"] < 0.4), "EU", c["region"])
    c["z"][c["region"] == "EU"] -= 0.8


CASES = {
    "feature_corruption": [(None, null, None), (None, cents, None), (None, moved_alone, None)],
    "covariate_shift": [(moved_along, None, None)],
    "serving_fallback": [(None, None, fallback), (None, None, fallback_told)],
    "threshold_change": [(None, None, higher_threshold)],
    "mix_shift": [(more_eu, None, None)],
}
FLAT = [(cause, steps) for cause, all_steps in CASES.items() for steps in all_steps]


@pytest.mark.parametrize(("cause", "steps"), FLAT, ids=[f"{c}-{i}" for i, (c, _) in enumerate(FLAT)])
@pytest.mark.parametrize("hidden", [0.0, 1.0])
def test_each_cause_is_found_by_its_name_and_size(cause, steps, hidden):
    logs = make(before=steps[0], served=steps[1], after=steps[2], hidden=hidden, seed=2, n=16_000)
    found = played(logs)
    assert list(found.players) == [cause]
    part = found.players[cause]
    change = recall(logs, now=True) - recall(logs, now=False)
    # One week's own recall has a standard error of about 0.02 here.
    assert part[0] == pytest.approx(change, abs=0.06)
    assert np.sign(part[0]) == np.sign(change)
    assert standard_error(part) is not None
    fact = found.facts[cause]
    assert "{move}" not in fact.evidence
    assert fact.next_evidence
    assert fact.numbers[f"{cause}_effect"] == ("change", part[0])


@pytest.mark.parametrize("kind", ["null", "scale", "shift"])
def test_a_broken_feature_moves_the_metric_as_much_as_the_model_says(kind):
    logs = make(served={"null": null, "scale": cents, "shift": moved_alone}[kind], seed=4, n=20_000)
    before = logs.frame.filter((pl.col("ts_pred") < pl.lit(START) + pl.duration(days=28)) & (pl.col("outcome") == 1))
    x = before.select("a", "b", "c").to_numpy()
    clean = (model(x) >= THRESHOLD).mean()
    if kind == "null":
        broken = 0.6 * clean + 0.4 * (model(x * [0, 1, 1]) >= THRESHOLD).mean()
    elif kind == "scale":
        broken = (model(np.clip(x * [1, 100, 1], -4, 4)) >= THRESHOLD).mean()
    else:
        broken = (model(x + np.array([0.8, 0, 0])) >= THRESHOLD).mean()
    found = played(logs)
    assert found.surrogate is not None
    assert found.surrogate.good
    assert found.players["feature_corruption"][0] == pytest.approx(broken - clean, abs=0.02)


@pytest.mark.parametrize("seed", range(6))
def test_a_healthy_week_opens_nothing_that_plays(seed):
    def weekly(c, rng):
        day = c["second"] // 86_400
        c["z"] += 0.3 * (day % 7 >= 5)[:, None]  # weekends differ
        c["region"] = np.where(c["u"] < 0.2 + 0.01 * day, "EU", c["region"])  # a region grows
        c["z"][:, 2] = np.round(c["z"][:, 2])  # whole numbers

    found = played(make(before=weekly, seed=seed, n=6000))
    assert not found.players
    assert set(found.facts) <= {"mix_shift"}
    assert found.remainder_cause is None


def test_odd_features_break_nothing():
    logs = make(seed=1, n=5000)
    n = logs.frame.height
    odd = logs.frame.with_columns(
        a=pl.lit(3.0),
        b=pl.lit(None, dtype=pl.Float64),
        c=pl.Series(np.where(np.arange(n) % 7 == 0, "x{move}", "y")),
    )
    found = played(type(logs)(frame=odd, contract=logs.contract))
    assert not found.players
    assert found.frames["features_moved"]["kind"].null_count() == found.frames["features_moved"].height


def test_lost_values_of_a_text_feature_are_replayed_too():
    contract = CONTRACT.replace('"a", "b", "c"', '"a", "b", "c", "kind"')
    worth = {"card": 0.0, "transfer": 2.5}

    def with_kind(c, rng):
        kind = np.where(rng.random(len(c["now"])) < 0.3, "transfer", "card")
        lost = c["now"] & (c["u"] < 0.5)
        shift = np.array([worth[k] for k in kind])
        c["z"][:, 0] += shift  # the model reads it through the first input, which the log then has without it
        c["kind"], c["lost"], c["shift"] = kind, lost, shift

    def serve(c, rng):
        read = np.where(c["lost"], 0.0, c["shift"])
        logged = c["x"] - np.array([1.0, 0, 0]) * c["shift"][:, None]
        c["x"] = logged
        c["score_of"] = lambda c: model(logged + np.array([1.0, 0, 0]) * read[:, None])
        c["more"] = {"kind": pl.Series(np.where(c["lost"], None, c["kind"]), dtype=pl.String)}

    logs = make(before=with_kind, served=serve, contract=contract, seed=9, n=16_000)
    found = played(logs)
    assert list(found.players) == ["feature_corruption"]
    assert found.facts["feature_corruption"].where == "feature kind"
    change = recall(logs, now=True) - recall(logs, now=False)
    assert found.players["feature_corruption"][0] == pytest.approx(change, abs=0.05)
    kinds = found.frames["features_moved"].filter(pl.col("column") == "kind")
    assert kinds["kind"].to_list() == ["nulls"]


def test_a_new_version_that_ranks_the_same_is_cleared_and_a_worse_one_is_not():
    def switch(c, rng):
        c["version"] = np.where(c["now"], "2", "1")

    def worse(c, rng):
        switch(c, rng)
        c["score_of"] = lambda c: model(np.where(c["now"][:, None], c["x"] * [0, 1, 1], c["x"]))

    harmless = played(make(served=switch, seed=3))
    assert harmless.version_clear
    assert not harmless.players
    assert harmless.remainder_cause is None
    logs = make(served=worse, seed=3)
    harmful = played(logs)
    assert list(harmful.players) == ["version_regression"]
    assert not harmful.version_clear
    assert harmful.players["version_regression"][0] == pytest.approx(
        recall(logs, now=True) - recall(logs, now=False), abs=0.06
    )


def test_a_version_that_the_features_do_not_explain_is_not_replayed():
    def noisy(c, rng):
        c["version"] = np.where(c["now"], "2", "1")

    found = played(make(served=noisy, hidden=1.5, seed=3))
    assert "version_regression" not in found.players
    assert found.surrogate is not None
    assert not found.surrogate.good
    assert found.remainder_cause == "version_regression"
    assert not found.version_clear


def test_scores_that_the_outcomes_do_not_follow_are_no_other_cases():
    def unlogged(c, rng):
        c["score_of"] = lambda c: model(c["x"] + 1.2 * c["now"][:, None])

    bare = make(served=unlogged, seed=5, n=20_000)
    found = played(type(bare)(frame=bare.frame.drop("a", "b", "c"), contract=bare.contract))
    assert "covariate_shift" not in found.players
    assert found.remainder_cause == "feature_corruption"


def test_contributions_sum_to_all_minus_none():
    logs = make(before=moved_along, served=null, after=higher_threshold, seed=6, n=16_000)
    scene, cells = scene_of(logs)
    found = replay(scene, scene.labels, cells)
    assert {"threshold_change", "feature_corruption"} <= set(found.players)
    alone = sum(part[0] for part in found.tried.values())
    together = sum(part[0] for part in found.players.values())
    assert together != pytest.approx(alone, abs=1e-6)  # they interact
    assert all(np.isfinite(part).all() for part in found.players.values())


@pytest.mark.parametrize("metric", ["recall", "precision", "roc_auc", "brier", "log_loss", "base_rate"])
def test_with_nothing_in_play_the_value_is_the_corrected_reference(metric):
    scene, _ = scene_of(make(seed=7, n=5000), metric=metric)
    strata = cross(("region",), scene.encoded, rows=len(scene.rows))
    cells = scene.table(strata, scene.labels)
    search = Search(scene, scene.labels, cells, None)
    usable = np.ones(len(scene.rows), dtype=bool)
    stage = Playback(
        scene,
        stand_ins(scene, scene.labels, cells),
        strata,
        rule_of(scene, REFERENCE, strata=strata, usable=usable),
        Moves(),
        search.rescorer.link,
    )
    expected = evaluate(metric, corrected(cells, thin=scene.settings.thin_cell))[0, REFERENCE]
    assert stage.value(())[0] == pytest.approx(expected, abs=1e-9)


def test_the_order_of_the_rows_does_not_matter():
    logs = make(served=null, seed=8, n=8000)
    mixed = type(logs)(frame=logs.frame.sample(fraction=1.0, shuffle=True, seed=1), contract=logs.contract)
    one, other = played(logs), played(mixed)
    assert one.players["feature_corruption"][0] == pytest.approx(other.players["feature_corruption"][0], abs=0.01)


def test_without_draws_there_are_values_and_no_errors():
    found = played(make(served=null, seed=2), draws=0)
    assert found.players["feature_corruption"].shape == (1,)
    assert found.players["feature_corruption"][0] < -0.05
