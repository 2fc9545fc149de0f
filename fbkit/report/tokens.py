"""The numbers that stand in a text: where, as written, and with which unit; dates, names and identifiers are none."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

_INSTANT: Final = r"\d{4}-\d{2}-\d{2}(?:[T ]\d{2}:\d{2}(?::\d{2}(?:\.\d+)?)?(?: ?UTC|Z|[+-]\d{2}:\d{2})?)?"
_DIGEST: Final = r"\b(?=[0-9a-f]*\d)[0-9a-f]{12,64}\b"
_CLOCK: Final = r"\b\d{2}:\d{2}(?::\d{2})?\b"
# Only from the start of a word on: a long word without letters would be tried at every sign of it.
_POWER: Final = r"[+-]?\d[\d.,]*[eE][+-]?\d+[).,;:\]]*(?:\s|$)"
_WORDY: Final = rf"(?:(?<=[\s(\[])|^)(?!{_POWER})[^\s(\[]*[^\W\d][^\s)\]]*"
_NO_NUMBERS: Final = re.compile(f"{_INSTANT}|{_DIGEST}|{_CLOCK}|{_WORDY}")
_NUMBER: Final = re.compile(r"(?<![\w.])[+-]?\d+(?:,\d{3})*(?:\.\d+)?(?:[eE][+-]?\d+)?(?!\w)(?!\.\d)")
_UNIT: Final = re.compile(r"\s?(%|points?\b)")
_DIGITS: Final = re.compile(r"[\d.,+\-\s]+")


@dataclass(frozen=True, slots=True, kw_only=True)
class Token:
    """A number as written, with its sign; ``unit`` is ``%``, ``points`` or nothing."""

    text: str
    start: int
    unit: str = ""


def tokens(text: str, *, names: Sequence[str] = ()) -> list[Token]:
    """Every number of a text in reading order.

    Parameters
    ----------
    text
        A sentence. Dates, times, hashes, and digits of a word that has letters too are no numbers.
    names
        Names of a user's things (slice values, versions, owners): digits in them are no numbers either. A name
        that is a number itself is only taken for a name after ``version``.

    Examples
    --------
    >>> [(token.text, token.unit) for token in tokens("fell 12.5 points to 68.0 % on 2026-09-28 (F1, 24h)")]
    [('12.5', 'points'), ('68.0', '%')]
    """
    left = blanked(text, names=names)
    found: list[Token] = []
    for match in _NUMBER.finditer(left):
        unit = _UNIT.match(text, match.end())
        said = "" if unit is None else "%" if unit.group(1) == "%" else "points"
        found.append(Token(text=match.group(), start=match.start(), unit=said))
    return found


def blanked(text: str, *, names: Sequence[str] = ()) -> str:
    """The text with spaces where a date, a hash or a name of a user's things stands; the same length."""
    for name in sorted({name for name in names if any(sign.isdigit() for sign in name)}, key=len, reverse=True):
        if _DIGITS.fullmatch(name):
            text = re.sub(rf"(?<=version ){re.escape(name)}(?![\w.])", _spaces, text)
        else:
            text = text.replace(name, " " * len(name))
    return _NO_NUMBERS.sub(_spaces, text)


def _spaces(match: re.Match[str]) -> str:
    return " " * len(match.group())
