"""The slices explorer: what it shows is what is measured, at every move; clicks, filters, thresholds, weeks, search."""

import asyncio
from datetime import timedelta

import numpy as np
import polars as pl
import pytest

from fbkit.explorers.slice_controls import NOTHING
from fbkit.explorers.slices import SlicesExplorer
from fbkit.explorers.source import Source
from fbkit.explorers.state import Shared
from fbkit.ledger.build import build
from fbkit.measure.from_ledger.metrics import ledger_metrics
from fbkit.measure.metrics import metrics
from fbkit.measure.slice_search import find_slices
from fbkit.measure.slicing.slice_table import SliceTable
from fbkit.schema.contract import Contract
from fbkit.schema.period import Comparison, Period
from fbkit.testing.frames import START, FakeJoined, make_joined, random_joined

AS_OF = START + timedelta(days=60)
THEN, NOW = Period.parse("2026-04-06..2026-04-20"), Period.parse("2026-04-20..2026-04-27")
WEEKS = Comparison(reference=THEN, current=NOW)
NUMBERS = ["value", "lower", "upper", "bound_lower", "bound_upper", "n", "n_labelled"]


@pytest.fixture(scope="module")
def joined() -> FakeJoined:
    made = random_joined(3000, seed=5, groups=6, days=28, entities=900)
    text = made.contract.to_toml() + '\n[slices]\ncolumns = ["group", "region"]\n'
    return FakeJoined(frame=made.frame, contract=Contract.from_toml(text), as_of=made.as_of)


def shown(explorer: SlicesExplorer, role: str = "current") -> pl.DataFrame:
    return explorer.result.filter(~pl.col("whole") & (pl.col("role") == role)).sort("slice")


def same(frame: pl.DataFrame, wanted: pl.DataFrame) -> None:
    by = wanted.columns[0]
    assert frame["slice"].to_list() == wanted.sort(by)[by].to_list()
    for name in NUMBERS:
        ours, theirs = (part[name].cast(pl.Float64).to_numpy() for part in (frame, wanted.sort(by)))
        np.testing.assert_allclose(ours, theirs, rtol=1e-9, err_msg=name)


def answers(explorer: SlicesExplorer) -> int:
    return explorer.view.frame["seq"]


def test_a_move_of_the_threshold_builds_no_frame_and_one_answer(
    joined: FakeJoined, monkeypatch: pytest.MonkeyPatch
) -> None:
    explorer = SlicesExplorer(joined, WEEKS, by="group")
    explorer.threshold = 0.4
    with monkeypatch.context() as patch:
        patch.setattr(SliceTable, "frame", lambda *_: pytest.fail("a frame on the way of a move"))
        for threshold in (0.41, 0.42, 0.7):
            before = answers(explorer)
            explorer.threshold = threshold
            assert answers(explorer) == before + 1
    again = FakeJoined(
        frame=joined.frame.with_columns(flagged=pl.col("score") >= 0.7), contract=joined.contract, as_of=joined.as_of
    )
    same(shown(explorer), metrics(again, "recall", by="group", period=NOW))
    drawn = [row for row in explorer.view.frame["rows"] if row["role"] == "current"][1:]
    assert sorted(row["value"] for row in drawn) == pytest.approx(sorted(shown(explorer)["value"]))


def test_a_threshold_of_the_page_is_taken_exactly_also_off_the_grid_of_the_slider(joined: FakeJoined) -> None:
    shared = Shared.of(Source.of(joined).view(WEEKS))
    explorer = SlicesExplorer(joined, shared=shared)
    shared.threshold = 0.41237
    assert explorer.what_if
    again = FakeJoined(
        frame=joined.frame.with_columns(flagged=pl.col("score") >= 0.41237),
        contract=joined.contract,
        as_of=joined.as_of,
    )
    same(shown(explorer), metrics(again, "recall", by="group", period=NOW))
    shared.clear("threshold")
    assert not explorer.what_if
    same(shown(explorer), metrics(joined, "recall", by="group", period=NOW))


