"""Set bad rows aside: each rule takes the rows no earlier rule took, and all of them are kept and counted."""

from collections.abc import Collection, Mapping, Sequence

import polars as pl

from fbkit.errors import InputError
from fbkit.load.columns import Casts, CountedCasts
from fbkit.load.looks import MARGINS, PERCENT, PROBABILITIES, UNITS, advice, examples, looks_like
from fbkit.schema.logs import audit_frame
from fbkit.schema.rules import NOTES, REFUSED

RULE = "rule"
# Rules that leave out what nobody asked for; a log that is mostly of this kind is not a broken one.
_HARMLESS = {"other_environment", "other_label", "duplicate_row"}

Rules = Sequence[tuple[str, pl.Expr]]


def quarantine(frame: pl.DataFrame, *, rules: Rules) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Split a frame into rows that pass every rule and rows that do not (with the first rule they broke)."""
    verdict = pl.coalesce(*[pl.when(broken).then(pl.lit(name)) for name, broken in rules])
    marked = frame.with_columns(verdict.alias(RULE))
    return marked.filter(pl.col(RULE).is_null()).drop(RULE), marked.filter(pl.col(RULE).is_not_null())


def refuse_if_mostly_bad(
    rules: Mapping[str, int],
    *,
    total: int,
    table: str,
    rejects: Sequence[pl.DataFrame] = (),
    hidden: Collection[str] = (),
) -> None:
    """Error when a single rule refuses more than half of the rows: a wrong unit or column, not bad luck.

    With the refused rows at hand the message shows five of them and says what their values look like.

    Raises
    ------
    InputError
        With the rule, its rows, and what it looks like.
    """
    wanted = total - rules.get("other_environment", 0) - rules.get("other_label", 0)
    for name, rows in rules.items():
        if rows * 2 > wanted and name not in _HARMLESS:
            raise InputError(
                f"more than half of the {table} log breaks one rule: {REFUSED[name]}",
                got=f"{rows:,} of {wanted:,} rows{_for_example(name, rejects, hidden=hidden)}",
                allowed="at most half",
                next_step=_hint(name, rejects),
            )


def _for_example(rule: str, rejects: Sequence[pl.DataFrame], *, hidden: Collection[str]) -> str:
    column = _JUDGED.get(rule)
    for name in (column, "prediction_id"):
        values = None if name is None else _values(rule, name, rejects)
        if values is not None and not values.is_empty():
            return f", for example {name} {examples(values, hidden=name in hidden)}"
    return ""


def _hint(rule: str, rejects: Sequence[pl.DataFrame]) -> str:
    plain = _HINTS.get(rule, "check the column mapping in the contract")
    column = _JUDGED.get(rule)
    values = None if column is None else _values(rule, column, rejects)
    kind = None if values is None else looks_like(values)
    return advice(kind, wanted=PROBABILITIES) if kind in _TELLING.get(rule, ()) else plain


def _values(rule: str, column: str, rejects: Sequence[pl.DataFrame]) -> pl.Series | None:
    found = [part.filter(pl.col(RULE) == rule)[column] for part in rejects if column in part.columns]
    return next((values.drop_nulls() for values in found if len(values)), None)


# The column that a rule is about, and what its values may turn out to be.
_JUDGED = {
    "score_out_of_range": "score",
    "label_not_binary": "label",
    "propensity_out_of_range": "propensity",
}
_TELLING = {
    "score_out_of_range": (PERCENT, MARGINS, *(f"epoch {unit}" for unit in UNITS)),
    "propensity_out_of_range": (PERCENT, MARGINS),
}


_HINTS = {
    "label_not_binary": 'map a 0/1 label (these may be scores or amounts), or set task = "regression"',
    "score_out_of_range": 'these are logits or percent: map a probability or set score_kind = "margin" or "value"',
    "absurd_time": "these look like times in a wrong unit, or like text that is no time: write ISO 8601 with a zone",
    "null_time": "the times could not be read: write ISO 8601 with a zone",
    "conflicting_id": "the id is not unique: map the column that identifies one prediction",
    "arrival_before_event": "arrival and event time may be swapped or in different zones",
}


def split_duplicates(frame: pl.DataFrame, *, key: list[str]) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Keep one of identical rows; set aside every row whose key stands for different contents."""
    if _all_differ(frame.select(key)):
        return frame, frame.clear().with_columns(pl.lit(None, dtype=pl.String).alias(RULE))
    repeated = frame.filter(pl.struct(key).is_duplicated())
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


def _all_differ(frame: pl.DataFrame) -> bool:
    """Whether a look at hashes shows already that no two rows are alike; False means that one has to look closer."""
    return frame.hash_rows().n_unique() == frame.height


def split_identical(frame: pl.DataFrame) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Keep one of rows that agree in every column."""
    if _all_differ(frame):
        return frame, frame.clear().with_columns(pl.lit(None, dtype=pl.String).alias(RULE))
    kept = frame.unique(maintain_order=True, keep="first")
    if kept.height == frame.height:
        return frame, frame.clear().with_columns(pl.lit(None, dtype=pl.String).alias(RULE))
    first = pl.struct(pl.all()).is_first_distinct()
    return kept, frame.filter(~first).with_columns(pl.lit("duplicate_row").alias(RULE))


def account(
    *,
    table: str,
    rows_in: int,
    used: int,
    rejects: Sequence[pl.DataFrame],
    casts: Casts,
    hidden: Collection[str] = (),
) -> pl.DataFrame:
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
    refuse_if_mostly_bad(dict(refused.iter_rows()), total=rows_in, table=table, rejects=rejects, hidden=hidden)
    rows: list[tuple[str, str, int, str | None]] = [(table, "in", rows_in, None), (table, "used", used, None)]
    rows += [(table, name, count, REFUSED[name]) for name, count in refused.iter_rows()]
    rows += [(table, "cast", used, f"{column}: {change}") for column, change in casts]
    unreadable = casts.unreadable if isinstance(casts, CountedCasts) else {}
    rows += [(table, "unreadable", count, f"{column}: {NOTES['unreadable']}") for column, count in unreadable.items()]
    return audit_frame(rows)
