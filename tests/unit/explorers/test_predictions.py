"""The predictions explorer without a browser: what is found, what travels, what never stays, and the receipt."""

import json
from datetime import timedelta
from typing import Any

import ipywidgets
import polars as pl
import pytest

from fbkit import explorers
from fbkit.errors import ArgumentError
from fbkit.explorers import static
from fbkit.explorers.predictions import NO_SLICE, QUESTIONS, PredictionsExplorer
from fbkit.explorers.rows_view import RowsView
from fbkit.explorers.source import Source
from fbkit.explorers.state import Shared
from fbkit.ledger.build import build
from fbkit.measure.find_rows import find_rows
from fbkit.schema.contract import Contract
from fbkit.schema.period import Comparison
from fbkit.testing.frames import START, FakeJoined, make_joined, random_joined

HOSTILE = "<img src=x onerror=alert(1)>"
AS_OF = START + timedelta(days=60)
WEEKS = Comparison(
    reference=f"{(AS_OF - timedelta(days=28)).date()}..{(AS_OF - timedelta(days=18)).date()}",
    current=f"{(AS_OF - timedelta(days=18)).date()}..{(AS_OF - timedelta(days=8)).date()}",
)


@pytest.fixture(scope="module")
def joined() -> FakeJoined:
    made = random_joined(3000, seed=5, groups=4, days=28)
    hostile = pl.when(pl.col("group") == "g1").then(pl.lit(HOSTILE)).otherwise(pl.col("group")).alias("group")
    facts = made.contract.model_dump(exclude_defaults=True) | {"slices": {"columns": ["group"]}}
    return FakeJoined(frame=made.frame.with_columns(hostile), contract=Contract.from_dict(facts), as_of=made.as_of)


@pytest.fixture
def explorer(joined: FakeJoined) -> PredictionsExplorer:
    return explorers.predictions(joined, WEEKS)


def ids(explorer: PredictionsExplorer) -> list[str]:
    return [row[0] for row in explorer.list.content["rows"]]


def states(widget: Any) -> str:
    """All synchronised state of a widget and its children: what a notebook could save."""
    found, stack = [], [widget]
    while stack:
        one = stack.pop()
        stack += getattr(one, "children", ())
        found.append({name: value for name, value in one.get_state().items() if name not in ("_esm", "_css")})
    return json.dumps(found, default=str)


@pytest.mark.parametrize("question", ["missed", "false_alarms", "missing", "newest"])
def test_the_table_has_the_rows_that_were_measured_in_their_order(
    joined: FakeJoined, explorer: PredictionsExplorer, question: str
) -> None:
    explorer.question = question
    expected = find_rows(joined, question, period=WEEKS.periods()[1])
    assert ids(explorer) == expected.rows["prediction_id"].to_list()
    assert explorer.result.equals(expected.steps)
    assert QUESTIONS[question] in explorer.summary
    explorer.period = "reference"
    assert ids(explorer) == find_rows(joined, question, period=WEEKS.periods()[0]).rows["prediction_id"].to_list()
    explorer.period = "all"
    assert ids(explorer) == find_rows(joined, question).rows["prediction_id"].to_list()


def test_no_row_and_no_id_is_in_any_state_of_any_widget(explorer: PredictionsExplorer) -> None:
    explorer.list._heard(None, {"kind": "search", "text": "p-00"}, [])
    explorer.list._heard(None, {"kind": "choose", "place": 3}, [])
    assert explorer.chosen == ids(explorer)[3]
    assert explorer.chosen in explorer.list.shown_receipt["html"]
    saved = states(explorer)
    assert "p-0" not in saved
    assert "p-0" not in explorer.code()
    assert "predictions match" in saved, "the counts do travel"


def test_the_picture_that_stays_has_counts_only(explorer: PredictionsExplorer, monkeypatch: pytest.MonkeyPatch) -> None:
    shown: list[dict[str, Any]] = []
    monkeypatch.setattr("IPython.display.display", lambda bundle, **_: shown.append(bundle))
    explorer._ipython_display_()
    assert "p-0" not in json.dumps(shown)
    assert set(explorer.view.frame["rows"][0]) == {"order", "label", "left", "said", "said_dropped"}
    assert "p-0" not in static.static_html(b"\x89PNG" + bytes(20), summary=explorer.summary)


def test_a_page_that_is_opened_later_asks_for_the_rows_again(
    explorer: PredictionsExplorer, monkeypatch: pytest.MonkeyPatch
) -> None:
    sent: list[dict[str, Any]] = []
    monkeypatch.setattr(RowsView, "send", lambda _, content, buffers=None: sent.append(content))
    explorer.list._heard(None, {"kind": "ready"}, [])
    assert [message["kind"] for message in sent] == ["rows"]
    explorer.list._heard(None, {"kind": "choose", "place": 0}, [])
    explorer.list._heard(None, {"kind": "ready"}, [])
    assert [message["kind"] for message in sent] == ["rows", "receipt", "rows", "receipt"]
    explorer.question = "newest"
    assert explorer.list.shown_receipt == {}, "the receipt of another table's row goes"
    assert explorer.chosen is None


@pytest.mark.parametrize(
    "message",
    [None, "choose", {}, {"kind": "choose"}, {"kind": "choose", "place": -1}, {"kind": "choose", "place": 10**9},
     {"kind": "choose", "place": True}, {"kind": "choose", "place": "0"}, {"kind": "search", "text": 3}, {"kind": "x"}],
)  # fmt: skip
def test_a_page_can_send_anything_and_nothing_happens(explorer: PredictionsExplorer, message: Any) -> None:
    explorer.list._heard(None, message, [])
    assert explorer.chosen is None
    assert explorer.trouble == ""


