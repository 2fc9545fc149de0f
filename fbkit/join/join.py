"""The join: one deterministic pass from checked logs to the joined table."""

from datetime import datetime

import polars as pl

from fbkit.errors import InputError
from fbkit.join.decide import add_decision
from fbkit.join.joined import Joined
from fbkit.join.known import Known, heard, known_actions, known_outcomes, known_predictions, newest_moment
from fbkit.join.pair import number_statements, pair
from fbkit.join.settle import settle
from fbkit.join.states import CONFLICTED, assign_states, feed_watermark
from fbkit.load.loop import Logs
from fbkit.schema.contract import Contract
from fbkit.schema.label import CLOSES, LabelWindow
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
    known_at = as_of or default_as_of(logs)
    made = known_predictions(logs.predictions, contract=contract, as_of=known_at)
    if made.frame.is_empty():
        raise _nothing_known(logs, as_of=known_at)
    said, acted = known_outcomes(logs, as_of=known_at), known_actions(logs, as_of=known_at)
    predictions = with_closes(made.frame, contract=contract)
    outcomes = number_statements(said.frame, keys=contract.join.keys)
    pairs, labels = settle(pair(predictions, outcomes, contract=contract, as_of=known_at), contract=contract)
    frame, pairs, disagree = _assemble(predictions, actions=acted, pairs=pairs, labels=labels, contract=contract)
    watermark = feed_watermark(heard(logs), contract=contract, as_of=known_at)
    frame = assign_states(frame, contract=contract, as_of=known_at, watermark=watermark)
    frame = _arranged(frame, contract=contract)
    audit = _account(frame, pairs=pairs, known=(made, said, acted), disagree=disagree, contract=contract)
    return Joined(
        frame=_clean(frame),
        candidates=_clean(pairs.drop("__entity").sort("statement", "prediction_id", nulls_last=True)),
        contract=contract,
        as_of=known_at,
        audit=pl.concat([logs.audit, audit]),
        rejects=_rejects(logs),
        sources=logs.sources,
        changes=_changes(logs, as_of=known_at),
        data_through=_reach(made.frame, said.frame, as_of=known_at, watermark=watermark),
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
    newest = newest_moment(logs)
    if newest is None:
        raise _nothing_left(logs)
    return newest


def with_closes(predictions: pl.DataFrame, *, contract: Contract) -> pl.DataFrame:
    """Add ``__closes``, the end of each prediction's label window; a session's by all predictions in the frame.

    Raises
    ------
    InputError
        The window is a session and no session is logged.
    """
    window = LabelWindow.of(contract)
    if window.session and "session_id" not in predictions.columns:
        raise InputError(
            f'the window of label {contract.label.name} is "session", and the prediction log has no session_id',
            got=", ".join(predictions.columns),
            allowed="a column session_id",
            next_step='map it ([predictions.columns] session_id = "..."), or set label.window to a duration',
        )
    return predictions.with_columns(window.closes.alias(CLOSES))


def _arranged(frame: pl.DataFrame, *, contract: Contract) -> pl.DataFrame:
    """The kit's columns first; where windows differ from row to row, each row says when its own closes."""
    session = LabelWindow.of(contract).session
    frame = frame.rename({CLOSES: "closes"}) if session else frame.drop(CLOSES)
    leading = (*_LEADING, "closes") if session else _LEADING
    return frame.select(*leading, pl.exclude(leading)).sort("ts_pred", "prediction_id")


def _nothing_known(logs: Logs, *, as_of: datetime) -> InputError:
    if logs.predictions.frame.is_empty():
        return _nothing_left(logs)
    return InputError(
        "there is no prediction at the as-of time", got=format_instant(as_of), next_step="choose a later --as-of"
    )


def _nothing_left(logs: Logs) -> InputError:
    audit = logs.predictions.audit.filter(~pl.col("rule").is_in(["used", "cast"]))
    counts = ", ".join(f"{rows:,} {rule}" for rule, rows in audit.select("rule", "rows").iter_rows())
    return InputError(
        "the prediction log has no usable row",
        got=counts.replace(" in", " rows in", 1),
        allowed="at least one prediction",
        next_step="look at what was set aside; rows of other environments need [predictions.where] environment",
    )


def _assemble(
    predictions: pl.DataFrame, *, actions: Known | None, pairs: pl.DataFrame, labels: pl.DataFrame, contract: Contract
) -> tuple[pl.DataFrame, pl.DataFrame, int]:
    frame, disagree = add_decision(predictions, contract=contract)
    if "model_version" not in frame.columns:
        frame = frame.with_columns(pl.lit(None, dtype=pl.String).alias("model_version"))
    entity = pl.col("entity_id") if "entity_id" in frame.columns else pl.lit(None, dtype=pl.String)
    frame = frame.with_columns(entity.alias("entity"))
    frame = _with_actions(frame, actions=actions, contract=contract)
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


def _with_actions(frame: pl.DataFrame, *, actions: Known | None, contract: Contract) -> pl.DataFrame:
    if actions is None:
        empty = [pl.lit(None, dtype=pl.String).alias("action"), pl.lit(None, dtype=pl.Float64).alias("propensity")]
        return frame.with_columns(*empty, pl.lit(value=False).alias("blocked"))
    taken = actions.frame.select("prediction_id", "action", "propensity")
    blocking = list(contract.actions.blocked) if contract.actions else []
    frame = frame.join(taken, on="prediction_id", how="left")
    return frame.with_columns(pl.col("action").is_in(blocking).fill_null(value=False).alias("blocked"))


def _account(
    frame: pl.DataFrame,
    *,
    pairs: pl.DataFrame,
    known: tuple[Known, Known, Known | None],
    disagree: int,
    contract: Contract,
) -> pl.DataFrame:
    """Count states and fates; the count identity is asserted here, in code."""
    made, said, acted = known
    states = {str(name): rows for name, rows in frame.group_by("state").len().iter_rows()}
    if sum(states.values()) != frame.height or frame["state"].null_count():
        raise AssertionError("the label states do not partition the predictions")
    if pairs["statement"].n_unique() != said.frame.height:
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
    notes = {"after_as_of": made.later, "decision_disagrees": disagree, "older_definition": older}
    notes["clash_still_unknown"] = made.restored + said.restored + (acted.restored if acted else 0)
    notes["clash_then"] = made.clashing
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


def _reach(
    predictions: pl.DataFrame, outcomes: pl.DataFrame, *, as_of: datetime, watermark: datetime | None
) -> dict[str, str | None]:
    def newest(frame: pl.DataFrame, column: str) -> str | None:
        value = frame.filter(pl.col(column) <= pl.lit(as_of))[column].max()
        return format_instant(value) if isinstance(value, datetime) else None

    return {
        "predictions": newest(predictions, "ts_pred"),
        "outcomes": newest(outcomes, "ts_arrival"),
        "feed_complete": None if watermark is None else format_instant(watermark),
    }
