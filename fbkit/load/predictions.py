"""The prediction log: what was scored, when, and as what."""

from collections import Counter
from collections.abc import Mapping, Sequence

import polars as pl

from fbkit.errors import InputError
from fbkit.load.checks import RULE, account, quarantine, split_duplicates
from fbkit.load.columns import NUMBERS, TIMES, Casts, canonical, check_text_type, free_name
from fbkit.load.keys import id_of_keys, whole_keys
from fbkit.load.latency import count_latencies, latency_note
from fbkit.load.looks import hidden_columns
from fbkit.load.times import absurd
from fbkit.schema.contract import Contract
from fbkit.schema.label import CLOSES
from fbkit.schema.logs import PredictionLog, SourceFile, audit_frame

TABLE = "predictions"
# Columns of the joined table that the kit makes; a logged column of that name would be overwritten.
RESERVED = (
    "entity", "flagged", "state", "label", "ts_event", "ts_arrival", "lag", "arrival_lag", "rule", "source",
    "label_version", "mature", "late", "n_outcomes", "n_rivals", "action", "propensity", "blocked",
)  # fmt: skip


def load_predictions(
    frame: pl.DataFrame,
    *,
    contract: Contract,
    sources: tuple[SourceFile, ...],
    besides: int = 0,
    latencies: Mapping[str, int] | None = None,
) -> PredictionLog:
    """Check a prediction log; see :mod:`fbkit.schema.rules` for the rules.

    Rows of other environments than the contract asks for (``prod`` by default) are left out and counted.

    Parameters
    ----------
    besides
        Rows that passed every rule elsewhere; the audit counts them too.
    latencies
        What :func:`fbkit.load.latency.latency_counts` finds in those rows.

    Raises
    ------
    InputError
        A required column is missing or unusable, or most rows break one rule.
    """
    rows_in = frame.height + besides
    frame, casts = prepare_predictions(frame, contract=contract)
    used, rejects = quarantine(frame, rules=prediction_rules(frame.columns, contract=contract))
    used, repeated = split_duplicates(used, key=["prediction_id"])
    used, rekeyed = unique_join_key(used, contract=contract)
    refused = [rejects, repeated, rekeyed]
    hidden = hidden_columns(contract.predictions, contract.privacy.personal)
    audit = account(
        table=TABLE, rows_in=rows_in, used=used.height + besides, rejects=refused, casts=casts, hidden=hidden
    )
    counts = Counter(count_latencies(used)) + Counter(latencies or {})
    audit = pl.concat([audit, audit_frame(latency_note(counts))])
    everything = pl.concat([rejects, repeated, rekeyed], how="diagonal_relaxed")
    return PredictionLog(frame=used.sort("ts_pred", "prediction_id"), rejects=everything, audit=audit, sources=sources)


def prepare_predictions(frame: pl.DataFrame, *, contract: Contract) -> tuple[pl.DataFrame, Casts]:
    """Canonical names and types, row for row; also the list of casts for the audit."""
    frame = _with_id(frame, contract=contract)
    required = ("prediction_id", "ts_pred", "score")
    part, zone = contract.predictions, contract.time.timezone
    hidden = hidden_columns(part, contract.privacy.personal)
    frame, casts = canonical(frame, source=part, table=TABLE, required=required, zone=zone, hidden=hidden)
    frame = whole_keys(frame, keys=contract.join.keys, table=TABLE, casts=casts)
    frame = _free_reserved(frame, contract=contract)
    frame, casts = _as_text(frame, contract=contract, casts=casts)
    return _numeric_features(frame, contract=contract), casts


def _with_id(frame: pl.DataFrame, *, contract: Contract) -> pl.DataFrame:
    """Ranking logs are keyed by request, item and position: their id is those keys written together."""
    mapped = contract.predictions.columns
    if "prediction_id" in frame.columns or "prediction_id" in mapped or contract.join.keys == ("prediction_id",):
        return frame
    columns = [str(mapped.get(key, key)) for key in contract.join.keys]
    if any(column not in frame.columns for column in columns):
        return frame
    frame = whole_keys(frame, keys=columns, table=TABLE, casts=[])
    return frame.with_columns(id_of_keys(columns).alias("prediction_id"))


