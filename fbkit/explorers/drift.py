"""Did the scores or the inputs move: a ranked table, the two distributions of a chosen column, the day it changed."""

from datetime import datetime, timedelta
from typing import Any, ClassVar

import polars as pl
import traitlets

from fbkit.charts import drift as charts
from fbkit.charts.drift_column import axis_title, day_rows, distribution_rows, psi_text, since_text
from fbkit.charts.series import BRUSH
from fbkit.charts.text import clean, count_text
from fbkit.explorers import model
from fbkit.explorers.base import Explorer, begin, dropdown
from fbkit.explorers.drift_model import DriftModel
from fbkit.explorers.state import Shared
from fbkit.measure.drift_days import DriftDays
from fbkit.schema.period import Comparison, Period, floor_day

RANKING = "\0ranking"
FURTHEST = ("the one that moved furthest", RANKING)


class DriftExplorer(Explorer):
    """The score, the features and the slices by how far they moved, and one of them in full.

    Attributes
    ----------
    column
        Whose distributions and days are shown; ``drift.RANKING`` is the one that moved furthest.
    """

    FOLLOWS: ClassVar = ("reference", "current", "as_of", "version", "focus", "days")
    column = traitlets.Unicode(RANKING)
    result: pl.DataFrame

    def __init__(
        self,
        thing: Any,
        comparison: Comparison | None = None,
        *,
        shared: Shared | None = None,
        column: str | None = None,
    ) -> None:
        source, state = begin(thing, comparison, shared)
        self.model = DriftModel(source)
        self.days = DriftDays(pl.DataFrame(), pl.DataFrame())
        self.bars = pl.DataFrame()
        self.shown = self.note = ""
        self._offering = False
        super().__init__(source, shared=state)
        self._columns = dropdown(
            "Show",
            [FURTHEST],
            value=RANKING,
            tip="whose distributions and days are shown; a click on a line of the table does the same",
            width="340px",
        )
        self.picked(self._clicked)
        self.brushed(self._brushed)
        if column is not None:
            self.column = column
        self._columns.observe(self._chosen, names="value")
        self.assemble([self._columns], watched=["column"])

    def _chosen(self, change: dict[str, Any]) -> None:
        if not self._offering:
            self.column = change["new"]

    def _offer(self, names: list[str]) -> None:
        """Offer these columns; what is chosen stays chosen, also if a filter took it away for now."""
        kept = [] if self.column in (RANKING, *names) else [self.column]
        options = [FURTHEST, *model.choices([*names, *kept])]
        self._offering = True
        try:
            if list(self._columns.options) != options:
                self._columns.options = options
            self._columns.value = self.column
        finally:
            self._offering = False

    def _clicked(self, place: int) -> None:
        lines = charts.ranked(self.result)
        if 0 <= place < lines.height:
            self.column = lines.item(place, "column")

    def _brushed(self, start: datetime | None, end: datetime | None) -> None:
        """Whole days take the place of the current period; without a brush it is back."""
        if start is None or end is None:
            self.shared.days = None
            return
        first, last = floor_day(start), floor_day(end - timedelta(microseconds=1)) + timedelta(days=1)
        self.shared.days = Period(start=first, end=max(last, first + timedelta(days=1)))

    # What is shown ----------------------------------------------------------------------------------------------
    def answer(self) -> pl.DataFrame:
        view = self.shared.view()
        ranking = self.model.ranking(view)
        self._offer(ranking.get_column("column").to_list())
        self.shown = _shown(ranking, self.column)
        self.days = self.model.days(view)
        self.bars = self.model.bars(view, self.shown)
        lost = "" if self.column in (RANKING, self.shown) else f"{clean(self.column)} is not known here"
        self.note = "; ".join(part for part in (self.model.looked(view).note, lost) if part)
        return ranking

    def drawing(self) -> object:
        return ("drift", min(self.result.height, charts.LINES))

    def rows(self) -> list[dict[str, Any]]:
        days = self.days
        table = charts.drift_rows(self.result, series=days.series, changed=days.changed, chosen=self.shown)
        own = self._since()
        below = day_rows(
            days.series, column=self.shown, since=own, windows=self._windows(), changes=self.source.changes
        )
        return table + distribution_rows(self.bars) + below

    def cleared(self) -> list[str]:
        return [BRUSH] if self.shared.days is None else []

    def _since(self) -> dict[str, Any] | None:
        found = self.days.changed.filter(pl.col("column") == self.shown)
        return found.row(0, named=True) if found.height else None

    def _windows(self) -> list[tuple[datetime, datetime, str]]:
        view = self.shared.view()
        reference = model.before(view.reference, view.now)
        return [(reference.start, reference.end, "reference"), (view.now.start, view.now.end, "current")]

    def chart(self) -> Any:
        texts, days = self.texts(), self.days
        return charts.drift_chart(
            self.result,
            series=days.series,
            changed=days.changed,
            bars=self.bars,
            column=self.shown,
            windows=self._windows(),
            changes=self.source.changes,
            title=texts["headline"],
            subtitle=texts["smallprint"],
        )

    def calls(self) -> list[str]:
        data = "joined" if self.source.joined is not None else "ledger"
        reference, current = self.model.looked(self.shared.view()).periods
        column = f"column={self.shown!a}"
        return [
            f'weeks = fb.Comparison(reference="{reference}", current="{current}")',
            f"fb.drift({data}, weeks)",
            "from fbkit.measure.distribution import distribution",
            "from fbkit.measure.drift_days import drift_days",
            f"drift_days({data}, weeks).changed",
            f"distribution({data}, weeks, {column})",
        ]

    # What is said -----------------------------------------------------------------------------------------------
    def texts(self) -> dict[str, str]:
        view = self.shared.view()
        reference, current = self.model.looked(view).periods
        hidden = self.result.height - charts.LINES
        more = f"{hidden} that moved less not shown" if hidden > 0 else ""
        spans = f"{model.span_text(reference)} against {model.span_text(current)}"
        return {
            "headline": "What moved between the periods",
            "axis": axis_title(self.shown, self.bars),
            "smallprint": self.source.smallprint(view, spans, charts.NOTE, more, self.note),
            "summary": f"{self._said_ranking()} {self._said_column()}",
        }

    def _said_ranking(self) -> str:
        beyond, of = charts.beyond_chance(self.result), self.result.height
        if not beyond:
            return f"None of {of} columns moved beyond chance."
        named = ", ".join(clean(name) for name in beyond[:3])
        return f"{len(beyond)} of {of} columns moved beyond chance, furthest {named}."

    def _said_column(self) -> str:
        row = self.result.filter(pl.col("column") == self.shown).row(0, named=True)
        name = clean(self.shown)
        if row["psi"] is None:
            return f"{name}: not estimable, because {row['reason']}."
        null = "" if row["psi_null_95"] is None else f" (chance alone up to {psi_text(row['psi_null_95'])})"
        n = f"n {count_text(row['n_reference'])} and {count_text(row['n_current'])}"
        since = self._since()
        day = "" if since is None else f"; {'changed on ' if since['day'] else ''}{since_text(since, long=True)}"
        return f"{name}: PSI {psi_text(row['psi'])}{null}, {n}{day}."


def _shown(ranking: pl.DataFrame, column: str) -> str:
    """The column that is asked for, or the one that moved furthest."""
    names = charts.ranked(ranking).get_column("column").to_list()
    return column if column in names else names[0]
