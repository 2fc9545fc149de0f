"""A metric by slice in two periods as plain arrays: what each slice adds to the change, and which comes first."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import polars as pl
from numpy.typing import NDArray

from fbkit.errors import ArgumentError
from fbkit.measure.kinds import Total
from fbkit.measure.scope import INSTANT, Stage
from fbkit.measure.slicing.cell_rows import CellRows
from fbkit.measure.slicing.split import Split, split_change
from fbkit.measure.stats.intervals import Array
from fbkit.measure.totals import ratio_numbers
from fbkit.schema import results
from fbkit.schema.period import Period

ROLES: Final = ("reference", "current")
SLICE, ROLE, WHOLE, SLOT = "slice", "role", "whole", "slot"
CONTRIBUTION, MIX, RATE, UNSPLIT = "contribution", "mix_effect", "rate_effect", "unsplit"
NUMBERS: Final = (results.VALUE, results.LOWER, results.UPPER, results.BOUND_LOWER, results.BOUND_UPPER)
TEXTS: Final = (results.STAGE, results.METHOD, results.REASON)
COLUMNS: Final = (
    SLICE, WHOLE, ROLE, results.METRIC, results.PERIOD_START, results.PERIOD_END, *NUMBERS, results.N,
    results.N_LABELLED, CONTRIBUTION, MIX, RATE, UNSPLIT, *TEXTS,
)  # fmt: skip

NO_RATIO: Final = "is no ratio of sums over rows: what a slice adds to its change is not defined"

SORTS: Final = ("contribution", "drop", "low", "n", "name")
Slots = NDArray[np.int64]


@dataclass(frozen=True, kw_only=True)
class SliceTable:
    """Both periods' numbers of the whole (first) and of each slice, NaN where not estimable.

    Attributes
    ----------
    slices
        The values of the slice column in order, null last.
    numbers
        By result column: period (reference, current) x (whole, slices...).
    n, n_labelled
        Rows; ``there`` says which cells have any row at all.
    texts
        ``stage``, ``method`` and ``reason`` in the same shape.
    split
        What each slice adds to the change, or in one sentence why that cannot be said.
    """

    metric: str
    slices: Sequence[str | None]
    periods: tuple[Period, Period]
    numbers: Mapping[str, Array]
    n: Array
    n_labelled: Array
    there: NDArray[np.bool_]
    texts: Mapping[str, NDArray[np.object_]]
    split: Split | str

    @property
    def change(self) -> float:
        """How the metric of the whole moved; NaN if one of its values is missing."""
        value = self.numbers[results.VALUE][:, 0]
        return float(value[1] - value[0])

    @property
    def splits(self) -> bool:
        """Whether it can be said what slices add to the change."""
        return len(self.slices) > 0 and bool(np.isfinite(self.added()).any())

    def added(self) -> Array:
        """What each slice adds to the change; NaN where that cannot be said."""
        return np.full(len(self.slices), np.nan) if isinstance(self.split, str) else self.split.total

    def order(self, *, sort: str, minimum: int = 0, limit: int | None = None) -> Slots:
        """Slices with at least ``minimum`` rows in one of the periods, the first ``limit`` of them by ``sort``.

        "contribution" puts those first that move the whole in the direction in which it went; where nothing can be
        said of contributions, and for "drop", those that fell furthest.
        """
        if sort not in SORTS:
            raise ArgumentError(
                "an unknown order", got=sort, allowed=", ".join(SORTS), next_step='use "contribution", for example'
            )
        n = self.n[:, 1:].max(axis=0)
        kept = np.flatnonzero((n >= minimum) & self.there[:, 1:].any(axis=0))
        key = self._key(sort)[kept]
        chosen = kept[np.argsort(np.where(np.isnan(key), np.inf, key), kind="stable")]
        return chosen if limit is None else chosen[:limit]

    def _key(self, sort: str) -> Array:
        """What rises along the order; equal keys and those that are not known stay in the order of names."""
        value = self.numbers[results.VALUE][:, 1:]
        added = self.added()
        if sort == "contribution" and np.isfinite(added).any():
            return -np.sign(self.change or -1.0) * added
        if sort in ("contribution", "drop"):
            return value[1] - value[0]
        if sort == "low":
            return value[1]
        return -self.n[:, 1:].max(axis=0) if sort == "n" else np.zeros(len(self.slices))

    def records(self, slots: Sequence[int], *, whole: bool = True) -> list[dict[str, Any]]:
        """The lines of these slices as the frame has them, the whole before them; only cells with rows."""
        places = [*([0] if whole else []), *(slot + 1 for slot in slots)]
        taken = np.asarray(places, dtype=np.int64)
        columns: dict[str, list[list[Any]]] = {
            name: [[None if x != x else x for x in line] for line in each[:, taken].tolist()]  # noqa: PLR0124 - NaN
            for name, each in self.numbers.items()
        }
        columns |= {name: each[:, taken].tolist() for name, each in self.texts.items()}
        columns |= {name: each[:, taken].astype(np.int64).tolist() for name, each in self._counts().items()}
        there = self.there[:, taken].tolist()
        parts = self._parts(taken)
        return [
            {
                SLICE: None if place == 0 else self.slices[place - 1],
                WHOLE: place == 0,
                SLOT: place - 1,
                ROLE: role,
                results.METRIC: self.metric,
                results.PERIOD_START: self.periods[at].start,
                results.PERIOD_END: self.periods[at].end,
                **{name: column[at][line] for name, column in columns.items()},
                **parts[line],
            }
            for line, place in enumerate(places)
            for at, role in enumerate(ROLES)
            if there[at][line] or place == 0
        ]

    def _counts(self) -> dict[str, Array]:
        return {results.N: self.n, results.N_LABELLED: self.n_labelled}

    def _parts(self, places: Slots) -> list[dict[str, Any]]:
        """Contribution, mix and rate effect; of the whole the change itself."""
        if isinstance(self.split, str):
            return [{CONTRIBUTION: None, MIX: None, RATE: None, UNSPLIT: self.split}] * len(places)
        split = self.split
        made = {
            name: np.concatenate([[each.sum() if len(each) else np.nan], each])[places].tolist()
            for name, each in ((CONTRIBUTION, split.total), (MIX, split.mix), (RATE, split.rate))
        }
        told = None if np.isfinite(split.change) else "the whole is not estimable in one of the periods"
        lines = zip(*made.values(), strict=True)
        return [
            {name: value if value == value else None for name, value in zip(made, line, strict=True)}  # noqa: PLR0124
            | {UNSPLIT: told}
            for line in lines
        ]

    def frame(self, slots: Sequence[int] | None = None) -> pl.DataFrame:
        """The table as a frame, whole first: one line per slice and period that has rows."""
        rows = self.records(range(len(self.slices)) if slots is None else slots)
        return pl.DataFrame([{name: row[name] for name in COLUMNS} for row in rows], schema=_schema())


def _schema() -> pl.Schema:
    kinds: dict[str, pl.DataType] = dict.fromkeys(COLUMNS, pl.String())
    kinds |= dict.fromkeys((*NUMBERS, CONTRIBUTION, MIX, RATE), pl.Float64())
    kinds |= dict.fromkeys((results.N, results.N_LABELLED), pl.Int64())
    kinds |= dict.fromkeys((results.PERIOD_START, results.PERIOD_END), INSTANT)
    kinds[WHOLE] = pl.Boolean()
    return pl.Schema(kinds)


def from_frames(
    metric: str,
    slices: Sequence[str | None],
    periods: tuple[Period, Period],
    lines: Sequence[tuple[int, int, Mapping[str, Any]]],
    *,
    split: Split | str,
) -> SliceTable:
    """The table of estimate lines: (period, place, line); place 0 is the whole, 1 the first slice."""
    shape = (len(ROLES), len(slices) + 1)
    numbers = {name: np.full(shape, np.nan) for name in NUMBERS}
    counts = {name: np.zeros(shape) for name in (results.N, results.N_LABELLED)}
    texts = {name: np.full(shape, None, dtype=object) for name in TEXTS}
    there = np.zeros(shape, dtype=bool)
    for at, place, line in lines:
        there[at, place] = True
        for name, each in numbers.items():
            each[at, place] = np.nan if line[name] is None else line[name]
        for name, each in counts.items():
            each[at, place] = line[name] or 0
        for name, words in texts.items():
            words[at, place] = line[name]
    return SliceTable(
        metric=metric, slices=slices, periods=periods, numbers=numbers, n=counts[results.N],
        n_labelled=counts[results.N_LABELLED], there=there, texts=texts, split=split,
    )  # fmt: skip


def looked_table(
    measure: Total,
    sums: Mapping[str, Array],
    rows: CellRows,
    *,
    slices: Sequence[str | None],
    periods: tuple[Period, Period],
    stage: Stage,
    level: float,
    renamed: tuple[str, str] = ("", ""),
    marks: tuple[str | None, str | None] = (None, None),
) -> SliceTable:
    """The table of sums and rows that were looked up: by period, the whole before the slices, on one axis.

    ``renamed`` is what a method is called here, ``marks`` what is missing of the logs of each period.
    """
    found = ratio_numbers(sums, measure, level=level)
    shape = (len(ROLES), len(slices) + 1)
    numbers = {name: each.reshape(shape) for name, each in zip(NUMBERS, found[:-1], strict=True)}
    texts = {name: each.reshape(shape) for name, each in rows.texts(found, measure, stage, renamed=renamed).items()}
    for at, mark in enumerate(marks):
        if mark is not None:
            reasons = texts[results.REASON]
            reasons[at] = [mark if why is None else f"{why}; {mark}" for why in reasons[at]]
    n, labelled = (each.reshape(shape) for each in rows.counted(measure))
    a, b = (sums[name].reshape(shape)[:, 1:] for name in ("a", "b"))
    return SliceTable(
        metric=measure.name, slices=slices, periods=periods, numbers=numbers, n=n, n_labelled=labelled,
        there=rows.everything.reshape(shape) > 0, texts=texts,
        split=split_change((a[0], b[0]), (a[1], b[1]), transform=measure.transform),
    )  # fmt: skip


def placed_split(
    sums: Sequence[tuple[Slots, Array, Array]], *, size: int, transform: Callable[[Array], Array] | None
) -> Split:
    """The split of sums (places, a, b) of the reference and the current period; slices without rows add nothing."""
    pairs = np.zeros((len(ROLES), 2, size))
    for at, (place, a, b) in enumerate(sums):
        pairs[at, 0, place], pairs[at, 1, place] = a, b
    (a0, b0), (a1, b1) = pairs
    return split_change((a0, b0), (a1, b1), transform=transform)