@pytest.mark.parametrize("name", ["metric", "by", "stage"])
def test_what_is_shared_moves_once_from_either_side(joined: FakeJoined, name: str) -> None:
    explorer = SlicesExplorer(joined, WEEKS, by="group")
    value = {"metric": "precision", "by": "region", "stage": "any"}[name]
    before = answers(explorer)
    setattr(explorer, name, value)
    assert getattr(explorer.shared, name) == value
    assert answers(explorer) == before + 1
    first = {"metric": "recall", "by": "group", "stage": "final"}[name]
    setattr(explorer.shared, name, first)
    assert getattr(explorer, name) == first
    assert answers(explorer) == before + 2


def test_a_metric_of_another_explorer_becomes_a_choice_here(joined: FakeJoined) -> None:
    explorer = SlicesExplorer(joined, WEEKS, by="group")
    before = answers(explorer)
    explorer.shared.metric = "npv"
    assert explorer.metric == "npv"
    assert answers(explorer) == before + 1
    same(shown(explorer), metrics(joined, "npv", by="group", period=NOW))


def test_a_click_focuses_a_slice_and_a_second_one_lets_it_go(joined: FakeJoined) -> None:
    explorer = SlicesExplorer(joined, WEEKS, by="group")
    everything = explorer.result
    row = next(row for row in explorer.view.frame["rows"] if row["slice"] == "g3")
    explorer.view.picked = {"seq": 1, "kind": "pick", "value": row["pick"]}
    assert dict(explorer.shared.focus) == {"group": "g3"}
    assert {row["slice"] for row in explorer.view.frame["rows"] if row["focused"]} == {"g3"}
    assert explorer.result.equals(everything), "its own slices stay beside each other"
    explorer.view.picked = {"seq": 2, "kind": "pick", "value": row["pick"]}
    assert not explorer.shared.focus
    explorer.view.picked = {"seq": 3, "kind": "pick", "value": 99}
    assert not explorer.shared.focus


def test_a_slice_is_focused_by_keyboard_too(joined: FakeJoined) -> None:
    explorer = SlicesExplorer(joined, WEEKS, by="region")
    before = answers(explorer)
    assert [label for label, _ in explorer._focus.options] == ["no slice", "EU", "US", "(no value)"]
    explorer._focus.value = None
    assert dict(explorer.shared.focus) == {"region": None}
    assert answers(explorer) == before + 1
    explorer._focus.value = NOTHING
    assert not explorer.shared.focus
    explorer.shared.focus_on("region", "US")
    assert explorer._focus.value == "US"
    explorer.by = "group"
    assert explorer._focus.value == NOTHING
    assert dict(explorer.shared.focus) == {"region": "US"}, "the focus of the other column stays"


def test_the_focus_of_another_column_narrows_the_rows(joined: FakeJoined) -> None:
    explorer = SlicesExplorer(joined, WEEKS, by="group")
    for value in ("EU", None):
        explorer.shared.focus = {"region": value}
        only = joined.frame.filter(pl.col("region").eq_missing(pl.lit(value)))
        part = FakeJoined(frame=only, contract=joined.contract, as_of=joined.as_of)
        same(shown(explorer), metrics(part, "recall", by="group", period=NOW))


def test_brushed_days_take_the_place_of_the_current_period(joined: FakeJoined) -> None:
    explorer = SlicesExplorer(joined, WEEKS, by="group")
    explorer.shared.days = Period.parse("2026-04-21..2026-04-23")
    same(shown(explorer), metrics(joined, "recall", by="group", period="2026-04-21..2026-04-23"))
    same(shown(explorer, "reference"), metrics(joined, "recall", by="group", period=THEN))


def test_at_an_earlier_time_it_says_what_was_known_then(joined: FakeJoined) -> None:
    explorer = SlicesExplorer(joined, WEEKS, by="group")
    explorer.metric, explorer.stage = "availability", "any"
    explorer.shared.as_of = START + timedelta(days=57)
    ledger = build(joined, slices=["group"])
    wanted = ledger_metrics(ledger, "availability", by="group", period=NOW, stage="any", as_of="2026-04-28")
    same(shown(explorer), wanted)
    explorer.metric = "recall"
    explorer.threshold = 0.3
    assert "at the decisions that were logged" in explorer.summary
    assert explorer._slider.disabled


