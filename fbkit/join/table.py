"""Where the rows of a joined table are: in memory, or in Parquet parts on disk of which single columns can be read."""

import weakref
from collections.abc import Sequence
from pathlib import Path
from typing import Protocol

import polars as pl

from fbkit.errors import InputError


def clean(frame: pl.DataFrame) -> pl.DataFrame:
    """Zero what lies in memory under a null, which depends on the inputs' order: equal tables, equal bytes."""
    cleaned: list[pl.Expr] = []
    for name, dtype in frame.schema.items():
        column = frame[name]
        if dtype == pl.Boolean:  # eight values share a byte; by way of numpy the spare bits of the last one are cleared
            whole = pl.lit(pl.Series(name, column.fill_null(value=False).to_numpy()))
        elif column.null_count() and (dtype == pl.String or dtype.is_numeric() or dtype.is_temporal()):
            whole = pl.col(name).fill_null(pl.lit("") if dtype == pl.String else pl.lit(0).cast(dtype))
        else:
            continue
        cleaned.append(pl.when(pl.col(name).is_not_null()).then(whole).alias(name) if column.null_count() else whole)
    return frame.with_columns(cleaned)


class Table(Protocol):
    """Rows that can be read whole, by column, or lazily."""

    @property
    def frame(self) -> pl.DataFrame:
        """Every row and column."""
        ...

    @property
    def height(self) -> int:
        """The number of rows."""
        ...

    def lazy(self) -> pl.LazyFrame:
        """The rows for a query that reads what it needs."""
        ...


class MemoryTable:
    """A table that is a frame."""

    __slots__ = ("frame",)

    def __init__(self, frame: pl.DataFrame) -> None:
        self.frame = frame

    @property
    def height(self) -> int:
        """The number of rows."""
        return self.frame.height

    def lazy(self) -> pl.LazyFrame:
        """The frame as a lazy one."""
        return self.frame.lazy()


class StoredTable:
    """A table in Parquet parts, in order; ``frame`` reads them once and keeps them.

    Raises
    ------
    InputError
        The parts are gone or damaged.
    """

    __slots__ = ("__weakref__", "_frame", "height", "parts")

    def __init__(self, parts: Sequence[Path], *, height: int) -> None:
        self.parts = tuple(parts)
        self.height = height
        self._frame: pl.DataFrame | None = None

    @property
    def frame(self) -> pl.DataFrame:
        """Every row and column, in one piece of memory."""
        if self._frame is None:
            try:
                self._frame = clean(self.lazy().collect().rechunk())
            except (pl.exceptions.PolarsError, OSError) as error:
                raise InputError(
                    "the stored joined table cannot be read any more",
                    got=str(error).splitlines()[0] if str(error) else type(error).__name__,
                    next_step="join again: loop.join()",
                    allowed="the parts as they were written",
                ) from error
        return self._frame

    def lazy(self) -> pl.LazyFrame:
        """The rows for a query that reads what it needs."""
        return self._frame.lazy() if self._frame is not None else pl.scan_parquet(list(self.parts), glob=False)

    def tidy_up(self, folder: Path) -> None:
        """Remove the folder of the parts once nobody holds the table."""
        import shutil

        weakref.finalize(self, shutil.rmtree, folder, ignore_errors=True)
