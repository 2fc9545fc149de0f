"""What leaves the machine: no personal column, and no slice so thin that it points at people.

A cell with fewer rows than the contract's minimum is masked. Where a published total would give it
away by subtraction (it is the only masked cell of its row or column) the smallest other cell is masked
too, and so on until nothing can be subtracted.
"""

from collections.abc import Collection, Iterable
from typing import Final

import polars as pl

from fbkit.schema.logs import PERSONAL_FEEDBACK

MASKED: Final = "masked"
_PART = "flagged"
_COUNTS = ("n", "n_labelled")
_KEYS = frozenset({"column", "value", "window", "flagged", "score_lower", "score_upper", "score_bin", "label"})

Cell = tuple[str, str]


def export_frame(frame: pl.DataFrame, *, minimum: int, personal: Collection[str] = ()) -> pl.DataFrame:
    """The frame as it may be exported.

    Columns that the contract names as personal are dropped, and so are the rows of slices by them; comments and
    raters of feedback are personal in every contract.
    Slice frames (``column``, ``value`` and a count) and score-bin frames gain the column ``masked``,
    which says "fewer than 20" or "hidden beside a thin slice"; every number of a masked row is null.
    """
    frame = frame.drop([name for name in frame.columns if name in {*personal, *PERSONAL_FEEDBACK}])
    if "column" in frame.columns and personal:
        frame = frame.filter(~pl.col("column").cast(pl.String).is_in(list(personal)))
    count = next((name for name in _COUNTS if name in frame.columns), None)
    sliced = {"column", "value"} <= set(frame.columns)
    if count is None or not (sliced or "score_lower" in frame.columns):
        return frame
    return _mask(frame, count=count, minimum=minimum)


def _mask(frame: pl.DataFrame, *, count: str, minimum: int) -> pl.DataFrame:
    rows = list(frame.iter_rows(named=True))
    thin = [int(row[count] or 0) < minimum for row in rows]
    hidden = set()
    for members in _tables(rows):
        hidden |= _protected(rows, members, thin=thin, count=count)
    words = [
        f"fewer than {minimum}" if thin[i] else "hidden beside a thin slice" if i in hidden else None
        for i in range(len(rows))
    ]
    masked = pl.Series(MASKED, words, dtype=pl.String)
    # A mask of one window's cell must not be undone by a ratio of both parts, so every number of the row goes.
    numbers = [name for name in frame.columns if name not in _KEYS and frame.schema[name].is_numeric()]
    return frame.with_columns(masked).with_columns(
        pl.when(pl.col(MASKED).is_null()).then(pl.col(name)).otherwise(None).alias(name) for name in numbers
    )


def _tables(rows: list[dict[str, object]]) -> Iterable[list[int]]:
    """Row numbers that belong to one published table: one slicing column in one window."""
    groups: dict[tuple[str, str], list[int]] = {}
    for number, row in enumerate(rows):
        groups.setdefault((str(row.get("column")), str(row.get("window"))), []).append(number)
    return groups.values()


def _protected(rows: list[dict[str, object]], members: list[int], *, thin: list[bool], count: str) -> set[int]:
    cells: dict[Cell, int] = {(str(rows[i].get("value", i)), str(rows[i].get(_PART, "all"))): i for i in members}
    hidden = {cell for cell, i in cells.items() if thin[i]}
    sizes = {cell: size if isinstance(size := rows[i][count], int) else 0 for cell, i in cells.items()}
    lines = _lines(cells)
    changed = True
    while changed:
        changed = False
        for line in lines:
            open_cells = [cell for cell in line if cell not in hidden]
            if open_cells and len(line) - len(open_cells) == 1:
                hidden.add(min(open_cells, key=lambda cell: (sizes[cell], cell)))
                changed = True
    return {cells[cell] for cell in hidden}


def _lines(cells: dict[Cell, int]) -> list[list[Cell]]:
    """Cells whose sum a reader knows or can see: down each part, and across flagged + not flagged = all."""
    parts = sorted({part for _, part in cells})
    values = sorted({value for value, _ in cells})
    down = [[(value, part) for value in values if (value, part) in cells] for part in parts]
    across = [[(value, part) for part in parts if (value, part) in cells] for value in values]
    return [line for line in down + across if len(line) > 1]


def export_result(frame: pl.DataFrame, *, slices: Collection[str], minimum: int) -> pl.DataFrame:
    """A result of :func:`fbkit.metrics` and its kin as it may be exported: numbers of thin slices are masked.

    A row is thin if its slice has fewer than ``minimum`` rows (``n``, or ``n_labelled`` where that is all it tells)
    and one of the slice columns is among ``slices``. Where exactly one slice of a table (same metric, same period,
    same everything else that is not a number) is masked, the smallest other is too. A masked row keeps its texts and
    times, every number of it is null, and the column ``masked`` says why. Frames without slices stay as they are.
    """
    named = [name for name in slices if name in frame.columns]
    count = next((name for name in _COUNTS if name in frame.columns), None)
    if not named or count is None or MASKED in frame.columns:
        return frame
    numbers = [name for name, kind in frame.schema.items() if kind.is_numeric() and name not in named]
    table = [name for name in frame.columns if name not in {*named, *numbers}] or [pl.lit(0).alias("table")]
    size = pl.col(count).fill_null(0)
    thin = size < minimum
    alone = (thin.sum() == 1).over(table) & ~thin
    hidden = alone & (size.rank("ordinal").over(*table, thin) == 1)
    words = (
        pl.when(thin)
        .then(pl.lit(f"fewer than {minimum}"))
        .when(hidden)
        .then(pl.lit("hidden beside a thin slice"))
        .otherwise(None)
    )
    marked = frame.with_columns(words.alias(MASKED))
    return marked.with_columns(
        pl.when(pl.col(MASKED).is_null()).then(pl.col(name)).otherwise(None).alias(name) for name in numbers
    )
