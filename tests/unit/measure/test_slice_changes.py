"""What slices add to a change sums to it; tables that are looked up are the measured ones, at every threshold."""

import math
from collections.abc import Sequence
from datetime import timedelta
from typing import Any, cast

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fbkit.errors import ArgumentError
from fbkit.ledger.build import build
from fbkit.ledger.edges import BinEdges
from fbkit.measure.from_ledger.metrics import ledger_metrics
from fbkit.measure.from_ledger.slice_tables import LedgerTables
from fbkit.measure.metrics import metrics
from fbkit.measure.slice_changes import slice_changes, slice_tables
from fbkit.measure.slicing.decided import Grid
from fbkit.measure.slicing.row_tables import RowTables
from fbkit.measure.slicing.slice_table import SliceTable
from fbkit.measure.slicing.split import split_change
from fbkit.schema.contract import Contract
from fbkit.schema.period import Comparison, Period
from fbkit.testing.frames import START, FakeJoined, make_joined, random_joined

AS_OF = START + timedelta(days=60)
# Whole weeks from Monday; the rows of random_joined are of the 28 days before its as-of.
THEN, NOW = Period.parse("2026-04-06..2026-04-20"), Period.parse("2026-04-20..2026-04-27")
WEEKS = Comparison(reference=THEN, current=NOW)
COUNTED = ("recall", "precision", "specificity", "accuracy", "f1", "flag_rate", "false_positive_rate", "npv")
UNMOVED = ("base_rate", "availability")
SAME = ("value", "lower", "upper", "bound_lower", "bound_upper", "n", "n_labelled", "stage", "method", "reason")


def lived(n: int = 1500, *, seed: int = 3, entities: int | None = 200) -> FakeJoined:
    """Rows of which entities repeat, some without an entity, a decision or a mature window, some slices missing."""
    made = random_joined(n, seed=seed, entities=entities, groups=5)
    rng = np.random.default_rng(seed)
    frame = made.frame.with_columns(
        pl.when(pl.Series(rng.random(n) < 0.1)).then(None).otherwise(pl.col("entity")).alias("entity"),
        pl.when(pl.Series(rng.random(n) < 0.05)).then(None).otherwise(pl.col("flagged")).alias("flagged"),
        pl.Series("amount", np.round(rng.exponential(10, n), 2)),
    )
    # The group of one slice exists in one period only.
    late = (pl.col("group") == "g4") & (pl.col("ts_pred") < NOW.start)
    frame = frame.with_columns(pl.when(late).then(pl.lit("g0")).otherwise(pl.col("group")).alias("group"))
    return FakeJoined(frame=frame, contract=made.contract, as_of=made.as_of)


def flagged_at(joined: FakeJoined, threshold: float) -> FakeJoined:
    frame = joined.frame.with_columns(flagged=pl.col("score") >= threshold)
    return FakeJoined(frame=frame, contract=joined.contract, as_of=joined.as_of)


def expected(measure: Any, names: Sequence[str] | str, by: str | None) -> pl.DataFrame:
    """The lines of ``metrics`` for both periods, the whole and the slices, in the form of a table's frame."""
    parts = []
    for role, period in (("reference", THEN), ("current", NOW)):
        whole = measure(names, period=period).with_columns(pl.lit(None, dtype=pl.String).alias("slice"))
        parts.append(
            whole.select("slice", pl.lit(role).alias("role"), pl.lit(value=True).alias("whole"), "metric", *SAME)
        )
        if by is not None:
            sliced = measure(names, by=by, period=period).rename({by: "slice"})
            parts.append(
                sliced.select("slice", pl.lit(role).alias("role"), pl.lit(value=False).alias("whole"), "metric", *SAME)
            )
    return pl.concat(parts)


def agree(table: SliceTable, wanted: pl.DataFrame) -> None:
    order = ["whole", "slice", "role"]
    ours, theirs = table.frame().sort(order), wanted.filter(pl.col("metric") == table.metric).sort(order)
    assert ours.select(order).equals(theirs.select(order))
    for name in SAME:
        if ours.schema[name] == pl.Float64:
            np.testing.assert_allclose(ours[name].to_numpy(), theirs[name].to_numpy(), rtol=1e-9, atol=1e-12)
        else:
            assert ours[name].to_list() == theirs[name].to_list(), name


