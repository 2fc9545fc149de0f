"""How wide the columns of a table stand on paper."""

from collections.abc import Sequence
from typing import Final

_CM_PER_SIGN: Final = 0.162  # at the 8 to 8.5 points of the tables, with some room
_PADDING: Final = 3
_LONGEST_WORD: Final = 20


def widths(cells: Sequence[Sequence[str]], *, total: float) -> list[float]:
    """Column widths in centimetres; they add up to ``total``.

    Every column gets its longest word (of up to 20 signs), then what its longest text wants as far as there is room.

    >>> widths([["slice", "evidence"], ["EU", "short"]], total=10.0)
    [4.0, 6.0]
    """
    room = total / _CM_PER_SIGN
    columns = list(zip(*cells, strict=True))
    least = [_PADDING + min(_LONGEST_WORD, _word(column)) for column in columns]
    wanted = [max(low, _PADDING + max(map(len, column))) for low, column in zip(least, columns, strict=True)]
    left = room - sum(least)
    asked = sum(wanted) - sum(least)
    if left > 0 and asked > 0:
        share = min(1.0, left / asked)
        least = [low + share * (want - low) for low, want in zip(least, wanted, strict=True)]
    return [round(total * size / sum(least), 3) for size in least]


def _word(column: Sequence[str]) -> int:
    return max((len(part) for text in column for part in text.split()), default=0)
