"""The likelihood of a stretch against brute force, and what it finds in samples of known laws."""

import numpy as np
import pytest

from fbkit.diagnose.stretch import (
    EVENTS,
    FAMILIES,
    LATER,
    TIMES,
    WAIT,
    Atoms,
    likelihood,
    sample,
    sizes,
    unchanged,
    wait_likelihood,
    with_events,
)

WINDOW = 14.0


def reference(seed: int, n: int = 6_000) -> tuple[np.ndarray, np.ndarray]:
    """Days to the event and to the arrival."""
    rng = np.random.default_rng([seed, 0])
    event = 3.0 * np.exp(0.6 * rng.normal(size=n))
    return event, event + 0.5 * np.exp(rng.normal(size=n))


def changed(seed: int, family: str, size: float, *, as_of: float, n: int = 2_000) -> tuple[np.ndarray, ...]:
    """Times, events and lags of the labels that are seen."""
    rng = np.random.default_rng([seed, 1])
    event, lag = reference(seed + 1_000, n)
    made = rng.uniform(0, 7, n)
    wait = lag - event
    lag = {TIMES: size * lag, EVENTS: size * lag, WAIT: event + size * wait, LATER: lag + size}[family]
    event = size * event if family == EVENTS else event
    came = (made + lag <= as_of) & (event <= WINDOW)
    return made[came], event[came], lag[came]


@pytest.mark.parametrize(("family", "size"), [(TIMES, 1.8), (TIMES, 0.6), (WAIT, 5.0), (LATER, 3.0)])
@pytest.mark.parametrize("as_of", [11.0, 40.0])
def test_a_known_change_is_found_also_where_late_labels_are_not_seen_yet(
    family: str, size: float, as_of: float
) -> None:
    found = []
    for seed in range(5):
        event, lag = reference(seed)
        made, _, late = changed(seed, family, size, as_of=as_of)
        atoms = Atoms.of(event, lag, np.ones(len(lag)))
        seen = sample(made, late, np.ones(len(made)), step=0.5, as_of=as_of)
        curve = likelihood(atoms, seen, family, closed=WINDOW, window=WINDOW).total
        assert 2 * (curve.max() - curve[unchanged(family)]) > 50
        found.append(sizes(family, closed=WINDOW)[curve.argmax()])
    assert np.mean(found) == pytest.approx(size, rel=0.08)


@pytest.mark.parametrize("as_of", [9.0, 12.0, 40.0])
def test_without_a_change_hardly_anything_is_gained(as_of: float) -> None:
    gains = []
    for seed in range(12):
        event, lag = reference(seed)
        made, _, late = changed(seed, TIMES, 1.0, as_of=as_of)
        seen = sample(made, late, np.ones(len(made)), step=0.5, as_of=as_of)
        atoms = Atoms.of(event, lag, np.ones(len(lag)))
        for family in FAMILIES:
            curve = likelihood(atoms, seen, family, closed=WINDOW, window=WINDOW).total
            gains.append(2 * (curve.max() - curve[unchanged(family)]))
    assert max(gains) < 20
    assert np.median(gains) < 3


def test_days_without_a_feed_are_no_stretch() -> None:
    gains = []
    for seed in range(6):
        event, lag = reference(seed)
        made, _, late = changed(seed, TIMES, 1.0, as_of=40.0)
        kept = ~((made + late >= 5) & (made + late < 8))
        atoms = Atoms.of(event, lag, np.ones(len(lag)))
        gains.append([])
        for gaps in ([], [(5.0, 8.0, 1.0)]):
            seen = sample(made[kept], late[kept], np.ones(int(kept.sum())), step=0.5, as_of=40.0, gaps=gaps)
            curve = likelihood(atoms, seen, TIMES, closed=WINDOW, window=WINDOW).total
            gains[-1].append(2 * (curve.max() - curve[unchanged(TIMES)]))
    without, beside = np.mean(gains, axis=0)
    assert beside < 15
    assert without > 25


@pytest.mark.parametrize(("family", "size"), [(TIMES, 2.0), (EVENTS, 2.0), (WAIT, 7.0), (LATER, 3.0)])
def test_events_and_arrivals_together_tell_what_became_longer(family: str, size: float) -> None:
    right = 0
    for seed in range(4):
        event, lag = reference(seed)
        made, when, late = changed(seed, family, size, as_of=20.0)
        then = Atoms.of(event, lag, np.ones(len(lag)), most=6_000)
        now = Atoms.of(when, late, np.ones(len(late)), most=6_000)
        seen = sample(made, late, np.ones(len(made)), step=0.5, as_of=20.0)
        scores = {}
        for other in FAMILIES:
            curve = likelihood(then, seen, other, closed=WINDOW, window=WINDOW)
            at = int(curve.total.argmax())
            best = float(sizes(other, closed=WINDOW)[at])
            mean = with_events(then, now, other, best, step=0.5, window=WINDOW)
            scores[other] = mean * len(late) - curve.chance[at]
        right += max(scores, key=lambda name: scores[name]) == family
    assert right == 4