def unique_join_key(frame: pl.DataFrame, *, contract: Contract) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Split off the predictions that share their join keys with another."""
    keys = list(contract.join.keys)
    empty = frame.clear().with_columns(pl.lit(None, dtype=pl.String).alias(RULE))
    if keys == ["prediction_id"]:
        return frame, empty
    missing = [key for key in keys if key not in frame.columns]
    if missing:
        raise InputError(
            "the prediction log lacks a join key",
            got=", ".join(missing),
            allowed=", ".join(frame.columns),
            next_step="log it, map it under [predictions.columns], or take it out of [join] keys",
        )
    ambiguous = pl.struct(keys).is_duplicated() & pl.all_horizontal(pl.col(keys).is_not_null())
    return frame.filter(~ambiguous), frame.filter(ambiguous).with_columns(pl.lit("conflicting_id").alias(RULE))


def _free_reserved(frame: pl.DataFrame, *, contract: Contract) -> pl.DataFrame:
    sessions = any(label.window == "session" for label in (contract.label, *contract.label.also))
    taken = [name for name in (*RESERVED, *(["closes"] if sessions else []), CLOSES) if name in frame.columns]
    wanted = set(contract.slices.columns) | set(contract.features.columns)
    for name in taken:
        if name in wanted:
            raise InputError(
                f"the slice or feature {name} has a name that the joined table uses itself",
                got=name,
                allowed=f"any name but {', '.join(RESERVED)}",
                next_step=f'rename it: [predictions.columns] my_{name} = "{name}", and use my_{name} in the contract',
            )
    return frame.rename({name: free_name(name, frame.columns) for name in taken})


def _as_text(frame: pl.DataFrame, *, contract: Contract, casts: Casts) -> tuple[pl.DataFrame, Casts]:
    missing = [name for name in (*contract.slices.columns, *contract.features.columns) if name not in frame.columns]
    if missing:
        raise InputError(
            "the contract names a slice or feature that the prediction log does not have",
            got=", ".join(missing),
            allowed=", ".join(frame.columns),
            next_step="log it, map it under [predictions.columns], or take it out of the contract",
        )
    for name in contract.slices.columns:
        if name in (*NUMBERS[TABLE], *TIMES[TABLE]):
            raise InputError(
                "a slice is a number or time that the kit computes with",
                got=name,
                allowed="a column of names, or of whole numbers",
                next_step="log its bins as a column of their own, and slice by that",
            )
        dtype = frame.schema[name]
        if dtype != pl.String and (not dtype.is_float() or name not in contract.features.columns):
            check_text_type(frame, column=name, table=TABLE)
            frame = frame.with_columns(pl.col(name).cast(pl.String))
            casts.append((name, f"{dtype} -> String"))
    return frame, casts


def _numeric_features(frame: pl.DataFrame, *, contract: Contract) -> pl.DataFrame:
    """CSV features arrive as text; a column whose every value is a number is one."""
    for name in contract.features.columns:
        if frame.schema[name] == pl.String and name not in contract.slices.columns:
            cast = frame[name].cast(pl.Float64, strict=False)
            if cast.null_count() == frame[name].null_count():
                frame = frame.with_columns(cast)
    return frame


def prediction_rules(columns: Sequence[str], *, contract: Contract) -> list[tuple[str, pl.Expr]]:
    """The rules of a prepared prediction log with these columns, in order: the first that a row breaks is named."""
    score = pl.col("score")
    rules = [
        ("null_id", pl.col("prediction_id").is_null() | (pl.col("prediction_id").str.strip_chars() == "")),
        ("null_time", pl.col("ts_pred").is_null()),
        ("absurd_time", absurd("ts_pred")),
        ("null_score", score.is_null()),
        ("score_not_finite", ~score.is_finite()),
    ]
    if contract.predictions.score_kind == "probability" and contract.model.task == "binary":
        rules.append(("score_out_of_range", (score < 0) | (score > 1)))
    where = dict(contract.predictions.where)
    if "environment" in columns:
        where.setdefault("environment", ["prod"])
    for name, values in where.items():
        if name not in columns:
            raise InputError(
                "[predictions.where] names a column that is not in the log",
                got=name,
                allowed=", ".join(columns),
                next_step="log it, or take it out of [predictions.where]",
            )
        rules.insert(0, ("other_environment", ~pl.col(name).cast(pl.String).is_in(values).fill_null(value=False)))
    return rules
