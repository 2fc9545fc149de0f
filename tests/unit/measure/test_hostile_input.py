"""Whatever the rows and the keywords: an answer without NaN and with reasons, or an error that a person can act on."""

from collections.abc import Callable, Mapping
from dataclasses import replace
from inspect import signature
from typing import Any, Final

import numpy as np
import polars as pl
import pytest

import fbkit as fb
from fbkit.errors import ArgumentError, FbkitError
from fbkit.measure.arguments import checked
from fbkit.measure.registry import metric_names
from fbkit.schema.protocols import JoinedLike
from fbkit.testing.frames import FakeJoined, make_joined, random_joined

FIT, JUDGE = "2026-03-15..2026-04-01", "2026-04-01..2026-04-23"
MOVED: Final = fb.Comparison(reference=FIT, current=JUDGE)
N: Final = 42
NAMES: Final = [
    name.replace("@k", "@10")
    for name in metric_names(task="binary")
    if not name.endswith(("_debiased", "_null_95", "_p_value"))
]
QUESTIONS: Final[Mapping[str, Callable[[Any], Any]]] = {
    "metrics": lambda j: fb.metrics(j, NAMES, by="group", every="1w", stage="any"),
    "biased": lambda j: fb.metrics(j, ["mcb_debiased", "ece_p_value", "ks_classes_null_95"], by="group"),
    "early": lambda j: fb.metrics(j, NAMES, stage="provisional@3d"),
    "availability": lambda j: fb.availability(j, by="group", every="1w"),
    "label_lag": lambda j: fb.label_lag(j, by="group"),
    "calibration": lambda j: fb.calibration(j, by="group"),
    "calibration_summary": lambda j: fb.calibration_summary(j, by="group", draws=20),
    "threshold_curve": lambda j: fb.threshold_curve(j, points=7),
    "truth_bands": lambda j: fb.truth_bands(j, ["recall", "roc_auc", "brier"], by="group", reach=0.8),
    "recalibrate": lambda j: fb.recalibrate(j, fit=FIT, judge=JUDGE).table,
    "choose_threshold": lambda j: fb.choose_threshold(j, fit=FIT, judge=JUDGE, at_least=0.4),
    "compare_versions": lambda j: fb.compare_versions(j, ["recall", "roc_auc", "brier"], champion="a", challenger="b"),
    "drift": lambda j: fb.drift(j, MOVED, columns=["score", "group"], every="1w"),
    "drift_bins": lambda j: fb.drift_bins(j, MOVED, column="score"),
    "volume": lambda j: fb.volume(j, by="group"),
    "slice_gaps": lambda j: fb.slice_gaps(j, ["recall", "roc_auc"], by="group", draws=20),
    "find_slices": lambda j: fb.find_slices(j, columns=["group"]),
    "proxy_fidelity": lambda j: fb.proxy_fidelity(j, proxy=j),
}


def world(**columns: Any) -> FakeJoined:
    rng = np.random.default_rng(3)
    given: dict[str, Any] = {
        "scores": np.round(rng.random(N), 2).tolist(),
        "labels": (rng.random(N) < 0.4).astype(float).tolist(),
        "ages": np.linspace(2, 44, N).tolist(),
        "columns": {"group": [f"g{i % 2}" for i in range(N)]},
    }
    made = make_joined(**(given | columns))
    versions = pl.Series("model_version", ["ab"[i % 2] for i in range(made.frame.height)], dtype=pl.String)
    return replace(made, frame=made.frame.with_columns(versions))


WORLDS: Final[Mapping[str, Callable[[], FakeJoined]]] = {
    "no rows": lambda: world(scores=[], labels=[], ages=[], columns={"group": pl.Series([], dtype=pl.String)}),
    "one row": lambda: world(scores=[0.3], labels=[1.0], ages=[20.0], columns={"group": [None]}),
    "no labels": lambda: world(labels=[None] * N),
    "censored": lambda: world(labels=[None] * N, states=["censored"] * N),
    "one class": lambda: world(labels=[1.0] * N),
    "parts of labels": lambda: world(labels=[0.3 if i % 3 else 1.0 for i in range(N)]),
    "at the threshold": lambda: world(scores=[0.5] * N),
    "numbers too small": lambda: world(scores=[5e-324 * (i + 1) for i in range(N)]),
    "undecided": lambda: world(flags=[None] * N),
    "hostile text": lambda: world(
        columns={"group": ["<script>", "=cmd()", "a\nb\0c", "x" * 10_000, "", None, "null"] * 6}
    ),
    "one entity": lambda: world(entities=["e"] * N),
    "half of the entities": lambda: world(entities=["e" if i % 2 else None for i in range(N)]),
}


