"""What the drift explorer shows: the ranking, drift by day, and the distributions of a column, for a view."""

from dataclasses import dataclass
from typing import Any, Final

import polars as pl

from fbkit.explorers import model
from fbkit.explorers.kept import Kept
from fbkit.explorers.source import Source
from fbkit.explorers.state import View
from fbkit.measure.distribution import distribution
from fbkit.measure.drift import drift
from fbkit.measure.drift_days import DriftDays, drift_days
from fbkit.schema.period import Comparison, Period

_KEPT: Final = 64


@dataclass(frozen=True, slots=True, kw_only=True)
class Looked:
    """What is asked: rows or a ledger, the comparison, further arguments, and what must be said about them."""

    data: Any
    comparison: Comparison
    options: dict[str, Any]
    note: str

    @property
    def periods(self) -> tuple[Period, Period]:
        """Reference and current period."""
        return self.comparison.periods()


class DriftModel:
    """Ranking, days and distributions, kept once they were computed."""

    def __init__(self, source: Source) -> None:
        self.source = source
        self._kept = Kept(_KEPT)

    def looked(self, view: View) -> Looked:
        """Rows where they are as they were then, for they know the features too; else what was counted.

        Raises
        ------
        ArgumentError
            The brushed days leave no reference before them.
        """
        comparison = Comparison(reference=model.before(view.reference, view.now), current=view.now)
        rows = self.source.rows(view) if view.as_of == self.source.as_of else None
        if rows is not None:
            return Looked(data=rows, comparison=comparison, options={}, note="")
        by = self.source.slices if self.source.joined is not None else ()
        subject = self.source.subject(view, by=by)
        said = [subject.note, "features need the rows: as known earlier, the score and the slices" if by else ""]
        note = "; ".join(part for part in said if part)
        return Looked(data=subject.data, comparison=comparison, options=subject.options, note=note)

    def ranking(self, view: View) -> pl.DataFrame:
        """One line per column."""
        looked = self.looked(view)
        key = ("ranking", *_seen(view), *looked.periods)
        return self._kept(key, lambda: drift(looked.data, looked.comparison, **looked.options))

    def days(self, view: View) -> DriftDays:
        """By day and week over both periods of the page, whatever days are brushed."""
        looked = self.looked(view.but(days=None))
        key = ("days", *_seen(view), *looked.periods)
        return self._kept(key, lambda: drift_days(looked.data, looked.comparison, **looked.options))

    def bars(self, view: View, column: str) -> pl.DataFrame:
        """The two distributions of a column."""
        looked = self.looked(view)
        key = ("bars", *_seen(view), *looked.periods, column)
        make = lambda: distribution(looked.data, looked.comparison, column=column, **looked.options)  # noqa: E731
        return self._kept(key, make)


def _seen(view: View) -> tuple[object, ...]:
    """What the rows of a view depend on."""
    return view.filters, view.version, view.as_of
