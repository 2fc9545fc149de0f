"""The smallest logs that decide the state of one prediction, taken from a joined table: the logs are not read again."""

from collections.abc import Mapping
from dataclasses import MISSING, dataclass, fields
from datetime import datetime
from typing import Any, Final, Protocol, Self

import polars as pl

from fbkit.join.table import Table
from fbkit.join.window import unlisted
from fbkit.load.checks import RULE
from fbkit.load.loop import Logs
from fbkit.load.predictions import RESERVED
from fbkit.schema.contract import Contract
from fbkit.schema.logs import AUDIT_SCHEMA, ActionLog, OutcomeLog, PredictionLog

NOT_YET: Final = "not_yet_arrived"
_CLASH = "conflicting_id"
_MADE_BY_PAIRING = ("statement", "prediction_id", "ts_pred", "rule", "n_rivals", "fate", "key")
# All rivals of a statement share its entity, so inside this small world one name stands for it.
_ENTITY, _NAME = "entity_id", "e"


class JoinedRows(Protocol):
    """What a receipt needs of a joined table."""

    @property
    def rows(self) -> Table: ...
    @property
    def feed(self) -> pl.DataFrame: ...
    @property
    def label_versions(self) -> str: ...
    @property
    def candidates(self) -> pl.DataFrame: ...
    @property
    def contract(self) -> Contract: ...
    @property
    def as_of(self) -> datetime: ...
    @property
    def rejects(self) -> Mapping[str, pl.DataFrame]: ...


def known_statements(candidates: pl.DataFrame, prediction_id: str) -> pl.DataFrame:
    """The statements that were considered for a prediction and had arrived, in the order they arrived."""
    mine = candidates.filter((pl.col("prediction_id") == prediction_id) & (pl.col("fate") != NOT_YET))
    return mine.sort("ts_arrival", "statement")


@dataclass(frozen=True, slots=True, kw_only=True)
class SmallWorld:
    """One prediction with its rivals, its session, its statements, and the rows that clash with them.

    ``own`` is the prediction's row in the joined table, ``said`` its statements with their fate.
    """

    table: JoinedRows
    own: dict[str, Any]
    said: pl.DataFrame
    predictions: PredictionLog
    outcomes: OutcomeLog
    actions: ActionLog

    @classmethod
    def of(cls, table: JoinedRows, prediction_id: str) -> Self:
        """Cut the world of one prediction out of a joined table."""
        own = table.rows.lazy().filter(pl.col("prediction_id") == prediction_id).collect().row(0, named=True)
        said = known_statements(table.candidates, prediction_id)
        clashing = _clashing_outcomes(table, own=own)
        # A busy entity's rivals are not all listed, and a statement that clashes lists none.
        whole = unlisted(_same_statements(table, said)).height > 0 or clashing["__entity"].is_not_null().any()
        rivals = _rivals(table, own=own, said=said, by_entity=whole)
        frame = table.rows.lazy().filter(rivals | _session(table, rivals, own=own)).collect()
        made = _predictions(frame, rivals=rivals, contract=table.contract)
        return cls(
            table=table,
            own=own,
            said=said,
            predictions=PredictionLog(**_log(made, _clashing_predictions(table, own=own))),
            outcomes=OutcomeLog(**_log(_outcomes(said, own=own, contract=table.contract), clashing)),
            actions=_actions(table, frame),
        )

    @property
    def action(self) -> dict[str, Any]:
        """What was done, as logged; empty when nothing was."""
        mine = self.actions.frame.filter(pl.col("prediction_id") == self.own["prediction_id"])
        return mine.row(0, named=True) if mine.height else {}

    def state_at(self, moment: datetime) -> dict[str, Any]:
        """State, label, source and maturity as the join says them as of that moment."""
        from fbkit.join.join import join

        # Whatever other logs there are, they have no say in the state of a label.
        rest: dict[str, Any] = {item.name: None for item in fields(Logs) if item.default is MISSING}
        given: dict[str, Any] = {"predictions": self.predictions, "outcomes": self.outcomes, "actions": self.actions}
        logs = Logs(**(rest | given))
        versions = self.table.label_versions
        how: dict[str, Any] = {}
        if self.table.contract.label.silence == "negative":
            # Days on which the feed fell short are judged as they are at the table's own time.
            how = {"feed": _heard(self.table), "runs": self.table.feed}
        frame = join(logs, contract=self._contract(), as_of=moment, label_versions=versions, **how).frame
        row = frame.row(by_predicate=pl.col("prediction_id") == self.own["prediction_id"], named=True)
        return {name: row[name] for name in ("state", "label", "source", "mature")}

    def _contract(self) -> Contract:
        contract = self.table.contract
        fallback = contract.join.fallback
        if fallback is not None:
            fallback = fallback.model_copy(update={"entity": (_ENTITY,)})
            contract = contract.model_copy(update={"join": contract.join.model_copy(update={"fallback": fallback})})
        return contract


def _same_statements(table: JoinedRows, said: pl.DataFrame) -> pl.DataFrame:
    return table.candidates.filter(pl.col("statement").is_in(said["statement"].implode()))


