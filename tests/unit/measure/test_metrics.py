"""Metrics against scikit-learn, Fairlearn's published example, every labelling of small worlds, and laws."""

import itertools
from datetime import timedelta
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fbkit.errors import ArgumentError
from fbkit.measure.metrics import metrics
from fbkit.measure.registry import REGISTRY
from fbkit.measure.scope import Stage
from fbkit.measure.stats.corp import decompose, expected_error
from fbkit.schema.results import ESTIMATE_COLUMNS
from fbkit.testing.frames import FakeJoined, make_joined, random_joined

ORACLES = Path(__file__).parents[2] / "data" / "oracles"
BINARY = [
    name
    for name, measure in REGISTRY.items()
    if "binary" in measure.tasks and not measure.columns and name not in ("mae", "rmse", "bias")
]
UNBOUNDED = ("mcb", "dsc", "unc", "ece", "smooth_ece", "ks_classes")
BOUNDED = [
    name
    for name in BINARY
    if not name.startswith(UNBOUNDED) and name not in ("average_precision", "availability", "volume")
]
CONFUSION = ["recall", "precision", "specificity", "f1", "accuracy", "base_rate", "flag_rate"]


def one(joined: FakeJoined, name: str, **call: object) -> dict[str, object]:
    frame = metrics(joined, name, **call)
    assert frame.height == 1
    return frame.row(0, named=True)


def test_every_metric_equals_sklearn() -> None:
    from sklearn import metrics as sk

    joined = random_joined(4000, seed=1)
    rows = joined.frame.filter(pl.col("mature") & pl.col("label").is_not_null())
    y, s, d = (rows[name].cast(pl.Float64).to_numpy() for name in ("label", "score", "flagged"))
    expected = {
        "recall": sk.recall_score(y, d),
        "precision": sk.precision_score(y, d),
        "specificity": sk.recall_score(1 - y, 1 - d),
        "f1": sk.f1_score(y, d),
        "accuracy": sk.accuracy_score(y, d),
        "roc_auc": sk.roc_auc_score(y, s),
        "average_precision": sk.average_precision_score(y, s),
        "brier": sk.brier_score_loss(y, s),
        "log_loss": sk.log_loss(y, s),
        "base_rate": y.mean(),
        **decompose(s, y),
        "ece": expected_error(s, y),
        "mae": sk.mean_absolute_error(y, s),
        "rmse": sk.root_mean_squared_error(y, s),
        "bias": np.mean(s - y),
    }
    got = metrics(joined, list(expected))
    assert got["metric"].to_list() == list(expected)
    np.testing.assert_allclose(got["value"].to_numpy(), list(expected.values()), atol=1e-12, rtol=0)
    assert set(got["n_labelled"]) == {len(y)}


def test_weighted_metrics_equal_sklearn() -> None:
    from sklearn import metrics as sk

    joined = random_joined(2000, seed=2, missing=0)
    weight = np.random.default_rng(0).random(2000) * 3
    joined = FakeJoined(
        frame=joined.frame.with_columns(pl.Series("weight", weight)), contract=joined.contract, as_of=joined.as_of
    )
    y, s, d = (joined.frame[name].cast(pl.Float64).to_numpy() for name in ("label", "score", "flagged"))
    expected = {
        "recall": sk.recall_score(y, d, sample_weight=weight),
        "precision": sk.precision_score(y, d, sample_weight=weight),
        "f1": sk.f1_score(y, d, sample_weight=weight),
        "brier": sk.brier_score_loss(y, s, sample_weight=weight),
        "log_loss": sk.log_loss(y, s, sample_weight=weight),
        "roc_auc": sk.roc_auc_score(y, s, sample_weight=weight),
    }
    got = metrics(joined, list(expected), stage="any", weights="weight")
    np.testing.assert_allclose(got["value"].to_numpy(), list(expected.values()), atol=1e-12, rtol=0)
    assert got["method"][0] == "Wilson (effective n)"


