"""Rows whose action hides the outcome: those let through at random stand for them (Horvitz and Thompson 1952)."""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Final

import numpy as np
import polars as pl

from fbkit.diagnose import words
from fbkit.diagnose.bootstrap import Floats, Ints
from fbkit.diagnose.labels import Labels, Repair
from fbkit.diagnose.rows import CURRENT, REFERENCE, WINDOWS, Flags, Rows
from fbkit.diagnose.scene import Scene

MOVED_Z: Final = 4.0
"""Standard deviations by which the blocked share must move at equal scores and decisions."""
MOVED_SHARE: Final = 0.002
"""Smaller shares of the rows hide too few outcomes to matter for a metric of the whole."""
FEWEST_EFFECTIVE: Final = 30.0
"""Effective explored labels below which weights are noise."""
FEWEST_BESIDE: Final = 3
"""Labelled rows beside blocked ones for a cell to count as covered."""
COVERED: Final = 0.8
"""Share of the blocked rows that must be covered for the metric to be more than bounds where no weights are."""
MISFIT: Final = 3.0
"""Sum of 1 / propensity over the rows that it should stand for: further off, these are not propensities of blocking."""
_DECISIONS: Final = ("not flagged", "flagged")
NO_PROPENSITY: Final = "no propensity of the rows that were let through: selective-labels bounds only"
NO_EXPLORATION: Final = "no rows like the blocked ones were let through at random: selective-labels bounds only"
TOO_FEW: Final = "too few rows were let through at random to stand for the blocked ones: selective-labels bounds only"
MISFITTING: Final = "the logged propensities do not fit the number of blocked rows: selective-labels bounds only"


@dataclass(frozen=True, slots=True, kw_only=True)
class Censoring:
    """What actions hide, and who can stand for it.

    Attributes
    ----------
    blocked, explored
        Rows whose outcome the action hides; rows like them that were let through at random (labelled or not).
    weight
        How many rows a row stands for: 1 but for explored ones, whose weights add up to the explored and the blocked.
    share
        Blocked share of the rows by window.
    z
        Move of the blocked share at equal decisions and scores, in standard deviations; None if nothing is blocked.
    moved
        The blocked share of the current rows beyond what the reference's policy would block at their scores.
    effective
        Effective number of explored labels by window: (sum of w)^2 / sum of w^2.
    covered
        Share of the blocked current rows with labelled rows of the same decision and score bin beside them; for those
        the correction within cells can stand in if what is blocked there was as good as random.
    reason
        Why the blocked rows cannot be stood for, else None.
    frame
        One row by window and decision.
    """

    blocked: Flags
    explored: Flags
    weight: Floats
    share: tuple[float, float]
    z: float | None
    moved: float
    effective: tuple[float, float]
    covered: float
    reason: str | None
    frame: pl.DataFrame

    @property
    def fires(self) -> bool:
        """The policy blocks another share than in the reference, beyond chance and by enough to matter."""
        return self.z is not None and abs(self.z) > MOVED_Z and abs(self.moved) >= MOVED_SHARE

    @property
    def identified(self) -> bool:
        """Explored rows stand for the blocked ones in every window that blocks; else only bounds hold."""
        return self.reason is None

    @property
    def bounds_only(self) -> bool:
        """Rows that matter are blocked and neither stood for nor covered: no point value is identified."""
        return self.matters and not self.identified and self.covered < COVERED

    @property
    def matters(self) -> bool:
        """Some window blocks enough rows for its outcomes to count."""
        return max(self.share) >= MOVED_SHARE


def censoring(scene: Scene, labels: Labels) -> Censoring | None:
    """Find blocked and explored rows and weigh the latter; None when no action hides an outcome.

    A row counts as explored if it was let through with a propensity below 1 although rows of its window, decision and
    score bin are blocked, and its propensity fits into what the blocked rows' own propensity leaves. Propensities of
    actions that hide nothing (review or not) are never weights.
    """
    rows = scene.rows
    if "blocked" not in rows.frame.columns or not rows.frame["blocked"].any():
        return None
    blocked = rows.frame["blocked"].fill_null(value=False).to_numpy()
    propensity = _propensity(rows)
    cell = (rows.window * 2 + rows.decision) * scene.bins + scene.bin_of
    size = 4 * scene.bins
    explored = _explored(blocked, propensity, cell, size=size)
    raw = np.where(explored, 1 / np.where(explored, propensity, 1.0), 0.0)
    weight = _normalised(raw, blocked=blocked, explored=explored, cell=cell, bins=scene.bins)
    z, moved = _moved(scene, blocked)
    spoken = explored & labels.seen
    effective = tuple(_effective(weight[spoken & rows.of(window)]) for window in (REFERENCE, CURRENT))
    found = Censoring(
        blocked=blocked,
        explored=explored,
        weight=weight,
        share=(float(blocked[rows.of(REFERENCE)].mean()), float(blocked[rows.of(CURRENT)].mean())),
        z=z,
        moved=moved,
        effective=(effective[0], effective[1]),
        covered=_covered(rows, labels, blocked, cell=cell, size=size),
        reason=None,
        frame=_frame(rows, blocked=blocked, explored=explored, spoken=spoken, weight=weight),
    )
    return replace(found, reason=_reason(rows, found, raw=raw, propensity=propensity))


