"""What the slices explorer says in words: headline, small print, and one sentence of what moved most."""

from typing import Any

import polars as pl

from fbkit.charts.text import change_text, clean, count_text, metric_name, stage_name, value_text
from fbkit.explorers import model
from fbkit.explorers.state import View
from fbkit.measure.slice_changes import SliceTable


def table_texts(
    table: SliceTable, order: list[int], view: View, *, stage: str, sort: str, hidden: str, said: str
) -> dict[str, str]:
    """Headline, small print's own part and summary of the picture of both periods."""
    name = metric_name(view.metric)
    title = name[:1].upper() + name[1:]
    decided = f", if flagged at score ≥ {view.threshold:.4g}" if view.threshold is not None else ""
    then, now = table.records([])
    moved = _moved(then, now, metric=view.metric)
    most = _most(table, order, sort=sort)
    return {
        "headline": f"{title}{f' by {clean(view.by)}' if view.by else ''}{decided}",
        "counts": f"n {count_text(then['n'])} and {count_text(now['n'])}",
        "summary": f"{title}{decided}: {moved}, {stage_name(stage)}.{most}{hidden}{said}",
    }


def _moved(then: dict[str, Any], now: dict[str, Any], *, metric: str) -> str:
    before, after = (value_text(line["value"], metric=metric) for line in (then, now))
    moved = None if then["value"] is None or now["value"] is None else now["value"] - then["value"]
    change = "" if moved is None else f" ({change_text(moved, metric=metric)})"
    return f"{before} in the reference, {after} now{change}"


def _most(table: SliceTable, order: list[int], *, sort: str) -> str:
    """The slice that comes first, where the order is about the change."""
    if not order or sort not in ("contribution", "drop"):
        return ""
    lines = {line["role"]: line for line in table.records(order[:1], whole=False)}
    now, then = lines.get("current", {}), lines.get("reference", {})
    name = clean(table.slices[order[0]])
    added = now.get("contribution", then.get("contribution"))
    if sort == "contribution" and added is not None and added * table.change > 0:
        rate, mix = (now or then)["rate_effect"], (now or then)["mix_effect"]
        why = "by its own rate" if abs(rate) >= abs(mix) else "by its share of the rows"
        return f" Largest part: {name} ({change_text(added, metric=table.metric)}, mainly {why})."
    if then.get("value") is None or now.get("value") is None or now["value"] >= then["value"]:
        return ""
    return f" Furthest down: {name} ({change_text(now['value'] - then['value'], metric=table.metric)})."


def unshown(hidden: int, *, minimum: int, shown: int) -> str:
    """How many slices are not in the picture."""
    if not hidden:
        return ""
    several = f"{hidden} slices are" if hidden > 1 else "One slice is"
    return f" {several} not shown (fewer than {minimum} predictions, or past the first {shown})."


def spans(view: View) -> str:
    """Both periods as people say them."""
    return f"{model.span_text(view.reference)} against {model.span_text(view.now)}"


def week_texts(slots: int, view: View, *, stage: str, hidden: str) -> dict[str, str]:
    """Headline and summary of the small multiples."""
    name = metric_name(view.metric)
    title = f"{name[:1].upper()}{name[1:]}{f' by {clean(view.by)}' if view.by else ''}, week by week"
    return {"headline": title, "summary": f"{title}, {slots} in all, {stage_name(stage)}.{hidden}"}


def search_texts(frame: pl.DataFrame, view: View) -> dict[str, str]:
    """Headline and summary of the wide search, also before it was asked for."""
    name = metric_name(view.metric)
    if frame.is_empty():
        said = "Press Search: every conjunction of up to three conditions is tried, and all are tested together."
        return {"headline": f"Which slices does the change of {name} come from?", "summary": said}
    standing = frame.filter(pl.col("stands_out"))
    tested = f"{frame['n_tested'][0]:,} tested"
    headline = f"Slices behind the change of {name}"
    if standing.is_empty():
        return {"headline": headline, "summary": f"No slice stands out among {tested}."}
    first = standing.row(0, named=True)
    added = change_text(first["contribution"], metric=view.metric)
    where = clean(first["slice"], limit=120)
    return {"headline": headline, "summary": f"{standing.height} of {tested} stand out, first {where} ({added})."}
