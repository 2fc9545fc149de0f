"""The frame of truth bands: one line per assumption, agreeing with fb.metrics, with reasons, weights and laws."""

from datetime import timedelta

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from polars.testing import assert_frame_equal

from fbkit.errors import ArgumentError
from fbkit.measure.bands import NO_CALIBRATION, NOT_PROBABILITIES, truth_bands
from fbkit.measure.labels.assumptions import NO_DELTA, RANGE_ONLY
from fbkit.measure.labels.masses import METRICS
from fbkit.measure.metrics import POSITIVES_ONLY, metrics
from fbkit.schema import bands, results
from fbkit.testing.frames import FakeJoined, make_joined, random_joined

NAMES = list(METRICS)
NUMBERS = ["value", "lower", "upper", "bound_lower", "bound_upper", "band_lower", "band_upper"]


@pytest.fixture(scope="module")
def joined() -> FakeJoined:
    return random_joined(1500, seed=3)


def line(frame: pl.DataFrame, assumption: str, metric: str = "recall") -> dict:
    found = frame.filter((pl.col("assumption") == assumption) & (pl.col("metric") == metric))
    assert found.height == 1
    return found.row(0, named=True)


def test_labelled_rows_and_worst_case_are_those_of_metrics(joined: FakeJoined) -> None:
    found = truth_bands(joined, NAMES, by="region", every="1w", stage="any")
    want = metrics(joined, NAMES, by="region", every="1w", stage="any")
    keys = ["metric", "region", "period_start", "period_end"]
    same = [*keys, "value", "lower", "upper", "bound_lower", "bound_upper", "n", "n_labelled", "stage", "method"]
    own = found.filter(pl.col("assumption") == bands.LABELLED).select(same)
    assert_frame_equal(own, want.select(same), abs_tol=1e-12, rel_tol=1e-12)
    worst = found.filter(pl.col("assumption") == bands.WORST_CASE)
    for end in ("bound_lower", "bound_upper"):
        np.testing.assert_allclose(
            worst[end].to_numpy(), want[end].to_numpy(), atol=1e-12, err_msg=f"{end} of the worst case"
        )


def test_the_frame_has_its_columns_and_one_line_per_metric_cell_and_assumption(joined: FakeJoined) -> None:
    found = truth_bands(joined, ["recall", "brier"], by="group", delta=(0.5, 1, 2), reach=0.8, stage="any")
    assert found.columns == ["group", *bands.COLUMNS]
    lines = [
        bands.LABELLED, bands.WORST_CASE, bands.MORE, bands.LESS, "odds ratio 0.5..2", "odds ratio 0.5",
        "odds ratio 1", "odds ratio 2", "to reach 0.8", "to reach 0.8, any pattern", bands.AT_RANDOM, bands.EXPECTED,
    ]  # fmt: skip
    assert found["assumption"].to_list() == lines * 8
    assert found.select("metric", "group").unique(maintain_order=True).rows() == [
        (metric, group) for metric in ("recall", "brier") for group in ("g0", "g1", "g2", "g3")
    ]
    assert found["evaluation_id"].n_unique() == 1
    again = truth_bands(joined, ["recall", "brier"], by="group", delta=(0.5, 1, 2), reach=0.8, stage="any")
    assert_frame_equal(found, again, abs_tol=1e-12, rel_tol=1e-12)
    other = truth_bands(joined, ["recall", "brier"], by="group", delta=(0.5, 1, 2), reach=0.7, stage="any")
    assert other["evaluation_id"][0] != found["evaluation_id"][0]


def test_every_number_is_null_with_a_reason_or_inside_its_range_and_band(joined: FakeJoined) -> None:
    found = truth_bands(joined, NAMES, by=["group", "region"], every="1w", stage="any", delta=(0.1, 0.5, 2, 10))
    for row in found.iter_rows(named=True):
        assert not any(row[name] is not None and np.isnan(row[name]) for name in [*NUMBERS, "delta"])
        assert row["value"] is not None or row["reason"]
        if row["bound_lower"] is not None:
            assert row["bound_lower"] <= row["bound_upper"]
        if row["value"] is not None and row["bound_lower"] is not None:
            assert row["bound_lower"] - 1e-12 <= row["value"] <= row["bound_upper"] + 1e-12
        if row["band_lower"] is not None and row["assumption"] != bands.LABELLED:
            assert row["band_lower"] <= row["bound_lower"] + 1e-12
            assert row["bound_upper"] <= row["band_upper"] + 1e-12
            assert row["method"]


