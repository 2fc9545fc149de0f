"""Where an explorer's numbers come from: joined rows, or ledgers; narrowed to what is looked at, and kept."""

from collections import OrderedDict
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from types import MappingProxyType
from typing import Any, Final, Self

import polars as pl

from fbkit.charts.text import clean, instant_text
from fbkit.errors import ArgumentError, FbkitError
from fbkit.explorers import model
from fbkit.explorers.state import View
from fbkit.join.rows import lazy_rows, no_rows
from fbkit.ledger import columns as c
from fbkit.ledger.build import build, default_edges
from fbkit.ledger.edges import BinEdges
from fbkit.ledger.ledger import Ledger, tidy
from fbkit.measure.from_ledger.cells import span
from fbkit.measure.from_ledger.curves import resolved
from fbkit.schema import results
from fbkit.schema.contract import Contract
from fbkit.schema.period import Comparison, Period, floor_day
from fbkit.schema.protocols import JoinedLike, check_joined
from fbkit.schema.rules import SET_ASIDE

_KEPT: Final = 8
_MOST_VALUES: Final = 1000
_VERSION: Final = "model_version"


@dataclass(frozen=True, slots=True, kw_only=True)
class Subject:
    """What to hand to a measuring function for a view.

    Attributes
    ----------
    data
        A ledger, or joined rows where no ledger can be made of them.
    options
        Further arguments of the call: ``as_of`` where it is not the data's own.
    note
        Which filter could not be applied, and why; empty if all are.
    """

    data: Any
    options: dict[str, Any] = field(default_factory=dict[str, Any])
    note: str = ""


