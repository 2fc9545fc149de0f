"""The font that pictures are drawn with on every machine, and which characters no font here can draw."""

import html
import re
import unicodedata
import warnings
from collections.abc import Iterable
from functools import cache
from pathlib import Path
from typing import Final

FOLDER: Final = Path(__file__).parent / "fonts"
FAMILY: Final = "fbkit Sans"
FACES: Final = {"regular": "fbkit-sans-regular.ttf", "bold": "fbkit-sans-bold.ttf"}
# Of these the shipped font has every character (a test reads its table); others are asked for one by one.
_SHIPPED: Final = range(0x20, 0x2EA)
_NOWHERE: Final = "\u0378"  # no character, so that every machine draws the sign for a missing one
_MOST: Final = 400
_PACKAGES: Final = (
    (("CJK", "HIRAGANA", "KATAKANA", "HANGUL", "BOPOMOFO", "FULLWIDTH", "IDEOGRAPHIC"), "Noto Sans CJK", "noto-cjk"),
    (("EMOJI", "FACE", "REGIONAL"), "Noto Emoji", "noto-color-emoji"),
)


class MissingGlyphWarning(UserWarning):
    """A picture shows boxes in place of characters, because no font on this machine has them."""


def face(name: str = "regular") -> bytes:
    """The TrueType file of a face, ``"regular"`` or ``"bold"``: for documents that carry their font with them."""
    return (FOLDER / FACES[name]).read_bytes()


@cache
def register() -> None:
    """Make the shipped font known to the picture engine; system fonts stay for the scripts that it lacks."""
    import vl_convert

    vl_convert.register_font_directory(str(FOLDER))


def missing(text: str) -> str:
    """The characters of a text that would be drawn as boxes on this machine, each once, in order.

    Looks at no more than 400 different characters outside of Latin.

    >>> missing("Zürich ≥ 5 → ✓")
    ''
    """
    unusual = dict.fromkeys(sign for sign in text if ord(sign) not in _SHIPPED)
    return "".join(sign for sign in list(unusual)[:_MOST] if not _has_glyph(sign))


@cache
def _has_glyph(sign: str) -> bool:
    """Ask the engine itself: a character without a glyph looks like a code point that is no character."""
    if unicodedata.category(sign) in ("Cc", "Cf", "Cs", "Co", "Cn", "Zs", "Zl", "Zp"):
        return True  # nothing is drawn, or the cleaning of texts takes it away before
    return _picture(sign) != _picture(_NOWHERE)


def _picture(sign: str) -> bytes:
    import vl_convert

    register()
    text = f'<text x="2" y="18" font-size="14" font-family="{FAMILY}, sans-serif">{html.escape(sign)}</text>'
    return vl_convert.svg_to_png(f'<svg xmlns="http://www.w3.org/2000/svg" width="24" height="24">{text}</svg>')


def lacking(texts: Iterable[str]) -> str:
    """One sentence about the characters that these texts need and no font here has; empty if there are none.

    It names the characters, the first text with one, and what to install.
    """
    found: dict[str, str] = {}
    for text in texts:
        for sign in missing(text):
            found.setdefault(sign, text)
    if not found:
        return ""
    signs = list(found)
    shown = " ".join(f"{sign} (U+{ord(sign):04X})" for sign in signs[:5]) + (" and others" if len(signs) > 5 else "")
    where = found[signs[0]]
    where = where if len(where) <= 60 else f"{where[:59]}…"
    advice = "; ".join(dict.fromkeys(_advice(sign) for sign in signs))
    return f"no font on this machine has {shown}, drawn as boxes in {where!r}; install {advice}"


def _advice(sign: str) -> str:
    name = unicodedata.name(sign, "")
    for words, font, package in _PACKAGES:
        if any(word in name for word in words):
            return f"{font} (Debian: fonts-{package})"
    return "Noto Sans (Debian: fonts-noto-core)"


def warn_missing(texts: Iterable[str]) -> None:
    """Warn (:class:`MissingGlyphWarning`) about characters that come out as boxes."""
    told = lacking(texts)
    if told:
        warnings.warn(told, MissingGlyphWarning, stacklevel=3)


def texts_of(svg: str) -> list[str]:
    """The texts that an SVG picture draws.

    >>> texts_of('<svg><text x="1">a &lt; b</text></svg>')
    ['a < b']
    """
    return [html.unescape(text) for text in re.findall(r">([^<]+)</(?:text|tspan)>", svg)]
