"""A ledger gives the numbers of the rows: exact for counts and Brier, by any slice, grain, stage and threshold."""

from pathlib import Path

import numpy as np
import polars as pl
import pytest
from hypothesis import Phase, given, settings
from hypothesis import strategies as st

import fbkit as fb
from fbkit.errors import ArgumentError
from fbkit.ledger.build import build
from fbkit.ledger.edges import BinEdges
from fbkit.measure.from_ledger.metrics import FROM_COUNTS, ledger_metrics
from fbkit.measure.metrics import metrics
from fbkit.testing.frames import FakeJoined, make_joined, random_joined

EDGES = BinEdges(edges=(0.1, 0.25, 0.5, 0.75))
SAME = ("metric", "period_start", "period_end", "n", "n_labelled", "stage", "method", "reason")
NUMBERS = ("value", "lower", "upper", "bound_lower", "bound_upper")
SLOPES = ("balanced_accuracy", "mcc", "f0_5", "f2")
COUNTED = list(FROM_COUNTS)

row = st.tuples(
    st.sampled_from([0.0, 0.05, 0.25, 0.4, 0.5, 0.8, 1.0]),
    st.sampled_from([0.0, 1.0, None]),
    st.sampled_from([True, False, None]),
    st.sampled_from([30.0, 20.0, 3.0]),
    st.sampled_from(["a", "b", None]),
    st.sampled_from([0.0, 0.5, 3.0]),
)


def world(rows: list[tuple], labels: tuple[float | None, ...] | None = None) -> FakeJoined:
    scores, known, flags, ages, groups, weights = (list(part) for part in zip(*rows, strict=True))
    if labels is not None:
        known = [None if label is None else labels[place % len(labels)] for place, label in enumerate(known)]
    columns = {"group": groups, "region": groups[::-1], "weight": weights}
    return make_joined(scores=scores, labels=known, flags=flags, ages=ages, columns=columns)


def agree(ours: pl.DataFrame, rows: pl.DataFrame, *, same: tuple[str, ...] = SAME) -> None:
    assert ours.columns == rows.columns
    assert ours.select(same).equals(rows.select(same))
    for name in NUMBERS:
        left, right = ours[name].to_numpy(), rows[name].to_numpy()
        slopes = np.isin(ours["metric"].to_numpy(), SLOPES) & (name in ("lower", "upper"))
        # A variance of zero is known to about 1e-11 only, so its root to a few 1e-5 (a handful of equal rows).
        loose = np.isin(ours["metric"].to_numpy(), ("brier",)) & (name in ("lower", "upper"))
        np.testing.assert_allclose(left[~loose & ~slopes], right[~loose & ~slopes], atol=1e-9)
        np.testing.assert_allclose(left[slopes], right[slopes], atol=1e-6)
        np.testing.assert_allclose(left[loose], right[loose], atol=2e-4)


@given(
    st.lists(row, min_size=1, max_size=30),
    st.sampled_from(["final", "any", "provisional@5d"]),
    st.sampled_from([None, "1w", "1d"]),
)
@settings(max_examples=15, phases=(Phase.explicit, Phase.generate))
def test_every_counting_metric_is_the_rows_one(rows: list[tuple], stage: str, every: str | None) -> None:
    joined = world(rows)
    ledger = build(joined, edges=EDGES, slices=["group", "region"], pairs=[("group", "region")])
    for by in (None, "group", ["region", "group"]):
        ours = ledger_metrics(ledger, COUNTED, by=by, every=every, stage=stage)
        agree(ours, metrics(joined, COUNTED, by=by, every=every, stage=stage))


@given(st.lists(row, min_size=1, max_size=30), st.sampled_from([None, "weight"]), st.sampled_from(["final", "any"]))
@settings(max_examples=15, phases=(Phase.explicit, Phase.generate))
def test_weights_and_fractional_labels_give_the_rows_values_and_intervals(
    rows: list[tuple], weights: str | None, stage: str
) -> None:
    totals = [name for name in COUNTED if name not in SLOPES]
    joined = world(rows, labels=(0.25, 1.0, 0.0, 0.6))
    ledger = build(joined, edges=EDGES, slices=["group"], weights=weights)
    for by in (None, "group"):
        ours = ledger_metrics(ledger, totals, by=by, weights=weights, stage=stage)
        agree(ours, metrics(joined, totals, by=by, weights=weights, stage=stage))


