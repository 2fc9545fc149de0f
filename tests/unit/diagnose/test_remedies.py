"""Every cause of the vocabulary says what to do, what not to do, and what would overturn it."""

import re
from dataclasses import replace

import pytest

from fbkit.diagnose.remedies import REMEDIES, ROLES, advice, clause, overturned_by, owner_of, runbook_of
from fbkit.schema.contract import Contract
from fbkit.schema.diagnosis import Contribution
from fbkit.schema.results import FAMILY_OF_CAUSE
from fbkit.schema.words import CAUSES

CONTRACT = """
[model]
name = "m"
{model}
[predictions]
path = "p.csv"
[outcomes]
path = "o.csv"
[label]
window = "7d"
[features]
columns = ["amount"]
[features.definitions.amount]
version = "1"
owner = "the-feature-team"
"""
HOSTILE = "region={value} {0} <b>"


def part(cause, *, where="region=EU", following=""):
    return Contribution(
        cause=cause, family=FAMILY_OF_CAUSE[cause], value=-0.1, lower=-0.2, upper=-0.01, material=True,
        strength="established", where=where, evidence="", next_evidence=following,
    )  # fmt: skip


def test_the_vocabulary_is_complete():
    assert set(REMEDIES) == set(FAMILY_OF_CAUSE) == set(CAUSES)
    assert set(ROLES) == set(FAMILY_OF_CAUSE.values())


@pytest.mark.parametrize("cause", sorted(set(REMEDIES) - {"noise"}))
def test_each_cause_names_its_place_and_leaves_no_gap(cause):
    for where in ("region=EU", HOSTILE):
        now, never = advice(part(cause, where=where), worse=True, name="recall")
        assert now
        assert never
        assert where in clause(part(cause, where=where))
        for text in (*now, *never):
            assert text.endswith((".", "?"))
            assert "{where}" not in text
        assert any(where in text for text in now) or cause == "immature_window"
    # A number in these sentences would need a cell of a frame behind it.
    assert not re.search(r"\d", " ".join((*now, *never, REMEDIES[cause].overturn)).replace(HOSTILE, ""))


@pytest.mark.parametrize("cause", sorted(REMEDIES))
def test_what_would_overturn_it_is_always_said(cause):
    assert overturned_by(part(cause)).endswith(".")
    assert overturned_by(part(cause, following="An audit.")) == "An audit."


def test_what_got_better_asks_for_nothing_unless_the_logs_are_wrong():
    for cause, family in FAMILY_OF_CAUSE.items():
        if cause == "noise":
            continue
        now, never = advice(part(cause), worse=False, name="the Brier score")
        calm = family in ("quality", "mix") or cause == "threshold_change"
        assert (now == ("Nothing for region=EU: the Brier score got better there.",)) is calm
        assert (never == ()) is calm


@pytest.mark.parametrize(
    ("drift", "word"), [("recalibrate", "Recalibrate"), ("retrain", "Retrain"), ("either", "Look")]
)
def test_the_curve_decides_what_a_drifted_model_needs(drift, word):
    now, never = advice(part("concept_drift"), worse=True, name="recall", drift=drift)
    assert now[0].startswith(word)
    assert never
    assert advice(part("version_regression"), worse=True, name="recall", drift=drift)[0][0].startswith("Roll back")


def test_forbidden_deeds_follow_the_family():
    for cause, family in FAMILY_OF_CAUSE.items():
        if family == "labels" and cause not in ("immature_window", "slow_labels"):
            assert "retrain" in " ".join(advice(part(cause), worse=True, name="recall")[1])


def test_who_acts_and_where_it_is_written():
    plain = Contract.from_toml(CONTRACT.format(model=""))
    named = Contract.from_toml(CONTRACT.format(model='owners = ["the-team"]\nrunbook = "https://wiki/model"'))
    broken = part("feature_corruption", where="feature=amount, from 2026-09-28")
    assert owner_of(broken, named) == owner_of(broken, plain) == "the-feature-team"
    assert owner_of(replace(broken, where="feature=other"), named) == "the-team"
    assert owner_of(part("join_break"), plain) == "the owners of the label feed"
    assert owner_of(None, plain) == "the owners of the model"
    assert runbook_of("join_break", named) == "https://wiki/model"
    assert runbook_of("join_break", plain) == "docs/runbooks/join_break.md"
