"""The verdict at a glance: a card for the notebook and the head of a document, and the same for a terminal."""

import textwrap
from collections.abc import Iterable, Mapping, Sequence
from typing import Final

import polars as pl

from fbkit.report import numbers, sentences, words
from fbkit.report.escape import html, terminal
from fbkit.report.notes import told
from fbkit.report.style import CARD
from fbkit.schema.diagnosis import Check, Contribution, Diagnosis

_BAR: Final = 12


def card_html(diagnosis: Diagnosis, *, full: bool = True, style: bool = True) -> str:
    """The card as an HTML fragment: static, escaped, with its own style, no script.

    Parameters
    ----------
    full
        With ladder, checks and actions (notebook); without them only verdict and figures (head of a document).
    style
        Put the style sheet in front; a page that has it already leaves it out.
    """
    parts = [f'<p class="verdict">{html(sentences.verdict(diagnosis))}</p>']
    parts += [f'<p class="where">{html(sentences.question(diagnosis))}</p>'] if full else []
    parts += [f'<p class="headline">{html(diagnosis.headline)}</p>']
    parts += [f'<p class="headline">Warning: {html(item)}</p>' for item in diagnosis.warnings]
    parts += [_tiles(tiles_of(diagnosis))]
    if full:
        parts += [
            _rungs(diagnosis),
            _checks(diagnosis.checks),
            _actions(diagnosis),
            _notes(diagnosis),
            _foot(diagnosis),
        ]
    sheet = f"<style>{CARD}</style>" if style else ""
    colour = words.FAMILY_COLOURS.get(diagnosis.top_family, words.FAMILY_COLOURS["unexplained"])
    return f'{sheet}<div class="fbkit-card" style="--mark:{colour}">{"".join(parts)}</div>'


def _tiles(pairs: Iterable[tuple[str, str]]) -> str:
    tiles = "".join(f'<div class="tile"><b>{html(value)}</b><span>{html(name)}</span></div>' for name, value in pairs)
    return f'<div class="tiles">{tiles}</div>'


def tiles_of(diagnosis: Diagnosis) -> list[tuple[str, str]]:
    """The four figures to look at first, as (name, value)."""
    observed, true, metric = diagnosis.observed, diagnosis.true_change, diagnosis.metric
    arrow = f"{numbers.plain(observed.reference)} → {numbers.plain(observed.current)}"
    change = numbers.change_interval(observed.change, observed.lower, observed.upper, metric=metric)
    tiles = [
        (f"observed {metric}: {change}", arrow),
        ("change once labels are repaired", numbers.change_interval(true.value, true.lower, true.upper, metric=metric)),
    ]
    shares = availability(diagnosis.evidence.get("availability_by_decision"))
    if shares:
        tiles.append(
            ("labels available", " → ".join(numbers.share(shares.get(window)) for window in ("reference", "current")))
        )
    if diagnosis.decidable_at is not None:
        tiles.append(("decidable", numbers.instant(diagnosis.decidable_at)))
    return tiles


def availability(frame: pl.DataFrame | None) -> dict[str, float]:
    """Share of predictions with a label per window, from the evidence by decision."""
    if frame is None or frame.is_empty():
        return {}
    parts = frame.filter(pl.col("decision").cast(pl.String) != "all")
    sums = (
        (parts if parts.height else frame)
        .group_by(pl.col("window").cast(pl.String), maintain_order=True)
        .agg(pl.col("n", "n_labelled").sum())
    )
    return {window: labelled / n for window, n, labelled in sums.select("window", "n", "n_labelled").iter_rows() if n}


def _rungs(diagnosis: Diagnosis) -> str:
    items = sentences.by_size(diagnosis)
    known = [numbers.finite(number) for item in items for number in (item.value, item.lower, item.upper)]
    ends = [number for number in known if number is not None]
    axis = (min([0.0, *ends]), max([0.0, *ends]))
    rows = "".join(_rung(item, metric=diagnosis.metric, axis=axis) for item in items)
    return f"<h4>What the change is made of (adds up exactly)</h4>{rows}"


