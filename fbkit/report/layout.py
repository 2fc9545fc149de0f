"""How wide the columns of a table stand on paper."""

import unicodedata
from collections.abc import Sequence
from typing import Final

_EM: Final = 0.3  # centimetres at the 8 to 8.5 points of the tables
_PADDING: Final = 0.45
_LONGEST_WORD: Final = 3.2
_LOOKED_AT: Final = 200
_NARROW: Final = frozenset(" .,:;'|!()[]ijlft-/")
_BROAD: Final = frozenset("mwMW%@")


def widths(cells: Sequence[Sequence[str]], *, total: float) -> list[float]:
    """Column widths in centimetres; they add up to ``total``.

    Every column gets its longest word (up to 3.2 cm). What is left goes to the columns that want least first, so that
    only the longest texts are broken into lines; what nobody wants is shared.

    >>> widths([["n", "evidence"], ["5", "a sentence that goes on and on and on"]], total=6.0)
    [0.621, 5.379]
    """
    columns = list(zip(*cells, strict=True))
    sizes = [_PADDING + min(_LONGEST_WORD, max(_length(part) for text in column for part in _words(text)))
             for column in columns]  # fmt: skip
    wanted = [max(low, _PADDING + max(map(_length, column))) for low, column in zip(sizes, columns, strict=True)]
    left = total - sum(sizes)
    by_want = sorted(range(len(sizes)), key=lambda column: wanted[column] - sizes[column])
    for done, column in enumerate(by_want):
        more = max(0.0, min(wanted[column] - sizes[column], left / (len(sizes) - done)))
        sizes[column] += more
        left -= more
    return [round(total * size / sum(sizes), 3) for size in sizes]


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