@pytest.mark.parametrize("threshold", [0.25, 0.5, 0.75])
def test_another_threshold_is_exact_when_it_is_an_edge(threshold: float) -> None:
    joined = random_joined(2000, seed=5)
    flagged = FakeJoined(
        frame=joined.frame.with_columns(flagged=pl.col("score") >= threshold),
        contract=joined.contract,
        as_of=joined.as_of,
    )
    ledger = build(joined, edges=EDGES, slices=["group", "region"])
    names = ["recall", "brier", "precision", "mcc", "flag_rate"]
    for by, every in (("region", None), ("region", "1w"), (None, "1d"), (None, "1mo")):
        ours = ledger_metrics(ledger, names, by=by, every=every, threshold=threshold)
        agree(ours, metrics(flagged, names, by=by, every=every))
    with pytest.raises(ArgumentError, match="not among the ledger's edges"):
        ledger_metrics(ledger, names, threshold=0.3)


def test_months_and_periods_are_the_rows_ones() -> None:
    joined = random_joined(3000, seed=6)
    ledger = build(joined, edges=EDGES, slices=["group"])
    for by, every, period in (
        ("group", "1mo", None), (None, "1w", "2026-04-08..2026-04-23"), ("group", None, "2026-04-08..2026-04-09"),
    ):  # fmt: skip
        ours = ledger_metrics(ledger, COUNTED, by=by, every=every, period=period)
        agree(ours, metrics(joined, COUNTED, by=by, every=every, period=period))


def test_versions_are_a_slice_of_every_table() -> None:
    joined = random_joined(2000, seed=7)
    joined = FakeJoined(
        frame=joined.frame.with_columns(
            model_version=pl.when(pl.col("score") * 1000 % 2 < 1).then(pl.lit("v1")).otherwise(pl.lit("v2"))
        ),
        contract=joined.contract,
        as_of=joined.as_of,
    )
    ledger = build(joined, edges=EDGES, slices=["group", "model_version"])
    for by in ("model_version", ["group", "model_version"], ["model_version", "group"]):
        agree(ledger_metrics(ledger, COUNTED, by=by), metrics(joined, COUNTED, by=by))


def test_a_team_s_own_function_of_counts_is_the_rows_one() -> None:
    missed = fb.Metric(name="missed", needs="counts", fn=lambda n: n.fn / (n.tp + n.fp + n.fn + n.tn))
    joined = random_joined(2000, seed=8)
    ledger = build(joined, edges=EDGES, slices=["group"])
    ours, rows = ledger_metrics(ledger, missed, by="group"), metrics(joined, missed, by="group")
    for name in NUMBERS:
        np.testing.assert_allclose(ours[name].to_numpy(), rows[name].to_numpy(), rtol=1e-3)


def test_what_the_ledger_did_not_count_is_refused() -> None:
    joined = random_joined(50, seed=7)
    ledger = build(joined, edges=EDGES, slices=["group", "region"])
    calls = [
        (lambda: ledger_metrics(ledger, "smooth_ece"), "smooth_ece needs the rows"),
        (lambda: ledger_metrics(ledger, fb.Metric(name="m", needs="rows", fn=pl.col("score"))), "m needs the rows"),
        (lambda: ledger_metrics(ledger, "recal"), "no metric 'recal'"),
        (lambda: ledger_metrics(ledger, "recall", by="dest"), "no such slice column"),
        (lambda: ledger_metrics(ledger, "recall", by=["group", "region"]), "did not count these slices together"),
        (lambda: ledger_metrics(ledger, "recall", every="1h"), "no such time grain"),
        (lambda: ledger_metrics(ledger, "recall", stage="provisional@36h"), "ages in whole days"),
        (lambda: ledger_metrics(ledger, "recall", period="2026-04-01T06:00Z..2026-04-02"), "whole days"),
        (lambda: ledger_metrics(ledger, "recall", weights="w"), "did not count these weights"),
        (lambda: ledger_metrics(ledger, "recall", as_of="2026-04-01T06:00Z"), "earlier midnights"),
        (lambda: ledger_metrics(ledger, "recall", as_of="2036-04-01"), "earlier midnights"),
        (lambda: ledger_metrics(ledger, "roc_auc", by="group", every="1d"), "whole weeks"),
        (lambda: ledger_metrics(ledger, "roc_auc", by="group", as_of="2026-04-25"), "whole weeks"),
        (lambda: ledger_metrics(ledger, "recall", by="group", threshold=0.5, stage="provisional@3d"), "whole weeks"),
        (lambda: ledger_metrics(ledger, "recall", level=1.0), "level of an interval"),
    ]
    for call, message in calls:
        with pytest.raises(ArgumentError, match=message):
            call()


