"""Did the inputs or the scores move: PSI against its own null, exact KS, chi-square; edges from the reference only."""

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime
from typing import Final

import numpy as np
import polars as pl
from scipy.special import kolmogorov

from fbkit.errors import ArgumentError, nearest
from fbkit.join.rows import no_rows
from fbkit.ledger.ledger import Ledger
from fbkit.measure.arguments import checked
from fbkit.measure.evaluation import stamped
from fbkit.measure.halves import Halves, read_halves
from fbkit.measure.metrics import check_level
from fbkit.measure.only_ledger import not_of_rows
from fbkit.measure.shift import Shift, chi2_columns, ks_columns, psi_columns, shift_of
from fbkit.measure.stats.intervals import Array, benjamini_hochberg
from fbkit.measure.stats.ranks import compare
from fbkit.schema import results
from fbkit.schema.incomplete import mark_within
from fbkit.schema.period import Comparison, Period
from fbkit.schema.protocols import JoinedLike, check_joined

FLOATS: Final = (
    "psi", "psi_debiased", "psi_null_95", "psi_p_value", "ks", "ks_lower", "ks_upper", "ks_debiased", "ks_null_95",
    "ks_p_value", "chi2", "chi2_p_value",
)  # fmt: skip
COLUMNS: Final = (
    "column", "kind", results.PERIOD_START, results.PERIOD_END, *FLOATS, "p_adjusted", "method", "null_rate_reference",
    "null_rate_current", "n_reference", "n_current", results.REASON, results.EVALUATION_ID,
)  # fmt: skip
BIN_COLUMNS: Final = (
    "bin", "lower", "upper", "label", "share_reference", "share_current", "n_reference", "n_current",
    results.EVALUATION_ID,
)  # fmt: skip
_MANY_ROWS: Final = 100_000


@checked
def drift(
    joined: JoinedLike | Ledger,
    comparison: Comparison,
    *,
    columns: str | Sequence[str] | None = None,
    every: str | None = None,
    level: float = 0.95,
    as_of: str | datetime | None = None,
) -> pl.DataFrame:
    """How far the score and the features moved from the reference to the current period, or to each week of it.

    Parameters
    ----------
    comparison
        Reference and current period; what is open is fixed as :meth:`fbkit.Joined.compare` does.
    columns
        Columns to compare; by default the score, the contract's features and its slice columns.
    every
        Time cells of the current period, each against the whole reference: "1h", "1d", "1w" (from Monday), "1mo".
    level
        Coverage of the interval of ``ks``.
    as_of
        For ledgers: the predictions that were known at an earlier midnight UTC.

    Returns
    -------
    One line per column (and cell): column, kind (score, numeric, categorical), period_start, period_end, psi,
    psi_debiased, psi_null_95, psi_p_value, ks, ks_lower, ks_upper, ks_debiased, ks_null_95, ks_p_value, chi2,
    chi2_p_value, p_adjusted, method, null_rate_reference, null_rate_current, n_reference, n_current, reason,
    evaluation_id. NaN counts as null; a period without predictions, or with nulls only, has null beside its reason.

    Raises
    ------
    ArgumentError
        An unknown column, a column of times, an unknown time cell, a level outside (0, 1).

    Notes
    -----
    PSI uses deciles of the reference with open outer ends (categories for text, those past the 50 largest together);
    nulls are a bin of their own and a share of zero becomes 1e-4. Without change PSI is about (1/n + 1/m) chi-square
    with bins - 1 degrees of freedom (Yurdakul and Naranjo 2020, doi:10.21314/JRMV.2020.227), which gives
    ``psi_null_95`` and ``psi_p_value``: judge PSI by these, not by 0.2. ``ks`` is the exact two-sample statistic of
    the non-null values, its p-value Kolmogorov's limit with Stephens' correction (conservative with ties); the same
    law gives ``ks_null_95`` and, by turning the test around, ``ks_lower`` and ``ks_upper``. Both statistics are
    biased upward, most where nothing moved: ``psi_debiased`` and ``ks_debiased`` are less their mean under no change
    (below zero: less than chance alone would give). Text columns get the chi-square test of homogeneity.
    ``p_adjusted`` is Benjamini-Hochberg over all lines, of the KS (numeric) or chi-square (text) p-values.
    """
    if isinstance(joined, Ledger):
        from fbkit.measure.from_ledger.curves import ledger_drift

        return ledger_drift(joined, comparison, columns=columns, every=every, level=level, as_of=as_of)
    not_of_rows(as_of=as_of)
    check_joined(joined)
    check_level(level)
    names = chosen_columns(joined, columns)
    halves = read_halves(joined, comparison, columns=names, every=every)
    frame = pl.concat([_lines(shift, halves, level) for shift in shifts(halves, names)])
    tested = frame.get_column("ks_p_value").fill_null(frame.get_column("chi2_p_value")).to_numpy()
    adjusted = pl.Series("p_adjusted", benjamini_hochberg(tested), nan_to_null=True)
    frame = _marked(frame.with_columns(adjusted), joined, halves)
    periods = [str(period) for period in halves.periods]
    stamp = stamped(frame, joined, call="drift", columns=names, every=every, level=level, periods=periods)
    return stamp.select(COLUMNS)


