"""The frames behind the availability explorer; a call is a function of the view and its arguments."""

from datetime import datetime
from typing import Any, Final

import numpy as np
import polars as pl

from fbkit.explorers.source import Source, Subject
from fbkit.explorers.state import View
from fbkit.join.rows import lazy_rows
from fbkit.measure.availability import availability
from fbkit.measure.burn_down import burn_down, promise_dates
from fbkit.measure.from_ledger.cells import span
from fbkit.measure.labels.arrival_days import DAY, promise_of
from fbkit.measure.lag import label_lag
from fbkit.schema.label import LabelWindow
from fbkit.schema.period import Period, floor_day

OPEN: Final = {"week": "1w", "day": "1d"}
_SLICES: Final = 30
_CELLS: Final = 360
_LISTED: Final = 40
_COHORTS: Final = 30
_MOST: Final = 110
_LONG: Final = 30
_AGES: Final = 16


class AvailabilityModel:
    """What is asked of a source about its labels. ``note`` tells which filter could not be applied last."""

    def __init__(self, source: Source) -> None:
        self.source = source
        window = LabelWindow.of(source.contract)
        self.promise = promise_of(source.contract, delay=window.delay)
        latest = max(-(-window.delay // DAY), self.promise.due, 1)
        steps = np.unique(np.rint(np.linspace(0, latest, min(latest + 1, _AGES))).astype(np.int64))
        self.ages: list[float] = sorted({float(step) for step in steps} | {float(self.promise.due)})
        self.dates = pl.DataFrame()
        self.note = ""
        self._newest = _last_day(source)
        self._daily: dict[datetime, tuple[int, int]] = {}
        self._values: dict[object, list[str | None]] = {}

    @property
    def grain(self) -> str:
        """Days, or weeks where labels take so long that days of cohorts would be too many to see."""
        return "1d" if self.promise.due <= _LONG else "1w"

    @property
    def judged(self) -> tuple[float, float | None] | None:
        """The age in days at which the contract's promise is judged, and the share of all predictions it asks for."""
        if self.promise.minimum is None:
            return None
        return self.promise.age / DAY, None if self.promise.of_usual else self.promise.minimum

    def _subject(self, view: View, *, by: str | None = None) -> Subject:
        subject = self.source.subject(view, by=by, bins=False)
        self.note = subject.note
        return subject

    def values(self, view: View, by: str) -> list[str | None]:
        """The values of a slice column, the most frequent first, at most a list's length."""
        subject = self._subject(view, by=by)
        counted = availability(subject.data, by=by, **subject.options)
        ordered = counted.sort("n", by, descending=[True, False], nulls_last=True)
        return ordered[by].head(_LISTED).to_list()

    def over_time(self, view: View, by: str | None, grain: str) -> pl.DataFrame:
        """Availability by time, of the largest slices, as far back as a picture can show."""
        subject = self._subject(view, by=by)
        asked: dict[str, Any] = {"by": by, "every": grain, "period": self._shown(view, by, grain)}
        frame = availability(subject.data, **asked, **subject.options)
        counts = frame.group_by("period_start").agg(pl.col("n", "n_labelled").sum())
        self._daily = {start: (n, known) for start, n, known in counts.iter_rows()} if grain == "1d" else {}
        if by is None:
            return frame
        largest = frame.group_by(by).agg(pl.col("n").sum())
        largest = largest.sort("n", by, descending=[True, False], nulls_last=True).head(_SLICES)
        order = largest.select(by).with_row_index("order")
        return frame.join(order, on=by, how="inner", nulls_equal=True).sort("order", "period_start").drop("order")

    def share(self, view: View, period: Period) -> float | None:
        """Availability of a period: from the days of the last answer if it held all of them, else asked anew."""
        whole_days = floor_day(period.start) == period.start and floor_day(period.end) == period.end
        if not whole_days or not self._daily or period.start < min(self._daily):
            subject = self._subject(view)
            return availability(subject.data, period=period, **subject.options)["value"].item()
        inside = [counts for day, counts in self._daily.items() if period.start <= day < period.end]
        n = sum(rows for rows, _ in inside)
        return sum(known for _, known in inside) / n if n else None

    def _shown(self, view: View, by: str | None, grain: str) -> Period | None:
        """The newest days if all of them would be more cells than can be told apart; the current period is in it."""
        if self._newest is None or grain != "1d":
            return None
        end = min(self._newest, floor_day(view.as_of) + DAY)
        slices = 1 if by is None else min(len(self._counted(view, by)), _SLICES)
        start = min(end - (_CELLS // max(slices, 1)) * DAY, floor_day(view.now.start))
        return Period(start=start, end=max(end, start + DAY))

    def _counted(self, view: View, by: str) -> list[str | None]:
        """The values of a slice column, counted once for a narrowed table."""
        key = (by, view.filters, view.version)
        if key not in self._values:
            self._values[key] = self.values(view.but(as_of=self.source.as_of), by)
        return self._values[key]

    def cohorts(self, view: View, grain: str) -> pl.DataFrame:
        """Arrival curves of the newest cohorts at some ages."""
        subject = self._subject(view)
        frame = label_lag(subject.data, every=grain, points=self.ages, **subject.options)
        # Far enough back to show some that are as old as the promise asks.
        days = max(_COHORTS, min(self.promise.due + 14, _MOST))
        newest = frame["period_start"].unique().sort().tail(days if grain == "1d" else _COHORTS)
        return frame.filter(pl.col("period_start") >= newest[0]) if len(newest) else frame

    def burn_down(self, view: View, cohort: str) -> pl.DataFrame:
        """Labels missing of the week or day due next, or of the current period if there is none.

        ``dates`` tells when this cohort, and every open week or day, gets there.
        """
        subject = self._subject(view)
        every = burn_down(subject.data, every=OPEN.get(cohort, "1w"), **subject.options)
        self.dates = promise_dates(every)
        if cohort in OPEN and not every.is_empty():
            return every.filter(pl.col("period_start") == every["period_start"][0])
        frame = burn_down(subject.data, period=view.now, **subject.options)
        self.dates = pl.concat([promise_dates(frame), self.dates])
        return frame

    def by_age(self, view: View) -> pl.DataFrame:
        """Arrival curves of both periods; an age that only a few predictions have reached says nothing."""
        subject = self._subject(view)
        periods = {"reference": view.reference, "current": view.now}
        parts = [
            label_lag(subject.data, period=period, **subject.options).with_columns(pl.lit(role).alias("role"))
            for role, period in periods.items()
        ]
        fewest = self.source.contract.slices.minimum
        return pl.concat([part.filter((pl.col("n") >= fewest) | (pl.col("n") == pl.col("n").max())) for part in parts])


def _last_day(source: Source) -> datetime | None:
    """The end of the newest day with a prediction."""
    if source.joined is None:
        days = span(source.ledger())
        return None if days is None else days.end
    newest = lazy_rows(source.joined).select(pl.col("ts_pred").max()).collect().item()
    return floor_day(newest) + DAY if isinstance(newest, datetime) else None
