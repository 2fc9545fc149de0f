"""The resampler: draw 0 is the data, spreads match the clusters' own."""

import numpy as np
import polars as pl
import pytest

from fbkit.diagnose.bootstrap import Resampler, clusters, interval, standard_error


def test_draw_zero_is_the_count_and_the_rest_are_weighted_counts():
    rng = np.random.default_rng(1)
    code, cluster = rng.integers(0, 5, 300), rng.integers(0, 16, 300)
    values = rng.random(300)
    resampler = Resampler.make(cluster, draws=7, seed=2, buckets=16)
    keep = rng.random(300) < 0.7
    found = resampler.sums(code, size=5, rows=keep, values=values)
    for draw in range(8):
        weight = np.ones(300) if draw == 0 else resampler.weights[cluster, draw - 1]
        brute = [float((values * weight)[keep & (code == c)].sum()) for c in range(5)]
        assert found[draw] == pytest.approx(brute, abs=1e-9)


def test_entities_share_a_cluster_and_rows_without_one_do_not():
    entity = pl.Series(["a", None, "a", None, "b"])
    code = clusters(entity, buckets=4096)
    assert code[0] == code[2]
    assert len({*code.tolist()}) == 4


def test_repeated_entities_widen_the_interval():
    rng = np.random.default_rng(3)
    each = rng.random(400) < 0.5
    hit = np.repeat(each, 10)
    n = len(hit)
    code = hit.astype(np.int64)
    by_entity = Resampler.make(np.repeat(np.arange(400), 10), draws=300, seed=0, buckets=400)
    by_row = Resampler.make(np.arange(n), draws=300, seed=0, buckets=n)

    def error(resampler):
        total = resampler.sums(code, size=2)
        return standard_error(total[:, 1] / total.sum(1))

    assert error(by_row) == pytest.approx((0.25 / n) ** 0.5, rel=0.15)
    assert error(by_entity) == pytest.approx((0.25 / 400) ** 0.5, rel=0.15)


def test_intervals_without_draws_or_value_are_none():
    assert interval(np.array([0.5]), level=0.95) == (0.5, None, None)
    assert interval(np.array([np.nan, 1.0]), level=0.95) == (None, None, None)
    value, lower, upper = interval(np.r_[1.0, np.random.default_rng(0).normal(1, 0.1, 5000)], level=0.95)
    assert (value, lower, upper) == pytest.approx((1.0, 1 - 0.196, 1 + 0.196), abs=0.006)
