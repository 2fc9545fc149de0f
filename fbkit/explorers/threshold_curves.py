"""The curves behind the thresholds explorer: computed once for what is looked at, so that a move only looks up."""

from collections import OrderedDict
from dataclasses import dataclass, field
from typing import Any, Final

import polars as pl

from fbkit.charts import threshold_panels as charts
from fbkit.errors import ArgumentError
from fbkit.explorers.source import Source
from fbkit.explorers.state import View
from fbkit.ledger.ledger import Ledger
from fbkit.measure.chosen_threshold import choose_threshold
from fbkit.measure.threshold_moves import threshold_moves, threshold_range
from fbkit.measure.thresholds import threshold_curve

_KEPT: Final = 16


@dataclass(frozen=True, slots=True, kw_only=True)
class Curves:
    """What a move of the handle looks up: computed once for a period, a slice, a version and a time."""

    by_role: dict[str, pl.DataFrame]
    moves: pl.DataFrame | None
    own: float | None
    best: dict[str, Any]
    between: tuple[float | None, float | None]
    notes: tuple[str, ...]
    counted: bool
    repeats: bool
    rows: list[dict[str, Any]] = field(repr=False)

    @property
    def thresholds(self) -> list[float]:
        """Where the handle can stand."""
        return self.by_role["current"].get_column("threshold").to_list()

    def nearest(self, threshold: float) -> float:
        """The threshold of the curve that lies nearest."""
        return min(self.thresholds, key=lambda place: abs(place - threshold))

    def at(self, threshold: float) -> dict[str, dict[str, Any]]:
        """The numbers of each role at one threshold of the curve."""
        found = ((role, frame.filter(pl.col("threshold") == threshold)) for role, frame in self.by_role.items())
        return {role: frame.row(0, named=True) for role, frame in found if frame.height}

    def move(self, threshold: float) -> dict[str, Any] | None:
        """What changes in the current period against the threshold in use."""
        if self.moves is None:
            return None
        found = self.moves.filter(pl.col("threshold") == threshold)
        return found.row(0, named=True) if found.height else None


class ThresholdsModel:
    """The curves of a view, kept once they were computed; see :class:`Curves`."""

    def __init__(self, source: Source) -> None:
        self.source = source
        self._made: OrderedDict[object, Curves] = OrderedDict()

    def curves(self, view: View, *, target: str, at_least: float) -> Curves:
        """The curves of both periods, what each threshold changes, and the chosen one."""
        key = (view.but(threshold=None, by=None, metric="recall"), target, at_least)
        if key not in self._made:
            self._made[key] = self._curves(view, target=target, at_least=at_least)
            if len(self._made) > _KEPT:
                self._made.popitem(last=False)
        return self._made[key]

    def _curves(self, view: View, *, target: str, at_least: float) -> Curves:
        subject = self.source.subject(view)
        how: dict[str, Any] = {"stage": view.stage, **subject.options}
        periods = {"reference": view.reference, "current": view.now}
        by_role = {role: threshold_curve(subject.data, period=period, **how) for role, period in periods.items()}
        notes = [subject.note] if subject.note else []
        own = self.source.contract.decision.threshold
        moves: pl.DataFrame | None = None
        if own is not None:
            asked = (
                {} if isinstance(subject.data, Ledger) else {"thresholds": by_role["current"]["threshold"].to_list()}
            )
            try:
                moves = threshold_moves(subject.data, before=own, period=view.now, **asked, **how)
            except ArgumentError as error:
                notes.append(f"the threshold in use, {own:.4g}: {error.what}")
        aim: dict[str, Any] = {"fit": view.reference, "target": target, "at_least": at_least, **how}
        best, between = _chosen(subject.data, view, aim)
        # The bins of a ledger do not know which rows are one entity's; the reader is told.
        counted = isinstance(subject.data, Ledger)
        repeats = isinstance(subject.data, Ledger) and subject.data.manifest.repeats
        rows = charts.curve_rows(by_role)
        return Curves(
            by_role=by_role,
            moves=moves,
            own=own,
            best=best,
            between=between,
            notes=tuple(notes),
            counted=counted,
            repeats=repeats,
            rows=rows,
        )


def _chosen(data: Any, view: View, aim: dict[str, Any]) -> tuple[dict[str, Any], tuple[float | None, float | None]]:
    """The threshold that the reference gives, what it gives now, and between which thresholds it may lie."""
    try:
        best = choose_threshold(data, judge=view.now, **aim).row(0, named=True)
        if best["threshold"] is None:
            return best, (None, None)
        return best, threshold_range(data, chosen=best["threshold"], **aim)
    except ArgumentError as error:
        return {"threshold": None, "value": None, "reason": error.what}, (None, None)
