"""Found slices: the planted one and no other, the published example, the rows' own numbers, nothing out of nothing."""

from datetime import timedelta
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest

from fbkit.errors import ArgumentError
from fbkit.measure.metrics import metrics
from fbkit.measure.slice_search import find_slices
from fbkit.measure.slicing import slice_examine
from fbkit.measure.slicing.slice_frame import SEARCH_COLUMNS
from fbkit.measure.user import Metric
from fbkit.schema.contract import Contract
from fbkit.schema.period import Comparison
from fbkit.testing.frames import CONTRACT, START, FakeJoined, make_joined

ORACLE = Path(__file__).parents[2] / "data" / "oracles" / "sliceline_20.csv"
AS_OF = START + timedelta(days=60)
# Rows are 10 to 38 days old, the last of these weeks is the current one.
WEEKS = Comparison(reference="2026-03-24..2026-04-14", current="2026-04-14..2026-04-21")
COLUMNS = ["a", "b", "c"]


def world(
    seed: int,
    *,
    n: int = 8000,
    bad: dict[str, str] | None = None,
    always: bool = False,
    missed: float = 0.6,
    repeat: int | None = None,
) -> FakeJoined:
    """Predictions that miss a fifth of the positives; more in the ``bad`` slice, in the last week or always."""
    rng = np.random.default_rng(seed)
    who = np.arange(n) if repeat is None else rng.integers(0, n // repeat, n)
    columns = {
        name: np.array([f"{name}{v}" for v in rng.integers(0, k, n)]) for name, k in zip("abc", (3, 4, 6), strict=True)
    }
    ages = rng.uniform(10, 38, n)
    inside = np.full(n, bad is not None) & (always | (ages < 17))
    for name, value in (bad or {}).items():
        inside &= columns[name] == value
    rate = np.where(inside, missed, 0.2)
    if repeat is not None:
        rate = rng.beta(0.4, 1.6, n)[who]
        columns = {name: values[who] for name, values in columns.items()}
    positive = rng.random(n) < 0.4
    flag = np.where(positive, rng.random(n) > rate, rng.random(n) < 0.15)
    return make_joined(
        scores=np.where(flag, rng.uniform(0.5, 1, n), rng.uniform(0, 0.5, n)).tolist(),
        labels=positive.astype(float).tolist(),
        ages=ages.tolist(),
        entities=None if repeat is None else [f"e{code}" for code in who],
        columns={name: values.tolist() for name, values in columns.items()} | {"x": rng.normal(size=n).tolist()},
        as_of=AS_OF,
    )


def test_the_published_example() -> None:
    """The loss is the error of the published table: score 0, label = error, squared."""
    data = pl.read_csv(ORACLE)
    joined = make_joined(
        scores=[0.0] * 20,
        labels=data["error"].cast(pl.Float64).to_list(),
        columns={f"col{i}": data[f"col{i}"].cast(pl.String) for i in (1, 2, 3)},
    )
    frame = find_slices(joined, metric="brier", columns=["col1", "col2", "col3"], minimum=1, alpha=0.95)
    first = frame.row(0, named=True)
    assert (first["slice"], first["stands_out"], first["n"]) == ("col1 = 1 and col2 = 1", True, 10)
    assert (first["score"], first["value"], first["rest"], first["contribution"]) == pytest.approx((0.9, 1, 0, 0.5))


@pytest.mark.parametrize("bad", [{"a": "a1"}, {"a": "a1", "b": "b2"}, {"b": "b0", "c": "c3"}])
def test_the_planted_slice_is_found_and_nothing_that_only_repeats_it(bad: dict[str, str]) -> None:
    planted = " and ".join(f"{name} = {value}" for name, value in bad.items())
    for comparison, always in ((None, True), (WEEKS, False)):
        frame = find_slices(world(1, n=16_000, bad=bad, always=always), comparison, metric="recall", columns=COLUMNS)
        assert frame["slice"].to_list() == [planted]
        assert frame["stands_out"].to_list() == [True]


def test_two_planted_slices_are_both_found() -> None:
    joined = world(2, n=20_000, bad={"a": "a0", "b": "b0"}, always=True)
    flagged = pl.when((pl.col("c") == "c5") & (pl.col("label") == 1)).then(pl.col("score") > 0.8).otherwise("flagged")
    again = FakeJoined(frame=joined.frame.with_columns(flagged=flagged), contract=joined.contract, as_of=AS_OF)
    frame = find_slices(again, metric="recall", columns=COLUMNS)
    assert set(frame["slice"]) == {"a = a0 and b = b0", "c = c5"}


def test_a_condition_that_adds_inside_a_bad_slice_is_told_beside_it() -> None:
    joined = world(3, n=30_000, bad={"a": "a1"}, always=True, missed=0.4)
    worse = (pl.col("a") == "a1") & (pl.col("b") == "b1") & (pl.col("label") == 1) & (pl.col("score") < 0.85)
    frame = joined.frame.with_columns(flagged=pl.when(worse).then(pl.lit(value=False)).otherwise("flagged"))
    found = find_slices(
        FakeJoined(frame=frame, contract=joined.contract, as_of=AS_OF), metric="recall", columns=COLUMNS
    )
    assert set(found["slice"]) == {"a = a1", "a = a1 and b = b1"}


def test_a_column_that_says_the_same_twice_is_told_once() -> None:
    joined = world(4, n=16_000, bad={"a": "a1"}, always=True)
    twin = joined.frame.with_columns(twin=pl.col("a").str.replace("a", "t"))
    again = FakeJoined(frame=twin, contract=joined.contract, as_of=AS_OF)
    assert find_slices(again, metric="recall", columns=["a", "twin", "c"]).height == 1


def test_its_numbers_are_those_of_the_rows() -> None:
    joined = world(1, n=16_000, bad={"a": "a1", "b": "b2"})
    row = find_slices(joined, WEEKS, metric="recall", columns=COLUMNS, minimum=5).row(0, named=True)
    inside = (pl.col("a") == "a1") & (pl.col("b") == "b2")

    def recall(period: str, where: pl.Expr | None) -> dict[str, Any]:
        return metrics(joined, "recall", period=period, where=where).row(0, named=True)

    now, then = "2026-04-14..2026-04-21", "2026-03-24..2026-04-14"
    mine, rest, whole = (recall(now, where) for where in (inside, ~inside, None))
    mine_then, rest_then, whole_then = (recall(then, where) for where in (inside, ~inside, None))
    copied = ("value", "lower", "upper", "bound_lower", "bound_upper", "n", "n_labelled", "stage", "period_start")
    assert {name: row[name] for name in copied} == {name: mine[name] for name in copied}
    others = {"rest": rest, "overall": whole, "reference": mine_then, "reference_rest": rest_then}
    others["reference_overall"] = whole_then
    assert {name: row[name] for name in others} == pytest.approx({k: v["value"] for k, v in others.items()}, abs=1e-12)
    effect = (mine["value"] - rest["value"]) - (mine_then["value"] - rest_then["value"])
    added = (whole["value"] - rest["value"]) - (whole_then["value"] - rest_then["value"])
    assert (row["effect"], row["contribution"]) == pytest.approx((effect, added), abs=1e-12)
    assert row["effect_lower"] < effect < row["shrunken"] < 0
    assert row["contribution_lower"] < added < row["contribution_upper"] < 0
    positives = joined.frame.filter(pl.col("ts_pred") >= row["period_start"])
    positives = positives.filter((pl.col("label") == 1) & (pl.col("ts_pred") < row["period_end"]))
    assert row["share"] == pytest.approx(positives.filter(inside).height / positives.height)
    assert row["n_tested"] == 3 + 4 + 6 + 12 + 18 + 24 + 72
    assert row["n_tested"] == int(row["method"].split(" tested")[0].split(", ")[-1])


@pytest.mark.parametrize("metric", ["precision", "accuracy", "specificity", "f1", "brier", "log_loss", "availability"])
@pytest.mark.parametrize("comparison", [None, WEEKS])
def test_every_ratio_can_be_searched(metric: str, comparison: Comparison | None) -> None:
    frame = find_slices(
        world(5, n=3000, bad={"a": "a1"}), comparison, metric=metric, columns=COLUMNS, depth=2, keep_unclear=True
    )
    assert frame.columns == [*SEARCH_COLUMNS, "evaluation_id"]
    assert frame["metric"].unique().to_list() == [metric]
    known = frame.filter(pl.col("slice").is_not_null() & pl.col("value").is_not_null())
    lower_is_better = metric in ("brier", "log_loss")
    assert (known["contribution"] * (1 if lower_is_better else -1) >= 0).all()
    assert not any(frame.select(pl.col(pl.Float64).is_nan().any()).row(0))


def test_numbers_of_a_users_own_metric_and_of_a_regression() -> None:
    joined = world(6, n=4000)
    cost = joined.frame.with_columns(cost=pl.when(pl.col("c") == "c2").then(3.0).otherwise(1.0) + pl.col("score"))
    again = FakeJoined(frame=cost, contract=joined.contract, as_of=AS_OF)
    own = Metric(name="cost", needs="rows", fn=pl.col("cost"), better="lower")
    assert find_slices(again, metric=own, columns=COLUMNS)["slice"].to_list() == ["c = c2"]
    dear = Metric(name="cost", needs="rows", fn=pl.col("cost"), better="higher")
    assert "c = c2" not in find_slices(again, metric=dear, columns=COLUMNS)["slice"].to_list()
    assert find_slices(again, metric=dear, columns=COLUMNS, worse="higher")["slice"].to_list() == ["c = c2"]
    wrong = joined.frame.with_columns(label=pl.col("score") + pl.when(pl.col("a") == "a2").then(5.0).otherwise(1.0))
    regression = FakeJoined(frame=wrong, contract=Contract.from_toml(CONTRACT.format(task="regression")), as_of=AS_OF)
    assert find_slices(regression, metric="mae", columns=COLUMNS)["slice"][0] == "a = a2"
    assert find_slices(regression, metric="bias", columns=COLUMNS, worse="lower")["slice"][0] == "a = a2"
    assert find_slices(regression, metric="bias", columns=COLUMNS, worse="higher")["slice"][0] != "a = a2"


def test_a_slice_that_is_new_is_found_though_it_has_no_past() -> None:
    joined = world(16, n=16_000)
    new = (pl.col("ts_pred") >= pl.lit(AS_OF - timedelta(days=17))) & (pl.col("x") > 1)
    frame = joined.frame.with_columns(
        a=pl.when(new).then(pl.lit("new")).otherwise("a"), flagged=pl.col("flagged") & ~(new & (pl.col("score") < 0.8))
    )
    again = FakeJoined(frame=frame, contract=joined.contract, as_of=AS_OF)
    row = find_slices(again, WEEKS, metric="recall", columns=COLUMNS).row(0, named=True)
    assert (row["slice"], row["reference"], row["effect"], row["shrunken"]) == ("a = new", None, None, None)
    assert row["contribution_upper"] < 0
    assert row["reference_overall"] == row["reference_rest"]


def test_by_default_the_contracts_slices_and_features_are_searched_and_nothing_personal() -> None:
    joined = world(17, n=2000)
    text = CONTRACT.format(task="binary") + (
        '[slices]\ncolumns = ["a", "b"]\n[features]\ncolumns = ["x", "c", "gone"]\n[privacy]\npersonal = ["c"]\n'
    )
    named = FakeJoined(frame=joined.frame, contract=Contract.from_toml(text), as_of=AS_OF)
    method = find_slices(named, depth=1, minimum=1)["method"][0]
    assert method == find_slices(named, columns=["a", "b", "x", "model_version"], depth=1, minimum=1)["method"][0]


def test_null_is_a_value_and_numbers_are_bins() -> None:
    joined = world(7, n=12_000, bad={"a": "a1"}, always=True)
    lost = joined.frame.with_columns(a=pl.when(pl.col("a") != "a1").then("a"))
    again = FakeJoined(frame=lost, contract=joined.contract, as_of=AS_OF)
    row = find_slices(again, metric="recall", columns=["a", "b"]).row(0, named=True)
    assert (row["slice"], row["conditions"]) == ("a = (no value)", [{"column": "a", "value": None, "bin": False}])
    high = joined.frame.with_columns(flagged=pl.col("flagged") & (pl.col("x") < 1))
    frame = find_slices(
        FakeJoined(frame=high, contract=joined.contract, as_of=AS_OF),
        metric="recall",
        columns=["b", "x"],
        bins={"x": [0, 1]},
    )
    assert frame["slice"].to_list() == ["x = 1 or more"]
    assert frame["conditions"].to_list() == [[{"column": "x", "value": "1 or more", "bin": True}]]


def test_where_nothing_is_there_is_one_line_that_says_so() -> None:
    joined = world(8)
    frame = find_slices(joined, WEEKS, metric="recall", columns=COLUMNS)
    row = frame.row(0, named=True)
    assert (frame.height, row["slice"], row["stands_out"]) == (1, None, None)
    assert row["reason"] == f"no slice stands out among {row['n_tested']} tested"
    assert row["value"] == metrics(joined, "recall", period="2026-04-14..2026-04-21")["value"][0]
    filled = find_slices(joined, WEEKS, metric="recall", columns=COLUMNS, keep_unclear=True, k=4)
    assert filled["reason"].to_list()[1:] == ["not told apart from chance"] * 4
    assert filled["stands_out"].to_list() == [None, *[False] * 4]
    assert filled["rank"].to_list() == [None, 1, 2, 3, 4]


@pytest.mark.parametrize(
    ("labels", "period", "reason"),
    [
        ([None] * 40, None, "no labelled rows"),
        ([0.0] * 40, None, "no positives"),
        ([1.0] * 40, "2020-01-01..2020-01-02", "no predictions"),
        ([1.0] * 40, None, "every slice has too few rows"),
    ],
)
def test_where_nothing_can_be_said_the_reason_is(labels: list[float | None], period: str | None, reason: str) -> None:
    joined = make_joined(scores=[0.9, 0.1] * 20, labels=labels, columns={"a": ["u", "v"] * 20})
    frame = find_slices(joined, metric="recall", columns="a", period=period, minimum=30)
    assert frame["reason"].to_list() == [reason]
    assert frame["slice"].to_list() == [None]


@pytest.mark.parametrize("repeat", [None, 6])
@pytest.mark.parametrize("metric", ["recall", "brier"])
def test_chance_alone_rarely_makes_a_slice_stand_out(metric: str, repeat: int | None) -> None:
    """At most 5 % of worlds without a bad slice; also where entities repeat and have rates of their own."""
    hits = 0
    for seed in range(30):
        joined = world(100 + seed, n=2500, repeat=repeat)
        for comparison in (None, WEEKS):
            frame = find_slices(joined, comparison, metric=metric, columns=COLUMNS)
            hits += frame["slice"][0] is not None
    assert hits <= 3


def test_repeated_entities_make_slices_less_sure() -> None:
    joined = world(9, n=12_000, repeat=60)
    apart = FakeJoined(
        frame=joined.frame.with_columns(entity=pl.lit(None, dtype=pl.String)), contract=joined.contract, as_of=AS_OF
    )
    how: dict[str, Any] = {"metric": "recall", "columns": COLUMNS, "keep_unclear": True, "k": 3}
    together, alone = find_slices(joined, **how), find_slices(apart, **how)
    assert together["slice"][0] is None
    assert alone["slice"][0] is not None
    shared = together.drop_nulls("slice").join(alone.drop_nulls("slice"), on="slice")
    assert shared.height
    assert (shared["p_value"] > shared["p_value_right"]).all()


def test_a_slice_found_on_one_half_is_measured_on_the_other() -> None:
    joined = world(10, n=24_000, bad={"a": "a1", "b": "b2"})
    both = find_slices(joined, WEEKS, metric="recall", columns=COLUMNS).row(0, named=True)
    half = find_slices(joined, WEEKS, metric="recall", columns=COLUMNS, confirm=True).row(0, named=True)
    assert half["slice"] == both["slice"]
    assert 0.4 < half["n"] / both["n"] < 0.6
    assert half["shrunken"] == half["effect"]
    assert "Holm on the other half" in half["method"]


def test_what_is_not_confirmed_is_not_claimed(monkeypatch: pytest.MonkeyPatch) -> None:
    """With chance taken for certain, the search finds something; the other half does not."""
    monkeypatch.setattr(slice_examine, "benjamini_hochberg", lambda p: p / 50)
    frame = find_slices(world(11, n=3000), metric="recall", columns=COLUMNS, confirm=True, keep_unclear=True)
    assert frame["reason"][0].startswith("no slice stands out: none of ")
    assert "not confirmed on the other half" in frame["reason"].to_list()


def test_row_order_and_thread_count_do_not_matter() -> None:
    joined = world(12, n=6000, bad={"a": "a1"})
    mixed = FakeJoined(
        frame=joined.frame.sample(fraction=1, shuffle=True, seed=3), contract=joined.contract, as_of=AS_OF
    )
    how: dict[str, Any] = {"metric": "recall", "columns": COLUMNS, "keep_unclear": True}
    assert find_slices(joined, WEEKS, **how).equals(find_slices(mixed, WEEKS, **how))


def test_a_weight_of_two_is_a_row_twice() -> None:
    joined = world(13, n=4000, bad={"a": "a1"}, always=True)
    weighted = FakeJoined(frame=joined.frame.with_columns(w=pl.lit(2.0)), contract=joined.contract, as_of=AS_OF)
    one = find_slices(joined, metric="recall", columns=COLUMNS).row(0, named=True)
    two = find_slices(weighted, metric="recall", columns=COLUMNS, weights="w").row(0, named=True)
    same = ("slice", "value", "rest", "effect", "contribution", "share")
    assert {name: two[name] for name in same} == pytest.approx({name: one[name] for name in same})


def test_too_many_slices_are_searched_by_score_or_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    joined = world(14, n=16_000, bad={"a": "a1", "b": "b2"}, always=True)
    full = find_slices(joined, metric="recall", columns=COLUMNS, alpha=0.95).row(0, named=True)
    monkeypatch.setattr(slice_examine, "MOST_SLICES", 50)
    pruned = find_slices(joined, metric="recall", columns=COLUMNS, alpha=0.95).row(0, named=True)
    same = ("slice", "score", "value", "effect", "contribution", "p_value")
    assert {name: pruned[name] for name in same} == pytest.approx({name: full[name] for name in same})
    assert pruned["n_tested"] == 139
    with pytest.raises(ArgumentError, match="too many slices"):
        find_slices(joined, metric="recall", columns=COLUMNS)


@pytest.mark.parametrize(
    ("how", "said"),
    [
        ({"metric": "roc_auc"}, "no ratio of sums"),
        ({"metric": "bias"}, "either direction"),
        ({"columns": "nowhere"}, "does not exist"),
        ({"columns": None}, "no column to search"),
        ({"columns": "ts_pred"}, "a time is no slice"),
        ({"depth": 4}, "depth is out of range"),
        ({"k": 0}, "k is out of range"),
        ({"minimum": 0}, "minimum is out of range"),
        ({"alpha": 0.0}, "alpha is out of range"),
        ({"level": 1.0}, "level of an interval"),
        ({"period": "2026-04-14..2026-04-21", "comparison": WEEKS}, "its own periods"),
    ],
)
def test_wrong_questions_are_told(how: dict[str, Any], said: str) -> None:
    asked: dict[str, Any] = {"metric": "recall", "columns": COLUMNS} | how
    with pytest.raises(ArgumentError, match=said) as told:
        find_slices(world(15, n=200), **asked)
    assert told.value.next_step or told.value.allowed
