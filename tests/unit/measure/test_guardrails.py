"""A guardrail holds, is broken, or cannot be told; nothing passes in silence, and both errors are rare."""

from dataclasses import replace

import numpy as np
import polars as pl
import pytest

import fbkit as fb
from fbkit.errors import ArgumentError, ContractError
from fbkit.measure.guardrails import COLUMNS, Decision, judge_promotion
from fbkit.measure.user import Metric
from fbkit.measure.versioning.guard_rules import allowed_drop, fieller, more_rows, worsening
from fbkit.measure.versions import compare_versions
from fbkit.samples.versions import VersionsConfig, versions
from fbkit.schema.contract import Contract
from fbkit.testing.frames import FakeJoined
from tests.unit.measure.two_versions import two_versions, with_contract

VERSIONS = {"champion": "a", "challenger": "b"}


def guarded(joined: FakeJoined, *guardrails: tuple[str, str], **tables: object) -> FakeJoined:
    """The table under a contract with these guardrails and the critical slice region = EU."""
    slices = {"columns": ["region"], "critical": [{"region": "EU"}]}
    rules = [{"metric": metric, "max_drop": drop} for metric, drop in guardrails]
    return with_contract(joined, guardrails=rules, **({"slices": slices} | tables))


def status(decision: Decision, metric: str, where: str = "overall", guard: str = "metric") -> str:
    chosen = (pl.col("metric") == metric) & (pl.col("slice") == where) & (pl.col("guard") == guard)
    return decision.table.filter(chosen)["status"].item()


# Rules ----------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("drop", "expected"), [("0.5", "pass"), ("0.000001", "cannot tell")])
def test_the_whole_interval_decides(drop: str, expected: str) -> None:
    joined = guarded(two_versions(600), ("recall", drop))
    found = judge_promotion(joined, **VERSIONS)
    assert status(found, "recall") == expected
    assert found.undecided == (expected == "cannot tell")
    assert not found.failed


def test_a_drop_beyond_the_allowance_is_broken_when_its_interval_says_so() -> None:
    joined = two_versions(900, seed=2)
    spoiled = (
        pl.when((pl.col("model_version") == "b") & (pl.col("region") == "EU"))
        .then(pl.lit(value=False))
        .otherwise("flagged")
    )
    found = judge_promotion(
        guarded(replace(joined, frame=joined.frame.with_columns(flagged=spoiled)), ("recall", "5%")), **VERSIONS
    )
    assert status(found, "recall", "region=EU") == "fail"
    assert found.failed
    line = found.table.row(by_predicate=pl.col("slice") == "region=EU", named=True)
    assert line["limit"] == pytest.approx(0.05 * line["champion"])
    assert line["lower"] > line["limit"]


def test_lines_are_those_of_the_comparison_turned_into_drops() -> None:
    joined = guarded(two_versions(600, seed=3), ("recall", "0.1"), ("brier", "0.01"))
    table = judge_promotion(joined, **VERSIONS).table
    assert table.columns == [*COLUMNS, "evaluation_id"]
    assert table["slice"].to_list() == ["overall", "region=EU"] * 2
    by = {
        (row["metric"], row["region"]): row
        for row in compare_versions(joined, ["recall", "brier"], **VERSIONS, by="region").iter_rows(named=True)
    }
    for row in table.filter(pl.col("slice") == "region=EU").iter_rows(named=True):
        cell = by[row["metric"], "EU"]
        sign = 1 if row["metric"] == "brier" else -1
        assert row["measured"] == pytest.approx(sign * cell["difference"])
        assert (row["champion"], row["challenger"]) == pytest.approx((cell["champion"], cell["challenger"]))
        assert row["worst_case"] == pytest.approx(cell["bound_upper"] if sign == 1 else -cell["bound_lower"])


