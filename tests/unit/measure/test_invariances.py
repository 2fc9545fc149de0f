"""Laws that every measure of the registry obeys, whatever it measures: a new one is caught by being registered."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from polars.testing import assert_frame_equal

from fbkit.join.table import StoredTable
from fbkit.measure.kinds import Total
from fbkit.measure.metrics import metrics
from fbkit.measure.registry import FAMILIES, FROM_CONTRACT, REGISTRY, choose
from fbkit.testing.frames import FakeJoined
from tests.unit.measure.brute import BRUTE, COLUMNS, Row, joined_of, worlds

NUMBERS = ("value", "lower", "upper", "bound_lower", "bound_upper")
SIMULATED = ("_debiased", "_null_95", "_p_value")
TASKS = ("binary", "regression", "ranking")
# What depends on the order of the scores (or of the places) alone.
OF_ORDER = {
    "binary": ["roc_auc", "average_precision", "ks_classes", "gain@30", "lift@30"],
    "ranking": ["mrr", "mrr@2", "hit_rate@2", "precision@2", "recall@2", "ndcg@2"],
}
# With labels and decisions turned over: what each measure becomes, value v.
FLIPPED: dict[str, tuple[str, Callable[[float], float]]] = {
    "recall": ("specificity", lambda v: v),
    "precision": ("npv", lambda v: v),
    "false_positive_rate": ("recall", lambda v: 1 - v),
    "accuracy": ("accuracy", lambda v: v),
    "balanced_accuracy": ("balanced_accuracy", lambda v: v),
    "mcc": ("mcc", lambda v: v),
    "base_rate": ("base_rate", lambda v: 1 - v),
    "flag_rate": ("flag_rate", lambda v: 1 - v),
    "availability": ("availability", lambda v: v),
    "unc": ("unc", lambda v: v),
}


@cache
def names(task: str, *, simulated: bool = True) -> tuple[str, ...]:
    """Every measure of a task, families by the members that have oracles."""
    contract = random_rows(task).contract
    found = [name for name, measure in REGISTRY.items() if task in measure.tasks]
    members = (name.split("@") for name in BRUTE if "@" in name)
    found += [f"{family}@{k}" for family, k in members if task in FAMILIES[family](int(k)).tasks]
    found += [name for name, make in FROM_CONTRACT.items() if task in make(contract).tasks]
    return tuple(name for name in found if simulated or not name.endswith(SIMULATED))


@cache
def random_rows(task: str, *, n: int = 240, seed: int = 1, entities: bool = True) -> FakeJoined:
    """Rows with ties, gaps in every column, three regions (one null), repeated entities, labels lost at random."""
    rng = np.random.default_rng(seed)
    score = np.round(rng.beta(1, 2, n), 2) if task != "regression" else np.round(rng.normal(5, 3, n), 1)
    label = (rng.random(n) < score).astype(float) if task != "regression" else np.round(score + rng.normal(size=n), 1)

    def gaps(values: Sequence[Any], share: float = 0.1) -> list[Any]:
        return [None if gone else value for gone, value in zip(rng.random(n) < share, values, strict=True)]

    numbers = {name: gaps(np.round(rng.gamma(2, 10, n), 1).tolist()) for name in COLUMNS}
    numbers |= {"score_p10": (score - 1.5).tolist(), "score_p90": (score + 1.5).tolist()}
    numbers |= {"status": gaps(rng.choice(["ok", "timeout", "fallback", "error"], n).tolist())}
    numbers |= {"request_id": [f"r{k // 6}" for k in range(n)], "position": gaps([k % 6 + 1.0 for k in range(n)])}
    rows = [
        Row(s, y, f, int(w), {})  # pyright: ignore[reportArgumentType]  # floats serve as well
        for s, y, f, w in zip(
            score.tolist(), gaps(label.tolist(), 0.15), gaps((rng.random(n) < 0.5).tolist()), rng.integers(1, 4, n),
            strict=True,
        )
    ]  # fmt: skip
    made = joined_of(
        rows, task=task, region=rng.choice(np.array(["EU", "US", None], dtype=object), n).tolist(), **numbers
    )
    entity = pl.Series(
        "entity", [f"e{code}" for code in rng.integers(0, n // 3, n)] if entities else [None] * n, dtype=pl.String
    )
    return with_frame(made, made.frame.with_columns(entity))


def with_frame(joined: FakeJoined, frame: pl.DataFrame) -> FakeJoined:
    return FakeJoined(frame=frame, contract=joined.contract, as_of=joined.as_of)


def ask(joined: object, asked: Sequence[str], **call: object) -> pl.DataFrame:
    return metrics(joined, list(asked), **call).drop("evaluation_id")  # pyright: ignore[reportArgumentType]


def alike(got: pl.DataFrame, expected: pl.DataFrame) -> None:
    """Equal frames; numbers to rounding."""
    assert got.columns == expected.columns
    assert_frame_equal(got.select("metric"), expected.select("metric"))
    differ = []
    for (name,), part in expected.partition_by("metric", as_dict=True, maintain_order=True).items():
        try:
            assert_frame_equal(got.filter(metric=name), part, abs_tol=1e-9, rel_tol=1e-9)
        except AssertionError as error:
            differ.append(f"{name}: {error}")
    assert differ == []


@pytest.mark.parametrize("task", TASKS)
@pytest.mark.parametrize("call", [{"by": "region"}, {"weights": "w"}])
def test_the_order_of_the_rows_changes_nothing(task: str, call: dict[str, object]) -> None:
    joined = random_rows(task)
    shuffled = joined.frame.sample(fraction=1.0, shuffle=True, seed=5)
    alike(ask(with_frame(joined, shuffled), names(task), **call), ask(joined, names(task), **call))


@pytest.mark.parametrize("task", TASKS)
def test_chunks_and_the_order_of_columns_change_nothing(task: str) -> None:
    joined = random_rows(task)
    chunks = pl.concat([joined.frame[:7], joined.frame[7:90], joined.frame[90:]], rechunk=False)
    turned = chunks.select(reversed(chunks.columns))
    alike(ask(with_frame(joined, turned), names(task), by="region"), ask(joined, names(task), by="region"))


@dataclass(frozen=True, kw_only=True)
class Stored:
    """A joined table whose rows lie in files."""

    rows: StoredTable
    contract: Any
    as_of: datetime
    evaluation_key: str = "test"

    @property
    def frame(self) -> pl.DataFrame:
        return self.rows.frame


@pytest.mark.parametrize("task", TASKS)
def test_rows_in_files_read_as_a_stream_give_the_numbers_of_rows_in_memory(task: str, tmp_path: Path) -> None:
    joined = random_rows(task)
    parts = [tmp_path / f"{number}.parquet" for number in range(3)]
    for number, part in enumerate(parts):
        joined.frame[number * 80 : (number + 1) * 80].write_parquet(part)
    stored = Stored(rows=StoredTable(parts, height=joined.frame.height), contract=joined.contract, as_of=joined.as_of)
    with pl.Config(engine_affinity="streaming"):
        streamed = ask(stored, names(task), by="region", every="1w")
    alike(streamed, ask(joined, names(task), by="region", every="1w"))


def doubled(frame: pl.DataFrame) -> pl.DataFrame:
    """Every row twice; lists (requests) twice, not lists of twice the length."""
    again = frame.with_columns(pl.col("prediction_id") + "-again", pl.col("request_id") + "-again")
    return pl.concat([frame, again])


@pytest.mark.parametrize("task", TASKS)
def test_a_row_twice_is_a_row_of_weight_two(task: str) -> None:
    joined, asked = random_rows(task, entities=False), names(task, simulated=False)
    weighted = with_frame(joined, joined.frame.with_columns(w=pl.lit(2.0)))
    twice = ask(with_frame(joined, doubled(joined.frame)), asked)
    alike(ask(weighted, asked, weights="w").select("metric", "value"), twice.select("metric", "value"))


@pytest.mark.parametrize("task", TASKS)
def test_a_row_of_weight_zero_is_no_row(task: str) -> None:
    joined, asked = random_rows(task), names(task, simulated=False)
    # Whole requests, because a list's weight is its rows'.
    some = (pl.col("request_id").str.slice(1).cast(pl.Int64) % 3 > 0).cast(pl.Float64).alias("w")
    frame = joined.frame.with_columns(some)
    left = ask(with_frame(joined, frame.filter(pl.col("w") > 0)), asked, weights="w")
    alike(
        ask(with_frame(joined, frame), asked, weights="w").select("metric", *NUMBERS), left.select("metric", *NUMBERS)
    )


@pytest.mark.parametrize("task", TASKS)
def test_equal_weights_are_no_weights(task: str) -> None:
    joined, asked = random_rows(task), names(task, simulated=False)
    same = with_frame(joined, joined.frame.with_columns(w=pl.lit(1.0)))
    alike(ask(same, asked, weights="w").select("metric", "value"), ask(same, asked).select("metric", "value"))


@pytest.mark.parametrize("task", TASKS)
def test_the_whole_lies_between_its_slices_and_sums_add_up(task: str) -> None:
    joined = random_rows(task)
    asked = [name for name in names(task) if isinstance(choose(name, task=task, contract=joined.contract)[0], Total)]
    whole = {row["metric"]: row for row in ask(joined, asked).iter_rows(named=True)}
    for (name,), part in ask(joined, asked, by="region").partition_by("metric", as_dict=True).items():
        assert whole[name]["n"] == part["n"].sum(), name
        assert whole[name]["n_labelled"] == part["n_labelled"].sum(), name
        if whole[name]["value"] is not None:
            values = part["value"].drop_nulls()
            assert values.min() - 1e-12 <= whole[name]["value"] <= values.max() + 1e-12, name  # pyright: ignore[reportOperatorIssue]
    for name in ("volume", "spend"):
        parts = ask(joined, [name], by="region")["value"].sum()
        assert parts == pytest.approx(ask(joined, [name])["value"].item(), rel=1e-12), name


@pytest.mark.parametrize("dtype", [pl.Float32, pl.Int8, pl.Int64, pl.UInt8])
def test_the_type_of_the_label_changes_nothing(dtype: Any) -> None:
    joined = random_rows("binary")
    coded = with_frame(joined, joined.frame.with_columns(pl.col("label").cast(dtype)))
    alike(ask(coded, names("binary"), by="region"), ask(joined, names("binary"), by="region"))


@pytest.mark.parametrize(("task", "dtype"), [("binary", pl.Float32), ("regression", pl.Int16), ("ranking", pl.Float32)])
def test_the_type_of_the_score_changes_nothing(task: str, dtype: Any) -> None:
    joined = random_rows(task)
    stored = joined.frame.with_columns(pl.col("score").cast(dtype))
    plain = stored.with_columns(pl.col("score").cast(pl.Float64))
    alike(ask(with_frame(joined, stored), names(task)), ask(with_frame(joined, plain), names(task)))


@pytest.mark.parametrize("task", list(OF_ORDER))
def test_a_strictly_rising_change_of_the_scores_leaves_measures_of_their_order_alone(task: str) -> None:
    joined, asked = random_rows(task), OF_ORDER[task]
    changed = with_frame(joined, joined.frame.with_columns((pl.col("score") ** 3 / 2).alias("score")))
    alike(ask(changed, asked, by="region"), ask(joined, asked, by="region"))
    falling = with_frame(joined, joined.frame.with_columns(score=1 - pl.col("score"), position=-pl.col("position")))
    moved = ask(falling, asked)["value"].to_numpy() - ask(joined, asked)["value"].to_numpy()
    assert np.all(np.abs(moved) > 1e-6)


def test_turning_labels_and_decisions_over_turns_each_measure_into_its_partner() -> None:
    joined = random_rows("binary")
    frame = joined.frame.with_columns(label=1 - pl.col("label"), flagged=~pl.col("flagged"))
    turned = {row["metric"]: row for row in ask(with_frame(joined, frame), list(FLIPPED)).iter_rows(named=True)}
    asked = sorted({partner for partner, _ in FLIPPED.values()})
    straight = {row["metric"]: row for row in ask(joined, asked).iter_rows(named=True)}
    for name, (partner, change) in FLIPPED.items():
        for number, of in (
            ("value", ("value",)),
            ("lower", ("lower", "upper")),
            ("bound_upper", ("bound_lower", "bound_upper")),
        ):
            if turned[name][number] is None:
                assert straight[partner][number] is None, (name, number)
                continue
            found = [change(straight[partner][one]) for one in of]
            expected = max(found) if number.endswith("upper") else min(found)
            assert turned[name][number] == pytest.approx(expected, abs=1e-12), (name, number)


def test_turning_the_labels_over_turns_the_area_over() -> None:
    joined = random_rows("binary")
    turned = with_frame(joined, joined.frame.with_columns(label=1 - pl.col("label")))
    one, two = (ask(part, ["roc_auc"]).row(0, named=True) for part in (joined, turned))
    for first, second in (("value", "value"), ("lower", "upper"), ("bound_lower", "bound_upper")):
        assert one[first] == pytest.approx(1 - two[second], abs=1e-12)


def sound(frame: pl.DataFrame) -> None:
    """Nothing is NaN or infinite, null comes with a reason, and every range holds its value."""
    for row in frame.iter_rows(named=True):
        numbers = {name: row[name] for name in NUMBERS}
        assert all(number is None or np.isfinite(number) for number in numbers.values()), row
        assert (row["value"] is None) == (row["reason"] is not None), row
        # Without its bias a number that cannot be negative may come out below 0; its interval does not.
        value = max(row["value"] or 0.0, 0.0) if row["metric"].endswith("_debiased") else row["value"]
        for low, high in (("lower", "upper"), ("bound_lower", "bound_upper")):
            if value is not None:
                assert row[low] is None or row[low] <= value + 1e-9, row
                assert row[high] is None or value <= row[high] + 1e-9, row
        assert row["value"] is not None or row["lower"] is row["upper"] is None, row


@pytest.mark.parametrize("task", TASKS)
@settings(max_examples=10, suppress_health_check=list(HealthCheck))
@given(data=st.data())
def test_every_number_is_finite_inside_its_ranges_or_null_with_a_reason(task: str, data: st.DataObject) -> None:
    together: list[list[Row]] = data.draw(st.lists(worlds(task=task, least=1, most=6), min_size=1, max_size=8))
    codes = [str(code) for code, rows in enumerate(together) for _ in rows]
    joined = joined_of([row for rows in together for row in rows], task=task, world=codes)
    for call in ({}, {"weights": "w"}):
        sound(ask(joined, names(task, simulated=False), by="world", **call))


@pytest.mark.parametrize("task", TASKS)
def test_no_row_one_row_and_one_class_are_answered(task: str) -> None:
    joined = random_rows(task)
    frame = joined.frame
    none = ask(with_frame(joined, frame[:0]), names(task))
    sound(none)
    assert none["value"].null_count() == none.height
    assert ask(with_frame(joined, frame[:0]), names(task), by="region").height == 0
    for part in (
        frame[:1],
        frame.with_columns(pl.lit(1.0).alias("label")),
        frame.with_columns(pl.lit(0.0).alias("label")),
    ):
        sound(ask(with_frame(joined, part), names(task)))
    unlabelled = ask(with_frame(joined, frame.with_columns(pl.lit(None, dtype=pl.Float64).alias("label"))), names(task))
    sound(unlabelled)
    needs_labels = [name for name in names(task) if choose(name, task=task, contract=joined.contract)[0].uses_label]
    assert unlabelled.filter(pl.col("metric").is_in(needs_labels) & pl.col("value").is_not_null()).height == 0
