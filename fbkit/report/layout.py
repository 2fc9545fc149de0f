"""How wide the columns of a table stand on paper."""

from collections.abc import Sequence
from typing import Final

_LONGEST: Final = 34
_LONGEST_WORD: Final = 18
_LEAST: Final = 5


def widths(cells: Sequence[Sequence[str]], *, total: float) -> list[float]:
    """Column widths that follow the longest text of each column; they add up to ``total``.

    No column is wider than 34 characters need, and none is so narrow that a word of up to 18 is cut, where there
    is room.

    >>> widths([["slice", "evidence"], ["EU", "a long sentence that goes on and on"]], total=39.0)
    [5.0, 34.0]
    """
    wanted = []
    for column in zip(*cells, strict=True):
        word = max((len(part) for text in column for part in text.split()), default=0)
        wanted.append(max(_LEAST, min(_LONGEST_WORD, word), min(_LONGEST, max(map(len, column)))))
    return [total * size / sum(wanted) for size in wanted]