def test_fairlearn_18_rows() -> None:
    # Fairlearn user guide (see SOURCES.md): overall and by group.
    table = pl.read_csv(ORACLES / "fairlearn_18.csv")
    flags = (table["y_pred"] == 1).to_list()
    joined = make_joined(
        scores=table["y_pred"].to_list(),
        labels=table["y_true"].to_list(),
        flags=flags,
        columns={"group": table["group"]},
    )
    overall = metrics(joined, ["recall", "specificity", "flag_rate"])["value"].to_numpy()
    np.testing.assert_allclose(overall, [0.5, 1 - 0.666667, 0.555556], atol=1e-6)
    by_group = metrics(joined, ["recall", "specificity", "flag_rate"], by="group")
    recall, specificity, selection = by_group["value"].to_numpy().reshape(3, 3)
    assert by_group["group"].to_list()[:3] == ["a", "b", "c"]
    assert by_group.filter(metric="flag_rate")["n"].to_list() == [4, 6, 8]
    np.testing.assert_allclose(recall, [0.5, 0.6, 0.4], atol=1e-6)
    np.testing.assert_allclose(1 - specificity, [1.0, 0.0, 0.666667], atol=1e-6)
    np.testing.assert_allclose(selection, [0.75, 0.5, 0.5], atol=1e-6)


def _world_values(joined: FakeJoined, name: str) -> list[float]:
    """The metric in every world: each labelling of the unlabelled rows."""
    frame = joined.frame
    holes = np.flatnonzero(frame["label"].is_null())
    values = []
    for world in itertools.product([0.0, 1.0], repeat=len(holes)):
        label = frame["label"].to_numpy(writable=True)
        label[holes] = world
        full = FakeJoined(
            frame=frame.with_columns(pl.Series("label", label)), contract=joined.contract, as_of=joined.as_of
        )
        value = one(full, name)["value"]
        values += [] if value is None else [value]
    return values


rows = st.tuples(
    st.sampled_from([0.0, 0.2, 0.5, 0.7, 1.0]), st.sampled_from([0.0, 1.0, None]), st.sampled_from([True, False, None])
)


@pytest.mark.parametrize("name", BOUNDED)
@given(world=st.lists(rows, min_size=1, max_size=6))
def test_bounds_equal_trying_every_labelling(name: str, world: list[tuple[float, float | None, bool | None]]) -> None:
    joined = make_joined(
        scores=[row[0] for row in world], labels=[row[1] for row in world], flags=[row[2] for row in world]
    )
    got, values = one(joined, name), _world_values(joined, name)
    if not values:
        assert got["bound_lower"] is None
        assert got["bound_upper"] is None
        return
    own = [] if got["value"] is None else [got["value"]]
    assert got["bound_lower"] == pytest.approx(min(values + own), abs=1e-12)
    assert got["bound_upper"] == pytest.approx(max(values + own), abs=1e-12)


@given(world=st.lists(rows, min_size=0, max_size=12))
def test_every_number_is_null_with_a_reason_or_inside_its_bounds(world: list) -> None:
    joined = make_joined(
        scores=[row[0] for row in world], labels=[row[1] for row in world], flags=[row[2] for row in world]
    )
    for row in metrics(joined, BINARY).iter_rows(named=True):
        assert (row["value"] is None) == (row["reason"] is not None)
        numbers = [row[name] for name in ("value", "lower", "upper", "bound_lower", "bound_upper")]
        assert not any(number is not None and np.isnan(number) for number in numbers)
        if row["value"] is not None:
            # A debiased value may fall below 0, where its interval begins.
            least = 0.0 if row["metric"].endswith("_debiased") else row["value"]
            assert row["lower"] is None or row["lower"] <= max(row["value"], least) + 1e-12
            assert row["upper"] is None or row["value"] <= row["upper"] + 1e-12
        if row["value"] is not None and row["bound_lower"] is not None:
            assert row["bound_lower"] <= row["value"] <= row["bound_upper"]


def test_worst_case_of_the_mini_challenge() -> None:
    # 5,000 rows, TP 2406, FN 180, 49 % flagged; 1,500 true positives' labels withheld (arithmetic anyone can redo).
    flags = [True] * 2450 + [False] * 2550
    labels: list[float | None] = [1.0] * 2406 + [0.0] * 44 + [1.0] * 180 + [0.0] * 2370
    full = one(make_joined(scores=[0.5] * 5000, labels=labels, flags=flags), "recall")
    assert full["value"] == pytest.approx(0.930394, abs=5e-7)
    labels[:1500] = [None] * 1500
    got = one(make_joined(scores=[0.5] * 5000, labels=labels, flags=flags), "recall")
    assert got["n_labelled"] == 3500
    assert got["value"] == pytest.approx(0.834254, abs=5e-7)
    assert (got["bound_lower"], got["bound_upper"]) == pytest.approx((0.834254, 0.930394), abs=5e-7)


