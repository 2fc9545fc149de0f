"""Totals per session or entity: a plain loop, statsmodels' clustered regression, laws, the question in one call."""

from datetime import timedelta
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

import fbkit as fb
from fbkit.measure.stats.per_unit import codes_of, ratio_of_totals, totals_found, units_of
from fbkit.samples.revenue import RevenueConfig, revenue

SHOP = RevenueConfig(days=10, sessions_per_day=80, users=200)


def brute(values: list[float | None], units: list[str | None]) -> list[float]:
    """Totals by unit; a row without a unit is one of its own."""
    totals: dict[object, float] = {}
    for index, (value, unit) in enumerate(zip(values, units, strict=True)):
        if value is not None:
            key = (index,) if unit is None else unit
            totals[key] = totals.get(key, 0.0) + value
    return sorted(totals.values())


rows = st.lists(
    st.tuples(st.sampled_from([None, -2.0, 0.5, 1.0, 8.0]), st.sampled_from([None, "a", "b", "c"])), max_size=12
)


@given(rows=rows)
def test_totals_are_those_of_a_loop(rows: list[tuple[float | None, str | None]]) -> None:
    values, units = [value for value, _ in rows], [unit for _, unit in rows]
    array = np.array([np.nan if value is None else value for value in values])
    made = units_of(array, units=pl.Series(units, dtype=pl.String))
    assert sorted(made.total) == pytest.approx(brute(values, units))


@given(rows=rows, absolute=st.booleans())
def test_mean_and_quantile_are_those_of_the_totals(rows: list[tuple[float | None, str | None]], absolute: bool) -> None:
    values, units = [value for value, _ in rows], [unit for _, unit in rows]
    array = np.array([np.nan if value is None else value for value in values])
    totals = [abs(total) if absolute else total for total in brute(values, units)]
    call = {"units": pl.Series(units, dtype=pl.String), "absolute": absolute}
    mean, high = totals_found(array, **call), totals_found(array, aggregate="p90", **call)
    if not totals:
        assert np.isnan(mean.value)
        assert np.isnan(high.value)
        return
    assert mean.value == pytest.approx(np.mean(totals))
    assert high.value == np.quantile(totals, 0.9, method="inverted_cdf")


def test_numbers_of_units_have_no_gaps_and_nulls_stand_alone() -> None:
    code, count = codes_of(pl.Series(["b", None, "a", "b", None]))
    assert count == 4
    assert sorted(set(code.tolist())) == [0, 1, 2, 3]
    assert code[0] == code[3]
    assert code[1] != code[4]


