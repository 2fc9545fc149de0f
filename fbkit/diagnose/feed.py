"""Is the feed of outcomes complete, where nobody ever says that nothing happened?"""

import polars as pl

from fbkit.join.joined import Joined
from fbkit.measure.feed import feed_completeness
from fbkit.schema.durations import format_duration
from fbkit.schema.period import format_instant

QUESTION = "Is the outcome feed complete, so that silence can be believed?"
_SHOWN = 3


def feed_complete(joined: Joined) -> tuple[bool, str, str | None]:
    """Whether the feed passes, the evidence, and what to do: no open run of short days, and the objective is met.

    The objective fails where completeness is below it and the interval says that it is not 1.
    """
    slo = joined.contract.slo.feed_completeness
    short = joined.feed.filter(~pl.col("complete"))
    runs = [
        f"{'all' if name is None else f'{name} = {value}'} from {format_instant(start)[:10]}: "
        f"{arrived:,} of about {expected:,.0f}"
        for name, value, start, arrived, expected in short.select("slice", "value", "start", "arrived", "expected")
        .head(_SHOWN)
        .iter_rows()
    ]
    held = int(joined.audit.filter(pl.col("rule") == "feed_incomplete")["rows"].sum())
    said = f"days on which too little arrived: {'; '.join(runs)}" if runs else "no day on which too little arrived"
    said = f"{said}; {held:,} rows with a closed window wait for the feed"
    at = None if slo is None else slo.at
    row = feed_completeness(joined, at=at).row(0, named=True)
    value, upper = row["value"], row["upper"]
    when = "now" if at is None else f"at {format_duration(at)}"
    if value is None:
        said = f"{said}; completeness {when} not known ({row['reason']})"
    else:
        said = f"{said}; completeness {when} {value:.2f} [{row['lower']:.2f}, {upper:.2f}]"
    if runs:
        return False, said, "have the missing days delivered again as a backfill; until then these rows stay pending"
    if slo is not None and value is not None and value < slo.minimum and upper < 1:
        return False, f"{said}, objective {slo.minimum:.2f}", "find out which positives no longer reach the feed"
    return True, said, None
