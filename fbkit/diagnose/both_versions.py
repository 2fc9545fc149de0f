"""Predictions labelled by two definitions: what the one says of the other without any model in between."""

from dataclasses import dataclass
from typing import Final

import numpy as np
import polars as pl

from fbkit.diagnose.bootstrap import Floats, Ints
from fbkit.diagnose.old_cohorts import Excess
from fbkit.diagnose.scene import Scene

_SAID: Final = ("used", "superseded", "other_definition", "duplicate_statement")


@dataclass(frozen=True, slots=True, kw_only=True)
class Doubly:
    """One entry per prediction of the windows with statements of both: its row, the old and the new label."""

    at: Ints
    old: Floats
    new: Floats

    def excess(self, scene: Scene, *, decision: int) -> Excess:
        """Positives by the new definition against those by the old one; McNemar's variance."""
        mine = scene.rows.decision[self.at] == decision
        old, new = self.old[mine], self.new[mine]
        return Excess(
            decision=decision,
            n=int(mine.sum()),
            observed=float(new.sum()),
            expected=float(old.sum()),
            # One more, so that no discordant pair at all is not taken for certainty.
            variance=float((old != new).sum()) + 1.0,
            before=0.0,
            whole=None,
            steady=0.0,
        )


def doubly(scene: Scene, *, fresh: tuple[str, ...]) -> Doubly:
    """Predictions with statements of a fresh version and of another; the newest of each counts."""
    pairs = getattr(scene.joined, "pairs", None)
    if pairs is None:
        nothing = np.zeros(0)
        return Doubly(at=np.zeros(0, dtype=np.int64), old=nothing, new=nothing)
    is_new = pl.col("label_version").cast(pl.String).is_in(list(fresh))
    said = (
        pairs.lazy()
        .filter(pl.col("fate").is_in(list(_SAID)) & pl.col("label_version").is_not_null())
        .select("prediction_id", "ts_arrival", "statement", "label", is_new.alias("new"))
        .filter((pl.col("new").any() & ~pl.col("new").all()).over("prediction_id"))
        .sort("ts_arrival", "statement")
        .group_by("prediction_id")
        .agg(
            pl.col("label").filter("new").last().alias("after"),
            pl.col("label").filter(~pl.col("new")).last().alias("before"),
        )
    )
    rows = scene.rows.frame.lazy().select("prediction_id").with_row_index("at")
    both = rows.join(said, on="prediction_id").sort("at").collect()
    return Doubly(
        at=both["at"].cast(pl.Int64).to_numpy(),
        old=both["before"].cast(pl.Float64).to_numpy(),
        new=both["after"].cast(pl.Float64).to_numpy(),
    )
