"""Differences between versions agree with other people's code, and the laws of a difference hold."""

from dataclasses import replace
from datetime import timedelta

import numpy as np
import polars as pl
import pytest
from polars.testing import assert_frame_equal
from scipy import stats
from sklearn.metrics import average_precision_score, recall_score, roc_auc_score
from statsmodels.stats.contingency_tables import mcnemar as their_mcnemar
from statsmodels.stats.proportion import confint_proportions_2indep, proportions_ztest

from fbkit.errors import ArgumentError
from fbkit.measure.metrics import metrics
from fbkit.measure.stats.intervals import holm
from fbkit.measure.user import Metric
from fbkit.measure.versions import COLUMNS, compare_versions
from fbkit.testing.frames import FakeJoined
from tests.unit.measure.two_versions import halves, joined_of, two_versions, with_contract

VERSIONS = {"champion": "a", "challenger": "b"}
NAMES = ["recall", "precision", "accuracy", "f1", "roc_auc", "average_precision", "brier", "log_loss", "ece"]


def line(joined: FakeJoined, name: str | Metric, **asked: object) -> dict[str, object]:
    return compare_versions(joined, name, **VERSIONS, **asked).row(0, named=True)  # pyright: ignore[reportArgumentType]


def of(joined: FakeJoined, frame: pl.DataFrame) -> FakeJoined:
    return replace(joined, frame=frame)


# Values ---------------------------------------------------------------------------------------------------------------


def test_the_columns_are_the_documented_ones() -> None:
    frame = compare_versions(two_versions(200), NAMES, **VERSIONS, by="region")
    assert frame.columns == ["region", *COLUMNS, "evaluation_id"]
    assert {name: frame.schema[name] for name in COLUMNS} == COLUMNS


@pytest.mark.parametrize("shadow", [True, False])
def test_values_are_those_of_metrics_on_each_versions_rows(shadow: bool) -> None:
    joined = two_versions(500, shadow=shadow, missing=0.0 if shadow else 0.2)
    if shadow:  # b's rows have no labels of their own: hand them a's
        labels = joined.frame.filter(pl.col("model_version") == "a").select("request_id", own="label")
        frame = joined.frame.join(labels, on="request_id", maintain_order="left").with_columns(label="own")
        whole = of(joined, frame.with_columns(arrival_lag=pl.lit(timedelta(days=1))))
    else:
        whole = joined
    found = compare_versions(joined, NAMES, **VERSIONS)
    for row in found.iter_rows(named=True):
        for side, version in (("champion", "a"), ("challenger", "b")):
            limits = (
                None
                if row["period_start"] is None
                else (pl.col("ts_pred") >= row["period_start"]) & (pl.col("ts_pred") < row["period_end"])
            )
            where = (pl.col("model_version") == version) & limits
            own = metrics(whole, row["metric"], where=where).row(0, named=True)
            assert row[side] == pytest.approx(own["value"], rel=1e-12), row["metric"]
            assert row[f"n_{side}"] == own["n"]
            assert row[f"n_labelled_{side}"] == own["n_labelled"]
        assert row["difference"] == pytest.approx(row["challenger"] - row["champion"], abs=1e-12)


def test_the_differences_are_scikit_learns() -> None:
    joined = two_versions(400)
    one, two = halves(joined)
    y = one["label"].to_numpy()
    for name, theirs in (("roc_auc", roc_auc_score), ("average_precision", average_precision_score)):
        oracle = theirs(y, two["score"].to_numpy()) - theirs(y, one["score"].to_numpy())
        assert line(joined, name)["difference"] == pytest.approx(oracle, abs=1e-12)
    flags = [side["flagged"].to_numpy() for side in (one, two)]
    assert line(joined, "recall")["difference"] == pytest.approx(
        recall_score(y, flags[1]) - recall_score(y, flags[0]), abs=1e-12
    )


