"""The rows that an audit is asked to look at, as a person reads them: text and card."""

from typing import Final

from fbkit.diagnose.audit_order import NextLabels
from fbkit.diagnose.words import NAMES
from fbkit.report.escape import html
from fbkit.report.style import CARD

_HEAD: Final = ("stratum", "decision", "score", "rows to audit", "out of", "expected positives", "audit_prob")
_BACK: Final = 'Write the answers into an outcomes file with source "audit" and audit_prob, and join again.'


def headline(found: NextLabels) -> str:
    """One sentence: how many rows, or why none."""
    if not found.rows.height:
        return f"Nothing to audit: {found.reason or 'no row of the current period lacks a label'}."
    return f"{found.rows.height:,} rows to audit, drawn at random within {found.strata.height} strata."


def worth(found: NextLabels) -> list[str]:
    """What the audit will be worth, and which blocked rows to let through."""
    said: list[str] = []
    if found.half_width is not None and found.expected_error is not None and found.rows.height:
        said.append(
            f"Expected interval of {NAMES.get(found.metric, found.metric)} after it: +- {found.half_width:.4f} at "
            f"{found.level:.0%}; the audit alone adds a standard error of {found.expected_error:.4f}."
        )
    said += [
        f"Let {row['let_through']:,} of {row['blocked']:,} blocked rows ({row['decision']}) through at random: "
        f"propensity {row['share']:.3f}."
        for row in found.exploration.iter_rows(named=True)
    ]
    return [*said, _BACK] if found.rows.height else said


def cells(found: NextLabels) -> list[list[str]]:
    """The strata, one line each."""
    return [
        [
            row["stratum"],
            f"{row['decision']}{', labelled' if row['labelled'] else ''}",
            f"{row['score_from']:.3f} to {row['score_to']:.3f}",
            f"{row['rows']:,}",
            f"{row['candidates']:,}",
            f"{row['expected_rate']:.1%}",
            f"{row['audit_prob']:.4f}",
        ]
        for row in found.strata.iter_rows(named=True)
    ]


def next_labels_text(found: NextLabels) -> str:
    """For a terminal: the headline, a line per stratum, what it is worth."""
    rows = [list(_HEAD), *cells(found)] if found.rows.height else []
    widths = [max(len(row[i]) for row in rows) for i in range(len(_HEAD))] if rows else []
    table = ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows]
    return "\n".join([headline(found), *table, *worth(found)])


def next_labels_html(found: NextLabels) -> str:
    """For a notebook."""
    head = "".join(f'<th scope="col">{html(name)}</th>' for name in _HEAD)
    body = "".join(f"<tr>{''.join(f'<td>{html(cell)}</td>' for cell in row)}</tr>" for row in cells(found))
    table = f'<div class="scroll"><table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table></div>'
    said = "".join(f"<li>{html(item)}</li>" for item in worth(found))
    return (
        f'<style>{CARD}</style><div class="fbkit-card" style="--mark:var(--soft)">'
        f'<p class="verdict">{html(headline(found))}</p>{table if found.rows.height else ""}<ul>{said}</ul></div>'
    )
