"""A chart as SVG, PNG, PDF or a plain specification: offline, and the same bytes for the same chart."""

import json
import re
from typing import Any

from fbkit.charts import fonts

VEGA_LITE = "6.4"
_COUNTED = re.compile(r'(id="|="url\(#)(clip|gradient_)(\d+)("|\))')


def to_spec(chart: Any, *, validate: bool = True) -> dict[str, Any]:
    """The Vega-Lite specification as a dictionary, without the names that Altair counts up from call to call."""
    spec: dict[str, Any] = chart.to_dict(validate=validate)
    renamed: dict[str, str] = {}
    _collect_view_names(spec, renamed)
    return _rename(spec, renamed) if renamed else spec


def to_json(chart: Any) -> str:
    """The specification as JSON that may stand inside an HTML script element."""
    text = json.dumps(to_spec(chart), ensure_ascii=False, allow_nan=False, separators=(",", ":"))
    for sign, escaped in (
        ("<", "\\u003c"),
        (">", "\\u003e"),
        ("&", "\\u0026"),
        ("\u2028", "\\u2028"),
        ("\u2029", "\\u2029"),
    ):
        text = text.replace(sign, escaped)
    return text


def to_svg(chart: Any) -> str:
    """The chart as SVG text. Accepts a chart or a specification."""
    import vl_convert

    fonts.register()
    svg = vl_convert.vegalite_to_svg(_spec_of(chart), vl_version=VEGA_LITE, allowed_base_urls=[])
    return _renumber(svg)


def _renumber(svg: str) -> str:
    """Vega counts the names of clips and gradients up over a process; count from zero in each picture."""
    numbers: dict[str, str] = {}

    def own(found: re.Match[str]) -> str:
        prefix, kind, number, end = found.groups()
        return f"{prefix}{kind}{numbers.setdefault(kind + number, str(len(numbers)))}{end}"

    return _COUNTED.sub(own, svg)


def to_png(chart: Any, *, scale: float = 2.0) -> bytes:
    """The chart as PNG; ``scale=2`` is sharp on dense screens and in documents."""
    import vl_convert

    fonts.register()
    return vl_convert.vegalite_to_png(_spec_of(chart), vl_version=VEGA_LITE, scale=scale, allowed_base_urls=[])


def to_pdf(chart: Any) -> bytes:
    """The chart as one PDF page of its own size, its texts as text. Not the same bytes from call to call."""
    import vl_convert

    fonts.register()
    return vl_convert.vegalite_to_pdf(_spec_of(chart), vl_version=VEGA_LITE, allowed_base_urls=[])


def _spec_of(chart: Any) -> dict[str, Any]:
    return chart if isinstance(chart, dict) else to_spec(chart)


def _collect_view_names(node: Any, renamed: dict[str, str]) -> None:
    if isinstance(node, dict):
        name = node.get("name")
        if isinstance(name, str) and name.startswith("view_") and name[5:].isdigit():
            renamed.setdefault(name, f"view_{len(renamed) + 1}")
        for key, value in node.items():
            if key != "datasets":
                _collect_view_names(value, renamed)
    elif isinstance(node, list):
        for value in node:
            _collect_view_names(value, renamed)


def _rename(node: Any, renamed: dict[str, str]) -> Any:
    if isinstance(node, dict):
        return {key: value if key == "datasets" else _rename(value, renamed) for key, value in node.items()}
    if isinstance(node, list):
        return [_rename(value, renamed) for value in node]
    return renamed.get(node, node) if isinstance(node, str) else node
