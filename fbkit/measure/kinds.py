"""What a measure is: a ratio of sums over rows, or a function of one cell's rows; each says what it needs.

A *total* is a ratio of two sums over rows. Its columns (see :mod:`fbkit.measure.scope`): ``Y`` label
(null = unlabelled, may be fractional), ``F`` flag, ``S`` score, ``W`` weight, ``E1`` and ``E0`` the loss (times weight)
if the label were 1 or 0, and :func:`column` for any other column of the joined table. The same expressions serve rows
(W = 1) and ledgers (W = number of rows, E = sums of losses).

Worst case: each total says what an unlabelled row adds to both sums in the least and in the most favourable
world; where these extremes do not compete between rows, the bounds are sharp (Manski 2003).

A *cellwise* measure is handed the rows of one slice and time cell as arrays and returns a number with its interval.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final, Literal, NamedTuple

import numpy as np
import polars as pl
from numpy.typing import NDArray

from fbkit.measure.stats.intervals import Array
from fbkit.schema.contract import Contract

Y: Final = "\0label"
F: Final = "\0flag"
S: Final = "\0score"
W: Final = "\0weight"
E1: Final = "\0loss1"
E0: Final = "\0loss0"

Needs = Literal["counts", "bins", "rows"]
Task = Literal["binary", "regression", "ranking"]
ANY_TASK: Final[tuple[Task, ...]] = ("binary", "regression", "ranking")


def column(name: str) -> pl.Expr:
    """A further column of the joined table, for the expressions of a :class:`Total` that names it in ``columns``."""
    return pl.col(working_name(name))


def working_name(name: str) -> str:
    """What a column of the joined table is called among the working columns, apart from slices of the same name."""
    return f"\0of:{name}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Total:
    """A ratio of sums. ``low`` and ``high`` are what an unlabelled row adds to (numerator, denominator).

    ``columns`` are joined columns that the expressions read by :func:`column`, ``expressions`` further working columns,
    made of the joined table's own; ``unavailable`` says why there is no number at all (a contract without the prices
    that it needs).
    """

    name: str
    needs: Needs = "counts"
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
    tasks: tuple[Task, ...] = ("binary",)
    columns: tuple[str, ...] = ()
    expressions: Mapping[str, pl.Expr] = field(default_factory=dict)
    unavailable: str | None = None

    @property
    def probability(self) -> bool:
        """Whether the measure makes sense for probabilities only."""
        return self.loss != ""


class Cell(NamedTuple):
    """The rows of one cell that count at the stage, in rising order of their scores.

    ``label`` lies in 0..1 (may be fractional) or is a number (regression); ``flag`` is NaN without a decision;
    ``weight`` None means all 1; ``cluster`` (a number per entity) None means independent rows; ``open`` are the scores
    of the unlabelled rows; ``columns`` what the measure named in ``columns`` and ``expressions``. With ``rows="all"``
    the unlabelled rows are among them, their label NaN. ``memo`` is shared by the measures of the same rows.
    """

    score: Array
    label: Array
    flag: Array
    weight: Array | None
    cluster: NDArray[np.int64] | None
    open: Array
    columns: Mapping[str, pl.Series]
    memo: dict[str, Any] | None = None


class Found(NamedTuple):
    """A value with its interval and worst-case bounds; NaN is "not estimable", and ``reason`` may say why."""

    value: float
    lower: float = np.nan
    upper: float = np.nan
    bound_lower: float = np.nan
    bound_upper: float = np.nan
    method: str | None = None
    reason: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Cellwise:
    """A function of one cell's rows, ``fn(cell, level) -> Found``.

    ``rows`` says which rows it is handed: the labelled ones, or all that count at the stage. A ``bounded`` one has
    something to say (its bounds) also where rows count and none is labelled.
    """

    name: str
    fn: Callable[[Cell, float], Found]
    needs: Needs = "rows"
    rows: Literal["labelled", "all"] = "labelled"
    bounded: bool = False
    empty: str = "no labelled rows"
    probability: bool = False
    uses_label: bool = True
    uses_flag: bool = False
    tasks: tuple[Task, ...] = ("binary",)
    columns: tuple[str, ...] = ()
    expressions: Mapping[str, pl.Expr] = field(default_factory=dict)
    unavailable: str | None = None


Measure = Total | Cellwise
Family = Callable[[int], Measure]
FromContract = Callable[[Contract], Measure]
