"""Do the parts of the latency add up to its total: counted at load, and what it looks like when most do not."""

from collections.abc import Collection, Mapping
from typing import Final

import polars as pl

from fbkit.load.columns import LATENCIES
from fbkit.schema.rules import NOTES

TOTAL: Final = LATENCIES[0]
PARTS: Final = LATENCIES[1:]
# Four numbers that were rounded to whole milliseconds are off by 2 together; clocks of two machines by a hundredth.
SLACK_MS: Final = 2.0
SLACK_SHARE: Final = 0.01
_COUNTS = ("checked", "off", "thousandth", "thousandfold", "short")


def latency_counts(columns: Collection[str]) -> list[pl.Expr]:
    """Additive counts over rows that log the total and every part; none where a column is missing.

    The parts add up if they differ from the total by at most 2 ms or 1 % of it, whichever is more, and no part is
    negative. Rows in which one of the four is null are not checked.

    Examples
    --------
    >>> rows = {"latency_ms": [100.0, 30.0], "latency_feature_ms": [60.0, 1.0]}
    >>> rows |= {"latency_inference_ms": [39.0, 2.0], "latency_post_ms": [0.0, 3.0]}
    >>> frame = pl.DataFrame(rows)
    >>> frame.select(latency_counts(frame.columns)).select("checked", "off").row(0)
    (2, 1)
    """
    if not {TOTAL, *PARTS} <= set(columns):
        return []
    total, parts = pl.col(TOTAL).cast(pl.Float64), [pl.col(name).cast(pl.Float64) for name in PARTS]
    added = pl.sum_horizontal(parts)
    known = pl.all_horizontal([item.is_finite().fill_null(value=False) for item in (total, *parts)])
    slack = pl.max_horizontal(pl.lit(SLACK_MS), SLACK_SHARE * total.abs())
    off = known & (((added - total).abs() > slack) | (pl.min_horizontal(total, *parts) < 0))
    ratio = added / total
    found = (
        known,
        off,
        off & ratio.is_between(0.0005, 0.002),
        off & ratio.is_between(500, 2000),
        off & (added < total),
    )
    return [item.sum().cast(pl.Int64).alias(name) for name, item in zip(_COUNTS, found, strict=True)]


def count_latencies(frame: pl.DataFrame) -> dict[str, int]:
    """The counts of a frame, empty where it lacks a column."""
    return next(iter(frame.select(latency_counts(frame.columns)).to_dicts()), {})


def latency_note(counts: Mapping[str, int]) -> list[tuple[str, str, int, str | None]]:
    """The line of the audit, if there is anything to say; the rows stay."""
    off = counts.get("off", 0)
    if not off:
        return []
    said = f"{NOTES['latency_mismatch']} within {SLACK_MS:g} ms or {SLACK_SHARE:.0%}"
    if off * 2 > counts["checked"]:
        said += f"; {_looks(counts)}"
    return [("predictions", "latency_mismatch", off, said)]


def _looks(counts: Mapping[str, int]) -> str:
    most = counts["off"] / 2
    if counts.get("thousandfold", 0) > most:
        return "it looks as if the total were in seconds and its parts in milliseconds"
    if counts.get("thousandth", 0) > most:
        return "it looks as if the parts were in seconds and the total in milliseconds"
    if counts.get("short", 0) > most:
        return "it looks as if a step between the parts were not logged"
    return "it looks as if the parts overlapped in time"
