"""The negative control, held against sums written out by hand."""

import numpy as np
import pytest

from fbkit.diagnose.old_cohorts import DAY, PRIOR, Cohorts, cohorts, excesses, found_day
from fbkit.diagnose.scene import Scene
from tests.unit.diagnose.statement_world import TURN, logs, scene_of

SINCE = int(TURN.timestamp()) * 1_000_000


@pytest.fixture(scope="module")
def scene() -> Scene:
    return scene_of(logs(n=12_000, seed=2).joined())


def table(scene: Scene, *, since: int = SINCE) -> tuple[Cohorts, Cohorts]:
    return cohorts(scene, since=since, is_new=lambda _frame, arrived: arrived >= since)


def as_of(scene: Scene) -> int:
    return int(scene.joined.as_of.timestamp()) * 1_000_000


def test_rows_of_the_current_window_and_rows_without_a_statement_are_not_in_it(scene: Scene) -> None:
    both = table(scene)
    frame = scene.joined.frame
    for decision, part in enumerate(both):
        known = frame.filter(
            (frame["ts_pred"] < scene.current.start)
            & frame["label"].is_not_null()
            & (frame["flagged"] == bool(decision))
        )
        assert len(part) == known.height
        assert part.label.sum() == known["label"].sum()
        assert (part.made < SINCE).all()
        assert part.new.sum() == (known["ts_arrival"] >= scene.current.start).sum()


def test_expected_positives_and_their_variance_are_what_the_definition_says(scene: Scene) -> None:
    """Cell by cell in plain loops: the rate of old labels, leaning on the product of its margins."""
    for decision, part in enumerate(table(scene)):
        found = excesses(table(scene), as_of=as_of(scene), since=SINCE)[decision]
        old = ~part.new
        base = (part.label[old].sum() + 0.5) / (old.sum() + 1)
        expected, labels, rates = 0.0, 0.0, 0.0
        columns = part.cells[1]
        for cell in np.unique(part.cell[part.new]):
            score, late = cell // columns, cell % columns
            of_score, of_late = old & (part.cell // columns == score), old & (part.cell % columns == late)
            odds = 1 / (base / (1 - base))
            for margin in (of_score, of_late):
                rate = (part.label[margin].sum() + base) / (margin.sum() + 1)
                odds *= rate / (1 - rate)
            own = old & (part.cell == cell)
            rate = (part.label[own].sum() + PRIOR * odds / (1 + odds)) / (own.sum() + PRIOR)
            m = (part.new & (part.cell == cell)).sum()
            expected += m * rate
            labels += m * rate * (1 - rate)
            rates += m**2 * rate * (1 - rate) / (own.sum() + PRIOR)
        assert found.expected == pytest.approx(expected, rel=1e-9)
        assert found.variance == pytest.approx(labels + rates, rel=1e-9)
        assert found.observed == part.label[part.new].sum()
        assert found.n == part.new.sum()


def test_a_share_of_negatives_that_turn_positive_is_the_excess_rate(scene: Scene) -> None:
    rng = np.random.default_rng(1)
    first, second = table(scene)
    turned = first.new & (first.label == 0) & (rng.random(len(first)) < 0.2)
    first.label[turned] = 1.0
    found = excesses((first, second), as_of=as_of(scene), since=SINCE)[0]
    # Of 1 true negative 0.2 are called positive and 0.8 remain.
    assert found.rate == pytest.approx(0.2 / 0.8, abs=2.5 * found.error / found.negatives)
    assert min(found.z, found.before, found.steady) > 3
    assert found.whole is not None
    assert found.whole > 2


def test_a_single_strong_day_is_no_lasting_change(scene: Scene) -> None:
    first, second = table(scene)
    hit = first.new & (first.arrived < SINCE + DAY) & (np.arange(len(first)) % 3 == 0)
    first.label[hit] = 1.0
    found = excesses((first, second), as_of=as_of(scene), since=SINCE)[0]
    assert found.z > 3
    assert found.steady < 1.5


def test_days_that_always_differ_widen_the_test(scene: Scene) -> None:
    first, second = table(scene)
    plain = excesses((first, second), as_of=as_of(scene), since=SINCE)[0]
    stormy = (first.arrived // DAY) % 4 == 0
    rng = np.random.default_rng(2)
    first.label[stormy] = (rng.random(int(stormy.sum())) < 0.6).astype(float)
    found = excesses((first, second), as_of=as_of(scene), since=SINCE)[0]
    assert found.variance > 5 * plain.variance


def test_the_day_of_a_change_is_found_and_none_in_a_healthy_loop(scene: Scene) -> None:
    assert searched(table(scene)) is None
    first, second = table(scene)
    since = SINCE - 5 * DAY
    rng = np.random.default_rng(3)
    first.label[(first.arrived >= since) & (rng.random(len(first)) < 0.3)] = 1.0
    assert searched((first, second)) == since


def searched(both: tuple[Cohorts, Cohorts]) -> int | None:
    return found_day(both, start=SINCE, earlier=14, gain=20.0, more=9.0)
