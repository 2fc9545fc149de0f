"""Was the traffic split as intended: chi-square of the observed split, overall, by day and by slice.

A sample-ratio mismatch means that rows were lost, or were not assigned at random, differently for the two versions;
then no difference between them may be read as the versions' (Fabijan et al. 2019, doi:10.1145/3292500.3330722).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
import polars as pl

from fbkit.errors import ArgumentError
from fbkit.measure.stats.intervals import Array, homogeneity, normal_p

THRESHOLD: Final = 5e-4
"""Below this p-value the split counts as broken: the paper's, strict because the question is asked again and again."""
STICKY: Final = 0.95
"""Share of the returning entities that must stay with one version before entities count as what was assigned."""
_FEWEST: Final = 5.0
"""Expected units per cell below which a day or slice value is put together with the other thin ones."""
_DAY, _CHALLENGER, _UNITS = "day", "\0challenger", "\0units"


@dataclass(frozen=True, slots=True, kw_only=True)
class SampleRatio:
    """The observed split and what is wrong with it.

    Attributes
    ----------
    observed, intended
        The challenger's share of the units; ``intended`` is None when nobody stated one: then only its stability over
        days and slices is judged.
    unit
        What was counted: "entity" or "prediction".
    n_champion, n_challenger
        Units of each.
    checks
        check ("overall", "by day", "by COLUMN", "rows per entity"), statistic, df, p_value, ok, detail.
    """

    observed: float
    intended: float | None
    unit: str
    n_champion: int
    n_challenger: int
    checks: pl.DataFrame

    @property
    def ok(self) -> bool:
        """Whether no check failed."""
        return bool(self.checks["ok"].all())

    @property
    def reason(self) -> str | None:
        """What failed, in one clause."""
        failed = self.checks.filter(~pl.col("ok"))
        if failed.is_empty():
            return None
        return f"sample-ratio mismatch {'; '.join(failed['detail'])}"


def sample_ratio(
    champion: pl.DataFrame, challenger: pl.DataFrame, *, share: float | None = None, slices: Sequence[str] = ()
) -> SampleRatio:
    """Judge the split of two versions' rows (``ts_pred``, ``entity`` and the slice columns).

    Where entities return and stay with their version, entities are what was assigned, and each is counted once, on its
    first day; otherwise rows are. An entity seen by both versions is counted for its first. ``share`` is the
    challenger's intended share of the units, strictly between 0 and 1.

    Raises
    ------
    ArgumentError
        A share outside (0, 1).

    Examples
    --------
    >>> from datetime import UTC, datetime
    >>> day = pl.Series("ts_pred", [datetime(2026, 3, 2, tzinfo=UTC)])
    >>> rows = pl.DataFrame({"entity": pl.Series([None], dtype=pl.String)}).with_columns(day)
    >>> found = sample_ratio(pl.concat([rows] * 500), pl.concat([rows] * 600), share=0.5)
    >>> found.ok, round(found.checks["statistic"][0], 3)
    (True, 9.091)
    """
    check_share(share)
    units, unit = _units(champion, challenger, slices)
    n, m = units.height, int(units[_CHALLENGER].sum())
    checks = [] if share is None else [_overall(n, m, share)]
    days = units.with_columns(pl.col("ts_pred").dt.date().alias(_DAY))
    checks.append(_stable(days, _DAY, share=share))
    checks += [_stable(units, name, share=None) for name in slices]
    if unit == "entity":
        checks.append(_rows_per_entity(champion, challenger))
    frame = pl.DataFrame(
        checks,
        schema={"check": pl.String, "statistic": pl.Float64, "df": pl.Int64, "p_value": pl.Float64, "ok": pl.Boolean,
                "detail": pl.String},
        orient="row",
    )  # fmt: skip
    return SampleRatio(
        observed=m / n if n else float("nan"),
        intended=share,
        unit=unit,
        n_champion=n - m,
        n_challenger=m,
        checks=frame,
    )


def check_share(share: float | None) -> None:
    """Refuse an intended share that is not strictly between 0 and 1."""
    if share is not None and not 0 < share < 1:
        raise ArgumentError(
            "the intended share of the challenger must lie between 0 and 1",
            got=share,
            allowed="a number between 0 and 1",
            next_step="write 0.5 for an even split",
        )


