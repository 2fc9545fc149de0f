"""The join of large logs in bounded memory: rows that one key decides are matched by its hash and written in parts."""

from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import Any

import polars as pl

from fbkit.join.assemble import arranged, decorate, with_closes
from fbkit.join.counts import Counts
from fbkit.join.feedback import with_feedback
from fbkit.join.join import join, reach
from fbkit.join.joined import Joined
from fbkit.join.known import Known, known_actions, newest_arrival
from fbkit.join.latencies import latencies_in
from fbkit.join.match import Matched, Split, match, split
from fbkit.join.pair import BY_ID
from fbkit.join.parts import Writer, numbered, runs
from fbkit.join.settle import ANY, CURRENT
from fbkit.join.slim import CHECK, KEY, ROW, Slim, full_rows, key_check, key_shown, slim_outcomes, slim_predictions
from fbkit.join.states import CONFLICTED, assign_states, feed_watermark
from fbkit.join.table import StoredTable
from fbkit.join.watermark import count_feed, incomplete_feed, merge_counts, no_runs, row_watermark
from fbkit.load.loop import Logs
from fbkit.load.outcomes import Rest, load_outcomes, prepare_outcomes
from fbkit.load.predictions import load_predictions, prepare_predictions
from fbkit.load.scan import Scan
from fbkit.schema.contract import Contract
from fbkit.schema.label import LabelWindow
from fbkit.schema.logs import ActionLog, ChangeLog, FeedbackLog
from fbkit.schema.period import format_instant, parse_instant

_SAID = ("label", "ts_event", "ts_arrival", "source", "label_version")


