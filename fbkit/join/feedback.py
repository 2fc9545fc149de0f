"""Which prediction, or which response made of several, a piece of feedback reacts to, as known at one time."""

from dataclasses import replace
from datetime import datetime

import polars as pl

from fbkit.errors import InputError
from fbkit.join.joined import Joined
from fbkit.load.feedback import target_keys
from fbkit.load.loop import Logs
from fbkit.schema.contract import Contract
from fbkit.schema.logs import FeedbackLog, audit_frame
from fbkit.schema.rules import FEEDBACK_FATE

TABLE = "feedback"
_BY = "linked_by"
_COLUMNS = ("rating", "comment", "rater", "fate", _BY, "n_predictions", "ts_pred", "lag")


def no_feedback(contract: Contract) -> pl.DataFrame:
    """The linked feedback of a loop that logs none."""
    instant = pl.Datetime("us", "UTC")
    keys = dict.fromkeys(target_keys(contract), pl.String)
    types = (pl.Float64, pl.String, pl.String, pl.String, pl.String, pl.UInt32, instant, pl.Duration("us"))
    return pl.DataFrame(schema={"ts_feedback": instant, **keys, **dict(zip(_COLUMNS, types, strict=True))})


def with_feedback(joined: Joined, logs: Logs) -> Joined:
    """The joined table with the feedback linked and counted, and with the parts that its logs lack."""
    wanted = ["prediction_id", "ts_pred", *target_keys(joined.contract)]
    held = joined.rows.lazy().collect_schema().names()
    known = joined.rows.lazy().select(name for name in dict.fromkeys(wanted) if name in held)
    predictions = pl.DataFrame() if logs.feedback is None else known.collect()
    linked, audit = link_feedback(logs.feedback, predictions=predictions, contract=joined.contract, as_of=joined.as_of)
    return replace(joined, feedback=linked, incomplete=logs.incomplete, audit=pl.concat([joined.audit, audit]))


def link_feedback(
    log: FeedbackLog | None, *, predictions: pl.DataFrame, contract: Contract, as_of: datetime
) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Link every row of feedback to what it reacts to.

    The first key that a row carries decides: ``prediction_id``, else the contract's join keys, else ``response_id``
    (a response may consist of several predictions; then ``prediction_id`` stays null and ``n_predictions`` counts
    them). A key that matches nothing is not tried again under another name.

    Parameters
    ----------
    predictions
        The predictions known at ``as_of``.

    Returns
    -------
    The feedback with prediction_id, fate (:data:`fbkit.schema.rules.FEEDBACK_FATE`), linked_by, n_predictions, ts_pred
    (of the first prediction it reacts to) and lag; and its audit, by fate. Feedback given after ``as_of`` has not been
    given yet: its rating, comment and rater are null.

    Raises
    ------
    InputError
        The feedback names its predictions only by a column that the prediction log does not have.
    """
    if log is None:
        return no_feedback(contract), audit_frame([])
    keys = target_keys(contract)
    _check_keys(log.frame, keys=keys, predictions=predictions)
    ways = {"prediction_id": ["prediction_id"], "join_keys": list(contract.join.keys), "response_id": ["response_id"]}
    carried = [
        pl.when(pl.all_horizontal([pl.col(key).is_not_null() for key in way])).then(pl.lit(name))
        for name, way in ways.items()
    ]
    rows = log.frame.with_row_index("__row").with_columns(pl.coalesce(carried).alias(_BY))
    parts = [_by_key(rows.filter(pl.col(_BY) == name), key=way, predictions=predictions) for name, way in ways.items()]
    linked = pl.concat(parts).sort("__row")
    given = pl.col("ts_feedback") <= pl.lit(as_of)
    fate = (
        pl.when(~given)
        .then(pl.lit("not_yet_given"))
        .when(pl.col("n_predictions") == 0)
        .then(pl.lit("orphan"))
        .when(pl.col("ts_feedback") < pl.col("ts_pred"))
        .then(pl.lit("before_prediction"))
        .otherwise(pl.lit("linked"))
    )
    linked = linked.with_columns(fate.alias("fate"), (pl.col("ts_feedback") - pl.col("ts_pred")).alias("lag"))
    said = [pl.when(given).then(name).alias(name) for name in ("rating", "comment", "rater")]
    linked = linked.with_columns(said).select(
        "ts_feedback", *keys, *_COLUMNS, pl.exclude(*keys, *_COLUMNS, "ts_feedback", "__row", "__id")
    )
    counts = linked.group_by("fate").len().sort("fate")
    if counts["len"].sum() != log.frame.height:
        raise AssertionError("a row of feedback was lost in the link")
    return linked, audit_frame([(TABLE, name, rows, FEEDBACK_FATE[name]) for name, rows in counts.iter_rows()])


def _by_key(rows: pl.DataFrame, *, key: list[str], predictions: pl.DataFrame) -> pl.DataFrame:
    """Rows with what their key matches: how many predictions, the first one's time, and its id if it is alone."""
    missing = [pl.lit(None, dtype=pl.String).alias(name) for name in key if name not in predictions.columns]
    known = predictions.with_columns(pl.col("prediction_id").alias("__id"), *missing)
    known = known.select("__id", "ts_pred", pl.col(key).cast(pl.String))
    known = known.filter(pl.all_horizontal([pl.col(name).is_not_null() for name in key]))
    made = known.group_by(key).agg(
        pl.len().cast(pl.UInt32).alias("n_predictions"), pl.col("ts_pred").min(), pl.col("__id").min()
    )
    alone = pl.when(pl.col("n_predictions") == 1).then("__id")
    return rows.join(made, on=key, how="left").with_columns(
        pl.col("n_predictions").fill_null(pl.lit(0, dtype=pl.UInt32)),
        pl.coalesce("prediction_id", alone).alias("prediction_id"),
    )


def _check_keys(feedback: pl.DataFrame, *, keys: list[str], predictions: pl.DataFrame) -> None:
    used = [key for key in keys if feedback[key].is_not_null().any()]
    if used and not any(key in predictions.columns for key in used):
        raise InputError(
            "the feedback names its predictions by a column that the prediction log does not have",
            got=", ".join(used),
            allowed=", ".join(predictions.columns),
            next_step="log that column with the predictions, or log prediction_id with the feedback",
        )