def _units(champion: pl.DataFrame, challenger: pl.DataFrame, slices: Sequence[str]) -> tuple[pl.DataFrame, str]:
    """One line per assigned unit: when it was first seen, its slices, and whether the challenger got it."""
    columns = list(dict.fromkeys(["ts_pred", "entity", *slices]))
    sides = [
        side.select(columns).with_columns(pl.lit(is_challenger).alias(_CHALLENGER))
        for side, is_challenger in ((champion, False), (challenger, True))
    ]
    rows = pl.concat(sides)
    known = rows.drop_nulls("entity")
    by_entity = known.group_by("entity").agg(pl.len(), pl.col(_CHALLENGER).n_unique().alias("versions"))
    returning = by_entity.filter(pl.col("len") > 1)
    sticks = returning.height > 0 and returning["versions"].eq(1).mean()
    if known.height < rows.height or returning.is_empty() or not isinstance(sticks, float) or sticks < STICKY:
        return rows, "prediction"
    return rows.sort("ts_pred", _CHALLENGER).unique("entity", keep="first", maintain_order=True), "entity"


def _overall(n: int, m: int, share: float) -> tuple[str, float, int, float, bool, str]:
    expected = n * share
    statistic = 0.0 if not n else (m - expected) ** 2 / (n * share * (1 - share))
    p = _tail(statistic, 1)
    detail = f"overall: {m:,} of {n:,} to the challenger, {100 * share:g} % intended (p = {p:.2g})"
    return ("overall", statistic, 1, p, p >= THRESHOLD, detail)


def _stable(units: pl.DataFrame, column: str, *, share: float | None) -> tuple[str, float, int, float, bool, str]:
    """Is the split the same for every value; against the intended one where it is known."""
    counted = (
        units.group_by(column).agg(pl.len().alias(_UNITS), pl.col(_CHALLENGER).sum()).sort(column, nulls_last=True)
    )
    total = counted[_UNITS].to_numpy().astype(np.float64)
    hit = counted[_CHALLENGER].to_numpy().astype(np.float64)
    overall = hit.sum() / total.sum() if total.sum() else 0.0
    least = min(overall, 1 - overall) if share is None else min(share, 1 - share)
    thick = total * least >= _FEWEST
    total, hit = _together(total, thick), _together(hit, thick)
    if share is None:
        statistic, df = homogeneity(np.stack([hit, total - hit], axis=1))
    else:
        used = total > 0
        expected = total[used] * share
        statistic = float(np.sum((hit[used] - expected) ** 2 / (expected * (1 - share))))
        df = int(used.sum())
    p = _tail(statistic, df)
    worst = _worst(counted[column].cast(pl.String), counted, overall if share is None else share)
    detail = f"by {column}: {worst} (p = {p:.2g})"
    return (f"by {column}", statistic, df, p, p >= THRESHOLD, detail)


def _rows_per_entity(champion: pl.DataFrame, challenger: pl.DataFrame) -> tuple[str, float, int, float, bool, str]:
    """Rows that are lost leave the entities where they are, but each of them with fewer rows (Welch's test)."""
    counts = [side["entity"].value_counts()["count"].cast(pl.Float64).to_numpy() for side in (champion, challenger)]
    means = [float(count.mean()) for count in counts]
    variance = sum(float(count.var(ddof=1)) / len(count) for count in counts if len(count) > 1)
    z = 0.0 if variance <= 0 else (means[1] - means[0]) / variance**0.5
    p = float(normal_p(z))
    detail = f"rows per entity: {means[0]:.2f} of the champion, {means[1]:.2f} of the challenger (p = {p:.2g})"
    return ("rows per entity", z * z, 1, p, p >= THRESHOLD, detail)


def _together(counts: Array, thick: np.ndarray) -> Array:
    """The counts of thick values, and one more for all thin ones."""
    return np.append(counts[thick], counts[~thick].sum())


def _worst(values: pl.Series, counted: pl.DataFrame, share: float) -> str:
    """The value whose split is farthest from what is expected, in standard errors."""
    total, hit = (counted[name].to_numpy().astype(np.float64) for name in (_UNITS, _CHALLENGER))
    if not len(total) or not 0 < share < 1:
        return "no units"
    place = int(np.argmax(np.abs(hit - total * share) / np.sqrt(total)))
    of_it = 100 * hit[place] / total[place]
    return f"{of_it:.1f} % to the challenger where it is {values[place]}, {100 * share:.1f} % expected"


def _tail(statistic: float, df: int) -> float:
    if df < 1:
        return 1.0
    from scipy.special import chdtrc

    return float(chdtrc(df, statistic))
