"""Did the scores or the inputs move: a ranking, and the two distributions of a chosen column."""

from functools import cache
from typing import Any

import polars as pl
import traitlets

from fbkit.charts import drift as charts
from fbkit.charts.text import clean
from fbkit.explorers import model
from fbkit.explorers.base import Explorer, dropdown, tie
from fbkit.measure.drift import drift, drift_bins
from fbkit.schema.period import Comparison
from fbkit.schema.protocols import JoinedLike

RANKING = "\0ranking"


class DriftModel:
    """The ranking, and the bins of each column that was asked for."""

    def __init__(self, joined: JoinedLike, comparison: Comparison | None) -> None:
        self.joined = joined
        self.reference, self.current = model.fix_periods(joined, comparison)
        self.comparison = Comparison(reference=self.reference, current=self.current)
        self.ranking = drift(joined, self.comparison).sort("psi", descending=True, nulls_last=True)
        self.bins = cache(self._bins)

    def _bins(self, column: str) -> pl.DataFrame:
        return drift_bins(self.joined, self.comparison, column=column)


class DriftExplorer(Explorer):
    """Ranked PSI bars, or the two distributions of ``column`` (``drift.RANKING`` is the ranking)."""

    column = traitlets.Unicode(RANKING)

    def __init__(self, joined: JoinedLike, comparison: Comparison | None = None) -> None:
        self.model = DriftModel(joined, comparison)
        super().__init__()
        names = self.model.ranking["column"].to_list()
        offered = [("all columns, ranked", RANKING), *model.choices(names)]
        self.assemble(
            [
                tie(
                    self,
                    "column",
                    dropdown(
                        "Show", offered, value=self.column, tip="a column shows its two distributions", width="340px"
                    ),
                )
            ],
            watched=["column"],
        )

    def answer(self) -> pl.DataFrame:
        return self.model.ranking if self.column == RANKING else self.model.bins(self.column)

    def drawing(self) -> object:
        return "ranking" if self.column == RANKING else "bins"

    def rows(self) -> list[dict[str, Any]]:
        return charts.drift_rows(self.result) if self.column == RANKING else charts.drift_bins_rows(self.result)

    def chart(self) -> Any:
        texts = self.texts()
        titles: dict[str, Any] = {"title": texts["headline"], "subtitle": texts["smallprint"]}
        if self.column == RANKING:
            return charts.drift_chart(self.result, **titles)
        return charts.drift_bins_chart(self.result, column=self.column, **titles)

    def texts(self) -> dict[str, str]:
        spans = f"{model.span_text(self.model.reference)} against {model.span_text(self.model.current)}"
        ranked = self.column == RANKING
        headline = "What moved between the periods" if ranked else f"{clean(self.column)}: reference and current"
        note = "black tick: 95 % of the PSI that chance alone gives" if ranked else "bins of the reference"
        return {
            "headline": headline,
            "axis": charts.bins_title(self.column),
            "smallprint": model.smallprint(self.model.joined, spans, note),
            "summary": self._said_ranking() if ranked else self._said_column(),
        }

    def _said_ranking(self) -> str:
        beyond = charts.beyond_chance(self.model.ranking)
        of = self.model.ranking.height
        if not beyond:
            return f"None of {of} columns moved beyond chance."
        named = ", ".join(clean(name) for name in beyond[:4])
        return f"{len(beyond)} of {of} columns moved beyond chance, furthest {named}."

    def _said_column(self) -> str:
        row = self.model.ranking.filter(pl.col("column") == self.column).row(0, named=True)
        if row["psi"] is None:
            return f"{clean(self.column)}: not estimable, because {row['reason']}."
        null = (
            ""
            if row["psi_null_95"] is None
            else f"; chance alone stays below {row['psi_null_95']:.3f} in 95 % of cases"
        )
        return f"{clean(self.column)}: PSI {row['psi']:.3f}{null}. n {row['n_reference']:,} and {row['n_current']:,}."