def test_no_rows_are_one_cell_that_says_so() -> None:
    joined = random_joined(5)
    empty = FakeJoined(frame=joined.frame.clear(), contract=joined.contract, as_of=joined.as_of)
    ledger = build(empty, slices=["region"])
    names = ["recall", "brier", "roc_auc", "mcc"]
    assert ledger_metrics(ledger, names)["reason"].to_list() == ["no predictions"] * 4
    assert ledger_metrics(ledger, names, by="region").height == 0
    agree(ledger_metrics(ledger, names), metrics(empty, names))


def test_flights_ledger_gives_the_rows_numbers() -> None:
    joined = fb.open_loop(Path(__file__).parents[3] / "data_samples" / "flights_2013").join()
    ledger = build(joined)
    assert ledger.slices == joined.contract.slices.columns
    for by in (None, "carrier"):
        ours = ledger_metrics(ledger, COUNTED, by=by, every="1w")
        rows = metrics(joined, COUNTED, by=by, every="1w")
        for name in ("value", "bound_lower", "bound_upper", "n", "n_labelled"):
            np.testing.assert_allclose(ours[name].to_numpy(), rows[name].to_numpy(), atol=1e-9)
        assert ours["reason"].equals(rows["reason"])


def clustered(n: int = 6000, *, seed: int = 9) -> FakeJoined:
    """Entities of five rows each on average that share half of their luck."""
    generator = np.random.default_rng(seed)
    entity = generator.integers(0, n // 5, n)
    own = generator.random(n // 5)
    score = np.round(np.clip(0.7 * own[entity] + 0.3 * generator.random(n), 0, 1), 3)
    label = (generator.random(n // 5)[entity] < score).astype(float)
    return make_joined(
        scores=score.tolist(), labels=label.tolist(), entities=[f"e{code}" for code in entity],
        ages=generator.uniform(8, 36, n).tolist(), columns={"group": [f"g{code % 3}" for code in entity]},
    )  # fmt: skip


@pytest.mark.parametrize(
    ("by", "every"), [(None, None), (None, "1w"), ("group", None), ("group", "1w"), ("group", "1d")]
)
def test_groups_of_entities_give_intervals_near_those_of_the_entities(by: str | None, every: str | None) -> None:
    joined = clustered()
    names = ["recall", "precision", "brier", "base_rate"]
    ours = ledger_metrics(build(joined, slices=["group"]), names, by=by, every=every)
    rows = metrics(joined, names, by=by, every=every)
    known = ours["lower"].is_not_null() & (ours["n"] > 40)
    named = ours.filter(known)["method"].str.contains("groups of entities")
    # A day holds entities once each at times: there the rows' own intervals are no wider.
    assert named.mean() > 0.9 if every == "1d" else named.all()
    width, theirs = ((frame["upper"] - frame["lower"]).filter(known).to_numpy() for frame in (ours, rows))
    naive = metrics(
        FakeJoined(frame=joined.frame.with_columns(entity=None), contract=joined.contract, as_of=joined.as_of),
        names,
        by=by,
        every=every,
    )
    assert np.exp(np.mean(np.log(width / theirs))) == pytest.approx(1.0, rel=0.6 if every == "1d" else 0.25)
    if every is None:
        assert np.mean((naive["upper"] - naive["lower"]).filter(known).to_numpy() / width) < 0.85
    exact = ["metric", "value", "bound_lower", "bound_upper", "n", "n_labelled"]
    for name in exact[1:4]:
        np.testing.assert_allclose(ours[name].to_numpy(), rows[name].to_numpy(), atol=1e-9)


def test_measuring_functions_take_a_ledger_in_place_of_a_joined_table() -> None:
    joined = random_joined(500, seed=10)
    ledger = build(joined, slices=["group"])
    at = joined.as_of.replace(day=20, month=4)
    assert fb.metrics(ledger, "recall", by="group", as_of=at).equals(
        ledger_metrics(ledger, "recall", by="group", as_of=at)
    )
    assert fb.availability(ledger, by="group")["n"].sum() == 500
    assert fb.label_lag(ledger)["age_days"].to_list() == [0, 1, 2, 3, 4, 5, 6, 7]
    assert fb.calibration(ledger)["n"].sum() > 0
    with pytest.raises(ArgumentError, match="where needs the rows"):
        fb.metrics(ledger, "recall", where=pl.col("score") > 0.5)
    with pytest.raises(ArgumentError, match="threshold is for ledgers"):
        fb.metrics(joined, "recall", threshold=0.5)
    with pytest.raises(ArgumentError, match="as_of is for ledgers"):
        fb.availability(joined, as_of=at)
