import pytest

from fbkit.report import card, sentences, words
from fbkit.schema.diagnosis import Diagnosis
from fbkit.schema.results import FAMILY_OF_CAUSE


def test_every_cause_family_and_verdict_has_words() -> None:
    assert set(words.CAUSES) == set(FAMILY_OF_CAUSE)
    assert set(words.FAMILIES) == set(FAMILY_OF_CAUSE.values())
    assert set(words.VERDICTS) == {*words.FAMILIES, "both", "several", "undecided"}


def test_three_sentences(diagnosis: Diagnosis) -> None:
    assert sentences.status_sentences(diagnosis) == (
        (
            "Observed recall fell from 0.80 to 0.68, -12.0 points [-16.0, -8.0], 2026-09-28..2026-10-05 against "
            "2026-08-03..2026-09-28 (as of 2026-11-02)."
        ),
        (
            "Both the model and the labels: labels lost in slices in region=EU -6.5 points [-8.5, -4.5] (established); "
            "the model (concept drift) -5.2 points [-7.2, -3.2] (established)."
        ),
        (
            "Do now: Ask the owner of the EU label feed about 28 September; do not retrain on the labels of this week; "
            "decidable since 2026-10-20."
        ),
    )


def test_a_rise_is_called_a_rise(make) -> None:
    from fbkit.schema.diagnosis import Change

    rise = make.diagnosis(
        observed=Change(reference=0.68, current=0.70, change=0.02, lower=-0.01, upper=0.05),
        verdict="noise",
        contributions=(make.contribution("noise", "noise", 0.02, material=False),),
        decidable_at=None,
    )
    what, why, _ = sentences.status_sentences(rise)
    assert "rose from 0.68 to 0.70, +2.0 points [-1.0, +5.0]" in what
    assert why == "No cause stands out from sampling noise; a change below 3.0 points would not be seen."


def test_the_terminal_card_fits_and_says_it_all(diagnosis: Diagnosis) -> None:
    text = card.card_text(diagnosis, width=100)
    assert max(map(len, text.splitlines())) <= 100
    for said in (
        "VERDICT: BOTH (both the model and the labels)",
        "0.80 → 0.68",
        "-6.5 [-8.5, -4.5]",
        "region=EU, established",
        "not material",
        "1. Who lost the labels",
        "Do not",
        "92.0 % → 70.0 %",
    ):
        assert said in text


def test_bars_are_as_long_as_their_share(diagnosis: Diagnosis) -> None:
    lines = [
        line
        for line in card.card_text(diagnosis).splitlines()
        if "[" in line and any(sign in "█▏▎▍▌▋▊▉" for sign in line)
    ]
    lengths = [sum(sign in "█▏▎▍▌▋▊▉" for sign in line) for line in lines]
    assert lengths == [12, 10, 1]


def test_the_notebook_card_is_one_static_fragment(diagnosis: Diagnosis) -> None:
    text = card.card_html(diagnosis)
    assert text.count("<style>") == text.count("</style>") == 1
    assert "<script" not in text
    assert "http" not in text
    assert text.count('class="rung') == len(diagnosis.contributions)
    for said in ("Both the model and the labels", "-12.0 points [-16.0, -8.0]", "adds up exactly", "Do not"):
        assert said in text


def test_the_largest_claimed_cause_comes_first(make) -> None:
    items = (
        make.contribution("noise", "noise", -0.2, material=False),
        make.contribution("mix_shift", "mix", 0.01),
        make.contribution("label_outage", "labels", -0.05),
        make.contribution("version_regression", "quality", None, material=False),
    )
    ordered = [item.cause for item in sentences.by_size(make.diagnosis(contributions=items))]
    assert ordered == ["label_outage", "mix_shift", "version_regression", "noise"]
    assert [item.cause for item in sentences.material(make.diagnosis(contributions=items))] == [
        "label_outage",
        "mix_shift",
    ]


def test_a_level_that_stays_is_named_once(make) -> None:
    from fbkit.schema.diagnosis import Change

    still = make.diagnosis(observed=Change(reference=0.31, current=0.31, change=-0.0002, lower=-0.01, upper=0.01))
    assert "Observed recall stayed at 0.31, 0.0 points [-1.0, +1.0]" in sentences.what_happened(still)


def test_warnings_stand_before_the_figures(make) -> None:
    warned = make.diagnosis(warnings=("The label window of 40.0 % is still open.",))
    text = card.card_text(warned)
    assert text.index("Warning: The label window") < text.index("labels available")
    assert "Warning: The label window" in card.card_html(warned)


@pytest.mark.parametrize(("metric", "value", "said"), [
    ("recall", 0.1, "The model got better"),
    ("recall", -0.1, "The model got worse"),
    ("brier", 0.1, "The model got worse"),
    ("brier", -0.1, "The model got better"),
])  # fmt: skip
def test_a_model_whose_metric_improved_did_not_get_worse(make, metric: str, value: float, said: str) -> None:
    part = make.contribution("concept_drift", "quality", value)
    found = make.diagnosis(metric=metric, verdict="quality", contributions=(part,))
    assert sentences.verdict(found) == said
    assert said in card.card_html(found)
    assert sentences.why(found).startswith(said)
