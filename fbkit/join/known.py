"""What of the logs was known at a time: rows that had arrived, and rows whose clash had not happened yet."""

from dataclasses import dataclass
from datetime import datetime

import polars as pl

from fbkit.load.checks import RULE, split_duplicates
from fbkit.load.loop import Logs
from fbkit.load.outcomes import unique_outcome_id
from fbkit.load.predictions import unique_join_key
from fbkit.load.times import absurd
from fbkit.schema.contract import Contract
from fbkit.schema.logs import Log, PredictionLog

CLASH = "conflicting_id"
_OTHER = "other_label"


@dataclass(frozen=True, slots=True, kw_only=True)
class Known:
    """Rows of one log as known at a time.

    ``later`` counts rows that come after it; ``restored`` rows that clash only with such, so that they counted then;
    ``clashing`` rows that clashed then although one of the two is set aside for another reason today.
    """

    frame: pl.DataFrame
    later: int = 0
    restored: int = 0
    clashing: int = 0


def known_predictions(log: PredictionLog, *, contract: Contract, as_of: datetime) -> Known:
    """The predictions that were made and logged by then."""
    logged = pl.max_horizontal("ts_pred", "ts_logged") if "ts_logged" in log.frame.columns else pl.col("ts_pred")
    arrived = logged <= pl.lit(as_of)
    used = log.frame.filter(arrived)
    later = log.frame.height - used.height
    clashing = _clashing(log, arrived=arrived)
    if clashing.is_empty():
        return Known(frame=used, later=later)
    alone, _ = split_duplicates(clashing, key=["prediction_id"])
    both, repeated = unique_join_key(pl.concat([used, alone]), contract=contract)
    again = repeated.join(used, on="prediction_id", how="semi").height
    return Known(frame=both, later=later, restored=both.height - used.height + again, clashing=again)


def known_outcomes(logs: Logs, *, as_of: datetime) -> Known:
    """The statements, those to come included: the pairing says of each that it had not arrived."""
    log = logs.outcomes
    clashing = _clashing(log, arrived=pl.col("ts_arrival") <= pl.lit(as_of))
    if clashing.is_empty():
        return Known(frame=log.frame)
    alone, _ = unique_outcome_id(clashing)
    return Known(frame=pl.concat([log.frame, alone]), restored=alone.height)


def known_actions(logs: Logs, *, as_of: datetime) -> Known | None:
    """The actions that were taken by then; one without a time was always known."""
    log = logs.actions
    if log is None:
        return None
    timed = "ts_action" in log.frame.columns
    taken = pl.col("ts_action").is_null() | (pl.col("ts_action") <= pl.lit(as_of)) if timed else pl.lit(value=True)
    used = log.frame.filter(taken)
    clashing = _clashing(log, arrived=taken)
    if clashing.is_empty():
        return Known(frame=used, later=log.frame.height - used.height)
    alone, _ = split_duplicates(clashing, key=["prediction_id"])
    return Known(frame=pl.concat([used, alone]), later=log.frame.height - used.height, restored=alone.height)


def _clashing(log: Log, *, arrived: pl.Expr) -> pl.DataFrame:
    if RULE not in log.rejects.columns or log.rejects.is_empty():
        return log.frame.clear()
    return log.rejects.filter((pl.col(RULE) == CLASH) & arrived).select(log.frame.columns)


def heard(logs: Logs) -> pl.DataFrame:
    """Every statement that proves the feed alive: one that clashes with another has arrived all the same."""
    return pl.concat([logs.outcomes.frame, _clashing(logs.outcomes, arrived=pl.lit(value=True))])


def newest_moment(logs: Logs) -> datetime | None:
    """The newest arrival in the outcome log, of whatever label, else the newest prediction; never the clock."""
    made = logs.predictions.frame["ts_pred"].max()
    return newest_arrival(logs) or (made if isinstance(made, datetime) else None)


def newest_arrival(logs: Logs) -> datetime | None:
    """The newest arrival in the outcome log, of whatever label."""
    moments = [heard(logs)["ts_arrival"].max()]
    rejects = logs.outcomes.rejects
    if RULE in rejects.columns and not rejects.is_empty():
        sound = (pl.col(RULE) == _OTHER) & (pl.col("ts_arrival") >= pl.col("ts_event")) & ~absurd("ts_arrival")
        moments.append(rejects.filter(sound)["ts_arrival"].max())
    return max((moment for moment in moments if isinstance(moment, datetime)), default=None)
