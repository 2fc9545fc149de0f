"""The rows to audit as a person reads them."""

import re
from dataclasses import replace

import polars as pl
import pytest

import fbkit as fb
from fbkit.report.next_labels import next_labels_html, next_labels_text
from fbkit.session.next_labels import NextLabels


@pytest.fixture(scope="module")
def audit() -> NextLabels:
    joined = fb.open_loop(fb.samples.path("recall_drop") / "variant_a").join()
    return fb.triage(joined, draws=20).next_labels(budget=150)


def test_the_text_holds_every_stratum_and_the_totals(audit: NextLabels) -> None:
    text = next_labels_text(audit)
    assert text == str(audit)
    assert text.startswith(f"150 rows to audit, drawn at random within {audit.strata.height} strata.")
    lines = [line for line in text.splitlines() if re.match(r"s\d+ ", line)]
    counts = [int(re.split(r"\s{2,}", line)[3]) for line in lines]
    assert counts == audit.strata["rows"].to_list()
    assert f"+- {audit.half_width:.4f}" in text


def test_the_card_says_the_same(audit: NextLabels) -> None:
    card = next_labels_html(audit)
    assert card == audit._repr_html_()
    assert card.count("<tr>") == audit.strata.height + 1
    assert f"{audit.half_width:.4f}" in card


def test_nothing_to_audit_is_one_line(audit: NextLabels) -> None:
    none = replace(audit, rows=audit.rows.clear(), reason="every row has a label")
    assert str(none) == "Nothing to audit: every row has a label."
    assert "<table>" not in none._repr_html_()


def test_hostile_words_stay_text(audit: NextLabels) -> None:
    hostile = replace(audit, strata=audit.strata.with_columns(decision=pl.lit("<script>")))
    assert "<script>" not in hostile._repr_html_()


def test_blocked_rows_are_asked_for_in_words(audit: NextLabels) -> None:
    blocked = pl.DataFrame(
        {"decision": ["flagged"], "blocked": [400], "expected_rate": [0.4], "let_through": [60], "share": [0.15]}
    )
    told = str(replace(audit, exploration=blocked))
    assert "Let 60 of 400 blocked rows (flagged) through at random: propensity 0.150." in told


def test_the_template_goes_into_an_outcome_log(audit: NextLabels) -> None:
    assert audit.template.columns == ["prediction_id", "ts_event", "ts_arrival", "label", "source", "audit_prob"]
    assert audit.template["source"].unique().to_list() == ["audit"]
    assert repr(audit) == "<NextLabels: 150 rows to audit>"
