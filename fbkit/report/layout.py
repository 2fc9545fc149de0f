"""How wide the columns of a table stand on paper."""

import math
import unicodedata
from collections.abc import Sequence
from typing import Final

_EM: Final = 0.3  # centimetres at the 8 to 8.5 points of the tables
_PADDING: Final = 0.45
_LONGEST_WORD: Final = 3.2
_LOOKED_AT: Final = 200
_ENOUGH: Final = 1e-9
_NARROW: Final = frozenset(" .,:;'|!()[]ijlft-/")
_BROAD: Final = frozenset("mwMW%@")


def widths(cells: Sequence[Sequence[str]], *, total: float) -> list[float]:
    """Column widths in centimetres; they add up to ``total``.

    Every column gets its longest word (up to 3.2 cm). What is left takes lines away where the most lines are, the
    cheapest first, and what nobody needs is shared.

    >>> widths([["n", "evidence"], ["5", "a sentence that goes on and on and on"]], total=6.0)
    [0.971, 5.029]
    """
    columns = list(zip(*cells, strict=True))
    sizes = [
        _PADDING + min(_LONGEST_WORD, max(_length(part) for text in column for part in _words(text)))
        for column in columns
    ]
    wanted = [max(map(_length, column)) for column in columns]
    left = total - sum(sizes)
    while (found := _cheapest(sizes, wanted, left)) is not None:
        column, more = found
        sizes[column] += more
        left -= more
    return [round(total * size / sum(sizes), 3) for size in sizes]


def _cheapest(sizes: Sequence[float], wanted: Sequence[float], left: float) -> tuple[int, float] | None:
    """The column with the most lines that can lose one for what is left, and what that takes."""
    offers: list[tuple[int, float, int]] = []
    for column, (size, want) in enumerate(zip(sizes, wanted, strict=True)):
        lines = max(1, math.ceil(want / (size - _PADDING) - _ENOUGH)) if size > _PADDING else 1
        more = _PADDING + want / (lines - 1) - size if lines > 1 else left + 1
        if more <= left:
            offers.append((-lines, more, column))
    if not offers:
        return None
    _, more, column = min(offers)
    return column, more


def _words(text: str) -> list[str]:
    return text[:_LOOKED_AT].split() or [""]


def _length(text: str) -> float:
    """About how long a text is in print, in centimetres; of a long one only the beginning counts."""
    return _EM * sum(map(_sign, text[:_LOOKED_AT]))


def _sign(sign: str) -> float:
    if sign in _NARROW:
        return 0.33
    if sign in _BROAD or unicodedata.east_asian_width(sign) in "WF":
        return 1.0
    return 0.7 if sign.isupper() else 0.57
