"""The triage card: what is on it, what its button does, and that users' text stays text."""

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from fbkit import explorers
from fbkit.errors import OutputError
from fbkit.schema.diagnosis import Change, Check, Diagnosis, Interval
from fbkit.schema.period import Period

HOSTILE = "<img src=x onerror=alert(1)>"


def evidence() -> dict[str, pl.DataFrame]:
    ladder = pl.DataFrame(
        {
            "label": ["reference", HOSTILE, "current"],
            "family": [None, "labels", None],
            "kind": ["total", "step", "total"],
            "value": [0.8, -0.2, 0.6],
            "lower": [0.7, -0.3, 0.5],
            "upper": [0.9, -0.1, 0.7],
            "start": [0.0, 0.8, 0.0],
            "end": [0.8, 0.6, 0.6],
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
    return {"ladder": ladder, "availability_by_slice": by_slice, "arrivals": arrivals, "daily": pl.DataFrame()}


def diagnosis(**changed: Any) -> Diagnosis:
    facts: dict[str, Any] = {
        "metric": "recall",
        "reference": Period.parse("2026-03-02..2026-03-09"),
        "current": Period.parse("2026-03-09..2026-03-16"),
        "as_of": datetime(2026, 4, 1, tzinfo=UTC),
        "verdict": "labels",
        "top_cause": "label_slice_loss",
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
        "contributions": (),
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


def test_only_evidence_that_exists_is_offered_and_each_can_be_drawn() -> None:
    card = explorers.triage(diagnosis())
    offered = [value for _, value in card.bars.children[0].children[0].options]
    assert offered == ["ladder", "availability_by_slice", "arrivals"]
    keys = set()
    for name in offered:
        card.evidence = name
        assert card.trouble == ""
        keys.add(card.view.drawing["key"])
        assert "alert" not in card.view.drawing["json"]
    assert len(keys) == 3


def test_slices_are_ordered_by_what_they_lost() -> None:
    card = explorers.triage(diagnosis())
    card.evidence = "availability_by_slice"
    names = list(dict.fromkeys(card.result["slice"]))
    assert names == [f"region = {HOSTILE}", "region = (no value)", "region = EU"]
    assert set(card.result["flagged"]) == {"all"}


def test_export_calls_what_was_handed_in_and_tells_the_outcome(tmp_path: Path) -> None:
    asked: list[Path] = []
    card = explorers.triage(diagnosis(), export=lambda folder: asked.append(folder) or folder / "incident.md")
    card.folder = str(tmp_path)
    card.export()
    assert asked == [tmp_path]
    assert "incident.md" in card._said.value


@pytest.mark.parametrize("error", [OutputError(f"{HOSTILE} is not a folder"), OSError(HOSTILE)])
def test_a_failed_export_is_told_beside_the_button(error: Exception) -> None:
    def fail(_: Path) -> None:
        raise error

    card = explorers.triage(diagnosis(), export=fail)
    card.export()
    assert "not written" in card._said.value
    assert "<img" not in card._said.value


def test_without_an_exporter_there_is_no_button() -> None:
    card = explorers.triage(diagnosis())
    assert card.children[-1].layout.display == "none"
    card.export()
