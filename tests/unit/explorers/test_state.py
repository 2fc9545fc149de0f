"""The state of explorers: a value that survives printing, saving and opening, and one message for one move."""

from pathlib import Path

import pytest

from fbkit.errors import ArgumentError, InputError, OutputError
from fbkit.explorers.state import Shared, View
from fbkit.schema.period import Period, parse_instant

HOSTILE = ("</script><script>alert(1)</script>", "'); import os; os.system('x') #", "\u202etxt", "a\nb", "日本", "")


def a_view(**changed: object) -> View:
    made = View(
        metric="recall",
        reference=Period.parse("2026-03-02..2026-03-30"),
        current=Period.parse("2026-03-30..2026-04-06"),
        as_of=parse_instant("2026-04-20"),
    )
    return made.but(**changed)


FULL = a_view(
    stage="any",
    version="7.3",
    focus={"region": "EU", "device": None},
    days=Period.parse("2026-04-01..2026-04-03"),
    threshold=0.25,
    by="region",
)


@pytest.mark.parametrize("view", [a_view(), FULL], ids=["bare", "full"])
def test_a_view_comes_back_from_plain_values_and_from_a_file(view: View, tmp_path: Path) -> None:
    assert View.from_dict(view.to_dict()) == view
    assert View.open(view.save(tmp_path / "view.json")) == view


@pytest.mark.parametrize("text", HOSTILE)
def test_the_code_of_a_view_is_one_expression_whatever_its_slices_are_called(text: str) -> None:
    view = a_view(focus={"region": text, text or "x": "y"}, version=text)

    class Fb:
        class explore:  # noqa: N801, as a user types it
            pass

    Fb.explore.View = View  # pyright: ignore[reportAttributeAccessIssue]
    assert eval(view.code(), {"fb": Fb}) == view
    assert view.code().isascii()


def test_filters_have_one_order_and_brushed_days_take_the_place_of_the_current_period() -> None:
    assert a_view(focus={"b": "1", "a": None}).filters == a_view(focus={"a": None, "b": "1"}).filters
    assert FULL.now == FULL.days
    assert a_view().now == a_view().current
    assert hash(a_view(focus={"b": "1", "a": None})) == hash(a_view(focus={"a": None, "b": "1"}))


@pytest.mark.parametrize(
    ("facts", "named"),
    [
        ({"metrik": "recall"}, "metrik"),
        ({"metric": "recall"}, "KeyError"),
        ({**FULL.to_dict(), "reference": "yesterday"}, "yesterday"),
        ({**FULL.to_dict(), "threshold": "high"}, "high"),
        ({**FULL.to_dict(), "focus": ["region"]}, "AttributeError"),
    ],
)
def test_what_is_no_view_is_refused_with_what_was_wrong(facts: dict[str, object], named: str) -> None:
    with pytest.raises((InputError, ArgumentError)) as caught:
        View.from_dict(facts)
    assert named in str(caught.value)


@pytest.mark.parametrize(
    "text", ["", "[]", "{}", '{"format": "other-1"}', '{"format": "fbkit-view-1"}', "\x00", "x" * 200_000]
)
def test_a_file_that_is_no_view_is_refused(text: str, tmp_path: Path) -> None:
    path = tmp_path / "view.json"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(InputError, match="not a saved view"):
        View.open(path)


def test_a_missing_file_and_a_folder_that_cannot_be_written_are_errors_of_ours(tmp_path: Path) -> None:
    with pytest.raises(InputError):
        View.open(tmp_path / "none.json")
    with pytest.raises(OutputError):
        FULL.save(tmp_path / "none" / "view.json")


def test_one_move_is_told_once_however_many_fields_it_sets() -> None:
    shared, told = Shared.of(a_view()), []
    shared.observe(lambda _: told.append(shared.last), names="changed")
    shared.apply(FULL)
    assert len(told) == 1
    assert told[0] == {"stage", "version", "focus", "days", "threshold", "by"}
    assert shared.view() == FULL
    shared.metric = "precision"
    assert told[1:] == [frozenset({"metric"})]
    shared.metric = "precision"
    assert len(told) == 2


def test_the_same_slice_picked_twice_is_let_go() -> None:
    shared = Shared.of(a_view())
    shared.focus_on("region", "EU")
    shared.focus_on("device", None)
    assert shared.view().focus == {"region": "EU", "device": None}
    shared.focus_on("region", "US")
    assert shared.view().focus == {"device": None, "region": "US"}
    shared.focus_on("region", "US")
    assert shared.view().focus == {"device": None}


def test_filters_are_cleared_one_by_one_or_all_at_once() -> None:
    shared = Shared.of(FULL)
    for name in ("version", "days", "threshold", "region"):
        shared.clear(name)
    assert shared.view() == a_view(stage="any", by="region", focus={"device": None})
    shared.apply(FULL)
    shared.clear()
    assert shared.view() == a_view(stage="any", by="region")
    with pytest.raises(ArgumentError, match="no such filter"):
        shared.clear("colour")
