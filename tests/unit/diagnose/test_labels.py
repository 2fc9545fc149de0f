"""What a rung believes of the labels: fractions, weights and losses against sums by hand."""

import numpy as np
import pytest

from fbkit.diagnose.labels import Labels
from fbkit.diagnose.metric import row_loss
from fbkit.diagnose.rows import prepare


@pytest.fixture
def rows(by_hand, weeks):
    def made(metric="recall"):
        reference, current = weeks.periods()
        joined = by_hand(n=2000, lose=lambda frame, outcome: np.full(len(outcome), 0.3))
        return prepare(joined.frame, metric=metric, reference=reference, current=current)

    return made


def test_a_dashboard_counts_every_label_once(rows):
    table = rows()
    shown = Labels.as_shown(table)
    assert shown.positives("recall").sum() == table.positive.sum()
    assert shown.others("recall").sum() == (table.labelled & ~table.positive).sum()
    assert (shown.seen1 == 1).all()


def test_a_fractional_label_is_split_between_the_classes(rows):
    table = rows()
    shown = Labels.as_shown(table)
    where = np.zeros(len(table), dtype=bool)
    where[:10] = True
    half = shown.with_labels(where, np.full(10, 0.25))
    assert half.positives("recall")[:10] == pytest.approx(np.full(10, 0.25))
    assert half.others("recall")[:10] == pytest.approx(np.full(10, 0.75))
    assert half.seen[:10].all()
    assert np.isnan(shown.y[~table.labelled]).all(), "the labels before stay as they were"


@pytest.mark.parametrize("metric", ["brier", "log_loss"])
def test_the_loss_of_a_fractional_label_is_the_mean_over_both_outcomes(rows, metric):
    table = rows(metric)
    everywhere = np.ones(len(table), dtype=bool)
    y = np.linspace(0, 1, len(table))
    found = Labels.as_shown(table).with_labels(everywhere, y).losses(table).whole
    sides = [row_loss(metric, score=table.score, label=np.full(len(table), side)) for side in (0.0, 1.0)]
    assert found == pytest.approx((1 - y) * sides[0] + y * sides[1])


def test_the_loss_of_a_plain_label_is_that_of_the_row(rows):
    table = rows("brier")
    found = Labels.as_shown(table).losses(table).whole
    assert found[table.labelled] == pytest.approx((table.score - table.label)[table.labelled] ** 2)
    assert (found[~table.labelled] == 0).all()
    assert Labels.as_shown(rows()).losses(rows()) is None