# The split -------------------------------------------------------------------------------------------------------
sums = st.lists(
    st.tuples(*[st.integers(0, 60)] * 4).map(lambda t: (min(t[0], t[1]), t[1], min(t[2], t[3]), t[3])),
    min_size=1,
    max_size=8,
).filter(lambda rows: sum(row[1] for row in rows) > 0 and sum(row[3] for row in rows) > 0)


@given(sums)
@settings(max_examples=200)
def test_parts_of_slices_sum_to_the_change(rows: list[tuple[int, ...]]) -> None:
    a0, b0, a1, b1 = (np.array(column, dtype=np.float64) for column in zip(*rows, strict=True))
    before, after = a0.sum() / b0.sum(), a1.sum() / b1.sum()
    for transform, metric in (
        (None, lambda ratio: ratio),
        (np.sqrt, math.sqrt),
        (lambda j: 2 * j / (1 + j), lambda j: 2 * j / (1 + j)),
    ):
        found = split_change((a0, b0), (a1, b1), transform=transform)
        assert found.change == pytest.approx(metric(after) - metric(before), abs=1e-12)
        assert found.total.sum() == pytest.approx(metric(after) - metric(before), abs=1e-12)


@given(sums)
@settings(max_examples=100)
def test_a_rate_effect_is_the_mean_over_both_orders_of_moving_rates_and_shares(rows: list[tuple[int, ...]]) -> None:
    kept = [row for row in rows if row[1] and row[3]]
    if not kept:
        return
    a0, b0, a1, b1 = (np.array(column, dtype=np.float64) for column in zip(*kept, strict=True))
    found = split_change((a0, b0), (a1, b1))
    for at in range(len(kept)):
        r0, r1, w0, w1 = a0[at] / b0[at], a1[at] / b1[at], b0[at] / b0.sum(), b1[at] / b1.sum()
        assert found.rate[at] == pytest.approx(((r1 - r0) * w0 + (r1 - r0) * w1) / 2, abs=1e-12)


def test_slices_that_only_grow_have_only_a_mix_effect_whose_sign_is_that_of_their_rate() -> None:
    a0, b0 = np.array([90.0, 20.0]), np.array([100.0, 100.0])
    found = split_change((a0, b0), (a0 * [2, 1], b0 * [2, 1]))
    assert found.rate == pytest.approx([0, 0], abs=1e-15)
    assert (found.mix > 0).all(), "more of the better slice, and less of the worse one, both raise the whole"


def test_slices_cut_in_two_alike_halves_add_up_to_what_they_were() -> None:
    a0, b0 = np.array([30.0, 10.0, 4.0]), np.array([50.0, 20.0, 0.0])
    a1, b1 = np.array([10.0, 16.0, 3.0]), np.array([40.0, 22.0, 5.0])
    whole = split_change((a0, b0), (a1, b1))
    (p, q), (r, t) = ((np.repeat(x, 2) / 2, np.repeat(y, 2) / 2) for x, y in ((a0, b0), (a1, b1)))
    halves = split_change((p, q), (r, t))
    np.testing.assert_allclose(halves.total.reshape(3, 2).sum(axis=1), whole.total, atol=1e-15)
    np.testing.assert_allclose(halves.mix.reshape(3, 2).sum(axis=1), whole.mix, atol=1e-15)


def test_a_whole_without_rows_has_no_split() -> None:
    found = split_change((np.zeros(2), np.zeros(2)), (np.ones(2), np.ones(2)))
    assert np.isnan(found.total).all()
    assert math.isnan(found.change)


# From rows -------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("entities", [None, 40, 400])
@pytest.mark.parametrize("stage", ["final", "any"])
def test_logged_decisions_give_the_measured_numbers(entities: int | None, stage: str) -> None:
    joined = lived(entities=entities)
    tables = RowTables(joined, (THEN, NOW))

    def measure(names: Sequence[str], **how: Any) -> pl.DataFrame:
        return metrics(joined, names, stage=stage, **how)

    names = (*COUNTED, *UNMOVED)
    for by in ("group", "region", None):
        wanted = expected(measure, names, by)
        for name in names:
            agree(tables.table(name, by=by, stage=stage), wanted)