@pytest.mark.parametrize(
    ("name", "expected"),
    [("recall", (-0.1, -0.3, 0.2, 0.4)), ("brier", (0.1, -0.2, 0.3, 0.5)), ("error_p95", (0.1, -0.2, 0.3, 0.5)),
     ("ndcg@10", (-0.1, -0.3, 0.2, 0.4)), ("mae", (0.1, -0.2, 0.3, 0.5))],
)  # fmt: skip
def test_worse_is_lower_or_higher_by_metric(name: str, expected: tuple[float, ...]) -> None:
    cell = {"difference": 0.1, "lower": -0.2, "upper": 0.3, "bound_lower": -0.4, "bound_upper": 0.5, "champion": 1.0}
    assert worsening(name, cell) == pytest.approx(expected)


def test_a_bias_is_worse_the_farther_it_is_from_zero() -> None:
    cell = {"difference": 0.3, "lower": 0.1, "upper": 0.5, "champion": -0.2, "bound_upper": None, "bound_lower": None}
    drop, lower, upper, worst = worsening("bias", cell)
    assert (drop, upper, worst) == (pytest.approx(-0.1), pytest.approx(0.1), None)
    assert lower == pytest.approx(-0.2)  # it may be exactly zero now
    grid = [abs(-0.2 + step) - 0.2 for step in np.linspace(0.1, 0.5, 401)]
    assert (lower, upper) == pytest.approx((min(grid), max(grid)), abs=1e-9)


def test_a_percentage_is_of_the_champions_value() -> None:
    assert allowed_drop("10%", -2.0) == pytest.approx(0.2)
    assert allowed_drop("0.1", -2.0) == 0.1


def test_the_rows_asked_for_settle_it_as_often_as_promised() -> None:
    """Draw estimates with the error that the asked rows would bring: four in five must lie clear of the limit."""
    rng = np.random.default_rng(1)
    n, half, gap = 1000, 0.03, 0.02
    more = more_rows(n, half=half, gap=gap, level=0.95)
    assert more is not None
    error = half / 1.959964 * (n / (n + more)) ** 0.5
    settled = np.mean(rng.normal(0, error, 200_000) + 1.959964 * error < gap)
    assert settled == pytest.approx(0.8, abs=0.005)
    assert more_rows(n, half=half, gap=0.0, level=0.95) is None


def test_fiellers_interval_holds_the_ratio_as_often_as_promised() -> None:
    rng = np.random.default_rng(2)
    hits, open_ended = 0, 0
    for _ in range(4000):
        lower, upper = fieller((rng.normal(3, 0.4), 0.4), (rng.normal(5, 0.9), 0.9), z=1.959964)
        open_ended += lower is None
        hits += lower is None or (upper is not None and lower <= 0.6 <= upper)
    assert hits / 4000 == pytest.approx(0.95, abs=0.012)
    assert open_ended < 20
    assert fieller((1.0, 0.1), (0.1, 0.1), z=1.96) == (None, None)


# What is not told ----------------------------------------------------------------------------------------------------


def test_what_cannot_be_estimated_never_passes() -> None:
    joined = two_versions(200, seed=4)
    unlabelled = replace(joined, frame=joined.frame.with_columns(label=pl.lit(None, dtype=pl.Float64)))
    found = judge_promotion(guarded(unlabelled, ("recall", "0.5"), ("roc_auc", "0.5")), **VERSIONS)
    assert set(found.table["status"]) == {"cannot tell"}
    assert found.table["reason"].null_count() == 0


def test_latency_and_cost_that_are_not_logged_never_pass() -> None:
    tables = {
        "slo": {"latency_ms": {"p95": 100}, "cost_per_1000": {"maximum": 1}},
        "budget": {"added_latency_ms": {"p50": 5}},
    }
    found = judge_promotion(guarded(two_versions(300), ("recall", "0.5"), **tables), **VERSIONS)
    for metric, guard in (("latency_p95", "latency"), ("latency_p50", "added latency"), ("cost_per_1000", "cost")):
        assert status(found, metric, guard=guard) == "cannot tell"
    assert found.undecided