# Same rows ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["accuracy", "recall", "specificity"])
def test_shares_of_the_same_rows_are_mcnemars(name: str) -> None:
    joined = two_versions(500, seed=3)
    one, two = halves(joined)
    y = one["label"].to_numpy()
    kept = {"accuracy": np.ones(len(y), dtype=bool), "recall": y == 1, "specificity": y == 0}[name]
    right = [(side["flagged"].to_numpy() == (y == 1))[kept] for side in (one, two)]
    table = [
        [np.sum(right[0] & right[1]), np.sum(right[0] & ~right[1])],
        [np.sum(~right[0] & right[1]), np.sum(~right[0] & ~right[1])],
    ]
    found = line(joined, name)
    assert found["p_value"] == pytest.approx(their_mcnemar(table, exact=True).pvalue, rel=1e-9)
    assert found["method"] == "McNemar exact, Newcombe (paired)"
    assert found["lower"] < found["difference"] < found["upper"]


def test_a_mean_loss_on_the_same_rows_is_the_paired_t_test() -> None:
    joined = two_versions(500, seed=4)
    one, two = halves(joined)
    y = one["label"].to_numpy()
    losses = [(side["score"].to_numpy() - y) ** 2 for side in (one, two)]
    oracle = stats.ttest_rel(losses[1], losses[0])
    ends = oracle.confidence_interval(0.9)
    found = line(joined, "brier", level=0.9)
    assert found["p_value"] == pytest.approx(oracle.pvalue, rel=1e-9)
    assert (found["lower"], found["upper"]) == pytest.approx((ends.low, ends.high), rel=1e-9)


def test_entities_that_repeat_widen_the_paired_interval_as_a_sum_by_entity_does() -> None:
    joined = two_versions(800, seed=5, entities=60)
    one, two = halves(joined)
    y = one["label"].to_numpy()
    gap = (two["score"].to_numpy() - y) ** 2 - (one["score"].to_numpy() - y) ** 2
    sums = one.select("entity", gap=pl.Series(gap - gap.mean())).group_by("entity").agg(pl.col("gap").sum())["gap"]
    m = len(sums)
    error = float(np.sqrt((sums.to_numpy() ** 2).sum() * m / (m - 1)) / len(gap))
    found = line(joined, "brier")
    assert found["upper"] - found["difference"] == pytest.approx(stats.t.ppf(0.975, m - 1) * error, rel=1e-9)
    assert str(found["method"]).startswith("cluster-robust (entity)")


@pytest.mark.parametrize("name", ["ece", "mcb"])
def test_what_has_no_formula_is_bootstrapped_over_the_same_requests(name: str) -> None:
    joined = two_versions(400, seed=6)
    found = line(joined, name)
    assert found["method"] == "paired bootstrap (400 draws)"
    assert found["lower"] <= found["difference"] <= found["upper"]
    assert line(joined, name) == found


def test_two_equal_versions_do_not_differ() -> None:
    joined = two_versions(300, seed=7)
    same = joined.frame.join(
        joined.frame.filter(pl.col("model_version") == "a").select("request_id", own="score", flag="flagged"),
        on="request_id",
        maintain_order="left",
    ).with_columns(score="own", flagged="flag")
    for row in compare_versions(of(joined, same), NAMES, **VERSIONS).iter_rows(named=True):
        assert row["difference"] == pytest.approx(0, abs=1e-15), row["metric"]
        assert row["p_value"] in (None, 1.0), row["metric"]
        assert row["lower"] is None or row["lower"] <= 0 <= row["upper"]


def test_changing_the_sides_turns_the_difference() -> None:
    joined = two_versions(400, seed=8)
    one = compare_versions(joined, NAMES, champion="a", challenger="b")
    two = compare_versions(joined, NAMES, champion="b", challenger="a")
    for first, second in zip(one.iter_rows(named=True), two.iter_rows(named=True), strict=True):
        assert first["difference"] == pytest.approx(-second["difference"], abs=1e-12)
        assert first["lower"] == pytest.approx(-second["upper"], abs=1e-9), first["metric"]
        if first["bound_lower"] is not None:
            assert first["bound_lower"] == pytest.approx(-second["bound_upper"], abs=1e-12)


