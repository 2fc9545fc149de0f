"""What stands behind the numbers of a page: each number of a sentence leads to the cell it was written from."""

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import polars as pl

from fbkit.report.escape import html
from fbkit.report.numbers import digits10

_COLUMNS: Final = {"number": ' class="n"', "exactly": ' class="n"', "file": "", "row": "", "column": ""}
_NEEDED: Final = frozenset({"sentence", "number", "position", "frame", "row", "column", "value"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Proof:
    """One number of one sentence, and its cell: frame, row (column -> value, as text), column, value."""

    anchor: str
    number: str
    position: int
    frame: str
    row: str
    column: str
    value: float | None


class Proofs:
    """The bound numbers of every sentence, from the frame ``claims``; numbers without a cell are left out.

    The first section in which a number stands also shows its cell; later ones lead there.
    """

    def __init__(self, claims: pl.DataFrame | None) -> None:
        self.by_sentence: dict[str, list[Proof]] = {}
        self.shown: set[str] = set()
        self.waiting: list[Proof] = []
        if claims is not None and set(claims.columns) >= _NEEDED:
            for number, row in enumerate(claims.iter_rows(named=True), start=1):
                if row["frame"] is not None:
                    self.by_sentence.setdefault(row["sentence"], []).append(_proof(number, row))

    def link(self, text: str, *, lead: str = "") -> str | None:
        """The text as HTML with its numbers as links; None if no number of it is bound.

        ``lead`` is what stands in front of the text in the sentence that was bound (a field's name).
        """
        found = [
            (proof.position - len(lead), proof)
            for proof in self.by_sentence.get(lead + text, [])
            if text[max(0, proof.position - len(lead)) :].startswith(proof.number)
        ]
        if not found:
            return None
        parts, end = [], 0
        for start, proof in sorted(found, key=lambda pair: pair[0]):
            if start < end:
                continue
            stop = start + len(proof.number)
            parts.append(f'{html(text[end:start])}<a class="num" href="#{proof.anchor}">{html(text[start:stop])}</a>')
            end = stop
            if proof.anchor not in self.shown:
                self.shown.add(proof.anchor)
                self.waiting.append(proof)
        return "".join([*parts, html(text[end:])])

    def table(self) -> str:
        """The cells of the numbers linked since the last call, as a block that opens on a click; empty if none."""
        waiting, self.waiting = self.waiting, []
        if not waiting:
            return ""
        rows = "".join(_row(proof) for proof in waiting)
        names = "".join(f'<th scope="col"{mark}>{name}</th>' for name, mark in _COLUMNS.items())
        count = f"{len(waiting)} number{'s' if len(waiting) > 1 else ''}"
        return (
            f'<details class="proof"><summary>Where the {count} above come from</summary>\n<div class="scroll"><table>'
            f"<thead><tr>{names}</tr></thead>\n<tbody>{rows}</tbody></table></div></details>\n"
        )


def _proof(number: int, row: Mapping[str, Any]) -> Proof:
    return Proof(
        anchor=f"number-{number}",
        number=str(row["number"]).removesuffix(" %"),
        position=int(row["position"]),
        frame=str(row["frame"]),
        row=_picked(row["row"]),
        column=str(row["column"]),
        value=row["value"],
    )


def _picked(row: object) -> str:
    known = json.loads(str(row)) if row else {}
    pairs: Iterable[tuple[str, object]] = known.items() if isinstance(known, dict) else ()
    return ", ".join(f"{name} = {value}" for name, value in pairs) or "the only one"


def _row(proof: Proof) -> str:
    exactly = "" if proof.value is None else f"{digits10(proof.value):.10g}"
    cells: Sequence[str] = (proof.number, exactly, f"data/{proof.frame}.csv", proof.row, proof.column)
    inner = "".join(
        f"<td{mark}>{html(cell, limit=640)}</td>" for mark, cell in zip(_COLUMNS.values(), cells, strict=True)
    )
    return f'<tr id="{proof.anchor}">{inner}</tr>\n'
