"""Predictions worth looking at one by one: the worst errors, a slice, an id, those with a late label or none."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Final

import polars as pl

from fbkit.errors import ArgumentError
from fbkit.join.receipt import personal_names
from fbkit.join.rows import lazy_rows, no_rows, settled
from fbkit.measure.arguments import checked
from fbkit.schema import results
from fbkit.schema.contract import Contract
from fbkit.schema.period import Period
from fbkit.schema.protocols import JoinedLike

MISSED: Final = "missed"
FALSE_ALARMS: Final = "false_alarms"
ERRORS: Final = "errors"
LATE: Final = "late"
NEWEST: Final = "newest"
OF_TASK: Final[Mapping[str, tuple[str, ...]]] = {
    "binary": (MISSED, FALSE_ALARMS),
    "regression": (ERRORS,),
    "ranking": (MISSED, FALSE_ALARMS),
}
OF_STATE: Final = (results.PENDING, results.MISSING, results.CENSORED)
LIMIT: Final = 50
ERROR: Final = "error"
RULE: Final = "rule"
LEFT: Final = "left"
DROPPED: Final = "dropped"
ALL: Final = "all predictions"
SHOWN: Final = "shown here"
Rule = tuple[str, pl.Expr]
_COLUMNS: Final = (
    "prediction_id", "ts_pred", "score", "threshold", "flagged", "state", "label", "late", "arrival_lag", "source",
    "model_version",
)  # fmt: skip
_ID: Final = "prediction_id"


@dataclass(frozen=True, slots=True, kw_only=True)
class FoundRows:
    """Rows and how they were found.

    Attributes
    ----------
    rows
        At most ``limit`` of them, the most telling first: id, time, score, threshold, flag, state, label and the
        contract's slices, without the columns that the contract calls personal.
    steps
        rule, left, dropped: how many predictions each rule left, in order; the last line is what is shown.
    hidden
        The columns left out because the contract calls them personal.
    """

    rows: pl.DataFrame
    steps: pl.DataFrame
    hidden: tuple[str, ...]


def questions(contract: Contract) -> tuple[str, ...]:
    """What can be looked for in a model of this task, the worst errors first."""
    return (*OF_TASK.get(contract.model.task, ()), *OF_STATE, LATE, NEWEST)


@checked
def find_rows(
    joined: JoinedLike,
    question: str,
    *,
    period: str | Period | None = None,
    where: Mapping[str, str | None] | None = None,
    identifier: str = "",
    stage: str = results.STAGE_FINAL,
    threshold: float | None = None,
    limit: int = LIMIT,
) -> FoundRows:
    """Find predictions, the most telling first.

    Parameters
    ----------
    question
        "missed": positives that were not flagged, the lowest scores first (of a ranking: every positive).
        "false_alarms": negatives that were flagged, the highest scores first (of a ranking: every negative).
        "errors": the largest distance of score and label. "pending", "missing", "censored": rows in that state, the
        newest first. "late": labels that came after their window and grace, the longest wait first. "newest": all.
    period
        Half-open ``A..B`` of prediction times; None is everything.
    where
        Slices: column to value as text; the value None is where the column is empty.
    identifier
        A part of the prediction's id; empty is any.
    stage
        "final": errors among the rows that are final; "any": among all labelled ones. States are not narrowed by it.
    threshold
        Flags made anew as ``score >= threshold``; None keeps the logged ones.
    limit
        The most rows to return.

    Raises
    ------
    ArgumentError
        An unknown question, one that does not belong to the task, or an unknown column.

    Examples
    --------
    >>> import fbkit as fb
    >>> joined = fb.open_loop(fb.samples.path("recall_drop") / "variant_a").join()
    >>> found = find_rows(joined, "missed", where={"region": "EU"}, limit=3)
    >>> found.rows["score"].is_sorted(), found.rows["flagged"].any(), found.steps["rule"].to_list()[0]
    (True, False, 'all predictions')
    """
    columns = no_rows(joined).columns
    _check(joined.contract, question, where or {}, columns)
    rows = lazy_rows(joined)
    flags = pl.col("flagged") if threshold is None else pl.col("score") >= threshold
    hidden = personal_names(joined.contract)
    narrow = _narrowed(
        None if period is None else Period.parse(period), where or {}, identifier.strip(), personal=hidden
    )
    final = settled(joined) if stage == results.STAGE_FINAL else None
    ranked = joined.contract.model.task == "ranking"
    marks = [*narrow, *_asked(question, flags, final=final, ranked=ranked)]
    order, descending = _order(question)
    shown = [name for name in dict.fromkeys((*_COLUMNS, *joined.contract.slices.columns)) if name in columns]
    found = (
        rows.filter(pl.all_horizontal(pl.lit(value=True), *(mark for _, mark in marks)))
        .sort([order, pl.col(_ID)], descending=[descending, False], nulls_last=True)
        .head(limit)
        .with_columns(flags.alias("flagged"), (pl.col("score") - pl.col("label")).abs().alias(ERROR))
        .select(*(name for name in shown if name == _ID or name not in hidden), ERROR)
        .collect()
    )
    steps = _steps(rows, marks, shown=found.height)
    return FoundRows(rows=found, steps=steps, hidden=tuple(sorted(set(shown) & hidden)))


def _check(contract: Contract, question: str, where: Mapping[str, str | None], columns: list[str]) -> None:
    allowed = questions(contract)
    if question not in allowed:
        raise ArgumentError(
            "this cannot be looked for",
            got=question,
            allowed=", ".join(allowed),
            next_step=f"name one of these; the model's task is {contract.model.task}",
        )
    unknown = next((name for name in (*where, *([LATE] if question == LATE else [])) if name not in columns), None)
    if unknown is not None:
        raise ArgumentError(
            "there is no such column", got=unknown, allowed=", ".join(columns), next_step="name a column of the table"
        )


def _narrowed(
    period: Period | None, where: Mapping[str, str | None], identifier: str, *, personal: frozenset[str]
) -> Iterator[Rule]:
    """The rules that say which rows are looked at: what each is called, and which rows it keeps."""
    if period is not None:
        yield "in the period", pl.col("ts_pred").is_between(period.start, period.end, closed="left")
    for name, value in where.items():
        said = "(personal)" if name in personal else "(no value)" if value is None else value
        yield f"{name} = {said}", pl.col(name).cast(pl.String).eq_missing(pl.lit(value))
    if identifier:
        yield "with this in its id", pl.col(_ID).str.contains(identifier, literal=True)


def _asked(question: str, flags: pl.Expr, *, final: pl.Expr | None, ranked: bool) -> Iterator[Rule]:
    """The rules of a question; errors are looked for among labelled rows, ``final`` ones if that is given."""
    if question in OF_STATE:
        yield question, pl.col("state").cast(pl.String) == question
    if question == LATE:
        yield "label came late", pl.col("late")
    if question not in (MISSED, FALSE_ALARMS, ERRORS):
        return
    if final is not None:
        yield "final", final
    yield "labelled", pl.col("label").is_not_null()
    if question == MISSED:
        yield "positive", pl.col("label") > 0 if ranked else pl.col("label") >= 0.5
    if question == FALSE_ALARMS:
        yield "negative", pl.col("label") <= 0 if ranked else pl.col("label") < 0.5
    if question != ERRORS and not ranked:
        yield ("not flagged", flags.not_()) if question == MISSED else ("flagged", flags)


def _order(question: str) -> tuple[pl.Expr, bool]:
    """What the rows are sorted by, and whether the largest comes first."""
    if question in (MISSED, FALSE_ALARMS):
        return pl.col("score"), question == FALSE_ALARMS
    if question == ERRORS:
        return (pl.col("score") - pl.col("label")).abs(), True
    return pl.col("arrival_lag" if question == LATE else "ts_pred"), True


def _steps(rows: pl.LazyFrame, marks: Sequence[Rule], *, shown: int) -> pl.DataFrame:
    """How many rows each rule leaves of those that the rules before it left."""
    held = [mark.fill_null(value=False) for _, mark in marks]
    kept = [pl.all_horizontal(held[: place + 1]).sum().alias(str(place)) for place in range(len(held))]
    left = [int(count) for count in rows.select(pl.len().alias("all"), *kept).collect().row(0)] + [shown]
    dropped = [0, *(before - after for before, after in pairwise(left))]
    names = [ALL, *(name for name, _ in marks), SHOWN]
    schema = {RULE: pl.String, LEFT: pl.Int64, DROPPED: pl.Int64}
    return pl.DataFrame({RULE: names, LEFT: left, DROPPED: dropped}, schema=schema)
