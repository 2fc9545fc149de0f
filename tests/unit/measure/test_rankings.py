"""Ranked lists: scikit-learn's ndcg_score, every order of ties by brute force, missing labels, laws, coverage."""

import itertools
from math import log2

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fbkit.measure.kernels.rankings import KINDS, place
from fbkit.measure.metrics import metrics
from fbkit.testing.frames import FakeJoined, make_joined

NAMES = ["ndcg@2", "mrr", "mrr@2", "hit_rate@2", "precision@2", "recall@2"]


def lists(
    requests: list[list[tuple[float, float | None]]], *, positions: bool = False, **columns: object
) -> FakeJoined:
    """One request per inner list of (score, label); with ``positions`` they were shown in the order given."""
    rows = [
        (name, place, *pair) for name, request in enumerate(requests) for place, pair in enumerate(request, start=1)
    ]
    shown = {"position": [row[1] for row in rows]} if positions else {}
    return make_joined(
        scores=[row[2] for row in rows],
        labels=[row[3] for row in rows],
        task="ranking",
        columns={"request_id": [f"r{row[0]}" for row in rows], **shown, **columns},
    )


def values(joined: FakeJoined, names: list[str], **call: object) -> dict[str, float | None]:
    return dict(metrics(joined, names, **call).select("metric", "value").iter_rows())


def of_order(labels: list[float], k: int) -> dict[str, float | None]:
    """The textbook definitions of one list in one order."""
    relevant = [label > 0 for label in labels]
    gain = sum(label / log2(rank + 2) for rank, label in enumerate(labels[:k]))
    best = sum(label / log2(rank + 2) for rank, label in enumerate(sorted(labels, reverse=True)[:k]))
    first = relevant.index(True) + 1 if any(relevant) else None
    return {
        "ndcg@2": gain / best if best > 0 else 0.0,
        "mrr": 1 / first if first else 0.0,
        "mrr@2": 1 / first if first and first <= k else 0.0,
        "hit_rate@2": float(any(relevant[:k])),
        "precision@2": sum(relevant[:k]) / k,
        "recall@2": sum(relevant[:k]) / sum(relevant) if any(relevant) else None,
    }


def by_brute_force(requests: list[list[tuple[float, float]]], k: int = 2) -> dict[str, float | None]:
    """Mean over requests of the mean over all orders that the scores allow."""
    found: dict[str, list[float]] = {name: [] for name in NAMES}
    for request in requests:
        orders = [
            [label for _, label in order]
            for order in itertools.permutations(request)
            if all(a[0] >= b[0] for a, b in itertools.pairwise(order))
        ]
        for name in NAMES:
            numbers = [of_order(labels, k)[name] for labels in orders]
            if None not in numbers:
                found[name].append(float(np.mean(numbers)))
    return {name: float(np.mean(numbers)) if numbers else None for name, numbers in found.items()}


pair = st.tuples(st.sampled_from([0.1, 0.5, 0.9]), st.sampled_from([0.0, 0.0, 1.0, 3.0]))
worlds = st.lists(st.lists(pair, min_size=1, max_size=4), min_size=1, max_size=4)


@given(requests=worlds)
def test_ties_count_as_the_mean_over_all_their_orders(requests: list[list[tuple[float, float]]]) -> None:
    got, expected = values(lists(requests), NAMES), by_brute_force(requests)
    for name in NAMES:
        assert got[name] == (None if expected[name] is None else pytest.approx(expected[name], abs=1e-12)), name


@given(requests=worlds)
def test_a_logged_position_wins_over_the_score(requests: list[list[tuple[float, float]]]) -> None:
    got = values(lists(requests, positions=True), NAMES)
    shown = [[(-float(rank), label) for rank, (_, label) in enumerate(request)] for request in requests]
    expected = by_brute_force(shown)
    for name in NAMES:
        assert got[name] == (None if expected[name] is None else pytest.approx(expected[name], abs=1e-12)), name


@pytest.mark.parametrize("k", [1, 5, 20])
def test_ndcg_is_sklearns_with_its_ties(k: int) -> None:
    from sklearn.metrics import ndcg_score

    rng = np.random.default_rng(k)
    score = np.round(rng.random((200, 12)), 1)
    grade = rng.choice([0.0, 1.0, 2.0, 5.0], size=score.shape, p=[0.7, 0.15, 0.1, 0.05])
    joined = lists([list(zip(*row, strict=True)) for row in zip(score.tolist(), grade.tolist(), strict=True)])
    assert values(joined, [f"ndcg@{k}"])[f"ndcg@{k}"] == pytest.approx(ndcg_score(grade, score, k=k), abs=1e-12)


