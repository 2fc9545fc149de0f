"""One chart as a file of its own (PNG, SVG, PDF, HTML, Vega-Lite JSON), or as picture and table to paste."""

import json
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any, Final, NamedTuple

import polars as pl

from fbkit.charts import fonts, render
from fbkit.charts.people import markdown_table, table_cells
from fbkit.charts.png import smaller
from fbkit.charts.text import clean, count_text, instant_text, lines, stage_name
from fbkit.errors import ArgumentError
from fbkit.schema import escape
from fbkit.schema.files import write_file

__all__ = ["Copied", "copy_chart", "export_chart", "footnote_text", "labelled", "markdown_table", "table_cells"]

# No network, no script, no form: the page is a picture with its words.
POLICY: Final = "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'"
_STYLE: Final = (
    ":root{color-scheme:light dark}body{margin:24px;font:14px/1.5 system-ui,'Segoe UI',sans-serif}"
    "figure{margin:0}svg{max-width:100%;height:auto;padding:0 10px;border-radius:6px;background:#fff;overflow:visible}"
)
_SCALE: Final = 2.0


class Copied(NamedTuple):
    """A chart to paste: the picture (PNG, twice as sharp as its size) and the numbers (a Markdown table)."""

    png: bytes
    markdown: str


def export_chart(
    chart: Any, path: str | Path, *, title: str | None = None, as_of: datetime | None = None, footnote: str = ""
) -> Path:
    """Write one chart to a file; its ending says which: .png (2x), .svg, .pdf, .html or .json (Vega-Lite).

    Parameters
    ----------
    chart
        An Altair chart, or its Vega-Lite specification as a dictionary.
    path
        The file. It appears whole or not at all; an older one is replaced.
    title
        In place of the chart's own.
    as_of, footnote
        Further small print under the title: when it was known, and, for example from :func:`footnote_text`, how
        many predictions it is about, what was left out and at which stage. What the chart says already stays once.

    Every format but PDF has the same bytes for the same chart. The HTML file holds the picture and no script, and
    asks the network for nothing. Characters that no font on this machine has are warned of
    (:class:`fbkit.charts.fonts.MissingGlyphWarning`).

    Raises
    ------
    ArgumentError
        The ending is unknown, or it is no chart.
    OutputError
        The file cannot be written; what stood there before is untouched.
    """
    target = Path(path)
    make = _WRITERS.get(target.suffix.lower())
    if make is None:
        raise ArgumentError(
            "a chart is not written in this format",
            got=target.name,
            allowed=", ".join(_WRITERS),
            next_step="end the name with one of these, for example chart.png",
        )
    spec = labelled(chart, title=title, as_of=as_of, footnote=footnote)
    svg = "" if make is _json else render.to_svg(spec)
    fonts.warn_missing(fonts.texts_of(svg))
    return write_file(target, make(spec, svg))


def copy_chart(chart: Any, frame: pl.DataFrame, columns: Sequence[str] | Mapping[str, str] | None = None) -> Copied:
    """A chart and the result frame behind it, ready for Slack, Confluence or Google Docs."""
    return Copied(png=_png(labelled(chart)), markdown=markdown_table(frame, columns))


def footnote_text(*, n: int | None = None, dropped: int | None = None, stage: str | None = None) -> str:
    """What numbers are about, in one line.

    >>> footnote_text(n=12345, dropped=321, stage="final")
    'n = 12,345 predictions, 321 left out, final labels'
    """
    parts = [
        f"n = {count_text(n)} predictions" if n is not None else "",
        f"{count_text(dropped)} left out" if dropped is not None else "",
        stage_name(stage) if stage is not None else "",
    ]
    return ", ".join(part for part in parts if part)


def labelled(
    chart: Any, *, title: str | None = None, as_of: datetime | None = None, footnote: str = ""
) -> dict[str, Any]:
    """The chart's specification with this title and this small print added to its own."""
    spec = dict(_spec(chart))
    known = spec.get("title") or {}
    told: dict[str, Any] = dict(known) if isinstance(known, Mapping) else {"text": known}
    own = told.get("subtitle") or []
    print_lines = [own] if isinstance(own, str) else list(own)
    said = " ".join(map(str, print_lines))
    notes = ["" if as_of is None else f"as of {instant_text(as_of)}", clean(footnote, limit=300) if footnote else ""]
    missing = [note for note in notes if note and note not in said]
    if missing:
        print_lines += lines(", ".join(missing))
    if title is not None:
        told["text"] = clean(title, limit=160)
    if title is not None or missing:
        spec["description"] = clean(f"{_one_line(told)}. {' '.join(map(str, print_lines))}", limit=400)
    if told.get("text") or print_lines:
        spec["title"] = {"text": "", **told, **({"subtitle": print_lines} if print_lines else {})}
    return spec


def _spec(chart: Any) -> Mapping[str, Any]:
    if isinstance(chart, Mapping):
        spec = chart
    elif callable(getattr(chart, "to_dict", None)) and hasattr(chart, "properties"):
        spec = render.to_spec(chart)
    else:
        spec = {}
    if not any(key in spec for key in ("mark", "layer", "concat", "hconcat", "vconcat", "spec")):
        raise ArgumentError(
            "this is not a chart",
            got=type(chart).__name__,
            allowed="an Altair chart, or a Vega-Lite specification as a dictionary",
            next_step="hand in what a function of fbkit.charts returns, or explorer.chart()",
        )
    return spec


def _png(spec: Mapping[str, Any], _: str = "") -> bytes:
    return smaller(render.to_png(dict(spec), scale=_SCALE))


def _svg(_: Mapping[str, Any], svg: str) -> bytes:
    return svg.encode()


def _pdf(spec: Mapping[str, Any], _: str) -> bytes:
    return render.to_pdf(dict(spec))


def _json(spec: Mapping[str, Any], _: str) -> bytes:
    return (json.dumps(spec, ensure_ascii=False, allow_nan=False, indent=1) + "\n").encode("utf-8", "replace")


def _html(spec: Mapping[str, Any], svg: str) -> bytes:
    title = escape.html(_one_line(spec.get("title")), limit=200)
    said = escape.html(spec.get("description") or _one_line(spec.get("title")))
    picture = svg.replace("<svg ", f'<svg role="img" aria-label="{said}" ', 1)
    return (
        '<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        f'<meta http-equiv="Content-Security-Policy" content="{POLICY}">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f"<title>{title}</title>\n<style>{_STYLE}</style>\n</head>\n<body>\n"
        f"<figure>{picture}</figure>\n</body>\n</html>\n"
    ).encode()


def _one_line(title: Any) -> str:
    text = title.get("text", "") if isinstance(title, Mapping) else title
    return " ".join(map(str, text)) if isinstance(text, list) else str(text or "chart")


_WRITERS: Final[dict[str, Callable[[Mapping[str, Any], str], bytes]]] = {
    ".png": _png,
    ".svg": _svg,
    ".pdf": _pdf,
    ".html": _html,
    ".json": _json,
}
