"""A promotion decision as people read it: one sentence, one table, what to collect."""

from dataclasses import replace
from pathlib import Path

import polars as pl
import pytest
from markdown_it import MarkdownIt

from fbkit.errors import ArgumentError, OutputError
from fbkit.report.promotion import Promotion, promote
from fbkit.report.promotion_words import measured, said
from fbkit.testing.frames import FakeJoined
from tests.unit.measure.two_versions import two_versions, with_contract
from tests.unit.report.hostile import HOSTILE

SLICES = {"columns": ["region"], "critical": [{"region": "EU"}]}


def decided(
    joined: FakeJoined, *guardrails: tuple[str, str], allow_undecided: bool = False, **tables: object
) -> Promotion:
    rules = [{"metric": metric, "max_drop": drop} for metric, drop in guardrails]
    guarded = with_contract(joined, guardrails=rules, **({"slices": SLICES} | tables))
    return promote(guarded, champion="a", challenger="b", allow_undecided=allow_undecided)


def harmed(joined: FakeJoined) -> FakeJoined:
    never = pl.when((pl.col("model_version") == "b") & (pl.col("region") == "EU")).then(pl.lit(value=False))
    return replace(joined, frame=joined.frame.with_columns(flagged=never.otherwise("flagged")))


def test_a_version_that_holds_every_guardrail_may_go_out() -> None:
    found = decided(two_versions(600), ("recall", "0.4"), ("brier", "0.2"))
    assert found.allowed
    assert found.verdict == "b may go out: every one of 4 guardrails holds."
    assert found.collect == ()


def test_a_broken_guardrail_names_metric_slice_drop_and_allowance() -> None:
    found = decided(harmed(two_versions(900, seed=2)), ("recall", "0.05"))
    assert not found.allowed
    line = found.table.row(by_predicate=pl.col("slice") == "region=EU", named=True)
    drop, lower, upper = (100 * line[name] for name in ("measured", "lower", "upper"))
    expected = f"recall where region=EU is worse by {drop:.1f} points [{lower:.1f}, {upper:.1f}], 5.0 allowed"
    assert expected in found.verdict or "recall is worse by" in found.verdict
    assert said(line) == expected
    assert found.verdict.startswith("b may not go out, a stays: ")


def test_what_cannot_be_told_keeps_a_version_back_unless_allowed() -> None:
    joined = two_versions(300, seed=3)
    held, allowed = (decided(joined, ("recall", "0.001"), allow_undecided=flag) for flag in (False, True))
    assert (held.allowed, allowed.allowed) == (False, True)
    assert "may not go out yet" in held.verdict
    assert "none is broken" in allowed.verdict
    needed = held.table["needed"].drop_nulls()
    for item, rows in zip(held.collect, needed, strict=False):
        assert f"about {rows:,} more labelled rows" in item


def test_not_estimable_is_said_with_its_reason() -> None:
    joined = two_versions(100, seed=4)
    blank = replace(joined, frame=joined.frame.with_columns(label=pl.lit(None, dtype=pl.Float64)))
    found = decided(blank, ("recall", "0.1"))
    assert "recall (no labelled rows)" in found.verdict
    assert found.collect[0] == "recall: no labelled rows"
    assert "not estimable" in found.to_text()


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ({"guard": "metric", "metric": "recall", "measured": -0.02, "lower": -0.05, "upper": 0.01},
         "better by 2.0 points [-1.0, 5.0]"),
        ({"guard": "metric", "metric": "brier", "measured": 0.0021, "lower": 0.0001, "upper": 0.0041},
         "worse by 0.00210 [0.00010, 0.00410]"),
        ({"guard": "latency", "metric": "latency_p95", "measured": 118.24, "lower": 110.0, "upper": 125.5},
         "118.2 ms [110.0, 125.5]"),
        ({"guard": "added latency", "metric": "latency_p95", "measured": 8.0, "lower": None, "upper": None},
         "adds 8.000 ms"),
        ({"guard": "sample ratio", "metric": None, "measured": 0.00012, "lower": None, "upper": None}, "p = 0.00012"),
        ({"guard": "cost", "metric": "cost_per_1000", "measured": None, "lower": None, "upper": None}, "not estimable"),
    ],
)  # fmt: skip
def test_what_is_held_against_the_limit_reads_in_its_unit(line: dict[str, object], expected: str) -> None:
    assert measured(line) == expected


