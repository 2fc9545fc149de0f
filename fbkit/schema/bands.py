"""Columns of truth bands, and how each assumption about the missing labels is called in their rows."""

from typing import Final

from fbkit.schema import results as names

ASSUMPTION: Final = "assumption"
DELTA: Final = "delta"
BAND_LOWER: Final = "band_lower"
BAND_UPPER: Final = "band_upper"

COLUMNS: Final = (
    names.METRIC, names.PERIOD_START, names.PERIOD_END, ASSUMPTION, DELTA, names.VALUE, names.LOWER, names.UPPER,
    names.BOUND_LOWER, names.BOUND_UPPER, BAND_LOWER, BAND_UPPER, names.N, names.N_LABELLED, names.STAGE, names.METHOD,
    names.REASON, names.EVALUATION_ID,
)  # fmt: skip

LABELLED: Final = "labelled rows"
WORST_CASE: Final = "worst case"
MORE: Final = "monotone: positive at least as often"
LESS: Final = "monotone: positive at most as often"
AT_RANDOM: Final = "missing at random within cells"
EXPECTED: Final = "CBPE (no labels used)"
_ODDS: Final = "odds ratio"

KINDS: Final = ("labelled", "worst case", "monotone", "odds ratio", "at random", "CBPE")


def odds_ratio(low: float, high: float | None = None) -> str:
    """The name of one odds ratio, or of a range of them.

    >>> odds_ratio(2), odds_ratio(0.5, 2)
    ('odds ratio 2', 'odds ratio 0.5..2')
    """
    return f"{_ODDS} {low:g}" if high is None else f"{_ODDS} {low:g}..{high:g}"


def one_odds_ratio(assumption: str) -> bool:
    """Whether an assumption is one odds ratio for all cells, a point of the curve.

    >>> one_odds_ratio("odds ratio 2"), one_odds_ratio("odds ratio 0.5..2"), one_odds_ratio("worst case")
    (True, False, False)
    """
    return assumption.startswith(_ODDS) and ".." not in assumption


def to_reach(value: float, *, anyhow: bool = False) -> str:
    """The name of a break-even: one odds ratio for all cells, or the least with which some pattern of loss gets there.

    >>> to_reach(0.8), to_reach(0.8, anyhow=True)
    ('to reach 0.8', 'to reach 0.8, any pattern')
    """
    return f"to reach {value:g}" + (", any pattern" if anyhow else "")