@pytest.mark.parametrize(
    ("labels", "flags", "name", "reason"),
    [
        ([0.0, 0.0], [True, False], "recall", "no positives"),
        ([1.0, 0.0], [False, False], "precision", "no labelled row is flagged"),
        ([1.0, 1.0], [True, False], "specificity", "no negatives"),
        ([1.0, 1.0], [True, False], "roc_auc", "one class"),
        ([0.0, 0.0], [True, False], "average_precision", "no positives"),
        ([0.0, 0.0], [False, False], "f1", "no labelled row is positive or flagged"),
        ([None, None], [True, False], "brier", "no labelled rows"),
        ([1.0, 0.0], [None, None], "recall", "no decision and no threshold"),
        ([], [], "recall", "no predictions"),
    ],
)
def test_undefined_is_null_with_its_reason(labels: list, flags: list, name: str, reason: str) -> None:
    got = one(make_joined(scores=[0.5] * len(labels), labels=labels, flags=flags), name)
    assert (got["value"], got["reason"]) == (None, reason)


def test_an_open_window_is_said_not_dropped() -> None:
    joined = make_joined(scores=[0.9, 0.9, 0.1], labels=[1.0, 1.0, 1.0], ages=[30, 1, 1])
    frame = metrics(joined, "recall", every="1w")
    assert frame["reason"].to_list() == [None, "window open"]
    assert frame["n"].to_list() == [1, 0]
    young = metrics(joined, "recall", every="1w", stage="any")
    assert young["stage"].to_list() == ["final", "young"]
    assert young["value"].to_list() == [1.0, 0.5]
    assert one(joined, "recall", stage="any")["stage"] == "mixed"


def test_provisional_uses_what_was_known_at_that_age() -> None:
    joined = make_joined(
        scores=[0.9, 0.1, 0.9, 0.9],
        labels=[1.0, 1.0, 1.0, 0.0],
        ages=[30, 30, 2, 30],
        arrival_days=[1, 5, 1, None],
    )
    got = one(joined, "recall", stage="provisional@3d")
    assert (got["n"], got["n_labelled"], got["value"], got["stage"]) == (3, 1, 1.0, "provisional@3d")
    # A negative that silence made is known once the window is closed.
    closed = one(joined, "accuracy", stage="provisional@7d")
    assert closed["n_labelled"] == 3
    assert Stage.parse("provisional@3d").age == timedelta(days=3)


def test_cells_are_weeks_from_monday_and_cut_at_the_period() -> None:
    joined = random_joined(3000, seed=3)
    frame = metrics(joined, "recall", every="1w", period="2026-04-08..2026-04-15")
    starts, ends = frame["period_start"].to_list(), frame["period_end"].to_list()
    assert [f"{t:%a %d}" for t in starts] == ["Wed 08", "Mon 13"]
    assert [f"{t:%a %d}" for t in ends] == ["Mon 13", "Wed 15"]
    whole = metrics(joined, "recall", period="2026-04-08..2026-04-15")
    assert whole["n"].sum() == frame["n"].sum()


def test_slices_add_up_and_null_is_a_slice() -> None:
    joined = random_joined(3000, seed=4)
    total = one(joined, "accuracy")
    parts = metrics(joined, "accuracy", by=["region", "group"])
    assert parts.height == 12
    assert parts["region"].null_count() == 4
    assert parts["n"].sum() == total["n"]
    assert (parts["value"] * parts["n_labelled"]).sum() / total["n_labelled"] == pytest.approx(total["value"])


def test_cluster_robust_only_where_entities_repeat() -> None:
    single = random_joined(500, seed=5)
    names = single.frame["prediction_id"]
    unique = FakeJoined(
        frame=single.frame.with_columns(names.alias("entity")), contract=single.contract, as_of=single.as_of
    )
    assert one(unique, "recall")["method"] == "Wilson"
    many = random_joined(500, seed=5, entities=30)
    for name in ("recall", "brier", "roc_auc", "average_precision"):
        assert str(one(many, name)["method"]).startswith("cluster-robust (entity)")


def test_five_copies_of_each_entity_give_the_interval_of_one() -> None:
    base = random_joined(400, seed=6, missing=0)
    one_each = base.frame.with_columns(pl.col("prediction_id").alias("entity"))
    five = pl.concat([one_each] * 5)
    joined = FakeJoined(frame=five, contract=base.contract, as_of=base.as_of)
    for name in ("recall", "precision", "accuracy", "f1"):
        clustered, single = one(joined, name, stage="any"), one(base, name, stage="any")
        assert clustered["value"] == pytest.approx(single["value"])
        # Student's t and m / (m - 1) make it a little wider than Wilson on the distinct rows.
        ratio = (clustered["upper"] - clustered["lower"]) / (single["upper"] - single["lower"])
        assert 0.99 < ratio < 1.06