class Source:
    """Joined rows, or a ledger, behind one or several explorers. Made by :meth:`of`.

    Attributes
    ----------
    contract, as_of, name
        Of the loop; ``as_of`` is the latest time that can be asked for.
    slices, versions
        The columns to slice by, and the model versions, the most frequent first.
    changes
        The change log, or None.
    joined
        The rows, or None if there is only a ledger.
    """

    def __init__(
        self, *, joined: JoinedLike | None = None, ledger: Ledger | None = None, changes: pl.DataFrame | None = None
    ) -> None:
        given = ledger if joined is None else joined
        if given is None:
            raise TypeError("joined rows or a ledger")
        self.joined, self._given = joined, ledger
        self.contract: Contract = given.contract
        self.as_of: datetime = given.as_of
        self.name = self.contract.model.name
        self.changes = changes
        self._made: OrderedDict[Any, Any] = OrderedDict()
        self.slices, self.versions = self._named()
        self.trouble = ""

    @classmethod
    def of(cls, thing: Any) -> Self:
        """The source of a joined table, of a ledger, or the source itself."""
        if isinstance(thing, cls):
            return thing
        if isinstance(thing, Ledger):
            return cls(ledger=thing)
        check_joined(thing)
        changes = getattr(thing, "changes", None)
        return cls(joined=thing, changes=changes if isinstance(changes, pl.DataFrame) and changes.height else None)

    @property
    def dropped(self) -> int | None:
        """How many rows of the logs were set aside, by whatever rule; None where there are no logs to tell."""
        audit = getattr(self.joined, "audit", None)
        if not isinstance(audit, pl.DataFrame) or results.AUDIT_RULE not in audit.columns:
            return None
        return int(audit.filter(pl.col(results.AUDIT_RULE).is_in(list(SET_ASIDE)))[results.AUDIT_ROWS].sum())

    def _named(self) -> tuple[list[str], list[str]]:
        if self.joined is not None:
            columns = [name for name in model.slice_columns(self.joined) if name != _VERSION]
            if _VERSION not in no_rows(self.joined).columns:
                return columns, []
            versions = model.counted_values(self.joined, _VERSION)
            return columns, [version for version in versions if version is not None]
        ledger = self._ledger_given()
        return [name for name in ledger.slices if name != _VERSION], list(ledger.values.get(c.VERSION, ()))

    def _ledger_given(self) -> Ledger:
        if self._given is None:
            raise TypeError("there is no ledger")
        return self._given

    def periods(self, comparison: Comparison | None = None) -> tuple[Period, Period]:
        """Reference and current period; what was left open is fixed by the data."""
        if self.joined is not None:
            return model.fix_periods(self.joined, comparison)
        return resolved(self._ledger_given(), Comparison() if comparison is None else comparison)

    def view(self, comparison: Comparison | None = None, *, metric: str | None = None, by: str | None = None) -> View:
        """The view to start with."""
        _check_text("metric", metric)
        _check_text("by", by)
        reference, current = self.periods(comparison)
        if by is not None:
            self._offer(by)
        started = by or next(iter(self.slices), None)
        return View(
            metric=metric or self.contract.metrics.primary,
            reference=reference,
            current=current,
            as_of=self.as_of,
            by=started,
        )

    def smallprint(self, view: View, *parts: str) -> str:
        """The line under a headline: whose numbers, known when, which rows, and what else is said."""
        only = [f"{clean(column)} = {clean(value)}" for column, value in view.filters]
        version = [] if view.version is None else [f"version {clean(view.version)}"]
        said = [clean(self.name), f"as of {instant_text(view.as_of)}", *version, *only, *parts]
        return ", ".join(part for part in said if part)

    def moments(self) -> list[datetime]:
        """The times that as-of can be set to: midnights from the second day on, and the newest."""
        start = self._first() if self.counts else None
        if start is None:
            return [self.as_of]
        first = floor_day(start) + timedelta(days=1)
        n = max((floor_day(self.as_of) - first).days + 1, 0)
        midnights = [first + timedelta(days=day) for day in range(n)]
        return [*(moment for moment in midnights if moment < self.as_of), self.as_of]

    def _first(self) -> datetime | None:
        if self.joined is None:
            days = span(self._ledger_given())
            return None if days is None else days.start
        found = lazy_rows(self.joined).select(pl.col("ts_pred").min()).collect().item()
        return found if isinstance(found, datetime) else None

    @property
    def counts(self) -> bool:
        """Whether ledgers answer for this source; False where rows cannot be counted (regression, ranking)."""
        return self._given is not None or self._edges() is not None

    def ledger(self, *, by: Sequence[str] = ()) -> Ledger:
        """The ledger of all rows, sliced by these columns."""
        return self._ledger(_Narrow(), tuple(by))

    def whole(self) -> Ledger:
        """The ledger of all rows by every slice column, which is what a snapshot of a page stands on.

        Raises
        ------
        ArgumentError
            The rows cannot be counted.
        """
        if self._given is not None:
            return self._given
        if not self.counts:
            raise ArgumentError(
                "a snapshot stands on a ledger, and these rows cannot be counted",
                got=self.trouble or f'task = "{self.contract.model.task}"',
                allowed="binary labels, scores from 0 to 1",
                next_step="save the pictures and tables instead",
            )
        rows: Any = self._rows(_Narrow())
        return self._kept("whole", lambda: build(rows, edges=self._edges(), slices=self._countable()))

    def _countable(self) -> list[str]:
        """The slice columns of few enough values: one that names single rows is no slice."""
        joined = self.joined
        if joined is None:
            return []
        heights = lazy_rows(joined).select(pl.col(name).n_unique() for name in self.slices).collect().row(0)
        return [name for name, n in zip(self.slices, heights, strict=True) if n <= _MOST_VALUES]

    def _offer(self, by: str) -> None:
        """A column that was asked for is offered, also where the contract does not name it as a slice."""
        if by in self.slices or (by == _VERSION and self.versions):
            return
        if self.joined is None or by not in lazy_rows(self.joined).collect_schema():
            raise ArgumentError(
                "there is no such column to slice by",
                got=by,
                allowed=", ".join(self.slices) or "no column of this loop",
                next_step="name one of them, or leave it out",
            )
        self.slices = [by, *self.slices]

    def within(self, view: View) -> View:
        """The view without what this source does not know: slices that were told together, times beyond its own."""
        focus = {name: value for name, value in view.focus.items() if name in self.slices}
        moments = self.moments()
        return view.but(
            focus=MappingProxyType(focus),
            by=view.by if view.by in self.slices else next(iter(self.slices), None),
            as_of=view.as_of if view.as_of in moments else self.as_of,
            version=view.version if view.version in self.versions else None,
        )

    # What is looked at ------------------------------------------------------------------------------------------
    def subject(self, view: View, *, by: str | Sequence[str] | None = (), bins: bool = True) -> Subject:
        """What to ask for a view.

        Parameters
        ----------
        by
            The slice columns that the question slices by; two of them are crossed.
        bins
            Whether the question needs score bins (calibration, thresholds, ranking); counts alone can be narrowed
            further where there are no rows.
        """
        columns = (by,) if isinstance(by, str) else tuple(by or ())
        options: dict[str, Any] = {} if view.as_of == self.as_of else {"as_of": view.as_of}
        narrow = _Narrow(filters=view.filters, version=view.version)
        if not self.counts or not _whole_days(view):
            return Subject(data=self._rows(narrow), note=self._unmoved(view))
        if self.joined is not None:
            return Subject(data=self._ledger(narrow, columns), options=options)
        return self._of_ledger(narrow, columns, bins=bins, options=options)

    def sliced(self, view: View) -> tuple[Subject, str, str | None] | None:
        """Where one slice is looked at: the ledger by its column, and the slice's line in what it answers.

        Counts of a slice stand in the ledger by that column, so that a click on it need not count its rows anew. None
        where another number of slices is looked at, or the column or the period is not counted.
        """
        if len(view.filters) != 1 or not self.counts or not _whole_days(view):
            return None
        ((column, value),) = view.filters
        if column not in self.slices:
            return None
        subject = self.subject(view.but(focus=MappingProxyType({})), by=column, bins=False)
        return subject, column, value

    def rows(self, view: View) -> JoinedLike | None:
        """The joined rows of a view's slices and version as known at the source's own as-of; None without rows."""
        if self.joined is None:
            return None
        return self._rows(_Narrow(filters=view.filters, version=view.version))

    def _unmoved(self, view: View) -> str:
        if view.as_of == self.as_of:
            return ""
        return "these numbers are as of the newest time: only counts of whole days can be moved back"

    # Rows -------------------------------------------------------------------------------------------------------
    def _rows(self, narrow: "_Narrow") -> JoinedLike:
        if self.joined is None:
            raise ArgumentError(
                "a ledger holds no rows",
                got="a period that is not of whole days",
                allowed="periods from midnight to midnight, UTC",
                next_step="round the period to days, or explore the joined table",
            )
        if narrow == _Narrow():
            return self.joined
        return self._kept(("rows", narrow), lambda: self._narrowed(narrow))

    def _narrowed(self, narrow: "_Narrow") -> JoinedLike:
        joined = self.joined
        if joined is None:
            raise TypeError("there are no rows")
        frame = lazy_rows(joined).filter(narrow.expression()).collect()
        return replace(model.part(joined, frame), evaluation_key=f"{joined.evaluation_key} {narrow!r}")

    # Ledgers ----------------------------------------------------------------------------------------------------
    def _edges(self) -> BinEdges | None:
        """The score bins of all ledgers of this source, from all of its rows; None if they cannot be counted."""
        return self._kept("edges", self._make_edges)

    def _make_edges(self) -> BinEdges | None:
        joined = self.joined
        if joined is None:
            return self._ledger_given().edges
        if joined.contract.model.task != "binary":
            return None
        rows = lazy_rows(joined)
        try:
            height = int(rows.select(pl.len()).collect().item())
            edges = default_edges(joined, rows, height=height)
            build(model.part(joined, no_rows(joined)), edges=edges, slices=())
        except FbkitError as error:
            self.trouble = error.what
            return None
        return edges

    def _ledger(self, narrow: "_Narrow", by: tuple[str, ...]) -> Ledger:
        if self.joined is None:
            return self._ledger_given()
        columns = tuple(name for name in by if name != _VERSION)
        if not columns:
            # Any ledger of these rows answers what is not sliced.
            columns = next((key[2] for key in reversed(self._made) if _is_ledger_of(key, narrow)), ())
        pairs = (columns[:2],) if len(columns) > 1 else ()
        return self._kept(("ledger", narrow, columns), lambda: self._built(narrow, columns, pairs))

    def _built(self, narrow: "_Narrow", columns: tuple[str, ...], pairs: Any) -> Ledger:
        rows: Any = self._rows(narrow)
        return build(rows, edges=self._edges(), slices=columns, pairs=pairs)

    def _of_ledger(self, narrow: "_Narrow", by: tuple[str, ...], *, bins: bool, options: dict[str, Any]) -> Subject:
        """Narrow a ledger without its rows: by version always, by one slice in its counts."""
        ledger = self._ledger_given()
        if narrow.version is not None:
            ledger = self._kept(("version", narrow.version), lambda: only_version(ledger, narrow.version))
        if not narrow.filters:
            return Subject(data=ledger, options=options)
        (column, value), *more = narrow.filters
        said = f"{clean(column)} = {clean(value)}"
        crossed = [name for name in by if name != column]
        lacking = _lacking(ledger, crossed=crossed, several=bool(more), bins=bins)
        if lacking:
            return Subject(data=ledger, options=options, note=f"not narrowed to {said}: this ledger has no {lacking}")
        held = ledger
        made = self._kept(("slice", narrow), lambda: only_slice(held, column, value))
        return Subject(data=made, options=options)

    def _kept(self, key: object, make: Callable[[], Any]) -> Any:
        """What was made under a key before, or is made now; the least recently used goes."""
        if key not in self._made:
            self._made[key] = make()
        self._made.move_to_end(key)
        if len(self._made) > _KEPT:
            spare = next((held for held in self._made if held != "edges"), None)
            self._made.pop(spare, None)
        return self._made[key]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Narrow:
    """Which rows are looked at."""

    filters: tuple[tuple[str, str | None], ...] = ()
    version: str | None = None

    def expression(self) -> pl.Expr:
        """The rows as an expression; a value is compared as text."""
        wanted = [*self.filters, *([] if self.version is None else [(_VERSION, self.version)])]
        return pl.all_horizontal(pl.col(name).cast(pl.String).eq_missing(pl.lit(value)) for name, value in wanted)