@pytest.mark.parametrize(("entities", "stage"), [(None, "final"), (40, "any"), (400, "final")])
def test_every_threshold_of_the_grid_gives_the_numbers_of_rows_flagged_anew(entities: int | None, stage: str) -> None:
    joined = lived(600, entities=entities)
    tables = RowTables(joined, (THEN, NOW))
    tried = [*tables.thresholds[::23].tolist(), float(tables.thresholds[0]), float(tables.thresholds[-1])]
    for threshold in tried:
        again = flagged_at(joined, threshold)

        def measure(names: Sequence[str], again: FakeJoined = again, **how: Any) -> pl.DataFrame:
            return metrics(again, names, stage=stage, **how)

        wanted = expected(measure, COUNTED, "group")
        for name in COUNTED:
            agree(tables.table(name, by="group", stage=stage, threshold=threshold), wanted)


def test_a_threshold_between_two_of_the_grid_is_asked_of_the_rows() -> None:
    joined = lived(400)
    tables = RowTables(joined, (THEN, NOW))
    threshold = float(tables.thresholds[60]) + tables.step / 3
    again = flagged_at(joined, threshold)
    agree(
        tables.table("recall", by="group", stage="final", threshold=threshold),
        expected(lambda name, **how: metrics(again, name, **how), "recall", "group"),
    )


def test_metrics_that_need_every_row_are_the_measured_ones_and_still_add_up() -> None:
    joined = lived()
    tables = RowTables(joined, (THEN, NOW))
    for name in ("brier", "log_loss"):
        table = tables.table(name, by="group", stage="final")
        agree(table, expected(lambda name, **how: metrics(joined, name, **how), name, "group"))
        assert table.added().sum() == pytest.approx(table.change, abs=1e-12)
    auc = tables.table("roc_auc", by="group", stage="final")
    agree(auc, expected(lambda name, **how: metrics(joined, name, **how), "roc_auc", "group"))
    frame = auc.frame()
    assert frame["contribution"].null_count() == frame.height
    assert "no ratio of sums" in frame["unsplit"][0]


def test_brier_parts_are_those_of_a_hand_made_sum() -> None:
    joined = lived()
    table = slice_changes(joined, WEEKS, metric="brier", by="group")
    counted = joined.frame.filter(pl.col("label").is_not_null() & pl.col("mature"))
    ratio = {}
    for role, period in (("reference", THEN), ("current", NOW)):
        rows = counted.filter((pl.col("ts_pred") >= period.start) & (pl.col("ts_pred") < period.end))
        loss = ((pl.col("score") - pl.col("label")) ** 2).sum()
        ratio[role] = {key: (a, n) for key, a, n in rows.group_by("group").agg(loss.alias("a"), pl.len()).iter_rows()}
    then, now = (
        {key: (a, n, sum(b for _, b in part.values())) for key, (a, n) in part.items()} for part in ratio.values()
    )
    middle = (sum(a for a, *_ in then.values()) / then["g0"][2] + sum(a for a, *_ in now.values()) / now["g0"][2]) / 2
    for row in table.filter(~pl.col("whole") & (pl.col("role") == "current")).to_dicts():
        a1, b1, n1 = now[row["slice"]]
        a0, b0, n0 = then.get(row["slice"], (a1 * 0.0, 0, then["g0"][2]))
        r1 = a1 / b1
        r0 = a0 / b0 if b0 else r1
        assert row["rate_effect"] == pytest.approx((b0 / n0 + b1 / n1) / 2 * (r1 - r0), abs=1e-12)
        assert row["mix_effect"] == pytest.approx((b1 / n1 - b0 / n0) * ((r0 + r1) / 2 - middle), abs=1e-12)


