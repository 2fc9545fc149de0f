"""A number as a sentence: everything that belongs to it is said, nothing invented, foreign text shown as text."""

import re

import polars as pl
import pytest

import fbkit as fb
from fbkit.measure.bands import truth_bands
from fbkit.measure.metrics import metrics
from fbkit.report import escape
from fbkit.report.number import sentence
from fbkit.schema import bands
from fbkit.schema.rules import OUTCOME_FATE, REFUSED
from fbkit.testing.frames import make_joined, random_joined
from tests.unit.report.hostile import HOSTILE

ROW = {
    "metric": "recall", "value": 0.81, "lower": 0.78, "upper": 0.84, "bound_lower": 0.64, "bound_upper": 0.92,
    "n": 5002, "n_labelled": 4310, "stage": "provisional@30d", "method": "Wilson", "reason": None,
}  # fmt: skip
AUDIT = pl.DataFrame(
    {
        "table": ["predictions", "predictions", "predictions", "outcomes", "join", "join", "join"],
        "rule": ["in", "duplicate_row", "score_out_of_range", "null_label", "orphan", "used", "conflicting_label"],
        "rows": [5033, 19, 12, 1, 7, 4310, 0],
    }
)


def test_the_sentence_of_the_product() -> None:
    assert sentence(ROW, audit=AUDIT) == (
        "recall is 0.81, interval 0.78 to 0.84 (95 %, Wilson), between 0.64 and 0.92 whatever the missing labels are, "
        "provisional at 30 days, from 4,310 of 5,002 predictions; 39 rows of the logs set aside because an identical "
        "row was already kept (19 predictions), a probability outside 0..1 (12 predictions), the key matches no "
        "prediction (7 outcomes), the label is null or not finite (1 outcome)."
    )


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"stage": "final"}, ", final, from"),
        ({"stage": "provisional@1d"}, "provisional at 1 day,"),
        ({"stage": "provisional@12h"}, "provisional at 12 hours,"),
        ({"stage": "young"}, "labels are still to come"),
        ({"stage": "mixed"}, "final and young rows mixed"),
        ({"n_labelled": 5002}, "from all 5,002 predictions"),
        ({"bound_lower": None, "bound_upper": None}, "worst case over missing labels is not known"),
        ({"lower": None, "upper": None}, "0.81, without an interval"),
        ({"reason": "incomplete: part-1.csv could not be read"}, "(incomplete: part-1.csv could not be read)"),
        ({"region": "EU", "device": None}, "recall for region EU, device (no value) is"),
        ({"metric": "brier", "value": 0.0421, "lower": 0.04, "upper": 0.05}, "brier is 0.042, interval 0.040 to 0.050"),
        ({"method": None}, "(95 %)"),
    ],
)
def test_each_part_is_said(changes: dict, said: str) -> None:
    assert said in sentence(ROW | changes)


def test_what_cannot_be_estimated_says_why_and_what_is_possible_all_the_same() -> None:
    nothing = {"value": None, "lower": None, "upper": None, "method": None, "reason": "no labelled rows"}
    told = sentence(ROW | nothing | {"bound_lower": 0.0, "bound_upper": 1.0, "n_labelled": 0})
    assert told.startswith("recall is not estimable: no labelled rows, between 0.00 and 1.00 whatever")
    assert "from 0 of 5,002 predictions" in told
    assert "0.81" not in told


def test_no_row_set_aside_is_said_too_and_long_accounts_are_cut_with_their_rest() -> None:
    assert sentence(ROW, audit=AUDIT.head(1)).endswith("; no row of the logs is set aside.")
    rules = list(REFUSED)[:7]
    audit = pl.DataFrame({"table": ["outcomes"] * 7, "rule": rules, "rows": [9, 8, 7, 6, 5, 4, 3]})
    told = sentence(ROW, audit=audit)
    assert "42 rows" in told
    assert told.endswith("by other rules (12).")
    assert sum(int(found) for found in re.findall(r"\((\d+)(?: outcomes)?\)", told)) == 42


def test_each_line_of_truth_bands_is_a_sentence_with_its_assumption() -> None:
    frame = truth_bands(random_joined(800, seed=2), ["recall", "roc_auc"], stage="any", reach=0.999)
    for row in frame.iter_rows(named=True):
        told = sentence(row)
        if row["assumption"] not in (bands.LABELLED, bands.WORST_CASE):
            assert row["assumption"] in told
        if row["value"] is None and row["bound_lower"] is not None:
            assert "is known to a range only, between" in told
        if row["value"] is None and row["bound_lower"] is None:
            assert "is not estimable" in told
    assert "from the scores of 800 predictions" in sentence(frame.filter(assumption=bands.EXPECTED).row(0, named=True))


def test_every_rule_in_a_real_account_is_known() -> None:
    joined = fb.open_loop(fb.samples.path("recall_drop") / "variant_a").join()
    row = metrics(joined, "recall", by="region").row(0, named=True)
    told = sentence(row, audit=joined.audit)
    counted = joined.audit.filter(pl.col("rule").is_in([*REFUSED, "orphan", "after_window"]))["rows"].sum()
    assert f"{counted:,} rows of the logs set aside" in told
    assert "recall for region APAC from 2026-08-31 to 2026-10-05 is 0.82" in told
    assert set(OUTCOME_FATE) >= {"orphan", "after_window"}


@pytest.mark.parametrize("text", HOSTILE)
def test_hostile_names_and_slices_are_shown_as_text_in_every_target(text: str) -> None:
    told = sentence(ROW | {"metric": text, "method": text, "reason": text, f"x{text}": text, "stage": text})
    assert "\n" not in told
    assert "\x1b" not in told
    assert "<" not in escape.html(told)
    escape.markdown(told)
    escape.terminal(told)


def test_a_young_loop_has_a_sentence() -> None:
    young = make_joined(scores=[0.2, 0.9], labels=[None, None], ages=[1, 2])
    told = sentence(metrics(young, "recall").row(0, named=True))
    assert "is not estimable: window open" in told
    assert "final" in told
