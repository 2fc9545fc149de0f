"""Orphans: counted and profiled; a repair is proposed when ids were merely rewritten, and only then."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import numpy as np
import polars as pl
import pytest

import fbkit as fb
from fbkit.join.ids import STEPS, format_of, nearest_ids
from fbkit.join.orphans import propose

T0 = datetime(2024, 5, 6, tzinfo=UTC)
HOUR = timedelta(hours=1)
N = 60


def opened(ids: list[str], outcome_ids: list[str | None], *, spread: timedelta = HOUR, **tables: Any) -> fb.Joined:
    """Outcome i belongs to prediction i, half an hour after it, under whatever id it is given."""
    made = [T0 + i * spread for i in range(len(ids))]
    left = pl.DataFrame({"prediction_id": ids, "ts_pred": made, "score": [0.5] * len(ids)})
    event = [made[i % len(ids)] + HOUR / 2 for i in range(len(outcome_ids))]
    right = pl.DataFrame(
        {"prediction_id": outcome_ids, "ts_event": event, "label": [1.0] * len(outcome_ids)},
        schema_overrides={"prediction_id": pl.String},
    )
    content = {"model": {"name": "m"}, "predictions": {}, "outcomes": {}, "label": {"window": "3h"}}
    return fb.open_loop(contract=fb.Contract.from_dict(content | tables), predictions=left, outcomes=right).join()


def uuids(count: int) -> list[str]:
    rng = np.random.default_rng(7)
    return [str(UUID(bytes=rng.bytes(16))) for _ in range(count)]


PLAIN = [f"p-{i:06d}" for i in range(1, N + 1)]
NUMBERS = [f"{i:08d}" for i in range(1, N + 1)]
MIXED = [f"Ab{i}xY{i:03d}" for i in range(1, N + 1)]

SIGNS = "dashes, underscores, dots, slashes and spaces removed"
REWRITES: dict[str, tuple[list[str], Callable[[str], str], set[str], str]] = {
    "case": (PLAIN, str.upper, {"written in lower case"}, "outcomes"),
    "lower case of mixed ids": (MIXED, str.lower, {"written in lower case"}, "predictions"),
    "leading zeros lost": (NUMBERS, lambda name: name.lstrip("0"), {"padded with zeros to 8 digits"}, "outcomes"),
    "zeros added": (NUMBERS, lambda name: f"0000{name}", {"padded with zeros to 8 digits"}, "outcomes"),
    "zeros lost behind": (PLAIN, lambda key: f"p-{int(key[2:])}", {"leading zeros of numbers removed"}, "predictions"),
    "prefix added": (NUMBERS, lambda name: f"tx_{name}", {"tx_ in front removed"}, "outcomes"),
    "prefix lost": (PLAIN, lambda name: name[2:], {"p- put in front"}, "outcomes"),
    "another prefix": (PLAIN, lambda name: f"q/{name[2:]}", {"q/ in front removed", "p- put in front"}, "outcomes"),
    "suffix": (PLAIN, lambda name: f"{name}@eu", {"@eu at the end removed"}, "outcomes"),
    "dashes": (PLAIN, lambda name: name.replace("-", ""), {SIGNS}, "predictions"),
    "underscores": (PLAIN, lambda name: name.replace("-", "_"), {SIGNS}, "both"),
    "spaces around": (PLAIN, lambda name: f"  {name} ", {"spaces around it removed"}, "outcomes"),
    "float": ([str(i) for i in range(1, N + 1)], lambda name: f"{name}.0", {".0 at the end removed"}, "outcomes"),
    "braces": (uuids(N), lambda name: f"{{{name}}}", {"brackets and quotes around it removed"}, "outcomes"),
    "urn": (uuids(N), lambda name: f"urn:uuid:{name}", {"urn:...: in front removed"}, "outcomes"),
    "uuid in another dress": (
        uuids(N), lambda name: f"{{{name.replace('-', '').upper()}}}",
        {"brackets and quotes around it removed", "written in lower case", SIGNS},
        "both",
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", sorted(REWRITES))
def test_a_mere_rewrite_is_recognised_and_the_fewest_steps_are_proposed(name: str) -> None:
    ids, rewrite, words, side = REWRITES[name]
    found = opened(ids, [rewrite(key) for key in ids]).orphans()
    best = found.repairs.row(0, named=True)
    assert (found.n, best["n_match"], best["n_ambiguous"], best["in_window"]) == (N, N, 0, 1.0)
    assert set(best["repair"].split("; ")) == words
    assert (best["side"], best["confidence"]) == (side, "high")


@pytest.mark.parametrize("name", sorted(REWRITES))
def test_the_code_of_a_recipe_does_what_the_table_says(name: str) -> None:
    ids, rewrite, _, _ = REWRITES[name]
    repairs = opened(ids, [rewrite(key) for key in ids]).orphans().repairs
    best = repairs.row(0, named=True)

    def run(code: str | None, values: list[str]) -> list[str]:
        made = pl.col("key") if code is None else eval(code, {"pl": pl})
        return pl.DataFrame({"key": values}).select(made).to_series().to_list()

    assert run(best["outcomes"], [rewrite(key) for key in ids]) == run(best["predictions"], ids)


def test_two_ways_of_rewriting_are_mended_together_and_each_alone_is_shown() -> None:
    keys = [name.upper() if number % 2 else f"{name}.0" for number, name in enumerate(PLAIN)]
    repairs = opened(PLAIN, keys).orphans().repairs
    assert repairs["n_match"].to_list() == [N, N // 2, N // 2]
    assert set(repairs["repair"][0].split("; ")) == {".0 at the end removed", "written in lower case"}


def test_ids_that_only_look_alike_are_not_called_a_rewrite() -> None:
    """Order numbers 1..60 beside prediction numbers 00000001..: every one matches, none at the right time."""
    found = opened(NUMBERS, list(reversed([name.lstrip("0") for name in NUMBERS]))).orphans()
    assert found.repairs["confidence"].to_list() == ["low"]
    assert found.repairs["in_window"][0] < 0.2


def test_strangers_have_no_repair_and_say_so() -> None:
    found = opened(PLAIN, [f"stranger {name[::-1]} x" for name in uuids(N)]).orphans()
    assert found.repairs.is_empty()
    assert "no rewrite of the ids" in str(found)


def facts(keys: list[str], known: list[str], *, labelled: bool = False) -> dict[str, Any]:
    """The best repair of bare keys that all happen at one moment."""
    lost = pl.DataFrame({"key": keys, "ts_event": [T0] * len(keys)})
    rows = {
        "key": known,
        "ts_pred": [T0] * len(known),
        "closes": [T0] * len(known),
        "labelled": [labelled] * len(known),
    }
    return propose(lost, pl.DataFrame(rows)).row(0, named=True)


def test_an_orphan_that_could_be_two_predictions_is_ambiguous() -> None:
    best = facts(["a1", "b2"], ["a-1", "a_1", "b-2"])
    assert (best["n_orphans"], best["n_match"], best["n_ambiguous"]) == (2, 1, 1)


def test_two_orphans_that_would_be_the_same_prediction_are_ambiguous() -> None:
    best = facts(["a 1", "a/1", "b 2"], ["a-1", "b-2"])
    assert (best["n_orphans"], best["n_match"], best["n_ambiguous"]) == (3, 1, 2)


def test_statements_that_repeat_one_key_are_one_match_each() -> None:
    best = facts(["A1", "A1", "B2"], ["a1", "b2"], labelled=True)
    assert (best["n_match"], best["n_ambiguous"], best["n_labelled_already"]) == (3, 0, 3)


def test_the_profile_counts_every_orphan_by_day_source_and_format() -> None:
    keys = [*PLAIN[:5], "X-1", "X-22", "X-33", *uuids(2)]
    found = opened(PLAIN, keys, spread=timedelta(hours=12)).orphans()
    assert (found.n, found.n_statements, found.profile["n"].sum()) == (5, 10, 5)
    by_format = dict(found.profile.group_by("format").agg(pl.col("n").sum()).iter_rows())
    assert by_format == {"A-0": 1, "A-00": 2, "uuid": 2}
    assert not found.profile["known_format"].any()
    assert found.profile["day"].is_sorted()


def test_a_format_of_the_predictions_is_recognised_as_such() -> None:
    found = opened(PLAIN, ["p-999999"]).orphans()
    assert found.profile.select("format", "known_format", "examples").row(0) == ("a-000000", True, "p-999999")


def test_no_orphans_is_a_sentence_and_two_empty_frames() -> None:
    found = opened(PLAIN, list(PLAIN)).orphans()
    assert (found.n, found.profile.height, found.repairs.height) == (0, 0, 0)
    assert str(found) == f"no orphans: each of {N} keyed outcomes matches a prediction"


def test_personal_ids_are_shown_as_hashes() -> None:
    found = opened(PLAIN, ["p-999999"], privacy={"personal": ["prediction_id"]}).orphans()
    assert found.profile["examples"][0].startswith("#")
    assert "999999" not in str(found)


def test_keys_that_do_not_print_are_written_as_escapes() -> None:
    found = opened(PLAIN, ["\x1b[31mred\u202e", "\x07\x1b"]).orphans()
    assert not any(sign in str(found) for sign in "\x1b\x07\u202e")
    assert found.n == 2


def test_an_orphan_that_had_not_arrived_is_not_counted_yet() -> None:
    left = pl.DataFrame({"prediction_id": ["a"], "ts_pred": [T0], "score": [0.5]})
    right = pl.DataFrame({"prediction_id": ["x", "y"], "ts_event": [T0, T0 + HOUR], "label": [1.0, 1.0]})
    content = {"model": {"name": "m"}, "predictions": {}, "outcomes": {}, "label": {"window": "3h"}}
    loop = fb.open_loop(contract=fb.Contract.from_dict(content), predictions=left, outcomes=right)
    found = loop.join(as_of=T0).orphans()
    assert (found.n, found.n_statements, loop.join().orphans().n) == (1, 1, 2)


def test_any_row_order_gives_the_same_frames() -> None:
    found = []
    for order in (1, -1):
        left = pl.DataFrame({"prediction_id": PLAIN[::order], "ts_pred": [T0] * N, "score": [0.5] * N})
        right = pl.DataFrame(
            {"prediction_id": [name.upper() for name in PLAIN[::order]], "ts_event": [T0] * N, "label": [1.0] * N}
        )
        content = {"model": {"name": "m"}, "predictions": {}, "outcomes": {}, "label": {"window": "3h"}}
        found.append(
            fb.open_loop(contract=fb.Contract.from_dict(content), predictions=left, outcomes=right).join().orphans()
        )
    assert found[0].profile.equals(found[1].profile)
    assert found[0].repairs.equals(found[1].repairs)


@pytest.mark.parametrize(
    ("name", "pattern"),
    [
        ("p-000123", "a-000000"),
        ("AbC 9", "AaA 0"),
        ("{550e8400-e29b-41d4-a716-446655440000}", "{000a0000-a00a-00a0-a000-000000000000}"),
        ("550E8400-e29b-41d4-a716-446655440000", "uuid"),
        ("0f" * 16, "32 hexadecimal digits"),
        ("9" * 50, "0" * 40 + "..."),
        ("é1", "a0"),
    ],
)
def test_the_format_of_an_id(name: str, pattern: str) -> None:
    assert pl.select(format_of(pl.lit(name))).item() == pattern


def test_steps_leave_what_they_do_not_concern() -> None:
    for step in STEPS:
        assert pl.select(step.apply(pl.lit("abc123"))).item() == "abc123"


@pytest.mark.parametrize(
    ("wanted", "nearest"),
    [
        ("P-000007", ["p-000007"]),
        ("37", ["p-000037"]),
        ("p-00001x", ["p-000010"]),
        ("p-00000", ["p-000001"]),
        ("p-7", ["p-000007"]),
    ],
)
def test_the_nearest_ids_are_the_same_written_otherwise_else_the_same_beginning(
    wanted: str, nearest: list[str]
) -> None:
    assert nearest_ids(pl.Series(PLAIN), wanted)[:1] == nearest
    assert nearest_ids(pl.Series([], dtype=pl.String), wanted) == []


@pytest.mark.deep
def test_a_million_orphans_are_searched_within_seconds() -> None:
    from time import perf_counter

    n = 1_000_000
    known = pl.DataFrame({"n": range(n)}).select(
        pl.format("p-{}", pl.col("n").cast(pl.String).str.zfill(8)).alias("key"),
        (pl.lit(T0) + pl.duration(seconds=pl.col("n"))).alias("ts_pred"),
        (pl.lit(T0) + pl.duration(seconds=pl.col("n") + 3600)).alias("closes"),
        pl.lit(value=False).alias("labelled"),
    )
    lost = known.select(pl.col("key").str.to_uppercase().alias("key"), pl.col("ts_pred").alias("ts_event"))
    start = perf_counter()
    best = propose(lost, known).row(0, named=True)
    assert (best["repair"], best["n_match"]) == ("written in lower case", n)
    assert perf_counter() - start < 30