def test_assumptions_that_say_more_allow_less(joined: FakeJoined) -> None:
    found = truth_bands(joined, NAMES, stage="any")
    for name in NAMES:
        worst, odds = line(found, bands.WORST_CASE, name), line(found, "odds ratio 0.5..2", name)
        at_random = line(found, bands.AT_RANDOM, name)
        more, less = line(found, bands.MORE, name), line(found, bands.LESS, name)
        assert worst["bound_lower"] - 1e-9 <= odds["bound_lower"] <= at_random["value"] <= odds["bound_upper"]
        assert odds["bound_upper"] <= worst["bound_upper"] + 1e-9
        assert more["bound_lower"] - 1e-9 <= at_random["value"] <= more["bound_upper"] + 1e-9
        assert less["bound_lower"] - 1e-9 <= at_random["value"] <= less["bound_upper"] + 1e-9
        assert (worst["value"], worst["reason"]) == (None, RANGE_ONLY)
        one = line(truth_bands(joined, name, stage="any", delta=(1.0,)), "odds ratio 1", name)
        assert one["value"] == at_random["value"]
        assert one["delta"] == 1.0


def test_the_mini_challenge() -> None:
    flags = [True] * 2450 + [False] * 2550
    labels: list[float | None] = [1.0] * 2406 + [0.0] * 44 + [1.0] * 180 + [0.0] * 2370
    labels[:1500] = [None] * 1500
    world = make_joined(scores=[0.5] * 5000, labels=labels, flags=flags)
    found = truth_bands(world, "recall", reach=0.930394)
    assert line(found, bands.LABELLED)["value"] == pytest.approx(0.834254, abs=5e-7)
    worst = line(found, bands.WORST_CASE)
    assert (worst["bound_lower"], worst["bound_upper"]) == pytest.approx((0.834254, 0.930394), abs=5e-7)
    assert (worst["n"], worst["n_labelled"]) == (5000, 3500)
    assert worst["band_upper"] > worst["bound_upper"]
    assert line(found, bands.AT_RANDOM)["value"] == pytest.approx(2450 * 906 / 950 / (2450 * 906 / 950 + 180), abs=1e-9)
    # The truth is at the very end of what labels could say, which no finite odds ratio reaches.
    assert line(found, "to reach 0.930394")["reason"] == NO_DELTA


def test_a_value_to_reach_has_its_odds_ratio_and_may_differ_by_metric(joined: FakeJoined) -> None:
    goal = truth_bands(joined, "precision", stage="any", delta=(3.0,), assumptions=["odds ratio"])["value"][0]
    found = truth_bands(joined, ["recall", "precision"], stage="any", reach={"precision": goal})
    reached = line(found, bands.to_reach(goal), "precision")
    assert (reached["value"], reached["delta"]) == (goal, pytest.approx(3.0, abs=1e-6))
    any_pattern = line(found, bands.to_reach(goal, anyhow=True), "precision")
    assert 1 < any_pattern["delta"] <= 3.0 + 1e-6
    assert found.filter((pl.col("metric") == "recall") & pl.col("assumption").str.starts_with("to reach")).is_empty()


def test_cbpe_needs_no_label_and_calibrates_on_another_period() -> None:
    world = random_joined(3000, seed=1, missing=0.0)
    hidden = FakeJoined(
        frame=world.frame.with_columns(
            label=pl.when(pl.col("ts_pred") < world.as_of - timedelta(days=14)).then("label"),
            score=pl.col("score") ** 2,
        ),
        contract=world.contract,
        as_of=world.as_of,
    )
    late = f"{(world.as_of - timedelta(days=14)).date()}..{(world.as_of - timedelta(days=7)).date()}"
    early = f"{(world.as_of - timedelta(days=29)).date()}..{(world.as_of - timedelta(days=14)).date()}"
    want = metrics(world, "base_rate", period=late)["value"][0]
    asked = {"names": "base_rate", "period": late, "assumptions": ["CBPE"]}
    plain, mapped = truth_bands(hidden, **asked), truth_bands(hidden, **asked, calibrate_on=early)
    assert mapped["n_labelled"].to_list() == [0]
    assert mapped["lower"][0] < want < mapped["upper"][0]
    assert plain["upper"][0] < want
    assert mapped["method"][0] == "Poisson-binomial and calibration map"
    nowhere = truth_bands(hidden, **asked, calibrate_on="2020-01-01..2020-02-01")
    assert nowhere.select("value", "reason").row(0) == (None, NO_CALIBRATION)