def _rung(item: Contribution, *, metric: str, axis: tuple[float, float]) -> str:
    colour = words.FAMILY_COLOURS.get(item.family, words.FAMILY_COLOURS["unexplained"])
    amount = numbers.change_interval(item.value, item.lower, item.upper, metric=metric)
    value, lower, upper = (numbers.finite(number) for number in (item.value, item.lower, item.upper))
    bars = _span("s", 0.0, 0.0, axis=axis, more="width:1px")
    if value is not None:
        faint = "" if item.material else ";opacity:.45"
        bars += _span("i", 0.0, value, axis=axis, more=f"background:{colour}{faint}")
    if value is not None and lower is not None and upper is not None:
        bars += _span("u", lower, upper, axis=axis)
    state = "" if item.material else " idle"
    return (
        f'<div class="rung{state}"><div>{html(words.cause(item.cause))}<small>{html(_note(item))}</small></div>'
        f'<div class="track">{bars}</div><div>{html(amount)}</div></div>'
    )


def _span(tag: str, start: float, end: float, *, axis: tuple[float, float], more: str = "") -> str:
    low, high = sorted((start, end))
    length = (axis[1] - axis[0]) or 1.0
    left, width = 100 * (low - axis[0]) / length, 100 * (high - low) / length
    return f'<{tag} style="left:{left:.2f}%;width:{width:.2f}%;{more}"></{tag}>'


def _checks(checks: Sequence[Check]) -> str:
    items = "".join(f"<li><b>{html(check.question)}</b> {html(check.answer)}</li>" for check in checks)
    return f"<h4>The checks</h4><ol>{items}</ol>" if items else ""


def _actions(diagnosis: Diagnosis) -> str:
    first = "".join(
        _list(heading, items) for heading, items in (("Do now", diagnosis.do_now), ("Do not", diagnosis.do_not))
    )
    return f'<div class="two">{first}</div>{_list("What would change this verdict", diagnosis.would_change_verdict)}'


def _notes(diagnosis: Diagnosis) -> str:
    return _list("Notes", [told(note, diagnosis) for note in diagnosis.notes])


def _list(heading: str, items: Sequence[str]) -> str:
    lines = "".join(f"<li>{html(item)}</li>" for item in items)
    return f"<div><h4>{html(heading)}</h4><ul>{lines}</ul></div>" if lines else ""


def _foot(diagnosis: Diagnosis) -> str:
    through = ", ".join(f"{words.column(name)} through {when}" for name, when in diagnosis.data_through.items() if when)
    facts = [through, f"evaluation {diagnosis.evaluation_id[:12]}", f"{diagnosis.seconds:.1f} s"]
    return f'<p class="foot">{html(" · ".join(fact for fact in facts if fact))}</p>'


def card_text(diagnosis: Diagnosis, *, width: int = 100) -> str:
    """The card for a terminal: plain text, wrapped at ``width``; no escape sequence of a user's text gets through."""
    unit = "points" if diagnosis.metric in numbers.RATES else f"in units of {_clean(diagnosis.metric)}"
    said = sentences.verdict(diagnosis)
    lines = [
        f"VERDICT: {_clean(diagnosis.verdict).upper()} ({said[:1].lower()}{said[1:]})",
        *_wrapped(sentences.question(diagnosis), width=width),
        *_wrapped(diagnosis.headline, width=width),
        *(line for item in diagnosis.warnings for line in _wrapped(f"Warning: {item}", width=width)),
        "",
    ]
    tiles = tiles_of(diagnosis)
    first = max(len(value) for _, value in tiles)
    lines += [f"  {_clean(value):<{first}}  {_clean(name)}" for name, value in tiles]
    lines += ["", f"What the change is made of ({unit}, adds up exactly)", *_text_rungs(diagnosis)]
    if diagnosis.checks:
        lines += ["", "The checks"]
    for number, check in enumerate(diagnosis.checks, start=1):
        lines += _wrapped(f"{number}. {check.question}", width=width, indent="  ")
        lines += _wrapped(check.answer, width=width, indent="     ")
    for heading, items in (
        ("What would change this verdict", diagnosis.would_change_verdict),
        ("Do now", diagnosis.do_now),
        ("Do not", diagnosis.do_not),
        ("Notes", [told(note, diagnosis) for note in diagnosis.notes]),
    ):
        if items:
            lines += ["", heading]
            for item in items:
                lines += _wrapped(item, width=width, indent="  - ")
    return "\n".join(lines) + "\n"


