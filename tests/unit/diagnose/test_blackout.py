"""A silent feed where labels come within hours: found, repaired, and not mistaken for anything else."""

from datetime import timedelta

import numpy as np
import polars as pl
import pytest

from fbkit.diagnose.blackout import dark_days
from fbkit.diagnose.history import history
from fbkit.diagnose.scene import set_scene
from fbkit.diagnose.settings import SETTINGS
from fbkit.diagnose.triage import triage


def with_arrivals(joined):
    """The hand-made table with times of arrival, as the join would give them."""
    frame = joined.frame.with_columns(ts_arrival=pl.col("ts_pred") + pl.col("arrival_lag"))
    return joined.__class__(frame=frame, contract=joined.contract, as_of=joined.as_of)


def silent(frame, outcome):
    """Labels of three days of the current week never come, whatever they say."""
    day = (frame["ts_pred"] - frame["ts_pred"].min()).dt.total_days().to_numpy()
    return ((day >= 30) & (day < 33)).astype(float)


def found(joined, weeks):
    reference, current = weeks.periods()
    scene = set_scene(joined, metric="recall", reference=reference, current=current, draws=0, seed=0, settings=SETTINGS)
    return [d.day for d in dark_days(scene, history(scene, scene.labels))]


def test_three_silent_days_are_dark(by_hand, weeks):
    joined = with_arrivals(by_hand(lose=silent, lag_days=(0.1, 0.1)))
    start = weeks.periods()[1].start
    first = int((start + timedelta(days=2)).timestamp() // 86_400)
    assert found(joined, weeks) == [first, first + 1, first + 2]


@pytest.mark.parametrize(
    "lose",
    [
        None,
        lambda frame, outcome: 0.5 * frame["current"].to_numpy(),
        lambda frame, outcome: np.where(frame["flagged"] & frame["current"], 0.95, 0.0),
        lambda frame, outcome: frame["current"].to_numpy().astype(float),
    ],
    ids=["healthy", "half of all", "nearly all flagged", "everything, all week"],
)
def test_no_other_loss_is_a_silent_feed(by_hand, weeks, lose):
    joined = with_arrivals(by_hand(lose=lose, lag_days=(0.1, 0.1)))
    assert found(joined, weeks) == []


def test_the_verdict_says_when_and_claims_nothing_of_the_model(by_hand, weeks):
    said = triage(with_arrivals(by_hand(lose=silent, lag_days=(0.1, 0.1))), weeks, metric="recall")
    outage = next(part for part in said.contributions if part.cause == "label_outage")
    assert "2026-09-02..2026-09-04" in outage.where
    assert said.verdict in ("noise", "labels")
    assert sum(part.value for part in said.contributions) == pytest.approx(said.observed.change, abs=1e-12)
