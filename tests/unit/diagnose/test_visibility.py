"""The law of arrival against brute force, and the visible share against counting."""

import numpy as np
import pytest

from fbkit.diagnose.history import history
from fbkit.diagnose.labels import Labels
from fbkit.diagnose.visibility import Law, product_limit, seen
from tests.unit.diagnose.arrival_world import batches, healthy, scene_of


def by_hand(lag: list[float], age: list[float], weight: list[float], at: float) -> float:
    """Product over the lags beyond ``at`` of one minus the weight there over the weight at risk (Lynden-Bell 1971)."""
    share = 1.0
    for value in {x for x in lag if x > at}:
        there = sum(w for x, w in zip(lag, weight, strict=True) if x == value)
        risk = sum(w for x, a, w in zip(lag, age, weight, strict=True) if x <= value <= a)
        share *= 1 - there / risk
    return share


@pytest.mark.parametrize("seed", range(5))
def test_the_product_limit_is_the_textbook_one(seed: int) -> None:
    rng = np.random.default_rng(seed)
    lag = rng.exponential(3.0, 60).round(1) + 0.1
    age = lag + rng.exponential(3.0, 60)
    weight = rng.integers(1, 4, 60).astype(float)
    law = product_limit(lag, age, weight)
    for at in np.unique(lag):
        expected = by_hand(lag.tolist(), age.tolist(), weight.tolist(), float(at))
        assert law.at(np.array([at]))[0] == pytest.approx(expected, abs=1e-9)


def test_with_old_rows_only_it_is_the_share_of_the_labels() -> None:
    lag = np.random.default_rng(0).exponential(2.0, 500)
    law = product_limit(lag, np.full(500, 1e3), np.ones(500))
    assert np.allclose(law.at(np.sort(lag)), np.arange(1, 501) / 500)
    assert law.at(np.array([-1.0, 0.0]))[1] == 0


def test_truncated_rows_do_not_make_labels_look_fast() -> None:
    rng = np.random.default_rng(1)
    lag, age = rng.exponential(5.0, 40_000), rng.uniform(0, 30, 40_000)
    came = lag <= age
    law = product_limit(lag[came], age[came], np.ones(int(came.sum())))
    plain = np.mean(lag[came] <= 5.0)
    assert abs(law.at(np.array([5.0]))[0] - (1 - np.exp(-1))) < 0.02
    assert plain > 1 - np.exp(-1) + 0.03


def test_many_labels_are_thinned_and_keep_their_law() -> None:
    lag = np.random.default_rng(2).exponential(2.0, 20_000)
    law = product_limit(lag, np.full(len(lag), 1e3), np.ones(len(lag)))
    assert len(law.lag) < 2_100
    points = np.linspace(0.1, 8, 40)
    assert np.abs(law.at(points) - (lag[:, None] <= points).mean(0)).max() < 1e-3


def test_a_law_of_whole_days_jumps() -> None:
    lag = np.repeat([1.0, 2.0, 3.0], [50, 30, 20])
    law = product_limit(lag, np.full(100, 99.0), np.ones(100))
    assert np.allclose(law.at(np.array([0.5, 1.0, 1.9, 2.0, 2.999, 3.0])), [0, 0.5, 0.5, 0.8, 0.8, 1.0])


def test_until_counts_late_arrivals_as_arrived_at_the_close() -> None:
    law = Law(lag=np.array([0.0, 10.0, 20.0]), share=np.array([0.0, 0.8, 1.0])).until(10.0)
    assert np.allclose(law.at(np.array([5.0, 10.0, 50.0])), [0.5, 1.0, 1.0])


def test_the_visible_share_is_what_counting_gives() -> None:
    rng = np.random.default_rng(3)
    lag = rng.exponential(2.0, 100_000)
    law = product_limit(lag, np.full(len(lag), 1e3), np.ones(len(lag)))
    made, as_of = np.array([0.0, 3.3, 5.0, 8.9]), 10.0
    found = seen(law, made, as_of=as_of, gaps=[(4.0, 6.0, np.full(4, 0.7)), (9.5, 12.0, np.full(4, 1.0))])
    for place, when in enumerate(made):
        at = when + lag
        kept = (at <= as_of) * (1 - 0.7 * ((at >= 4) & (at < 6))) * (1 - 1.0 * (at >= 9.5))
        assert found[place] == pytest.approx(kept.mean(), abs=2e-3)


def test_what_is_loaded_at_the_start_of_a_gap_is_lost_and_at_its_end_is_not() -> None:
    law = product_limit(np.repeat([1.0, 2.0], 50), np.full(100, 99.0), np.ones(100))
    whole = np.ones(1)
    assert seen(law, np.zeros(1), as_of=9.0, gaps=[(1.0, 2.0, whole)]) == pytest.approx(0.5)
    assert seen(law, np.zeros(1), as_of=9.0, gaps=[(0.0, 1.0, whole)]) == pytest.approx(1.0)
    assert seen(law, np.zeros(1), as_of=9.0, gaps=[(1.0, 3.0, whole)]) == pytest.approx(0.0)


def test_one_load_a_day_is_counted_in_loads() -> None:
    world = batches(healthy(seed=1, per_day=60), every=1.0)
    scene = scene_of(world, age=3.25)
    known = history(scene, scene.labels)
    assert known.daily
    lag = known.lag[np.isfinite(known.lag)]
    assert np.array_equal(lag, lag.round())
    # The load that a label came with is where it was.
    arrived = (known.made + known.lag)[np.isfinite(known.lag)]
    assert np.allclose(arrived % 1, 0, atol=1e-3) or np.allclose(arrived % 1, 1, atol=1e-3)
    assert not history(scene_of(healthy(seed=1, per_day=60), age=3.25), scene.labels).daily


def test_labels_of_an_earlier_rung_are_believed() -> None:
    scene = scene_of(healthy(seed=1, per_day=60), age=15.0)
    half = Labels(
        seen=scene.labels.seen,
        y=np.where(scene.labels.seen, 0.25, np.nan),
        weight=scene.labels.weight,
        seen1=scene.labels.seen1,
        seen0=scene.labels.seen0,
    )
    known = history(scene, half)
    came = np.isfinite(known.lag)
    assert (known.weight(1)[came] == 0.25).all()
    assert (known.weight(0)[came] == 0.75).all()
    assert (known.weight(1)[~came] == 0).all()