def test_an_id_is_searched_as_text(explorer: PredictionsExplorer, joined: FakeJoined) -> None:
    explorer.period = "all"
    explorer.question = "newest"
    explorer.list._heard(None, {"kind": "search", "text": "p-000017"}, [])
    assert ids(explorer) == ["p-000017"]
    explorer.list._heard(None, {"kind": "search", "text": HOSTILE}, [])
    assert explorer.list.content["rows"] == []
    assert "No prediction is left" in explorer.list.content["caption"]
    explorer.list._heard(None, {"kind": "search", "text": ""}, [])
    assert len(ids(explorer)) == 50


def test_its_slice_is_the_pages_filter_both_ways(joined: FakeJoined) -> None:
    shared = Shared.of(Source.of(joined).view(WEEKS))
    explorer = explorers.predictions(joined, shared=shared)
    explorer.where = "group"
    explorer.value = HOSTILE
    assert shared.focus == {"group": HOSTILE}
    expected = find_rows(joined, "missed", period=WEEKS.periods()[1], where={"group": HOSTILE})
    assert ids(explorer) == expected.rows["prediction_id"].to_list()
    shared.clear()
    assert (explorer.where, explorer.value) == (NO_SLICE, None), "the controls follow the page"
    shared.focus_on("group", "g2")
    assert (explorer.where, explorer.value) == ("group", "g2")
    explorer.value = None
    assert explorer.result["left"][2] == 0, "no group is empty"
    shared.clear()
    assert "group" not in explorer.result["rule"].str.join("|").item()
    explorer.where = NO_SLICE
    assert shared.focus == {}
    shared.threshold = 0.9
    assert ids(explorer) == find_rows(joined, "missed", period=WEEKS.periods()[1], threshold=0.9).rows[
        "prediction_id"
    ].to_list()  # fmt: skip
    assert "flagged at score ≥ 0.9" in explorer.view.frame["texts"]["smallprint"]
    shared.days = WEEKS.periods()[0]
    assert explorer.result["left"][1] == find_rows(joined, "newest", period=WEEKS.periods()[0]).steps["left"][1]


class Card:
    """A receipt as the session layer has it."""

    def _repr_html_(self) -> str:
        return "<div class='card'>what came back</div>"


def test_the_receipt_is_the_card_where_there_is_one_and_escaped_lines_where_not(joined: FakeJoined) -> None:
    asked: list[str] = []

    def receipt(name: str) -> Card:
        asked.append(name)
        return Card()

    with_card = explorers.predictions(joined, WEEKS, receipt=receipt)
    with_card.list._heard(None, {"kind": "choose", "place": 0}, [])
    assert asked == [ids(with_card)[0]]
    assert with_card.list.shown_receipt["html"] == "<div class='card'>what came back</div>"
    with_text = explorers.predictions(joined, WEEKS, receipt=lambda name: f"{name}\n{HOSTILE}")
    with_text.list._heard(None, {"kind": "choose", "place": 0}, [])
    assert "&lt;img" in with_text.list.shown_receipt["html"]
    assert "<img" not in with_text.list.shown_receipt["html"]
    bare = explorers.predictions(joined, WEEKS)
    bare.list._heard(None, {"kind": "choose", "place": 0}, [])
    assert "predicted at" in bare.list.shown_receipt["html"]


def test_a_receipt_that_cannot_be_made_is_told_in_its_place(joined: FakeJoined) -> None:
    def fail(_: str) -> None:
        raise ArgumentError(f"no such {HOSTILE}", got="x", allowed="y", next_step="look again")

    explorer = explorers.predictions(joined, WEEKS, receipt=fail)
    explorer.list._heard(None, {"kind": "choose", "place": 0}, [])
    assert "no such &lt;img" in explorer.list.shown_receipt["html"]


def test_a_ledger_holds_no_rows_and_says_so_in_one_sentence(joined: FakeJoined) -> None:
    explorer = explorers.predictions(build(joined, slices=["group"]), WEEKS)
    assert explorer.trouble == ""
    assert explorer.summary == "A ledger holds counts and no rows: explore the joined table to find single predictions."
    assert explorer.list.content["rows"] == []
    assert explorer.result["left"].to_list() == [3000, 0]
    explorer.question = "newest"
    explorer.list._heard(None, {"kind": "choose", "place": 0}, [])
    assert explorer.chosen is None


@pytest.mark.parametrize(("task", "first"), [("regression", "errors"), ("ranking", "missed"), ("binary", "missed")])
def test_the_first_question_is_the_worst_error_of_the_task(task: str, first: str) -> None:
    made = make_joined(
        scores=[0.1, 0.9, 0.5], labels=[1.0, 0.0, 1.0], ages=[26, 12, 11], arrival_days=[1, 1, 1], task=task
    )
    explorer = explorers.predictions(made, WEEKS)
    assert explorer.question == first
    assert "late" not in explorer._asked, "a column that is not there is not offered"
    explorer.period = "all"
    assert explorer.trouble == ""
    assert ids(explorer)


def test_every_control_has_a_label_and_a_tip(explorer: PredictionsExplorer) -> None:
    for bar in explorer._bar() + explorer._slices():
        assert isinstance(bar, ipywidgets.Dropdown)
        assert bar.description
        assert bar.tooltip


def test_a_personal_column_is_no_slice_to_choose(joined: FakeJoined) -> None:
    facts = joined.contract.model_dump(exclude_defaults=True, exclude={"slices"}) | {
        "privacy": {"personal": ["region"]}
    }
    mine = FakeJoined(frame=joined.frame, contract=Contract.from_dict(facts), as_of=joined.as_of)
    explorer = explorers.predictions(mine, WEEKS)
    assert "region" not in explorer.source.slices
    assert explorer._columns == ["group"]
    assert "EU" not in states(explorer) + json.dumps(explorer.list.content)
