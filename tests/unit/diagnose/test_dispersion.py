"""Days that differ at equal scores widen the remainder; days of other cases, and repeated entities, do not."""

from collections.abc import Callable
from typing import Any

import numpy as np
import polars as pl
import pytest

from fbkit.diagnose.triage import triage
from fbkit.schema.period import Comparison


def by_day(strength: float) -> Callable[[pl.DataFrame], Any]:
    """Outcomes at equal scores are likelier on some days than on others."""

    def truth(frame: pl.DataFrame) -> Any:
        day = frame["ts_pred"].dt.ordinal_day().to_numpy()
        shift = np.random.default_rng(7).normal(0, strength, 400)[day]
        score = np.clip(frame["score"].to_numpy(), 1e-6, 1 - 1e-6)
        return 1 / (1 + (1 - score) / score * np.exp(-shift))

    return truth


@pytest.mark.parametrize("metric", ["recall", "precision", "brier", "roc_auc"])
def test_days_that_differ_at_equal_scores_widen_the_interval(by_hand: Any, weeks: Comparison, metric: str) -> None:
    calm = triage(by_hand(truth=by_day(0.0)), weeks, metric=metric, draws=60)
    wild = triage(by_hand(truth=by_day(1.0)), weeks, metric=metric, draws=60)
    assert calm.method["remainder_widened_by"] == 1.0
    assert float(calm.method["day_dispersion"]) == pytest.approx(1.0, abs=0.6)  # type: ignore[arg-type]  # a float
    factor = float(wild.method["remainder_widened_by"])  # type: ignore[arg-type]  # a float
    assert factor > 2
    assert factor**2 == pytest.approx(wild.method["day_dispersion"])
    width = [said.true_change.upper - said.true_change.lower for said in (calm, wild)]  # type: ignore[operator]  # estimable here
    assert width[1] > 1.5 * width[0]
    assert "widened by" in wild.checks[2].answer
    assert "widened by" not in calm.checks[2].answer


def test_contributions_still_add_up(by_hand: Any, weeks: Comparison) -> None:
    said = triage(by_hand(truth=by_day(1.0)), weeks, draws=60)
    assert sum(part.value or 0.0 for part in said.contributions) == pytest.approx(said.observed.change, abs=1e-12)


def test_a_random_day_effect_is_not_called_drift(by_hand: Any, weeks: Comparison) -> None:
    """Whole days vary in both periods: no cause is claimed from the days that happen to be the last."""
    for seed in range(6):
        said = triage(by_hand(truth=by_day(0.7), seed=seed), weeks, draws=60)
        assert said.verdict == "noise", said.headline


def test_too_few_days_or_no_labels_decide_nothing(by_hand: Any) -> None:
    short = Comparison(reference="2026-08-28..2026-08-31", current="2026-08-31..2026-09-07")
    said = triage(by_hand(truth=by_day(1.0)), short, draws=60)
    assert said.method["day_dispersion"] is None
    assert said.method["remainder_widened_by"] == 1.0
