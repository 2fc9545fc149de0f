"""What moved in the served features: null rates, ranks against the reference, and the line between the quantiles."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Final

import numpy as np
import polars as pl

from fbkit.diagnose.bootstrap import Floats, Ints
from fbkit.diagnose.rows import CURRENT, REFERENCE, Flags, Rows, Strata, encode
from fbkit.diagnose.scene import Scene
from fbkit.schema.contract import Contract

MOST_FEATURES: Final = 60
MOST_VALUES: Final = 20
"""Text values of a feature that are told apart."""
NULL_JUMP: Final = 0.02
RANK_SHIFT: Final = 0.05
"""Standard deviations (of ranks) below which a move is of no practical size."""
GATE: Final = 5.0
SPREAD_OF_RANKS: Final = 12.0**-0.5
SPREAD_OF_SQUARES: Final = 180.0**-0.5
"""Standard deviation of the squared distance of a uniform rank from the middle."""
FEWEST: Final = 50
FEWEST_CHUNKS: Final = 3
LOOKED_AT: Final = 5_000
CLOCKLIKE: Final = 0.9
"""Rank correlation with time from which a number is taken for a counter or a clock."""
NO_FEATURES: Final = frozenset(
    {
        "score", "threshold", "decision", "flagged", "label", "outcome", "target", "propensity",
        "n_outcomes", "n_rivals", "position",
        "latency_ms", "latency_feature_ms", "latency_inference_ms", "latency_post_ms", "cost",
    }
)  # fmt: skip
"""Numbers in the joined table that say something of the prediction, never what it was made of."""


@dataclass(frozen=True, eq=False)
class Feature:
    """One feature as served: ``values`` are numbers (NaN: null), or places in ``levels`` for text."""

    name: str
    values: Floats
    levels: tuple[str, ...]
    reference: Flags

    @property
    def numeric(self) -> bool:
        return not self.levels

    @cached_property
    def null(self) -> Flags:
        return np.isnan(self.values)

    @cached_property
    def sorted_reference(self) -> Floats:
        """The reference's values in order, without nulls."""
        return np.sort(self.values[self.reference & ~self.null])

    def rank(self, values: Floats) -> Floats:
        """Mid-rank (0..1) among the reference's values; NaN stays."""
        among = self.sorted_reference
        if not len(among):
            return np.full(len(values), np.nan)
        # Looked up in order: several times as fast as at random.
        order = np.argsort(values)
        rising = values[order]
        middle = (np.searchsorted(among, rising, side="left") + np.searchsorted(among, rising, side="right")) / 2
        found = np.empty(len(values))
        found[order] = np.where(np.isnan(rising), np.nan, middle / len(among))
        return found

    @cached_property
    def ranks(self) -> Floats:
        """Of every row."""
        return self.rank(self.values)


