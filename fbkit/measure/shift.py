"""One column in the reference and in each cell of the current period: rows by bin, and how far they are apart."""

from typing import Final, NamedTuple

import numpy as np
import polars as pl
from numpy.typing import NDArray
from scipy.special import chdtrc, chdtri, kolmogi, kolmogorov

from fbkit.errors import ArgumentError
from fbkit.measure.halves import Halves, known_values
from fbkit.measure.stats.intervals import Array, homogeneity
from fbkit.measure.stats.ranks import compare

LEAST_SHARE: Final = 1e-4
_TENTHS: Final = np.linspace(0, 1, 11)[1:-1]
LARGEST_CATEGORIES: Final = 50
_OTHER: Final = "(other)"
_NULL: Final = "(null)"
_CELL: Final = "\0cell"
_N: Final = "\0n"
# The mean of Kolmogorov's law.
_MEAN_DISTANCE: Final = float(np.sqrt(np.pi / 2) * np.log(2))

Counts = NDArray[np.int64]


class Bin(NamedTuple):
    """One bin of a distribution."""

    label: str
    lower: float | None
    upper: float | None


class Shift(NamedTuple):
    """A column's bins, its rows by bin in the reference and (one line per cell) now, nulls, and KS where it has one."""

    column: str
    kind: str
    bins: list[Bin]
    reference: Counts
    current: Counts
    nulls_reference: int
    nulls_current: Counts
    ks: Array


def shift_of(halves: Halves, name: str) -> Shift:
    """Count one column; a column of times is an ArgumentError."""
    series = halves.reference.get_column(name)
    if series.dtype.is_temporal():
        raise ArgumentError(
            "drift compares numbers and categories, not times",
            got=f"{name} ({series.dtype})",
            allowed="columns of numbers, text or booleans",
            next_step="leave the column out, or log what matters of it (the hour, the weekday) as a number",
        )
    made = _numeric(halves, name) if series.dtype.is_numeric() else _categorical(halves, name)
    if not made.nulls_reference and not made.nulls_current.any():
        return made
    return made._replace(
        bins=[*made.bins, Bin(_NULL, None, None)],
        reference=np.append(made.reference, made.nulls_reference),
        current=np.column_stack([made.current, made.nulls_current]),
    )


def psi(reference: Array, current: Array) -> Array:
    """Population stability index of count vectors over the same bins (the last axis); zero shares become 1e-4.

    >>> psi(np.array([50.0, 50]), np.array([60.0, 40])).round(6).item()
    0.040547
    """
    p, q = (np.maximum(counts / counts.sum(axis=-1, keepdims=True), LEAST_SHARE) for counts in (reference, current))
    return np.asarray(np.sum((q - p) * np.log(q / p), axis=-1))


def psi_columns(reference: Array, current: Array) -> dict[str, Array]:
    """PSI of each line of ``current`` beside what chance gives: (1/n + 1/m) chi-square with bins - 1 degrees."""
    with np.errstate(invalid="ignore", divide="ignore"):
        value = psi(reference, current)
        scale = 1 / reference.sum() + 1 / current.sum(axis=-1)
        degrees = np.count_nonzero(reference + current, axis=-1) - 1.0
        moved = np.where(degrees > 0, value / scale, np.nan)
    degrees = np.where(degrees > 0, degrees, np.nan)
    return {
        "psi": value,
        "psi_debiased": value - scale * degrees,
        "psi_null_95": scale * chdtri(degrees, 0.05),
        "psi_p_value": chdtrc(degrees, moved),
    }


def ks_columns(distance: Array, n: int, m: Array, *, level: float) -> dict[str, Array]:
    """KS beside Kolmogorov's limit law with Stephens' correction: p-value, null band, mean under no change, interval.

    The interval turns the test around: within the same distance that chance exceeds with probability 1 - ``level``.
    Away from zero it is wider than need be, because the two distributions vary least where their gap is largest.
    """
    with np.errstate(invalid="ignore", divide="ignore"):
        root = np.sqrt(n * m / (n + m))
        effective = root + 0.12 + 0.11 / root
        half = kolmogi(1 - level) / effective
        made = {
            "ks": distance,
            "ks_lower": np.maximum(distance - half, 0),
            "ks_upper": np.minimum(distance + half, 1),
            "ks_debiased": distance - _MEAN_DISTANCE / effective,
            "ks_null_95": kolmogi(0.05) / effective,
            "ks_p_value": kolmogorov(effective * distance),
        }
    return {name: np.where(np.isnan(distance), np.nan, each) for name, each in made.items()}