@checked
def drift_bins(joined: JoinedLike, comparison: Comparison, *, column: str) -> pl.DataFrame:
    """The two distributions behind one line of :func:`drift`.

    Returns
    -------
    bin (0, 1, ...), lower, upper (null at open ends, for text and for the null bin), label, share_reference,
    share_current, n_reference, n_current, evaluation_id. A bin holds lower <= x < upper. Shares are null when a period
    is empty.

    Raises
    ------
    ArgumentError
        An unknown column, a column of times.
    """
    check_joined(joined)
    name = chosen_columns(joined, column)[0]
    halves = read_halves(joined, comparison, columns=[name])
    shift = shift_of(halves, name)
    frame = pl.DataFrame(
        {
            "bin": pl.Series(range(len(shift.bins)), dtype=pl.Int64),
            "lower": _finite([item.lower for item in shift.bins]),
            "upper": _finite([item.upper for item in shift.bins]),
            "label": pl.Series([item.label for item in shift.bins], dtype=pl.String),
            "n_reference": pl.Series(shift.reference, dtype=pl.Int64),
            "n_current": pl.Series(shift.current[0], dtype=pl.Int64),
        }
    )
    shares = [
        pl.when(pl.col(name).sum() > 0).then(pl.col(name) / pl.col(name).sum()).alias(name.replace("n_", "share_"))
        for name in ("n_reference", "n_current")
    ]
    periods = [str(period) for period in halves.periods]
    stamp = stamped(frame.with_columns(shares), joined, call="drift_bins", column=name, periods=periods)
    return stamp.select(BIN_COLUMNS)


def _finite(edges: Sequence[float | None]) -> pl.Series:
    """Edges as numbers; an edge at infinity, where a column holds infinities, is an open end."""
    found = pl.Series(edges, dtype=pl.Float64)
    return found.set(found.is_infinite(), None)


def ks_statistic(first: Array, second: Array) -> float:
    """Largest distance of the two empirical distribution functions, exact also with ties.

    >>> ks_statistic(np.array([1.0, 2, 3]), np.array([2.0, 3, 4]))
    0.3333333333333333
    """
    return float(compare(first, [second], shares=np.empty(0)).ks[0])


def ks_p_value(statistic: float, n: int, m: int) -> float:
    """Kolmogorov's limit with Stephens' correction (1970, doi:10.1111/j.2517-6161.1970.tb00821.x)."""
    root = np.sqrt(n * m / (n + m))
    return float(kolmogorov((root + 0.12 + 0.11 / root) * statistic))


