"""The latency breakdown of rows that a large join never holds all at once."""

from collections import Counter

import polars as pl

from fbkit.join.slim import batches
from fbkit.load.columns import LATENCIES
from fbkit.load.latency import count_latencies
from fbkit.load.scan import Scan
from fbkit.schema.contract import Contract


def latencies_in(scan: Scan, *, keep: pl.Series, contract: Contract) -> dict[str, int]:
    """What :func:`fbkit.load.latency.latency_counts` finds in the kept rows of a prediction log.

    Empty, without reading anything, where the log does not carry the total and every part.
    """
    named = {name: contract.predictions.columns.get(name, name) for name in LATENCIES}
    chosen = {name: given for name, given in named.items() if isinstance(given, str)}
    if not {*chosen.values()} <= {*scan.frame.collect_schema().names()} or len(chosen) < len(LATENCIES):
        return {}
    counts: Counter[str] = Counter()
    start = 0
    for batch in batches(scan, columns=list(dict.fromkeys(chosen.values()))):
        rows = batch.filter(keep.slice(start, batch.height))
        start += batch.height
        counts += Counter(count_latencies(rows.select(pl.col(given).alias(name) for name, given in chosen.items())))
    return dict(counts)
