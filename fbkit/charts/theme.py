"""One look for every chart: calm, safe for colour-blind readers, readable on a white card in light and dark pages."""

import math
from collections.abc import Sequence
from typing import Any, Literal

import altair as alt

from fbkit.charts.text import clean, lines
from fbkit.schema.words import FAMILY_COLOURS

INK = "#24292f"
FAINT = "#57606a"
RULE = "#d0d7de"
GRID = "#eaeef2"
PAPER = "#ffffff"

# Okabe and Ito's palette (2008), which stays apart under the three common colour-vision deficiencies.
REFERENCE = "#6e7781"
CURRENT = "#0072b2"
OTHER = "#b6bdc5"
ROLE_NAMES = ("reference", "current")
ROLE_COLOURS = (REFERENCE, CURRENT)

# First the one that pictures are measured and drawn with; then such as are no wider, so that no label of an SVG is cut.
FONT = (
    "'fbkit Sans', 'DejaVu Sans Condensed', 'Segoe UI', 'Liberation Sans', Roboto, 'Helvetica Neue', Arial, sans-serif"
)
DATA_NAME = "rows"

# The same on dark paper: Okabe and Ito's sky blue for what is current, greys turned round, other colours as they are.
DARK = {
    INK: "#e6edf3",
    FAINT: "#9da7b1",
    RULE: "#4b535d",
    GRID: "#2a3037",
    PAPER: "#12161c",
    REFERENCE: "#7d8590",
    CURRENT: "#56b4e9",
    OTHER: "#656d76",
    FAMILY_COLOURS["total"]: "#c3ccd6",
}
_DARK_SCHEMES = {"cividis": {"name": "cividis", "extent": [0.25, 1.0]}}  # its first quarter is as dark as the paper
_COLOUR_KEYS = frozenset(("fill", "stroke", "background", "range", "value"))
WIDTH = 520

Row = dict[str, Any]

CONFIG: dict[str, Any] = {
    "background": PAPER,
    "padding": 14,
    "font": FONT,
    "view": {"stroke": None},
    "axis": {
        "domainColor": RULE,
        "grid": True,
        "gridColor": GRID,
        "labelColor": FAINT,
        "labelFontSize": 12,
        "labelLimit": 220,
        "tickColor": RULE,
        "titleColor": FAINT,
        "titleFontSize": 12,
        "titleFontWeight": "normal",
        "titlePadding": 8,
    },
    "axisBand": {"grid": False, "ticks": False},
    "header": {"labelColor": INK, "labelFontSize": 12, "title": None},
    "legend": {
        "labelColor": INK,
        "labelFontSize": 12,
        "orient": "top",
        "symbolOpacity": 1,
        "symbolSize": 90,
        "title": None,
        "offset": 6,
    },
    "title": {
        "anchor": "start",
        "color": INK,
        "fontSize": 15,
        "fontWeight": 600,
        "frame": "group",
        "offset": 12,
        "subtitleColor": FAINT,
        "subtitleFontSize": 12,
        "subtitlePadding": 5,
    },
    "text": {"color": INK, "fontSize": 12},
}


def config(*, dark: bool = False) -> dict[str, Any]:
    """The house look, for light or for dark pages."""
    return dark_spec(CONFIG) if dark else CONFIG


def dark_spec(spec: dict[str, Any]) -> dict[str, Any]:
    """A chart's specification (or a part of one) for dark pages: the house colours exchanged, all else as it is.

    Only what stands where a colour stands is exchanged: rows, titles and other texts of users never are.

    >>> dark_spec({"mark": {"type": "bar", "color": "#24292f"}, "title": "#24292f"})
    {'mark': {'type': 'bar', 'color': '#e6edf3'}, 'title': '#24292f'}
    """
    return {key: _dark(value, key) for key, value in spec.items()}


def _dark(node: Any, key: str) -> Any:
    if key in ("data", "datasets"):
        return node
    if isinstance(node, dict):
        return dark_spec(node)
    if isinstance(node, list):
        return [_dark(item, key) for item in node]
    if isinstance(node, str) and key == "scheme":
        return _DARK_SCHEMES.get(node, node)
    is_colour = isinstance(node, str) and (key in _COLOUR_KEYS or key.lower().endswith("color"))
    return DARK.get(node.lower(), node) if is_colour else node


def data(rows: Sequence[Row]) -> alt.InlineData:
    """The rows of a chart under the one name that a live view updates."""
    return alt.InlineData(values=plain(rows), name=DATA_NAME)


def plain(rows: Sequence[Row]) -> list[Row]:
    """The rows as JSON can carry them: what is not a finite number is absent."""
    return [{key: None if _not_finite(value) else value for key, value in row.items()} for row in rows]


def _not_finite(value: object) -> bool:
    return isinstance(value, float) and not math.isfinite(value)


def finish(
    chart: Any, *, title: str, subtitle: str, description: str | None = None, rows: Sequence[Row] | None = None
) -> Any:
    """Give a chart its headline, its small print (as-of, n, stage) and the house look.

    ``rows`` are put in last: Altair copies a chart, with all of its data, at every step of its making.
    """
    made = chart.copy(deep=False)
    made.title = alt.TitleParams(text=clean(title, limit=160), subtitle=lines(subtitle))
    made.description = clean(description or f"{title}. {subtitle}", limit=400)
    made.config = alt.Config(**CONFIG)
    if rows is not None:
        made.data = data(rows)
    return made


def apart(channel: Literal["x", "y", "color"]) -> alt.Resolve:
    """Every part of a chart with its own scale of a channel."""
    own: dict[str, Any] = {channel: "independent"}
    return alt.Resolve(scale=alt.ScaleResolveMap(**own))


def role_scale(present: Sequence[str] = ROLE_NAMES) -> alt.Scale:
    """Reference grey, current blue, everywhere."""
    colours = dict(zip(ROLE_NAMES, ROLE_COLOURS, strict=True)) | {"other": OTHER}
    return alt.Scale(domain=list(present), range=[colours[name] for name in present])


def tips(*pairs: tuple[str, str]) -> list[alt.Tooltip]:
    """Tooltips of prepared text columns: (column, what the reader sees)."""
    return [alt.Tooltip(field=column, type="nominal", title=title) for column, title in pairs]