def test_the_summary_names_the_slice_that_adds_most(joined: FakeJoined) -> None:
    explorer = SlicesExplorer(joined, WEEKS, by="group")
    frame = explorer.result.filter(~pl.col("whole") & (pl.col("role") == "current"))
    whole = explorer.result.filter(pl.col("whole"))["value"]
    parts = dict(frame.select("slice", "contribution").rows())
    assert sum(parts.values()) == pytest.approx(whole[1] - whole[0], abs=1e-12)
    most = (min if whole[1] < whole[0] else max)(parts, key=lambda name: parts[name])
    assert f"Largest part: {most}" in explorer.summary
    assert frame["slice"][0] == most


def test_a_metric_that_does_not_decompose_says_so_and_is_ordered_by_its_fall(joined: FakeJoined) -> None:
    explorer = SlicesExplorer(joined, WEEKS, by="group", metric="roc_auc")
    assert "not defined" in explorer.summary
    assert "adds to the change" not in explorer.view.drawing["json"]
    pairs = explorer.result.filter(~pl.col("whole")).pivot("role", index="slice", values="value", maintain_order=True)
    falls = (pairs["current"] - pairs["reference"]).to_list()
    assert falls == sorted(falls)
    explorer.metric = "recall"
    assert "adds to the change" in explorer.view.drawing["json"]


@pytest.mark.parametrize("sort", ["contribution", "drop", "low", "n", "name"])
def test_orders_put_the_right_slice_first_and_small_ones_are_counted(joined: FakeJoined, sort: str) -> None:
    explorer = SlicesExplorer(joined, WEEKS, by="group")
    explorer.sort = sort
    frame = explorer.result.filter(~pl.col("whole")).pivot(
        "role", index="slice", values=["value", "n", "contribution"], maintain_order=True
    )
    key = {
        "contribution": lambda row: row["contribution_current"] * -explorer._table.change,
        "drop": lambda row: row["value_current"] - row["value_reference"],
        "low": lambda row: row["value_current"],
        "n": lambda row: -max(row["n_current"], row["n_reference"]),
        "name": lambda row: row["slice"],
    }[sort]
    held = [key(row) for row in frame.to_dicts()]
    assert held == sorted(held)
    explorer.minimum = int(frame["n_reference"].sort()[2])
    assert "2 slices are not shown" in explorer.summary


# A ledger alone --------------------------------------------------------------------------------------------------
def test_a_ledger_alone_moves_its_threshold_along_its_edges(joined: FakeJoined) -> None:
    ledger = build(joined, slices=["group", "region"])
    explorer = SlicesExplorer(ledger, WEEKS, by="group")
    same(shown(explorer), ledger_metrics(ledger, "recall", by="group", period=NOW))
    edge = ledger.edges.edges[20]
    explorer.threshold = edge
    assert explorer.what_if
    same(shown(explorer), ledger_metrics(ledger, "recall", by="group", period=NOW, threshold=edge))


def test_a_ledger_of_broken_weeks_says_why_no_threshold_can_be_tried(joined: FakeJoined) -> None:
    days = Comparison(reference="2026-04-06..2026-04-20", current="2026-04-20..2026-04-25")
    explorer = SlicesExplorer(build(joined, slices=["group"]), days, by="group")
    assert explorer._slider.disabled
    assert "whole weeks" in explorer._why.value
    assert explorer.trouble == ""


def test_a_search_of_a_ledger_says_that_it_needs_rows(joined: FakeJoined) -> None:
    explorer = SlicesExplorer(build(joined, slices=["group"]), WEEKS, by="group", show="search")
    explorer.search()
    explorer.work.join(20)
    assert "needs the rows" in explorer.trouble


# Weeks and search ------------------------------------------------------------------------------------------------
def test_small_multiples_show_the_weekly_numbers_of_the_first_slices(joined: FakeJoined) -> None:
    explorer = SlicesExplorer(joined, WEEKS, by="group", show="time")
    first = explorer._slots
    rows = [row for row in explorer.view.frame["rows"] if row["part"] == "point"]
    source = Source.of(joined)
    wanted = metrics(source.ledger(by=["group"]), "recall", by="group", every="1w")
    for place, name in enumerate(first):
        mine = [row["value"] for row in rows if row["pick"] == place]
        assert mine == wanted.filter(pl.col("group") == name)["value"].to_list()
    explorer.view.picked = {"seq": 1, "kind": "pick", "value": 1}
    assert dict(explorer.shared.focus) == {"group": first[1]}


