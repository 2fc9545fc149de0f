"""Labels missing at random within cells: Begg and Greenes' published example, their variance, a loop, a simulation."""

from fractions import Fraction

import numpy as np
import pytest

from fbkit.measure.labels.mar import BINS, Cells, gather, make_cells
from fbkit.measure.labels.masses import METRICS, Rows
from fbkit.measure.labels.odds import Tilted, tilted


def at_random(name: str, rows: Rows, cells: Cells) -> Tilted:
    found = tilted(METRICS[name], rows, cells, np.ones_like(cells.positive))
    assert found is not None
    return found


# Drum and Christacopoulos 1972 (liver scans), the example of the literature on verification bias: by test result
# diseased, not diseased, not verified. Zhou 1998 gives 0.836 and 0.738 for what is corrected.
COUNTS = ((1.0, 231, 32, 166), (0.0, 27, 54, 140))


def liver() -> tuple[Rows, Cells]:
    flag = np.concatenate([np.full(sum(counts), result) for result, *counts in COUNTS])
    label = np.concatenate([np.repeat([1.0, 0.0, np.nan], counts) for _, *counts in COUNTS])
    rows = Rows.of(np.full(len(flag), 0.5), label, flag)
    return rows, gather(rows, flag.astype(np.int64))


def test_the_published_example_of_verification_bias() -> None:
    rows, cells = liver()
    assert at_random("recall", rows, cells).value == pytest.approx(0.836, abs=5e-4)
    assert at_random("specificity", rows, cells).value == pytest.approx(0.738, abs=5e-4)
    naive = METRICS["recall"].slope(rows, *rows.labelled())
    assert naive is not None
    assert naive.value == pytest.approx(231 / 258)


def test_the_error_equals_the_delta_method_of_the_odds() -> None:
    # Odds of recall = (T1 p1) / (T0 p0): the variances of the logarithms add up.
    rows, cells = liver()
    (_, a1, b1, m1), (_, a0, b0, m0) = COUNTS
    log_variance = 1 / (a1 + b1 + m1) + 1 / (a0 + b0 + m0) + b1 / (a1 * (a1 + b1)) + b0 / (a0 * (a0 + b0))
    found = at_random("recall", rows, cells)
    by_hand = found.value * (1 - found.value) * np.sqrt(log_variance)
    assert found.error == pytest.approx(by_hand, rel=2e-3)


def test_weighting_within_cells_equals_exact_fractions() -> None:
    rng = np.random.default_rng(5)
    n = 300
    score = np.sort(np.round(rng.random(n), 2))
    label = np.where(rng.random(n) < 0.2 + 0.5 * score, np.nan, (rng.random(n) < score).astype(float))
    rows = Rows.of(score, label, (score >= 0.5).astype(float))
    cells = make_cells(rows)
    hits, misses, false = Fraction(0), Fraction(0), Fraction(0)
    for code in range(len(cells.positive)):
        mine = cells.code == code
        known = mine & rows.known
        if not known.any():
            continue
        share = Fraction(int(rows.label[known].sum()), int(known.sum()))
        for flagged in (0, 1):
            size = int((mine & (rows.flag == flagged)).sum())
            hits += size * share * flagged
            misses += size * share * (1 - flagged)
            false += size * (1 - share) * flagged
    assert at_random("recall", rows, cells).value == pytest.approx(float(hits / (hits + misses)), abs=1e-14)
    assert at_random("precision", rows, cells).value == pytest.approx(float(hits / (hits + false)), abs=1e-14)


def test_without_missing_labels_nothing_changes() -> None:
    rng = np.random.default_rng(1)
    score = np.sort(rng.random(200))
    rows = Rows.of(score, (rng.random(200) < score).astype(float), (score >= 0.5).astype(float))
    for name, metric in METRICS.items():
        plain = metric.slope(rows, *rows.labelled())
        assert plain is not None
        found = at_random(name, rows, make_cells(rows))
        assert found.value == pytest.approx(plain.value, abs=1e-12)
        assert (found.range.low, found.range.high) == (found.value, found.value)


def test_cells_split_flags_keep_equal_scores_together_and_grow_with_labels() -> None:
    score = np.sort(np.round(np.random.default_rng(0).random(1000), 2))
    rows = Rows.of(score, np.where(np.arange(1000) % 2, np.nan, 1.0), (score >= 0.5).astype(float))
    cells = make_cells(rows)
    assert len(set(cells.code[score < 0.5])) == BINS
    assert not set(cells.code[score < 0.5]) & set(cells.code[score >= 0.5])
    for value in np.unique(score):
        assert len(set(cells.code[score == value])) == 1
    few = Rows.of(score, np.where(np.arange(1000) % 50, np.nan, 1.0), rows.flag)
    assert len(set(make_cells(few).code)) == 2  # ten labels on each side of the threshold: one range each
    by_group = make_cells(rows, within=np.arange(1000) % 3)
    assert all(len(set((np.arange(1000) % 3)[by_group.code == code])) == 1 for code in set(by_group.code))


def test_rows_in_a_cell_without_a_label_stay_open() -> None:
    # No flagged row is labelled (an action hides their outcomes): nobody can stand for them.
    score = np.linspace(0.01, 0.99, 400)
    flag = (score >= 0.5).astype(float)
    label = np.where(flag == 1, np.nan, (np.arange(400) % 4 == 0).astype(float))
    rows = Rows.of(score, label, flag)
    cells = make_cells(rows)
    assert cells.helpless.sum() == 1
    found = at_random("recall", rows, cells)
    positives = np.nansum(label)
    assert found.value == 0  # the labelled rows know of missed positives only
    assert (found.range.low, found.range.high) == pytest.approx((0, 200 / (200 + positives)))


@pytest.mark.parametrize("name", ["recall", "base_rate", "brier", "roc_auc"])
def test_it_covers_the_truth_where_the_labelled_rows_do_not(name: str) -> None:
    """Label loss depends on the decision and on the score: at random within cells, far from it without them."""
    rng = np.random.default_rng(23)
    metric, reps, n = METRICS[name], 300, 1500
    big = np.sort(rng.random(200_000))
    full = Rows.of(big, big**1.5, (big >= 0.5).astype(float))
    truth = metric.slope(full, *full.labelled())
    assert truth is not None
    covered, naive, steps = 0, 0, np.arange(10) / 10
    for _ in range(reps):
        score = np.sort(rng.random(n))
        label = (rng.random(n) < score**1.5).astype(float)
        seen = np.where(score >= 0.5, 0.25 + 0.1 * np.digitize(score, steps) / 10, 0.9)
        rows = Rows.of(score, np.where(rng.random(n) < seen, label, np.nan), (score >= 0.5).astype(float))
        found = at_random(name, rows, make_cells(rows))
        lower, upper = metric.interval(found.value, found.error**2, units=n // 2, level=0.95)
        covered += lower <= truth.value <= upper
        own = metric.slope(rows, *rows.labelled())
        naive += own is not None and lower - found.value <= truth.value - own.value <= upper - found.value
    assert 0.92 <= covered / reps <= 0.985
    # The order of the scores hardly notices which rows are labelled, as long as both classes are.
    assert (naive / reps < 0.6) == (name != "roc_auc")