def test_wikipedias_example_of_ndcg() -> None:
    # "Discounted cumulative gain", documents graded 3, 2, 3, 0, 1, 2: DCG 6.861; the best order of these six: 7.141.
    requests = [[(6.0 - rank, grade) for rank, grade in enumerate([3.0, 2.0, 3.0, 0.0, 1.0, 2.0])]]
    assert values(lists(requests), ["ndcg@6"])["ndcg@6"] == pytest.approx(6.861 / 7.141, abs=1e-4)


def test_a_request_counts_if_the_labels_that_decide_are_there() -> None:
    first = [(0.9, 1.0), (0.8, 0.0), (0.7, None)]
    second = [(0.9, None), (0.8, 1.0), (0.7, 0.0)]
    third = [(0.9, 0.0), (0.8, 0.0), (0.7, 1.0)]
    frame = metrics(lists([first, second, third]), NAMES)
    got = dict(frame.select("metric", "value").iter_rows())
    # The top two are known in the first and the third request, everything only in the third.
    assert got == {
        "ndcg@2": 0.0,
        "mrr": pytest.approx(1 / 3),
        "mrr@2": 0.5,
        "hit_rate@2": 0.5,
        "precision@2": 0.25,
        "recall@2": 0.0,
    }
    assert set(frame["n"]) == {9}
    assert set(frame["n_labelled"]) == {7}


known_or_not = st.tuples(st.sampled_from([0.1, 0.5, 0.9]), st.sampled_from([0.0, 1.0, None]))


@given(requests=st.lists(st.lists(known_or_not, min_size=1, max_size=3), min_size=1, max_size=3))
def test_bounds_equal_trying_every_labelling(requests: list[list[tuple[float, float | None]]]) -> None:
    rising = ["mrr", "mrr@2", "hit_rate@2", "precision@2"]
    frame = metrics(lists(requests), rising)
    flat = [row for request in requests for row in request]
    holes = [index for index, row in enumerate(flat) if row[1] is None]
    worlds: list[dict[str, float | None]] = []
    for labels in itertools.product([0.0, 1.0], repeat=len(holes)):
        filled = [row[1] for row in flat]
        for index, label in zip(holes, labels, strict=True):
            filled[index] = label
        rest = iter(filled)
        worlds.append(by_brute_force([[(score, next(rest)) for score, _ in request] for request in requests]))
    for item in frame.iter_rows(named=True):
        found = [world[item["metric"]] for world in worlds] + [item["value"]]
        numbers = [number for number in found if number is not None]
        assert item["bound_lower"] == pytest.approx(min(numbers), abs=1e-12)
        assert item["bound_upper"] == pytest.approx(max(numbers), abs=1e-12)


def test_undefined_is_null_with_its_reason() -> None:
    nothing = metrics(lists([[(0.9, 0.0), (0.1, 0.0)]]), ["recall@2", "ndcg@2"])
    assert nothing["value"].to_list() == [None, 0.0]
    unknown = metrics(lists([[(0.9, None), (0.1, 1.0)]]), ["hit_rate@2", "ndcg@2"])
    assert unknown["reason"].to_list() == ["no request is labelled far enough"] * 2
    assert unknown["bound_upper"].to_list() == [1.0, None]
    no_lists = make_joined(scores=[0.5], labels=[1.0], task="ranking")
    assert metrics(no_lists, "mrr")["reason"][0] == "no column request_id or session_id"
    negative = metrics(lists([[(0.9, -1.0), (0.1, 1.0)]]), "ndcg@2")
    assert negative["value"][0] is None


def test_a_session_stands_in_for_a_request_and_a_row_without_one_is_alone() -> None:
    joined = make_joined(
        scores=[0.9, 0.8, 0.7],
        labels=[0.0, 1.0, 1.0],
        task="ranking",
        columns={"session_id": ["s", "s", None]},
    )
    assert values(joined, ["mrr"])["mrr"] == (0.5 + 1.0) / 2


def test_rows_without_a_position_come_last_by_their_score() -> None:
    key = place(np.array([2.0, np.nan, 1.0, np.nan]), np.array([0.1, 0.2, 0.3, 0.4]))
    assert np.argsort(-key).tolist() == [2, 0, 3, 1]
    np.testing.assert_array_equal(place(np.full(2, np.nan), np.array([0.1, 0.2])), [0.1, 0.2])


