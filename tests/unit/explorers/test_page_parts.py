"""The parts of the linked page: breadcrumb, loop strip, copying, timeline; nothing in them is a user's markup."""

import base64
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import polars as pl
import pytest

import fbkit as fb
from fbkit.errors import ArgumentError
from fbkit.explorers.copying import Copied, CopyButton
from fbkit.explorers.filters import Filters, crumbs, metric_choices
from fbkit.explorers.sharing import copied
from fbkit.explorers.source import Source
from fbkit.explorers.state import Shared
from fbkit.explorers.strip import STEPS, LoopStrip
from fbkit.explorers.timeline import TimelineExplorer
from fbkit.schema.period import Period

EVIL = "<img src=x onerror=alert(1)>\u202e"


@pytest.fixture(scope="module")
def joined() -> fb.Joined:
    return fb.open_loop(fb.samples.path("recall_drop") / "variant_b").join()


@pytest.fixture
def source(joined: fb.Joined) -> Source:
    return Source.of(joined)


def words(widget: Any) -> list[str]:
    """Every text that a widget and those inside it show."""
    own = [str(getattr(widget, name)) for name in ("description", "value", "tooltip") if hasattr(widget, name)]
    return [*own, *(text for child in getattr(widget, "children", ()) for text in words(child))]


def test_the_breadcrumb_shows_every_filter_and_a_click_lets_go_of_it(source: Source) -> None:
    shared = Shared.of(source.view())
    bar = Filters(source, shared)
    assert crumbs(shared.view(), as_of=source.as_of) == []
    with shared.together():
        shared.focus_on("region", EVIL)
        shared.version = "7.3"
        shared.days = Period.parse("2026-09-28..2026-09-30")
        shared.as_of = source.moments()[3]
        shared.threshold = 0.25
    shown = [text for text in words(bar) if text.endswith("×")]
    assert [text.split(" ")[0] for text in shown] == ["as", "28", "version", "region", "if"]
    assert not [text for text in words(bar) if "\u202e" in text]
    for key in ("as_of", "days", "version", "region", "threshold"):
        bar.clear(key)
    assert shared.view() == source.view()
    shared.focus_on("region", "EU")
    shared.version = "7.3"
    bar.clear(None)
    assert shared.view() == source.view()


def test_the_controls_and_the_state_follow_each_other(source: Source) -> None:
    shared = Shared.of(source.view())
    controls = {item.description: item for item in Filters(source, shared).children[0].children}
    controls["Version"].value = "7.3"
    assert shared.version == "7.3"
    shared.version = None
    assert controls["Version"].value != "7.3"
    slider = controls["as known at (UTC)"]
    slider.index = 4
    assert shared.as_of == source.moments()[4]
    assert all(item.tooltip for item in controls.values())


def test_metrics_offered_are_known_ones_and_the_contracts_come_first(source: Source) -> None:
    offered = [name for _, name in metric_choices(source, "brier")]
    assert offered[:2] == ["brier", source.contract.metrics.primary]
    assert len(offered) == len(set(offered))
    for name in offered:
        assert fb.metrics(source.ledger(), name).height == 1, name


STRIP = pl.DataFrame(
    {
        "step": ["Log", "Label", "Join", "Measure", "Act"],
        "state": ["green", "red", "amber", "green", "amber"],
        "id": list("abcde"),
        "question": [EVIL, "q", "q", "q", "q"],
        "status": ["passed", "failed", "failed", "passed", "not applicable"],
        "evidence": [EVIL, "e2", "e3", "e4", "e5"],
        "fix": [None, EVIL, "f3", None, None],
    }
)


def test_the_strip_says_each_state_in_words_and_a_click_opens_its_checks() -> None:
    strip = LoopStrip(STRIP)
    said = [text for text in words(strip) if ":" in text and text.split(":")[0] in STEPS]
    assert {"Log: in order", "Label: broken", "Join: look"} <= set(said)
    strip.toggle("Label")
    opened = strip.children[1].value
    assert "e2" in opened
    assert "e3" not in opened
    strip.toggle("Label")
    assert strip.children[1].value == ""
    strip.toggle("Log")
    assert "<img" not in strip.children[1].value + opened
    assert "\u202e" not in strip.children[1].value


def test_a_strip_without_checks_says_why_and_opens_nothing() -> None:
    strip = LoopStrip(None, saying="a ledger holds no logs")
    assert any("a ledger holds no logs" in text for text in words(strip))
    assert all(button.disabled for button in strip.children[0].children if hasattr(button, "disabled"))


def test_a_copy_button_answers_each_press_once_with_all_forms() -> None:
    button = CopyButton("Copy", lambda: Copied(text="t", html="<p>t</p>", png=b"\x89PNG"), tip="tip")
    button.asked += 1
    assert button.answer == {"seq": 1, "text": "t", "html": "<p>t</p>", "png": base64.b64encode(b"\x89PNG").decode()}
    assert base64.b64decode(button.answer["png"]) == b"\x89PNG"


