"""What an audit is asked to look at, and what it will be worth."""

from dataclasses import dataclass, field

import numpy as np
import polars as pl

from fbkit.diagnose.allocation import Stratum, rows_for
from fbkit.errors import ArgumentError
from fbkit.measure.stats.intervals import quantile


@dataclass(frozen=True, slots=True, kw_only=True)
class NextLabels:
    """Rows worth a label, drawn at random within strata.

    Attributes
    ----------
    strata
        stratum, decision, score_from, score_to, labelled (whether its rows have a label that the audit checks),
        candidates, expected_rate (of positives), rows, audit_prob: one row each.
    rows
        prediction_id, the join keys, stratum, audit_prob: one row per row to audit, in the order of ``strata``.
    exploration
        decision, blocked, expected_rate, let_through, share, expected_error: how many blocked rows to let through at
        random, with which propensity, so that they add no more than the period's own sampling error. Empty if no
        action hides an outcome.
    metric, value
        The metric and its corrected current value.
    expected_error, half_width
        What the audit adds to the standard error of the current value, and half the width of its interval with the
        period's own sampling error; None where it cannot be foreseen.
    level
        Level of that interval.
    reason
        Why there is nothing to draw or to foresee, else None.
    sampling_error
        Standard error of the period's own rows.
    open_strata
        The strata of unlabelled rows that :meth:`size_for` allocates.
    """

    strata: pl.DataFrame
    rows: pl.DataFrame
    exploration: pl.DataFrame
    metric: str
    value: float | None
    expected_error: float | None
    half_width: float | None
    level: float
    reason: str | None = None
    sampling_error: float | None = None
    open_strata: tuple[Stratum, ...] = field(default=(), repr=False)

    def size_for(self, half_width: float) -> int | None:
        """Unlabelled rows to audit for an interval of at most this half width; None if no audit reaches it.

        Raises
        ------
        ArgumentError
            The half width is not positive.
        """
        if not half_width > 0:
            raise ArgumentError(
                "an interval needs a positive half width",
                got=half_width,
                allowed="a number above 0, on the metric's own scale (0.03 is three points of a rate)",
                next_step="ask for example for 0.03",
            )
        left = (half_width / float(quantile(self.level))) ** 2 - (self.sampling_error or 0.0) ** 2
        if self.sampling_error is None or left <= 0 or not self.open_strata:
            return None
        return rows_for(self.open_strata, error=float(np.sqrt(left)))

    @property
    def by_decision(self) -> tuple[int, int]:
        """Flagged and other rows to audit."""
        found = [
            int(self.strata.filter(pl.col("decision") == name)["rows"].sum()) for name in ("flagged", "not flagged")
        ]
        return found[0], found[1]

    @property
    def template(self) -> pl.DataFrame:
        """The rows as they go back into an outcome log: fill in ``ts_event``, ``label`` and ``ts_arrival``."""
        instant = pl.lit(None, dtype=pl.Datetime("us", "UTC"))
        keys = [name for name in self.rows.columns if name not in ("stratum", "audit_prob")]
        return self.rows.select(
            *keys,
            instant.alias("ts_event"),
            instant.alias("ts_arrival"),
            pl.lit(None, dtype=pl.Float64).alias("label"),
            pl.lit("audit").alias("source"),
            "audit_prob",
        )
