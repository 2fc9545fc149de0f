"""The join: one deterministic pass from checked logs to the joined table."""

from datetime import datetime

import polars as pl

from fbkit.errors import ArgumentError, InputError
from fbkit.join.assemble import account, arranged, attach, decorate, with_closes
from fbkit.join.joined import Joined
from fbkit.join.known import heard, known_actions, known_outcomes, known_predictions, newest_moment
from fbkit.join.pair import MADE, number_statements, pair
from fbkit.join.settle import ANY, CURRENT, settle
from fbkit.join.states import assign_states, feed_watermark
from fbkit.join.table import MemoryTable, clean
from fbkit.join.watermark import feed_runs, row_watermark, stops
from fbkit.load.loop import Logs
from fbkit.schema.contract import Contract
from fbkit.schema.period import format_instant


def join(
    logs: Logs,
    *,
    contract: Contract,
    as_of: datetime | None = None,
    label_versions: str = ANY,
    feed: pl.DataFrame | None = None,
    runs: pl.DataFrame | None = None,
) -> Joined:
    """Join the logs as they were known at ``as_of``.

    Parameters
    ----------
    as_of
        Statements that arrived later and predictions made later do not exist yet; by default the newest
        arrival in the outcome log (else the newest prediction).
    label_versions
        ``any``: where no statement of the contract's label version speaks of a prediction, one of another version
        counts, and the audit says so. ``current``: only statements of the contract's version count.

    feed
        Every statement that proves the outcome feed alive (ts_arrival, source), if not all of them are in ``logs``.
    runs
        The days on which the feed fell short, by slice, if they are known already; else they are found here.

    Raises
    ------
    InputError
        No prediction is left to join.
    ArgumentError
        An unknown value of ``label_versions``, or ``current`` where the contract states no version.

    Notes
    -----
    Any row order of the inputs gives the identical output.
    """
    _check_versions(label_versions, contract=contract)
    known_at = as_of or default_as_of(logs)
    made = known_predictions(logs.predictions, contract=contract, as_of=known_at)
    if made.frame.is_empty():
        raise _nothing_known(logs, as_of=known_at)
    said, acted = known_outcomes(logs, as_of=known_at), known_actions(logs, as_of=known_at)
    predictions = with_closes(made.frame.with_row_index(MADE), contract=contract)
    outcomes = number_statements(said.frame, keys=contract.join.keys)
    pairs = pair(predictions, outcomes, contract=contract, as_of=known_at)
    pairs, labels = settle(pairs, contract=contract, label_versions=label_versions)
    frame, disagree = decorate(predictions, actions=acted, contract=contract)
    frame, pairs = attach(frame, pairs=pairs, labels=labels)
    watermark = feed_watermark(heard(logs) if feed is None else feed, contract=contract, as_of=known_at)
    runs = feed_runs(frame, pairs, contract=contract, base=watermark, as_of=known_at) if runs is None else runs
    by_row = None if watermark is None else row_watermark(runs, base=watermark)
    frame = assign_states(frame, contract=contract, as_of=known_at, watermark=by_row)
    frame = arranged(frame, contract=contract)
    audit = account(frame, pairs=pairs, known=(made, said, acted), disagree=disagree, contract=contract)
    return Joined(
        rows=MemoryTable(clean(frame)),
        pairs=MemoryTable(clean(pairs.drop("__entity", MADE).sort("statement", "prediction_id", nulls_last=True))),
        contract=contract,
        as_of=known_at,
        audit=pl.concat([logs.audit, audit]),
        rejects=_rejects(logs),
        sources=logs.sources,
        changes=_changes(logs, as_of=known_at),
        data_through=reach(made.frame, said.frame, as_of=known_at, watermark=watermark, runs=runs),
        feed=runs,
        actions=pl.DataFrame() if acted is None else acted.frame,
        label_versions=label_versions,
    )


def _check_versions(asked: str, *, contract: Contract) -> None:
    if asked not in (ANY, CURRENT):
        raise ArgumentError(
            "an unknown choice of label versions",
            got=asked,
            allowed='"any" or "current"',
            next_step="say label_versions=one of them, or leave it out",
        )
    if asked == CURRENT and contract.label.version is None:
        raise ArgumentError(
            'label_versions="current" needs a version to compare with',
            got=f"label {contract.label.name} without a version",
            allowed="a contract that states label.version",
            next_step='set version = "..." under [label], or take label_versions="any"',
        )


def default_as_of(logs: Logs) -> datetime:
    """The newest arrival in the outcome log, else the newest prediction; never the clock."""
    newest = newest_moment(logs)
    if newest is None:
        raise _nothing_left(logs)
    return newest


def _nothing_known(logs: Logs, *, as_of: datetime) -> InputError:
    if logs.predictions.frame.is_empty():
        return _nothing_left(logs)
    return InputError(
        "there is no prediction at the as-of time",
        got=format_instant(as_of),
        next_step="choose a later --as-of",
        allowed="a time after the first prediction",
    )


def _nothing_left(logs: Logs) -> InputError:
    audit = logs.predictions.audit.filter(~pl.col("rule").is_in(["used", "cast"]))
    counts = ", ".join(f"{rows:,} {rule}" for rule, rows in audit.select("rule", "rows").iter_rows())
    return InputError(
        "the prediction log has no usable row",
        got=counts.replace(" in", " rows in", 1),
        allowed="at least one prediction",
        next_step="look at what was set aside; rows of other environments need [predictions.where] environment",
    )


def _rejects(logs: Logs) -> dict[str, pl.DataFrame]:
    named = {
        "predictions": logs.predictions,
        "outcomes": logs.outcomes,
        "actions": logs.actions,
        "changes": logs.changes,
    }
    return {name: log.rejects for name, log in named.items() if log is not None}


def _changes(logs: Logs, *, as_of: datetime) -> pl.DataFrame:
    if logs.changes is None:
        return pl.DataFrame(schema={"ts": pl.Datetime("us", "UTC"), "kind": pl.String, "what": pl.String})
    return logs.changes.frame.filter(pl.col("ts") <= pl.lit(as_of))


def reach(
    predictions: pl.DataFrame,
    outcomes: pl.DataFrame,
    *,
    as_of: datetime,
    watermark: datetime | None,
    runs: pl.DataFrame | None = None,
) -> dict[str, str | None]:
    """How far each log reaches at the as-of time, as text."""
    stopped = None if runs is None else stops(runs).get((None, None))
    through = watermark if watermark is None or stopped is None else min(watermark, stopped)

    def newest(frame: pl.DataFrame, column: str) -> str | None:
        value = frame.filter(pl.col(column) <= pl.lit(as_of))[column].max()
        return format_instant(value) if isinstance(value, datetime) else None

    return {
        "predictions": newest(predictions, "ts_pred"),
        "outcomes": newest(outcomes, "ts_arrival"),
        "feed_complete": None if through is None else format_instant(through),
    }
