"""The outcome log: statements about what happened, each with the time we learned it."""

from collections.abc import Sequence
from dataclasses import dataclass

import polars as pl

from fbkit.errors import InputError
from fbkit.load.checks import RULE, account, quarantine, split_duplicates, split_identical
from fbkit.load.columns import Casts, canonical, check_key_type, entity_key, free_name
from fbkit.load.keys import whole_keys
from fbkit.load.looks import hidden_columns
from fbkit.load.times import absurd
from fbkit.schema.contract import Contract
from fbkit.schema.logs import OutcomeLog, SourceFile, audit_frame
from fbkit.schema.rules import NOTES

TABLE = "outcomes"
Notes = list[tuple[str, str, int, str | None]]
RESERVED = ("ts_pred", "statement", "rule", "fate", "n_rivals", "key")


@dataclass(frozen=True, slots=True, kw_only=True)
class Rest:
    """What another pass found of a log of which only some rows are at hand.

    ``rows`` passed every rule and are not at hand; ``notes`` and ``names`` (distinct values of label_name, None without
    that column) are the whole log's.
    """

    rows: int
    notes: Notes
    names: pl.Series | None


def load_outcomes(
    frame: pl.DataFrame, *, contract: Contract, sources: tuple[SourceFile, ...], rest: Rest | None = None
) -> OutcomeLog:
    """Check an outcome log.

    A log without ``ts_arrival`` is taken as known the moment it happened, and the audit says so.
    A regression log may call its label ``value``.

    Raises
    ------
    InputError
        A required column is missing or unusable, or most rows break one rule.
    """
    frame, casts, notes = prepare_outcomes(frame, contract=contract)
    said = audit_frame(notes if rest is None else rest.notes)
    return _checked(frame, contract=contract, sources=sources, casts=casts, notes=said, rest=rest)


def outcomes_of_label(log: OutcomeLog, *, contract: Contract) -> OutcomeLog:
    """A checked log, checked again for the label of another contract of the same loop.

    Raises
    ------
    InputError
        The log does not say which label its rows are about, or holds none of this one.
    """
    frame = pl.concat([log.frame, log.rejects.drop(RULE, strict=False)], how="diagonal_relaxed")
    casts = log.audit.filter(pl.col("rule") == "cast")["detail"].str.splitn(": ", 2).struct.unnest().rows()
    notes = log.audit.filter(pl.col("rule").is_in(list(NOTES)) & (pl.col("rule") != "cast"))
    return _checked(frame, contract=contract, sources=log.sources, casts=casts, notes=notes)


def _checked(
    frame: pl.DataFrame,
    *,
    contract: Contract,
    sources: tuple[SourceFile, ...],
    casts: Casts,
    notes: pl.DataFrame,
    rest: Rest | None = None,
) -> OutcomeLog:
    found = frame["label_name"].unique() if "label_name" in frame.columns else None
    check_label_names(found if rest is None else rest.names, contract=contract)
    besides = rest.rows if rest else 0
    used, rejects = quarantine(frame, rules=outcome_rules(contract, columns=frame.columns))
    used, repeated = split_identical(used)
    used, clashing = unique_outcome_id(used)
    audit = account(
        table=TABLE,
        rows_in=frame.height + besides,
        used=used.height + besides,
        rejects=[rejects, repeated, clashing],
        casts=casts,
        hidden=hidden_columns(contract.outcomes, contract.privacy.personal),
    )
    everything = pl.concat([rejects, repeated, clashing], how="diagonal_relaxed")
    return OutcomeLog(frame=used, rejects=everything, audit=pl.concat([audit, notes]), sources=sources)


def check_label_names(found: pl.Series | None, *, contract: Contract) -> None:
    """Refuse a log that holds no statement about the label, but some about others that nobody named.

    ``found`` are the distinct values of label_name, None where there is no such column.

    Raises
    ------
    InputError
        Nothing would be left without anybody having said so.
    """
    label = contract.label
    names = [] if found is None else sorted(found.drop_nulls().str.strip_chars().unique().to_list())
    own = label.name in names or (label.role == "primary" and (found is None or found.is_null().any() or "" in names))
    unknown = [name for name in names if name and name not in contract.label_names]
    if own or (label.role == "primary" and not unknown):
        return
    if found is None:
        raise InputError(
            f"the outcome log has no column label_name, so none of its rows is known to be about {label.name}",
            allowed="a column label_name; rows without a name are the primary label's",
            next_step=f'log label_name with every outcome, or map it: [{TABLE}.columns] label_name = "..."',
            got="no label_name",
        )
    raise InputError(
        f"no row of the outcome log is about the label {label.name}",
        got=f"label_name is {', '.join(names[:5])}",
        allowed=f"rows whose label_name is {label.name}" + (" or empty" if label.role == "primary" else ""),
        next_step="give the label in the contract the name that the log uses, or mend the log",
    )


def prepare_outcomes(frame: pl.DataFrame, *, contract: Contract) -> tuple[pl.DataFrame, Casts, Notes]:
    """Canonical names and types and the columns that the join relies on, row for row; also casts and notes."""
    part = contract.outcomes
    if "label" not in {*frame.columns, *part.columns} and "value" in {*frame.columns, *part.columns}:
        mapped = {"label": "value"} | {
            "label" if name == "value" else name: item for name, item in part.columns.items()
        }
        part = part.model_copy(update={"columns": mapped})
    hidden, zone = hidden_columns(part, contract.privacy.personal), contract.time.timezone
    frame, casts = canonical(frame, source=part, table=TABLE, required=("ts_event", "label"), zone=zone, hidden=hidden)
    frame = frame.rename(
        {name: free_name(name, frame.columns) for name in _reserved(contract) if name in frame.columns}
    )
    frame = whole_keys(frame, keys=contract.join.keys, table=TABLE, casts=casts)
    frame, notes = _complete(frame, contract=contract)
    return frame, casts, notes


