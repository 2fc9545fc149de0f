"""The join: one deterministic pass from checked logs to the joined table."""

from datetime import datetime

import polars as pl

from fbkit.errors import InputError
from fbkit.join.decide import add_decision
from fbkit.join.joined import Joined
from fbkit.join.pair import number_statements, pair
from fbkit.join.settle import settle
from fbkit.join.states import CONFLICTED, assign_states, feed_watermark
from fbkit.load.loop import Logs
from fbkit.schema.contract import Contract
from fbkit.schema.logs import audit_frame
from fbkit.schema.period import format_instant
from fbkit.schema.rules import NOTES, OUTCOME_FATE, PAIRED

TABLE = "join"
_LEADING = (
    "prediction_id", "ts_pred", "score", "threshold", "flagged", "entity", "model_version", "state", "label",
    "ts_event", "ts_arrival", "lag", "arrival_lag", "rule", "source", "label_version", "mature", "late",
    "n_outcomes", "n_rivals", "action", "propensity", "blocked",
)  # fmt: skip


def join(logs: Logs, *, contract: Contract, as_of: datetime | None = None) -> Joined:
    """Join the logs as they were known at ``as_of``.

    Parameters
    ----------
    as_of
        Statements that arrived later and predictions made later do not exist yet; by default the newest
        arrival in the outcome log (else the newest prediction).

    Raises
    ------
    InputError
        No prediction is left to join.

    Notes
    -----
    Any row order of the inputs gives the identical output.
    """
    if logs.predictions.frame.is_empty():
        raise _nothing_left(logs)
    known_at = as_of or default_as_of(logs)
    predictions, after = _known_predictions(logs.predictions.frame, as_of=known_at)
    if predictions.is_empty():
        raise InputError(
            "there is no prediction at the as-of time", got=format_instant(known_at), next_step="choose a later --as-of"
        )
    outcomes = number_statements(logs.outcomes.frame, keys=contract.join.keys)
    pairs, labels = settle(pair(predictions, outcomes, contract=contract, as_of=known_at), contract=contract)
    frame, pairs, disagree = _assemble(
        predictions, logs=logs, pairs=pairs, labels=labels, contract=contract, as_of=known_at
    )
    watermark = feed_watermark(outcomes, contract=contract, as_of=known_at)
    frame = assign_states(frame, contract=contract, as_of=known_at, watermark=watermark)
    frame = frame.select(*_LEADING, pl.exclude(_LEADING)).sort("ts_pred", "prediction_id")
    audit = _account(frame, pairs=pairs, statements=outcomes.height, after=after, disagree=disagree, contract=contract)
    return Joined(
        frame=_clean(frame),
        candidates=_clean(pairs.drop("__entity").sort("statement", "prediction_id", nulls_last=True)),
        contract=contract,
        as_of=known_at,
        audit=pl.concat([logs.audit, audit]),
        rejects=_rejects(logs),
        sources=logs.sources,
        changes=_changes(logs, as_of=known_at),
        data_through=_reach(logs, as_of=known_at, watermark=watermark),
    )


def _clean(frame: pl.DataFrame) -> pl.DataFrame:
    """Zero what lies in memory under a null, which depends on the inputs' order: equal tables, equal bytes."""
    cleaned: list[pl.Expr] = []
    for name, dtype in frame.schema.items():
        column = frame[name]
        if dtype == pl.Boolean:  # eight values share a byte; by way of numpy the spare bits of the last one are cleared
            whole = pl.lit(pl.Series(name, column.fill_null(value=False).to_numpy()))
        elif column.null_count() and (dtype == pl.String or dtype.is_numeric() or dtype.is_temporal()):
            whole = pl.col(name).fill_null(pl.lit("") if dtype == pl.String else pl.lit(0).cast(dtype))
        else:
            continue
        cleaned.append(pl.when(pl.col(name).is_not_null()).then(whole).alias(name) if column.null_count() else whole)
    return frame.with_columns(cleaned)


def default_as_of(logs: Logs) -> datetime:
    """The newest arrival in the outcome log, else the newest prediction; never the clock."""
    newest = logs.outcomes.frame["ts_arrival"].max() or logs.predictions.frame["ts_pred"].max()
    assert isinstance(newest, datetime)
    return newest


def _nothing_left(logs: Logs) -> InputError:
    audit = logs.predictions.audit.filter(~pl.col("rule").is_in(["used", "cast"]))
    counts = ", ".join(f"{rows:,} {rule}" for rule, rows in audit.select("rule", "rows").iter_rows())
    return InputError(
        "the prediction log has no usable row",
        got=counts.replace(" in", " rows in", 1),
        allowed="at least one prediction",
        next_step="look at what was set aside; rows of other environments need [predictions.where] environment",
    )


def _known_predictions(frame: pl.DataFrame, *, as_of: datetime) -> tuple[pl.DataFrame, int]:
    logged = pl.max_horizontal("ts_pred", "ts_logged") if "ts_logged" in frame.columns else pl.col("ts_pred")
    known = frame.filter(logged <= pl.lit(as_of))
    return known, frame.height - known.height