def brute_bounds(joined: FakeJoined, name: str) -> tuple[float, float]:
    """Least and greatest difference over every labelling of the pairs that have no label."""
    one = joined.frame.filter(pl.col("model_version") == "a").sort("request_id")
    two = joined.frame.filter(pl.col("model_version") == "b").sort("request_id")
    label = one["label"].to_numpy().copy()
    open_rows = np.flatnonzero(np.isnan(label))
    found = []
    for world in range(2 ** len(open_rows)):
        for place, row in enumerate(open_rows):
            label[row] = world >> place & 1
        values = []
        for side in (one, two):
            f, s = side["flagged"].to_numpy().astype(float), side["score"].to_numpy()
            parts = {
                "recall": (label @ f, label.sum()),
                "precision": (label @ f, f.sum()),
                "accuracy": ((label == f).sum(), len(f)),
                "specificity": ((1 - label) @ (1 - f), (1 - label).sum()),
                "brier": (((s - label) ** 2).sum(), len(f)),
            }
            values.append(parts[name][0] / parts[name][1])
        found.append(values[1] - values[0])
    return min(found), max(found)


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("name", ["recall", "precision", "accuracy", "specificity", "brier"])
def test_bounds_of_the_same_rows_are_the_extremes_over_all_labellings(name: str, seed: int) -> None:
    joined = two_versions(24, seed=seed + 20, missing=0.3)
    found = line(joined, name)
    least, greatest = brute_bounds(joined, name)
    assert (found["bound_lower"], found["bound_upper"]) == pytest.approx(
        (min(least, found["difference"]), max(greatest, found["difference"])), abs=1e-12
    )


def test_other_bounds_are_the_gap_between_both_versions_own() -> None:
    joined = two_versions(300, seed=9, shadow=False)
    found = line(joined, "recall")
    own = {
        version: metrics(joined, "recall", where=pl.col("model_version") == version, period=None).row(0, named=True)
        for version in ("a", "b")
    }
    assert found["bound_upper"] <= own["b"]["bound_upper"] - own["a"]["bound_lower"] + 0.05
    assert found["bound_lower"] <= found["difference"] <= found["bound_upper"]


# Split traffic --------------------------------------------------------------------------------------------------------


def test_shares_of_split_traffic_are_newcombes() -> None:
    joined = two_versions(2000, seed=10, shadow=False, missing=0.0)
    found = line(joined, "recall")
    window = joined.frame.filter(
        (pl.col("ts_pred") >= found["period_start"]) & (pl.col("ts_pred") < found["period_end"])
    )
    counts = [
        window.filter((pl.col("model_version") == version) & (pl.col("label") == 1))["flagged"]
        for version in ("b", "a")
    ]
    hits, sizes = [int(flags.sum()) for flags in counts], [len(flags) for flags in counts]
    lower, upper = confint_proportions_2indep(hits[0], sizes[0], hits[1], sizes[1], method="newcomb")
    assert found["method"] == "Newcombe"
    assert (found["lower"], found["upper"]) == pytest.approx((lower, upper), rel=1e-9)
    assert found["p_value"] == pytest.approx(proportions_ztest(hits, sizes)[1], abs=0.01)


def test_means_of_split_traffic_are_welchs() -> None:
    joined = two_versions(1500, seed=11, shadow=False, missing=0.0)
    found = line(joined, "brier")
    window = joined.frame.filter(
        (pl.col("ts_pred") >= found["period_start"]) & (pl.col("ts_pred") < found["period_end"])
    )
    losses = [
        ((rows["score"] - rows["label"]) ** 2).to_numpy()
        for rows in (window.filter(pl.col("model_version") == version) for version in ("b", "a"))
    ]
    oracle = stats.ttest_ind(losses[0], losses[1], equal_var=False)
    ends = oracle.confidence_interval(0.95)
    assert found["p_value"] == pytest.approx(oracle.pvalue, rel=1e-9)
    assert (found["lower"], found["upper"]) == pytest.approx((ends.low, ends.high), rel=1e-9)