def test_values_of_decisions_move_with_the_threshold() -> None:
    joined = lived(500)
    text = joined.contract.to_toml() + "\n[value]\ntrue_positive = 7.5\nfalse_positive = -1.25\nfalse_negative = -3.0\n"
    valued = FakeJoined(frame=joined.frame, contract=Contract.from_toml(text), as_of=joined.as_of)
    tables = RowTables(valued, (THEN, NOW))
    for threshold in tables.thresholds[10::57].tolist():
        again = flagged_at(valued, threshold)
        agree(
            tables.table("value_per_prediction", by="group", stage="final", threshold=threshold),
            expected(lambda name, again=again, **how: metrics(again, name, **how), "value_per_prediction", "group"),
        )


def test_regression_is_measured_from_rows_and_adds_up() -> None:
    rng = np.random.default_rng(0)
    made = make_joined(
        scores=rng.normal(10, 2, 400).tolist(),
        labels=rng.normal(10, 3, 400).tolist(),
        ages=rng.uniform(8, 27, 400).tolist(),
        columns={"group": [f"g{k}" for k in rng.integers(0, 3, 400)]},
        task="regression",
    )
    for name in ("mae", "rmse", "bias"):
        frame = slice_changes(made, WEEKS, metric=name, by="group")
        whole = frame.filter(pl.col("whole"))["value"]
        parts = frame.filter(~pl.col("whole") & (pl.col("role") == "current"))["contribution"]
        assert parts.sum() == pytest.approx(whole[1] - whole[0], abs=1e-12)


def test_numbers_are_cut_at_the_quintiles_of_the_reference_and_both_periods_have_the_same_slices() -> None:
    frame = slice_changes(lived(), WEEKS, metric="recall", by="amount")
    names = frame.filter(~pl.col("whole")).group_by("slice").len()
    assert names.height == 5
    assert set(names["len"]) == {2}


def test_labels_between_zero_and_one_are_asked_of_the_rows() -> None:
    joined = lived(400)
    soft = FakeJoined(
        frame=joined.frame.with_columns(label=pl.col("label") * 0.75 + 0.1), contract=joined.contract, as_of=AS_OF
    )
    for threshold in (None, 0.4):
        again = soft if threshold is None else flagged_at(soft, threshold)
        agree(
            RowTables(soft, (THEN, NOW)).table("recall", by="group", stage="final", threshold=threshold),
            expected(lambda name, again=again, **how: metrics(again, name, **how), "recall", "group"),
        )


def test_periods_that_overlap_count_their_rows_in_both() -> None:
    joined = lived(400)
    table = RowTables(joined, (Period.parse("2026-04-06..2026-04-27"), NOW)).table("recall", by="group", stage="final")
    once = metrics(joined, "recall", period="2026-04-06..2026-04-27")
    assert table.frame()["n"][0] == once["n"][0]
    assert table.frame()["n"][1] == metrics(joined, "recall", period=NOW)["n"][0]


# From a ledger ---------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("entities", [None, 40])
@pytest.mark.parametrize("stage", ["final", "any"])
def test_a_ledger_gives_its_metrics_numbers_at_every_edge(entities: int | None, stage: str) -> None:
    joined = lived(entities=entities)
    ledger = build(joined, edges=BinEdges(edges=(0.1, 0.25, 0.5, 0.75, 0.9)), slices=["group", "region"])
    tables = LedgerTables(ledger, (THEN, NOW))
    for by in ("group", "region", None):
        for threshold in (None, *ledger.edges.edges):

            def measure(names: Sequence[str], threshold: float | None = threshold, **how: Any) -> pl.DataFrame:
                return ledger_metrics(ledger, names, stage=stage, threshold=threshold, **how)

            wanted = expected(measure, COUNTED, by)
            for name in COUNTED:
                table = tables.table(name, by=by, stage=stage, threshold=threshold)
                agree(table, wanted)
                assert not by or table.added().sum() == pytest.approx(table.change, abs=1e-12, nan_ok=True)