@given(requests=worlds, seed=st.integers(0, 99))
def test_laws_order_duplication_monotone_scores(requests: list[list[tuple[float, float]]], seed: int) -> None:
    joined = lists(requests)
    frame, expected = joined.frame, values(joined, NAMES)

    def again(changed: pl.DataFrame, **call: object) -> dict[str, float | None]:
        made = FakeJoined(frame=changed, contract=joined.contract, as_of=joined.as_of)
        return values(made, NAMES, **call)

    assert again(frame.sample(fraction=1, shuffle=True, seed=seed)) == pytest.approx(expected, abs=1e-12)
    assert again(frame.with_columns(pl.col("score").exp() * 7)) == pytest.approx(expected, abs=1e-12)
    copies = pl.concat([frame, frame.with_columns(pl.col("request_id") + "*")])
    assert again(copies) == pytest.approx(expected, abs=1e-12)
    assert again(frame.with_columns(pl.lit(2.0).alias("two")), weights="two") == pytest.approx(expected, abs=1e-12)


def test_a_weight_counts_a_request_that_often() -> None:
    requests = [[(0.9, 1.0), (0.8, 0.0)], [(0.9, 0.0), (0.8, 1.0)]]
    weighted = lists(requests, weight=[3.0, 3.0, 1.0, 1.0])
    assert values(weighted, ["mrr"], weights="weight")["mrr"] == pytest.approx((3 * 1.0 + 0.5) / 4)


def test_clicks_and_their_calibration_by_position() -> None:
    joined = lists([[(0.5, 1.0), (0.2, 0.0)], [(0.7, 1.0), (0.3, 1.0)], [(0.3, 0.0), (0.1, None)]], positions=True)
    frame = metrics(joined, ["ctr", "ctr_calibration"], by="position")
    got = {(row["position"], row["metric"]): row["value"] for row in frame.iter_rows(named=True)}
    assert got == {
        ("1", "ctr"): pytest.approx(2 / 3),
        ("2", "ctr"): pytest.approx(1 / 2),
        ("1", "ctr_calibration"): pytest.approx(2 / 1.5),
        ("2", "ctr_calibration"): pytest.approx(1 / 0.5),
    }
    graded = lists([[(0.5, 3.0), (0.2, 0.0)]])
    assert values(graded, ["ctr"])["ctr"] == 0.5
    no_chance = metrics(lists([[(1.5, 1.0)]]), "ctr_calibration")
    assert no_chance["reason"][0] == "no click was announced, or a score is no probability"


@pytest.mark.parametrize("repeats", [1, 5])
def test_intervals_hold_the_truth_as_often_as_they_say_also_with_repeated_users(repeats: int) -> None:
    names = ["ndcg@5", "mrr", "hit_rate@3", "precision@3", "recall@3"]
    rng = np.random.default_rng(8)
    size, runs, length = 200 // repeats, 80, 6
    chance = 0.35 / np.arange(1, length + 1)

    def frame(users: int, again: int) -> FakeJoined:
        # What a user likes stays the same from request to request.
        taste = (rng.random((users, length)) < chance).astype(float)
        rows = np.repeat(taste, again, axis=0)
        number = np.repeat(np.arange(len(rows)), length)
        return make_joined(
            scores=np.tile(-np.arange(length, dtype=float), len(rows)).tolist(),
            labels=rows.ravel().tolist(),
            task="ranking",
            entities=[f"u{code}" for code in np.repeat(np.arange(users), again * length)],
            columns={"request_id": [f"r{code}" for code in number]},
        )

    truth = values(frame(40_000, 1), names)
    inside = dict.fromkeys(names, 0)
    for _ in range(runs):
        found = metrics(frame(size, repeats), names)
        for item in found.iter_rows(named=True):
            inside[item["metric"]] += item["lower"] <= truth[item["metric"]] <= item["upper"]
        assert ("cluster-robust" in found["method"][0]) == (repeats > 1)
    assert 0.90 <= np.mean(list(inside.values())) / runs <= 0.985
    assert min(inside.values()) / runs >= 0.86


def test_every_kind_is_reachable_by_its_name() -> None:
    joined = lists([[(0.9, 1.0), (0.8, 0.0)]])
    for name in KINDS:
        assert metrics(joined, f"{name}@1")["value"][0] == 1.0
