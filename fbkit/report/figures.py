"""The pictures of an incident document: evidence frame -> chart -> SVG and PNG."""

import base64
from collections.abc import Mapping
from dataclasses import dataclass

import polars as pl

from fbkit.report import numbers, sentences
from fbkit.report.document import Figure
from fbkit.schema.diagnosis import Diagnosis

SCALE = 2.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Picture:
    """A drawn figure in both formats."""

    figure: Figure
    svg: bytes
    png: bytes

    def image(self) -> tuple[str, int]:
        """For an image inside a single-file page: the ``data:`` address, and the width to show it at.

        In pixels: an SVG would be lettered in the fonts of the reader's machine, and what is wider there is cut off.
        """
        width = int.from_bytes(self.png[16:20], "big")
        return "data:image/png;base64," + base64.b64encode(self.png).decode("ascii"), round(width / SCALE)


def draw(diagnosis: Diagnosis, frames: Mapping[str, pl.DataFrame]) -> list[Picture]:
    """Every figure whose evidence frame has rows, in reading order."""
    from fbkit.charts.series import series_chart
    from fbkit.charts.triage import ladder_chart

    metric = diagnosis.metric
    drawn = []
    weekly, ladder = frames.get("weekly"), frames.get("ladder")
    if weekly is not None and weekly.height:
        figure = Figure(key="weekly", title=f"{metric} by week", alt=_weekly_alt(diagnosis))
        drawn.append(_picture(figure, series_chart(weekly, metric=metric, stage="any")))
    if ladder is not None and ladder.height:
        figure = Figure(key="ladder", title="The ladder of causes", alt=_ladder_alt(diagnosis))
        drawn.append(_picture(figure, ladder_chart(ladder, metric=metric)))
    return drawn


def _picture(figure: Figure, chart: object) -> Picture:
    from fbkit.charts.render import to_png, to_spec, to_svg

    spec = to_spec(chart)
    return Picture(figure=figure, svg=to_svg(spec).encode(), png=to_png(spec, scale=SCALE))


def _weekly_alt(diagnosis: Diagnosis) -> str:
    drawn = f"{diagnosis.metric} by week with its interval, and the share of labels available beneath."
    return f"{drawn} {sentences.what_happened(diagnosis)}"


def _ladder_alt(diagnosis: Diagnosis) -> str:
    total = numbers.change(diagnosis.observed.change, metric=diagnosis.metric)
    return f"Waterfall of the causes that add up to {total}. {sentences.why(diagnosis)}"