def test_interval_of_a_mean_of_totals_is_statsmodels_clustered_one() -> None:
    import statsmodels.api as sm

    rng = np.random.default_rng(0)
    session = np.repeat(np.arange(200), 3)
    entity = session // 4
    amount = rng.exponential(size=600) + rng.exponential(size=50)[entity]
    found = ratio_of_totals(amount, units=pl.Series(session), cluster=entity)
    totals = np.bincount(session, weights=amount)
    fit = sm.OLS(totals, np.ones(200)).fit(cov_type="cluster", cov_kwds={"groups": np.arange(200) // 4}, use_t=True)
    assert found.value == pytest.approx(float(fit.params[0]), abs=1e-12)
    # statsmodels multiplies by (n - 1) / (n - 1) * m / (m - 1) for one regressor: the same small-sample factor.
    assert (found.lower, found.upper) == pytest.approx(tuple(fit.conf_int()[0]), abs=1e-9)
    assert found.method == "cluster-robust (entity), delta method"
    plain = ratio_of_totals(amount, units=pl.Series(session))
    fit = sm.OLS(totals, np.ones(200)).fit()
    assert (plain.lower, plain.upper) == pytest.approx(tuple(fit.conf_int()[0]), abs=1e-9)


def test_a_constant_weight_changes_no_number_and_weight_two_is_a_unit_twice() -> None:
    values, units = np.array([1.0, 2.0, 6.0]), pl.Series(["a", "a", "b"])
    plain = totals_found(values, units=units)
    assert totals_found(values, units=units, weight=np.full(3, 0.3))[:3] == pytest.approx(plain[:3])
    heavy = totals_found(values, units=units, weight=np.array([1.0, 1.0, 2.0]))
    assert heavy.value == totals_found(np.append(values, 6.0), units=pl.Series(["a", "a", "b", "c"])).value == 5.0


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory):
    return fb.open_loop(revenue(SHOP, seed=3).write(tmp_path_factory.mktemp("shop"))).join()


ERROR = fb.Metric(
    name="revenue_error",
    needs="rows",
    fn=pl.col("score") - pl.col("label"),
    per="session_id",
    aggregate="p95",
    absolute=True,
)


def test_one_call_answers_the_p95_error_on_revenue_per_session_of_touched_users_in_72_hours_by_version(shop) -> None:
    touched = (pl.col("action") == "offer").any().over("entity")
    frame = fb.metrics(shop, ERROR, by="model_version", period=SHOP.last_72_hours, where=touched)
    assert frame["model_version"].to_list() == ["1", "2"]
    end = SHOP.start + timedelta(days=SHOP.days)
    window = [row for row in shop.frame.iter_rows(named=True) if end - timedelta(hours=72) <= row["ts_pred"] < end]
    offered = {row["entity"] for row in window if row["action"] == "offer"}
    for item in frame.iter_rows(named=True):
        totals: dict[str, float] = {}
        for row in window:
            mine = row["model_version"] == item["model_version"] and row["entity"] in offered
            if mine and row["mature"] and row["label"] is not None:
                totals[row["session_id"]] = totals.get(row["session_id"], 0.0) + row["score"] - row["label"]
        errors = sorted(abs(total) for total in totals.values())
        place = next(k for k in range(1, len(errors) + 1) if k >= 0.95 * len(errors) - 1e-9)
        assert item["value"] == pytest.approx(errors[place - 1], abs=1e-9)
        assert item["lower"] < item["value"]
        assert item["upper"] is None or item["value"] < item["upper"]
        assert "order statistics" in item["method"]


def test_the_interval_of_the_sentence_holds_what_a_shop_without_end_would_show(tmp_path: Path) -> None:
    # The truth: the P95 over very many sessions of the same kind, of the version that half of the users see.
    def p95(config: RevenueConfig, seed: int) -> pl.DataFrame:
        made = revenue(config, seed=seed)
        rows = made.predictions.join(made.outcomes, on="prediction_id")
        errors = rows.group_by("session_id", "user_id", "model_version").agg(
            (pl.col("score") - pl.col("revenue")).sum()
        )
        return errors.filter(pl.col("model_version") == "1").with_columns(pl.col("score").abs())

    truth = p95(RevenueConfig(days=300, sessions_per_day=200, users=40_000), 99)["score"].quantile(0.95, "higher")
    inside = 0
    for seed in range(60):
        part = p95(RevenueConfig(days=5, sessions_per_day=100, users=100), seed)
        users = part["user_id"].rank("dense").cast(pl.Int64).to_numpy()
        found = totals_found(part["score"].to_numpy(), units=None, cluster=users, aggregate="p95")
        inside += not (found.lower > truth or found.upper < truth)
    assert inside >= 53


def test_a_kpi_per_session_and_per_entity_is_a_ratio_of_totals(shop) -> None:
    earned = pl.col("label")
    frame = fb.metrics(
        shop,
        [
            fb.Metric(name="per_session", needs="rows", fn=earned, per="session_id"),
            fb.Metric(name="per_user", needs="rows", fn=earned, per="entity"),
        ],
    )
    rows = shop.frame.filter(pl.col("mature") & pl.col("label").is_not_null())
    total = rows["label"].sum()
    expected = [total / rows["session_id"].n_unique(), total / rows["entity"].n_unique()]
    assert frame["value"].to_list() == pytest.approx(expected)
    assert frame["lower"].null_count() == 0
