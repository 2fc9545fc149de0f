"""Set bad rows aside: each rule takes the rows no earlier rule took, and all of them are kept and counted."""

from collections.abc import Mapping, Sequence

import polars as pl

from fbkit.errors import InputError
from fbkit.load.columns import Casts
from fbkit.schema.logs import audit_frame
from fbkit.schema.rules import REFUSED

RULE = "rule"
# Rules that leave out what nobody asked for; a log that is mostly of this kind is not a broken one.
_HARMLESS = {"other_environment", "duplicate_row"}

Rules = Sequence[tuple[str, pl.Expr]]


def quarantine(frame: pl.DataFrame, *, rules: Rules) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Split a frame into rows that pass every rule and rows that do not (with the first rule they broke)."""
    verdict = pl.coalesce(*[pl.when(broken).then(pl.lit(name)) for name, broken in rules])
    marked = frame.with_columns(verdict.alias(RULE))
    return marked.filter(pl.col(RULE).is_null()).drop(RULE), marked.filter(pl.col(RULE).is_not_null())


def refuse_if_mostly_bad(rules: Mapping[str, int], *, total: int, table: str) -> None:
    """Error when a single rule refuses more than half of the rows: a wrong unit or column, not bad luck.

    Raises
    ------
    InputError
        With the rule, its rows, and what it looks like.
    """
    wanted = total - rules.get("other_environment", 0)
    for name, rows in rules.items():
        if rows * 2 > wanted and name not in _HARMLESS:
            raise InputError(
                f"more than half of the {table} log breaks one rule: {REFUSED[name]}",
                got=f"{rows:,} of {wanted:,} rows",
                allowed="at most half",
                next_step=_HINTS.get(name, "check the column mapping in the contract"),
            )


_HINTS = {
    "score_out_of_range": 'these are logits or percent: map a probability or set score_kind = "margin" or "value"',
    "absurd_time": "these look like times in a wrong unit",
    "null_time": "the times could not be read: write ISO 8601 with a zone",
    "label_not_binary": 'map a 0/1 label, or set task = "regression"',
    "conflicting_id": "the id is not unique: map the column that identifies one prediction",
    "arrival_before_event": "arrival and event time may be swapped or in different zones",
}


def split_duplicates(frame: pl.DataFrame, *, key: list[str]) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Keep one of identical rows; set aside every row whose key stands for different contents."""
    repeated = frame.filter(pl.struct(key).is_duplicated())
    if repeated.is_empty():
        return frame, frame.clear().with_columns(pl.lit(None, dtype=pl.String).alias(RULE))
    single = frame.filter(~pl.struct(key).is_duplicated())
    distinct = repeated.unique(maintain_order=True)
    agreeing = distinct.filter(~pl.struct(key).is_duplicated())
    conflicting = repeated.join(agreeing.select(key), on=key, how="anti", nulls_equal=True)
    extra = repeated.join(agreeing.select(key), on=key, how="semi", nulls_equal=True)
    extra = extra.filter(~pl.struct(key).is_first_distinct())
    rejects = [
        extra.with_columns(pl.lit("duplicate_row").alias(RULE)),
        conflicting.with_columns(pl.lit("conflicting_id").alias(RULE)),
    ]
    return pl.concat([single, agreeing]), pl.concat(rejects)


def split_identical(frame: pl.DataFrame) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Keep one of rows that agree in every column."""
    kept = frame.unique(maintain_order=True, keep="first")
    if kept.height == frame.height:
        return frame, frame.clear().with_columns(pl.lit(None, dtype=pl.String).alias(RULE))
    first = pl.struct(pl.all()).is_first_distinct()
    return kept, frame.filter(~first).with_columns(pl.lit("duplicate_row").alias(RULE))


def account(*, table: str, rows_in: int, used: int, rejects: Sequence[pl.DataFrame], casts: Casts) -> pl.DataFrame:
    """The audit of one log; in = used + refused is asserted, not hoped for.

    Raises
    ------
    InputError
        One rule refuses more than half of the rows.
    """
    refused = pl.concat([part.select(RULE) for part in rejects]).group_by(RULE).len().sort(RULE)
    total = int(refused["len"].sum() or 0)
    if rows_in != used + total:
        raise AssertionError(f"{table}: {rows_in} rows in, {used} used, {total} refused")
    refuse_if_mostly_bad(dict(refused.iter_rows()), total=rows_in, table=table)
    rows: list[tuple[str, str, int, str | None]] = [(table, "in", rows_in, None), (table, "used", used, None)]
    rows += [(table, name, count, REFUSED[name]) for name, count in refused.iter_rows()]
    rows += [(table, "cast", used, f"{column}: {change}") for column, change in casts]
    return audit_frame(rows)