def test_scores_that_are_no_probabilities_have_rates_and_no_promises(joined: FakeJoined) -> None:
    contract = joined.contract.model_copy(
        update={"predictions": joined.contract.predictions.model_copy(update={"score_kind": "margin"})}
    )
    margins = FakeJoined(frame=joined.frame, contract=contract, as_of=joined.as_of)
    found = truth_bands(margins, ["recall", "brier"], stage="any")
    assert line(found, bands.AT_RANDOM)["value"] is not None
    assert line(found, bands.EXPECTED)["reason"] == NOT_PROBABILITIES
    assert found.filter(pl.col("metric") == "brier").select(NUMBERS).null_count().row(0) == (9,) * len(NUMBERS)
    first = joined.as_of - timedelta(days=28)
    mapped = truth_bands(margins, "recall", stage="any", calibrate_on=f"{first.date()}..{joined.as_of.date()}")
    assert line(mapped, bands.EXPECTED)["value"] is not None


def test_weights_count_rows_and_entities_widen_bands(joined: FakeJoined) -> None:
    twice = FakeJoined(frame=pl.concat([joined.frame, joined.frame]), contract=joined.contract, as_of=joined.as_of)
    weighted = FakeJoined(frame=joined.frame.with_columns(w=pl.lit(2.0)), contract=joined.contract, as_of=joined.as_of)
    names = ["recall", "brier"]  # inner cells are cut by rows, alike in both
    a = truth_bands(twice, names, stage="any", assumptions=["worst case", "CBPE"])
    b = truth_bands(weighted, names, stage="any", weights="w", assumptions=["worst case", "CBPE"])
    for column in ("value", "bound_lower", "bound_upper"):
        np.testing.assert_allclose(a[column].to_numpy(), b[column].to_numpy(), atol=1e-12)
    owned = FakeJoined(
        frame=twice.frame.with_columns(entity=pl.col("prediction_id")), contract=joined.contract, as_of=joined.as_of
    )
    wide, narrow = (truth_bands(table, names, stage="any", delta=()) for table in (owned, twice))
    for assumption in (bands.WORST_CASE, bands.AT_RANDOM):
        w, n = line(wide, assumption), line(narrow, assumption)
        assert w["band_upper"] - w["bound_upper"] == pytest.approx(
            np.sqrt(2) * (n["band_upper"] - n["bound_upper"]), rel=0.05
        )


def test_loss_that_depends_on_a_slice_is_undone_within_it() -> None:
    rng = np.random.default_rng(0)
    n = 8000
    group = rng.integers(0, 2, n)
    score = np.round(rng.random(n), 3)
    label = (rng.random(n) < np.where(group == 1, score**3, score)).astype(float)
    lost = rng.random(n) < np.where(group == 1, 0.85, 0.05)
    world = make_joined(
        scores=score.tolist(),
        labels=[None if gone else value for gone, value in zip(lost, label.tolist(), strict=True)],
        columns={"group": [f"g{code}" for code in group], "empty": [None] * n},
    )
    truth = label[score >= 0.5].mean()
    plain = truth_bands(world, "precision", assumptions=["at random"])
    inside = truth_bands(world, "precision", within=["group", "empty"], assumptions=["at random"])
    assert inside["lower"][0] < truth < inside["upper"][0]
    assert not plain["lower"][0] < truth < plain["upper"][0]


def test_young_cells_and_positives_only_stages_say_why() -> None:
    young = make_joined(scores=[0.2, 0.9], labels=[None, None], ages=[1, 2])
    found = truth_bands(young, "recall")
    assert set(found["reason"]) == {"window open"}
    contract = young.contract.model_copy(
        update={"label": young.contract.label.model_copy(update={"silence": "negative"})}
    )
    silent = FakeJoined(
        frame=make_joined(scores=[0.2, 0.9, 0.8], labels=[1.0, 1.0, None], ages=[20, 20, 20]).frame,
        contract=contract,
        as_of=young.as_of,
    )
    early = truth_bands(silent, "recall", stage="provisional@2d")
    assert line(early, bands.LABELLED)["reason"] == POSITIVES_ONLY
    assert line(early, bands.AT_RANDOM)["reason"] == POSITIVES_ONLY
    assert line(early, bands.WORST_CASE)["bound_lower"] == pytest.approx(0.5)
    assert line(early, bands.EXPECTED)["value"] is not None


