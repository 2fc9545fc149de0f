"""Random predictions with what is known of their outcomes: can each be followed by hand, and without doubt?"""

from typing import Final

import polars as pl

from fbkit.errors import ArgumentError
from fbkit.join.joined import Joined

COUNT: Final = 10
SEED: Final = 20130527
COLUMNS: Final = (
    "prediction_id", "ts_pred", "score", "flagged", "state", "label", "rule", "source", "ts_event", "ts_arrival",
    "n_outcomes", "n_rivals", "clear", "why",
)  # fmt: skip
_MOST: Final = 10_000


def trace(joined: Joined, *, n: int = COUNT, seed: int = SEED) -> pl.DataFrame:
    """Draw predictions that have a label from an outcome, each with how it was found.

    Parameters
    ----------
    n
        How many (1 to 10,000); fewer when fewer have a label.
    seed
        Equal seeds draw the same predictions of the same table.

    Returns
    -------
    prediction_id, ts_pred, score, flagged, state, label, rule, source, ts_event, ts_arrival, n_outcomes, n_rivals,
    clear (no other prediction could have claimed the outcome), why; in order of ts_pred. ``joined.receipt(id)`` tells
    the rest. Empty when no prediction has a label from an outcome.

    Raises
    ------
    ArgumentError
        A number out of range.
    """
    if not 1 <= n <= _MOST:
        raise ArgumentError(
            "the number of predictions to trace is out of range",
            got=n,
            allowed=f"1 to {_MOST:,}",
            next_step="ask for fewer; joined.receipt(id) shows any one of them",
        )
    found = joined.rows.lazy().filter(pl.col("label").is_not_null() & pl.col("rule").is_not_null())
    labelled = found.select(pl.len()).collect().item()
    drawn = pl.select(place=pl.int_range(labelled)).sample(min(n, labelled), seed=seed)["place"]
    rows = found.with_row_index("place").filter(pl.col("place").is_in(drawn.implode())).collect()
    return rows.with_columns((pl.col("n_rivals") == 0).alias("clear"), _why().alias("why")).select(COLUMNS)


def _why() -> pl.Expr:
    by_id = pl.col("rule") == "by_id"
    several = pl.format(", {} statements", pl.col("n_outcomes"))
    found = (
        pl.when(by_id)
        .then(pl.lit("its own key"))
        .when(pl.col("n_rivals") == 0)
        .then(pl.lit("no other prediction of the entity could claim it"))
        .otherwise(pl.format("{} other predictions of the entity could claim it", pl.col("n_rivals")))
    )
    return found + pl.when(pl.col("n_outcomes") > 1).then(several).otherwise(pl.lit(""))
