"""Was a default served in place of a score? A logged status says so, or a point mass that is new."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
import polars as pl
from scipy.special import chdtrc, ndtr

from fbkit.diagnose import words
from fbkit.diagnose.bootstrap import Floats, Ints
from fbkit.diagnose.playback import Default
from fbkit.diagnose.player import EVERYWHERE, FALLBACK, Player
from fbkit.diagnose.rows import CURRENT, REFERENCE, Flags
from fbkit.diagnose.scene import Scene
from fbkit.measure.stats.intervals import homogeneity

FAILED: Final = ("fallback", "timeout", "error", "failed", "failure", "default", "degraded")
"""Values of a status column that mean: the model did not answer."""
LEAST_SHARE: Final = 0.005
"""Excess share of the current rows below which a logged status is background."""
LEAST_MASS: Final = 0.01
"""The same for a point mass without a status: many models pile up scores by themselves."""
NEIGHBOURS: Final = 12
"""Distinct scores on either side that tell how much more common such scores became anyway."""
ALONE: Final = 3.0
"""A point mass must have gained this many times what its neighbours gained together."""
GATE: Final = 5.0
EVEN_P: Final = 1e-6

PILED_SCHEMA: Final = {
    "score": pl.Float64, "share_reference": pl.Float64, "share_current": pl.Float64, "expected": pl.Float64,
    "excess": pl.Float64, "z": pl.Float64, "by_status": pl.Boolean,
}  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class Fallback:
    """Rows that were answered by a default, in both windows; excess share by value of the column it follows."""

    rows: Flags
    score: float
    flagged: float
    code: Ints
    share: Floats
    player: Player

    def default(self, index: Ints) -> Default:
        """What it would do to these rows."""
        return Default(share=self.share[self.code[index]], score=self.score, flagged=self.flagged)


def fallback(scene: Scene) -> tuple[Fallback | None, pl.DataFrame]:
    """Look for served defaults; also the frame of piled-up scores.

    The frame has one row per candidate: score, share_reference, share_current, expected (from its neighbours' growth),
    excess, z, by_status.
    """
    status, piles = by_status(scene), piled_scores(scene)
    frame = pl.DataFrame([pile.line() for pile in piles], schema=PILED_SCHEMA, orient="row")
    failed = status if status is not None else np.zeros(len(scene.rows), dtype=bool)
    for pile in piles:
        at = scene.rows.score == pile.score
        if pile.fires and not (failed & at)[scene.rows.of(CURRENT)].any():
            failed = failed | at
    share = [float(failed[scene.rows.of(w)].mean()) for w in (REFERENCE, CURRENT)]
    n = [int(scene.rows.of(w).sum()) for w in (REFERENCE, CURRENT)]
    z = _z(share, n)
    if share[CURRENT] - share[REFERENCE] < LEAST_SHARE or z < GATE:
        return None, frame
    return _found(scene, failed, share, z=z, frame=frame), frame


def by_status(scene: Scene) -> Flags | None:
    """Rows whose logged status says that the model did not answer; None without such a column."""
    frame = scene.rows.frame
    if "status" not in frame.columns or frame["status"].dtype not in (pl.String, pl.Categorical, pl.Enum):
        return None
    told = frame["status"].cast(pl.String).str.strip_chars().str.to_lowercase()
    return told.is_in(FAILED).fill_null(value=False).to_numpy()


@dataclass(frozen=True, slots=True, kw_only=True)
class Pile:
    """One score that many current rows have."""

    score: float
    shares: tuple[float, float]
    expected: float
    z: float
    lonely: bool

    @property
    def excess(self) -> float:
        return self.shares[CURRENT] - self.expected

    @property
    def fires(self) -> bool:
        return self.excess > LEAST_MASS and self.z > GATE and self.lonely

    def line(self) -> tuple[float, float, float, float, float, float, bool]:
        return self.score, *self.shares, self.expected, self.excess, self.z, False


def piled_scores(scene: Scene, *, most: int = 3) -> list[Pile]:
    """Scores that hold more of the current rows than the growth of their neighbours explains, the largest first."""
    rows = scene.rows
    values, place = np.unique(rows.score, return_inverse=True)
    counts = [np.bincount(place[rows.of(w)], minlength=len(values)).astype(np.float64) for w in (REFERENCE, CURRENT)]
    shares = [count / count.sum() for count in counts]
    order = np.argsort(-(shares[CURRENT] - shares[REFERENCE]), kind="stable")[:most]
    found = [_pile(values, shares, int(at), n=counts[CURRENT].sum()) for at in order]
    return [pile for pile in found if pile.excess > LEAST_MASS / 2]


def _pile(values: Floats, shares: Sequence[Floats], at: int, *, n: float) -> Pile:
    near = np.r_[max(0, at - NEIGHBOURS) : at, at + 1 : min(len(values), at + NEIGHBOURS + 1)]
    before, after = (float(part[near].sum()) for part in shares)
    growth = after / before if before > 0 else 1.0
    expected = min(1.0, shares[REFERENCE][at] * max(growth, 1.0))
    spread = np.sqrt(max(expected, 1 / n) * (1 - min(expected, 0.5)) / n)
    rest = [np.delete(part, at) for part in shares]
    apart = float(np.abs(np.cumsum(_whole(rest[1])) - np.cumsum(_whole(rest[0]))).max(initial=0.0))
    excess = shares[CURRENT][at] - expected
    # As far as the other scores may differ by chance (Kolmogorov and Smirnov, 5 %).
    chance = 1.36 / np.sqrt(max(1.0, n * (1 - shares[CURRENT][at])))
    crowded = len(values) <= 2 * NEIGHBOURS or at in (0, len(values) - 1)
    return Pile(
        score=float(values[at]),
        shares=(float(shares[REFERENCE][at]), float(shares[CURRENT][at])),
        expected=float(expected),
        z=float(excess / spread),
        # Scores that crowd at an end of their range, or leaves of a small tree, move together; a default stands alone.
        lonely=excess > ALONE * (after - before) and (not crowded or apart < chance),
    )


def _whole(share: Floats) -> Floats:
    """Proportions of what is there."""
    total = share.sum()
    return share / total if total > 0 else share


def _z(share: Sequence[float], n: Sequence[int]) -> float:
    pooled = (share[0] * n[0] + share[1] * n[1]) / (n[0] + n[1])
    error = np.sqrt(max(pooled * (1 - pooled), 1e-12) * (1 / n[0] + 1 / n[1]))
    return float((share[1] - share[0]) / error)


def _found(scene: Scene, failed: Flags, share: Sequence[float], *, z: float, frame: pl.DataFrame) -> Fallback:
    rows = scene.rows
    now = failed & rows.of(CURRENT)
    values, counts = np.unique(rows.score[now], return_counts=True)
    score = float(values[np.argmax(counts)])
    where, code, shares = _followed(scene, failed)
    said = _status_or_mass(scene, failed)
    frame = frame.with_columns(by_status=pl.lit(said == "the logged status"))
    one = float(counts.max() / counts.sum())
    text = (
        f"{words.percent(share[CURRENT])} of the current rows ({words.percent(share[REFERENCE])} in the reference) "
        f"were answered without the model, as {said} says; {words.percent(one)} of them got the score {score:.4g}. "
        "The same share of the reference's rows with that answer moves {move}."
    )
    numbers = {
        "fallback_share_reference": ("share", share[REFERENCE]),
        "fallback_share_current": ("share", share[CURRENT]),
        "fallback_score": ("ratio", score),
        "fallback_score_share": ("share", one),
    }
    player = Player(
        cause=FALLBACK,
        where=where,
        evidence=text,
        next_evidence="The serving log: time-outs and errors of the model in those hours.",
        frame=frame,
        numbers=numbers,
        p_value=float(ndtr(-z)),
    )
    flagged = float(rows.decision[now].mean())
    return Fallback(rows=failed, score=score, flagged=flagged, code=code, share=shares, player=player)


def _status_or_mass(scene: Scene, failed: Flags) -> str:
    status = by_status(scene)
    told = 0 if status is None else int((status & scene.rows.of(CURRENT)).sum())
    return (
        "the logged status" if told > 0.5 * int((failed & scene.rows.of(CURRENT)).sum()) else "a point mass of scores"
    )


def _followed(scene: Scene, failed: Flags) -> tuple[str, Ints, Floats]:
    """The slice column or the hour that the defaults follow: in words, one code per row, excess share per code."""
    hour = scene.rows.frame["ts_pred"].dt.hour().cast(pl.Int64).to_numpy()
    options = [("hour", tuple(f"{h:02d}" for h in range(24)), hour)]
    options += [(name, values, code) for name, (values, code) in scene.encoded.items()]
    best, chosen = 0.0, ("", ("",), np.zeros(len(failed), np.int64))
    now = scene.rows.of(CURRENT)
    for name, values, code in options:
        table = np.bincount(code[now] * 2 + failed[now], minlength=2 * len(values)).reshape(-1, 2)
        statistic, freedom = homogeneity(table)
        if freedom and float(chdtrc(freedom, statistic)) * len(options) < EVEN_P and statistic / freedom > best:
            best, chosen = statistic / freedom, (name, values, code)
    name, values, code = chosen
    share = _excess(code, failed, now, size=len(values))
    if not name:
        return EVERYWHERE, code, share
    hit = [value for value, part in zip(values, share, strict=True) if part > 0.5 * share.max()]
    return f"{name}={', '.join(hit[:4])}{' and more' if len(hit) > 4 else ''}", code, share


def _excess(code: Ints, failed: Flags, now: Flags, *, size: int) -> Floats:
    """Current share beyond the reference's, of the rows that were answered in the reference."""
    parts: list[Floats] = []
    for mine in (~now, now):
        n = np.bincount(code[mine], minlength=size)
        parts.append(np.bincount(code[mine & failed], minlength=size) / np.maximum(n, 1))
    before, after = np.minimum(parts[0], 1 - 1e-9), parts[1]
    return np.clip((after - before) / (1 - before), 0.0, 1.0)