def test_nothing_at_all_is_one_cell_with_a_reason() -> None:
    empty = make_joined(scores=[], labels=[])
    found = truth_bands(empty, NAMES)
    assert set(found["reason"]) == {"no predictions"}
    assert found["n"].sum() == 0


rows = st.tuples(
    st.sampled_from([0.0, 0.2, 0.5, 0.7, 1.0]),
    st.sampled_from([0.0, 1.0, 0.4, None]),
    st.sampled_from([True, False, None]),
    st.sampled_from(["a", "b", None]),
    st.sampled_from([0.0, 1.0, 2.5]),
)


@settings(max_examples=12)
@given(world=st.lists(rows, max_size=10), weighted=st.booleans())
def test_any_small_world_is_answered_without_a_warning(world: list[tuple], weighted: bool) -> None:
    scores, labels, flags, entities, weights = ([row[part] for row in world] for part in range(5))
    table = make_joined(
        scores=scores,
        labels=labels,
        flags=flags,
        entities=entities,
        columns={"w": pl.Series(weights, dtype=pl.Float64)},
    )
    found = truth_bands(
        table, NAMES, reach=0.5, weights="w" if weighted else None, calibrate_on="2026-01-01..2027-01-01"
    )
    for row in found.iter_rows(named=True):
        assert row["value"] is not None or row["reason"]
        numbers = [row[name] for name in NUMBERS if row[name] is not None]
        assert np.isfinite(numbers).all()
        if row["bound_lower"] is not None:
            assert row["bound_lower"] <= row["bound_upper"]
        if row["assumption"] == bands.AT_RANDOM and row["value"] is not None and row["bound_lower"] is not None:
            assert row["bound_lower"] - 1e-9 <= row["value"] <= row["bound_upper"] + 1e-9


def test_row_order_changes_nothing(joined: FakeJoined) -> None:
    shuffled = FakeJoined(
        frame=joined.frame.sample(fraction=1, shuffle=True, seed=5), contract=joined.contract, as_of=joined.as_of
    )
    a, b = (truth_bands(table, NAMES, by="region", stage="any") for table in (joined, shuffled))
    for column in NUMBERS:
        np.testing.assert_allclose(a[column].to_numpy(), b[column].to_numpy(), atol=1e-10)
    assert a.drop(NUMBERS).equals(b.drop(NUMBERS))


@pytest.mark.parametrize(
    ("asked", "said"),
    [
        ({"names": "recal"}, "did you mean 'recall'"),
        ({"names": []}, "name at least one metric"),
        ({"names": "mae"}, "no truth bands"),
        ({"delta": (0.5, 0.0)}, "above 0"),
        ({"delta": (float("nan"),)}, "above 0"),
        ({"reach": float("inf")}, "no number"),
        ({"assumptions": ["guess"]}, "worst case"),
        ({"assumptions": []}, "worst case"),
        ({"reach": {"precision": 0.5}}, "not asked for"),
        ({"by": "delta"}, "named like a result column"),
        ({"within": "colour"}, "does not exist"),
        ({"level": 1.0}, "level"),
    ],
)
def test_a_question_that_has_no_answer_is_refused_with_the_next_step(
    joined: FakeJoined, asked: dict, said: str
) -> None:
    named = FakeJoined(frame=joined.frame.with_columns(delta="group"), contract=joined.contract, as_of=joined.as_of)
    with pytest.raises(ArgumentError, match=said):
        truth_bands(named, **({"names": "recall"} | asked))


def test_numbers_instead_of_labels_are_refused() -> None:
    values = make_joined(scores=[1.0], labels=[2.0], task="regression")
    with pytest.raises(ArgumentError, match="labels that are 0 or 1"):
        truth_bands(values, "recall")


def test_the_lines_are_named_in_one_place() -> None:
    assert results.VALUE in bands.COLUMNS
    assert len(set(bands.COLUMNS)) == len(bands.COLUMNS)