def _assemble(
    predictions: pl.DataFrame,
    *,
    logs: Logs,
    pairs: pl.DataFrame,
    labels: pl.DataFrame,
    contract: Contract,
    as_of: datetime,
) -> tuple[pl.DataFrame, pl.DataFrame, int]:
    frame, disagree = add_decision(predictions, contract=contract)
    if "model_version" not in frame.columns:
        frame = frame.with_columns(pl.lit(None, dtype=pl.String).alias("model_version"))
    entity = pl.col("entity_id") if "entity_id" in frame.columns else pl.lit(None, dtype=pl.String)
    frame = frame.with_columns(entity.alias("entity"))
    frame = _with_actions(frame, logs=logs, contract=contract, as_of=as_of)
    blocked = frame.filter("blocked").select("prediction_id")
    contradicting = pl.col("prediction_id").is_in(blocked["prediction_id"].implode()) & (pl.col("fate") == "used")
    pairs = pairs.with_columns(
        pl.when(contradicting).then(pl.lit("contradicts_action")).otherwise("fate").alias("fate")
    )
    seen = ("used", "superseded", "duplicate_statement", "conflicting_label", "contradicts_action")
    counts = pairs.filter(pl.col("fate").is_in(seen)).group_by("prediction_id")
    counts = counts.agg(
        pl.len().cast(pl.UInt32).alias("n_outcomes"), (pl.col("fate") == "conflicting_label").any().alias(CONFLICTED)
    )
    frame = frame.join(labels, on="prediction_id", how="left").join(counts, on="prediction_id", how="left")
    none = pl.lit(0, dtype=pl.UInt32)
    frame = frame.with_columns(
        pl.col("n_outcomes").fill_null(none),
        pl.col("n_rivals").cast(pl.UInt32).fill_null(none),
        pl.col(CONFLICTED).fill_null(value=False),
    )
    return frame, pairs, disagree


def _with_actions(frame: pl.DataFrame, *, logs: Logs, contract: Contract, as_of: datetime) -> pl.DataFrame:
    if logs.actions is None:
        empty = [pl.lit(None, dtype=pl.String).alias("action"), pl.lit(None, dtype=pl.Float64).alias("propensity")]
        return frame.with_columns(*empty, pl.lit(value=False).alias("blocked"))
    actions = logs.actions.frame
    if "ts_action" in actions.columns:
        actions = actions.filter(pl.col("ts_action").is_null() | (pl.col("ts_action") <= pl.lit(as_of)))
    actions = actions.select("prediction_id", "action", "propensity")
    blocking = list(contract.actions.blocked) if contract.actions else []
    frame = frame.join(actions, on="prediction_id", how="left")
    return frame.with_columns(pl.col("action").is_in(blocking).fill_null(value=False).alias("blocked"))


def _account(
    frame: pl.DataFrame, *, pairs: pl.DataFrame, statements: int, after: int, disagree: int, contract: Contract
) -> pl.DataFrame:
    """Count states and fates; the count identity is asserted here, in code."""
    states = {str(name): rows for name, rows in frame.group_by("state").len().iter_rows()}
    if sum(states.values()) != frame.height or frame["state"].null_count():
        raise AssertionError("the label states do not partition the predictions")
    if pairs["statement"].n_unique() != statements:
        raise AssertionError("a statement was lost in the join")
    rows: list[tuple[str, str, int, str | None]] = [(TABLE, "predictions", frame.height, "used in this view")]
    rows += [(TABLE, f"state_{name}", states[name], None) for name in sorted(states)]
    fates = pairs.group_by("fate").len().sort("fate")
    rows += [(TABLE, name, count, OUTCOME_FATE.get(name)) for name, count in fates.iter_rows()]
    used = frame.filter(pl.col("rule").is_not_null()).group_by("rule").len().sort("rule")
    rows += [(TABLE, name, count, PAIRED[name]) for name, count in used.iter_rows()]
    rows += [(TABLE, name, int(frame[name].sum()), NOTES[name]) for name in ("late", "mature")]
    older = 0
    if contract.label.version is not None:
        older = frame.filter(pl.col("label_version") != contract.label.version).height
    notes = {"after_as_of": after, "decision_disagrees": disagree, "older_definition": older}
    rows += [(TABLE, name, count, NOTES[name]) for name, count in notes.items() if count]
    return audit_frame(rows)


def _rejects(logs: Logs) -> dict[str, pl.DataFrame]:
    named = {
        "predictions": logs.predictions,
        "outcomes": logs.outcomes,
        "actions": logs.actions,
        "changes": logs.changes,
    }
    return {name: log.rejects for name, log in named.items() if log is not None}


def _changes(logs: Logs, *, as_of: datetime) -> pl.DataFrame:
    if logs.changes is None:
        return pl.DataFrame(schema={"ts": pl.Datetime("us", "UTC"), "kind": pl.String, "what": pl.String})
    return logs.changes.frame.filter(pl.col("ts") <= pl.lit(as_of))


def _reach(logs: Logs, *, as_of: datetime, watermark: datetime | None) -> dict[str, str | None]:
    def newest(frame: pl.DataFrame, column: str) -> str | None:
        value = frame.filter(pl.col(column) <= pl.lit(as_of))[column].max()
        return format_instant(value) if isinstance(value, datetime) else None

    return {
        "predictions": newest(logs.predictions.frame, "ts_pred"),
        "outcomes": newest(logs.outcomes.frame, "ts_arrival"),
        "feed_complete": None if watermark is None else format_instant(watermark),
    }
