"""One number with everything that belongs to it."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Estimate:
    """A value, its interval, its worst-case bounds, and what it rests on.

    Attributes
    ----------
    value
        The estimate on the labelled rows; None when it is not estimable (then ``reason`` says why).
    lower, upper
        Interval at the result's level.
    bound_lower, bound_upper
        Worst case over the labels that are missing or pending: bound_lower <= value <= bound_upper.
    n, n_labelled
        Predictions in the cell, and those with a label.
    stage
        ``young``, ``provisional@30d``, ``final`` or ``mixed``.
    method
        How the interval was made.
    reason
        Why there is no value, else None.
    """

    value: float | None
    lower: float | None
    upper: float | None
    bound_lower: float | None
    bound_upper: float | None
    n: int
    n_labelled: int
    stage: str
    method: str | None
    reason: str | None = None