class HashCollisionError(Exception):
    """Two different keys have one hash; the logs have to be joined by the keys themselves."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LazyLogs:
    """The logs of one loop, the two long ones not yet read."""

    predictions: Scan
    outcomes: Scan
    actions: ActionLog | None = None
    changes: ChangeLog | None = None
    feedback: FeedbackLog | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class _Work:
    """What the passes over the logs found, for the pass that writes the rows."""

    logs: LazyLogs
    contract: Contract
    as_of: datetime
    made: pl.DataFrame
    said: pl.DataFrame
    parts: Split
    matched: Matched
    actions: Known | None
    watermark: datetime | None
    runs: pl.DataFrame

    @property
    def by_row(self) -> pl.Expr | None:
        return None if self.watermark is None else row_watermark(self.runs, base=self.watermark)


def can_stream(contract: Contract) -> bool:
    """Whether rows can be joined one batch at a time; the end of a session depends on all of its rows."""
    return not LabelWindow.of(contract).session


def stream_join(
    logs: LazyLogs,
    *,
    contract: Contract,
    folder: Path,
    as_of: datetime | None = None,
    label_versions: str = ANY,
) -> Joined:
    """Join as :func:`fbkit.join.join.join` does, with the rows in Parquet parts under ``folder``.

    Rows that need more than their key (a key that occurs twice, a statement without one) go through
    that join itself; all others are matched by the hash of their key, and the keys are compared afterwards.

    Raises
    ------
    InputError
        As there.
    HashCollisionError
        Two different keys share a hash; nothing is lost, but the other join has to be used.

    Notes
    -----
    ``candidates`` has the same pairings in another order: statements are numbered by the order of their predictions,
    and of those that are matched by their hash only the columns that a join reads, and audit_prob, are kept.
    """
    made = slim_predictions(logs.predictions, contract=contract)
    said = slim_outcomes(logs.outcomes, contract=contract)
    parts = _with_one_careful(split(made.frame, said.frame), made.frame, said.frame, as_of=as_of)
    few = _careful_logs(logs, said=said, parts=parts, contract=contract)
    known_at = as_of or _newest(few, made=made.frame, said=said.frame, parts=parts)
    if known_at is None or not (made.frame["verdict"].is_null() & (made.frame["known_at"] <= known_at)).any():
        join(few, contract=contract, as_of=known_at, label_versions=label_versions)  # says what is wrong
        raise AssertionError("nothing was known, and nobody said so")
    heard = said.frame.filter(pl.col("verdict").is_null())
    view: dict[str, Any] = {"as_of": known_at, "label_versions": label_versions, "feed": heard}
    careful = join(few, contract=contract, runs=no_runs(), **view)
    work = _Work(
        logs=logs,
        contract=contract,
        as_of=known_at,
        made=made.frame,
        said=said.frame,
        parts=parts,
        matched=match(
            made.frame, said.frame, parts, contract=contract, as_of=known_at, strict=label_versions == CURRENT
        ),
        actions=known_actions(few, as_of=known_at),
        watermark=feed_watermark(heard, contract=contract, as_of=known_at),
        runs=no_runs(),
    )
    if contract.label.silence == "negative" and work.watermark is not None:
        work = replace(work, runs=_judged_feed(work, careful=careful, base=work.watermark))
        careful = join(few, contract=contract, runs=work.runs, **view)
    rows, pairs, audit = _write(work, careful=careful, folder=folder)
    joined = replace(
        careful,
        rows=rows,
        pairs=pairs,
        audit=pl.concat([few.audit, audit]),
        data_through=_reach(work, careful=careful),
    )
    return with_feedback(joined, few)


def _with_one_careful(parts: Split, made: pl.DataFrame, said: pl.DataFrame, *, as_of: datetime | None) -> Split:
    """Send the earliest prediction through the other join too, so that it always has one, and gives the columns."""
    known = parts.predictions if as_of is None else parts.predictions & (made["known_at"] <= as_of)
    row = made["ts_pred"].set(~known, None).arg_min() if known.any() else None
    if row is None:
        return parts
    key = made[KEY][row]
    predictions = parts.predictions & (pl.int_range(made.height, eager=True, dtype=pl.UInt32) != row)
    return Split(predictions=predictions, outcomes=parts.outcomes & (said[KEY] != key).fill_null(value=True))


def _careful_logs(logs: LazyLogs, *, said: Slim, parts: Split, contract: Contract) -> Logs:
    """The rows that are not simple as checked logs, whose audit counts all rows."""
    rows = full_rows(logs.predictions, (~parts.predictions).arg_true())
    predictions = load_predictions(
        rows.drop(ROW),
        contract=contract,
        sources=logs.predictions.sources(),
        besides=int(parts.predictions.sum() or 0),
        latencies=latencies_in(logs.predictions, keep=parts.predictions, contract=contract),
    )
    rows = full_rows(logs.outcomes, (~parts.outcomes).arg_true())
    outcomes = load_outcomes(
        rows.drop(ROW),
        contract=contract,
        sources=logs.outcomes.sources(),
        rest=Rest(rows=int(parts.outcomes.sum() or 0), notes=said.notes, names=said.names),
    )
    return Logs(
        predictions=predictions,
        outcomes=outcomes,
        actions=logs.actions,
        changes=logs.changes,
        feedback=logs.feedback,
    )


def _newest(few: Logs, *, made: pl.DataFrame, said: pl.DataFrame, parts: Split) -> datetime | None:
    """The newest arrival of either part, else the newest prediction; never the clock."""
    found = [newest_arrival(few), said["ts_arrival"].filter(parts.outcomes).max()]
    arrivals = [moment for moment in found if isinstance(moment, datetime)]
    made_at = [few.predictions.frame["ts_pred"].max(), made["ts_pred"].filter(parts.predictions).max()]
    return max(arrivals or [moment for moment in made_at if isinstance(moment, datetime)], default=None)


def _reach(work: _Work, *, careful: Joined) -> dict[str, str | None]:
    """How far each log reaches: the later of the rows in either part."""
    made = work.made.filter(work.parts.predictions & (work.made["known_at"] <= work.as_of))
    said = work.said.filter(work.parts.outcomes)
    simple = reach(made, said, as_of=work.as_of, watermark=work.watermark, runs=work.runs)
    both = {name: (careful.data_through[name], simple[name]) for name in ("predictions", "outcomes")}
    newest = {name: [parse_instant(text) for text in pair if text is not None] for name, pair in both.items()}
    return simple | {name: format_instant(max(moments)) if moments else None for name, moments in newest.items()}


def _write(work: _Work, *, careful: Joined, folder: Path) -> tuple[StoredTable, StoredTable, pl.DataFrame]:
    """Write every row in order, and every pairing; return both tables and the account of the join."""
    keep = work.parts.predictions & (work.made["known_at"] <= work.as_of)
    counts = Counts.of(careful.audit)
    rest = careful.frame
    with Writer(folder) as rows, Writer(folder, name="pairs") as pairs:
        columns = careful.candidates.schema
        pairs.add(careful.candidates)
        scan, times = work.logs.predictions, work.made["ts_pred"]
        name = _id_column(work)
        for batch, before in runs(scan, keep=keep, times=times, folder=folder, name=name):
            frame, told = _finish(batch, work=work, counts=counts)
            # In the order of their predictions, statements have numbers that say nothing of their place in a file.
            told = _ordered(told, told.clear(), known=name is not None)
            pairs.add(_like(told, columns, first=pairs.height))
            due = rest if before is None else rest.filter(pl.col("ts_pred") < before)
            rest = rest.slice(due.height)
            rows.add(_ordered(frame, due, known=name is not None))
        rows.add(rest)
        alone = _unpaired(work)
        pairs.add(_like(alone, columns, first=pairs.height))
    counts.add("after_as_of", int((work.parts.predictions & (work.made["known_at"] > work.as_of)).sum() or 0))
    counts.add_fates(work.matched.fate, simple=work.parts.outcomes)
    said = careful.candidates.height + int(work.parts.outcomes.sum() or 0)
    if counts["predictions"] != rows.height or pairs.height != said:
        raise AssertionError("a prediction or a statement was lost in the join")
    stored = StoredTable(rows.parts, height=rows.height), StoredTable(pairs.parts, height=pairs.height)
    return *stored, counts.audit()


def _id_column(work: _Work) -> str | None:
    """The column of the log that holds the id, if one column does."""
    given = work.contract.predictions.columns.get("prediction_id", "prediction_id")
    held = work.logs.predictions.frame.collect_schema()
    return given if isinstance(given, str) and given in held and not held[given].is_nested() else None


def _like(pairs: pl.DataFrame, schema: pl.Schema, *, first: int) -> pl.DataFrame:
    """Pairings with all columns that the careful ones have, numbered from ``first`` on."""
    held = {*pairs.columns, "statement"}
    missing = [pl.lit(None, dtype=dtype).alias(name) for name, dtype in schema.items() if name not in held]
    number = pl.int_range(first, first + pairs.height, dtype=pl.UInt32).alias("statement")
    return pairs.with_columns(number, *missing).select(pl.col(name).cast(dtype) for name, dtype in schema.items())


def _ordered(frame: pl.DataFrame, more: pl.DataFrame, *, known: bool) -> pl.DataFrame:
    """Rows by time and id; rows that are in order already, as ``known`` says of ``frame``, are not moved."""
    if more.height:
        return pl.concat([frame, more]).sort("ts_pred", "prediction_id")
    if known:
        return frame
    time, name = pl.col("ts_pred"), pl.col("prediction_id")
    before = time.shift(1)
    wrong = frame.lazy().select(((time < before) | ((time == before) & (name < name.shift(1)))).any()).collect().item()
    return frame.sort("ts_pred", "prediction_id") if wrong else frame


def _finish(rows: pl.DataFrame, *, work: _Work, counts: Counts) -> tuple[pl.DataFrame, pl.DataFrame]:
    """A batch of simple rows as the joined table has them, and their pairings."""
    contract = work.contract
    frame, told, disagree = _paired(rows, work=work)
    frame = assign_states(frame, contract=contract, as_of=work.as_of, watermark=work.by_row)
    frame = arranged(frame, contract=contract, ordered=False)
    counts.add_rows(frame, version=contract.label.version)
    counts.add("decision_disagrees", disagree)
    hidden = int((told["fate"] == "contradicts_action").sum())
    counts.add("contradicts_action", hidden)
    counts.add("used", -hidden)
    return frame, told


def _paired(rows: pl.DataFrame, *, work: _Work) -> tuple[pl.DataFrame, pl.DataFrame, int]:
    """A batch of simple rows with what was done and the statement that counts, before any state."""
    prepared, _ = prepare_predictions(rows.drop(ROW), contract=work.contract)
    found = _statements(prepared, rows[ROW], work=work)
    frame = with_closes(prepared, contract=work.contract)
    frame, disagree = decorate(frame, actions=work.actions, contract=work.contract)
    frame, told = _attach(frame, found, contract=work.contract)
    return frame, told, disagree


def _judged_feed(work: _Work, *, careful: Joined, base: datetime) -> pl.DataFrame:
    """The days on which the feed fell short, counted in a pass of its own."""
    rows = with_closes(careful.frame, contract=work.contract)
    counts = [count_feed(rows, careful.candidates, contract=work.contract, base=base)]
    keep = work.parts.predictions & (work.made["known_at"] <= work.as_of)
    for batch in numbered(work.logs.predictions, keep=keep):
        frame, _, _ = _paired(batch, work=work)
        pairs = frame.filter(pl.col("rule").is_not_null()).select(
            "prediction_id", "source", "ts_event", "ts_arrival", pl.lit("used").alias("fate")
        )
        counts.append(count_feed(frame, pairs, contract=work.contract, base=base))
    return incomplete_feed(merge_counts(counts), as_of=work.as_of)


def _statements(prepared: pl.DataFrame, rows: pl.Series, *, work: _Work) -> pl.DataFrame:
    """The statement of each row, null where there is none.

    Raises
    ------
    HashCollisionError
        A row and its statement have one hash and two keys.
    """
    keys = list(work.contract.join.keys)
    at = work.matched.statement.gather(rows).alias("statement")
    said = work.said.select(CHECK, *_said(work.said))
    found = said.with_columns(work.matched.fate).select(pl.all().gather(at)).with_columns(at)
    own = prepared.select(key_check(keys)).to_series()
    if (found[CHECK] != own).fill_null(value=False).any():
        raise HashCollisionError
    return found.with_columns(pl.col("source", "label_version").cast(pl.String), pl.col("fate").cast(pl.String))


def _said(frame: pl.DataFrame) -> list[str]:
    """What a statement says that a pairing keeps; the probability of an audit's draw only where it is logged."""
    return [*_SAID, *(["audit_prob"] if "audit_prob" in frame.columns else [])]


