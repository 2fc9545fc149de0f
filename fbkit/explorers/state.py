"""What an explorer, or a page of explorers, looks at: a small value that can be printed, saved and opened again."""

import json
from collections.abc import Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, fields, replace
from datetime import datetime
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Final, Self

import traitlets

from fbkit.errors import ArgumentError, InputError, OutputError
from fbkit.schema.period import Period, format_instant, parse_instant

if TYPE_CHECKING:
    from collections.abc import Generator

FORMAT: Final = "fbkit-view-1"
_NOTHING: Final[Mapping[str, str | None]] = MappingProxyType({})
_PERIODS: Final = ("reference", "current", "days")
_LARGEST: Final = 100_000


@dataclass(frozen=True, slots=True, kw_only=True)
class View:
    """The state of an explorer or of a whole page; no row and no number is in it.

    Attributes
    ----------
    metric
        A metric name.
    reference, current
        The compared periods.
    as_of
        As known at this time.
    stage
        "final", "any" or "provisional@30d".
    version
        Only predictions of this model version; None is all of them.
    focus
        Only these slices: column to value; the value None is where the column is empty.
    days
        The days that are brushed, if any; they take the place of the current period.
    threshold
        Decisions made anew as ``score >= threshold``; None keeps those that were logged.
    by
        The column to slice by.

    Examples
    --------
    >>> week = Period.parse("2026-03-02..2026-03-09")
    >>> view = View(metric="recall", reference=week, current=week, as_of=parse_instant("2026-03-20"))
    >>> View.from_dict(view.to_dict()) == view
    True
    """

    metric: str
    reference: Period
    current: Period
    as_of: datetime
    stage: str = "final"
    version: str | None = None
    focus: Mapping[str, str | None] = field(default_factory=lambda: _NOTHING)
    days: Period | None = None
    threshold: float | None = None
    by: str | None = None

    @property
    def now(self) -> Period:
        """The period that is looked at: the brushed days, else the current period."""
        return self.days or self.current

    @property
    def filters(self) -> tuple[tuple[str, str | None], ...]:
        """The slice filters in a fixed order."""
        return tuple(sorted(self.focus.items(), key=lambda item: (item[0], item[1] is not None, item[1] or "")))

    def __hash__(self) -> int:
        return hash((self.metric, self.reference, self.current, self.as_of, self.stage, self.version, self.filters))

    def to_dict(self) -> dict[str, Any]:
        """Plain values under the names of the fields; what is not set is left out."""
        found: dict[str, Any] = {}
        for item in fields(self):
            value = getattr(self, item.name)
            if value is None or item.name == "focus":
                continue
            found[item.name] = _plain(value)
        if self.focus:
            found["focus"] = dict(self.filters)
        return found

    @classmethod
    def from_dict(cls, facts: Mapping[str, Any]) -> Self:
        """The view of these plain values.

        Raises
        ------
        InputError
            A name that is no field, or a value that is none of its kind.
        """
        known = {item.name for item in fields(cls)}
        strange = sorted(set(facts) - known)
        if strange:
            raise _damaged(f"unknown field {strange[0]!r}"[:200], sorted(known))
        try:
            made: dict[str, Any] = dict(facts)
            for name in _PERIODS:
                if name in made:
                    made[name] = Period.parse(made[name])
            made["as_of"] = parse_instant(made["as_of"])
            focus = {str(name): None if value is None else str(value) for name, value in made.get("focus", {}).items()}
            made["focus"] = MappingProxyType(focus)
            if made.get("threshold") is not None:
                made["threshold"] = float(made["threshold"])
            return cls(**made)
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            raise _damaged(f"{type(error).__name__}: {error}"[:200], sorted(known)) from error

    def save(self, path: str | Path) -> Path:
        """Write the view as JSON; it holds names and times, no row.

        Raises
        ------
        OutputError
            The file cannot be written.
        """
        target = Path(path)
        text = json.dumps({"format": FORMAT, **self.to_dict()}, indent=2, ensure_ascii=True) + "\n"
        try:
            target.write_text(text, encoding="utf-8")
        except OSError as error:
            raise OutputError(
                f"could not write {target.name}",
                got=error.strerror or str(error),
                allowed="a folder that can be written",
                next_step="choose another file",
            ) from error
        return target

    @classmethod
    def open(cls, path: str | Path) -> Self:
        """Read a saved view.

        Raises
        ------
        InputError
            The file is missing or is not a view.
        """
        source = Path(path)
        try:
            if source.stat().st_size > _LARGEST:
                raise _damaged("a file that is too long for one", [FORMAT])
            facts = json.loads(source.read_text(encoding="utf-8"))
        except (OSError, ValueError) as error:
            raise _damaged(f"{source.name}: {error}"[:200], [FORMAT]) from error
        if not isinstance(facts, dict) or facts.pop("format", None) != FORMAT:
            raise _damaged(f"{source.name}: not of the format {FORMAT}", [FORMAT])
        return cls.from_dict(facts)

    def code(self) -> str:
        """The view as a Python expression: ``fb.explore.View(...)``.

        Examples
        --------
        >>> week = Period.parse("2026-03-02..2026-03-09")
        >>> print(View(metric="recall", reference=week, current=week, as_of=parse_instant("2026-03-20")).code())
        fb.explore.View.from_dict({
            'metric': 'recall',
            'reference': '2026-03-02..2026-03-09',
            'current': '2026-03-02..2026-03-09',
            'as_of': '2026-03-20T00:00:00Z',
            'stage': 'final',
        })
        """
        # A repr in ASCII keeps every sign of a slice's name, and none of them can do anything in a cell.
        lines = [f"    {name!a}: {value!a}," for name, value in self.to_dict().items()]
        return "\n".join(["fb.explore.View.from_dict({", *lines, "})"])

    def but(self, **changed: Any) -> Self:
        """The view with other values of some fields."""
        return replace(self, **changed)