def test_the_focused_panel_is_framed(joined: FakeJoined) -> None:
    explorer = SlicesExplorer(joined, WEEKS, by="group", show="time")
    explorer.shared.focus_on("group", "g2")
    framed = [row["slice"] for row in explorer.view.frame["rows"] if row["part"] == "focused"]
    assert [name.split()[0] for name in framed] == ["g2"]


def test_what_the_first_move_needs_is_made_when_the_kernel_is_idle(
    joined: FakeJoined, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(SlicesExplorer, "READY_AFTER", 0.001)

    async def shown_for_a_while() -> SlicesExplorer:
        explorer = SlicesExplorer(joined, WEEKS, by="group")
        await asyncio.sleep(0.05)
        return explorer

    explorer = asyncio.run(shown_for_a_while())
    tables = explorer.data._asked(explorer.shared.view())[0]
    assert list(tables._swept.held) == [("recall", "group", True)]
    assert explorer.view.frame["seq"] == 1


def test_a_search_shows_what_find_slices_returns_until_the_question_changes(joined: FakeJoined) -> None:
    explorer = SlicesExplorer(joined, WEEKS, by="group", show="search")
    assert explorer.view.frame["rows"][0]["said"].startswith("Press Search")
    explorer.search()
    explorer.work.join(60)
    assert explorer.trouble == ""
    wanted = find_slices(joined, WEEKS, metric="recall", keep_unclear=True)
    assert explorer.result.drop("evaluation_id").equals(wanted.drop("evaluation_id"))
    assert "tested" in explorer.summary
    explorer.metric = "precision"
    assert explorer.summary.startswith("Press Search")


def test_a_metric_that_cannot_be_searched_is_told(joined: FakeJoined) -> None:
    explorer = SlicesExplorer(joined, WEEKS, by="group", metric="roc_auc", show="search")
    explorer.search()
    explorer.work.join(20)
    assert explorer.trouble


def test_regression_has_its_metrics_and_no_threshold() -> None:
    made = make_joined(
        scores=[float(k % 17) for k in range(400)],
        labels=[float(k % 13) for k in range(400)],
        ages=[8 + 18 * (k % 97) / 97 for k in range(400)],
        columns={"group": [f"g{k % 3}" for k in range(400)]},
        task="regression",
    )
    explorer = SlicesExplorer(made, WEEKS, metric="mae", by="group")
    assert explorer.trouble == ""
    same(shown(explorer), metrics(made, "mae", by="group", period=NOW))
    assert explorer._trying.layout.display == "none"
    explorer.show = "time"
    assert explorer.trouble == ""
    assert explorer.view.frame["rows"]


def test_values_that_only_one_period_has_and_empty_values_are_slices(joined: FakeJoined) -> None:
    late = pl.when(pl.col("ts_pred") >= NOW.start).then(pl.lit("new")).otherwise(pl.lit(None, dtype=pl.String))
    frame = joined.frame.with_columns(group=late)
    explorer = SlicesExplorer(FakeJoined(frame=frame, contract=joined.contract, as_of=AS_OF), WEEKS, by="group")
    assert {(row["slice"], row["role"]) for row in explorer.view.frame["rows"]} == {
        ("all predictions", "reference"), ("all predictions", "current"), ("new", "current"),
        ("(no value)", "reference"),
    }  # fmt: skip
    assert explorer.summary


def test_code_says_what_is_shown(joined: FakeJoined) -> None:
    explorer = SlicesExplorer(joined, WEEKS, by="group")
    explorer.threshold = 0.3
    said = "\n".join(explorer.calls())
    assert "threshold=0.3" in said
    assert "by='group'" in said
    explorer.show = "time"
    assert "every='1w'" in "\n".join(explorer.calls())
