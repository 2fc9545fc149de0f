"""What may be asked of truth bands: metrics, kinds of assumptions, odds ratios, values to reach."""

from collections.abc import Mapping, Sequence

import numpy as np

from fbkit.errors import ArgumentError, nearest
from fbkit.measure.labels.masses import METRICS, Metric
from fbkit.schema import bands


def chosen(names: str | Sequence[str], task: str) -> list[Metric]:
    """The metrics of these names; an unknown one, or a model that is not binary, is an ArgumentError."""
    asked = list(dict.fromkeys([names] if isinstance(names, str) else names))
    allowed = ", ".join(METRICS)
    if task != "binary":
        raise ArgumentError(
            "truth bands are about labels that are 0 or 1",
            got=f"a {task} model",
            allowed="a binary model",
            next_step="fb.metrics gives the values of this model's labelled rows",
        )
    if not asked:
        raise ArgumentError(
            "no metric was asked for", got="no name", allowed=allowed, next_step="name at least one metric"
        )
    for name in asked:
        if name not in METRICS:
            close = nearest(str(name), list(METRICS))
            raise ArgumentError(
                f"there are no truth bands of {name!r}",
                got=name,
                allowed=allowed,
                next_step=f"did you mean {close!r}?" if close else "write one of these",
            )
    return [METRICS[name] for name in asked]


def kinds(assumptions: Sequence[str] | None) -> tuple[str, ...]:
    """The kinds of assumptions, in the order of the result; an unknown one is an ArgumentError."""
    if assumptions is None:
        return bands.KINDS
    asked = [assumptions] if isinstance(assumptions, str) else list(assumptions)
    unknown = [kind for kind in asked if kind not in bands.KINDS]
    if unknown or not asked:
        raise ArgumentError(
            "an unknown kind of assumption",
            got=unknown[0] if unknown else "none",
            allowed=", ".join(bands.KINDS),
            next_step="write some of these, or leave it out for all",
        )
    return tuple(kind for kind in bands.KINDS if kind in asked)


def odds_ratios(delta: Sequence[float]) -> tuple[float, ...]:
    """The odds ratios as numbers above 0; anything else is an ArgumentError."""
    values = tuple(float(value) for value in np.atleast_1d(np.asarray(delta, dtype=np.float64)))
    wrong = [value for value in values if not (np.isfinite(value) and value > 0)]
    if wrong:
        raise ArgumentError(
            "an odds ratio lies above 0",
            got=wrong[0],
            allowed="numbers above 0; 1 is missing at random within cells",
            next_step="write delta=(0.5, 2.0) for half and twice the odds",
        )
    return values


def targets(reach: float | Mapping[str, float] | None, metrics: Sequence[Metric]) -> dict[str, float]:
    """The value to reach of each metric; anything but a finite number is an ArgumentError."""
    if reach is None:
        return {}
    made = dict(reach) if isinstance(reach, Mapping) else {metric.name: reach for metric in metrics}
    wrong = [value for value in made.values() if not (isinstance(value, int | float) and np.isfinite(value))]
    if wrong:
        raise ArgumentError(
            "the value to reach is no number",
            got=wrong[0],
            allowed="a finite number, or one per metric",
            next_step='write reach=0.8, or reach={"recall": 0.8}',
        )
    asked = [metric.name for metric in metrics]
    unknown = [name for name in made if name not in asked]
    if unknown:
        raise ArgumentError(
            "a value to reach is given for a metric that is not asked for",
            got=unknown[0],
            allowed=", ".join(asked),
            next_step="name the metric, or leave its value out",
        )
    return {name: float(value) for name, value in made.items()}


def free_names(by: tuple[str, ...]) -> None:
    """Refuse a slice column that is named like a column of the result."""
    for name in by:
        if name in bands.COLUMNS:
            raise ArgumentError(
                "a slice column is named like a result column",
                got=name,
                next_step="rename it in the contract's columns",
                allowed="any name that no result column has",
            )