def test_latency_and_cost_are_held_against_their_limits() -> None:
    joined = two_versions(600, seed=5)
    rng = np.random.default_rng(5)
    slow = joined.frame["model_version"].eq("b").to_numpy()
    logged = joined.frame.with_columns(
        pl.Series("latency_ms", rng.gamma(9, 10, joined.frame.height) * np.where(slow, 1.3, 1.0)),
        pl.Series("cost", np.where(slow, 0.0012, 0.0008)),
    )
    tables = {
        "slo": {"latency_ms": {"p50": 125, "p95": 130}, "cost_per_1000": {"maximum": 1.0}},
        "budget": {"added_latency_ms": {"p95": 200}},
    }
    found = judge_promotion(guarded(replace(joined, frame=logged), ("recall", "0.5"), **tables), **VERSIONS)
    assert status(found, "latency_p50", guard="latency") == "pass"
    assert status(found, "latency_p95", guard="latency") == "fail"
    assert status(found, "latency_p95", guard="added latency") == "pass"
    assert status(found, "cost_per_1000", guard="cost") == "fail"
    line = found.table.row(by_predicate=pl.col("guard") == "cost", named=True)
    assert (line["measured"], line["limit"]) == (pytest.approx(1.2), 1.0)


def test_a_critical_slice_without_rows_never_passes() -> None:
    slices = {"columns": ["region"], "critical": [{"region": "Mars"}]}
    found = judge_promotion(guarded(two_versions(200), ("recall", "0.5"), slices=slices), **VERSIONS)
    assert status(found, "recall", "region=Mars") == "cannot tell"


def test_slices_of_several_columns_are_their_common_rows() -> None:
    joined = two_versions(600, seed=6)
    device = (
        pl.when(pl.col("request_id").str.tail(1).cast(pl.Int64) < 5)
        .then(pl.lit("web"))
        .otherwise(pl.lit("app"))
        .alias("device")
    )
    slices = {"columns": ["region", "device"], "critical": [{"region": "EU", "device": "web"}, {"device": "app"}]}
    found = judge_promotion(
        guarded(replace(joined, frame=joined.frame.with_columns(device)), ("recall", "0.9"), slices=slices), **VERSIONS
    )
    both = joined.frame.with_columns(device).filter(
        (pl.col("model_version") == "a") & (pl.col("region") == "EU") & (pl.col("device") == "web")
    )
    line = found.table.row(by_predicate=pl.col("slice") == "region=EU, device=web", named=True)
    assert line["n"] == both.height
    assert found.table["slice"].to_list() == ["overall", "region=EU, device=web", "device=app"]


def test_a_broken_split_blocks_whatever_the_metrics_say() -> None:
    joined = two_versions(4000, seed=7, shadow=False)
    free = joined.frame.with_columns(pl.lit(None, dtype=pl.String).alias("entity"))
    lost = free.filter((pl.col("model_version") == "a") | (pl.int_range(pl.len()) % 5 != 0))
    found = judge_promotion(guarded(replace(joined, frame=lost), ("recall", "0.5")), **VERSIONS, share=0.5)
    assert found.failed
    assert found.table["guard"].to_list()[0] == "sample ratio"
    assert found.table["reason"].str.contains("sample-ratio mismatch").all()
    sound = judge_promotion(guarded(replace(joined, frame=free), ("recall", "0.5")), **VERSIONS, share=0.5)
    assert not sound.failed


def test_a_contract_without_guardrails_is_refused() -> None:
    with pytest.raises(ContractError, match="no guardrail"):
        judge_promotion(two_versions(50), **VERSIONS)


def test_a_teams_own_metric_is_a_guardrail_and_says_which_way_is_good() -> None:
    joined = guarded(two_versions(500, seed=8), ("missed", "0.5"))
    own = Metric(name="missed", needs="counts", fn=lambda c: c.fn / (c.tp + c.fp + c.fn + c.tn), better="lower")
    found = judge_promotion(joined, **VERSIONS, own=[own])
    line = found.table.row(0, named=True)
    assert line["measured"] == pytest.approx(line["challenger"] - line["champion"])
    assert line["status"] == "pass"
    with pytest.raises(ArgumentError, match="no metric 'missed'"):
        judge_promotion(joined, **VERSIONS)
    with pytest.raises(ArgumentError, match="no guardrail names"):
        judge_promotion(joined, **VERSIONS, own=[own, replace(own, name="other")])


