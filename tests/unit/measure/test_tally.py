"""Counted rows against the rows themselves: the same sums, cells and entities in any order."""

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fbkit.measure.cells import entity_units, number_cells
from fbkit.measure.kinds import Total, W
from fbkit.measure.metrics import metrics
from fbkit.measure.ratios import counted_cells, total_frames
from fbkit.measure.registry import REGISTRY
from fbkit.measure.scope import open_scope
from fbkit.measure.tally import tally
from fbkit.measure.totals import count_cells
from fbkit.testing.frames import FakeJoined, make_joined, random_joined

row = st.tuples(
    st.sampled_from([0.0, 1.0, None]),
    st.sampled_from([True, False, None]),
    st.sampled_from(["a", "b", None]),
    st.sampled_from(["u", "v", "w", None]),
    st.sampled_from([1.0, 9.0, 30.0]),
)
COUNTED = ["brier", "log_loss"]
COUNTED += [
    name for name, measure in REGISTRY.items()
    if isinstance(measure, Total) and measure.needs == "counts" and measure.kind == "proportion"
    and "binary" in measure.tasks and not (measure.columns or measure.expressions or measure.unavailable)
]  # fmt: skip


def world(rows: list[tuple[float | None, bool | None, str | None, str | None, float]]) -> FakeJoined:
    return make_joined(
        scores=[index / max(len(rows) - 1, 1) for index in range(len(rows))],
        labels=[label for label, *_ in rows],
        flags=[flag for _, flag, *_ in rows],
        entities=[entity for *_, entity, _ in rows],
        ages=[age for *_, age in rows],
        columns={"g": pl.Series([group for _, _, group, *_ in rows], dtype=pl.String)},
    )


@given(st.lists(row, min_size=1, max_size=40), st.sampled_from([None, "1w"]))
def test_counts_give_what_the_rows_give(rows: list, every: str | None) -> None:
    measures = [measure for name in COUNTED if isinstance(measure := REGISTRY[name], Total)]
    scope, plain = (open_scope(world(rows), by="g", every=every) for _ in range(2))
    plain.memo["tally"] = None  # as if labels were fractional: every row is looked at
    assert tally(scope) is not None
    keys = scope.keys
    cells = counted_cells(scope).sort(keys)
    assert cells.equals(count_cells(plain.frame, keys).sort(keys).select(cells.columns))
    one, two = (total_frames(each, cells, measures, level=0.9, bounded=True, weighted=False) for each in (scope, plain))
    for name in COUNTED:
        said = [made[name].select(*keys, "method", "reason") for made in (one, two)]
        assert said[0].equals(said[1], null_equal=True)
        for part in ("value", "lower", "upper", "bound_lower", "bound_upper"):
            got, expected = (made[name][part].fill_null(-1.0).to_numpy() for made in (one, two))
            np.testing.assert_allclose(got, expected, atol=1e-12, err_msg=f"{name} {part}")


def test_fractional_labels_and_weights_are_not_counted() -> None:
    joined = make_joined(scores=[0.5, 0.6], labels=[0.5, 1.0], columns={"w": [2.0, 1.0]})
    assert tally(open_scope(joined)) is None
    whole = make_joined(scores=[0.5, 0.6], labels=[0.0, 1.0], columns={"w": [2.0, 1.0]})
    assert tally(open_scope(whole, weights="w")) is None
    counted = tally(open_scope(whole))
    assert counted is not None
    assert counted.counts[W].sum() == 2


@given(st.lists(st.tuples(st.sampled_from(["a", "b", None]), st.integers(0, 3), st.booleans()), max_size=30))
def test_cells_are_numbered_as_a_dictionary_would(rows: list[tuple[str | None, int, bool]]) -> None:
    texts, numbers, flags = ([each[i] for each in rows] for i in range(3))
    frame = pl.DataFrame(
        {
            "t": pl.Series(texts, dtype=pl.String),
            "n": pl.Series([None if n == 3 else n for n in numbers], dtype=pl.Int32),
            "f": pl.Series(flags, dtype=pl.Boolean),
        }
    )
    for keys in (["t"], ["n"], ["t", "n"], ["f", "n", "t"], []):
        found = number_cells(frame, keys)
        made = list(frame.select(keys).iter_rows()) if keys else [()] * frame.height
        assert len(found.row) == len(set(made))
        assert [made[found.row[cell]] for cell in found.cell] == made


@given(st.lists(st.tuples(st.integers(0, 2), st.sampled_from(["u", "v", None])), min_size=1, max_size=30))
def test_units_are_the_rows_of_an_entity_in_a_cell(rows: list[tuple[int, str | None]]) -> None:
    cell = np.array([number for number, _ in rows])
    units = entity_units(pl.Series([entity for _, entity in rows], dtype=pl.String), cell)
    own = [(number, index if entity is None else entity) for index, (number, entity) in enumerate(rows)]
    if units is None:
        assert len(set(own)) == len(own)
        return
    numbers = units.numbers().tolist()
    assert len(set(numbers)) == len(set(own)) == len(set(zip(numbers, own, strict=True)))
    assert (np.diff(cell[units.order]) >= 0).all()


@pytest.mark.parametrize("by", [None, "group"])
def test_many_rows_in_threads_give_what_few_cells_give(by: str | None) -> None:
    joined = random_joined(120_000, seed=9, days=20)
    names = ["roc_auc", "average_precision", "recall"]
    frame = metrics(joined, names, by=by, every="1w").drop("evaluation_id")
    for row in frame.select("period_start", "period_end").unique().iter_rows():
        period = f"{row[0]:%Y-%m-%d}..{row[1]:%Y-%m-%d}"
        alone = metrics(joined, names, by=by, period=period).drop("evaluation_id")
        part = frame.filter(pl.col("period_start") == row[0])
        assert part.drop("stage").equals(alone.drop("stage"), null_equal=True)
