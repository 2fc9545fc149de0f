"""Where audited rows tell most: the allocation against brute force, its error against a simulation."""

from itertools import pairwise, product

import numpy as np
import pytest

from fbkit.diagnose.allocation import FEWEST, Stratum, allocate, audit_error, pull, rows_for, stratify
from fbkit.diagnose.metric import Masses, evaluate


def stratum(size: int, rate: float, weight: float = 1e-3, decision: int = 0) -> Stratum:
    return Stratum(
        decision=decision, bins=(0, 0), size=size, rate=rate, spread=float(np.sqrt(rate * (1 - rate))) * weight
    )


THREE = (stratum(400, 0.4), stratum(900, 0.05), stratum(3000, 0.01))


def test_no_other_allocation_has_a_smaller_error() -> None:
    best = allocate(THREE, budget=90)
    assert best.sum() == 90
    reached = audit_error(THREE, best)
    assert reached is not None
    tried = [
        audit_error(THREE, np.array([a, b, 90 - a - b]))
        for a, b in product(range(FEWEST, 86), repeat=2)
        if 90 - a - b >= FEWEST
    ]
    assert reached <= min(error for error in tried if error is not None) * 1.002


def test_the_error_is_that_of_repeated_audits() -> None:
    rng = np.random.default_rng(1)
    drawn = allocate(THREE, budget=200)
    outcomes = [rng.permutation(np.arange(each.size) < round(each.size * each.rate)) for each in THREE]
    totals = [
        sum(
            rng.choice(y, int(n), replace=False).mean() * each.size * 1e-3
            for each, y, n in zip(THREE, outcomes, drawn, strict=True)
        )
        for _ in range(1500)
    ]
    assert audit_error(THREE, drawn) == pytest.approx(np.std(totals), rel=0.08)


def test_a_small_stratum_is_taken_whole_and_the_rest_shared() -> None:
    strata = (stratum(12, 0.5, weight=1.0), stratum(5000, 0.1), stratum(5000, 0.1))
    assert list(allocate(strata, budget=212)) == [12, 100, 100]


def test_every_stratum_is_looked_at_and_a_large_budget_takes_all() -> None:
    strata = (stratum(1000, 0.5), stratum(1000, 0.0), stratum(3, 0.5))
    drawn = allocate(strata, budget=100)
    assert drawn.sum() == 100
    assert drawn[1] == FEWEST
    assert drawn[2] == 3
    assert list(allocate(strata, budget=10_000)) == [1000, 1000, 3]
    assert audit_error(strata, np.array([1000, 1000, 3])) == 0
    assert audit_error(strata, np.array([0, 50, 3])) is None


def test_rows_for_an_error_is_the_smallest_audit_that_reaches_it() -> None:
    wanted = 0.004
    n = rows_for(THREE, error=wanted)
    enough, fewer = (audit_error(THREE, allocate(THREE, budget=size)) for size in (n, n - 1))
    assert enough is not None
    assert fewer is not None
    assert enough <= wanted < fewer


def test_the_pull_on_recall_is_the_derivative_of_the_formula() -> None:
    positive = np.array([[20.0, 30.0], [100.0, 150.0]])[..., None]
    negative = np.array([[4000.0, 900.0], [80.0, 60.0]])[..., None]
    found, missed = positive[1].sum(), positive[0].sum()
    rho = found / (found + missed)
    weights = pull("recall", Masses(positive, negative), score=np.array([0.1, 0.9]))
    assert weights[1] == pytest.approx([rho * (1 - rho) / found] * 2, rel=0.01)
    assert weights[0] == pytest.approx([rho * (1 - rho) / missed] * 2, rel=0.01)


@pytest.mark.parametrize("metric", ["precision", "f1", "roc_auc", "accuracy"])
def test_the_pull_is_what_one_changed_outcome_does(metric: str) -> None:
    rng = np.random.default_rng(2)
    masses = Masses(rng.uniform(50, 100, (2, 4, 1)), rng.uniform(50, 100, (2, 4, 1)))
    weights = pull(metric, masses, score=np.linspace(0.1, 0.9, 4))
    other = Masses(masses.positive.copy(), masses.negative.copy())
    other.positive[1, 2] += 1
    other.negative[1, 2] -= 1
    assert weights[1, 2] == pytest.approx(abs(float(evaluate(metric, other) - evaluate(metric, masses))))


def test_the_pull_on_the_brier_score_is_the_gap_of_its_losses() -> None:
    masses = Masses(np.full((2, 2, 1), 10.0), np.full((2, 2, 1), 90.0), np.zeros((2, 2, 1)))
    assert pull("brier", masses, score=np.array([0.2, 0.9]))[0] == pytest.approx([0.6 / 400, 0.8 / 400])


def test_bands_hold_every_row_once_and_keep_decisions_apart() -> None:
    rng = np.random.default_rng(3)
    size = rng.integers(0, 50, (2, 20))
    rate = rng.uniform(0.01, 0.5, (2, 20))
    strata = stratify(size, rate, np.ones((2, 20)))
    for decision in (0, 1):
        mine = [each for each in strata if each.decision == decision]
        assert sum(each.size for each in mine) == size[decision].sum()
        assert all(first.bins[1] < then.bins[0] for first, then in pairwise(mine))
        inside = [size[decision, each.bins[0] : each.bins[1] + 1].sum() for each in mine]
        assert inside == [each.size for each in mine]
    assert stratify(np.zeros((2, 20), dtype=np.int64), rate, np.ones((2, 20))) == ()