def _text_rungs(diagnosis: Diagnosis) -> list[str]:
    items, metric = sentences.by_size(diagnosis), diagnosis.metric
    scale = max((abs(item.value or 0.0) for item in items), default=0.0) or 1.0
    rows = [
        (_cell(words.cause(item.cause)), _amount(item, metric), _bar(item.value, scale=scale), _cell(_note(item)))
        for item in items
    ]
    widths = [max((len(row[i]) for row in rows), default=0) for i in range(3)]
    lines = []
    for row in rows:
        columns = "  ".join(text.ljust(size) for text, size in zip(row, widths, strict=False))
        lines.append(f"  {columns}  {row[3]}")
    return lines


def _cell(text: str) -> str:
    return terminal(text, limit=60)


def _amount(item: Contribution, metric: str) -> str:
    return numbers.change_interval(item.value, item.lower, item.upper, metric=metric, unit=False)


def _note(item: Contribution) -> str:
    place = "" if item.where == "everywhere" else item.where
    return ", ".join(text for text in (place, item.strength if item.material else "not material") if text)


def _bar(value: float | None, *, scale: float) -> str:
    if numbers.finite(value) is None or value is None:
        return "?"
    eighths = round(8 * _BAR * abs(value) / scale)
    return "█" * (eighths // 8) + ("", "▏", "▎", "▍", "▌", "▋", "▊", "▉")[eighths % 8]


def _wrapped(text: str, *, width: int, indent: str = "") -> list[str]:
    return textwrap.wrap(_clean(text), width=width, initial_indent=indent, subsequent_indent=" " * len(indent)) or [
        indent.rstrip()
    ]


def _clean(text: object) -> str:
    return terminal(text, limit=2000)


def loop_html(
    title: str, facts: Mapping[str, object], *, missing: Sequence[str] = (), warnings: Sequence[str] = ()
) -> str:
    """The card of a loop or of a joined table: ``facts`` as tiles in their order, then warnings and what is missing."""
    listed = ""
    for heading, said in (("Warnings", warnings), ("Not logged, or assumed", missing)):
        lines = "".join(f"<li>{html(item)}</li>" for item in said)
        listed += f"<h4>{heading}</h4><ul>{lines}</ul>" if lines else ""
    body = f'<p class="verdict">{html(title)}</p>{_tiles((name, str(value)) for name, value in facts.items())}{listed}'
    return f'<style>{CARD}</style><div class="fbkit-card" style="--mark:{words.FAMILY_COLOURS["total"]}">{body}</div>'


def loop_text(
    title: str, facts: Mapping[str, object], *, missing: Sequence[str] = (), warnings: Sequence[str] = ()
) -> str:
    """The same card for a terminal."""
    first = max((len(_clean(name)) for name in facts), default=0)
    lines = [_clean(title), *(f"  {_clean(name):<{first}}  {_clean(value)}" for name, value in facts.items())]
    for heading, said in (("warnings", warnings), ("not logged, or assumed", missing)):
        lines += [f"  {heading}:", *(f"    - {_clean(item)}" for item in said)] if said else []
    return "\n".join(lines) + "\n"
