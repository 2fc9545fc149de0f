"""A team's own measures against the kit's, against libraries and by hand."""

from datetime import timedelta

import numpy as np
import polars as pl
import pytest

from fbkit.errors import ArgumentError
from fbkit.measure.metrics import metrics
from fbkit.measure.user import Counts, Metric
from fbkit.testing.frames import FakeJoined, make_joined, random_joined

NUMBERS = ["value", "lower", "upper", "n", "n_labelled"]


def one(joined: FakeJoined, metric: Metric | str, **call: object) -> dict[str, object]:
    return metrics(joined, metric, **call).row(0, named=True)


def error() -> Metric:
    return Metric(name="own_bias", needs="rows", fn=pl.col("score") - pl.col("label"))


@pytest.mark.parametrize("entities", [None, 60])
def test_a_mean_over_rows_is_measured_as_the_kits_own_mean(entities: int | None) -> None:
    joined = random_joined(800, seed=3, entities=entities)
    own, kit = (metrics(joined, name, by="group", every="1w") for name in (error(), "bias"))
    for name in NUMBERS:
        np.testing.assert_allclose(own[name].to_numpy(), kit[name].to_numpy(), rtol=1e-12)
    assert own["method"].to_list() == kit["method"].to_list()


def test_a_mean_of_the_label_knows_what_the_stage_knew() -> None:
    joined = make_joined(
        scores=[0.5] * 4, labels=[1.0, 0.0, 1.0, None], ages=[30.0] * 4, arrival_days=[1.0, 2.0, 6.0, None]
    )
    label = Metric(name="own_rate", needs="rows", fn=pl.col("label"))
    for stage in ("provisional@1d", "provisional@3d", "final"):
        assert one(joined, label, stage=stage)["value"] == one(joined, "base_rate", stage=stage)["value"]
    assert one(joined, label, stage="provisional@1d")["n_labelled"] == 1


def test_values_that_are_null_or_not_finite_are_left_out_of_the_mean() -> None:
    joined = make_joined(
        scores=[0.1, 0.2, 0.3, 0.4], labels=[1.0, 0.0, None, 1.0], columns={"amount": [10.0, None, 30.0, float("nan")]}
    )
    got = one(joined, Metric(name="amount", needs="rows", fn=pl.col("amount")))
    assert got["value"] == 20.0
    labelled = one(joined, Metric(name="won", needs="rows", fn=pl.col("amount") * pl.col("label")))
    assert labelled["value"] == 10.0


def test_weights_of_two_are_two_rows() -> None:
    joined = random_joined(200, seed=5, missing=0)
    doubled = FakeJoined(frame=pl.concat([joined.frame] * 2), contract=joined.contract, as_of=joined.as_of)
    weighted = FakeJoined(
        frame=joined.frame.with_columns(pl.lit(2.0).alias("w")), contract=joined.contract, as_of=joined.as_of
    )
    own = (
        error(),
        Metric(name="precision_", needs="counts", fn=lambda c: c.tp / (c.tp + c.fp)),
        Metric(name="share", needs="bins", fn=lambda b: b["positives"].sum() / b["n"].sum()),
        Metric(name="mean", needs="rows", fn=lambda r: (r["label"] * r["weight"]).sum() / r["weight"].sum()),
    )
    for metric in own:
        twice, heavy = one(doubled, metric, stage="any"), one(weighted, metric, stage="any", weights="w")
        assert twice["value"] == pytest.approx(heavy["value"], rel=1e-12)


def test_a_function_of_counts_equals_the_kits_recall_and_its_delta_interval_the_formula() -> None:
    joined = random_joined(3000, seed=7)
    own = one(joined, Metric(name="own_recall", needs="counts", fn=lambda c: c.tp / (c.tp + c.fn)))
    kit = one(joined, "recall")
    assert own["value"] == pytest.approx(kit["value"], abs=1e-12)
    rows = joined.frame.filter(pl.col("mature") & (pl.col("label") == 1))
    error = np.sqrt(own["value"] * (1 - own["value"]) / rows.height)
    assert (own["upper"] - own["lower"]) / 2 == pytest.approx(1.96 * error, rel=0.01)
    assert own["method"] == "delta method"


def test_counts_hold_what_is_not_labelled_by_decision() -> None:
    joined = make_joined(
        scores=[0.9, 0.9, 0.1, 0.1, 0.9, 0.1, 0.3],
        labels=[1.0, 0.0, 1.0, 0.0, None, None, None],
        flags=[True, True, False, False, True, False, None],
    )
    seen: list[Counts] = []
    one(joined, Metric(name="look", needs="counts", fn=lambda c: seen.append(c) or 1.0))
    assert seen[0] == Counts(tp=1, fp=1, fn=1, tn=1, unlabelled_flagged=1, unlabelled_unflagged=1)


def test_a_function_of_counts_is_clustered_where_entities_repeat() -> None:
    plain = random_joined(600, seed=9, missing=0)
    fivefold = pl.concat([plain.frame] * 5).with_columns(
        pl.Series("entity", [f"e{i}" for i in range(600)] * 5), pl.Series("prediction_id", range(3000)).cast(pl.String)
    )
    repeated = FakeJoined(frame=fivefold, contract=plain.contract, as_of=plain.as_of)
    metric = Metric(name="missed", needs="counts", fn=lambda c: c.fn / (c.tp + c.fp + c.fn + c.tn))
    once, often = one(plain, metric, stage="any"), one(repeated, metric, stage="any")
    assert often["value"] == pytest.approx(once["value"], rel=1e-12)
    assert often["upper"] - often["lower"] == pytest.approx(once["upper"] - once["lower"], rel=1e-9)
    assert often["method"] == "cluster-robust (entity), delta method"


