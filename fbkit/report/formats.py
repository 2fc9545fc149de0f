"""How a cell's value is written in a sentence: every way by name, so that it can be written again and compared."""

from collections.abc import Callable, Mapping
from typing import Final

from fbkit.diagnose import words
from fbkit.report import numbers

Format = Callable[[float, str], str]

FORMATS: Final[Mapping[str, Format]] = {
    "signed change": lambda value, metric: words.signed(metric, value),
    "size of a change": lambda value, metric: words.points(metric, value),
    "signed change, of the document": lambda value, metric: numbers.change(value, metric=metric, unit=False),
    "size of a change, of the document": lambda value, metric: numbers.change(value, metric=metric).lstrip("+-"),
    "level": lambda value, metric: words.level(metric, value),
    "level, short": lambda value, _: numbers.plain(value),
    "level, 3 decimals": lambda value, _: f"{value:.3f}",
    "level, 2 decimals": lambda value, _: numbers.plain(value, places=2),
    "percent": lambda value, _: f"{100 * value:.1f} %",
    "percent, whole": lambda value, _: f"{100 * value:g} %",
    "count": lambda value, _: f"{value:,.0f}",
    "2 decimals": lambda value, _: f"{value:.2f}",
    "1 decimal": lambda value, _: f"{value:.1f}",
    "1 decimal, signed": lambda value, _: f"{value:+.1f}",
    "3 digits": lambda value, _: f"{value:.3g}",
    "as short as can be": lambda value, _: f"{value:g}",
}

KINDS: Final[Mapping[str, tuple[str, ...]]] = {
    "change": (
        "signed change",
        "size of a change",
        "signed change, of the document",
        "size of a change, of the document",
    ),
    "level": ("level", "level, short", "level, 3 decimals", "level, 2 decimals"),
    "share": ("percent", "percent, whole"),
    "count": ("count",),
    "ratio": ("2 decimals", "1 decimal", "level, short", "3 digits", "count"),
    "money": ("level, short", "count", "as short as can be"),
    "setting": ("percent, whole", "as short as can be"),
    "score": ("3 digits",),
    "shift": ("1 decimal, signed",),
    "days": ("as short as can be", "1 decimal"),
}


def written(value: float | None, how: str, *, metric: str) -> str | None:
    """The value written in one of :data:`FORMATS`; None without a value or for a format that is not known.

    Examples
    --------
    >>> written(-0.1246, "size of a change", metric="recall"), written(0.9224, "percent", metric="recall")
    ('12.5', '92.2 %')
    """
    found, number = FORMATS.get(how), numbers.finite(value)
    if found is None or number is None:
        return None
    return found(float(number), metric).removesuffix(" points")


def ways(value: float | None, kind: str, *, metric: str) -> dict[str, str]:
    """Every way in which a cell of this kind can be written: text -> format, the first format of a text wins."""
    said: dict[str, str] = {}
    for how in KINDS.get(kind, ()):
        text = written(value, how, metric=metric)
        if text is not None and text != numbers.NONE:
            said.setdefault(text, how)
    return said
