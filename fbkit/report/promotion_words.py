"""A line of a promotion decision in words: what is held against the limit, in its unit."""

from collections.abc import Mapping
from typing import Any

from fbkit.measure.versioning.guard_lines import OVERALL
from fbkit.report import numbers


def plain_value(line: Mapping[str, Any], name: str) -> str:
    """A version's value, or a dash."""
    return "-" if line[name] is None else numbers.plain(line[name], places=3 if abs(line[name]) < 1 else None)


def measured(line: Mapping[str, Any]) -> str:
    """What is held against the limit, with its interval, in points for rates.

    >>> line = {"guard": "metric", "metric": "recall", "measured": 0.0532, "lower": 0.036, "upper": 0.07}
    >>> measured(line)
    'worse by 5.3 points [3.6, 7.0]'
    """
    value, lower, upper = line["measured"], line["lower"], line["upper"]
    if value is None:
        return "not estimable"
    if line["guard"] == "sample ratio":
        return f"p = {value:.2g}"
    rate = line["guard"] in ("metric", "proxy") and line["metric"] in numbers.RATES
    scale, places = (100, 1) if rate else (1, _places(value, lower, upper))
    unit = " points" if rate else " ms" if line["guard"] in ("latency", "added latency") else ""
    verb = {"metric": "worse by ", "proxy": "worse by ", "added latency": "adds "}.get(line["guard"], "")
    if verb == "worse by " and value < 0:
        verb, scale, lower, upper = "better by ", -scale, upper, lower
    ends = [f"{scale * end + 0.0:,.{places}f}" for end in (lower, upper) if end is not None]
    return f"{verb}{scale * value:,.{places}f}{unit}{f' [{ends[0]}, {ends[1]}]' if len(ends) == 2 else ''}"


def _places(*values: float | None) -> int:
    size = max((abs(value) for value in values if value is not None), default=1.0)
    return 1 if size >= 10 else 3 if size >= 0.1 else 5


def subject(line: Mapping[str, Any]) -> str:
    """Metric and slice of a line."""
    return str(line["metric"]) + ("" if line["slice"] == OVERALL else f" where {line['slice']}")


def said(line: Mapping[str, Any]) -> str:
    """A line of the table as a clause."""
    if line["guard"] == "sample ratio":
        return str(line["reason"])
    if line["measured"] is None:
        return f"{subject(line)} ({line['reason'] or 'not estimable'})"
    verb = "" if line["guard"] == "added latency" else "is "
    text = f"{subject(line)} {verb}{measured(line)}"
    if line["guard"] == "proxy":
        return f"{text}, and {line['reason']}"
    if line["guard"] != "metric":
        return f"{text}, {line['rule']} is allowed"
    limit = line["limit"]
    shown = f"{100 * limit:.1f}" if line["metric"] in numbers.RATES else numbers.plain(limit)
    return f"{text}, {shown} allowed"
