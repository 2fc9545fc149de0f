"""The slope test: silent when nothing changed or labels went at random, loud when scores separate less."""

import numpy as np
import pytest
from scipy.special import expit, logit

from fbkit.diagnose.bootstrap import Resampler
from fbkit.diagnose.cells import count
from fbkit.diagnose.labels import Labels
from fbkit.diagnose.rows import cross, prepare
from fbkit.diagnose.shape import shape

MIDDLES = logit((np.arange(10) + 0.5) / 10)


def shape_of(joined, weeks, *, draws=100):
    reference, current = weeks.periods()
    rows = prepare(joined.frame, metric="recall", reference=reference, current=current)
    resampler = Resampler.make(np.arange(len(rows)) % 512, draws=draws, seed=1, buckets=512)
    bin_of = np.minimum((rows.score * 10).astype(np.int64), 9)
    strata = cross([], {}, rows=len(rows))
    cells = count(rows, Labels.as_shown(rows), strata, bin_of=bin_of, bins=10, resampler=resampler)
    return shape(cells, mean_score=MIDDLES, thin=6)


def flatter(frame):
    score = np.clip(frame["score"].to_numpy(), 0.001, 0.999)
    return np.where(frame["current"], expit(0.6 * logit(score)), score)


def rarer(frame):
    score = np.clip(frame["score"].to_numpy(), 0.001, 0.999)
    return np.where(frame["current"], expit(logit(score) - 0.6), score)


def test_scores_that_separate_less_lower_the_slope(by_hand, weeks):
    found = shape_of(by_hand(truth=flatter), weeks)
    assert found.slope < -6


def test_fewer_positives_at_every_score_are_the_intercept(by_hand, weeks):
    found = shape_of(by_hand(truth=rarer), weeks)
    assert found.intercept < -6
    assert abs(found.slope) < 4


@pytest.mark.parametrize("share", [0.0, 0.5])
def test_healthy_weeks_stay_within_chance_whether_or_not_labels_went_at_random(by_hand, weeks, share):
    found = [
        shape_of(by_hand(n=6000, seed=seed, lose=lambda frame, outcome: share * frame["current"].to_numpy()), weeks)
        for seed in range(12)
    ]
    slopes = np.array([item.slope for item in found])
    assert np.abs(slopes).max() < 3.5
    assert 0.4 < np.std(slopes) < 1.8


def test_without_draws_there_is_no_test(by_hand, weeks):
    found = shape_of(by_hand(n=2000), weeks, draws=0)
    assert found.slope is None
    assert found.intercept is None