def action_censoring(scene: Scene, labels: Labels) -> Repair | None:
    """Let explored rows stand for the blocked ones of both windows; None when no action hides an outcome.

    Fires if the policy blocks another share of the rows than in the reference. If it does not, ``labels`` are weighted
    all the same where that is possible: blocking is then the base policy of both windows. Where the blocked rows cannot
    be stood for, the labels stay as they were and ``reason`` says why.
    """
    found = censoring(scene, labels)
    if found is None or not found.matters:
        return None
    weighted = replace(labels, weight=labels.weight * found.weight) if found.identified else labels
    return Repair(
        cause="action_censoring",
        labels=weighted,
        fires=found.fires,
        where=_where(scene.rows, found.blocked),
        evidence=_sentence(found),
        next_evidence="Outcomes of more rows that are let through at random, with the propensity of the action taken.",
        frame=found.frame,
        numbers=_numbers(found),
        best="established" if found.identified else "possible",
        reason=found.reason,
    )


def bounds_only(repairs: Iterable[Repair]) -> bool:
    """Whether a censoring repair left only bounds: blocked rows that matter, neither stood for nor covered."""
    for repair in repairs:
        covered = repair.numbers.get("censored_covered", ("share", None))[1]
        if repair.cause == "action_censoring" and repair.reason is not None and covered is not None:
            return covered < COVERED
    return False


def _propensity(rows: Rows) -> Floats:
    if "propensity" not in rows.frame.columns:
        return np.full(len(rows), np.nan)
    return rows.frame["propensity"].cast(pl.Float64).fill_null(float("nan")).to_numpy()


def _explored(blocked: Flags, propensity: Floats, cell: Ints, *, size: int) -> Flags:
    zone = np.bincount(cell[blocked], minlength=size) > 0
    # What blocking leaves to all other actions together; unknown where no blocked row says its propensity.
    left = np.full(size, -np.inf)
    said = blocked & np.isfinite(propensity)
    np.maximum.at(left, cell[said], 1 - propensity[said])
    left = np.where(np.isfinite(left), left, 1.0)
    with np.errstate(invalid="ignore"):
        random = (propensity > 0) & (propensity < 1) & (propensity <= 1.01 * left[cell] + 1e-9)
    return random & ~blocked & zone[cell]


def _normalised(raw: Floats, *, blocked: Flags, explored: Flags, cell: Ints, bins: int) -> Floats:
    """Weights that add up to the rows they stand for; a bin without explored rows joins the nearest that has some."""
    stands_for = np.bincount(cell, weights=(blocked | explored).astype(np.float64), minlength=4 * bins).reshape(
        -1, bins
    )
    total = np.bincount(cell, weights=raw, minlength=4 * bins).reshape(-1, bins)
    factor = np.zeros_like(total)
    for row, (mass, known) in enumerate(zip(stands_for, total, strict=True)):
        with_some = np.flatnonzero(known > 0)
        if not len(with_some):
            continue
        nearest = with_some[np.abs(np.arange(bins)[:, None] - with_some[None, :]).argmin(1)]
        gathered = np.bincount(nearest, weights=mass, minlength=bins)
        factor[row, with_some] = gathered[with_some] / known[with_some]
    return np.where(explored, raw * factor.ravel()[cell], 1.0)


def _moved(scene: Scene, blocked: Flags) -> tuple[float | None, float]:
    """How far the current blocked share is from the reference's policy at the current decisions and scores."""
    rows, size = scene.rows, 2 * scene.bins
    code = rows.window * size + rows.decision * scene.bins + scene.bin_of
    n = scene.resampler.sums(code, size=2 * size).reshape(-1, 2, size)
    hidden = scene.resampler.sums(code, size=2 * size, rows=blocked).reshape(-1, 2, size)
    rate = _policy(hidden[:, REFERENCE], n[:, REFERENCE], bins=scene.bins)
    gap = hidden[:, CURRENT].sum(-1) - (n[:, CURRENT] * rate).sum(-1)
    chance = rate[0] * (1 - rate[0])
    binomial = float(
        np.sqrt((n[0, CURRENT] * chance * (1 + n[0, CURRENT] / np.maximum(n[0, REFERENCE], 1.0))).sum() + 1)
    )
    spread = max(binomial, float(np.std(gap[1:], ddof=1)) if scene.resampler.draws else 0.0)
    return float(gap[0]) / spread, float(gap[0] / n[0, CURRENT].sum())