def test_the_p_value_is_below_one_less_the_level_exactly_where_the_interval_leaves_out_zero() -> None:
    for seed in range(12):
        joined = two_versions(160, seed=100 + seed, shadow=False)
        for row in compare_versions(joined, ["recall", "roc_auc", "f1"], **VERSIONS).iter_rows(named=True):
            if row["p_value"] is not None:
                assert (row["p_value"] < 0.05) == (row["lower"] > 0 or row["upper"] < 0)


def test_what_has_no_interval_of_its_own_is_bootstrapped_on_split_traffic() -> None:
    found = line(two_versions(500, seed=12, shadow=False), "ece")
    assert found["method"] == "bootstrap (200 draws)"
    assert found["lower"] < found["upper"]


def test_a_broken_split_is_told_on_every_line() -> None:
    joined = two_versions(3000, seed=13, shadow=False)
    entity_free = joined.frame.with_columns(pl.lit(None, dtype=pl.String).alias("entity"))
    lost = entity_free.filter((pl.col("model_version") == "a") | (pl.int_range(pl.len()) % 5 != 0))
    frame = compare_versions(of(joined, lost), ["recall", "brier"], **VERSIONS, share=0.5, by="region")
    assert frame["reason"].str.starts_with("sample-ratio mismatch overall: ").all()
    sound = compare_versions(of(joined, entity_free), ["recall", "brier"], **VERSIONS, share=0.5, by="region")
    assert sound["reason"].null_count() == sound.height


def test_labels_that_one_version_has_far_more_often_are_named() -> None:
    joined = two_versions(1500, seed=14, shadow=False, missing=0.0)
    gone = (pl.col("model_version") == "b") & (pl.int_range(pl.len()) % 3 == 0)
    frame = joined.frame.with_columns(pl.when(~gone).then("label").alias("label"))
    reason = str(line(of(joined, frame), "recall")["reason"])
    assert reason.startswith("labels of 100.0 % of the champion's rows and 6")
    assert line(joined, "recall")["reason"] is None


def test_few_rows_on_which_both_are_perfect_do_not_make_them_equal() -> None:
    rows = {
        "score": [0.9, 0.8, 0.2, 0.1, 0.95, 0.7, 0.1, 0.2],
        "label": [1.0, 1.0, 0.0, 0.0, None, None, None, None],
        "entity": ["u", "u", "v", "v"] * 2,
        "age": [20.0] * 8,
        "version": ["a"] * 4 + ["b"] * 4,
        "request": ["q1", "q2", "q3", "q4"] * 2,
        "region": ["EU"] * 8,
    }
    frame = compare_versions(joined_of(rows), ["recall", "precision", "roc_auc", "f1"], **VERSIONS)
    for row in frame.iter_rows(named=True):
        assert row["difference"] == 0
        assert row["lower"] is None or row["upper"] - row["lower"] > 0.3, row["metric"]


def test_the_same_order_of_many_rows_is_the_same_auc_for_certain() -> None:
    joined = two_versions(300, seed=27)
    order = joined.frame.filter(pl.col("model_version") == "a").select("request_id", own="score")
    squared = joined.frame.join(order, on="request_id", maintain_order="left").with_columns(
        pl.when(pl.col("model_version") == "b").then(pl.col("own") ** 2).otherwise("score").alias("score")
    )
    found = line(of(joined, squared), "roc_auc")
    assert (found["difference"], found["lower"], found["upper"], found["p_value"]) == (0, 0, 0, 1)


# What cannot be told --------------------------------------------------------------------------------------------------


def test_a_side_without_positives_is_told_and_withholds_only_the_difference() -> None:
    joined = two_versions(60, seed=15, shadow=False, missing=0.0)
    frame = joined.frame.with_columns(
        pl.when(pl.col("model_version") == "b").then(0.0).otherwise("label").alias("label")
    )
    found = line(of(joined, frame), "recall")
    assert (found["difference"], found["challenger"], found["reason"]) == (None, None, "challenger: no positives")
    assert found["champion"] is not None


