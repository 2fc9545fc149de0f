"""Intervals against statsmodels, scipy and the formulas written out."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fbkit.measure.stats import intervals


@pytest.mark.parametrize("level", [0.8, 0.9, 0.95, 0.99])
def test_wilson_equals_statsmodels(level: float) -> None:
    from statsmodels.stats.proportion import proportion_confint

    n = np.array([1, 2, 5, 10, 100, 5002, 1_000_000])
    for k in (np.zeros_like(n), n // 3, n // 2, n):
        expected = proportion_confint(k, n, alpha=1 - level, method="wilson")
        np.testing.assert_allclose(intervals.wilson(k, n, level=level), np.clip(expected, 0, 1), atol=1e-12, rtol=0)


def test_wilson_of_nothing_is_not_a_number_and_edges_are_exact() -> None:
    lower, upper = intervals.wilson([0, 0, 7], [0, 7, 7])
    assert np.isnan(lower[0])
    assert np.isnan(upper[0])
    assert lower[1] == 0.0
    assert upper[2] == 1.0


@given(st.integers(1, 400), st.data())
def test_wilson_holds_the_share_and_narrows_with_n(n: int, data: st.DataObject) -> None:
    k = data.draw(st.integers(0, n))
    lower, upper = intervals.wilson(k, n)
    assert 0 <= lower <= k / n <= upper <= 1
    wider = intervals.wilson(k, n, level=0.99)
    assert wider[0] <= lower
    assert upper <= wider[1]
    closer = intervals.wilson(4 * k, 4 * n)
    assert closer[1] - closer[0] < upper - lower


@pytest.mark.parametrize("level", [0.8, 0.95, 0.99])
def test_clopper_pearson_equals_statsmodels(level: float) -> None:
    from statsmodels.stats.proportion import proportion_confint

    n = np.array([1, 2, 5, 10, 100, 5002])
    for k in (np.zeros_like(n), n // 3, n // 2, n):
        expected = proportion_confint(k, n, alpha=1 - level, method="beta")
        np.testing.assert_allclose(intervals.clopper_pearson(k, n, level=level), expected, atol=1e-12, rtol=0)
    assert np.isnan(intervals.clopper_pearson(0, 0)).all()


def test_newcombe_equals_statsmodels() -> None:
    from statsmodels.stats.proportion import confint_proportions_2indep

    for k1, n1, k2, n2 in [(56, 70, 48, 80), (9, 10, 3, 10), (0, 10, 0, 20), (10, 10, 0, 20)]:
        expected = confint_proportions_2indep(k2, n2, k1, n1, method="newcomb", compare="diff")
        np.testing.assert_allclose(intervals.newcombe(k1, n1, k2, n2), expected, atol=1e-12)


def test_newcombe_published_example() -> None:
    # Newcombe 1998, table II, method 10: 56/70 against 48/80.
    np.testing.assert_allclose(intervals.newcombe(48, 80, 56, 70), (0.0524, 0.3339), atol=5e-5)


def test_ratio_variance_of_a_mean_is_the_sample_variance_over_n() -> None:
    x = np.random.default_rng(1).normal(size=50)
    one = np.ones_like(x)
    got = intervals.ratio_variance(x.sum(), one.sum(), x @ x, x @ one, one @ one, units=50)
    assert got == pytest.approx(x.var(ddof=1) / 50, abs=1e-14)


def test_mean_interval_equals_scipy() -> None:
    from scipy import stats

    x = np.random.default_rng(2).gamma(2, size=30)
    expected = stats.t.interval(0.95, len(x) - 1, loc=x.mean(), scale=stats.sem(x))
    got = intervals.mean_by_variance(x.mean(), x.var(ddof=1) / len(x), units=len(x))
    np.testing.assert_allclose(got, expected, rtol=1e-12)


def test_a_mean_that_cannot_be_negative_has_the_interval_of_its_logarithm() -> None:
    lower, upper = intervals.mean_by_variance(0.2, 0.01, units=21, low=0.0)
    half = intervals.quantile(0.95, df=20) * 0.1 / 0.2
    np.testing.assert_allclose((lower, upper), (0.2 * np.exp(-half), 0.2 * np.exp(half)), rtol=1e-12)
    same = intervals.mean_by_variance([0.0, 0.25], [0.0, 0.0], units=9, low=0.0, high=1.0)
    np.testing.assert_array_equal(same, [[0.0, 0.25], [0.0, 0.25]])


def test_degrees_of_freedom_of_normal_parts_are_their_number_and_of_one_large_part_few() -> None:
    u = np.random.default_rng(11).normal(size=20_000)
    assert intervals.effective_df(u @ u, np.sum(u**4), parts=len(u), units=1e9) == pytest.approx(len(u), rel=0.1)
    one = np.array([1.0] * 50 + [30.0])
    assert 1 <= intervals.effective_df(one @ one, np.sum(one**4), parts=51, units=51) < 2.5


def test_cluster_sums_are_the_same_for_any_kind_of_code() -> None:
    rng = np.random.default_rng(12)
    codes, a, b = rng.integers(-5, 30, 200), rng.random(200), rng.random(200)
    expected = [[column[codes == code].sum() for code in np.unique(codes)] for column in (a, b)]
    for made in (codes, codes * 1_000_003, codes.astype(np.int32), np.array([f"e{code + 5:03d}" for code in codes])):
        np.testing.assert_allclose(intervals.cluster_sums(made, a, b), expected, rtol=1e-12)
    assert intervals.cluster_totals([], []).shape == (0,)


def test_cluster_ratio_equals_the_formula_written_out() -> None:
    rng = np.random.default_rng(3)
    codes, a = rng.integers(0, 12, 80), rng.random(80)
    b = rng.random(80) + 0.5
    value = a.sum() / b.sum()
    residual = [np.sum((a - value * b)[codes == code]) for code in np.unique(codes)]
    m = len(residual)
    variance = m / (m - 1) * np.sum(np.square(residual)) / b.sum() ** 2
    sizes = np.array([np.sum(b[codes == code]) for code in np.unique(codes)])
    half = float(intervals.quantile(0.95, df=sizes.sum() ** 2 / np.sum(sizes**2) - 1)) * np.sqrt(variance)
    np.testing.assert_allclose(intervals.cluster_ratio(a, b, codes), (value, value - half, value + half), rtol=1e-12)


def test_cluster_ratio_equals_statsmodels_cluster_covariance() -> None:
    import statsmodels.api as sm

    rng = np.random.default_rng(4)
    codes = rng.integers(0, 40, 300)
    y = (rng.random(300) < 0.3 + 0.4 * (codes % 2)).astype(float)
    model = sm.OLS(y, np.ones(300)).fit(cov_type="cluster", cov_kwds={"groups": codes, "use_correction": False})
    value, lower, upper = intervals.cluster_ratio(y, np.ones(300), codes)
    m = len(np.unique(codes))
    sizes = np.bincount(codes)
    half = float(intervals.quantile(0.95, df=300**2 / (sizes @ sizes) - 1)) * float(model.bse[0]) * np.sqrt(m / (m - 1))
    assert value == pytest.approx(y.mean(), abs=1e-15)
    np.testing.assert_allclose((lower, upper), (value - half, value + half), rtol=1e-10)


def test_effective_size_reproduces_wilson_for_independent_rows_and_never_exceeds_n() -> None:
    n, p = 500.0, 0.3
    independent = intervals.proportion_by_variance(p, p * (1 - p) / n, n, units=1e9)
    np.testing.assert_allclose(independent, intervals.wilson(p * n, n), atol=1e-9)
    lucky = intervals.proportion_by_variance(p, p * (1 - p) / (2 * n), n, units=1e9)
    np.testing.assert_allclose(lucky, independent, atol=1e-9)
    unanimous = intervals.proportion_by_variance(1.0, 0.0, n, units=10)
    assert unanimous[0] < intervals.wilson(n, n)[0]


def test_logit_interval_by_hand_and_none_at_the_edges() -> None:
    lower, upper = intervals.logit_interval(0.8, 0.01)
    half = 1.959963984540054 * 0.1 / 0.16
    centre = np.log(4)
    np.testing.assert_allclose(
        (lower, upper), (1 / (1 + np.exp(half - centre)), 1 / (1 + np.exp(-half - centre))), rtol=1e-12
    )
    assert np.isnan(intervals.logit_interval(1.0, 0.01)[0])


@pytest.mark.parametrize(("name", "method"), [("benjamini_hochberg", "fdr_bh"), ("holm", "holm")])
def test_adjusted_p_values_equal_statsmodels(name: str, method: str) -> None:
    from statsmodels.stats.multitest import multipletests

    p = np.random.default_rng(5).random(40) ** 2
    np.testing.assert_allclose(getattr(intervals, name)(p), multipletests(p, method=method)[1], atol=1e-14)
    with_gap = getattr(intervals, name)([0.01, np.nan, 0.02])
    assert np.isnan(with_gap[1])
    np.testing.assert_allclose(with_gap[[0, 2]], getattr(intervals, name)([0.01, 0.02]))


def test_homogeneity_equals_scipy_and_drops_empty_lines() -> None:
    from scipy.stats import chi2_contingency

    table = np.array([[10.0, 20.0, 0.0], [25.0, 12.0, 0.0], [7.0, 9.0, 0.0]])
    oracle = chi2_contingency(table[:, :2], correction=False)
    assert intervals.homogeneity(table) == pytest.approx((oracle.statistic, oracle.dof))
    assert intervals.homogeneity(np.zeros((2, 2))) == (0.0, 0)


@given(st.integers(0, 30), st.integers(1, 30), st.integers(0, 30), st.integers(1, 30))
def test_difference_turns_its_sign_with_its_arguments(k1: int, n1: int, k2: int, n2: int) -> None:
    k1, k2 = min(k1, n1), min(k2, n2)
    there, back = intervals.newcombe(k1, n1, k2, n2), intervals.newcombe(k2, n2, k1, n1)
    np.testing.assert_allclose((there[0], there[1]), (-back[1], -back[0]), atol=1e-12)


def test_jackknife_of_a_mean_is_the_sample_variance_over_n() -> None:
    x = np.random.default_rng(6).gamma(2, size=25)
    without = (x.sum() - x) / 24
    assert intervals.jackknife_variance(x.mean(), without) == pytest.approx(x.var(ddof=1) / 25, rel=1e-12)


def test_jackknife_of_equal_groups_is_the_interval_of_their_means() -> None:
    rng = np.random.default_rng(7)
    values = rng.normal(size=(12, 30))
    value, lower, upper = intervals.grouped_jackknife(values.sum(axis=1), np.full(12, 30.0))
    means = values.mean(axis=1)
    assert value == pytest.approx(means.mean())
    half = intervals.quantile(0.95, df=11) * means.std(ddof=1) / np.sqrt(12)
    np.testing.assert_allclose((lower, upper), (means.mean() - half, means.mean() + half), rtol=1e-12)


def test_jackknife_over_buckets_is_near_the_linearised_cluster_interval() -> None:
    rng = np.random.default_rng(8)
    entity = rng.integers(0, 600, 3000)
    hit = (rng.random(3000) < rng.beta(0.5, 0.75, 600)[entity]).astype(float)
    bucket = entity % 64
    a, b = np.bincount(bucket, weights=hit), np.bincount(bucket).astype(float)
    jackknife = intervals.grouped_jackknife(a, b, rows=3000)
    linear = intervals.cluster_ratio(hit, np.ones(3000), entity)
    assert jackknife[0] == pytest.approx(linear[0])
    assert (jackknife[2] - jackknife[1]) / (linear[2] - linear[1]) == pytest.approx(1, abs=0.25)
    assert jackknife[2] - jackknife[1] > 1.2 * np.subtract(*intervals.wilson(hit.sum(), 3000)[::-1])


def test_jackknife_answers_many_cells_at_once_and_ignores_empty_groups() -> None:
    rng = np.random.default_rng(9)
    b = rng.integers(0, 5, (6, 20)).astype(float)
    b[3] = 0
    b[4], b[4, 2] = 0, 7
    a = np.floor(rng.random((6, 20)) * (b + 1))
    together = np.array(intervals.grouped_jackknife(a, b, rows=b.sum(axis=1)))
    for cell in (0, 1, 2, 5):
        held = b[cell] > 0
        alone = intervals.grouped_jackknife(a[cell][held], b[cell][held], rows=b[cell].sum())
        np.testing.assert_allclose(together[:, cell], alone, rtol=1e-12)
    assert np.isnan(together[:, 3]).all()
    assert not np.isnan(together[0, 4])
    assert np.isnan(together[1:, 4]).all()


def test_one_large_cluster_counts_as_few_units() -> None:
    assert intervals.effective_units(100, 10 * 10 * 10) == pytest.approx(10)
    assert intervals.effective_units(100, 90**2 + 10) == pytest.approx(10000 / 8110)
    assert intervals.effective_units(0, 0) == 0
