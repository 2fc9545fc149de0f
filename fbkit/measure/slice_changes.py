"""Which slices a change comes from: a metric by slice in two periods, and what each slice adds to the change."""

from datetime import datetime
from typing import Any

import polars as pl

from fbkit.join.periods import resolve
from fbkit.ledger.ledger import Ledger
from fbkit.measure.arguments import checked
from fbkit.measure.evaluation import stamped
from fbkit.measure.from_ledger.curves import resolved
from fbkit.measure.from_ledger.slice_tables import LedgerTables
from fbkit.measure.metrics import check_level
from fbkit.measure.only_ledger import not_of_rows
from fbkit.measure.registry import Asked
from fbkit.measure.scope import Stage
from fbkit.measure.slicing.row_tables import RowTables, grid_of
from fbkit.measure.slicing.slice_table import SliceTable
from fbkit.measure.user import Metric
from fbkit.schema import results
from fbkit.schema.period import Comparison, Period, format_instant
from fbkit.schema.protocols import JoinedLike, check_joined

__all__ = ["RowTables", "SliceTable", "grid_of", "slice_changes", "slice_tables"]


@checked
def slice_changes(
    joined: JoinedLike | Ledger,
    comparison: Comparison | None = None,
    *,
    metric: Asked | None = None,
    by: str | None = None,
    stage: str | Stage = results.STAGE_FINAL,
    level: float = 0.95,
    threshold: float | None = None,
    as_of: str | datetime | None = None,
) -> pl.DataFrame:
    """A metric by slice, reference against current, and what each slice adds to the change of the whole.

    Parameters
    ----------
    joined
        Predictions with label states as of one time, or a :class:`fbkit.Ledger` of them.
    comparison
        Two periods; by default the last seven mature days against the eight weeks before them.
    metric
        As in :func:`fbkit.metrics`; by default the contract's primary one.
    by
        The slice column, by default the contract's first; a null value is a slice of its own, numbers are cut at the
        quintiles of the reference.
    stage, level
        As in :func:`fbkit.metrics`.
    threshold
        Flag every row at ``score >= threshold`` instead of by its own decision; of a ledger, one of its edges.
    as_of
        Of a ledger only: an earlier midnight.

    Returns
    -------
    Two lines (role "reference", "current") for the whole (slice null, ``whole`` true), then for each slice: slice,
    whole, role, metric, period_start, period_end, value, lower, upper, bound_lower, bound_upper, n, n_labelled,
    contribution, mix_effect, rate_effect, unsplit, stage, method, reason, evaluation_id. Slices that move the whole
    most in the direction in which it went come first. ``contribution`` = ``mix_effect`` + ``rate_effect`` is what a
    slice adds to the change of the whole (Kitagawa and Oaxaca-Blinder, see :mod:`fbkit.measure.slicing.split`): over
    all slices they sum to the change. Where a metric is no ratio of sums over rows they are null, ``unsplit`` says why.

    Raises
    ------
    ArgumentError
        An unknown metric, column or stage; what a ledger did not count.

    Examples
    --------
    >>> import fbkit as fb
    >>> joined = fb.open_loop(fb.samples.path("recall_drop") / "variant_b").join()
    >>> found = slice_changes(joined, metric="recall", by="region")
    >>> now = found.filter(~pl.col("whole") & (pl.col("role") == "current"))
    >>> whole = found.filter(pl.col("whole"))["value"]
    >>> abs(now["contribution"].sum() - (whole[1] - whole[0])) < 1e-12
    True
    """
    check_level(level)
    if not isinstance(joined, Ledger):
        not_of_rows(as_of=as_of)
        check_joined(joined)
    contract = joined.contract
    asked = contract.metrics.primary if metric is None else metric
    column = by or next(iter(contract.slices.columns), None)
    periods = _periods(joined, comparison)
    made = slice_tables(joined, periods, level=level, as_of=as_of)
    table = made.table(asked, by=column, stage=Stage.parse(stage).name, threshold=threshold)
    frame = table.frame(table.order(sort="contribution").tolist())
    call: dict[str, Any] = {"metric": asked.identity if isinstance(asked, Metric) else asked, "by": column}
    call |= {"periods": [str(period) for period in periods], "stage": Stage.parse(stage).name, "level": level}
    call |= {"threshold": threshold, "as_of": format_instant(as_of) if isinstance(as_of, datetime) else as_of}
    known: Any = joined
    return stamped(frame, known, call="slice_changes", **call)


def slice_tables(
    data: JoinedLike | Ledger,
    periods: tuple[Period, Period],
    *,
    level: float = 0.95,
    as_of: str | datetime | None = None,
) -> RowTables | LedgerTables:
    """What answers :func:`slice_changes` again and again for two periods, a moved threshold within a millisecond."""
    if isinstance(data, Ledger):
        return LedgerTables(data, periods, level=level, as_of=as_of)
    return RowTables(data, periods, level=level)


def _periods(joined: JoinedLike | Ledger, comparison: Comparison | None) -> tuple[Period, Period]:
    if isinstance(joined, Ledger):
        return resolved(joined, Comparison() if comparison is None else comparison)
    return resolve(joined, comparison).periods()
