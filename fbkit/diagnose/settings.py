"""Every threshold of the method in one place; change one only with a measurement on incidents of known truth."""

from dataclasses import asdict, dataclass
from typing import Final


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """Gates decide what is tested, ``material`` what is claimed.

    Attributes
    ----------
    level
        Level of every interval.
    buckets
        Entities are hashed into this many bootstrap clusters; more only costs time.
    decisions_moved
        Share of the current rows that must be decided differently at equal scores before a threshold is replayed.
    spread
        Label rates of two decisions or slices must move apart by this ratio before the place is named.
    remainder_share
        The remainder must reach this share of the metric's floor to be told from noise.
    sure
        Standard errors beyond which a material cause is established, not only probable.
    fragile_touch
        If labels kept at this odds ratio (or nearer to 1) would let the true change vanish, it is probable at best.
    known_version
        A version with less than this share of the reference rows is new.
    thin_cell
        Cells with fewer labels than this borrow their rate from the same score bin of all slices.
    score_bins
        Score bins asked for (half of equal rows, half of equal positives), thresholds extra.
    strata
        Most slice strata in one table; two slice columns are crossed only below it.
    slice_p
        p-value (already multiplied by the number of columns) below which a column's availability differs.
    shift_p
        The same for a change of composition or of the score distribution.
    replay_floor
        A replayed cause must move the metric by this many points to be kept apart.
    noise_gate
        Standard errors that a replayed cause must exceed to be told from noise: 5 % shared by some twenty tested
        mechanisms and slices (Bonferroni).
    remainder_gate
        The same for the remainder, a single test: 1 % of weeks without change pass it.
    shape_gate, gate_with_shape
        Where outcomes at equal scores changed their slope by more standard errors than the first, the remainder
        needs only the second to be told from noise.
    power
        Standard errors added to the remainder's gate for the minimum detectable change (90 % power).
    nonrandom_missing, nonrandom_positives, nonrandom_negatives
        Count conservation: excess unlabelled flagged rows, deficit of labelled positives, and no deficit of negatives.
    fewest_arrivals
        Labelled mature rows that an arrival curve needs.
    new_version_share
        Share of the current rows on versions unknown to the reference that makes the version a suspect.
    orphans_least, orphans_share
        More orphan outcomes than the first, and enough for this share of the missing labels: the join broke.
    fewest_days, day_p
        Days the reference needs, and the p-value below which outcomes at equal scores differ by day: then
        the interval of the remainder widens by the excess.
    graded_odds, gamma_cap
        Label loss that follows the score inside the flagged rows (odds ratio above the first) widens the
        intervals by what a dependence on the outcome of that strength (at most the second) would do.
    """

    level: float = 0.95
    buckets: int = 512
    decisions_moved: float = 0.001
    spread: float = 0.05
    remainder_share: float = 0.8
    sure: float = 3.0
    fragile_touch: float = 0.75
    known_version: float = 0.01
    thin_cell: int = 6
    score_bins: int = 16
    strata: int = 40
    slice_p: float = 1e-3
    shift_p: float = 5e-4
    replay_floor: float = 0.006
    noise_gate: float = 3.0
    remainder_gate: float = 2.6
    shape_gate: float = 3.0
    gate_with_shape: float = 1.96
    power: float = 1.28
    nonrandom_missing: float = 4.0
    nonrandom_positives: float = -3.0
    nonrandom_negatives: float = -2.5
    fewest_arrivals: int = 50
    new_version_share: float = 0.05
    fewest_days: int = 5
    day_p: float = 1e-4
    graded_odds: float = 2.0
    gamma_cap: float = 3.0
    orphans_least: int = 20
    orphans_share: float = 0.5

    def as_dict(self) -> dict[str, float]:
        """For the method record of a diagnosis."""
        return asdict(self)


SETTINGS: Final = Settings()
AUDIT_FLAGGED, AUDIT_UNFLAGGED = 300, 500
"""Rows of an audit that tells lost labels from a worse model."""

RATES: Final = ("recall", "precision", "specificity", "f1", "accuracy", "base_rate", "roc_auc", "average_precision")
PROBABILITY_LOSSES: Final = ("brier", "log_loss")
CALIBRATION: Final = ("ece", "mcb", "dsc")
VALUE_LOSSES: Final = ("mae", "rmse", "bias")
VALUE: Final = "value_per_prediction"
METRICS: Final = (*RATES, *PROBABILITY_LOSSES, *CALIBRATION, *VALUE_LOSSES, VALUE)
NEEDS_DECISION: Final = ("recall", "precision", "specificity", "f1", "accuracy", VALUE)
RANKING_METRICS: Final = ("ctr",)
REQUEST_METRICS: Final = ("ndcg", "mrr", "hit_rate", "precision", "recall")
"""Of ranked lists, as name@k: one number per request."""
_LOWER_IS_BETTER: Final = ("brier", "log_loss", "ece", "mcb", "mae", "rmse")
OWN: Final = "\0own"
"""The column of a team's own metric: its value for every row, null where the row does not count."""


class OwnName(str):
    """The name of a team's own metric, a mean over labelled rows, with the way that is good."""

    __slots__ = ("better",)

    better: str


class ValueName(str):
    """``value_per_prediction``, with what the contract's [value] says of each outcome."""

    __slots__ = ("worth",)

    worth: tuple[float, float, float, float]
    """Of a true positive, a false negative, a false positive and a true negative."""


def is_mean_of_values(metric: str) -> bool:
    """Whether the metric is a mean of numbers that need no positives: an error, or a team's own."""
    return metric in VALUE_LOSSES or isinstance(metric, OwnName)


def lower_is_better(metric: str) -> bool:
    """Whether a fall of the metric is good."""
    return metric.better == "lower" if isinstance(metric, OwnName) else metric in _LOWER_IS_BETTER


def material_floor(metric: str, reference: float) -> float:
    """The smallest change that is worth a claim.

    >>> material_floor("recall", 0.8), material_floor("brier", 0.05)
    (0.01, 0.002)
    """
    if metric in RATES or metric == "ece":
        return 0.01
    return 0.002 if metric in ("brier", "mcb", "dsc") else 0.02 * abs(reference)


def replay_floor(metric: str, reference: float, *, settings: Settings = SETTINGS) -> float:
    """The smallest effect of a replayed cause that is kept apart: the floor of rates, in proportion for other metrics.

    >>> replay_floor("recall", 0.8), round(replay_floor("mae", 20.0), 6)
    (0.006, 0.24)
    """
    return settings.replay_floor * material_floor(metric, reference) / material_floor("recall", 1.0)