def assert_told(frame: pl.DataFrame) -> None:
    """No number that is none, no gap without a reason, and the parts of a line in their order."""
    for name, column in frame.to_dict().items():
        if column.dtype.is_float():
            assert column.is_finite().all(), name
    assert frame["evaluation_id"].null_count() == 0
    assert frame["evaluation_id"].n_unique() <= 1
    if {"value", "reason"} <= set(frame.columns):
        assert frame.filter(pl.col("value").is_null() & pl.col("reason").is_null()).is_empty()
    if {"metric", "value"} <= set(frame.columns):
        # A debiased value may fall below 0, where its interval ends.
        value = pl.when(pl.col("metric").str.ends_with("_debiased")).then(pl.max_horizontal("value", 0.0))
        checked_value = value.otherwise(pl.col("value"))
        for low, high in (("lower", "upper"), ("bound_lower", "bound_upper")):
            if low in frame.columns:
                wrong = frame.filter((pl.col(low) > checked_value + 1e-12) | (checked_value > pl.col(high) + 1e-12))
                assert wrong.is_empty(), wrong


@pytest.mark.parametrize("question", QUESTIONS)
@pytest.mark.parametrize("name", WORLDS)
def test_every_question_about_odd_rows_is_answered_or_refused_in_words(name: str, question: str) -> None:
    joined = WORLDS[name]()
    before = joined.frame.clone()
    try:
        frame = QUESTIONS[question](joined)
    except FbkitError as refused:
        told = bool(refused.next_step or refused.allowed)
    else:
        told = True
        assert_told(frame)
    assert told
    assert joined.frame.equals(before)


WRONG: Final = [0.5j, object(), b"x", {"a": 1}, {"group"}, [None], [object()], pl.col("x"), pl.DataFrame({"x": [1]})]
FUNCTIONS: Final[Mapping[str, Mapping[str, Any]]] = {
    "availability": {}, "label_lag": {}, "calibration": {}, "calibration_summary": {}, "threshold_curve": {},
    "provisional": {}, "provisional_calibration": {}, "volume": {}, "find_slices": {"columns": "group"},
    "metrics": {"names": "recall"}, "truth_bands": {"names": "recall"},
    "slice_gaps": {"names": "recall", "by": "group", "draws": 5},
    "compare_versions": {"names": "recall", "champion": "a", "challenger": "b"},
    "choose_threshold": {"fit": FIT, "judge": JUDGE}, "recalibrate": {"fit": FIT, "judge": JUDGE},
    "drift": {"comparison": MOVED}, "drift_bins": {"comparison": MOVED, "column": "score"},
}  # fmt: skip


@pytest.mark.parametrize("name", FUNCTIONS)
def test_a_keyword_of_the_wrong_kind_is_refused(name: str) -> None:
    joined = world()
    function = getattr(fb, name)
    for keyword in signature(function).parameters:
        if keyword in {"joined", "confirm", "keep_unclear", "as_of"}:
            continue
        for wrong in WRONG:
            given = {**FUNCTIONS[name], keyword: wrong}
            first = [given.pop(item) for item in ("names", "comparison") if item in given]
            with pytest.raises(ArgumentError) as refused:
                function(joined, *first, **given)
            assert refused.value.allowed, f"{name}({keyword}={wrong!r})"


def test_a_table_of_something_else_is_refused() -> None:
    for thing in (None, 3, "folder", [], pl.DataFrame({"score": [0.5]})):
        with pytest.raises(FbkitError):
            fb.metrics(thing, "recall")  # pyright: ignore[reportArgumentType]  # that is the test
        with pytest.raises(FbkitError):
            fb.proxy_fidelity(thing, proxy="click")  # pyright: ignore[reportArgumentType]  # that is the test


