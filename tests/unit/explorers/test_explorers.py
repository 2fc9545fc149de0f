"""Explorers without a kernel and without a browser: the state, the numbers they show, the errors they tell."""

import json
from datetime import timedelta
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from polars.testing import assert_frame_equal

from fbkit import explorers
from fbkit.errors import ArgumentError, InputError
from fbkit.explorers import static
from fbkit.explorers.availability import NO_SLICE
from fbkit.explorers.base import Explorer
from fbkit.measure.availability import availability
from fbkit.measure.metrics import metrics
from fbkit.schema.period import Comparison
from fbkit.testing.frames import START, FakeJoined, random_joined

HOSTILE = "<script>alert(1)</script>"
AS_OF = START + timedelta(days=60)
WEEKS = Comparison(
    reference=f"{(AS_OF - timedelta(days=28)).date()}..{(AS_OF - timedelta(days=21)).date()}",
    current=f"{(AS_OF - timedelta(days=21)).date()}..{(AS_OF - timedelta(days=14)).date()}",
)


@pytest.fixture(scope="module")
def joined() -> FakeJoined:
    made = random_joined(3000, seed=5, groups=6, days=28)
    hostile = pl.when(pl.col("group") == "g1").then(pl.lit(HOSTILE)).otherwise(pl.col("group")).alias("group")
    return FakeJoined(frame=made.frame.with_columns(hostile), contract=made.contract, as_of=made.as_of)


def controls(explorer: Explorer) -> dict[str, Any]:
    """The visible controls by their label."""
    found: dict[str, Any] = {}
    stack = list(explorer.children)
    while stack:
        widget = stack.pop()
        stack += getattr(widget, "children", ())
        if getattr(widget, "description", ""):
            found[widget.description] = widget
    return found


def same_numbers(ours: pl.DataFrame, theirs: pl.DataFrame) -> None:
    """A ledger and its rows say the same under two ids."""
    assert_frame_equal(ours.drop("evaluation_id"), theirs.drop("evaluation_id"))


def test_slices_shows_exactly_the_measured_frame(joined: FakeJoined) -> None:
    explorer = explorers.slices(joined, WEEKS, by="group")
    reference, current = WEEKS.periods()
    for role, period in (("reference", reference), ("current", current)):
        expected = metrics(joined, "recall", by="group", period=period).select(
            "group", "value", "lower", "upper", "n", "bound_lower"
        )
        shown = explorer.result.filter(~pl.col("whole") & (pl.col("role") == role))
        pairs = shown.join(expected, left_on="slice", right_on="group", suffix="_measured")
        assert pairs.height == expected.height == 6
        for column in ("value", "lower", "upper", "n", "bound_lower"):
            assert pairs[column].to_list() == pairs[f"{column}_measured"].to_list()
    rows = explorer.view.frame["rows"]
    assert [row["value"] for row in rows] == explorer.result["value"].to_list()


def test_the_threshold_slider_decides_anew(joined: FakeJoined) -> None:
    explorer = explorers.slices(joined, WEEKS, by="group")
    drawing, answers = explorer.view.drawing, explorer.view.frame["seq"]
    controls(explorer)["score ≥"].value = 0.7
    assert explorer.what_if
    assert explorer.view.frame["seq"] == answers + 1, "one move, one answer"
    assert explorer.view.drawing == drawing, "a move exchanges rows and leaves the drawing alone"
    again = FakeJoined(
        frame=joined.frame.with_columns(flagged=pl.col("score") >= 0.7), contract=joined.contract, as_of=joined.as_of
    )
    whole = explorer.result.filter(pl.col("whole") & (pl.col("role") == "current"))["value"][0]
    assert whole == metrics(again, "recall", period=WEEKS.periods()[1])["value"][0]
    assert "score ≥ 0.7" in explorer.summary
    controls(explorer)["What if the threshold were"].value = False
    assert "score ≥" not in explorer.summary


def test_a_value_rounded_by_the_browser_is_nobodys_move(joined: FakeJoined) -> None:
    explorer = explorers.slices(joined, WEEKS)
    explorer.threshold += explorer.data.step / 10
    assert not explorer.what_if


def test_metrics_of_one_unit_share_a_drawing(joined: FakeJoined) -> None:
    explorer = explorers.slices(joined, WEEKS, by="group")
    first = explorer.view.drawing["key"]
    explorer.metric = "precision"
    assert explorer.view.drawing["key"] == first
    assert explorer.view.frame["texts"]["axis"] == "precision (final labels)"
    explorer.metric = "brier"
    assert explorer.view.drawing["key"] != first
    assert "recall" not in explorer.view.drawing["json"]


def test_every_answer_counts_up(joined: FakeJoined) -> None:
    explorer = explorers.slices(joined, WEEKS, by="group")
    seen = [explorer.view.frame["seq"]]
    for sort in ("name", "n", "low"):
        explorer.sort = sort
        seen.append(explorer.view.frame["seq"])
    assert seen == sorted(set(seen))