def _check_text(name: str, value: object) -> None:
    if value is not None and not isinstance(value, str):
        raise ArgumentError(
            f"{name} is a name",
            got=f"{type(value).__name__}: {value}"[:100],
            allowed="a text, or None",
            next_step=f'{name}="..."',
        )


def _is_ledger_of(key: Any, narrow: _Narrow) -> bool:
    return isinstance(key, tuple) and key[:2] == ("ledger", narrow)


def _lacking(ledger: Ledger, *, crossed: list[str], several: bool, bins: bool) -> str:
    """What a ledger without its rows would need to answer for one slice alone; empty if it has it."""
    if several:
        return "counts by more than two columns"
    if bins:
        return "score bins of that slice by day"
    if crossed:
        return f"counts by {clean(crossed[0])} within that slice"
    return "groups of entities of that slice by day" if ledger.manifest.repeats else ""


def _whole_days(view: View) -> bool:
    edges = [edge for period in (view.reference, view.now) for edge in (period.start, period.end)]
    return all(floor_day(edge) == edge for edge in edges)


def only_version(ledger: Ledger, version: str | None) -> Ledger:
    """The part of a ledger that one model version made; exact."""
    texts = ledger.values.get(c.VERSION, ())
    code = texts.index(version) if version in texts else None
    tables = {name: frame.filter(pl.col(c.VERSION).eq_missing(code)) for name, frame in ledger.tables.items()}
    return _part(ledger, tables, said=f"version {version!r}")