def chosen_columns(joined: JoinedLike, columns: str | Sequence[str] | None) -> list[str]:
    """The columns asked for; by default the score, the contract's features and its slice columns."""
    available = no_rows(joined).columns
    if columns is None:
        wanted = ["score", *joined.contract.features.columns, *joined.contract.slices.columns]
        return [name for name in dict.fromkeys(wanted) if name in available]
    asked = [columns] if isinstance(columns, str) else list(dict.fromkeys(columns))
    for name in asked:
        if name not in available:
            close = nearest(str(name), available)
            hint = f"did you mean {close!r}?" if close else None
            raise ArgumentError("a column does not exist", got=name, allowed=", ".join(available), next_step=hint)
    return asked


def shifts(halves: Halves, names: list[str]) -> list[Shift]:
    """Count the columns, in threads where there are many rows."""
    workers = min(len(names), pl.thread_pool_size())
    if workers < 2 or halves.reference.height + halves.current.height < _MANY_ROWS:
        return [shift_of(halves, name) for name in names]
    # Sorting and counting let other threads run.
    with ThreadPoolExecutor(workers) as pool:
        return list(pool.map(lambda name: shift_of(halves, name), names))


def _lines(shift: Shift, halves: Halves, level: float) -> pl.DataFrame:
    """One line per cell of one column."""
    n, m = halves.reference.height, halves.counts()
    reference, current = shift.reference.astype(np.float64), shift.current.astype(np.float64)
    known, known_now = n - shift.nulls_reference, (m - shift.nulls_current).astype(np.float64)
    numbers = dict.fromkeys(FLOATS, np.full(len(m), np.nan)) | psi_columns(reference, current)
    if shift.kind == "categorical":
        numbers |= chi2_columns(reference, current)
    else:
        numbers |= ks_columns(shift.ks, known, known_now, level=level)
    with np.errstate(invalid="ignore", divide="ignore"):
        numbers["null_rate_reference"] = np.divide(shift.nulls_reference, np.full(len(m), n, dtype=np.float64))
        numbers["null_rate_current"] = shift.nulls_current / m
    there = (m > 0) & (n > 0)
    made = [pl.Series(name, np.where(there, each, np.nan), nan_to_null=True) for name, each in numbers.items()]
    several = np.count_nonzero(reference + current, axis=1) > 1
    said = [
        _said(shift.kind, rows=(n, now), known=(known, known_then), several=many)
        for now, known_then, many in zip(m.tolist(), known_now.tolist(), several.tolist(), strict=True)
    ]
    return halves.cells.hstack(made).with_columns(
        pl.lit(shift.column).alias("column"),
        pl.lit(shift.kind).alias("kind"),
        pl.lit(n, dtype=pl.Int64).alias("n_reference"),
        pl.Series("n_current", m, dtype=pl.Int64),
        pl.Series("method", [method for method, _ in said], dtype=pl.String),
        pl.Series(results.REASON, [reason for _, reason in said], dtype=pl.String),
    )


def _said(kind: str, *, rows: tuple[int, int], known: tuple[int, int], several: bool) -> tuple[str | None, str | None]:
    """Method and reason of one line, from its rows and known values in the reference and now."""
    for count, name in zip(rows, ("reference", "current"), strict=True):
        if not count:
            return None, f"no predictions in the {name} period"
    same = None if several else "all values are equal"
    if kind == "categorical":
        return "PSI (categories); chi-square; Benjamini-Hochberg", same
    for count, name in zip(known, ("reference", "current"), strict=True):
        if not count:
            return "PSI (deciles of the reference)", f"only nulls in the {name} period"
    return "PSI (deciles of the reference); KS exact, p and interval asymptotic; Benjamini-Hochberg", same


def _marked(frame: pl.DataFrame, joined: JoinedLike, halves: Halves) -> pl.DataFrame:
    """Lines whose reference or cell rests on a part of the logs that is missing say so."""
    if not getattr(joined, "incomplete", ()):
        return frame
    parts = [
        mark_within(part, joined, within=(halves.periods[0], Period(start=start, end=end)))
        for (start, end), part in frame.group_by(results.PERIOD_START, results.PERIOD_END, maintain_order=True)
    ]
    order = frame.select("column", results.PERIOD_START)
    return order.join(pl.concat(parts), on=order.columns, how="left", maintain_order="left")
