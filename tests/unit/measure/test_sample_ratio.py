"""A broken split is found, a sound one is not, and the statistic is scipy's."""

from datetime import UTC, datetime, timedelta

import numpy as np
import polars as pl
import pytest
from scipy import stats

from fbkit.errors import ArgumentError
from fbkit.measure.versioning.sample_ratio import THRESHOLD, SampleRatio, sample_ratio

START = datetime(2026, 3, 2, tzinfo=UTC)


def traffic(days: np.ndarray, entities: list[str | None] | None = None, **columns: list[str]) -> pl.DataFrame:
    times = pl.Series([START + timedelta(days=float(day)) for day in days], dtype=pl.Datetime("us", "UTC"))
    known = pl.Series([None] * len(days) if entities is None else entities, dtype=pl.String)
    return pl.DataFrame({"ts_pred": times, "entity": known, **columns})


def drawn(rng: np.random.Generator, shares: list[float], per_day: int) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Rows of each day, shared out by that day's share of the challenger."""
    counts = [rng.binomial(per_day, share) for share in shares]
    days = [np.repeat(np.arange(len(shares)), sizes) for sizes in ([per_day - n for n in counts], counts)]
    return traffic(days[0]), traffic(days[1])


def check(found: SampleRatio, name: str) -> dict[str, object]:
    return found.checks.row(by_predicate=pl.col("check") == name, named=True)


@pytest.mark.parametrize("share", [0.5, 0.1])
def test_the_overall_statistic_is_scipys_chi_square(share: float) -> None:
    one, two = drawn(np.random.default_rng(3), [share] * 10, 400)
    found = check(sample_ratio(one, two, share=share), "overall")
    n = one.height + two.height
    oracle = stats.chisquare([one.height, two.height], [n * (1 - share), n * share])
    assert found["statistic"] == pytest.approx(oracle.statistic, rel=1e-12)
    assert found["p_value"] == pytest.approx(oracle.pvalue, rel=1e-9)


def test_the_stability_by_day_is_scipys_test_of_a_table() -> None:
    one, two = drawn(np.random.default_rng(4), [0.3, 0.3, 0.35, 0.3], 500)
    found = check(sample_ratio(one, two), "by day")
    table = [side["ts_pred"].dt.date().value_counts().sort("ts_pred")["count"].to_list() for side in (one, two)]
    oracle = stats.chi2_contingency(table, correction=False)
    assert found["statistic"] == pytest.approx(oracle.statistic, rel=1e-12)
    assert found["df"] == oracle.dof
    assert found["p_value"] == pytest.approx(oracle.pvalue, rel=1e-9)


def test_against_an_intended_split_each_day_counts_by_itself() -> None:
    one, two = drawn(np.random.default_rng(5), [0.5, 0.5, 0.5], 300)
    found = check(sample_ratio(one, two, share=0.5), "by day")
    by_day = [
        stats.chisquare([len(a), len(b)])
        for a, b in zip(one.partition_by("ts_pred"), two.partition_by("ts_pred"), strict=True)
    ]
    assert found["statistic"] == pytest.approx(sum(day.statistic for day in by_day), rel=1e-12)
    assert found["df"] == 3


def test_a_wrong_share_a_moved_share_and_a_tilted_slice_are_found() -> None:
    rng = np.random.default_rng(6)
    wrong = sample_ratio(*drawn(rng, [0.47] * 20, 1000), share=0.5)
    assert not wrong.ok
    assert wrong.reason is not None
    assert wrong.reason.startswith("sample-ratio mismatch overall: ")
    moved = sample_ratio(*drawn(rng, [0.5] * 5 + [0.4], 1000))
    assert moved.reason is not None
    assert "where it is 2026-03-07" in moved.reason
    one, two = drawn(rng, [0.5] * 4, 800)
    sides = [
        side.with_columns(pl.Series("region", rng.choice(["EU", "US"], side.height, p=[eu, 1 - eu])))
        for side, eu in ((one, 0.5), (two, 0.6))
    ]
    tilted = sample_ratio(sides[0], sides[1], slices=["region"])
    assert tilted.checks.filter(~pl.col("ok"))["check"].to_list() == ["by region"]


def test_a_sound_split_is_called_broken_no_more_often_than_promised() -> None:
    rng = np.random.default_rng(7)
    found = [sample_ratio(*drawn(rng, [0.2] * 7, 200)) for _ in range(300)]
    assert sum(not one.ok for one in found) <= 2  # 300 x 0.0005 = 0.15 expected
    by_day = np.array([check(one, "by day")["p_value"] for one in found], dtype=float)
    assert stats.kstest(by_day, "uniform").pvalue > 0.001


def test_entities_that_stay_with_their_version_are_what_is_counted() -> None:
    rng = np.random.default_rng(8)
    entity = rng.integers(0, 400, 4000)
    to_challenger = rng.random(400) < 0.5
    days = rng.uniform(0, 10, 4000)
    sides = [
        traffic(days[to_challenger[entity] == side], [f"e{code}" for code in entity[to_challenger[entity] == side]])
        for side in (False, True)
    ]
    found = sample_ratio(sides[0], sides[1], share=0.5)
    assert (found.unit, found.n_champion + found.n_challenger) == (
        "entity",
        len(np.unique(entity)),
    )
    assert found.n_challenger == int(to_challenger[np.unique(entity)].sum())
    assert found.ok
    crossed = [
        traffic(days[part], [f"e{code}" for code in entity[part]]) for part in (slice(0, 2000), slice(2000, None))
    ]
    assert sample_ratio(crossed[0], crossed[1]).unit == "prediction"


def test_rows_lost_within_entities_are_found_by_welchs_test() -> None:
    rng = np.random.default_rng(9)
    codes = np.repeat(np.arange(2000), rng.poisson(6, 2000) + 1)
    challenger = codes % 2 == 1
    kept = ~challenger | (rng.random(len(codes)) < 0.85)
    days = rng.uniform(0, 10, len(codes))
    sides = [traffic(days[part], [f"e{code}" for code in codes[part]]) for part in (~challenger, challenger & kept)]
    found = sample_ratio(sides[0], sides[1])
    line = check(found, "rows per entity")
    counts = [side["entity"].value_counts()["count"].to_numpy() for side in sides]
    oracle = stats.ttest_ind(counts[1], counts[0], equal_var=False)
    assert line["statistic"] == pytest.approx(float(oracle.statistic) ** 2, rel=1e-9)
    assert not line["ok"]
    assert "rows per entity" in str(found.reason)


def test_thin_days_are_put_together_and_nothing_is_found_in_them() -> None:
    one, two = traffic(np.arange(40)), traffic(np.arange(3))
    found = check(sample_ratio(one, two), "by day")
    assert (found["df"], found["p_value"]) == (0, 1.0)


@pytest.mark.parametrize("share", [0, 1, -0.2, 1.5])
def test_an_impossible_share_is_refused(share: float) -> None:
    with pytest.raises(ArgumentError, match="intended share"):
        sample_ratio(traffic(np.arange(3)), traffic(np.arange(3)), share=share)


def test_the_threshold_is_the_papers() -> None:
    assert THRESHOLD == 5e-4