def only_slice(ledger: Ledger, column: str, value: str | None) -> Ledger:
    """One slice of a ledger as a ledger of its own, without score bins; its counts and rates are exact."""
    if (c.CELLS, (column,)) not in ledger.tables:
        raise ArgumentError(
            "the ledger is not sliced by this column",
            got=column,
            allowed=", ".join(ledger.slices) or "no column",
            next_step="build the ledger with this slice, or explore the joined table",
        )
    texts = ledger.values[column]
    code = texts.index(value) if value in texts else None
    key = c.slice_key(0)
    mine = ledger.tables[c.CELLS, (column,)].filter(pl.col(key).eq_missing(code)).drop(key)
    cells = mine.with_columns(pl.lit(0, dtype=pl.Int32).alias(c.BIN))
    manifest = replace(ledger.manifest, slices=(), pairs=(), grouped=False)
    held = replace(ledger, manifest=manifest, edges=BinEdges(edges=()))
    return _part(held, {(c.CELLS, ()): cells}, said=f"{column} {value!r}")


def _part(ledger: Ledger, tables: dict[Any, pl.DataFrame], *, said: str) -> Ledger:
    rows = int(tables[c.CELLS, ()][c.ROWS].sum())
    manifest = replace(ledger.manifest, rows=rows, keys=(*ledger.manifest.keys, said))
    texts = {name: held for name, held in ledger.values.items() if name in {c.VERSION, *manifest.slices}}
    return tidy(tables, MappingProxyType(texts), edges=ledger.edges, manifest=manifest)
