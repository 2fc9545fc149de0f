"""The receipt of one prediction as a card and as text; every value of a log is escaped here."""

from collections.abc import Iterable, Sequence
from typing import Any, Final

import polars as pl

from fbkit.join.receipt import DID, LABEL, SAW, Receipt, counted
from fbkit.report import numbers
from fbkit.report.escape import html, terminal
from fbkit.report.style import CARD
from fbkit.schema.rules import OUTCOME_FATE, PAIRED

# Okabe and Ito's palette: told apart by readers of every colour vision; the word stands beside the colour.
_COLOURS: Final = {
    "positive": "#0072b2",
    "negative": "#009e73",
    "labelled": "#0072b2",
    "pending": "#8c959f",
    "missing": "#e69f00",
    "censored": "#cc79a7",
}
_WORDS: Final = {name: name.replace("_", " ") for name in (*OUTCOME_FATE, *PAIRED)}
_HEADINGS: Final = {"ts_pred": "made", "ts_event": "happened", "ts_arrival": "learned", "statement": "#"}
_IDLE: Final = "#b6bdc5"
_MOST: Final = 12
_WIDEST: Final = 200

STYLE: Final = """
.fbkit-receipt .badge{display:inline-block;color:#fff;background:var(--state);border-radius:10px;padding:1px 10px;
font-size:13px;font-weight:600;vertical-align:2px;margin-left:8px}
.fbkit-receipt .scroll{overflow-x:auto}
.fbkit-receipt .two{align-items:start}
.fbkit-card.fbkit-receipt table{border-collapse:collapse;width:100%;margin:2px 0 0;font-size:13px;line-height:1.4;
font-variant-numeric:tabular-nums;background:transparent;color:var(--ink);border:0}
.fbkit-card.fbkit-receipt tr{background:transparent}
.fbkit-card.fbkit-receipt th,.fbkit-card.fbkit-receipt td{text-align:left;vertical-align:top;padding:3px 12px 3px 0;
border:0;border-bottom:1px solid var(--line);color:var(--ink);max-width:26rem;unicode-bidi:isolate;
overflow-wrap:break-word}
.fbkit-card.fbkit-receipt th{font-weight:600;font-size:12px;color:var(--soft)}
.fbkit-card.fbkit-receipt tr.other td{color:var(--soft)}
.fbkit-receipt dl{display:grid;grid-template-columns:max-content 1fr;gap:0 14px;margin:2px 0;font-size:13px}
.fbkit-card.fbkit-receipt dl dt{color:var(--soft);width:auto;float:none}
.fbkit-card.fbkit-receipt dl dd{margin:0;padding:0;width:auto;float:none;font-variant-numeric:tabular-nums}
.fbkit-receipt .line{display:grid;grid-template-columns:11.5rem 7rem 1fr;gap:10px;font-size:13px;padding:2px 0;
font-variant-numeric:tabular-nums}
.fbkit-receipt .line b{font-weight:600}
.fbkit-receipt .line b::before{content:"";display:inline-block;width:9px;height:9px;border-radius:50%;
background:var(--state);margin-right:7px}
.fbkit-receipt .line.later,.fbkit-receipt .none{color:var(--soft)}
@media (max-width:640px){.fbkit-receipt .line{grid-template-columns:1fr}}
"""


def receipt_html(receipt: Receipt) -> str:
    """The card: an HTML fragment with its own style, no script; what the log says is escaped."""
    state = _fact(receipt, LABEL, "state")
    colour = _COLOURS.get(state, _IDLE)
    parts = [
        f'<p class="verdict">{html(receipt.prediction_id, limit=_WIDEST)}<span class="badge">{html(state)}</span></p>',
        f'<p class="where">receipt, as known at {html(numbers.instant(receipt.as_of))}</p>',
        _tiles(receipt),
        '<div class="two">',
        _facts(receipt, SAW, "What the model saw"),
        f"<div>{_facts(receipt, DID, 'What was done')}{_features(receipt.features)}</div>",
        "</div>",
        _statements(receipt.statements),
        _rivals(receipt),
        _feedback(receipt.feedback),
        _timeline(receipt.timeline),
    ]
    mark = f"--mark:{colour};--state:{colour}"
    return f'<style>{CARD}{STYLE}</style><div class="fbkit-card fbkit-receipt" style="{mark}">{"".join(parts)}</div>'


def receipt_text(receipt: Receipt, *, mask: bool) -> str:
    """The receipt for a terminal or a message; ``mask`` shows personal values as hashes."""
    return "\n".join(terminal(line) for line in receipt.lines(mask=mask)) + "\n"


def _fact(receipt: Receipt, section: str, name: str) -> str:
    return next((value for group, key, value in receipt.facts if (group, key) == (section, name)), "none")


