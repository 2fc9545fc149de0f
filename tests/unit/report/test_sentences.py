"""The phrases that card and document share: careful, complete, and free of what hides."""

from dataclasses import replace

import pytest

from fbkit.report import sentences
from fbkit.schema.diagnosis import Change


def test_the_question_says_of_which_predictions_it_is(diagnosis) -> None:
    asked = sentences.question(diagnosis)
    assert asked == "recall, 2026-09-28..2026-10-05 against 2026-08-03..2026-09-28, as of 2026-11-02"
    part = replace(diagnosis, method={**diagnosis.method, "narrowed": [["region", "EU"], ["model_version", None]]})
    assert sentences.question(part) == f"{asked}, only region = EU and model_version = (none)"


def test_a_model_that_improved_did_not_get_worse(make) -> None:
    better = make.diagnosis(verdict="quality", contributions=(make.contribution("concept_drift", "quality", 0.05),))
    assert sentences.verdict(better) == "The model got better"
    loss = replace(better, metric="brier")
    assert sentences.verdict(loss) == "The model got worse"


@pytest.mark.parametrize(
    ("change", "moved"), [(-0.12, "fell from 0.80 to 0.68"), (0.05, "rose from"), (0.0001, "stayed at 0.68")]
)
def test_the_first_sentence_says_how_the_metric_moved(make, change: float, moved: str) -> None:
    observed = Change(reference=0.80, current=0.68, change=change, lower=None, upper=None)
    assert moved in sentences.what_happened(make.diagnosis(observed=observed))


def test_what_cannot_be_estimated_is_said_with_its_reason(make) -> None:
    nothing = Change(reference=None, current=None, change=None, lower=None, upper=None)
    said = sentences.what_happened(make.diagnosis(observed=nothing, reason="no labels yet"))
    assert said.startswith("The change of recall is not estimable for ")
    assert said.endswith(": no labels yet.")


def test_no_sentence_carries_what_cannot_be_seen(make) -> None:
    hidden = make.diagnosis(do_now=("Call \u202egnp.exe\x1b[31m",))
    assert "‹U+202E›" in sentences.status_line(hidden)
    assert not {"\u202e", "\x1b"} & set(sentences.status_line(hidden))
