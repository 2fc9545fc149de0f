"""A logistic line against statsmodels and scikit-learn, and where there is none."""

import numpy as np
import pytest

from fbkit.measure.stats.logistic import fit_line, log_odds


def rows(n: int = 800, seed: int = 0) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    x = rng.normal(0.4, 2.0, n)
    labels = (rng.random(n) < 1 / (1 + np.exp(-(0.7 * x - 0.5)))).astype(float)
    return x, labels, rng.integers(1, 5, n).astype(float)


def test_equals_statsmodels_and_sklearn() -> None:
    import statsmodels.api as sm
    from sklearn.linear_model import LogisticRegression

    x, labels, weights = rows()
    line = fit_line(x, labels)
    assert line is not None
    other = sm.Logit(labels, sm.add_constant(x)).fit(disp=0, tol=1e-12)
    assert [line.intercept, line.slope] == pytest.approx(list(other.params), rel=1e-9)
    third = LogisticRegression(C=np.inf, tol=1e-10, max_iter=1000).fit(x[:, None], labels)
    assert [line.slope, line.intercept] == pytest.approx([third.coef_[0, 0], third.intercept_[0]], rel=1e-4)
    weighted = fit_line(x, labels, weights=weights)
    glm = sm.GLM(labels, sm.add_constant(x), family=sm.families.Binomial(), freq_weights=weights).fit(tol=1e-12)
    assert weighted is not None
    assert [weighted.intercept, weighted.slope] == pytest.approx(list(glm.params), rel=1e-8)


def test_fractional_labels_are_split_rows() -> None:
    x, labels, _ = rows(200, seed=1)
    share = np.clip(labels * 0.8 + 0.1, 0, 1)
    whole = fit_line(x, share)
    split = fit_line(np.tile(x, 2), np.repeat([1.0, 0.0], 200), weights=np.concatenate([share, 1 - share]))
    assert whole is not None
    assert split is not None
    assert whole == pytest.approx(split, rel=1e-9)


def test_the_scale_of_x_does_not_matter() -> None:
    x, labels, _ = rows(300, seed=2)
    line, wide = fit_line(x, labels), fit_line(1e6 * x + 3e7, labels)
    assert line is not None
    assert wide is not None
    assert wide.slope * 1e6 == pytest.approx(line.slope, rel=1e-6)


@pytest.mark.parametrize(
    ("x", "labels"),
    [([0.0, 1.0], [1.0, 1.0]), ([0.0, 1.0, 2.0, 3.0], [0.0, 0.0, 1.0, 1.0]), ([], [])],
    ids=["one class", "separated", "no rows"],
)
def test_no_finite_line_is_none(x: list[float], labels: list[float]) -> None:
    assert fit_line(np.array(x), np.array(labels)) is None


def test_one_value_of_x_has_no_slope() -> None:
    line = fit_line(np.ones(4), np.array([0.0, 0.0, 0.0, 1.0]))
    assert line is not None
    assert line.slope == 0
    assert line(np.array([5.0])) == pytest.approx([0.25])


def test_log_odds_of_certain_scores_are_cut() -> None:
    assert log_odds(np.array([0.0, 0.5, 1.0]), clip=0.01) == pytest.approx([-np.log(99), 0, np.log(99)])