def chi2_columns(reference: Array, current: Array) -> dict[str, Array]:
    """Chi-square test of homogeneity of each line of ``current`` against the reference."""
    found = [homogeneity(np.vstack([reference, line])) for line in current]
    statistic = np.array([value if freedom else np.nan for value, freedom in found])
    freedom = np.array([freedom or np.nan for _, freedom in found], dtype=np.float64)
    return {"chi2": statistic, "chi2_p_value": chdtrc(freedom, statistic)}


def _numeric(halves: Halves, name: str) -> Shift:
    # Not-a-number is as little a value as null is.
    before = known_values(halves.reference.get_column(name), np.array([0, halves.reference.height]))[0]
    cells = known_values(halves.current.get_column(name), halves.ends)
    found = compare(before, cells, shares=_TENTHS)
    ends = [None, *(float(edge) for edge in found.edges), None]
    bins = [
        Bin(_range_text(low, high, lower), low, high)
        for lower, low, high in zip([None, *ends[:-2]], ends[:-1], ends[1:], strict=True)
    ]
    return Shift(
        column=name,
        kind="score" if name == "score" else "numeric",
        bins=bins,
        reference=found.reference,
        current=found.cells,
        nulls_reference=halves.reference.height - len(before),
        nulls_current=halves.counts() - np.array([len(cell) for cell in cells], dtype=np.int64),
        ks=found.ks,
    )


def _range_text(low: float | None, high: float | None, before: float | None) -> str:
    """The range in words; ``before`` is the edge before ``low``, next to it where one value has its own bin."""
    if low is None:
        return "all" if high is None else f"below {high:.4g}"
    if high is None:
        alone = before is not None and low == np.nextafter(before, np.inf)
        return f"above {before:.4g}" if alone else f"{low:.4g} and above"
    return f"exactly {low:.4g}" if high == np.nextafter(low, np.inf) else f"{low:.4g} to {high:.4g}"


def _categorical(halves: Halves, name: str) -> Shift:
    cell = np.repeat(np.arange(len(halves.ends) - 1), halves.counts())
    before, after = (
        frame.select(pl.col(name).cast(pl.String), pl.Series(_CELL, cells, dtype=pl.Int64))
        .group_by(name, _CELL)
        .agg(pl.len().cast(pl.Int64).alias(_N))
        for frame, cells in ((halves.reference, np.zeros(halves.reference.height)), (halves.current, cell))
    )
    whole = [dict(part.drop_nulls(name).group_by(name).agg(pl.col(_N).sum()).iter_rows()) for part in (before, after)]
    ordered = sorted(whole[0] | whole[1], key=lambda one: (-whole[0].get(one, 0), -whole[1].get(one, 0), one))
    labels = ordered[:LARGEST_CATEGORIES] + [_OTHER] * (len(ordered) > LARGEST_CATEGORIES)
    # Everything past the largest shares the last bin, and null comes after it.
    place = {value: min(index, LARGEST_CATEGORIES) for index, value in enumerate(ordered)} | {None: len(labels)}
    tables = [
        _table(part, [place[value] for value in part.get_column(name)], cells, len(labels) + 1)
        for part, cells in ((before, 1), (after, len(halves.ends) - 1))
    ]
    return Shift(
        column=name,
        kind="categorical",
        bins=[Bin(label, None, None) for label in labels],
        reference=tables[0][0, :-1],
        current=tables[1][:, :-1],
        nulls_reference=int(tables[0][0, -1]),
        nulls_current=tables[1][:, -1],
        ks=np.full(len(halves.ends) - 1, np.nan),
    )


def _table(part: pl.DataFrame, place: list[int], cells: int, bins: int) -> Counts:
    made = np.zeros((cells, bins), dtype=np.int64)
    np.add.at(
        made, (part.get_column(_CELL).to_numpy(), np.array(place, dtype=np.int64)), part.get_column(_N).to_numpy()
    )
    return made