def test_versions_that_never_served_together_have_no_difference_but_a_reason() -> None:
    joined = two_versions(60, seed=16, shadow=False)
    later = pl.when(pl.col("model_version") == "b").then(pl.col("ts_pred") - timedelta(days=90)).otherwise("ts_pred")
    frame = compare_versions(
        of(joined, joined.frame.with_columns(later.alias("ts_pred"))), ["recall", "ece"], **VERSIONS, by="region"
    )
    assert frame["difference"].null_count() == 2
    assert frame["reason"].str.contains("never served at the same time").all()


def test_a_slice_that_only_one_version_served_says_so() -> None:
    joined = two_versions(400, seed=17, shadow=False)
    frame = joined.frame.filter((pl.col("model_version") == "a") | (pl.col("region") == "EU"))
    found = compare_versions(of(joined, frame), "recall", **VERSIONS, by="region")
    row = found.row(by_predicate=pl.col("region") == "US", named=True)
    assert row["difference"] is None
    assert "challenger: no predictions" in row["reason"]


@pytest.mark.parametrize("asked", [{"level": 1.5}, {"by": "nothing"}, {"stage": "later"}, {"share": 0.0}])
def test_wrong_calls_are_refused(asked: dict[str, object]) -> None:
    with pytest.raises(ArgumentError):
        line(two_versions(60, shadow=False), "recall", **asked)


def test_a_slice_named_like_a_result_column_is_refused() -> None:
    joined = two_versions(40)
    frame = joined.frame.with_columns(pl.lit("x").alias("champion"))
    with pytest.raises(ArgumentError, match="named like a result column"):
        line(of(joined, frame), "recall", by="champion")


@pytest.mark.parametrize("shadow", [True, False])
def test_intervals_of_equal_versions_hold_zero_about_as_often_as_promised(shadow: bool) -> None:
    held = []
    for seed in range(60):
        frame = compare_versions(
            two_versions(500, seed=1000 + seed, shadow=shadow), ["recall", "roc_auc", "brier"], **VERSIONS
        )
        held += [row["lower"] <= 0 <= row["upper"] for row in frame.iter_rows(named=True)]
    assert 0.91 <= np.mean(held) <= 0.99  # 180 intervals, three by three of the same rows


# Everything else ------------------------------------------------------------------------------------------------------


def test_p_values_are_adjusted_over_all_lines() -> None:
    frame = compare_versions(two_versions(500, seed=18), ["recall", "brier", "roc_auc"], **VERSIONS, by="region")
    assert frame["p_adjusted"].to_list() == pytest.approx(holm(frame["p_value"].to_numpy()).tolist())


def test_row_order_does_not_matter_and_the_question_has_an_id() -> None:
    joined = two_versions(300, seed=19)
    one = compare_versions(joined, NAMES, **VERSIONS, by="region")
    shuffled = of(joined, joined.frame.sample(fraction=1, shuffle=True, seed=1))
    assert_frame_equal(compare_versions(shuffled, NAMES, **VERSIONS, by="region"), one, rel_tol=1e-12, abs_tol=1e-14)
    assert one["evaluation_id"].n_unique() == 1
    assert line(joined, "recall")["evaluation_id"] != line(joined, "recall", level=0.9)["evaluation_id"]


def test_young_rows_count_at_no_version_unless_the_stage_says_so() -> None:
    joined = two_versions(300, seed=21)
    young = of(joined, joined.frame.with_columns((pl.col("request_id") > "q00100").alias("mature")))
    assert line(young, "recall")["n_champion"] == line(young, "recall")["n_challenger"] == 199
    assert line(young, "recall", stage="any")["n_champion"] == 300