def test_availability_by_time_and_by_age(joined: FakeJoined) -> None:
    explorer = explorers.availability(joined, WEEKS, by="group")
    explorer.grain = "1w"
    expected = availability(joined, by="group", every="1w").sort("group", "period_start")
    same_numbers(explorer.result.sort("group", "period_start"), expected)
    explorer.show = "age"
    assert set(explorer.result["role"]) == {"reference", "current"}
    explorer.value = HOSTILE
    assert HOSTILE.replace("<", "&lt;") not in explorer.summary
    assert HOSTILE in explorer.view.frame["texts"]["headline"]
    explorer.by = NO_SLICE
    explorer.show = "time"
    same_numbers(explorer.result, availability(joined, every="1w"))


def test_without_slice_columns_the_whole_remains(joined: FakeJoined) -> None:
    bare = FakeJoined(frame=joined.frame.drop("group", "region"), contract=joined.contract, as_of=joined.as_of)
    for kind in ("slices", "calibration", "availability", "drift"):
        explorer = getattr(explorers, kind)(bare, WEEKS)
        assert explorer.trouble == ""
        assert explorer.view.frame["rows"]


def test_an_empty_period_is_told_not_raised(joined: FakeJoined) -> None:
    before = Comparison(reference="2020-01-01..2020-01-08", current="2020-01-08..2020-01-15")
    explorer = explorers.slices(joined, before)
    assert explorer.trouble == ""
    assert "not estimable" in explorer.summary
    assert "not estimable" in explorers.calibration(joined, before).summary


def test_no_rows_at_all_is_an_error_of_the_call(joined: FakeJoined) -> None:
    nothing = FakeJoined(frame=joined.frame.clear(), contract=joined.contract, as_of=joined.as_of)
    with pytest.raises(ArgumentError, match="no predictions to explore"):
        explorers.slices(nothing, WEEKS)


@pytest.mark.parametrize(
    "error", [InputError("the log went away", next_step="load it again"), ValueError(f"odd {HOSTILE}")]
)
def test_an_error_is_one_sentence_in_the_widget_and_the_last_picture_stays(
    joined: FakeJoined, error: Exception
) -> None:
    explorer = explorers.slices(joined, WEEKS)
    shown = explorer.view.frame

    def fail() -> None:
        raise error

    explorer.answer = fail
    explorer.sort = "name"
    assert explorer.view.frame == shown
    assert explorer.trouble
    assert "<script>" not in explorer._note.value
    assert 'role="alert"' in explorer._note.value
    del explorer.answer
    explorer.sort = "n"
    assert explorer.trouble == ""
    assert explorer._note.value == ""


def test_hostile_slice_names_reach_html_only_escaped(joined: FakeJoined) -> None:
    explorer = explorers.slices(joined, WEEKS, by="group")
    explorer.by = "region"
    explorer.by = "group"
    for widget in (explorer._line, explorer._note):
        assert "<script" not in widget.value
    assert "alert" not in explorer.view.drawing["json"]
    twin = static.static_html(b"\x89PNG" + bytes(20), summary=f"{HOSTILE} \" onerror='x'")
    assert "<script" not in twin
    assert '" onerror' not in twin


def test_every_control_has_a_label_and_a_tip(joined: FakeJoined) -> None:
    for kind in ("slices", "calibration", "availability", "drift"):
        named = controls(getattr(explorers, kind)(joined, WEEKS))
        assert named
        assert all(widget.tooltip for widget in named.values())


def test_what_travels_is_small_and_holds_no_ids(joined: FakeJoined) -> None:
    for kind in ("slices", "calibration", "availability", "drift"):
        explorer = getattr(explorers, kind)(joined, WEEKS)
        sent = json.dumps(explorer.view.frame)
        assert "p-0000" not in sent
        assert len(sent) < 200_000


def test_the_view_and_its_runtime_know_one_slot() -> None:
    from fbkit.explorers import runtime
    from fbkit.explorers.view import LiveChart

    assert runtime.SLOT in LiveChart._esm
    assert "@SLOT@" not in LiveChart._esm
    bundle = runtime.bundle()
    assert runtime.SLOT in bundle
    assert bundle.rstrip().endswith("as default};")
    assert runtime.shared_runtime() is runtime.shared_runtime()
    loads = [line for line in LiveChart._esm.splitlines() if "http" in line]
    assert all("refuse" in line for line in loads)


def test_display_shows_the_live_view_first_and_then_its_twin(
    joined: FakeJoined, monkeypatch: pytest.MonkeyPatch
) -> None:
    shown: list[dict[str, Any]] = []
    monkeypatch.setattr("IPython.display.display", lambda bundle, **_: shown.append(bundle))
    explorer = explorers.slices(joined, WEEKS)
    explorer._ipython_display_()
    live, twin = shown
    assert "application/vnd.jupyter.widget-view+json" in live
    assert live["text/plain"] == twin["text/plain"] == explorer.summary
    assert 'class="fbkit-static"' in twin["text/html"]
    assert "data:image/png;base64," in twin["text/html"]


def test_the_package_is_the_public_namespace() -> None:
    import fbkit.explorers.slices

    assert callable(fbkit.explorers.slices), "a module must not take the place of the function of its name"
    assert Path(explorers.__file__).name == "__init__.py"