def test_the_chance_to_be_seen_is_the_share_of_the_moved_law() -> None:
    event, lag = reference(3, 800)
    atoms = Atoms.of(event, lag, np.ones(800))
    seen = sample(np.full(10, 2.0), np.full(10, 1.0), np.ones(10), step=0.5, as_of=9.0)
    curve = likelihood(atoms, seen, TIMES, closed=WINDOW, window=WINDOW)
    for place in (20, unchanged(TIMES), 60):
        share = np.mean(sizes(TIMES, closed=WINDOW)[place] * lag <= 7.0)
        assert np.exp(curve.chance[place] / 10) == pytest.approx(share, abs=0.03)


def test_the_law_after_a_change_is_that_of_the_moved_sample() -> None:
    event, lag = reference(4, 900)
    atoms = Atoms.of(event, lag, np.ones(900))
    closed = np.minimum(lag, WINDOW)
    intime = np.minimum(event, closed)
    ages = np.array([2.0, 5.0, 9.0, 30.0])
    law = atoms.law(WAIT, 4.0, closed=WINDOW, window=WINDOW)
    right = ((intime + 4.0 * (closed - intime))[:, None] <= ages).mean(0)
    assert np.abs(law.at(ages) - right).max() < 0.01
    lost = atoms.law(EVENTS, 3.0, closed=WINDOW, window=WINDOW)
    assert lost.at(np.array([1e3]))[0] == pytest.approx(np.mean(3 * intime <= WINDOW), abs=1e-9)


def test_no_change_is_the_law_itself_and_is_complete_at_the_close() -> None:
    event, lag = reference(5, 900)
    atoms = Atoms.of(event, lag, np.ones(900))
    for family in FAMILIES:
        size = float(sizes(family, closed=WINDOW)[unchanged(family)])
        law = atoms.law(family, size, closed=WINDOW, window=WINDOW + 1)
        assert law.at(np.array([WINDOW]))[0] == pytest.approx(1.0)
        assert law.at(np.array([4.0]))[0] == pytest.approx(np.mean(lag <= 4.0), abs=0.01)


def test_a_large_sample_is_thinned_and_keeps_its_far_tail() -> None:
    lag = np.random.default_rng(6).lognormal(1.0, 1.0, 50_000)
    atoms = Atoms.of(lag, lag, np.ones(len(lag)))
    assert len(atoms.lag) == 1_000
    assert atoms.weight.sum() == pytest.approx(1.0)
    for point in np.quantile(lag, [0.1, 0.5, 0.9, 0.999, 0.9999]):
        assert atoms.weight[atoms.lag > point].sum() == pytest.approx(np.mean(lag > point), rel=0.15, abs=2e-3)
    assert atoms.lag.max() > np.quantile(lag, 0.9999)


def test_with_a_daily_load_later_labels_wait_for_a_later_load() -> None:
    lag = np.array([1.0, 2.0, 3.0])
    atoms = Atoms.of(lag, lag, np.ones(3), daily=True)
    assert atoms.moved(TIMES, np.array([1.5])).tolist() == [[2.0, 3.0, 5.0]]
    assert atoms.moved(TIMES, np.array([1.0])).tolist() == [[1.0, 2.0, 3.0]]


@pytest.mark.parametrize("size", [1.0, 3.0, 9.0])
@pytest.mark.parametrize("as_of", [14.0, 40.0])
def test_waits_alone_give_the_size_sharper(size: float, as_of: float) -> None:
    found = {"waits": [], "arrivals": []}
    for seed in range(6):
        event, lag = reference(seed)
        made, when, late = changed(seed, WAIT, size, as_of=as_of, n=800)
        one = np.ones(len(made))
        atoms = Atoms.of(event, lag, np.ones(len(lag)))
        alone = wait_likelihood(atoms, when, late, as_of - made, one)
        both = likelihood(
            atoms, sample(made, late, one, step=0.5, as_of=as_of), WAIT, closed=WINDOW, window=WINDOW
        ).total
        grid = sizes(WAIT, closed=WINDOW)
        found["waits"].append(float(np.log(grid[alone.argmax()] / size)))
        found["arrivals"].append(float(np.log(grid[both.argmax()] / size)))
    assert abs(np.mean(found["waits"])) < 0.12
    assert np.std(found["waits"]) <= np.std(found["arrivals"]) + 0.02