@pytest.mark.parametrize("shadow", [True, False])
def test_a_teams_own_metrics_are_compared_too(shadow: bool) -> None:
    joined = two_versions(500, seed=22, shadow=shadow)
    amount = pl.Series("amount", np.random.default_rng(1).gamma(2, 10, joined.frame.height))
    with_amount = of(joined, joined.frame.with_columns(amount))
    own = [
        Metric(
            name="loss", needs="rows", fn=pl.col("amount") * (1 - pl.col("flagged")) * pl.col("label"), better="lower"
        ),
        Metric(name="missed", needs="counts", fn=lambda c: c.fn / (c.tp + c.fp + c.fn + c.tn), better="lower"),
        Metric(name="spread", needs="rows", fn=lambda rows: rows["score"].std()),
        Metric(name="top", needs="bins", fn=lambda bins: bins["positives"].tail(20).sum() / bins["n"].tail(20).sum()),
    ]
    for row in compare_versions(with_amount, own, **VERSIONS).iter_rows(named=True):
        assert row["difference"] == pytest.approx(row["challenger"] - row["champion"], abs=1e-12), row["metric"]
        assert row["lower"] < row["difference"] < row["upper"], row["metric"]
    assert (
        compare_versions(with_amount, own[2], **VERSIONS)["method"]
        .item()
        .startswith("paired bootstrap" if shadow else "MOVER")
    )


def test_latency_and_cost_are_compared_on_all_rows() -> None:
    joined = two_versions(400, seed=23)
    rng = np.random.default_rng(2)
    slow = joined.frame["model_version"].eq("b").to_numpy()
    frame = joined.frame.with_columns(
        pl.Series("latency_ms", rng.gamma(4, 10, joined.frame.height) + 20 * slow),
        pl.Series("cost", np.where(slow, 0.003, 0.002)),
    )
    found = {
        row["metric"]: row
        for row in compare_versions(of(joined, frame), ["latency_p95", "cost_per_1000"], **VERSIONS).iter_rows(
            named=True
        )
    }
    assert found["latency_p95"]["lower"] > 0
    assert found["latency_p95"]["n_champion"] == 400
    assert found["cost_per_1000"]["difference"] == pytest.approx(1.0)


def test_a_fixed_cost_is_shared_by_the_predictions_of_both_versions() -> None:
    joined = two_versions(300, seed=24)
    priced = with_contract(joined, costs=[{"component": "host", "per_call": 0.0, "per_month": 90.0}])
    found = line(priced, "cost_per_1000")
    whole = metrics(priced, "cost_per_1000").row(0, named=True)["value"]
    assert (found["champion"] + found["challenger"]) / 2 == pytest.approx(whole, rel=0.02)


def test_bad_requests_pair_with_nothing_and_are_counted() -> None:
    joined = two_versions(200, seed=25)
    frame = joined.frame.with_columns(
        pl.when((pl.col("model_version") == "b") & (pl.col("request_id") < "q00020"))
        .then(None)
        .otherwise("request_id")
        .alias("request_id")
    )
    found = line(of(joined, frame), "recall")
    assert (found["n_unpaired_champion"], found["n_unpaired_challenger"]) == (20, 20)
    assert found["n_champion"] == 180


def test_ranking_measures_are_compared_by_request() -> None:
    rng = np.random.default_rng(26)
    requests, items = 150, 6
    clicked = (rng.random(requests * items) < 0.3).astype(float)
    rows = {"score": [], "label": [], "entity": [], "age": [], "version": [], "request": [], "region": []}
    item: list[str] = []
    for version, noise in (("a", 0.3), ("b", 1.2)):
        for i in range(requests * items):
            rows["score"].append(float(clicked[i] + rng.normal(0, noise)))
            rows["label"].append(float(clicked[i]))
            rows["entity"].append(f"u{i // items}")
            rows["age"].append(20.0)
            rows["version"].append(version)
            rows["request"].append(f"q{i // items}")
            rows["region"].append("EU")
            item.append(f"i{i % items}")
    joined = with_contract(
        joined_of(rows, item_id=item), model={"name": "m", "task": "ranking"}, predictions={"score_kind": "rank"}
    )
    found = line(joined, "ndcg@3")
    assert found["difference"] < 0
    assert found["upper"] < 0
    assert "paired bootstrap" in str(found["method"])