def _rivals(table: JoinedRows, *, own: dict[str, Any], said: pl.DataFrame, by_entity: bool) -> pl.Expr:
    """The prediction and those that could claim one of its statements."""
    rivals = _same_statements(table, said)["prediction_id"]
    mine = pl.col("prediction_id").is_in([own["prediction_id"], *rivals.drop_nulls()])
    if by_entity and own["entity"] is not None:
        mine |= (pl.col("entity") == own["entity"]).fill_null(value=False)
    return mine


def _session(table: JoinedRows, rivals: pl.Expr, *, own: dict[str, Any]) -> pl.Expr:
    """Whatever else happened in their sessions, which moves the end of a session window."""
    if table.contract.label.window != "session" or "session_id" not in own:
        return pl.lit(value=False)
    session = pl.col("session_id").str.strip_chars()
    mine = table.rows.lazy().filter(rivals).select(session.drop_nulls().unique()).collect().to_series()
    return session.is_in(mine.filter(mine != "").implode()).fill_null(value=False)


def _clashing_outcomes(table: JoinedRows, *, own: dict[str, Any]) -> pl.DataFrame:
    """Statements about the prediction that are set aside today because their outcome_id clashes; once they counted."""
    rejects = table.rejects.get("outcomes", pl.DataFrame())
    if RULE not in rejects.columns or rejects.is_empty():
        return pl.DataFrame(schema={"__entity": pl.String, RULE: pl.String})
    keys = table.contract.join.keys
    mine = pl.all_horizontal([pl.col(key) == ("" if own[key] is None else str(own[key])) for key in keys])
    unkeyed = pl.any_horizontal([pl.col(key).is_null() for key in keys])
    shared = unkeyed & (pl.col("__entity") == (own["entity"] or ""))
    clash = rejects.filter((pl.col(RULE) == _CLASH) & (mine | shared).fill_null(value=False))
    return clash.with_columns(pl.when(pl.col("__entity").is_not_null()).then(pl.lit(_NAME)).alias("__entity"))


def _heard(table: JoinedRows) -> pl.DataFrame:
    """Every statement of the log, those that clash included: each shows that the feed was alive."""
    said = table.candidates.select("ts_arrival", "source")
    rejects = table.rejects.get("outcomes", pl.DataFrame())
    if RULE not in rejects.columns:
        return said
    return pl.concat([said, rejects.filter(pl.col(RULE) == _CLASH).select("ts_arrival", "source")])


def _clashing_predictions(table: JoinedRows, *, own: dict[str, Any]) -> pl.DataFrame:
    rejects = table.rejects.get("predictions", pl.DataFrame())
    if RULE not in rejects.columns or own["entity"] is None or _ENTITY not in rejects.columns:
        return pl.DataFrame(schema={RULE: pl.String})
    clash = rejects.filter((pl.col(RULE) == _CLASH) & (pl.col(_ENTITY) == own["entity"]))
    return clash.with_columns(pl.lit(_NAME).alias(_ENTITY))


def _predictions(frame: pl.DataFrame, *, rivals: pl.Expr, contract: Contract) -> pl.DataFrame:
    reserved = ("closes",) if contract.label.window == "session" else ()
    made = [name for name in frame.columns if name in (*RESERVED, *reserved) or name.startswith("__")]
    return frame.with_columns(pl.when(rivals).then(pl.lit(_NAME)).alias(_ENTITY)).drop(made)


def _outcomes(said: pl.DataFrame, *, own: dict[str, Any], contract: Contract) -> pl.DataFrame:
    made = [name for name in said.columns if name in _MADE_BY_PAIRING or name.startswith("__")]
    keyed = pl.lit(said["rule"] == "by_id")
    keys = [
        pl.when(keyed).then(pl.lit(None if own[key] is None else str(own[key]), dtype=pl.String)).alias(key)
        for key in contract.join.keys
    ]
    return said.drop(made).with_columns(*keys, pl.when(~keyed).then(pl.lit(_NAME)).alias("__entity"))


def _actions(table: JoinedRows, frame: pl.DataFrame) -> ActionLog:
    taken = frame.filter(pl.col("action").is_not_null()).select("prediction_id", "action", "propensity")
    known = getattr(table, "actions", pl.DataFrame())
    if known.width:
        taken = known.join(taken.select("prediction_id"), on="prediction_id", how="semi")
    return ActionLog(**_log(taken, pl.DataFrame(schema={RULE: pl.String})))


def _log(frame: pl.DataFrame, clashing: pl.DataFrame) -> dict[str, Any]:
    """The fields of a log; the rows that clash get the columns of those that do not."""
    shaped = [
        (pl.col(name) if name in clashing.columns else pl.lit(None)).cast(dtype) for name, dtype in frame.schema.items()
    ]
    names = list(frame.columns)
    rejects = clashing.select(*(made.alias(name) for made, name in zip(shaped, names, strict=True)), RULE)
    return {"frame": frame, "rejects": rejects, "audit": pl.DataFrame(schema=AUDIT_SCHEMA), "sources": ()}
