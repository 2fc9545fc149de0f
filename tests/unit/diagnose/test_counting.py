"""Two shares compared, and the place of rows that something happened to."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from scipy import stats

from fbkit.diagnose.counting import place, two_shares
from fbkit.diagnose.rows import CURRENT
from tests.unit.diagnose.statement_world import scene_of


@pytest.mark.parametrize("counts", [(30, 1000, 60, 900), (500, 9000, 40, 1200), (7, 50, 9, 45)])
def test_where_counts_are_large_it_is_pearsons_chi_square(counts: tuple[int, int, int, int]) -> None:
    first, of_first, second, of_second = counts
    table = [[first, of_first - first], [second, of_second - second]]
    _, wanted, *_ = stats.chi2_contingency(table, correction=False)
    assert two_shares(*counts) == pytest.approx(wanted, rel=1e-9)


@pytest.mark.parametrize(
    "counts", [(0, 80_000, 3, 10_000), (2, 500, 0, 500), (0, 1000, 0, 900), (1, 70_000, 4, 16_000)]
)
def test_where_they_are_small_it_is_exact_given_the_total(counts: tuple[int, int, int, int]) -> None:
    first, of_first, second, of_second = counts
    share = of_second / (of_first + of_second)
    law = stats.binom(first + second, share)
    wanted = min(1.0, 2 * min(law.cdf(second), law.sf(second - 1)))
    assert two_shares(*counts) == pytest.approx(wanted, rel=1e-9)


def test_an_empty_side_has_no_answer() -> None:
    assert two_shares(0, 0, 3, 10) is None
    assert two_shares(3, 10, 0, 0) is None


def test_chance_alone_is_called_different_as_rarely_as_promised() -> None:
    rng = np.random.default_rng(0)
    small = [two_shares(a, 20_000, b, 4_000) for a, b in rng.poisson([8.0, 1.6], size=(4_000, 2))]
    large = [two_shares(a, 20_000, b, 4_000) for a, b in rng.poisson([900.0, 180.0], size=(4_000, 2))]
    for p_values in (small, large):
        assert np.mean([p < 0.05 for p in p_values if p is not None]) < 0.06


def test_rows_of_one_slice_are_told_by_it(by_hand: Callable[..., Any]) -> None:
    scene = scene_of(by_hand(n=4_000))
    region = scene.rows.frame["region"].to_numpy()
    assert place(scene, region == "EU") == "region=EU"
    assert place(scene, (region == "EU") | (region == "US")) == "region=EU and region=US"
    flagged = scene.rows.decision == 1
    assert place(scene, flagged) == "flagged rows"
    assert place(scene, flagged & (region == "EU")) == "region=EU, flagged rows"
    assert place(scene, np.ones(len(scene.rows), dtype=bool)) == "everywhere"
    assert place(scene, np.zeros(len(scene.rows), dtype=bool)) == "everywhere"


def test_rows_that_begin_later_are_told_by_their_day(by_hand: Callable[..., Any]) -> None:
    scene = scene_of(by_hand(n=4_000))
    day = scene.rows.frame["ts_pred"].dt.day().to_numpy()
    late = (scene.rows.window == CURRENT) & (day >= 3) & (day < 10)
    assert place(scene, late) == "predictions from 2026-09-03 on"
