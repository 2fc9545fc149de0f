"""The only way by which text of a user reaches a document: one function per target.

Slice values, ids, versions, notes and column names are hostile until shown otherwise. Every function
here first makes invisible characters visible (control characters, terminal escapes, direction marks),
then escapes what the target would interpret.
"""

import html as _html
import re
import unicodedata
from typing import Final

SENTENCE: Final = 4000
CELL: Final = 160

# Format characters that join letters in real scripts; everything else of the class hides or reorders text.
_JOINERS = frozenset("\u200c\u200d")
_FORMULA_STARTS = ("=", "+", "-", "@", "\t", "\r", "＝", "＋", "－", "＠")
_MARKDOWN_ALWAYS = re.compile(r"([\\`*\[\]|~$])")
_MARKDOWN_UNDERSCORE = re.compile(r"(?<![^\W_])_|_(?![^\W_])")
# A negative number or a decimal at the start stays as it is; a list, heading, rule or underline does not start.
_MARKDOWN_START = re.compile(r"^(\s*)(#(?=[#\s]|$)|[+-](?=[+\s-]|$)|=(?=[=\s]*$)|:(?=\s)|\d+(?=[.)](?:\s|$)))")


def clean(text: object, *, limit: int = SENTENCE) -> str:
    r"""One line of visible characters, at most ``limit`` long.

    Line breaks and tabs become spaces; control, direction and other invisible characters are shown by
    their code point; what is cut is said.

    >>> clean("EU\u202eWest\x1b[31m")
    'EU‹U+202E›West‹U+001B›[31m'
    """
    raw = str(text)
    shown = "".join(map(_visible, raw[: limit + 1]))
    if len(raw) <= limit:
        return shown
    return f"{shown[:limit]}... ({len(raw):,} characters)"


def _visible(character: str) -> str:
    if character in "\n\r\t\u2028\u2029":
        return " "
    hidden = unicodedata.category(character) in ("Cc", "Cf", "Cs", "Co", "Cn") and character not in _JOINERS
    return f"‹U+{ord(character):04X}›" if hidden else character


def html(text: object, *, limit: int = SENTENCE) -> str:
    """Text for an HTML element or a quoted attribute.

    >>> html('<b onclick="x">')
    '&lt;b onclick=&quot;x&quot;&gt;'
    """
    return _html.escape(clean(text, limit=limit), quote=True)


def markdown(text: object, *, limit: int = SENTENCE) -> str:
    r"""Text for a Markdown paragraph, list item, heading or table cell; nothing in it is markup or a link.

    >>> print(markdown("| *a* <b> http://x.y me@z"))
    \| \*a\* &lt;b&gt; http&#58;//x.y me&#64;z
    """
    plain = clean(text, limit=limit).strip()
    plain = plain.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    plain = _MARKDOWN_ALWAYS.sub(r"\\\1", plain)
    plain = _MARKDOWN_UNDERSCORE.sub(r"\\_", plain)
    # Many renderers turn bare addresses into links; an entity in the middle stops them all.
    plain = plain.replace("://", "&#58;//").replace("@", "&#64;")
    plain = re.sub(r"(?i)\bwww\.", lambda match: match[0][:-1] + "&#46;", plain)
    return _MARKDOWN_START.sub(_escape_start, plain)


def _escape_start(match: re.Match[str]) -> str:
    space, sign = match[1], match[2]
    return f"{space}{sign}\\" if sign[0].isdigit() else f"{space}\\{sign}"


def csv_cell(value: object) -> object:
    """A cell that no spreadsheet runs: text that starts like a formula gets a leading apostrophe; numbers stay numbers.

    >>> csv_cell("=1+1"), csv_cell(-0.5), csv_cell(None)
    ("'=1+1", -0.5, '')
    """
    if value is None:
        return ""
    if isinstance(value, bool | int | float):
        return value
    text = clean(value)
    starts = text.lstrip().startswith(_FORMULA_STARTS) or str(value).startswith(_FORMULA_STARTS)
    return f"'{text}" if starts else text


def terminal(text: object, *, limit: int = SENTENCE) -> str:
    r"""Text for a terminal: no escape sequence, no direction mark, one line.

    >>> terminal("a\x1b]0;title\x07")
    'a‹U+001B›]0;title‹U+0007›'
    """
    return clean(text, limit=limit)