def _attach(frame: pl.DataFrame, found: pl.DataFrame, *, contract: Contract) -> tuple[pl.DataFrame, pl.DataFrame]:
    """What :func:`fbkit.join.assemble.attach` does, for rows that stand beside their only statement."""
    paired = found["statement"].is_not_null()
    counts = paired & found["fate"].is_null()
    spoken = counts | (found["fate"] == "other_definition").fill_null(value=False)
    labels = found.select(
        pl.when(counts).then(1.0 if contract.label.combine == "count" else "label").alias("label"),
        *[pl.when(counts).then(name).alias(name) for name in _SAID[1:]],
        pl.when(counts).then(pl.lit(BY_ID)).alias("rule"),
        pl.lit(0, dtype=pl.UInt32).alias("n_rivals"),
        spoken.cast(pl.UInt32).alias("n_outcomes"),
        pl.lit(value=False).alias(CONFLICTED),
    )
    fate = pl.coalesce("fate", pl.when("hidden").then(pl.lit("contradicts_action")).otherwise(pl.lit("used")))
    hidden = counts & frame["blocked"]
    told = pl.concat(
        [frame.select("prediction_id", "ts_pred", key_shown(contract.join.keys), hidden=hidden), found],
        how="horizontal",
    )
    told = told.filter(paired).select(
        "prediction_id", "ts_pred", *_said(found), "key", pl.lit(BY_ID).alias("rule"), fate.alias("fate"),
        pl.lit(0, dtype=pl.UInt32).alias("n_rivals"),
    )  # fmt: skip
    return pl.concat([frame, labels], how="horizontal"), told


def _unpaired(work: _Work) -> pl.DataFrame:
    """The simple statements whose key no prediction known by then has: orphans, and what had not arrived."""
    alone = work.parts.outcomes & ~work.matched.paired
    made: list[pl.DataFrame] = []
    for batch in numbered(work.logs.outcomes, keep=alone) if alone.any() else ():
        frame, _, _ = prepare_outcomes(batch.drop(ROW), contract=work.contract)
        fates = work.matched.fate.gather(batch[ROW]).cast(pl.String)
        key = key_shown(work.contract.join.keys)
        made.append(frame.select(*_said(frame), fates.alias("fate"), pl.lit(0, dtype=pl.UInt32).alias("n_rivals"), key))
    if not made:
        return pl.DataFrame(schema=dict.fromkeys(_SAID, pl.String))
    return pl.concat(made).sort("ts_event", "key", pl.all(), nulls_last=True)
