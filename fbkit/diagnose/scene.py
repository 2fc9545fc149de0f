"""What every measurement of one triage shares: rows, labels, score bins, slices, bootstrap weights, a stopwatch."""

import time
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass, field

import numpy as np

from fbkit.diagnose.arrival import Arrival, visibility
from fbkit.diagnose.bootstrap import Floats, Ints, Resampler, clusters
from fbkit.diagnose.cells import Cells, count
from fbkit.diagnose.dispersion import Dispersion, dispersion
from fbkit.diagnose.labels import Labels
from fbkit.diagnose.rows import Encoded, Rows, Strata, encode, prepare, score_edges, slice_columns
from fbkit.diagnose.settings import Settings
from fbkit.join.joined import Joined
from fbkit.schema.period import Period


@dataclass
class Stopwatch:
    """Seconds by question."""

    seconds: dict[str, float] = field(default_factory=dict)

    @contextmanager
    def time(self, key: str) -> Generator[None]:
        """Add the time inside the block to ``key``."""
        begin = time.perf_counter()
        yield
        self.seconds[key] = self.seconds.get(key, 0.0) + time.perf_counter() - begin


@dataclass(frozen=True, slots=True, kw_only=True)
class Scene:
    """Rows, their codes, and the resampler: what every measurement shares."""

    joined: Joined
    metric: str
    reference: Period
    current: Period
    settings: Settings
    rows: Rows
    labels: Labels
    arrival: Arrival
    edges: Floats
    bin_of: Ints
    encoded: Encoded
    dispersion: Dispersion
    resampler: Resampler
    model: object | None = None

    @property
    def bins(self) -> int:
        return len(self.edges) + 1

    @property
    def silent(self) -> bool:
        """Only positives are ever reported: silence at the window's close means negative."""
        return self.joined.contract.label.silence == "negative"

    def table(self, strata: Strata, labels: Labels) -> Cells:
        """Count into score bins and these strata."""
        return count(self.rows, labels, strata, bin_of=self.bin_of, bins=self.bins, resampler=self.resampler)


def set_scene(
    joined: Joined,
    *,
    metric: str,
    reference: Period,
    current: Period,
    draws: int,
    seed: int,
    settings: Settings,
    model: object | None = None,
) -> Scene:
    """Cut the windows, weigh young labels, fix the score bins, draw the bootstrap weights."""
    rows = prepare(joined.frame, metric=metric, reference=reference, current=current)
    arrival = visibility(rows, joined.frame, as_of=joined.as_of, settings=settings)
    edges = score_edges(rows, bins=settings.score_bins)
    cluster = clusters(rows.frame["entity"], buckets=settings.buckets)
    bin_of = np.searchsorted(edges, rows.score, side="right").astype(np.int64)
    return Scene(
        joined=joined,
        metric=metric,
        reference=reference,
        current=current,
        settings=settings,
        rows=rows,
        labels=Labels.as_shown(rows),
        arrival=arrival,
        edges=edges,
        bin_of=bin_of,
        encoded={name: encode(rows.frame[name]) for name in slice_columns(joined.contract, rows.frame)},
        dispersion=dispersion(rows, bin_of=bin_of, entity=cluster, settings=settings),
        resampler=Resampler.make(cluster, draws=draws, seed=seed, buckets=settings.buckets),
        model=model,
    )