def _policy(hidden: Floats, n: Floats, *, bins: int) -> Floats:
    """Blocked share by decision and score; by score alone, then of all rows, where the reference has no such row."""
    parts = [array.reshape(-1, 2, bins) for array in (hidden, n)]
    by_bin, by_all = ([part.sum(axes, keepdims=True) for part in parts] for axes in (1, (1, 2)))
    with np.errstate(divide="ignore", invalid="ignore"):
        rate = parts[0] / parts[1]
        for part, whole in (by_bin, by_all):
            rate = np.where(np.isfinite(rate), rate, part / whole)
    return rate.reshape(n.shape)


def _effective(weight: Floats) -> float:
    return float(weight.sum() ** 2 / (weight**2).sum()) if len(weight) else 0.0


def _covered(rows: Rows, labels: Labels, blocked: Flags, *, cell: Ints, size: int) -> float:
    beside = np.bincount(cell[labels.seen & ~blocked], minlength=size) >= FEWEST_BESIDE
    hidden = blocked & rows.of(CURRENT)
    return float(beside[cell[hidden]].mean()) if hidden.any() else 1.0


def _reason(rows: Rows, found: Censoring, *, raw: Floats, propensity: Floats) -> str | None:
    """The first window that blocks rows which nobody stands for says why."""
    for window in (CURRENT, REFERENCE):
        mine = rows.of(window)
        if found.share[window] < MOVED_SHARE:
            continue
        if not np.isfinite(propensity[mine & ~found.blocked]).any():
            return NO_PROPENSITY
        if not (found.explored & mine).any():
            return NO_EXPLORATION
        if found.effective[window] < FEWEST_EFFECTIVE:
            return TOO_FEW
        stood_for = float((found.explored & mine).sum() + (found.blocked & mine).sum())
        if not stood_for / MISFIT < raw[mine].sum() < stood_for * MISFIT:
            return MISFITTING
    return None


def _frame(rows: Rows, *, blocked: Flags, explored: Flags, spoken: Flags, weight: Floats) -> pl.DataFrame:
    made: list[dict[str, object]] = []
    for window, name in enumerate(WINDOWS):
        for decision, said in enumerate(_DECISIONS):
            mine = rows.of(window) & (rows.decision == decision)
            own = weight[mine & spoken]
            made.append(
                {
                    "window": name,
                    "decision": said,
                    "n": int(mine.sum()),
                    "blocked": int((mine & blocked).sum()),
                    "explored": int((mine & explored).sum()),
                    "share": float(blocked[mine].mean()) if mine.any() else None,
                    "ess": _effective(own),
                    "mean_weight": float(own.mean()) if len(own) else None,
                }
            )
    return pl.DataFrame(made, schema_overrides={"share": pl.Float64, "mean_weight": pl.Float64})


def _where(rows: Rows, blocked: Flags) -> str:
    """The actions that hide, most frequent first."""
    if "action" not in rows.frame.columns:
        return "everywhere"
    names = rows.frame["action"].filter(pl.Series(blocked & rows.of(CURRENT))).drop_nulls()
    counts = names.value_counts(name="_n").sort(["_n", names.name], descending=[True, False])
    return f"action={', '.join(counts[names.name].head(3).to_list())}" if counts.height else "everywhere"


def _sentence(found: Censoring) -> str:
    text = (
        f"The action hides the outcome of {words.percent(found.share[CURRENT])} of the current rows "
        f"({words.percent(found.share[REFERENCE])} in the reference)"
    )
    if found.reason is not None:
        return f"{text}; {found.reason}."
    return (
        f"{text}; {words.count(_count(found, 'current'))} rows like them were let through at random and stand for them "
        f"by their propensity (as good as {words.count(found.effective[CURRENT])} labels of equal weight)."
    )


def _count(found: Censoring, window: str) -> float:
    return float(found.frame.filter(pl.col("window") == window)["explored"].sum())


def _numbers(found: Censoring) -> dict[str, tuple[str, float | None]]:
    return {
        "censored_share_reference": ("share", found.share[REFERENCE]),
        "censored_share_current": ("share", found.share[CURRENT]),
        "censored_share_moved": ("share", found.moved),
        "censored_z": ("ratio", found.z),
        "censored_covered": ("share", found.covered),
        "explored_reference": ("count", _count(found, "reference")),
        "explored_current": ("count", _count(found, "current")),
        "explored_effective_reference": ("count", found.effective[REFERENCE]),
        "explored_effective_current": ("count", found.effective[CURRENT]),
    }
