"""The linked page: what one explorer picks the others follow, later ones are made when opened, nothing blocks it."""

from pathlib import Path
from typing import Any

import polars as pl
import pytest

import fbkit as fb
from fbkit.errors import InputError
from fbkit.explorers.page import LATER, SEEN, Page
from fbkit.explorers.source import Source
from fbkit.schema.period import Period

LOOP = fb.samples.path("recall_drop") / "variant_b"


@pytest.fixture(scope="module")
def joined() -> fb.Joined:
    return fb.open_loop(LOOP).join()


@pytest.fixture(scope="module")
def made(joined: fb.Joined) -> Page:
    found = fb.explore(joined)
    found.work.join(60)
    return found


@pytest.fixture
def page(made: Page) -> Page:
    made.unfold("")
    made.shared.apply(made.source.view())
    return made


def shown(page: Page) -> dict[str, int]:
    return {name: page.explorers[name].view.frame["seq"] for name in SEEN}


def test_four_pictures_are_there_and_each_says_what_it_shows(page: Page) -> None:
    assert tuple(page.explorers) == SEEN
    assert all(explorer.trouble == "" for explorer in page.explorers.values())
    assert all(explorer.summary in page.summary for explorer in page.explorers.values())
    assert page.strip.frame is not None
    assert page.strip.frame["step"].n_unique() == 5


def test_one_move_is_answered_by_every_picture_it_concerns_once(page: Page, joined: fb.Joined) -> None:
    before = shown(page)
    with page.shared.together():
        page.shared.focus_on("device", "web")
        page.shared.version = "7.3"
    after = shown(page)
    assert {name: after[name] - before[name] for name in SEEN} == dict.fromkeys(SEEN, 1)
    rows = joined.only({"device": "web"}, version="7.3")
    assert page.explorers["timeline"].result["n"].sum() == rows.frame["mature"].sum()
    page.filters.clear(None)
    assert page.shared.view() == page.source.view()


def test_brushed_days_take_the_place_of_the_current_period_elsewhere(page: Page, joined: fb.Joined) -> None:
    days = Period.parse("2026-09-29..2026-10-01")
    seen = page.explorers["timeline"].view.frame["seq"]
    page.shared.days = days
    assert page.explorers["timeline"].view.frame["seq"] == seen, "the chart with the brush stays as it is"
    n = fb.metrics(joined, "recall", period=days)["n"].item()
    assert f"{n:,}" in page.explorers["slices"].texts()["smallprint"]


def test_an_earlier_time_moves_every_number_back(page: Page) -> None:
    newest = page.explorers["availability"].summary
    page.shared.as_of = page.source.moments()[-12]
    assert page.explorers["availability"].summary != newest
    assert "2026-10-09" in page.explorers["timeline"].texts()["smallprint"]
    page.filters.clear("as_of")
    assert page.explorers["availability"].summary == newest


@pytest.mark.parametrize("name", LATER)
def test_later_explorers_are_made_when_opened_and_rest_when_closed(page: Page, name: str) -> None:
    page.unfold(name)
    made = page.explorers[name]
    if name == "triage":
        made.work.join(120)
        assert made.work.trouble == ""
        assert made.card.diagnosis.verdict == "labels"
    else:
        assert made.trouble == ""
        assert made.active
        page.unfold("")
        assert not made.active
        answered = made.view.frame["seq"]
        page.shared.version = "7.3"
        assert made.view.frame["seq"] == answered
        page.unfold(name)
        assert made.view.frame["seq"] == answered + 1
        page.filters.clear(None)
    page.unfold("")


def test_the_code_of_a_page_computes_what_it_shows_and_opens_it_again(page: Page) -> None:
    page.shared.focus_on("region", "EU")
    code = page.code().replace('"FOLDER"', repr(str(LOOP)))
    space: dict[str, Any] = {}
    exec(code.replace("fb.explore(joined, view=view)", "again = fb.explore(joined, view=view)"), space)
    assert space["again"].shared.view() == page.shared.view()
    page.filters.clear(None)


