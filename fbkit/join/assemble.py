"""The joined table's columns: what was decided and done, the label that counts, the order, and the account."""

import polars as pl

from fbkit.errors import InputError
from fbkit.join.decide import add_decision
from fbkit.join.known import Known
from fbkit.join.pair import MADE
from fbkit.join.states import CONFLICTED
from fbkit.join.window import fate_counts
from fbkit.schema.contract import Contract
from fbkit.schema.label import CLOSES, LabelWindow
from fbkit.schema.logs import audit_frame
from fbkit.schema.results import PENDING
from fbkit.schema.rules import NOTES, OUTCOME_FATE, PAIRED

TABLE = "join"
_LEADING = (
    "prediction_id", "ts_pred", "score", "threshold", "flagged", "entity", "model_version", "state", "label",
    "ts_event", "ts_arrival", "lag", "arrival_lag", "rule", "source", "label_version", "mature", "late",
    "n_outcomes", "n_rivals", "action", "propensity", "blocked",
)  # fmt: skip


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


def decorate(predictions: pl.DataFrame, *, actions: Known | None, contract: Contract) -> tuple[pl.DataFrame, int]:
    """Add what was decided and done to predictions; return also how many decisions contradict their threshold."""
    frame, disagree = add_decision(predictions, contract=contract)
    if "model_version" not in frame.columns:
        frame = frame.with_columns(pl.lit(None, dtype=pl.String).alias("model_version"))
    entity = pl.col("entity_id") if "entity_id" in frame.columns else pl.lit(None, dtype=pl.String)
    frame = frame.with_columns(entity.alias("entity"))
    return _with_actions(frame, actions=actions, contract=contract), disagree


def attach(frame: pl.DataFrame, *, pairs: pl.DataFrame, labels: pl.DataFrame) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Add each prediction's label and how many statements speak of it; the pairings learn of actions that hide it."""
    blocked = frame[MADE].filter(frame["blocked"])
    contradicting = pl.col(MADE).is_in(blocked.implode()) & (pl.col("fate") == "used")
    pairs = pairs.with_columns(
        pl.when(contradicting).then(pl.lit("contradicts_action")).otherwise("fate").alias("fate")
    )
    seen = (
        "used", "superseded", "duplicate_statement", "conflicting_label", "contradicts_action", "other_definition",
    )  # fmt: skip
    counts = pairs.filter(pl.col("fate").is_in(seen)).group_by(MADE)
    counts = counts.agg(
        pl.len().cast(pl.UInt32).alias("n_outcomes"), (pl.col("fate") == "conflicting_label").any().alias(CONFLICTED)
    )
    frame = frame.join(labels, on=MADE, how="left").join(counts, on=MADE, how="left").drop(MADE)
    none = pl.lit(0, dtype=pl.UInt32)
    frame = frame.with_columns(
        pl.col("n_outcomes").fill_null(none),
        pl.col("n_rivals").cast(pl.UInt32).fill_null(none),
        pl.col(CONFLICTED).fill_null(value=False),
    )
    return frame, pairs


def _with_actions(frame: pl.DataFrame, *, actions: Known | None, contract: Contract) -> pl.DataFrame:
    if actions is None:
        empty = [pl.lit(None, dtype=pl.String).alias("action"), pl.lit(None, dtype=pl.Float64).alias("propensity")]
        return frame.with_columns(*empty, pl.lit(value=False).alias("blocked"))
    taken = actions.frame.select("prediction_id", "action", "propensity")
    blocking = list(contract.actions.blocked) if contract.actions else []
    frame = frame.join(taken, on="prediction_id", how="left")
    return frame.with_columns(pl.col("action").is_in(blocking).fill_null(value=False).alias("blocked"))


def arranged(frame: pl.DataFrame, *, contract: Contract, ordered: bool = True) -> pl.DataFrame:
    """The kit's columns first; where windows differ from row to row, each row says when its own closes."""
    session = LabelWindow.of(contract).session
    frame = frame.rename({CLOSES: "closes"}) if session else frame.drop(CLOSES)
    leading = (*_LEADING, "closes") if session else _LEADING
    frame = frame.select(*leading, pl.exclude(leading))
    return frame.sort("ts_pred", "prediction_id") if ordered else frame


def account(
    frame: pl.DataFrame,
    *,
    pairs: pl.DataFrame,
    known: tuple[Known, Known, Known | None],
    disagree: int,
    contract: Contract,
) -> pl.DataFrame:
    """Count states and fates; the count identity is asserted here, in code."""
    made, said, acted = known
    states = {str(name): rows for name, rows in frame["state"].value_counts().iter_rows()}
    if sum(states.values()) != frame.height or frame["state"].null_count():
        raise AssertionError("the label states do not partition the predictions")
    if pairs["statement"].n_unique() != said.frame.height:
        raise AssertionError("a statement was lost in the join")
    rows: list[tuple[str, str, int, str | None]] = [(TABLE, "predictions", frame.height, "used in this view")]
    rows += [(TABLE, f"state_{name}", states[name], None) for name in sorted(states)]
    fates = fate_counts(pairs)
    rows += [(TABLE, name, count, OUTCOME_FATE.get(name)) for name, count in fates.iter_rows()]
    used = frame["rule"].drop_nulls().value_counts().sort("rule")
    rows += [(TABLE, name, count, PAIRED[name]) for name, count in used.iter_rows()]
    rows += [(TABLE, name, int(frame[name].sum()), NOTES[name]) for name in ("late", "mature")]
    notes = {"after_as_of": made.later, "decision_disagrees": disagree}
    notes["feed_incomplete"] = int(frame.select((pl.col("mature") & (pl.col("state") == PENDING)).sum()).item())
    if contract.label.version is not None:
        labelled = frame["label_version"].filter(frame["rule"].is_not_null())
        notes["older_definition"] = int((labelled != contract.label.version).sum())
        notes["unknown_definition"] = labelled.null_count()
    notes["clash_still_unknown"] = made.restored + said.restored + (acted.restored if acted else 0)
    notes["clash_then"] = made.clashing
    rows += [(TABLE, name, count, NOTES[name]) for name, count in notes.items() if count]
    return audit_frame(rows)