def _reserved(contract: Contract) -> list[str]:
    """Columns that the pairing makes itself; a logged one of that name, such as a copied ts_pred, must not stand in."""
    return [*RESERVED, *({"prediction_id"} - set(contract.join.keys))]


def unique_outcome_id(frame: pl.DataFrame) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Split off the statements whose id stands for several contents; a statement without an id is its own."""
    if "outcome_id" not in frame.columns:
        return frame, frame.clear().with_columns(pl.lit(None, dtype=pl.String).alias(RULE))
    usable = (pl.col("outcome_id").str.strip_chars() != "").fill_null(value=False)
    kept, rejects = split_duplicates(frame.filter(usable), key=["outcome_id"])
    return pl.concat([kept, frame.filter(~usable)]), rejects


def _complete(frame: pl.DataFrame, *, contract: Contract) -> tuple[pl.DataFrame, Notes]:
    """Add the optional columns that the join relies on, and the usable-key columns."""
    notes: Notes = []
    optional = {"ts_arrival": frame.schema["ts_event"], "source": pl.String, "label_version": pl.String}
    frame = frame.with_columns(
        pl.lit(None, dtype=dtype).alias(name) for name, dtype in optional.items() if name not in frame.columns
    )
    unknown = frame["ts_arrival"].null_count()
    if unknown:
        notes.append((TABLE, "arrival_is_event_time", unknown, NOTES["arrival_is_event_time"]))
    frame = frame.with_columns(
        pl.coalesce("ts_arrival", "ts_event").alias("ts_arrival"), pl.col("source").fill_null("auto")
    )
    for key in contract.join.keys:
        if key in frame.columns:
            text = pl.col(key).cast(pl.String)
            frame = frame.with_columns(pl.when(text.str.strip_chars() != "").then(text).alias(key))
        else:
            frame = frame.with_columns(pl.lit(None, dtype=pl.String).alias(key))
    version = pl.col("label_version").cast(pl.String).str.strip_chars()
    frame = frame.with_columns(pl.when(version != "").then(version).alias("label_version"))
    return frame.with_columns(_fallback_key(frame, contract=contract).alias("__entity")), notes


def label_table(log: OutcomeLog, *, contract: Contract) -> pl.DataFrame:
    """The label definitions of a contract, the primary first, and how many statements of the log are about each."""
    label = contract.label
    rows = [
        (part.name, part.role, part.version, part.window_text, part.silence, _statements(log, part.name, part.role))
        for part in (label, *label.also)
    ]
    names = ("name", "role", "version", "window", "silence")
    return pl.DataFrame(rows, schema=dict.fromkeys(names, pl.String) | {"statements": pl.Int64}, orient="row")


def _statements(log: OutcomeLog, label: str, role: str) -> int:
    frames = (log.frame, log.rejects)
    if "label_name" not in log.frame.columns:
        return sum(frame.height for frame in frames) if role == "primary" else 0
    return sum(frame.filter(_about(label, role=role)).height for frame in frames)


def _about(label: str, *, role: str) -> pl.Expr:
    name = pl.col("label_name").cast(pl.String).str.strip_chars()
    own = (name == label).fill_null(value=False)
    return own | name.is_null() | (name == "") if role == "primary" else own


def _fallback_key(frame: pl.DataFrame, *, contract: Contract) -> pl.Expr:
    fallback = contract.join.fallback
    if fallback is None:
        return pl.lit(None, dtype=pl.String)
    mapped = contract.predictions.columns.get("entity_id")
    listed = [mapped] if isinstance(mapped, str) else list(mapped or [])
    if "entity_id" in frame.columns and (listed == list(fallback.entity) or fallback.entity == ("entity_id",)):
        return pl.col("entity_id")
    if all(column in frame.columns for column in fallback.entity):
        for column in fallback.entity:
            check_key_type(frame, column=column, table=TABLE)
        return entity_key(fallback.entity)
    return pl.lit(None, dtype=pl.String)


def outcome_rules(contract: Contract, *, columns: Sequence[str]) -> list[tuple[str, pl.Expr]]:
    """The rules of a prepared outcome log with these columns, in order: the first that a row breaks is named."""
    other = [("other_label", ~_about(contract.label.name, role=contract.label.role))] if "label_name" in columns else []
    keyed = pl.all_horizontal([pl.col(key).is_not_null() for key in contract.join.keys])
    rules = [
        *other,
        ("no_key", ~keyed & pl.col("__entity").is_null()),
        ("null_time", pl.col("ts_event").is_null()),
        ("absurd_time", absurd("ts_event") | absurd("ts_arrival")),
        ("arrival_before_event", pl.col("ts_arrival") < pl.col("ts_event")),
        ("null_label", pl.col("label").is_null() | ~pl.col("label").is_finite()),
    ]
    if contract.model.task == "binary" and contract.label.combine not in ("sum", "count"):
        rules.append(("label_not_binary", ~pl.col("label").is_in([0.0, 1.0])))
    return rules