def test_text_and_dict_hold_the_same_facts() -> None:
    found = decided(two_versions(600), ("recall", "0.4"))
    text, facts = found.to_text(), found.to_dict()
    assert text.startswith(found.verdict)
    assert facts["verdict"] == found.verdict
    assert facts["rows"].height == found.table.height
    assert "600 requests scored by both (same request_id); 0 and 0 predictions without a partner left out" in text
    assert str(found) == text.rstrip("\n")
    assert repr(found) == f"<Promotion: {found.verdict}>"


def test_split_traffic_says_its_sizes_and_its_check() -> None:
    found = decided(two_versions(900, seed=5, shadow=False), ("recall", "0.9"))
    assert found.table["guard"].to_list()[0] == "sample ratio"
    assert "split traffic" in found.to_text()
    assert found.to_dict()["unpaired"] is None
    assert found.to_dict()["sample_ratio"].height >= 1


def test_markdown_has_one_table_and_the_verdict_in_bold() -> None:
    found = decided(two_versions(600), ("recall", "0.4"))
    page = found.markdown()
    tokens = MarkdownIt("commonmark").enable("table").parse(page)
    assert sum(token.type == "table_open" for token in tokens) == 1
    assert f"**{found.verdict}**" in page


def test_thin_slices_show_no_number_in_a_document_and_no_other_slice_its_size() -> None:
    joined = two_versions(600, seed=6)
    rare = pl.when(pl.col("request_id") < "q00008").then(pl.lit("XX")).otherwise("region").alias("region")
    slices = {"columns": ["region"], "critical": [{"region": "XX"}, {"region": "EU"}]}
    found = decided(replace(joined, frame=joined.frame.with_columns(rare)), ("accuracy", "0.5"), slices=slices)
    mentioned = [line for line in found.markdown().splitlines() if "region=XX" in line]
    assert len(mentioned) == 3  # the sentence, the table, what to collect
    assert all("fewer than 20" in line and "points" not in line for line in mentioned)
    other = next(line for line in found.markdown().splitlines() if "region=EU" in line)
    assert other.rstrip(" |").endswith("\\-")
    assert "fewer than 20" not in found.to_text()


def test_hostile_versions_and_slices_stay_text(tmp_path: Path) -> None:
    for value in HOSTILE:
        name = value or "empty"
        if "\ud800" in name or not name.strip():
            continue
        joined = two_versions(40, seed=7)
        frame = joined.frame.with_columns(
            pl.when(pl.col("model_version") == "b")
            .then(pl.lit(name))
            .otherwise("model_version")
            .alias("model_version"),
            pl.lit(name).alias("region"),
        )
        slices = {"columns": ["region"], "critical": [{"region": name}]}
        guarded = with_contract(
            replace(joined, frame=frame), guardrails=[{"metric": "recall", "max_drop": "0.9"}], slices=slices
        )
        found = promote(guarded, champion="a", challenger=name)
        for page in (found.html(mask=False), found._repr_html_()):
            assert "<script" not in page.lower()
            assert "<img" not in page.lower()
            assert "<svg" not in page.lower()
        assert "<script" not in MarkdownIt("commonmark").enable("table").render(found.markdown(mask=False)).lower()
        for sign in "\x1b\x9b\x00\u202e\u2066\u2028":
            assert sign not in found.to_text()
            assert sign not in repr(found)


def test_a_decision_is_written_whole_and_replaces_only_a_decision(tmp_path: Path) -> None:
    found = decided(two_versions(300), ("recall", "0.4"))
    for name, start in (("p.md", "# Promotion: b in place of a"), ("p.html", "<!doctype html>")):
        target = found.write(tmp_path / name)
        assert target.read_text(encoding="utf-8").startswith(start)
        assert found.write(tmp_path / name) == target
    other = tmp_path / "notes.md"
    other.write_text("mine", encoding="utf-8")
    with pytest.raises(OutputError, match="left alone"):
        found.write(other)
    assert other.read_text(encoding="utf-8") == "mine"
    with pytest.raises(ArgumentError, match="Markdown or HTML"):
        found.write(tmp_path / "p.pdf")


def test_the_price_of_a_gain_is_said_in_the_contracts_currency() -> None:
    joined = two_versions(2000, seed=8)
    better = pl.when(pl.col("model_version") == "b").then(pl.lit(value=True)).otherwise("flagged").alias("flagged")
    cost = pl.when(pl.col("model_version") == "b").then(0.002).otherwise(0.001).alias("cost")
    found = decided(
        replace(joined, frame=joined.frame.with_columns(better, cost)), ("recall", "0.1"), value={"currency": "EUR"}
    )
    line = found.table.row(0, named=True)
    assert f"{line['cost_per_gain']:.4f} [" in found.to_text()
    assert "EUR per 1,000 predictions for each 0.01 of recall" in found.to_text()
