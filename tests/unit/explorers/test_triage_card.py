"""The triage card: what is on it, what its button does, and that users' text stays text."""

import html
import threading
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import polars as pl
import pytest

import fbkit as fb
from fbkit import explorers
from fbkit.charts.text import clean
from fbkit.charts.triage import EVIDENCE_OF
from fbkit.errors import OutputError
from fbkit.explorers.evidence import EVIDENCE, offered
from fbkit.schema.diagnosis import Change, Check, Contribution, Diagnosis, Interval, Note
from fbkit.schema.period import Period
from fbkit.schema.results import FAMILY_OF_CAUSE

HOSTILE = "<img src=x onerror=alert(1)>"


def evidence() -> dict[str, pl.DataFrame]:
    ladder = pl.DataFrame(
        {
            "label": ["reference", HOSTILE, "slow", "current"],
            "family": [None, "labels", "labels", None],
            "kind": ["total", "step", "step", "total"],
            "value": [0.8, -0.1, -0.1, 0.6],
            "lower": [0.7, -0.2, -0.2, 0.5],
            "upper": [0.9, 0.0, 0.0, 0.7],
            "start": [0.0, 0.8, 0.7, 0.0],
            "end": [0.8, 0.7, 0.6, 0.6],
        }
    )
    by_slice = pl.DataFrame(
        [
            {"column": "region", "value": name, "window": window, "flagged": flagged, "n": 10, "n_labelled": 5,
             "availability": share, "lower": 0.1, "upper": 0.9}
            for name, now in ((HOSTILE, 0.2), ("EU", 0.9), (None, 0.85))
            for window, share in (("reference", 0.9), ("current", now))
            for flagged in ("all", "flagged")
        ]
    )  # fmt: skip
    arrivals = pl.DataFrame({"age_days": [0.0, 1.0], "reference": [0.0, 0.9], "current": [0.0, 0.5]})
    orphans = pl.DataFrame({"window": [HOSTILE, "current"], "orphans": [3, 1200], "missing": [0.5, None]})
    return {
        "ladder": ladder, "availability_by_slice": by_slice, "arrivals": arrivals, "daily": pl.DataFrame(),
        "orphans": orphans,
    }  # fmt: skip


def part(cause: str, **changed: Any) -> Contribution:
    facts: dict[str, Any] = {
        "cause": cause, "family": "labels", "value": -0.1, "lower": -0.2, "upper": 0.0, "material": True,
        "strength": "established", "where": "everywhere", "evidence": f"{cause} {HOSTILE}", "next_evidence": "wait",
    }  # fmt: skip
    return Contribution(**(facts | changed))


def diagnosis(**changed: Any) -> Diagnosis:
    facts: dict[str, Any] = {
        "metric": "recall",
        "reference": Period.parse("2026-03-02..2026-03-09"),
        "current": Period.parse("2026-03-09..2026-03-16"),
        "as_of": datetime(2026, 4, 1, tzinfo=UTC),
        "verdict": "labels",
        "top_cause": "slow_labels",
        "top_family": "labels",
        "metric_level": 0.95,
        "headline": f"Recall fell because labels of {HOSTILE} stopped.",
        "observed": Change(reference=0.8, current=0.6, change=-0.2, lower=-0.25, upper=-0.15),
        "true_change": Interval(value=0.0, lower=-0.02, upper=0.02),
        "worst_case": {},
        "tipping_ratio": None,
        "minimum_detectable_change": None,
        "reason": None,
        "worlds": (),
        "contributions": (part("join_break"), part("slow_labels", evidence="labels come later, everywhere")),
        "checks": (
            Check(key="a", question=f"Who lost {HOSTILE}?", answer="flagged rows", seconds=0.1, table="ladder"),
        ),
        "would_change_verdict": (HOSTILE,),
        "do_now": ("ask the label team",),
        "do_not": (),
        "owner": None,
        "runbook": None,
        "decidable_at": None,
        "impact": {},
        "data_through": {},
        "changes": (),
        "evaluation_id": "x",
        "seconds": 0.1,
        "evidence": evidence(),
        "method": {},
    }
    return Diagnosis(**(facts | changed))


def htmls(card: Any) -> str:
    stack, found = list(card.children), []
    while stack:
        widget = stack.pop()
        stack += getattr(widget, "children", ())
        if type(widget).__name__ == "HTML":
            found.append(widget.value)
    return "\n".join(found)


def test_the_card_says_verdict_numbers_checks_and_what_would_change_it() -> None:
    shown = htmls(explorers.triage(diagnosis()))
    for part in ("The labels, not the model", "80.0 % → 60.0 %", "−20.0 points", "flagged rows", "ask the label team"):
        assert part in shown
    assert "Do not" not in shown, "an empty list has no heading"
    assert "<img" not in shown


def named(card: Any, label: str) -> Any:
    """The control with this label."""
    stack = list(card.children)
    while stack:
        widget = stack.pop()
        stack += getattr(widget, "children", ())
        if getattr(widget, "description", None) == label:
            return widget
    raise AssertionError(label)


def test_only_evidence_that_exists_is_offered_and_each_can_be_shown() -> None:
    card = explorers.triage(diagnosis())
    offered = [value for _, value in named(card, "Evidence").options]
    assert offered == ["availability_by_slice", "arrivals", "orphans"]
    keys = set()
    for name in offered:
        card.evidence = name
        assert card._trouble.value == ""
        keys.add(card.detail.view.drawing["key"] if card.detail.drawn else name)
        assert "alert" not in card.detail.view.drawing["json"]
    assert len(keys) == 3
    assert card.detail.view.layout.display == "none", "a table takes the place of the picture"
    assert "&lt;img" in card.detail.table.value
    assert "<img" not in card.detail.table.value


