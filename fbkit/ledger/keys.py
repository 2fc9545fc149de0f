"""Several small whole numbers as one: what a table is grouped and sorted by."""

from collections.abc import Sequence
from dataclasses import dataclass
from math import prod

import polars as pl

_LARGEST = 2**62


@dataclass(frozen=True, slots=True, kw_only=True)
class Layout:
    """How key columns lie in one number: the least value of each, and how many it may take (null is one of them)."""

    names: tuple[str, ...]
    least: tuple[int, ...]
    sizes: tuple[int, ...]

    @classmethod
    def of(cls, frame: pl.DataFrame | pl.LazyFrame, names: Sequence[str]) -> "Layout":
        """The layout that holds these rows; columns are whole numbers or null."""
        asked = [pl.col(name).cast(pl.Int64).min().alias(f"{name}<") for name in names]
        asked += [pl.col(name).cast(pl.Int64).max().alias(f"{name}>") for name in names]
        found = frame.lazy().select(asked).collect().row(0, named=True)
        least = tuple(found[f"{name}<"] or 0 for name in names)
        most = tuple(found[f"{name}>"] or 0 for name in names)
        sizes = tuple(high - low + 2 for low, high in zip(least, most, strict=True))
        return cls(names=tuple(names), least=least, sizes=sizes)

    @property
    def fits(self) -> bool:
        """Whether one 64-bit number can hold the keys."""
        return prod(self.sizes) < _LARGEST

    def only(self, names: Sequence[str]) -> "Layout":
        """The layout of some of the keys, in the order asked."""
        at = [self.names.index(name) for name in names]
        least, sizes = (tuple(part[position] for position in at) for part in (self.least, self.sizes))
        return Layout(names=tuple(names), least=least, sizes=sizes)

    def number(self) -> pl.Expr:
        """The one number; null sorts first, as zero."""
        return self.after(pl.lit(0, dtype=pl.Int64))

    def after(self, number: pl.Expr) -> pl.Expr:
        """The keys put behind a number that others were made into."""
        made = number
        for name, least, size in zip(self.names, self.least, self.sizes, strict=True):
            made = made * size + (pl.col(name).cast(pl.Int64) - (least - 1)).fill_null(0)
        return made

    def split(self, number: str) -> list[pl.Expr]:
        """The key columns out of the one number."""
        made: list[pl.Expr] = []
        rest = 1
        for name, least, size in reversed(list(zip(self.names, self.least, self.sizes, strict=True))):
            digit = pl.col(number) // rest % size
            made.append(pl.when(digit > 0).then(digit + (least - 1)).cast(pl.Int32).alias(name))
            rest *= size
        return made[::-1]


_NUMBER = "\0number"


def add_up(frames: Sequence[pl.DataFrame], keys: Sequence[str], sums: Sequence[str]) -> pl.DataFrame:
    """Lines with equal keys added, sorted by them (null first): the same lines in any order give the same bytes."""
    lines = pl.concat(frames).lazy()
    added = [pl.col(name).sum() for name in sums]
    layout = Layout.of(lines, keys)
    if not layout.fits:
        whole = lines.select(*(pl.col(name).cast(pl.Int32) for name in keys), *sums)
        return whole.group_by(keys).agg(added).sort(keys, nulls_last=False).collect()
    grouped = lines.group_by(layout.number().alias(_NUMBER)).agg(added).sort(_NUMBER)
    return grouped.select(*layout.split(_NUMBER), *sums).collect()
