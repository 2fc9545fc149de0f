"""The one error tree: every message says what, got, allowed and the next step."""

from collections.abc import Mapping


class FbkitError(Exception):
    """Bad input or a bad call, told to a person.

    Parameters
    ----------
    what
        One clause that says what is wrong and where (table, column, rule, key).
    got
        The offending value, shortened if long.
    allowed
        What would have been accepted.
    next_step
        What the reader can do now.

    Examples
    --------
    >>> error = FbkitError("column 'score' is missing", got="a, b", next_step="map it in the contract")
    >>> print(error)
    column 'score' is missing
      got: a, b
      next step: map it in the contract
    """

    code = "error"
    limit = 400

    def __init__(self, what: str, *, got: object = None, allowed: object = None, next_step: str | None = None) -> None:
        self.what = what
        # Nothing is seen of an empty text unless it stands in quotes.
        told = str(got) if str(got).strip() else repr(str(got))
        self.got = None if got is None else shorten(told, limit=self.limit)
        self.allowed = None if allowed is None else shorten(str(allowed), limit=self.limit)
        self.next_step = next_step
        super().__init__(self.__str__())

    def __str__(self) -> str:
        lines = [self.what]
        for name, value in (("got", self.got), ("allowed", self.allowed), ("next step", self.next_step)):
            if value is not None:
                lines.append(f"  {name}: {value}")
        return "\n".join(lines)

    def as_json(self) -> Mapping[str, object]:
        """The same facts under fixed keys, for ``--json``."""
        return {
            "error": {
                "code": self.code,
                "what": self.what,
                "got": self.got,
                "allowed": self.allowed,
                "next_step": self.next_step,
            }
        }


class ContractError(FbkitError):
    """The contract is unreadable, has an unknown key, or an impossible value."""

    code = "contract"
    limit = 16_000  # all problems of a file are told at once


class InputError(FbkitError):
    """A log makes every number meaningless: missing column, wrong type, unreadable file."""

    code = "input"


class ArgumentError(FbkitError):
    """A function or command was called with a value it cannot use."""

    code = "argument"


class MissingPartError(FbkitError):
    """An optional package or program is needed for this call and is not installed."""

    code = "missing_part"


class OutputError(FbkitError):
    """A result could not be written; whatever stood there before is untouched."""

    code = "output"


def shorten(text: str, *, limit: int = 400) -> str:
    """Cut a long value in the middle so that an error stays readable.

    >>> shorten("a" * 500, limit=20)
    'aaaaaaaa ... aaaaaaa'
    """
    if len(text) <= limit:
        return text
    head = (limit - 4) // 2
    return f"{text[:head]} ... {text[-(limit - head - 5) :]}"


def nearest(name: str, known: list[str]) -> str | None:
    """The known name that was most likely meant, or None."""
    from difflib import get_close_matches

    found = get_close_matches(name, known, n=1, cutoff=0.6)
    return found[0] if found else None