def test_a_page_is_saved_without_rows_and_opens_again_with_the_same_numbers(page: Page, tmp_path: Path) -> None:
    page.shared.stage = "any"
    file = page.snapshot(tmp_path / "page.fbkit")
    assert file.stat().st_size < 3_000_000
    content = file.read_bytes()
    assert b"p0000005" not in content
    again = fb.explore(file)
    again.work.join(60)
    assert again.shared.view() == page.shared.view()
    assert again.strip.frame is not None
    assert page.strip.frame is not None
    assert again.strip.frame.equals(page.strip.frame)
    for name in ("timeline", "slices"):
        assert again.explorers[name].trouble == ""
    numbers = [explorer.explorers["timeline"].result["value"].to_list() for explorer in (page, again)]
    assert numbers[0] == pytest.approx(numbers[1], nan_ok=True)
    again.unfold("predictions")
    assert "no rows" in again.explorers["predictions"].summary
    page.shared.stage = "final"


def test_a_verdict_travels_with_the_page(page: Page, tmp_path: Path) -> None:
    page.unfold("triage")
    page.explorers["triage"].work.join(120)
    before = page.explorers["triage"].card.diagnosis
    again = fb.explore(page.snapshot(tmp_path / "page.fbkit"))
    again.unfold("triage")
    after = again.explorers["triage"].diagnosis
    assert after.verdict == before.verdict
    assert [item.cause for item in after.contributions] == [item.cause for item in before.contributions]
    assert after.evidence["ladder"].height == before.evidence["ladder"].height


def test_a_ledger_has_a_page_too_and_says_what_it_cannot_check(joined: fb.Joined) -> None:
    made = fb.explore(joined.ledger())
    assert tuple(made.explorers) == SEEN
    assert made.strip.frame is None
    assert [explorer.trouble for explorer in made.explorers.values()] == [""] * 4


def test_a_damaged_snapshot_is_an_error_of_ours(tmp_path: Path) -> None:
    (tmp_path / "page.fbkit").write_bytes(b"PK\x03\x04nonsense")
    with pytest.raises(InputError):
        fb.explore(tmp_path / "page.fbkit")
    with pytest.raises(fb.FbkitError):
        fb.explore(pl.DataFrame())
    with pytest.raises(fb.FbkitError):
        fb.explore(7)


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"metric": 3}, "metric is a name"),
        ({"by": "colour"}, "no such column"),
        ({"view": 3}, "not a view"),
        ({"comparison": "last week"}, "not a Comparison"),
    ],
)
def test_what_cannot_be_looked_at_is_refused_in_words(joined: fb.Joined, given: dict[str, Any], said: str) -> None:
    with pytest.raises(fb.ArgumentError, match=said):
        fb.explore(joined, **given)


def test_a_metric_nobody_knows_is_a_sentence_in_its_pictures(joined: fb.Joined) -> None:
    page = fb.explore(joined, metric="recal")
    assert "no metric 'recal'" in page.explorers["timeline"].trouble
    page.shared.metric = "recall"
    assert page.explorers["timeline"].trouble == ""


def test_what_cannot_be_made_is_a_sentence_in_its_place_and_the_rest_stays(joined: fb.Joined) -> None:
    source = Source.of(joined)

    def broken(*_: object) -> Any:
        raise fb.InputError("nothing to see", got="x", allowed="y", next_step="look elsewhere")

    def wrong(*_: object) -> Any:
        raise ZeroDivisionError("<b>")

    made = Page(source, source.view(), further={"thresholds": broken, "predictions": wrong})
    made.unfold("predictions")
    assert "ZeroDivisionError: &lt;b&gt;" in made.children[4].children[2].children[0].value
    made.unfold("thresholds")
    assert "thresholds" not in made.explorers
    place = made.children[4].children[1]
    assert "nothing to see. look elsewhere" in place.children[0].value