def _plain(value: object) -> object:
    if isinstance(value, datetime):
        return format_instant(value)
    return str(value) if isinstance(value, Period) else value


def _damaged(what: str, allowed: list[str]) -> InputError:
    return InputError(
        "this is not a saved view",
        got=what,
        allowed=", ".join(allowed),
        next_step="save it anew: explorer.shared.view().save(path)",
    )


class Shared(traitlets.HasTraits):
    """What the explorers of one page have in common: a trait for each field of :class:`View`.

    Setting a trait does what moving the control does; :meth:`view` is the state as a value, :meth:`apply` sets it.
    ``changed`` counts moves, and ``last`` names the fields that the newest one set.
    """

    metric = traitlets.Unicode("recall")
    reference = traitlets.Instance(Period)
    current = traitlets.Instance(Period)
    as_of = traitlets.Instance(datetime)
    stage = traitlets.Unicode("final")
    version = traitlets.Unicode(None, allow_none=True)
    focus = traitlets.Dict()
    days = traitlets.Instance(Period, allow_none=True, default_value=None)
    threshold = traitlets.Float(None, allow_none=True)
    by = traitlets.Unicode(None, allow_none=True)
    changed = traitlets.Int(0, help="counts up once for every move, however many fields it sets")

    NAMES = tuple(item.name for item in fields(View))

    def __init__(self, **fields: Any) -> None:
        self._together = False
        self._moved: set[str] = set()
        self.last: frozenset[str] = frozenset()
        super().__init__(**fields)
        self._moved.clear()
        self.observe(self._note, names=list(self.NAMES))

    def _note(self, change: dict[str, Any]) -> None:
        self._moved.add(change["name"])
        if not self._together:
            self._tell()

    def _tell(self) -> None:
        if self._moved:
            self.last, self._moved = frozenset(self._moved), set()
            self.changed += 1

    @classmethod
    def of(cls, view: View) -> Self:
        """The shared state that starts at a view.

        Raises
        ------
        ArgumentError
            It is no view.
        """
        if not isinstance(view, View):
            raise ArgumentError(
                "this is not a view",
                got=type(view).__name__,
                allowed="a fb.explore.View",
                next_step="fb.explore.View.open(path), or explorer.shared.view()",
            )
        return cls(**{name: getattr(view, name) for name in cls.NAMES if name != "focus"}, focus=dict(view.focus))

    def view(self) -> View:
        """The state as a value."""
        found: dict[str, Any] = {name: getattr(self, name) for name in self.NAMES}
        found["focus"] = MappingProxyType(dict(self.focus))
        return View(**found)

    def apply(self, view: View) -> None:
        """Set every field at once; who watches ``changed`` hears of it once."""
        with self.together():
            for name in self.NAMES:
                value = getattr(view, name)
                setattr(self, name, dict(value) if name == "focus" else value)

    @contextmanager
    def together(self) -> "Generator[None]":
        """Change several fields as one move: watchers of ``changed`` are told when all are set."""
        outer, self._together = self._together, True
        try:
            yield
        finally:
            self._together = outer
            if not outer:
                self._tell()

    def focus_on(self, column: str, value: str | None) -> None:
        """Look at one slice; the same one again lets it go."""
        others = {name: kept for name, kept in self.focus.items() if name != column}
        same = column in self.focus and self.focus[column] == value
        self.focus = others if same else {**others, column: value}

    def clear(self, name: str | None = None) -> None:
        """Let go of one filter ("version", "days", "threshold" or a slice column), or of all of them."""
        with self.together():
            if name in (None, "version"):
                self.version = None
            if name in (None, "days"):
                self.days = None
            if name in (None, "threshold"):
                self.threshold = None
            if name is None:
                self.focus = {}
            elif name in self.focus:
                self.focus = {column: value for column, value in self.focus.items() if column != name}
            elif name not in ("version", "days", "threshold"):
                raise ArgumentError(
                    "there is no such filter",
                    got=str(name),
                    allowed=", ".join(["version", "days", "threshold", *self.focus]),
                    next_step="name one of them, or none to clear all",
                )
