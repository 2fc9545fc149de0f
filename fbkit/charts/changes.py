"""The change log on a time axis: a rule and a letter where something was deployed, defined anew, or went wrong."""

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from itertools import pairwise
from typing import Any, Final, Literal

import altair as alt
import polars as pl

from fbkit.charts import theme
from fbkit.charts.text import clean, epoch_ms, instant_text
from fbkit.schema.period import parse_instant

KINDS: Final = {"deploy": "D", "feature": "F", "label": "L", "product": "P", "incident": "!"}
OTHER_KIND: Final = "•"
ALARM: Final = "#d55e00"
KEY: Final = "D deploy, F feature, L label, P product, ! incident"

_SLOT: Final = 17
_LETTER: Final = 6.2
_TOLD: Final = 4
_LABEL: Final = 34

Changes = pl.DataFrame | Sequence[Mapping[str, Any] | tuple[datetime, str]] | None


def change_rows(
    changes: Changes, *, start: datetime | None = None, end: datetime | None = None, width: int = theme.WIDTH
) -> list[theme.Row]:
    """Rows of :func:`changes_layer` (``part`` is "change"), in order of time.

    ``changes`` is a change log (ts, kind, what), mappings with these keys, or pairs of time and text. Those outside
    [start, end] are left out; those that would overlap on an axis of ``width`` pixels become one with their number.
    """
    told = sorted(_entries(changes), key=lambda item: (item[0], item[1], item[2]))
    inside = [item for item in told if (start is None or item[0] >= start) and (end is None or item[0] <= end)]
    if not inside:
        return []
    first, last = start or inside[0][0], end or inside[-1][0]
    pixel = max((last - first).total_seconds(), 1.0) / max(width, 1)
    groups: list[list[tuple[datetime, str, str]]] = []
    for item in inside:
        if groups and (item[0] - groups[-1][0][0]).total_seconds() < _SLOT * pixel:
            groups[-1].append(item)
        else:
            groups.append([item])
    starts = [group[0][0] for group in groups] + [last]
    rooms = [(after - before).total_seconds() / pixel - _SLOT for before, after in pairwise(starts)]
    return [_row(group, room=room) for group, room in zip(groups, rooms, strict=True)]


def _entries(changes: Changes) -> Iterable[tuple[datetime, str, str]]:
    if changes is None:
        return
    given: Any = changes.to_dicts() if isinstance(changes, pl.DataFrame) else changes
    for item in given:
        if isinstance(item, tuple):
            yield item[0], "", clean(item[1], limit=160)
        elif item.get("ts") is not None:
            kind = clean(item.get("kind") or "change", limit=24)
            yield parse_instant(item["ts"]), kind, clean(item.get("what") or kind, limit=160)


def _row(group: Sequence[tuple[datetime, str, str]], *, room: float) -> theme.Row:
    when, kind, what = group[0]
    several = len(group) > 1
    lines = [f"{instant_text(at)}: {f'{sort}, ' if sort else ''}{text}" for at, sort, text in group[:_TOLD]]
    if len(group) > _TOLD:
        lines.append(f"and {len(group) - _TOLD} more")
    label = clean(f"{len(group)} changes" if several else what, limit=_LABEL)
    return {
        "part": "change",
        "at": epoch_ms(when),
        "letter": str(min(len(group), 99)) if several else KINDS.get(kind, OTHER_KIND),
        "alarm": any(sort == "incident" for _, sort, _ in group),
        # Text that would run into the next change stays in the tooltip.
        "said_label": label if len(label) * _LETTER <= room else "",
        "said_change": "; ".join(lines),
    }


def changes_layer(
    *, axis: Literal["x", "y"] = "x", labels: bool = True, badges: bool = True, width: int = theme.WIDTH
) -> list[alt.Chart]:
    """Layers for a chart whose time axis is ``axis``: rules, and above or right of them a badge with its letter.

    The data set holds :func:`change_rows` among its rows. Tooltips tell the text; ``labels`` writes it where there is
    room (along a horizontal axis), ``badges=False`` leaves bare rules for panels below the first. ``width`` is the
    chart's, for a vertical axis.
    """
    drawn = alt.Chart().transform_filter("datum.part === 'change'")
    scale = alt.Scale(type="utc")
    place: dict[str, Any] = {"x": alt.X("at:T", scale=scale)} if axis == "x" else {"y": alt.Y("at:T", scale=scale)}
    across: dict[str, Any] = {"y": alt.value(-10)} if axis == "x" else {"x": alt.value(width + 12)}
    tooltip = theme.tips(("said_change", "change"))
    colour = alt.condition("datum.alarm", alt.value(ALARM), alt.value(theme.INK))
    rule = drawn.mark_rule(strokeDash=[4, 3], strokeWidth=1.2, opacity=0.8).encode(
        **place, color=colour, tooltip=tooltip
    )
    if not badges:
        return [rule]
    badge = drawn.mark_point(shape="circle", size=210, filled=True, opacity=1).encode(
        **place, **across, color=colour, tooltip=tooltip
    )
    letter = drawn.mark_text(fontSize=10, fontWeight=700, color=theme.PAPER).encode(
        **place, **across, text="letter:N", tooltip=tooltip
    )
    if not labels or axis == "y":
        return [rule, badge, letter]
    named = drawn.mark_text(align="left", baseline="middle", dx=10, fontSize=10, color=theme.FAINT)
    return [rule, badge, letter, named.encode(**place, **across, text="said_label:N")]
