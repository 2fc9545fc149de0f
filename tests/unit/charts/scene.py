"""What a chart draws, read from Vega's scene graph: the picture itself is the oracle, not the specification."""

from typing import Any

import vl_convert

from fbkit.charts.render import VEGA_LITE, to_spec


def items(chart: Any, kind: str | None = None) -> list[dict[str, Any]]:
    """All drawn items, of one mark type if asked, with the mark's type under ``marktype``."""
    graph = vl_convert.vegalite_to_scenegraph(to_spec(chart), vl_version=VEGA_LITE)
    found: list[dict[str, Any]] = []
    _walk(graph["scenegraph"], None, found)
    return [item for item in found if kind is None or item["marktype"] == kind]


def texts(chart: Any) -> list[str]:
    """All texts in the picture."""
    return [str(item["text"]) for item in items(chart, "text") if item.get("text") not in (None, "")]


def _walk(node: Any, kind: str | None, found: list[dict[str, Any]]) -> None:
    if isinstance(node, list):
        for child in node:
            _walk(child, kind, found)
    elif isinstance(node, dict):
        own = node.get("marktype", kind)
        if "marktype" not in node and own not in (None, "group"):
            found.append({**node, "marktype": own})
        for child in node.get("items", []) or []:
            _walk(child, own, found)
