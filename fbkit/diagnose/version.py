"""Did a new model version do it? A contrast within the current window when versions overlap."""

from dataclasses import dataclass

import numpy as np
import polars as pl

from fbkit.diagnose.bootstrap import Floats, Ints, Resampler
from fbkit.diagnose.cells import Cells, count
from fbkit.diagnose.correction import corrected
from fbkit.diagnose.labels import Labels
from fbkit.diagnose.metric import evaluate
from fbkit.diagnose.player import beyond_gates
from fbkit.diagnose.rows import CURRENT, REFERENCE, Flags, Rows
from fbkit.diagnose.settings import Settings, replay_floor


@dataclass(frozen=True, slots=True, kw_only=True)
class VersionContrast:
    """What is known of the versions.

    Attributes
    ----------
    names
        Versions of the current window that the reference hardly knew.
    share
        Their share of the current rows.
    complete
        Nearly all current rows are on them: version and drift cannot be told apart by time.
    effect
        Metric of all current rows minus the metric of the current rows on known versions
        (standardised to the strata of all rows), per draw; None without overlap.
    floor
        The smallest effect that is kept apart.
    """

    names: tuple[str, ...]
    share: float
    complete: bool
    effect: Floats | None
    floor: float

    def fires(self, *, settings: Settings) -> bool:
        """The contrast is beyond the noise and beyond the floor."""
        return self.effect is not None and beyond_gates(self.effect, settings=settings, floor=self.floor)


def new_versions(rows: Rows, *, known_share: float) -> tuple[tuple[str, ...], Flags]:
    """Names of the versions that are new in the current window, and the rows on them."""
    version = rows.frame["model_version"].cast(pl.String)
    in_current = pl.Series(rows.of(CURRENT))
    counts = (
        pl.DataFrame({"version": version, "current": in_current})
        .drop_nulls()
        .group_by("version")
        .agg(pl.col("current").sum().alias("now"), (~pl.col("current")).sum().alias("before"))
    )
    known = max(1, int((~in_current).sum()))
    names = tuple(
        sorted(counts.filter((pl.col("now") > 0) & (pl.col("before") < known_share * known))["version"].to_list())
    )
    return names, version.is_in(list(names)).fill_null(value=False).to_numpy()


def contrast(
    rows: Rows, labels: Labels, cells: Cells, *, metric: str, bin_of: Ints, resampler: Resampler, settings: Settings
) -> VersionContrast | None:
    """Compare known and new versions inside the current window; None when no version is new."""
    names, fresh = new_versions(rows, known_share=settings.known_version)
    mine = rows.of(CURRENT)
    share = float(fresh[mine].mean())
    if share < settings.new_version_share:
        return None
    old = mine & ~fresh
    whole = evaluate(metric, corrected(cells, thin=settings.thin_cell))
    floor = replay_floor(metric, float(whole[0, REFERENCE]), settings=settings)
    if int((old & labels.seen).sum()) < settings.fewest_arrivals:
        return VersionContrast(names=names, share=share, complete=True, effect=None, floor=floor)
    table = count(rows, labels, cells.strata, bin_of=bin_of, bins=cells.bins, resampler=resampler, only=old)
    part = _standardised(cells, table, thin=settings.thin_cell, metric=metric)
    effect = whole[:, CURRENT] - part
    return VersionContrast(names=names, share=share, complete=False, effect=effect, floor=floor)


def _standardised(cells: Cells, table: Cells, *, thin: int, metric: str) -> Floats:
    """The metric of the known versions' rows, their strata weighted as all current rows are."""
    everyone = cells.n.sum((2, 3))[:, CURRENT]
    own = table.n.sum((2, 3))[:, CURRENT]
    with np.errstate(divide="ignore", invalid="ignore"):
        factor = np.where(own > 0, everyone / own, 0.0)[:, None, None, None, :]
        masses = corrected(table, thin=thin).scaled(factor)
    return evaluate(metric, masses)[:, CURRENT]
