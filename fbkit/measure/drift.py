"""Did the inputs or the scores move: PSI against its own null, exact KS, chi-square; edges from the reference only."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, NamedTuple

import numpy as np
import polars as pl
from scipy.special import chdtrc, chdtri, kolmogorov

from fbkit.errors import ArgumentError, nearest
from fbkit.join.periods import resolve
from fbkit.measure.intervals import Array, benjamini_hochberg, homogeneity
from fbkit.schema import results
from fbkit.schema.incomplete import mark_within
from fbkit.schema.period import Comparison, Period
from fbkit.schema.protocols import JoinedLike

FLOATS: Final = (
    "psi", "psi_null_95", "psi_p_value", "ks", "ks_p_value", "chi2", "chi2_p_value", "p_adjusted",
    "null_rate_reference", "null_rate_current",
)  # fmt: skip
COLUMNS: Final = (
    "column", "kind", "psi", "psi_null_95", "psi_p_value", "ks", "ks_p_value", "chi2", "chi2_p_value", "p_adjusted",
    "method", "null_rate_reference", "null_rate_current", "n_reference", "n_current", "reason",
)  # fmt: skip
BIN_COLUMNS: Final = ("bin", "lower", "upper", "label", "share_reference", "share_current", "n_reference", "n_current")
LEAST_SHARE: Final = 1e-4
_DECILES: Final = 10
_LARGEST_CATEGORIES: Final = 50
_OTHER: Final = "(other)"
_NULL: Final = "(null)"


class Bin(NamedTuple):
    """One bin of a distribution, with its rows in both periods."""

    label: str
    lower: float | None
    upper: float | None
    reference: int
    current: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Pair:
    """One column in both periods."""

    column: str
    kind: str
    reference: pl.Series
    current: pl.Series


def drift(joined: JoinedLike, comparison: Comparison, *, columns: str | Sequence[str] | None = None) -> pl.DataFrame:
    """How far the score and the features moved from the reference to the current period.

    Parameters
    ----------
    comparison
        Reference and current period; what is open is fixed as :meth:`fbkit.Joined.compare` does.
    columns
        Columns to compare; by default the score, the contract's features and its slice columns.

    Returns
    -------
    One line per column: column, kind (score, numeric, categorical), psi, psi_null_95, psi_p_value, ks, ks_p_value,
    chi2, chi2_p_value, p_adjusted, method, null_rate_reference, null_rate_current, n_reference, n_current, reason.
    NaN counts as null; a period without predictions, or with nulls only, has null beside its reason.

    Raises
    ------
    ArgumentError
        An unknown column, a column of times.

    Notes
    -----
    PSI uses deciles of the reference with open outer ends (categories for text, those past the 50 largest together);
    nulls are a bin of their own and a share of zero becomes 1e-4. Without change PSI is about (1/n + 1/m) chi-square
    with bins - 1 degrees of freedom (Yurdakul and Naranjo 2020, doi:10.21314/JRMV.2020.227), which gives
    ``psi_null_95`` and ``psi_p_value``: judge PSI by these, not by 0.2. ``ks`` is the exact two-sample statistic of
    the non-null values, its p-value Kolmogorov's limit with Stephens' correction (conservative with ties). Text
    columns get the chi-square test of homogeneity. ``p_adjusted`` is Benjamini-Hochberg over the lines, of the KS
    (numeric) or chi-square (text) p-values.
    """
    fixed = resolve(joined, comparison).periods()
    before, after = (_rows(joined, period) for period in fixed)
    lines = [_line(_pair(before, after, name)) for name in _chosen(joined, columns)]
    frame = pl.DataFrame(lines, schema=_schema())
    tested = frame.get_column("ks_p_value").fill_null(frame.get_column("chi2_p_value")).cast(pl.Float64).to_numpy()
    adjusted = pl.Series("p_adjusted", benjamini_hochberg(tested), nan_to_null=True)
    return mark_within(frame.with_columns(adjusted).select(COLUMNS), joined, within=fixed)


def drift_bins(joined: JoinedLike, comparison: Comparison, *, column: str) -> pl.DataFrame:
    """The two distributions behind one line of :func:`drift`.

    Returns
    -------
    bin (0, 1, ...), lower, upper (null at open ends, for text and for the null bin), label, share_reference,
    share_current, n_reference, n_current. A bin holds lower <= x < upper. Shares are null when a period is empty.

    Raises
    ------
    ArgumentError
        An unknown column, a column of times.
    """
    reference, current = resolve(joined, comparison).periods()
    pair = _pair(_rows(joined, reference), _rows(joined, current), _chosen(joined, column)[0])
    bins = _bins(pair)
    frame = pl.DataFrame(
        {
            "bin": pl.Series(range(len(bins)), dtype=pl.Int64),
            "lower": pl.Series([item.lower for item in bins], dtype=pl.Float64),
            "upper": pl.Series([item.upper for item in bins], dtype=pl.Float64),
            "label": pl.Series([item.label for item in bins], dtype=pl.String),
            "n_reference": pl.Series([item.reference for item in bins], dtype=pl.Int64),
            "n_current": pl.Series([item.current for item in bins], dtype=pl.Int64),
        }
    )
    shares = [
        pl.when(pl.col(name).sum() > 0).then(pl.col(name) / pl.col(name).sum()).alias(name.replace("n_", "share_"))
        for name in ("n_reference", "n_current")
    ]
    return frame.with_columns(shares).select(BIN_COLUMNS)


def psi(reference: Array, current: Array) -> float:
    """Population stability index of two count vectors over the same bins; zero shares become 1e-4.

    >>> round(psi(np.array([50.0, 50]), np.array([60.0, 40])), 6)
    0.040547
    """
    p, q = (np.maximum(counts / counts.sum(), LEAST_SHARE) for counts in (reference, current))
    return float(np.sum((q - p) * np.log(q / p)))


def ks_statistic(first: Array, second: Array) -> float:
    """Largest distance of the two empirical distribution functions, exact also with ties.

    >>> ks_statistic(np.array([1.0, 2, 3]), np.array([2.0, 3, 4]))
    0.3333333333333333
    """
    a, b = np.sort(first), np.sort(second)
    points = np.concatenate([a, b])
    # In whole numbers, so that the result is the nearest float to the exact fraction.
    gaps = np.searchsorted(a, points, side="right") * len(b) - np.searchsorted(b, points, side="right") * len(a)
    return int(np.abs(gaps).max()) / (len(a) * len(b))


def ks_p_value(statistic: float, n: int, m: int) -> float:
    """Kolmogorov's limit with Stephens' correction (1970, doi:10.1111/j.2517-6161.1970.tb00821.x)."""
    root = np.sqrt(n * m / (n + m))
    return float(kolmogorov((root + 0.12 + 0.11 / root) * statistic))


def _rows(joined: JoinedLike, period: Period) -> pl.DataFrame:
    return joined.frame.filter((pl.col("ts_pred") >= period.start) & (pl.col("ts_pred") < period.end))


def _chosen(joined: JoinedLike, columns: str | Sequence[str] | None) -> list[str]:
    available = joined.frame.columns
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


def _pair(before: pl.DataFrame, after: pl.DataFrame, name: str) -> Pair:
    reference, current = before.get_column(name), after.get_column(name)
    if reference.dtype.is_temporal():
        raise ArgumentError(
            "drift compares numbers and categories, not times",
            got=f"{name} ({reference.dtype})",
            allowed="columns of numbers, text or booleans",
            next_step="leave the column out, or log what matters of it (the hour, the weekday) as a number",
        )
    if reference.dtype.is_numeric():
        # Not-a-number is as little a value as null is.
        first, second = (part.cast(pl.Float64).fill_nan(None) for part in (reference, current))
        return Pair(column=name, kind="score" if name == "score" else "numeric", reference=first, current=second)
    return Pair(column=name, kind="categorical", reference=reference.cast(pl.String), current=current.cast(pl.String))


def _line(pair: Pair) -> dict[str, object]:
    n, m = len(pair.reference), len(pair.current)
    line: dict[str, object] = {"column": pair.column, "kind": pair.kind, "n_reference": n, "n_current": m}
    if not n or not m:
        return line | {"reason": f"no predictions in the {'reference' if not n else 'current'} period"}
    line |= {"null_rate_reference": pair.reference.null_count() / n, "null_rate_current": pair.current.null_count() / m}
    bins = _bins(pair)
    reference, current = (np.array([item[field] for item in bins], dtype=np.float64) for field in (3, 4))
    line |= _psi_line(reference, current)
    return line | (_chi2_line(reference, current) if pair.kind == "categorical" else _ks_line(pair))


def _psi_line(reference: Array, current: Array) -> dict[str, object]:
    value, degrees = psi(reference, current), np.count_nonzero(reference + current) - 1
    if not degrees:
        return {"psi": value, "reason": "all values are equal"}
    scale = 1 / reference.sum() + 1 / current.sum()
    return {
        "psi": value,
        "psi_null_95": float(scale * chdtri(degrees, 0.05)),
        "psi_p_value": float(chdtrc(degrees, value / scale)),
    }


def _ks_line(pair: Pair) -> dict[str, object]:
    first, second = pair.reference.drop_nulls().to_numpy(), pair.current.drop_nulls().to_numpy()
    if not len(first) or not len(second):
        return {
            "method": "PSI (deciles of the reference)",
            "reason": f"only nulls in the {'reference' if not len(first) else 'current'} period",
        }
    statistic = ks_statistic(first, second)
    method = "PSI (deciles of the reference); KS exact, p asymptotic; Benjamini-Hochberg"
    return {"ks": statistic, "ks_p_value": ks_p_value(statistic, len(first), len(second)), "method": method}


def _chi2_line(reference: Array, current: Array) -> dict[str, object]:
    method = "PSI (categories); chi-square; Benjamini-Hochberg"
    statistic, freedom = homogeneity(np.vstack([reference, current]))
    if not freedom:
        return {"method": method}
    return {"chi2": statistic, "chi2_p_value": float(chdtrc(freedom, statistic)), "method": method}


def _bins(pair: Pair) -> list[Bin]:
    made = _categories(pair) if pair.kind == "categorical" else _deciles(pair)
    nulls = pair.reference.null_count(), pair.current.null_count()
    return [*made, Bin(_NULL, None, None, *nulls)] if any(nulls) else made


def _deciles(pair: Pair) -> list[Bin]:
    first, second = pair.reference.drop_nulls().to_numpy(), pair.current.drop_nulls().to_numpy()
    inner = _inner_edges(first) if len(first) else np.empty(0)
    counts = [
        np.bincount(np.searchsorted(inner, values, side="right"), minlength=len(inner) + 1)
        for values in (first, second)
    ]
    ends = [None, *(float(edge) for edge in inner), None]
    return [
        Bin(_range_text(low, high, before), low, high, int(reference), int(current))
        for before, low, high, reference, current in zip([None, *ends[:-2]], ends[:-1], ends[1:], *counts, strict=True)
    ]


def _inner_edges(reference: Array) -> Array:
    inner = np.unique(np.quantile(reference, np.linspace(0, 1, _DECILES + 1)[1:-1]))
    least = reference.min()
    # An edge at the least value would leave the bin below it empty for ever.
    inner = inner[inner > least]
    if len(inner):
        return inner
    # One value holds nine tenths of the reference or more: below it, exactly it, above it.
    return np.array([least, np.nextafter(least, np.inf)])


def _range_text(low: float | None, high: float | None, before: float | None) -> str:
    """The range in words; ``before`` is the edge before ``low``, next to it where one value has its own bin."""
    if low is None:
        return "all" if high is None else f"below {high:.4g}"
    if high is None:
        alone = before is not None and low == np.nextafter(before, np.inf)
        return f"above {before:.4g}" if alone else f"{low:.4g} and above"
    return f"exactly {low:.4g}" if high == np.nextafter(low, np.inf) else f"{low:.4g} to {high:.4g}"


def _categories(pair: Pair) -> list[Bin]:
    counts = [dict(part.drop_nulls().value_counts().iter_rows()) for part in (pair.reference, pair.current)]
    ordered = sorted(counts[0] | counts[1], key=lambda name: (-counts[0].get(name, 0), -counts[1].get(name, 0), name))
    kept, rest = ordered[:_LARGEST_CATEGORIES], ordered[_LARGEST_CATEGORIES:]
    made = [Bin(name, None, None, counts[0].get(name, 0), counts[1].get(name, 0)) for name in kept]
    if rest:
        made.append(Bin(_OTHER, None, None, *(sum(part.get(name, 0) for name in rest) for part in counts)))
    return made


def _schema() -> pl.Schema:
    texts = dict.fromkeys(("column", "kind", "method", results.REASON), pl.String())
    numbers = dict.fromkeys(FLOATS, pl.Float64()) | dict.fromkeys(("n_reference", "n_current"), pl.Int64())
    return pl.Schema({**texts, **numbers})
