"""Losses follow the labels: slow positives, silence as negative, and cells whose final numbers are put back."""

from datetime import UTC, datetime

import numpy as np
import polars as pl
import pytest

from fbkit.diagnose.bootstrap import Resampler
from fbkit.diagnose.cells import count
from fbkit.diagnose.climb import silence_as_negative
from fbkit.diagnose.labels import Labels
from fbkit.diagnose.metric import evaluate
from fbkit.diagnose.rows import cross, prepare
from fbkit.diagnose.triage import triage

YOUNG = datetime(2026, 9, 8, tzinfo=UTC)
LOSSES = ["brier", "log_loss", "ece", "mcb"]


def cells_of(joined, weeks, metric, *, seen1=1.0, seen0=1.0):
    reference, current = weeks.periods()
    rows = prepare(joined.frame, metric=metric, reference=reference, current=current)
    bin_of = np.minimum((rows.score * 40).astype(np.int64), 39)
    resampler = Resampler.make(np.arange(len(rows)) % 64, draws=0, seed=0, buckets=64)
    labels = Labels.as_shown(rows).visible(positive=np.full(len(rows), seen1), other=np.full(len(rows), seen0))
    cells = count(rows, labels, cross([], {}, rows=len(rows)), bin_of=bin_of, bins=40, resampler=resampler)
    return rows, cells


@pytest.mark.parametrize("metric", LOSSES)
def test_slow_positives_bring_their_own_losses(by_hand, weeks, metric):
    """Each positive stands for two: the same as every positive twice."""
    joined = by_hand(n=3000)
    twice = pl.concat([joined.frame, joined.frame.filter(pl.col("label") == 1)])
    _, scaled = cells_of(joined, weeks, metric, seen1=0.5)
    doubled = type(joined)(frame=twice, contract=joined.contract, as_of=joined.as_of)
    _, plain = cells_of(doubled, weeks, metric)
    assert evaluate(metric, scaled.like_for_like()) == pytest.approx(evaluate(metric, plain.observed()), abs=1e-12)


@pytest.mark.parametrize("metric", LOSSES)
def test_silent_rows_lose_what_negatives_lose(by_hand, weeks, metric):
    """Rows without a label, taken for negatives, give what labels of zero would give."""
    joined = by_hand(n=3000)
    silent = joined.frame.with_columns(label=pl.when(pl.col("label") == 1).then(1.0))
    _, told = cells_of(joined, weeks, metric)
    # Nearly everything has arrived: the table is an aged one.
    mute = type(joined)(frame=silent, contract=joined.contract, as_of=joined.as_of)
    _, found = cells_of(mute, weeks, metric, seen1=1 - 1e-12)
    said = evaluate(metric, silence_as_negative(found).like_for_like())
    assert said == pytest.approx(evaluate(metric, told.observed()), abs=1e-9)


@pytest.mark.parametrize("metric", ["brier", "ece"])
def test_young_silence_is_corrected_in_losses_too(by_hand, weeks, metric):
    joined = by_hand(n=20_000, as_of=YOUNG, silence="negative", lag_days=(1.0, 2.0))
    said = triage(joined, weeks, metric=metric, draws=60)
    # Only positives of the young rows are known, and these are far from their scores.
    assert said.observed.change > 0.04
    assert abs(said.true_change.value) < 0.012
    assert said.true_change.lower < 0 < said.true_change.upper


def test_errors_of_values_are_left_to_the_rows_that_have_them(by_hand, weeks):
    joined = by_hand(n=2000, lose=lambda frame, outcome: np.full(len(frame), 0.3))
    _, cells = cells_of(joined, weeks, "mae")
    assert silence_as_negative(cells) is cells
    assert cells.loss1 is None


@pytest.mark.parametrize("metric", ["brier", "mae", "recall"])
def test_the_same_labels_change_nothing(by_hand, weeks, metric):
    _, cells = cells_of(by_hand(n=2000), weeks, metric)
    again = cells.with_labels(v1=cells.n1, v0=cells.n0)
    assert np.array_equal(evaluate(metric, again.like_for_like()), evaluate(metric, cells.observed()))
