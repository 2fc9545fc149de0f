"""What pairing needs to know of every row, in a few bytes each: the hash of its key, its times, the rule it broke."""

import secrets
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import polars as pl

from fbkit.join.pair import entity_of
from fbkit.load.columns import Casts
from fbkit.load.files import UNREADABLE
from fbkit.load.outcomes import Notes, outcome_rules, prepare_outcomes
from fbkit.load.predictions import prediction_rules, prepare_predictions
from fbkit.load.scan import Scan
from fbkit.schema.contract import Contract
from fbkit.schema.contract_parts import FeaturesPart, SlicesPart, Source
from fbkit.schema.rules import REFUSED

BATCH = 1_000_000
ROW, KEY, CHECK, ENTITY = "__row", "__key", "__check", "__entity"
# Hashes are drawn anew in every process: nobody can write ids that collide, and no result depends on them.
_SEED, _OTHER_SEED = secrets.randbits(63), secrets.randbits(63)
_SEPARATOR = "\x1f"
_FEW = 16
VERDICT = pl.Enum(sorted(REFUSED))


@dataclass(frozen=True, slots=True, kw_only=True)
class Slim:
    """One log, a few columns wide; row ``i`` is row ``i`` of the source.

    ``frame`` has ``__key`` (hash of the join keys; null where a key is null or empty), ``verdict`` (the rule
    that refuses the row, else null), and what the log's own pass adds.
    ``names`` are the distinct values of label_name, None without that column.
    """

    frame: pl.DataFrame
    casts: Casts
    notes: Notes
    names: pl.Series | None = None


def batches(scan: Scan, *, columns: Sequence[str] | None = None) -> Iterator[pl.DataFrame]:
    """The rows of a log in order, some columns of them, a million at a time; a log without rows is one empty batch."""
    frame = scan.frame if columns is None else scan.frame.select(columns)
    read = 0
    try:
        whole = int(scan.frame.select(pl.len()).collect().item())
        for batch in frame.collect_batches(chunk_size=BATCH, maintain_order=True):
            read += batch.height
            yield batch
        if read == 0:
            yield frame.collect_schema().to_frame()
    except UNREADABLE as error:
        raise scan.explain(error) from error
    if read != whole:  # where a damaged page defeats Polars the batches just end
        raise scan.explain(OSError(f"{read:,} of {whole:,} rows can be read"))


def key_text(keys: Sequence[str]) -> pl.Expr:
    """The join keys of a row as one text; null if one of them is null."""
    return pl.col(keys[0]) if len(keys) == 1 else pl.concat_str(keys, separator=_SEPARATOR, ignore_nulls=False)


def key_shown(keys: Sequence[str]) -> pl.Expr:
    """The join keys as the pairings show them (:func:`fbkit.join.pair.pair`)."""
    return pl.concat_str(keys, separator="|").alias("key")


def hashed(text: pl.Expr) -> pl.Expr:
    """The hash by which rows are matched."""
    return text.hash(_SEED)


def key_hash(keys: Sequence[str]) -> pl.Expr:
    """The hash by which keys are matched; null if a part of the key is null."""
    text = key_text(keys)
    return pl.when(text.is_not_null()).then(hashed(text)).alias(KEY)


def key_check(keys: Sequence[str]) -> pl.Expr:
    """A second, independent hash: two keys that agree in both, 128 bits, are taken for the same."""
    return key_text(keys).hash(_OTHER_SEED).alias(CHECK)


def slim_predictions(scan: Scan, *, contract: Contract) -> Slim:
    """Read ids, times and scores of the prediction log.

    Columns: ``__key``, ``__id`` (hash of prediction_id), ``__entity`` (hash of the fallback's entity, if there is one),
    verdict, ts_pred, known_at.
    """
    fallback = contract.join.fallback
    entity = ("entity_id", *fallback.entity) if fallback else ()
    names = ("prediction_id", *contract.join.keys, *entity, "ts_pred", "ts_logged", "score", "environment")
    narrow = contract.model_copy(
        update={
            "slices": SlicesPart(),
            "features": FeaturesPart(),
            "predictions": _narrow(contract.predictions, (*names, *contract.predictions.where)),
        }
    )
    wanted = needed(scan, contract.predictions, (*names, *contract.predictions.where))
    keys = contract.join.keys
    made: list[pl.DataFrame] = []
    casts: Casts = []
    for batch in batches(scan, columns=wanted):
        frame, casts = prepare_predictions(batch, contract=narrow)
        logged = [pl.max_horizontal("ts_pred", "ts_logged").alias("known_at")] if "ts_logged" in frame.columns else []
        made.append(
            frame.select(
                # One hash serves both where the key is the id.
                *([] if keys == ("prediction_id",) else [key_hash(keys)]),
                hashed(pl.col("prediction_id")).alias("__id"),
                *([hashed(entity_of(frame, contract=narrow)).alias(ENTITY)] if fallback else []),
                _verdict(prediction_rules(frame.columns, contract=narrow)),
                "ts_pred",
                *logged,
            )
        )
    frame = pl.concat(made, rechunk=True)
    shared = {KEY: "__id", "known_at": "ts_pred"}
    frame = frame.with_columns(pl.col(old).alias(new) for new, old in shared.items() if new not in frame.columns)
    return Slim(frame=frame, casts=casts, notes=[])


