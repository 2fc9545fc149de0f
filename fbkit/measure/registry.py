"""Every measure, written once: what it counts, what the missing labels could do to it, what it needs.

A *total* measure is a ratio of two sums over rows. Its columns (see :mod:`fbkit.measure.scope`): ``Y`` label
(null = unlabelled, may be fractional), ``F`` flag, ``W`` weight, ``E1`` and ``E0`` the loss (times weight) if the
label were 1 or 0. The same expressions serve rows (W = 1) and ledgers (W = number of rows, E = sums of losses).

Worst case: each measure says what an unlabelled row adds to both sums in the least and in the most favourable
world; these extremes do not compete between rows, so the bounds are sharp (Manski 2003).
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final, Literal

import numpy as np
import polars as pl

from fbkit.errors import ArgumentError, nearest
from fbkit.measure.intervals import Array

Y: Final = "\0label"
F: Final = "\0flag"
S: Final = "\0score"
W: Final = "\0weight"
E1: Final = "\0loss1"
E0: Final = "\0loss0"

_y, _f, _s, _w = pl.col(Y), pl.col(F), pl.col(S), pl.col(W)
_zero = pl.lit(0.0)


@dataclass(frozen=True, slots=True, kw_only=True)
class Total:
    """A ratio of sums. ``low`` and ``high`` are what an unlabelled row adds to (numerator, denominator)."""

    name: str
    needs: Literal["counts", "bins", "rows"] = "counts"
    kind: Literal["proportion", "mean"] = "proportion"
    loss: Literal["", "square", "log"] = ""
    uses_label: bool = True
    uses_flag: bool = False
    numerator: pl.Expr
    denominator: pl.Expr
    low: tuple[pl.Expr, pl.Expr] | None = None
    high: tuple[pl.Expr, pl.Expr] | None = None
    empty: str = "no labelled rows"
    transform: Callable[[Array], Array] | None = None
    transform_name: str = ""
    floor: float = -np.inf
    ceiling: float = np.inf

    @property
    def probability(self) -> bool:
        """Whether the measure makes sense for probabilities only."""
        return self.loss != ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Ordered:
    """A measure that needs the rows in the order of their scores; computed cell by cell."""

    name: str
    needs: Literal["counts", "bins", "rows"] = "rows"
    empty: str = "no labelled rows"
    probability: bool = False


Measure = Total | Ordered


def _dice(jaccard: Array) -> Array:
    return 2 * jaccard / (1 + jaccard)


_unflagged = 1 - _f
_least, _most = pl.min_horizontal(E0, E1), pl.max_horizontal(E0, E1)
_error = _s - _y

_TOTALS: Final = (
    Total(
        name="recall",
        uses_flag=True,
        numerator=_w * _y * _f,
        denominator=_w * _y,
        low=(_zero, _w * _unflagged),
        high=(_w * _f, _w * _f),
        empty="no positives",
    ),
    Total(
        name="precision",
        uses_flag=True,
        numerator=_w * _y * _f,
        denominator=_w * _f,
        low=(_zero, _w * _f),
        high=(_w * _f, _w * _f),
        empty="no labelled row is flagged",
    ),
    Total(
        name="specificity",
        uses_flag=True,
        numerator=_w * (1 - _y) * _unflagged,
        denominator=_w * (1 - _y),
        low=(_zero, _w * _f),
        high=(_w * _unflagged, _w * _unflagged),
        empty="no negatives",
    ),
    Total(
        name="accuracy",
        uses_flag=True,
        numerator=_w * (_y * _f + (1 - _y) * _unflagged),
        denominator=_w,
        low=(_zero, _w),
        high=(_w, _w),
    ),
    # F1 = 2J / (1 + J) with J = TP / (TP + FP + FN): a proportion, so Wilson's interval carries over exactly.
    Total(
        name="f1",
        uses_flag=True,
        numerator=_w * _y * _f,
        denominator=_w * (_y + _f - _y * _f),
        low=(_zero, _w),
        high=(_w * _f, _w * _f),
        empty="no labelled row is positive or flagged",
        transform=_dice,
        transform_name="of TP / (TP + FP + FN)",
    ),
    Total(name="base_rate", numerator=_w * _y, denominator=_w, low=(_zero, _w), high=(_w, _w)),
    Total(
        name="flag_rate", uses_flag=True, uses_label=False, numerator=_w * _f, denominator=_w, empty="no predictions"
    ),
    Total(
        name="availability",
        uses_label=False,
        numerator=_w * _y.is_not_null().cast(pl.Float64),
        denominator=_w,
        empty="no predictions",
    ),
    Total(
        name="brier",
        kind="mean",
        loss="square",
        numerator=_y * pl.col(E1) + (1 - _y) * pl.col(E0),
        denominator=_w,
        low=(_least, _w),
        high=(_most, _w),
        floor=0.0,
        ceiling=1.0,
    ),
    Total(
        name="log_loss",
        needs="rows",
        kind="mean",
        loss="log",
        numerator=_y * pl.col(E1) + (1 - _y) * pl.col(E0),
        denominator=_w,
        low=(_least, _w),
        high=(_most, _w),
        floor=0.0,
    ),
    Total(name="mae", needs="rows", kind="mean", numerator=_w * _error.abs(), denominator=_w, floor=0.0),
    Total(name="bias", needs="rows", kind="mean", numerator=_w * _error, denominator=_w),
    Total(
        name="rmse",
        needs="rows",
        kind="mean",
        numerator=_w * _error.pow(2),
        denominator=_w,
        floor=0.0,
        transform=np.sqrt,
        transform_name="of the mean squared error",
    ),
)

REGISTRY: Final[Mapping[str, Measure]] = {
    **{total.name: total for total in _TOTALS},
    "roc_auc": Ordered(name="roc_auc", empty="one class"),
    "average_precision": Ordered(name="average_precision", empty="no positives"),
    **{name: Ordered(name=name, probability=True) for name in ("mcb", "dsc", "unc", "ece")},
}
FOR_ANY_TASK: Final = ("availability", "flag_rate", "mae", "rmse", "bias")


def choose(
    names: str | Sequence[str], *, task: str = "binary", allowed: Mapping[str, Measure] = REGISTRY
) -> tuple[Measure, ...]:
    """The measures of these names, in the order asked; an unknown or unfitting one is an ArgumentError."""
    asked = [names] if isinstance(names, str) else list(names)
    known = [name for name in allowed if task == "binary" or name in FOR_ANY_TASK]
    if not asked:
        raise ArgumentError(
            "no metric was asked for", allowed=", ".join(known), got="no name", next_step="name at least one metric"
        )
    for name in asked:
        if name not in known:
            close = nearest(str(name), known)
            raise ArgumentError(
                f"there is no metric {name!r} for a {task} model here",
                got=name,
                allowed=", ".join(known),
                next_step=f"did you mean {close!r}?" if close else None,
            )
    return tuple(allowed[name] for name in dict.fromkeys(asked))