def _tiles(receipt: Receipt) -> str:
    def said(section: str, name: str) -> str:
        return _fact(receipt, section, name)

    threshold = said(SAW, "threshold")
    decided = {"yes": "flagged", "no": "not flagged"}.get(said(DID, "flagged"), "no decision")
    pairs = [
        (said(SAW, "score"), "score" if threshold == "none" else f"score, {decided} at threshold {threshold}"),
        (said(LABEL, "label"), f"label, {said(LABEL, 'rule').replace('_', ' ')}"),
        (said(LABEL, "arrival_lag"), "from prediction to label"),
        (said(LABEL, "n_rivals"), "rivals for its outcome"),
    ]
    tiles = "".join(f'<div class="tile"><b>{html(value)}</b><span>{html(name)}</span></div>' for value, name in pairs)
    return f'<div class="tiles">{tiles}</div>'


def _facts(receipt: Receipt, section: str, title: str) -> str:
    rows = "".join(
        f"<dt>{html(_HEADINGS.get(name, name.replace('_', ' ')))}</dt><dd>{html(value, limit=_WIDEST)}</dd>"
        for group, name, value in receipt.facts
        if group == section
    )
    return f"<div><h4>{html(title)}</h4><dl>{rows}</dl></div>" if rows else ""


def _features(frame: pl.DataFrame) -> str:
    if frame.is_empty():
        return ""
    names = [name for name in frame.columns if name in ("feature", "value") or frame[name].null_count() < frame.height]
    return f"<h4>Features as served</h4>{_table(names, frame.select(names).rows())}"


def _statements(frame: pl.DataFrame) -> str:
    title = f"What came back: {counted(frame.height, 'statement')}"
    if frame.is_empty():
        return f'<h4>{title}</h4><p class="none">nothing so far</p>'
    names = ["statement", "label", "source", "label_version", "ts_event", "ts_arrival", "rule", "fate", "why"]
    names += [name for name in frame.columns if name in ("outcome_id", "label_name", "amount", "audit_prob")]
    shown = [name for name in names if frame[name].null_count() < frame.height]
    rows = frame.head(_MOST)
    marks = ["" if fate == "used" else "other" for fate in rows["fate"]]
    return f"<h4>{title}</h4>{_table(shown, rows.select(shown).rows(), marks=marks)}{_rest(frame.height)}"


def _rivals(receipt: Receipt) -> str:
    frame = receipt.rivals
    if frame.is_empty():
        return ""
    names = ["statement", "prediction_id", "ts_pred", "fate", "why"]
    table = _table(names, frame.head(_MOST).select(names).rows())
    return f"<h4>Who else could have claimed it</h4>{table}{_rest(frame.height + receipt.unlisted, shown=frame.height)}"


def _feedback(frame: pl.DataFrame) -> str:
    names = [name for name in ("ts_feedback", "rating", "comment", "rater") if name in frame.columns]
    if frame.is_empty() or not names:
        return ""
    table = _table(names, frame.head(_MOST).select(names).rows())
    return f"<h4>What people said</h4>{table}{_rest(frame.height)}"


def _timeline(frame: pl.DataFrame) -> str:
    lines = "".join(_moment(row) for row in frame.iter_rows(named=True))
    return f"<h4>Its state over time</h4>{lines}"


def _moment(row: dict[str, Any]) -> str:
    colour = _COLOURS.get(row["state"] or "", "transparent")
    later = "" if row["state"] else " later"
    state = f"<b>{html(row['state'])}</b>" if row["state"] else "<span></span>"
    when = f"<span>{html(_cell(row['at']))}</span>"
    return f'<div class="line{later}" style="--state:{colour}">{when}{state}<span>{html(row["what"])}</span></div>'


def _rest(height: int, *, shown: int = _MOST) -> str:
    left = height - min(shown, _MOST)
    return f'<p class="none">and {left:,} more</p>' if left > 0 else ""


def _table(names: Sequence[str], rows: Iterable[Sequence[object]], *, marks: Sequence[str] = ()) -> str:
    head = "".join(f'<th scope="col">{html(_HEADINGS.get(name, name.replace("_", " ")))}</th>' for name in names)
    lines = []
    for number, row in enumerate(rows):
        mark = f' class="{marks[number]}"' if marks and marks[number] else ""
        lines.append(f"<tr{mark}>{''.join(f'<td>{html(_cell(value), limit=_WIDEST)}</td>' for value in row)}</tr>")
    body = "".join(lines)
    return f'<div class="scroll"><table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table></div>'


def _cell(value: object) -> str:
    if value is None:
        return "–"
    if hasattr(value, "isoformat") and hasattr(value, "hour"):
        return f"{value:%Y-%m-%d %H:%M} UTC"
    if isinstance(value, float):
        return f"{value:.6g}"
    return _WORDS.get(value, value) if isinstance(value, str) else str(value)
