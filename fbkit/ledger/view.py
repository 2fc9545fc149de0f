"""A ledger's table as arrays at one as-of time: which rows were there, what was known of their labels."""

from dataclasses import dataclass, replace
from typing import Any, NamedTuple

import numpy as np
import polars as pl
from numpy.typing import NDArray

from fbkit.ledger import columns as c
from fbkit.ledger.keys import add_up
from fbkit.ledger.ledger import Ledger

Whole = NDArray[np.int64]
Marks = NDArray[np.bool_]
Sums = dict[str, NDArray[np.float64]]
NEVER = 2**40


class Timing(NamedTuple):
    """When things happen to the rows of a line, in days from the line's day; NEVER where they do not."""

    seen: Whole
    known: Whole
    lag: Whole
    matures: Whole


@dataclass(frozen=True, slots=True, kw_only=True)
class Lines:
    """One entry per line: key codes (-1 is null), facts at the as-of time, and the sums as floats.

    ``extra`` is the score bin or the group of entities; ``timing`` is there for counts with delays.
    """

    slices: tuple[Whole, ...]
    version: Whole
    day: Whole
    state: Whole
    flagged: Whole
    mature: Marks
    settled: Marks
    extra: Whole | None
    sums: Sums
    timing: Timing | None = None

    def chosen(self, mask: Marks) -> "Lines":
        """Only these lines."""
        if mask.all():
            return self
        at = np.flatnonzero(mask)
        return Lines(
            slices=tuple(code[at] for code in self.slices),
            version=self.version[at],
            day=self.day[at],
            state=self.state[at],
            flagged=self.flagged[at],
            mature=self.mature[at],
            settled=self.settled[at],
            extra=None if self.extra is None else self.extra[at],
            sums={name: values[at] for name, values in self.sums.items()},
            timing=None if self.timing is None else Timing(*(part[at] for part in self.timing)),
        )


def lines_at(
    ledger: Ledger,
    kind: str,
    cut: c.Cut,
    *,
    binned: bool,
    day: int | None,
    daily: bool = True,
    within: tuple[int, int] | None = None,
) -> Lines:
    """The lines of a table as known at the first moment of ``day``; None is the ledger's own as-of.

    ``binned`` keeps the score bins of the overall counts apart, ``daily`` the days (else all lie on the first, unless
    an earlier time is asked for); ``within`` keeps the days from the first to before the last. Only ``cells`` know
    earlier times.
    """
    held = _held(ledger, kind, cut, binned=binned, timed=day is not None, daily=daily or day is not None)
    return _known(held, ledger, day=day, within=within)


def timed_lines(
    ledger: Ledger, cut: c.Cut, *, binned: bool, day: int | None, within: tuple[int, int] | None = None
) -> Lines:
    """The lines of ``cells`` with their delays."""
    return _known(_held(ledger, c.CELLS, cut, binned=binned, timed=True), ledger, day=day, within=within)


def _known(lines: Lines, ledger: Ledger, *, day: int | None, within: tuple[int, int] | None) -> Lines:
    """Lines of some days as known at a time; what is left out first need not be looked at."""
    if within is not None:
        lines = lines.chosen((lines.day >= within[0]) & (lines.day < within[1]))
    return lines if day is None else _as_of(lines, day, silence=ledger.contract.label.silence)


def _held(ledger: Ledger, kind: str, cut: c.Cut, *, binned: bool, timed: bool, daily: bool = True) -> Lines:
    """Made at the first question and kept: lines added up over what the question does not tell apart."""
    key = (kind, cut, binned, timed, daily)
    if key not in ledger.views:
        ledger.views[key] = _lines(ledger, kind, cut, binned=binned, timed=timed, daily=daily)
    return ledger.views[key]


def _lines(ledger: Ledger, kind: str, cut: c.Cut, *, binned: bool, timed: bool, daily: bool) -> Lines:
    table = ledger.tables[kind, cut]
    keys, sums = list(c.keys_of(kind, cut)), c.sums_of(kind, extended=ledger.manifest.extended)
    if kind == c.CELLS and not timed:
        table = table.with_columns(pl.col(c.MATURES).is_not_null().cast(pl.Int32).alias(c.MATURE))
        dropped = {c.SEEN, c.KNOWN, c.LAG, c.MATURES}
        keys = [name for name in keys if name not in dropped] + [c.MATURE]
    if kind == c.CELLS and not cut and not binned:
        keys.remove(c.BIN)
    if not daily:
        table = table.with_columns(pl.col(c.DAY).min())
    if not daily or set(keys) != set(c.keys_of(kind, cut)):
        table = add_up([table], keys, sums)
    extra = next((name for name in (c.BIN, c.BUCKET) if name in keys), None)
    size = table.height
    scale = ledger.manifest
    scales: dict[str, float] = dict.fromkeys((*c.POWERS, c.FAR), float(c.SCALE))
    scales |= dict.fromkeys((item.name for item in c.PRODUCTS), float(c.product_scale(scale.weights)))
    return Lines(
        slices=tuple(_whole(table, c.slice_key(position), -1) for position in range(len(cut))),
        version=_whole(table, c.VERSION, -1),
        day=_whole(table, c.DAY, 0),
        state=_whole(table, c.STATE, 0),
        flagged=_whole(table, c.FLAGGED, -1) if c.FLAGGED in keys else np.full(size, -1, dtype=np.int64),
        mature=table.get_column(c.MATURES).is_not_null().to_numpy() if timed else _whole(table, c.MATURE, 0) > 0,
        settled=_whole(table, c.SETTLED, 0) > 0,
        extra=None if extra is None else _whole(table, extra, 0),
        sums={name: table.get_column(name).to_numpy() / scales.get(name, 1.0) for name in sums},
        timing=Timing(*(_whole(table, name, NEVER) for name in (c.SEEN, c.KNOWN, c.LAG, c.MATURES))) if timed else None,
    )


def _whole(table: pl.DataFrame, name: str, null: int) -> Whole:
    return table.get_column(name).cast(pl.Int64).fill_null(null).to_numpy()


def _as_of(lines: Lines, at: int, *, silence: str) -> Lines:
    """What a join at that midnight says of these rows, as long as nothing that was said then was corrected later.

    Actions count as known when the prediction was made.
    """
    timing: Any = lines.timing
    lines = lines.chosen(lines.day + timing.seen <= at)
    timing = lines.timing
    mature = lines.day + timing.matures <= at
    settled = lines.settled & mature
    hidden = lines.state == c.CODE["censored"]
    labelled = lines.state <= c.LABELLED_CODES[-1]
    arrived = lines.day + timing.known <= at
    kept = (labelled & arrived) | hidden
    state = np.full(len(lines.state), c.CODE["pending"], dtype=np.int64)
    if silence == "negative":
        # A label that came after its window closed had been a negative by silence until then.
        state[settled & labelled] = c.CODE["negative"]
        state[settled & (lines.state == c.CODE["missing"])] = c.CODE["missing"]
    else:
        state[mature] = c.CODE["missing"]
    return replace(lines, state=np.where(kept, lines.state, state), mature=mature, settled=settled)