@pytest.mark.parametrize("size", [1e308, 1e-310, float("inf"), float("nan"), -1.0])
def test_weights_whose_sums_are_no_numbers_are_refused(size: float) -> None:
    joined = world(columns={"group": ["a"] * N, "w": [size] * N})
    with pytest.raises(ArgumentError, match="weights"):
        fb.metrics(joined, "roc_auc", weights="w")


@pytest.mark.parametrize("size", [0.0, 1e-90, 1e90])
def test_weights_of_any_other_size_give_numbers_or_reasons(size: float) -> None:
    joined = world(columns={"group": ["a"] * N, "w": [size] * N})
    frame = fb.metrics(joined, NAMES, weights="w")
    assert_told(frame)
    plain = fb.metrics(joined, ["recall", "roc_auc"])["value"].to_numpy()
    weighted = fb.metrics(joined, ["recall", "roc_auc"], weights="w")["value"]
    assert weighted.null_count() == 2 if size == 0 else np.allclose(weighted.to_numpy(), plain, rtol=1e-12)


def test_a_share_of_the_traffic_is_refused_also_where_both_versions_scored_the_same_rows() -> None:
    shadowed = world(columns={"group": ["a"] * N, "request_id": [f"r{i // 2}" for i in range(N)]})
    assert fb.compare_versions(shadowed, "recall", champion="a", challenger="b")["design"].to_list() == ["same rows"]
    with pytest.raises(ArgumentError, match="share"):
        fb.compare_versions(shadowed, "recall", champion="a", challenger="b", share=3)


def test_infinities_in_a_feature_leave_no_infinite_edge() -> None:
    joined = world(columns={"group": ["a"] * N, "x": [float("inf") if i % 2 else float(i) for i in range(N)]})
    assert_told(fb.drift_bins(joined, MOVED, column="x"))
    assert_told(fb.drift(joined, MOVED, columns="x"))
    with pytest.raises(ArgumentError, match="columns"):
        fb.drift(joined, MOVED, columns=[])


@pytest.mark.parametrize("kind", [pl.Float32, pl.Int16, pl.UInt8, pl.Boolean, pl.Categorical, pl.Decimal(10, 2)])
def test_columns_of_any_type_can_be_sliced_and_watched(kind: pl.DataType) -> None:
    numbers = pl.Series([i % 2 for i in range(N)])
    column = numbers.cast(pl.String).cast(kind) if kind == pl.Categorical else numbers.cast(kind)
    joined = world(columns={"group": ["a"] * N, "x": column})
    assert_told(fb.metrics(joined, "recall", by="x"))
    assert_told(fb.drift(joined, MOVED, columns="x"))


@pytest.mark.parametrize("question", [name for name in QUESTIONS if name not in {"compare_versions", "early"}])
def test_the_order_of_the_rows_changes_nothing(question: str) -> None:
    joined = random_joined(400, seed=5, entities=90, days=44)
    mixed = replace(joined, frame=joined.frame.sample(fraction=1.0, shuffle=True, seed=9))
    one, two = (QUESTIONS[question](table) for table in (joined, mixed))
    floats = [name for name, kind in one.schema.items() if kind.is_float()]
    assert one.drop(floats).equals(two.drop(floats))
    for name in floats:
        assert np.allclose(one[name].to_numpy(), two[name].to_numpy(), rtol=1e-9, atol=1e-12, equal_nan=True), name


def test_what_is_left_out_keeps_its_default_and_positions_are_looked_at() -> None:
    @checked
    def find(joined: JoinedLike | None, level: float = 0.9, *, draws: int = 3) -> tuple[float, int]:
        return level, draws

    assert find(None) == (0.9, 3)
    counted: Any = np.int64(4)
    assert find(None, 0.5, draws=counted) == (0.5, 4)
    for wrong in ("0.5", True, None, 10**400):
        with pytest.raises(ArgumentError, match="level of find"):
            find(None, wrong)  # pyright: ignore[reportArgumentType]  # that is the test
    with pytest.raises(ArgumentError, match="beyond two billion"):
        find(None, draws=10**400)