def test_a_function_of_rows_is_what_scikit_learn_says_with_a_bootstrap_interval_about_it() -> None:
    from sklearn.metrics import roc_auc_score

    joined = random_joined(400, seed=11)
    metric = Metric(name="own_auc", needs="rows", fn=lambda rows: roc_auc_score(rows["label"], rows["score"]))
    own, kit = one(joined, metric), one(joined, "roc_auc")
    assert own["value"] == pytest.approx(kit["value"], abs=1e-12)
    assert own["upper"] - own["lower"] == pytest.approx(kit["upper"] - kit["lower"], rel=0.25)
    assert own == one(joined, metric)


def test_a_function_of_bins_sees_every_labelled_row_once() -> None:
    joined = random_joined(500, seed=13)
    metric = Metric(name="rate", needs="bins", fn=lambda bins: bins["positives"].sum() / bins["n"].sum())
    own, kit = one(joined, metric), one(joined, "base_rate")
    assert own["value"] == pytest.approx(kit["value"], abs=1e-12)
    assert own["upper"] - own["lower"] == pytest.approx(kit["upper"] - kit["lower"], rel=0.2)


def test_the_tail_of_totals_per_session_is_the_numpy_quantile_of_a_loop() -> None:
    rng = np.random.default_rng(3)
    session = [f"s{code}" for code in rng.integers(0, 150, 600)]
    joined = make_joined(
        scores=rng.gamma(2, 10, 600).tolist(),
        labels=rng.gamma(2, 10, 600).tolist(),
        columns={"session_id": session, "version": ["a" if i % 3 else "b" for i in range(600)]},
        task="regression",
    )
    metric = Metric(
        name="session_error_p95",
        needs="rows",
        fn=pl.col("score") - pl.col("label"),
        per="session_id",
        aggregate="p95",
        absolute=True,
    )
    got = metrics(joined, metric, by="version")
    for row in got.iter_rows(named=True):
        totals: dict[str, float] = {}
        for line in joined.frame.filter(version=row["version"]).iter_rows(named=True):
            totals[line["session_id"]] = totals.get(line["session_id"], 0.0) + line["score"] - line["label"]
        ordered = sorted(abs(total) for total in totals.values())
        assert (
            ordered[int(0.94 * len(ordered))]
            <= row["value"]
            <= ordered[min(int(0.96 * len(ordered)), len(ordered) - 1)]
        )
        assert row["lower"] <= row["value"] <= row["upper"]


def test_not_a_number_is_null_beside_a_reason() -> None:
    joined = make_joined(scores=[0.1, 0.2], labels=[0.0, 0.0])
    for metric in (
        Metric(name="nothing", needs="counts", fn=lambda c: c.tp / (c.tp + c.fn)),
        Metric(name="nothing", needs="rows", fn=lambda rows: None),
        Metric(name="nothing", needs="bins", fn=lambda bins: float("inf")),
    ):
        got = one(joined, metric)
        assert got["value"] is None
        assert got["reason"] == "no number came back"


def test_a_column_that_is_not_there_is_a_reason() -> None:
    joined = random_joined(20)
    got = one(joined, Metric(name="own", needs="rows", fn=pl.col("amount") * pl.col("score")))
    assert (got["value"], got["reason"], got["n"]) == (None, "no column amount", metrics(joined, "base_rate")["n"][0])


def test_where_keeps_what_a_filter_keeps() -> None:
    joined = random_joined(300, seed=15)
    kept = FakeJoined(frame=joined.frame.filter(pl.col("group") == "g1"), contract=joined.contract, as_of=joined.as_of)
    period = (joined.as_of - timedelta(days=40), joined.as_of)
    text = f"{period[0]:%Y-%m-%d}..{period[1]:%Y-%m-%d}"
    asked = metrics(joined, ["recall", "roc_auc"], where=pl.col("group") == "g1", period=text)
    direct = metrics(kept, ["recall", "roc_auc"], period=text)
    assert asked.drop("evaluation_id").equals(direct.drop("evaluation_id"))
    assert asked["evaluation_id"][0] != direct["evaluation_id"][0]


@pytest.mark.parametrize("where", [pl.col("nowhere") == 1, pl.col("score"), "score > 1"])
def test_a_condition_that_is_none_is_refused(where: object) -> None:
    with pytest.raises(ArgumentError, match="condition"):
        metrics(random_joined(20), "recall", where=where)


def test_another_function_is_another_question() -> None:
    joined = random_joined(50)
    functions = (lambda c: c.tp / 2, lambda c: c.tp / 3, pl.col("score"), pl.col("score") * 2)
    ids = [
        one(joined, Metric(name="own", needs="rows" if isinstance(fn, pl.Expr) else "counts", fn=fn))["evaluation_id"]
        for fn in functions
    ]
    assert len(set(ids)) == 4


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"name": "Bad name"}, "plain word"),
        ({"fn": 3}, "expression or a function"),
        ({"needs": "counts"}, "does not fit"),
        ({"fn": len, "per": "session_id"}, "does not fit"),
    ],
)
def test_what_is_no_metric_is_refused(wrong: dict[str, object], said: str) -> None:
    with pytest.raises(ArgumentError, match=said):
        Metric(**({"name": "own", "needs": "rows", "fn": pl.col("score")} | wrong))


def test_a_function_that_fails_is_named() -> None:
    with pytest.raises(ArgumentError, match="metric broken failed") as caught:
        metrics(random_joined(20), Metric(name="broken", needs="rows", fn=lambda rows: rows["nothing"].sum()))
    assert "nothing" in str(caught.value)