@given(st.permutations(range(40)))
def test_row_order_changes_nothing(order: list[int]) -> None:
    joined = random_joined(40, seed=8, entities=9)
    shuffled = FakeJoined(frame=joined.frame[order], contract=joined.contract, as_of=joined.as_of)
    a, b = (metrics(part, BINARY, by="region", stage="any") for part in (joined, shuffled))
    assert a.select(pl.exclude(pl.Float64)).equals(b.select(pl.exclude(pl.Float64)))
    for column in a.select(pl.col(pl.Float64)).columns:
        np.testing.assert_allclose(a[column].to_numpy(), b[column].to_numpy(), atol=1e-12)


def test_fractional_labels_split_a_row_in_two() -> None:
    soft = make_joined(scores=[0.2, 0.6, 0.9], labels=[0.25, 0.5, 1.0])
    hard = make_joined(
        scores=[0.2, 0.2, 0.6, 0.6, 0.9, 0.9],
        labels=[1.0, 0.0] * 3,
        columns={"w": [0.25, 0.75, 0.5, 0.5, 1.0, 0.0]},
    )
    for name in (
        "recall",
        "precision",
        "specificity",
        "accuracy",
        "f1",
        "brier",
        "log_loss",
        "base_rate",
        "roc_auc",
        "mcb",
        "dsc",
        "ece",
    ):
        assert one(soft, name)["value"] == pytest.approx(one(hard, name, weights="w")["value"], abs=1e-12), name


def test_frame_has_constant_columns_and_a_repeatable_id() -> None:
    joined = random_joined(100)
    frame = metrics(joined, ["recall", "roc_auc"], by="group", every="1w")
    assert frame.columns == ["group", *ESTIMATE_COLUMNS]
    again = metrics(joined, ["recall", "roc_auc"], by="group", every="1w")
    assert frame.equals(again)
    assert frame["evaluation_id"].n_unique() == 1
    other = metrics(joined, ["recall", "roc_auc"], by="group", every="1d")
    assert other["evaluation_id"][0] != frame["evaluation_id"][0]


def test_margins_have_an_order_but_no_brier_score() -> None:
    joined = random_joined(200, seed=9)
    contract = joined.contract.model_copy(
        update={"predictions": joined.contract.predictions.model_copy(update={"score_kind": "margin"})}
    )
    frame = metrics(FakeJoined(frame=joined.frame, contract=contract, as_of=joined.as_of), ["roc_auc", "brier", "ece"])
    assert frame["reason"].to_list() == [None, "scores are not probabilities", "scores are not probabilities"]
    assert frame["value"].is_null().to_list() == [False, True, True]


def test_regression_labels_have_errors_but_no_recall() -> None:
    joined = make_joined(scores=[1.0, 2.0, 4.0], labels=[1.5, 2.0, 2.0], task="regression")
    got = metrics(joined, ["mae", "rmse", "bias"])
    np.testing.assert_allclose(got["value"], [2.5 / 3, (4.25 / 3) ** 0.5, 0.5])
    with pytest.raises(ArgumentError, match="no metric 'recall' for a regression model"):
        metrics(joined, "recall")


@pytest.mark.parametrize(
    ("call", "message"),
    [
        ({"names": "recal"}, "did you mean 'recall'"),
        ({"names": []}, "no metric was asked for"),
        ({"names": "recall", "by": "regio"}, "did you mean 'region'"),
        ({"names": "recall", "every": "2d"}, "unknown time grain"),
        ({"names": "recall", "stage": "young"}, "unknown stage"),
        ({"names": "recall", "level": 95}, "between 0 and 1"),
        ({"names": "recall", "weights": "nothing"}, "weight column does not exist"),
        ({"names": "recall", "weights": "region"}, "weights must be finite"),
        ({"names": "recall", "by": "value"}, "named like a result column"),
    ],
)
def test_a_wrong_call_says_what_and_what_next(call: dict, message: str) -> None:
    joined = random_joined(50)
    extended = FakeJoined(
        frame=joined.frame.with_columns(pl.lit("x").alias("value")), contract=joined.contract, as_of=joined.as_of
    )
    with pytest.raises(ArgumentError, match=message):
        metrics(extended, call.pop("names"), **call)