def feature_columns(frame: pl.DataFrame, contract: Contract) -> list[str]:
    """The contract's features that the log has; where it names none, the log's numbers that nothing else explains.

    Slices, ids, personal columns and everything that the kit itself reads or makes are no features. The numbers of a
    ranked list say something of the list, so there only the contract's count.
    """
    if contract.features.columns or contract.model.task == "ranking":
        return [name for name in contract.features.columns if name in frame.columns]
    known = {*NO_FEATURES, *contract.slices.columns, *contract.privacy.personal}
    numbers = [
        name
        for name, dtype in frame.schema.items()
        if dtype.is_numeric() and name not in known and not name.startswith("_") and not name.endswith("_id")
    ]
    some = frame.select("ts_pred", *numbers).gather_every(max(1, frame.height // LOOKED_AT)).sort("ts_pred")
    return [name for name in numbers if not _counts_up(some[name])]


def _counts_up(values: pl.Series) -> bool:
    """A number that grows with time (a counter, a clock) is no input that can drift."""
    rank = values.drop_nulls().rank().to_numpy()
    if len(rank) < FEWEST or np.std(rank) == 0:
        return False
    return bool(abs(np.corrcoef(rank, np.arange(len(rank)))[0, 1]) > CLOCKLIKE)


def served(rows: Rows, contract: Contract, *, extra: Sequence[str] = ()) -> list[Feature]:
    """The contract's features that the log has (and ``extra`` columns): numbers, or text with its commonest values."""
    wanted = (*feature_columns(rows.frame, contract), *extra)
    names = dict.fromkeys(name for name in wanted if name in rows.frame.columns)
    reference = rows.of(REFERENCE)
    found: list[Feature] = []
    for name in list(names)[:MOST_FEATURES]:
        column = rows.frame[name]
        if column.dtype.is_numeric() or column.dtype == pl.Boolean:
            values = column.cast(pl.Float64).fill_nan(None).to_numpy(writable=True)
            found.append(Feature(name, np.where(np.isfinite(values), values, np.nan), (), reference))
        elif column.dtype in (pl.String, pl.Categorical, pl.Enum):
            levels, code = encode(column, most=MOST_VALUES)
            gap = column.is_null().to_numpy()
            found.append(Feature(name, np.where(gap, np.nan, code.astype(np.float64)), levels, reference))
    return found


@dataclass(frozen=True, slots=True, kw_only=True)
class Move:
    """How one feature moved from the reference to the current window.

    ``jump`` is the change of the null rate, ``rank`` that of the mean rank in its standard deviations, ``width`` that
    of the squared distance from the middle; each at the current mix of slices, with ``*_z`` against what windows of
    the reference do among themselves.
    """

    name: str
    null: tuple[float, float]
    jump: float
    jump_z: float
    rank: float
    rank_z: float
    width: float
    width_z: float

    @property
    def nulls(self) -> bool:
        """The null rate jumped."""
        return self.jump > NULL_JUMP and self.jump_z > GATE

    @property
    def moved(self) -> bool:
        """Its values moved, in place or in spread."""
        place = abs(self.rank) > RANK_SHIFT and abs(self.rank_z) > GATE
        return place or (abs(self.width) > 2 * RANK_SHIFT and abs(self.width_z) > GATE)


@dataclass(frozen=True, eq=False)
class Yardstick:
    """Compares the windows at the current mix, against how parts of the reference of the same length vary."""

    scene: Scene
    strata: Strata
    usable: Flags

    @cached_property
    def chunk(self) -> Ints:
        """Part of the reference (as long as the current window, counted back from it); days where there are few."""
        when = self.scene.rows.frame["ts_pred"].dt.epoch("us").to_numpy()
        start = int(self.scene.current.start.timestamp() * 1_000_000)
        length = int((self.scene.current.end - self.scene.current.start).total_seconds() * 1_000_000)
        first = int(self.scene.reference.start.timestamp() * 1_000_000)
        if (start - first) // length < FEWEST_CHUNKS:
            length = 86_400_000_000
        place = (start - when - 1) // length
        whole = (start - first) // length
        return np.where((place >= 0) & (place < whole), place, -1)

    @cached_property
    def per_chunk(self) -> float:
        """Chunks that the current window is long."""
        length = (self.scene.current.end - self.scene.current.start).total_seconds()
        first = (self.scene.current.start - self.scene.reference.start).total_seconds()
        return 1.0 if first // length >= FEWEST_CHUNKS else max(1.0, length / 86_400)

    def move(self, value: Floats, *, known: Flags) -> tuple[float, float]:
        """Difference of the means and its standard error; no difference and no error: one side has too few rows."""
        rows, code = self.scene.rows, self.strata.code
        mine = [rows.of(w) & known for w in (REFERENCE, CURRENT)]
        if min(int(m.sum()) for m in mine) < FEWEST:
            return 0.0, 0.0
        size = self.strata.size
        n = [np.bincount(code[m], minlength=size) for m in mine]
        total = [np.bincount(code[m], weights=value[m], minlength=size) for m in mine]
        overall = total[0].sum() / n[0].sum()
        mean = np.divide(total[0], n[0], out=np.full(size, overall), where=n[0] > 0)
        change = (total[1].sum() - (n[1] * mean).sum()) / n[1].sum()
        spread = float(np.var(value[mine[0]]))
        noise = spread * (1 / n[0].sum() + 1 / n[1].sum()) + self._between(value, mine[0], spread=spread)
        return float(change), float(np.sqrt(noise))

    def _between(self, value: Floats, mine: Flags, *, spread: float) -> float:
        """Variance of a window's mean beyond that of its rows, with a margin for few windows."""
        chunk = self.chunk[mine]
        inside = chunk >= 0
        if not inside.any():
            return 0.0
        n = np.bincount(chunk[inside])
        total = np.bincount(chunk[inside], weights=value[mine][inside])
        kept = n > 0
        if kept.sum() < FEWEST_CHUNKS:
            return 0.0
        means, count = total[kept] / n[kept], int(kept.sum())
        beyond = float(np.var(means, ddof=1)) - spread * float((1 / n[kept]).mean())
        return max(0.0, beyond) / self.per_chunk * (1 + 1 / count) * (1 + 4 / count)


def moves(yardstick: Yardstick, features: Sequence[Feature]) -> dict[str, Move]:
    """Every feature's move by name."""
    rows, usable = yardstick.scene.rows, yardstick.usable
    found: dict[str, Move] = {}
    for feature in features:
        null = feature.null.astype(np.float64)
        jump, jump_z = _with_z(yardstick.move(null, known=usable))
        rank, rank_z, width, width_z = 0.0, 0.0, 0.0, 0.0
        if feature.numeric:
            known = usable & ~feature.null
            ranks = np.nan_to_num(feature.ranks, nan=0.5)
            rank, rank_z = _with_z(yardstick.move(ranks, known=known))
            width, width_z = _with_z(yardstick.move((ranks - 0.5) ** 2, known=known))
        found[feature.name] = Move(
            name=feature.name,
            null=(float(null[rows.of(REFERENCE)].mean()), float(null[rows.of(CURRENT)].mean())),
            jump=jump,
            jump_z=jump_z,
            rank=rank / SPREAD_OF_RANKS,
            rank_z=rank_z,
            width=width / SPREAD_OF_SQUARES,
            width_z=width_z,
        )
    return found


def _with_z(found: tuple[float, float]) -> tuple[float, float]:
    change, error = found
    return change, change / error if error > 0 else float(np.sign(change)) * np.inf if change else 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """Current quantiles against the reference's: the line, and whether it is one factor or one addend."""

    slope: float
    intercept: float
    factor: float
    addend: float
    kind: str
    straight: bool

    def apply(self, values: Floats) -> Floats:
        """What the reference's values would be now."""
        if self.kind == "rescale":
            return self.factor * values
        return values + self.addend if self.kind == "shift" else self.intercept + self.slope * values


LEVELS: Final = np.linspace(0.02, 0.98, 25)


def quantile_line(before: Floats, after: Floats) -> Line | None:
    """Fit the quantiles of both; None where one has too few values or the reference is constant."""
    if min(len(before), len(after)) < FEWEST:
        return None
    x, y = np.quantile(before, LEVELS), np.quantile(after, LEVELS)
    spread = float(np.std(x))
    if not spread:
        return None
    slope, intercept = (float(v) for v in np.polyfit(x, y, 1))
    factor, addend = float((x * y).sum() / (x * x).sum()), float((y - x).mean())
    misfit = [float(np.sqrt(np.mean((y - fit) ** 2))) for fit in (factor * x, x + addend, intercept + slope * x)]
    coarse = _step(before) * max(1.0, abs(slope))
    limit = 0.1 * max(float(np.std(y)), 1e-300) + 0.5 * coarse
    kind = "line"
    if min(misfit[:2]) < 2 * misfit[2] + 0.5 * limit:
        kind = "rescale" if misfit[0] <= misfit[1] else "shift"
    return Line(slope=slope, intercept=intercept, factor=factor, addend=addend, kind=kind, straight=min(misfit) < limit)


def _step(values: Floats) -> float:
    """The grid that the values stand on, if they are few; 0 otherwise."""
    distinct = np.unique(values[:5000])
    return float(np.diff(distinct).min()) if 1 < len(distinct) < 200 else 0.0