def slim_outcomes(scan: Scan, *, contract: Contract) -> Slim:
    """Read keys, times and labels of the outcome log.

    Columns: ``__key``, ``__check`` (another hash of the same key), ``__statement`` (hash of outcome_id, if there is
    one), ``__entity`` (of rows without a key), verdict, ts_event, ts_arrival, label, source, label_version, and
    audit_prob where logged.
    """
    entity = contract.join.fallback.entity if contract.join.fallback else ()
    names = (
        *contract.join.keys, "entity_id", *entity, "ts_event", "ts_arrival", "label", "value", "source",
        "label_version", "label_name", "outcome_id", "audit_prob",
    )  # fmt: skip
    narrow = contract.model_copy(update={"outcomes": _narrow(contract.outcomes, names)})
    keys, text = contract.join.keys, key_text(contract.join.keys)
    made: list[pl.DataFrame] = []
    casts: Casts = []
    notes: dict[tuple[str, str, str | None], int] = {}
    labels: list[pl.Series] = []
    for batch in batches(scan, columns=needed(scan, contract.outcomes, names)):
        frame, casts, said = prepare_outcomes(batch, contract=narrow)
        for table, rule, rows, detail in said:
            notes[table, rule, detail] = notes.get((table, rule, detail), 0) + rows
        if "label_name" in frame.columns:
            labels.append(frame["label_name"].unique())
        made.append(
            frame.select(
                key_hash(keys),
                key_check(keys),
                *([hashed(pl.col("outcome_id")).alias("__statement")] if "outcome_id" in frame.columns else []),
                pl.when(text.is_null()).then(hashed(pl.col(ENTITY))).alias(ENTITY),
                _verdict(outcome_rules(contract, columns=frame.columns)),
                "ts_event", "ts_arrival", "label",
                # A handful of values, millions of times.
                pl.col("source", "label_version").cast(pl.Categorical),
                *(["audit_prob"] if "audit_prob" in frame.columns else []),
            )
        )  # fmt: skip
    counted: Notes = [(table, rule, rows, detail) for (table, rule, detail), rows in notes.items()]
    found = pl.concat(labels).unique() if labels else None
    return Slim(frame=pl.concat(made, rechunk=True), casts=casts, notes=counted, names=found)


def _verdict(rules: Sequence[tuple[str, pl.Expr]]) -> pl.Expr:
    return pl.coalesce([pl.when(broken).then(pl.lit(name, dtype=VERDICT)) for name, broken in rules]).alias("verdict")


def needed(scan: Scan, source: Source, names: Sequence[str]) -> list[str]:
    """The columns of the file behind these canonical names, as far as they exist."""
    held = scan.frame.collect_schema().names()
    wanted: set[str] = set(names)
    for name in names:
        given: Any = source.columns.get(name, ())
        wanted |= {given} if isinstance(given, str) else set(given)
    return [name for name in held if name in wanted]


def _narrow(source: Any, names: Sequence[str]) -> Any:
    return source.model_copy(update={"columns": {key: item for key, item in source.columns.items() if key in names}})


def full_rows(scan: Scan, rows: pl.Series) -> pl.DataFrame:
    """Every column of a few rows, in order, with their row number in ``__row``."""
    numbered = scan.frame.with_row_index(ROW)
    try:
        if len(rows) <= _FEW:
            single = [numbered.slice(int(row), 1) for row in rows]
            return pl.concat(single).collect() if single else numbered.collect_schema().to_frame()
        # A semi-join streams; the chosen rows are few.
        return (
            numbered.join(rows.cast(pl.UInt32).to_frame(ROW).lazy(), on=ROW, how="semi")
            .sort(ROW)
            .collect(engine="streaming")
        )
    except (pl.exceptions.PolarsError, OSError) as error:
        raise scan.explain(error) from error
