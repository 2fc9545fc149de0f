"""The receipt of one prediction: what the model saw, what was done, what came back, which rule paired them."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

import polars as pl

from fbkit.schema.contract import Contract
from fbkit.schema.period import format_instant

_STATEMENT_COLUMNS = ("ts_event", "ts_arrival", "label", "source", "label_version", "rule", "n_rivals", "fate")


@dataclass(frozen=True, slots=True, kw_only=True)
class Receipt:
    """One prediction, as a table of facts and a table of statements."""

    prediction_id: str
    as_of: datetime
    facts: tuple[tuple[str, str, str], ...]
    statements: pl.DataFrame

    @property
    def frame(self) -> pl.DataFrame:
        """The facts as a frame: section, name, value."""
        return pl.DataFrame(
            list(self.facts), schema={"section": pl.String, "name": pl.String, "value": pl.String}, orient="row"
        )

    def __str__(self) -> str:
        lines = [f"receipt of {self.prediction_id} as known at {format_instant(self.as_of)}"]
        section = ""
        for group, name, value in self.facts:
            if group != section:
                section = group
                lines.append(f"{group}:")
            lines.append(f"  {name:<18} {value}")
        lines.append(f"what came back: {self.statements.height} statement{'s' if self.statements.height != 1 else ''}")
        for row in self.statements.iter_rows(named=True):
            when = f"event {_text(row['ts_event'])}, learned {_text(row['ts_arrival'])}"
            lines.append(
                f"  label {row['label']:g} ({row['source']}): {when}, {row['fate']}, {row['rule']}, "
                f"rivals {row['n_rivals']}"
            )
        return "\n".join(lines)


def make_receipt(
    row: Mapping[str, object], *, statements: pl.DataFrame, contract: Contract, as_of: datetime
) -> Receipt:
    """Put the facts of one joined row in the order a sceptic asks for them."""
    saw = [
        "ts_pred",
        "score",
        "threshold",
        "model_version",
        "feature_view",
        *contract.features.columns,
        *contract.slices.columns,
    ]
    did = ["flagged", "decision", "action", "propensity", "blocked"]
    state = ["state", "label", "rule", "n_rivals", "n_outcomes", "lag", "arrival_lag", "mature", "late"]
    facts = [("what the model saw", name, _text(row[name])) for name in dict.fromkeys(saw) if name in row]
    facts += [("what was done", name, _text(row[name])) for name in did if name in row and row[name] is not None]
    facts += [("its label", name, _text(row[name])) for name in state if name in row]
    facts.append(("its label", "window", contract.label.window_text))
    known = statements.filter(pl.col("fate") != "not_yet_arrived").sort("ts_arrival", "statement")
    return Receipt(
        prediction_id=str(row["prediction_id"]),
        as_of=as_of,
        facts=tuple(facts),
        statements=known.select(_STATEMENT_COLUMNS),
    )


def _text(value: object) -> str:
    if value is None:
        return "none"
    if isinstance(value, datetime):
        return format_instant(value)
    return f"{value:.6g}" if isinstance(value, float) else str(value)