def test_the_top_cause_is_open_at_first_and_a_click_opens_another_bar() -> None:
    card = explorers.triage(diagnosis())
    assert card.opened == 1
    assert card.evidence == "arrivals"
    assert "labels come later, everywhere" in htmls(card)
    assert "What would tell more:</b> wait" in htmls(card)
    marked = [row["pick"] for row in card.view.frame["rows"] if row.get("opened")]
    assert marked == [1]
    drawing = card.view.drawing
    card.view.picked = {"seq": 1, "kind": "pick", "value": 0}
    assert card.opened == 0
    assert card.evidence == "orphans"
    assert named(card, "Open bar").value == 0
    assert [row["pick"] for row in card.view.frame["rows"] if row.get("opened")] == [0]
    assert card.view.drawing is drawing, "opening a bar exchanges rows"
    named(card, "Open bar").value = 1
    assert card.evidence == "arrivals"


@pytest.mark.parametrize("place", [-1, 7, 10**9])
def test_a_click_on_nothing_opens_nothing(place: int) -> None:
    card = explorers.triage(diagnosis())
    card.view.picked = {"seq": 1, "kind": "pick", "value": place}
    assert card.opened == 1
    assert card.trouble == ""


def test_every_cause_names_evidence_and_every_frame_of_a_real_diagnosis_can_be_shown() -> None:
    assert set(EVIDENCE_OF) == set(FAMILY_OF_CAUSE)
    assert {name for frames in EVIDENCE_OF.values() for name in frames} <= set(EVIDENCE)
    made = fb.triage(fb.open_loop(fb.samples.path("recall_drop") / "variant_a").join(), draws=20)
    card = explorers.triage(made)
    assert [value for _, value in named(card, "Open bar").options] == list(range(len(made.contributions)))
    for name in offered(made):
        card.evidence = name
        assert card._trouble.value == "", name
        assert card.detail.drawn or "<table" in card.detail.table.value
    for place, part in enumerate(made.contributions):
        card.opened = place
        assert clean(part.evidence, limit=500) in html.unescape(htmls(card))


def test_a_diagnosis_without_causes_or_frames_still_has_a_card() -> None:
    bare = {"ladder": evidence()["ladder"].filter(pl.col("kind") == "total")}
    card = explorers.triage(diagnosis(contributions=(), evidence=bare))
    assert card.opened is None
    assert card.trouble == ""
    assert not card.detail.drawn


@pytest.mark.parametrize(
    ("facts", "said"),
    [
        ({"would_change_verdict": ("an audit",)}, "an audit"),
        ({"would_change_verdict": ()}, "wait"),
        (
            {"would_change_verdict": (), "contributions": (), "decidable_at": datetime(2026, 5, 1, tzinfo=UTC)},
            "they are in by 2026-05-01",
        ),
        ({"would_change_verdict": (), "contributions": ()}, "More labelled predictions"),
    ],
)
def test_what_would_change_the_verdict_is_always_said(facts: dict[str, Any], said: str) -> None:
    shown = htmls(explorers.triage(diagnosis(**facts)))
    after = shown.split("What would change the verdict")[1]
    assert said in after.split("</ul>")[0]


def test_notes_stand_beside_the_verdict_and_are_text() -> None:
    note = Note(text=HOSTILE, author="Ada", disagrees_with="slow_labels", at=datetime(2026, 4, 2, tzinfo=UTC))
    shown = htmls(explorers.triage(diagnosis(notes=(note,))))
    assert "Ada, 2026-04-02 00:00 UTC, disagrees with labels that come later" in shown
    assert "<img" not in shown
    assert "Notes" not in htmls(explorers.triage(diagnosis()))


def test_slices_are_ordered_by_what_they_lost() -> None:
    card = explorers.triage(diagnosis())
    card.evidence = "availability_by_slice"
    names = list(dict.fromkeys(card.detail.result["slice"]))
    assert names == [f"region = {HOSTILE}", "region = (no value)", "region = EU"]
    assert set(card.detail.result["flagged"]) == {"all"}


def test_export_runs_beside_the_kernel_and_tells_the_outcome(tmp_path: Path) -> None:
    asked: list[Path] = []
    started, goes = threading.Event(), threading.Event()

    def write(folder: Path) -> Path:
        asked.append(folder)
        started.set()
        goes.wait(10)
        return folder / "incident.md"

    card = explorers.triage(diagnosis(), export=write)
    card.folder = str(tmp_path)
    card.export()
    assert started.wait(10)
    assert card._exported.busy, "the call came back while it is written"
    card.export()
    goes.set()
    card._exported.join(10)
    assert asked == [tmp_path], "pressed twice, written once"
    assert "incident.md" in card._said.value
    assert not card._exported.busy


@pytest.mark.parametrize("error", [OutputError(f"{HOSTILE} is not a folder"), OSError(HOSTILE)])
def test_a_failed_export_is_told_beside_the_button(error: Exception) -> None:
    def fail(_: Path) -> None:
        raise error

    card = explorers.triage(diagnosis(), export=fail)
    card.export()
    card._exported.join(10)
    assert "not written" in card._said.value
    assert "<img" not in card._said.value


def test_without_an_exporter_there_is_no_button() -> None:
    card = explorers.triage(diagnosis())
    assert card._exporting().layout.display == "none"
    card.export()
