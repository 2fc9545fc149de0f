"""The pictures of an incident document: evidence frame -> chart -> specification, SVG and PNG."""

import base64
import json
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

import polars as pl

from fbkit.report import numbers, sentences
from fbkit.report.document import Figure
from fbkit.schema.diagnosis import Diagnosis

SCALE: Final = 2.0
_THREADS: Final = 2

Frames = Mapping[str, pl.DataFrame]


@dataclass(frozen=True, slots=True, kw_only=True)
class Picture:
    """A drawn figure in every format; ``spec`` is Vega-Lite as JSON."""

    figure: Figure
    svg: bytes
    png: bytes
    spec: bytes = b""

    def image(self) -> tuple[str, int]:
        """For an image inside a single-file page: its address, and the width to show it at."""
        return address(self.png), width(self.png)

    def files(self) -> dict[str, bytes]:
        """The picture's files by name."""
        name = f"figures/{self.figure.key}"
        return {f"{name}.vl.json": self.spec, f"{name}.svg": self.svg, f"{name}.png": self.png}


def width(png: bytes) -> int:
    """The width to show a picture at, in pixels of 1/96 inch."""
    return round(int.from_bytes(png[16:20], "big") / SCALE)


def address(png: bytes) -> str:
    """The ``data:`` address of a picture inside a single-file page.

    In pixels: an SVG would be lettered in the fonts of the reader's machine, and what is wider there is cut off.
    """
    return "data:image/png;base64," + base64.b64encode(png).decode("ascii")


def draw(diagnosis: Diagnosis, frames: Frames) -> list[Picture]:
    """Every figure whose evidence frame has rows, in reading order; ``frames`` as they may be exported."""
    planned = [
        (figure, chart(frame, diagnosis, frames))
        for figure, chart in _plans(diagnosis)
        if (frame := frames.get(figure.key)) is not None and frame.height
    ]
    with ThreadPoolExecutor(_THREADS) as pool:
        return list(pool.map(lambda pair: _picture(*pair), planned))


Chart = Callable[[pl.DataFrame, Diagnosis, Frames], Any]


def _plans(diagnosis: Diagnosis) -> list[tuple[Figure, Chart]]:
    metric = diagnosis.metric
    return [
        (Figure(key="daily", title=f"{metric} by day of prediction", alt=_daily_alt(diagnosis)), _daily),
        (Figure(key="weekly", title=f"{metric} by week", alt=_weekly_alt(diagnosis)), _weekly),
        (Figure(key="ladder", title="The ladder of causes", alt=_ladder_alt(diagnosis)), _ladder),
        (
            Figure(key="availability_by_decision", title="Labels available by decision", alt=_decision_alt(diagnosis)),
            _by_decision,
        ),
    ]


def _daily(frame: pl.DataFrame, diagnosis: Diagnosis, frames: Frames) -> Any:
    from fbkit.charts.series import series_chart

    title = _headed(diagnosis.metric, "by day, with logged changes")
    return series_chart(frame, metric=diagnosis.metric, stage="any", title=title, changes=_marks(frames))


def _headed(metric: str, more: str) -> str:
    from fbkit.charts.text import metric_name

    name = metric_name(metric)
    return f"{name[:1].upper()}{name[1:]} {more}"


def _marks(frames: Frames) -> list[tuple[datetime, str]]:
    """What is drawn as a line: logged changes by their own words; the beginning is in the text beside it."""
    listed = frames.get("timeline")
    if listed is None or listed.is_empty():
        return []
    chosen = listed.filter((pl.col("source") == "logged") & pl.col("at").is_not_null())
    return [(at, what) for at, what in chosen.select("at", "what").iter_rows()]


def _weekly(frame: pl.DataFrame, diagnosis: Diagnosis, _: Frames) -> Any:
    from fbkit.charts.series import series_chart

    return series_chart(frame, metric=diagnosis.metric, stage="any", title=_headed(diagnosis.metric, "by week"))


def _ladder(frame: pl.DataFrame, diagnosis: Diagnosis, _: Frames) -> Any:
    from fbkit.charts.triage import ladder_chart

    return ladder_chart(frame, metric=diagnosis.metric)


def _by_decision(frame: pl.DataFrame, _: Diagnosis, __: Frames) -> Any:
    from fbkit.charts.availability import availability_by_chart

    return availability_by_chart(frame, group="decision")


def _picture(figure: Figure, chart: Any) -> Picture:
    import vl_convert

    from fbkit.charts.png import smaller
    from fbkit.charts.render import to_spec, to_svg

    spec = to_spec(chart)
    svg = to_svg(spec)
    # From the SVG, not from the specification once more: the same bytes in a third of the time.
    png = smaller(vl_convert.svg_to_png(svg, scale=SCALE))
    # In ASCII, so that no invisible character of a user's text stands in the file.
    text = json.dumps(spec, allow_nan=False, indent=1)
    return Picture(figure=figure, spec=text.encode(), svg=svg.encode(), png=png)


def _daily_alt(diagnosis: Diagnosis) -> str:
    drawn = f"{diagnosis.metric} by day of prediction with its interval, the logged changes as lines, and the share of"
    return f"{drawn} labels available beneath. {sentences.what_happened(diagnosis)}"


def _weekly_alt(diagnosis: Diagnosis) -> str:
    drawn = f"{diagnosis.metric} by week with its interval, and the share of labels available beneath."
    return f"{drawn} {sentences.what_happened(diagnosis)}"


def _ladder_alt(diagnosis: Diagnosis) -> str:
    total = numbers.change(diagnosis.observed.change, metric=diagnosis.metric)
    return f"Waterfall of the causes that add up to {total}. {sentences.why(diagnosis)}"


def _decision_alt(diagnosis: Diagnosis) -> str:
    asked = next((check.answer for check in diagnosis.checks if check.table == "availability_by_decision"), "")
    return f"Share of predictions with a label, flagged and not flagged, in both periods. {asked}".strip()
