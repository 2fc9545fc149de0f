"""Every metric on poor logs: something is said, what is said adds up, and nothing breaks."""

from dataclasses import replace

import polars as pl
import pytest

from fbkit.diagnose.settings import METRICS, NEEDS_DECISION
from fbkit.diagnose.triage import triage
from fbkit.errors import InputError

CURRENT = pl.col("current")
POOR = {
    "no label": {"label": pl.lit(None, pl.Float64)},
    "no label now": {"label": pl.when(~CURRENT).then("label")},
    "few labels": {"label": pl.when(pl.int_range(pl.len()) % 29 == 0).then("label")},
    "one class": {"label": pl.lit(0.0)},
    "one class now": {"label": pl.when(CURRENT).then(1.0).otherwise("label")},
    "two scores": {"score": pl.col("score").round(0)},
    "no decision": {"flagged": pl.lit(None, pl.Boolean), "threshold": pl.lit(None, pl.Float64)},
}


@pytest.mark.parametrize("metric", METRICS)
def test_every_metric_says_something(by_hand, weeks, metric):
    joined = by_hand(n=300, seed=1)
    for name, columns in POOR.items():
        poor = replace(joined, frame=joined.frame.with_columns(**columns))
        if name == "no decision" and metric in NEEDS_DECISION:
            with pytest.raises(InputError, match="with a decision"):
                triage(poor, weeks, metric=metric, draws=20)
            continue
        said = triage(poor, weeks, metric=metric, draws=20)
        assert said.headline
        if said.observed.change is None:
            assert said.verdict == "undecided"
            assert said.reason
        elif all(part.value is not None for part in said.contributions):
            total = sum(part.value for part in said.contributions)
            assert total == pytest.approx(said.observed.change, abs=1e-12)
