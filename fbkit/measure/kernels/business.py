"""What decisions were worth: the contract's value of each outcome, expected and realised, and logged amounts."""

from typing import Final

import polars as pl

from fbkit.measure.kernels.made import AMOUNT
from fbkit.measure.kinds import ANY_TASK, F, S, Total, W, Y, column
from fbkit.schema.contract import Contract

_y, _f, _s, _w = pl.col(Y), pl.col(F), pl.col(S), pl.col(W)
NO_VALUES: Final = "the contract has no [value]"


def value_of(contract: Contract) -> tuple[pl.Expr, pl.Expr]:
    """What a decided row is worth if its label is 1, and if it is 0."""
    worth = contract.value
    if worth is None:
        return pl.lit(None, dtype=pl.Float64), pl.lit(None, dtype=pl.Float64)
    as_positive = _f * worth.true_positive + (1 - _f) * worth.false_negative
    return as_positive, _f * worth.false_positive + (1 - _f) * worth.true_negative


def value_per_prediction(contract: Contract) -> Total:
    """Mean value of a labelled, decided prediction, by the contract's [value]; worst case over the missing labels."""
    one, zero = value_of(contract)
    return Total(
        name="value_per_prediction",
        kind="mean",
        uses_flag=True,
        numerator=_w * (_y * one + (1 - _y) * zero),
        denominator=_w,
        low=(_w * pl.min_horizontal(one, zero), _w),
        high=(_w * pl.max_horizontal(one, zero), _w),
        unavailable=NO_VALUES if contract.value is None else None,
    )


def expected_value(contract: Contract) -> Total:
    """Mean value that the scores announce, of all decided predictions, labelled or not; the scores are believed."""
    one, zero = value_of(contract)
    no_scores = None if contract.predictions.score_kind == "probability" else "scores are not probabilities"
    return Total(
        name="expected_value",
        needs="rows",
        kind="mean",
        uses_label=False,
        uses_flag=True,
        numerator=_w * (_s * one + (1 - _s) * zero),
        denominator=pl.when(_f.is_not_null()).then(_w),
        empty="no predictions",
        unavailable=NO_VALUES if contract.value is None else no_scores,
    )


MEASURES: Final = (
    Total(
        name="amount_per_prediction",
        needs="rows",
        kind="mean",
        numerator=_w * column(AMOUNT).fill_null(0.0),
        denominator=_w,
        tasks=ANY_TASK,
        columns=(AMOUNT,),
    ),
)
FROM_CONTRACT: Final = {"value_per_prediction": value_per_prediction, "expected_value": expected_value}
