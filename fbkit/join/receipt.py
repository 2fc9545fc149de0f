"""The receipt of one prediction: what the model saw, what was done, what came back, by which rule, against whom."""

import hashlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final

import polars as pl

from fbkit.join.timeline import timeline
from fbkit.join.world import NOT_YET, JoinedRows, SmallWorld
from fbkit.schema.contract import Contract
from fbkit.schema.label import LabelWindow
from fbkit.schema.period import format_instant
from fbkit.schema.rules import OUTCOME_FATE

SAW: Final = "what the model saw"
DID: Final = "what was done"
LABEL: Final = "its label"
_SAW = (
    "ts_pred", "ts_logged", "score", "threshold", "model_version", "feature_view", "feature_hash", "schema_hash",
    "environment", "status", "region", "entity", "request_id", "session_id", "item_id", "position", "prompt_id",
    "prompt_version", "response_id",
)  # fmt: skip
_DID = ("flagged", "decision", "action", "propensity", "policy_id", "explored", "ts_action", "blocked")
_LABEL = (
    "state",
    "label",
    "rule",
    "source",
    "label_version",
    "n_rivals",
    "n_outcomes",
    "lag",
    "arrival_lag",
    "mature",
    "late",
)
_STATEMENT = ("statement", "ts_event", "ts_arrival", "label", "source", "label_version", "rule", "n_rivals", "fate")
_MORE = ("outcome_id", "label_name", "amount", "audit_prob")
_RIVALS: Final = {
    "statement": pl.UInt32, "prediction_id": pl.String, "ts_pred": pl.Datetime("us", "UTC"), "fate": pl.String,
    "why": pl.String,
}  # fmt: skip
_FEATURES: Final[dict[str, type[pl.DataType]]] = dict.fromkeys(
    ("feature", "value", "version", "owner", "definition"), pl.String
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Receipt:
    """Everything known at ``as_of`` about one prediction and how its label was found.

    Attributes
    ----------
    facts
        (section, name, value) as text: what the model saw, what was done, its label.
    features
        feature, value as served, and the version, owner and definition the contract states for it.
    statements
        One row per statement considered that had arrived: statement (its number), ts_event, ts_arrival, label, source,
        label_version, rule, n_rivals, fate, why, and outcome_id, label_name, amount, audit_prob where logged.
    rivals
        Other predictions that could have claimed one of these statements: statement, prediction_id, ts_pred, fate, why.
    timeline
        at, what, state, label, source, mature: see :func:`fbkit.join.timeline.timeline`.
    feedback
        The feedback rows linked to this prediction (empty when none is logged).
    personal
        Names of facts and features that the contract calls personal; :meth:`lines` masks them.
    unlisted
        Rivals beyond ``rivals``: of a statement that more than 100 predictions could claim only the winner is listed.
    """

    prediction_id: str
    as_of: datetime
    facts: tuple[tuple[str, str, str], ...]
    features: pl.DataFrame
    statements: pl.DataFrame
    rivals: pl.DataFrame
    timeline: pl.DataFrame
    feedback: pl.DataFrame
    personal: frozenset[str] = frozenset()
    unlisted: int = 0

    @property
    def frame(self) -> pl.DataFrame:
        """The facts as a frame: section, name, value."""
        schema = {"section": pl.String, "name": pl.String, "value": pl.String}
        return pl.DataFrame(list(self.facts), schema=schema, orient="row")

    def shown(self, name: str, value: str, *, mask: bool) -> str:
        """A value as it may be shown: a personal one only as a short hash when masked."""
        return _hashed(value, salt=self.prediction_id) if mask and name in self.personal and value != "none" else value

    def to_dict(self, *, mask: bool = True) -> dict[str, object]:
        """The same facts under fixed keys, for JSON; ``mask`` as in :meth:`lines`."""
        hidden = self.personal if mask else frozenset[str]()
        rivals, features = self.rivals.to_dicts(), self.features.to_dicts()
        for row in rivals:
            row["prediction_id"] = self.shown("prediction_id", row["prediction_id"], mask=mask)
        for row in features:
            row["value"] = self.shown(row["feature"], row["value"], mask=mask)
        facts = [
            {"section": section, "name": name, "value": self.shown(name, value, mask=mask)}
            for section, name, value in self.facts
        ]
        return {
            "prediction_id": self.shown("prediction_id", self.prediction_id, mask=mask),
            "facts": facts,
            "features": features,
            "statements": self.statements,
            "rivals": rivals,
            "timeline": self.timeline,
            "feedback": self.feedback.drop([name for name in self.feedback.columns if name in hidden]),
        }

    def lines(self, *, mask: bool = True) -> Iterator[str]:
        """The receipt as text; ``mask`` replaces personal values by hashes, for what leaves the machine."""
        name = self.shown("prediction_id", self.prediction_id, mask=mask)
        yield f"receipt of {name}, as known at {_text(self.as_of)}"
        section = ""
        for group, name, value in self.facts:
            if group != section:
                section = group
                yield f"{group}:"
            yield f"  {name:<18} {self.shown(name, value, mask=mask)}"
        yield from self._feature_lines(mask=mask)
        yield from self._returned(mask=mask)
        yield "its state over time:"
        for row in self.timeline.iter_rows(named=True):
            state = row["state"] or "-"
            yield f"  {_text(row['at']):<22} {state:<10} {row['what']}"

    def _feature_lines(self, *, mask: bool) -> Iterator[str]:
        if self.features.height:
            yield "features as served:"
        for row in self.features.iter_rows(named=True):
            stated = [f"version {row['version']}"] if row["version"] else []
            stated += [f"owner {row['owner']}"] if row["owner"] else []
            value = self.shown(row["feature"], row["value"], mask=mask)
            yield f"  {row['feature']:<18} {value}" + (f"  ({', '.join(stated)})" if stated else "")

    def _returned(self, *, mask: bool) -> Iterator[str]:
        yield f"what came back: {counted(self.statements.height, 'statement')}"
        for row in self.statements.iter_rows(named=True):
            yield f"  {statement_text(row)}"
        if self.rivals.height:
            yield f"who else could have claimed it: {counted(self.rivals.height, 'rival')}"
        for row in self.rivals.iter_rows(named=True):
            name = self.shown("prediction_id", row["prediction_id"], mask=mask)
            yield f"  {name} of {_text(row['ts_pred'])}: {row['why']}"
        if self.unlisted:
            yield f"  {self.unlisted:,} more that are not listed"
        if self.feedback.height:
            yield f"feedback: {counted(self.feedback.height, 'row')}"
        for row in self.feedback.iter_rows(named=True):
            said = {
                name: row[name] for name in ("ts_feedback", "rating", "comment", "rater") if row.get(name) is not None
            }
            words = (f"{name} {self.shown(name, _text(value), mask=mask)}" for name, value in said.items())
            yield f"  {', '.join(words)}"

    def __str__(self) -> str:
        return "\n".join(self.lines(mask=False))


def counted(number: int, name: str) -> str:
    """``1 statement``, ``2 statements``."""
    return f"{number} {name}{'' if number == 1 else 's'}"


def statement_text(row: Mapping[str, Any]) -> str:
    """One statement in a line."""
    version = f", definition {row['label_version']}" if row["label_version"] is not None else ""
    return (
        f"label {row['label']:.6g} ({row['source']}{version}): event {_text(row['ts_event'])}, "
        f"learned {_text(row['ts_arrival'])}; {row['fate']} ({row['why']}), {row['rule']}, rivals {row['n_rivals']}"
    )


def make_receipt(table: JoinedRows, prediction_id: str) -> Receipt:
    """Put together what a joined table knows about one of its predictions, in the order a sceptic asks for it."""
    contract = table.contract
    world = SmallWorld.of(table, prediction_id)
    row, said = world.own, world.said
    fate_text = pl.col("fate").replace_strict(OUTCOME_FATE, default=pl.col("fate"), return_dtype=pl.String)
    columns = [*_STATEMENT, *(name for name in _MORE if name in said.columns)]
    rivals = _rivals(table, prediction_id=prediction_id, said=said)
    return Receipt(
        prediction_id=prediction_id,
        as_of=table.as_of,
        facts=tuple(_facts({**world.action, **row}, contract=contract)),
        features=_features(row, contract=contract),
        statements=said.select(*columns).insert_column(9, said.select(fate_text.alias("why")).to_series()),
        rivals=rivals,
        timeline=timeline(world),
        feedback=_feedback(table, prediction_id),
        personal=personal_names(contract),
        unlisted=int(said["n_rivals"].sum()) - rivals.height,
    )


def personal_names(contract: Contract) -> frozenset[str]:
    """Columns of the joined table that the contract names as personal, under their names in the file or here."""
    personal = set(contract.privacy.personal)
    for name, given in contract.predictions.columns.items():
        listed = [given] if isinstance(given, str) else list(given)
        if personal & {name, *listed}:
            personal.add(name)
    if "entity_id" in personal or personal & set(contract.join.fallback.entity if contract.join.fallback else ()):
        personal |= {"entity", "entity_id"}
    return frozenset(personal)


def _facts(row: Mapping[str, Any], *, contract: Contract) -> Iterator[tuple[str, str, str]]:
    asked = dict.fromkeys((*_SAW, *contract.slices.columns))
    always = ("ts_pred", "score", "threshold", "model_version", *contract.slices.columns)
    yield from (
        (SAW, name, _text(row[name])) for name in asked if name in row and (row[name] is not None or name in always)
    )
    yield from ((DID, name, _text(row[name])) for name in _DID if row.get(name) is not None)
    yield from ((LABEL, name, _text(row[name])) for name in _LABEL if name in row)
    yield LABEL, "window", contract.label.window_text
    window = LabelWindow.of(contract)
    yield LABEL, "window closes", _text(row["closes"] if window.session else row["ts_pred"] + window.window)


def _features(row: Mapping[str, Any], *, contract: Contract) -> pl.DataFrame:
    definitions = contract.features.definitions
    names = [name for name in dict.fromkeys((*contract.features.columns, *definitions)) if name in row]
    rows: list[tuple[str | None, ...]] = []
    for name in names:
        stated = definitions.get(name)
        told = (stated.version, stated.owner, stated.definition) if stated else (None, None, None)
        rows.append((name, _text(row[name]), *told))
    return pl.DataFrame(rows, schema=_FEATURES, orient="row")


def _rivals(table: JoinedRows, *, prediction_id: str, said: pl.DataFrame) -> pl.DataFrame:
    numbers = said.filter(pl.col("n_rivals") > 0)["statement"]
    if numbers.is_empty():
        return pl.DataFrame(schema=_RIVALS)
    others = table.candidates.filter(
        pl.col("statement").is_in(numbers.implode())
        & pl.col("prediction_id").is_not_null()
        & (pl.col("prediction_id") != prediction_id)
        & (pl.col("fate") != NOT_YET)
    )
    rule = table.contract.join.fallback.rule if table.contract.join.fallback else "unique"
    return (
        others.with_columns(_why(rule).alias("why"))
        .select(*_RIVALS)
        .sort("statement", "ts_pred", "prediction_id")
        .cast(_RIVALS)  # type: ignore[arg-type]  # polars types the mapping more narrowly than it takes
    )


def _why(rule: str) -> pl.Expr:
    further = {"earliest": "later", "latest": "earlier"}.get(rule, "apart")
    nearest = {"earliest": "earliest", "latest": "latest"}.get(rule, "chosen")
    lost = (
        f"lost: made {further} than the one that claims it (rule {rule}; at the same instant the smaller id is earlier)"
    )
    won = f"claims it: the {nearest} whose window holds the event (rule {rule})"
    return (
        pl.when(pl.col("fate") == "not_chosen")
        .then(pl.lit(lost))
        .when(pl.col("fate") == "ambiguous")
        .then(pl.lit("nobody claims it: rule unique, and several predictions could"))
        .otherwise(pl.lit("is labelled by it too (rule all)" if rule == "all" else won))
    )


def _feedback(table: JoinedRows, prediction_id: str) -> pl.DataFrame:
    feedback = getattr(table, "feedback", None)
    if not isinstance(feedback, pl.DataFrame) or "prediction_id" not in feedback.columns:
        return pl.DataFrame()
    return feedback.filter(pl.col("prediction_id") == prediction_id)


def _hashed(value: str, *, salt: str) -> str:
    digest = hashlib.sha256(f"{salt}\x1f{value}".encode()).hexdigest()
    return f"#{digest[:10]}"


def _text(value: object) -> str:
    if value is None:
        return "none"
    if isinstance(value, datetime):
        return format_instant(value)
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, timedelta):
        return _span(value)
    return f"{value:.6g}" if isinstance(value, float) else str(value)


def _span(value: timedelta) -> str:
    """A time span in its two largest units."""
    seconds = round(value.total_seconds())
    sizes = {"d": 86_400, "h": 3600, "m": 60, "s": 1}
    parts: list[str] = []
    for unit, size in sizes.items():
        count, seconds = divmod(seconds, size)
        if count:
            parts.append(f"{count}{unit}")
    return " ".join(parts[:2]) or "0s"