def test_a_ledger_and_its_rows_split_alike() -> None:
    joined = lived()
    ledger = build(joined, edges=BinEdges(edges=(0.25, 0.5)), slices=["group"])
    for name in ("recall", "f1", "brier", "base_rate"):
        ours, rows = (slice_changes(data, WEEKS, metric=name, by="group") for data in (ledger, joined))
        assert ours["slice"].to_list() == rows["slice"].to_list()
        for column in ("contribution", "mix_effect", "rate_effect"):
            np.testing.assert_allclose(ours[column].to_numpy(), rows[column].to_numpy(), atol=1e-9)


def test_a_ledger_says_where_a_threshold_cannot_be_moved() -> None:
    ledger = build(lived(300), slices=["group"])
    assert LedgerTables(ledger, (THEN, NOW)).unmoved(by="group", stage="final") is None
    days = (Period.parse("2026-04-06..2026-04-20"), Period.parse("2026-04-20..2026-04-25"))
    said = LedgerTables(ledger, days).unmoved(by="group", stage="final")
    assert said is not None
    assert "whole weeks" in said
    assert LedgerTables(ledger, days).unmoved(by=None, stage="final") is None
    assert "whole weeks" in (
        LedgerTables(ledger, (THEN, NOW), as_of="2026-04-28").unmoved(by="group", stage="final") or ""
    )
    with pytest.raises(ArgumentError, match="not among the ledger's edges"):
        slice_changes(ledger, WEEKS, metric="recall", by="group", threshold=0.123)


def test_an_earlier_as_of_is_the_ledger_s_answer() -> None:
    ledger = build(lived(), slices=["group"])
    tables = slice_tables(ledger, (THEN, NOW), as_of="2026-04-28")
    agree(
        tables.table("availability", by="group", stage="any"),
        expected(
            lambda name, **how: ledger_metrics(ledger, name, stage="any", as_of="2026-04-28", **how),
            "availability",
            "group",
        ),
    )


# Order and calls -------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("seed", [3, 4, 5, 6])
def test_slices_that_move_the_whole_most_in_its_direction_come_first(seed: int) -> None:
    frame = slice_changes(lived(seed=seed), WEEKS, metric="precision", by="group")
    whole = frame.filter(pl.col("whole"))["value"]
    parts = frame.filter(~pl.col("whole") & (pl.col("role") == "current"))["contribution"].to_list()
    assert parts == sorted(parts, reverse=whole[1] > whole[0])


def test_thresholds_of_the_grid_are_round_and_found_again() -> None:
    grid = Grid.over(0.0, 0.815)
    assert grid.step == 0.005
    assert grid.thresholds[0] == 0.0
    assert all(grid.place(threshold) == at for at, threshold in enumerate(grid.thresholds.tolist()))
    assert grid.place(0.1 + 0.2) == grid.place(0.3)
    assert grid.place(0.3012) is None
    assert Grid.over(0.4, 0.4).thresholds[-1] == 1.0
    wide = Grid.over(-1200.0, 4100.0)
    assert wide.step == 50.0
    assert (wide.thresholds[0], wide.thresholds[-1]) == (-1200.0, 4100.0)


def test_wrong_calls_say_what_is_allowed() -> None:
    joined, nothing = lived(100), cast("FakeJoined", [])
    for call, message in (
        (lambda: slice_changes(joined, WEEKS, metric="recal", by="group"), "no metric 'recal'"),
        (lambda: slice_changes(joined, WEEKS, by="grup"), "slice column does not exist"),
        (lambda: slice_changes(joined, WEEKS, level=2.0), "level of an interval"),
        (lambda: slice_changes(joined, WEEKS, as_of="2026-04-28"), "as_of is for ledgers"),
        (lambda: slice_changes(nothing, WEEKS), "takes a joined table"),
    ):
        with pytest.raises(ArgumentError, match=message):
            call()


def test_an_empty_period_is_told_and_not_split() -> None:
    frame = slice_changes(
        lived(200), Comparison(reference="2020-01-06..2020-01-13", current=NOW), metric="recall", by="group"
    )
    assert frame.filter(pl.col("whole") & (pl.col("role") == "reference"))["reason"].item() == "no predictions"
    assert frame["contribution"].null_count() == frame.height
    assert set(frame["unsplit"]) == {"the whole is not estimable in one of the periods"}