def test_names_with_k_are_guardrails_of_ranking_models() -> None:
    contract = Contract.from_toml(two_versions(10).contract.to_toml())
    raw = contract.model_dump(mode="json", exclude_unset=True)
    made = Contract.from_dict(
        raw | {"guardrails": [{"metric": "ndcg@10", "max_drop": "2%"}], "model": {"name": "m", "task": "ranking"}}
    )
    joined = replace(two_versions(300, seed=9), contract=made)
    found = judge_promotion(joined, **VERSIONS)
    assert found.table["metric"].to_list() == ["ndcg@10"]
    assert found.table["champion"].null_count() == 0


# Worlds with a known truth --------------------------------------------------------------------------------------------


def opened(config: VersionsConfig, *, seed: int) -> fb.Loop:
    made = versions(config, seed=seed)
    raw = Contract.from_toml(made.contract_toml).model_dump(mode="json", exclude_unset=True)
    contract = Contract.from_dict({name: part for name, part in raw.items() if name not in ("slo", "budget")})
    return fb.open_loop(contract=contract, predictions=made.predictions, outcomes=made.outcomes)


def judged(config: VersionsConfig, *, seed: int) -> Decision:
    return judge_promotion(opened(config, seed=seed).join(as_of=config.as_of), champion="v1", challenger="v2")


def test_a_regression_in_one_slice_is_caught_and_an_equal_version_is_let_through() -> None:
    seeds = range(4)
    harmed = [judged(VersionsConfig(drop=0.08), seed=seed) for seed in seeds]
    equal = [judged(VersionsConfig(), seed=seed) for seed in seeds]
    blocked = [found.failed or found.undecided for found in harmed]
    let_through = [not found.failed and not found.undecided for found in equal]
    assert all(blocked)
    assert sum(status(found, "recall", "region=EU") == "fail" for found in harmed) >= 3
    assert all(status(found, "recall", "region=US") == "pass" for found in harmed)
    assert sum(let_through) >= 3


def test_a_version_that_chases_the_proxy_is_blocked_and_an_honest_one_is_not() -> None:
    for bait, expected in ((0.6, "fail"), (0.0, "pass")):
        config = VersionsConfig(days=14, bait=bait, proxy=True)
        loop = opened(config, seed=1)
        joined, near = (loop.join(as_of=config.as_of, label=name) for name in (None, "report"))
        found = judge_promotion(joined, champion="v1", challenger="v2", proxies={"report": near})
        assert status(found, "roc_auc", guard="proxy") == expected
    with pytest.raises(ArgumentError, match="as of another time"):
        judge_promotion(
            joined,
            champion="v1",
            challenger="v2",
            proxies={"report": loop.join(as_of=config.start + (config.as_of - config.start) / 2, label="report")},
        )


def test_the_price_of_a_gain_stands_beside_it() -> None:
    config = VersionsConfig(days=21, bait=0.6, proxy=True)
    joined = opened(config, seed=2).join(as_of=config.as_of)
    table = judge_promotion(joined, champion="v1", challenger="v2").table
    line = table.row(by_predicate=(pl.col("metric") == "recall") & (pl.col("slice") == "overall"), named=True)
    assert line["upper"] < 0
    assert line["cost_per_gain"] == pytest.approx(0.06 / (-100 * line["measured"]), rel=1e-6)
    assert line["cost_per_gain_lower"] < line["cost_per_gain"] < line["cost_per_gain_upper"]
    others = table.filter((pl.col("metric") != "recall") | (pl.col("slice") != "overall"))
    assert others["cost_per_gain"].null_count() == others.height