def test_a_copy_that_fails_says_so_in_one_sentence() -> None:
    def fail() -> Copied:
        raise ArgumentError("no table here", got="x", allowed="y", next_step="z")

    button = CopyButton("Copy", fail, tip="tip")
    button.asked += 1
    assert button.answer["trouble"] == "not copied: no table here"


def test_the_timeline_shows_what_metrics_says_and_follows_the_state(joined: fb.Joined) -> None:
    explorer = TimelineExplorer(joined)
    assert explorer.trouble == ""
    theirs = fb.metrics(joined, "recall", every="1d")
    assert explorer.result["value"].to_list() == pytest.approx(theirs["value"].to_list(), nan_ok=True)
    explorer.shared.focus_on("region", "EU")
    narrow = fb.metrics(joined.only({"region": "EU"}), "recall", every="1d")
    assert explorer.result["n"].to_list() == narrow["n"].to_list()
    assert explorer.result["value"].to_list() == pytest.approx(narrow["value"].to_list(), nan_ok=True)
    explorer.shared.focus_on("device", "web")
    both = fb.metrics(joined.only({"region": "EU", "device": "web"}), "recall", every="1d")
    assert explorer.result["n"].to_list() == both["n"].to_list()
    explorer.shared.clear("device")
    explorer.shared.metric = "brier"
    assert "Brier" in explorer.summary
    explorer.grain = "1w"
    assert explorer.result.height == narrow.height / 7


def test_brushed_days_are_whole_days_and_an_empty_brush_lets_go(joined: fb.Joined) -> None:
    explorer = TimelineExplorer(joined)
    ends = [datetime(2026, 9, 29, 5, tzinfo=UTC), datetime(2026, 9, 30, 7, tzinfo=UTC)]
    explorer.view.picked = {"seq": 1, "kind": "days", "value": [1000 * moment.timestamp() for moment in reversed(ends)]}
    assert explorer.shared.days == Period.parse("2026-09-29..2026-10-01")
    explorer.view.picked = {"seq": 2, "kind": "days", "value": None}
    assert explorer.shared.days is None


@pytest.mark.parametrize(
    "message",
    [{}, {"kind": "pick", "value": "x"}, {"kind": "days", "value": [1]}, {"kind": "days", "value": [1e400, 0]}],
)
def test_what_a_page_sends_and_is_no_click_changes_nothing(joined: fb.Joined, message: dict[str, Any]) -> None:
    explorer = TimelineExplorer(joined)
    before = explorer.shared.view()
    explorer.view.picked = {"seq": 1, **message}
    assert explorer.shared.view() == before
    assert explorer.trouble == ""


def test_an_explorer_nobody_sees_answers_when_it_is_seen_again(joined: fb.Joined) -> None:
    explorer = TimelineExplorer(joined)
    explorer.active = False
    shown: Any = explorer.view.frame["seq"]
    explorer.shared.metric = "precision"
    assert explorer.view.frame["seq"] == shown
    explorer.active = True
    assert explorer.view.frame["seq"] == shown + 1
    assert "Precision" in explorer.summary


def test_the_code_of_a_view_gives_the_numbers_that_are_shown(joined: fb.Joined) -> None:
    explorer = TimelineExplorer(joined)
    with explorer.shared.together():
        explorer.shared.focus_on("region", "EU")
        explorer.shared.version = "7.3"
    code = explorer.code().replace('"FOLDER"', repr(str(fb.samples.path("recall_drop") / "variant_b")))
    *lines, last = code.strip().splitlines()
    space: dict[str, Any] = {}
    exec("\n".join(lines), space)
    found = eval(last, space)
    assert found["n"].to_list() == explorer.result["n"].to_list()
    assert found["value"].to_list() == pytest.approx(explorer.result["value"].to_list(), nan_ok=True)


def test_what_is_copied_has_a_picture_and_a_table_of_what_differs(joined: fb.Joined) -> None:
    explorer = TimelineExplorer(joined)
    made = copied(explorer)
    lines = made.text.splitlines()
    assert lines[0] == explorer.summary
    assert lines[2].startswith("| period start |")
    assert "evaluation" not in made.text
    assert "metric" not in lines[2], "the same in every line"
    assert made.png.startswith(b"\x89PNG")
    assert made.html.count("<tr>") == explorer.result.height + 1


def test_thin_slices_are_masked_in_what_is_taken_along(joined: fb.Joined) -> None:
    explorer = fb.explore.slices(joined.only({"region": "LATAM"}), by="device")
    thin = explorer.result.with_columns(n=3)
    explorer.result = thin
    table = explorer.table()
    assert table["value"].null_count() == table.height
    assert set(table["masked"]) == {"fewer than 20"}


def test_a_saved_picture_says_how_many_rows_of_the_logs_were_left_out(joined: fb.Joined, tmp_path: Path) -> None:
    explorer = TimelineExplorer(joined)
    assert explorer.source.dropped
    picture = explorer.save(tmp_path / "chart.svg").read_text(encoding="utf-8")
    assert f"{explorer.source.dropped:,} left out" in picture
    assert "as of 2026-10-19" in picture
