"""Along which slice columns did labels get lost, and along which did the traffic move?"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.special import chdtrc

from fbkit.diagnose.bootstrap import Floats, Ints
from fbkit.diagnose.rows import CURRENT, REFERENCE, Encoded, Flags, Rows, Strata, cross
from fbkit.measure.stats.intervals import homogeneity


@dataclass(frozen=True, slots=True)
class Test:
    """A chi-square test; ``p`` is multiplied by the number of tests of its kind (Bonferroni)."""

    column: str
    statistic: float
    freedom: int
    p: float


def _table(first: Ints, second: Ints, *, shape: tuple[int, int]) -> Floats:
    return np.bincount(first * shape[1] + second, minlength=shape[0] * shape[1]).reshape(shape).astype(np.float64)


def label_tests(rows: Rows, encoded: Encoded, *, seen: Flags) -> list[Test]:
    """Does the label rate differ between the values of a column, within window and decision? Strongest first."""
    tests: list[Test] = []
    for column, (values, code) in encoded.items():
        parts = [
            homogeneity(_table(code[mask], seen[mask].astype(np.int64), shape=(len(values), 2)))
            for mask in _groups(rows)
        ]
        tests.append(_test(column, parts, times=len(encoded)))
    return sorted(tests, key=lambda test: (-_excess(test), test.column))


def mix_tests(rows: Rows, encoded: Encoded) -> list[Test]:
    """Do the shares of a column's values differ between the windows? Strongest first."""
    tests = [
        _test(column, [homogeneity(_table(code, rows.window, shape=(len(values), 2)))], times=len(encoded))
        for column, (values, code) in encoded.items()
    ]
    return sorted(tests, key=lambda test: (-_excess(test), test.column))


def score_test(bin_of: Ints, rows: Rows, *, bins: int) -> Test:
    """Does the distribution over the score bins differ between the windows?"""
    return _test("score", [homogeneity(_table(bin_of, rows.window, shape=(bins, 2)))], times=1)


def _groups(rows: Rows) -> list[Flags]:
    return [rows.of(window) & (rows.decision == decision) for window in (REFERENCE, CURRENT) for decision in (0, 1)]


def _test(column: str, parts: Sequence[tuple[float, int]], *, times: int) -> Test:
    statistic, freedom = sum(part[0] for part in parts), sum(part[1] for part in parts)
    p = float(chdtrc(freedom, statistic)) if freedom else 1.0
    return Test(column, statistic, freedom, min(1.0, p * times))


def _excess(test: Test) -> float:
    """Chi-square beyond its expectation: comparable between columns of many and of few values."""
    return test.statistic - test.freedom


def choose(tests: Sequence[Test], encoded: Encoded, *, p: float, strata: int, rows: int) -> Strata:
    """The strata of the strongest significant columns: at most two, crossed only if they stay few."""
    chosen: list[str] = []
    size = 1
    for test in tests:
        width = len(encoded[test.column][0])
        if test.p < p and len(chosen) < 2 and size * width <= strata:
            chosen.append(test.column)
            size *= width
    return cross(chosen, encoded, rows=rows)
