"""Join sensitivity: in worlds where a rule matters its spread is known by hand; rules without a choice are left out."""

from datetime import UTC, datetime, timedelta
from typing import Any

import polars as pl
import pytest

import fbkit as fb
from fbkit.errors import ArgumentError
from fbkit.measure.metrics import metrics
from fbkit.measure.sensitivity import COLUMNS, Sensitivity, join_sensitivity

T0 = datetime(2024, 5, 6, tzinfo=UTC)
HOUR, DAY = timedelta(hours=1), timedelta(days=1)
Said = tuple[str | None, str, timedelta, timedelta, float, str, str | None]


def opened(*said: Said, as_of: timedelta = 30 * DAY, **tables: Any) -> fb.Loop:
    """Two predictions for each of ten accounts, the first flagged; statements: id, account, event, arrival, ..."""
    made = [
        (f"p{i}{place}", T0 + i * HOUR + part, score, f"a{i}")
        for i in range(10)
        for place, part, score in (("x", timedelta(0), 0.9), ("y", HOUR / 2, 0.1))
    ]
    left = pl.DataFrame(made, schema=["prediction_id", "ts_pred", "score", "account"], orient="row")
    rows = [(name, account, T0 + event, T0 + arrival, *rest) for name, account, event, arrival, *rest in said]
    rows.append((None, "nobody", T0, T0 + as_of, 1.0, "auto", None))
    names = ["prediction_id", "account", "ts_event", "ts_arrival", "label", "source", "label_version"]
    right = pl.DataFrame(rows, schema=names, orient="row", schema_overrides={"prediction_id": pl.String})
    content = {
        "model": {"name": "m"},
        "predictions": {"columns": {"entity_id": ["account"]}},
        "outcomes": {"columns": {"entity_id": ["account"]}},
        "label": {"window": "10d"},
        "join": {"fallback": {"entity": "account", "rule": "earliest"}},
        "decision": {"threshold": 0.5},
    }
    return fb.open_loop(contract=fb.Contract.from_dict(content | tables), predictions=left, outcomes=right)


def values(found: Sensitivity, rule: str) -> dict[str, float | None]:
    return dict(found.frame.filter(pl.col("rule") == rule).select("choice", "value").iter_rows())


def changed(found: Sensitivity, rule: str) -> dict[str, int]:
    return dict(found.frame.filter(pl.col("rule") == rule).select("choice", "changed_labels").iter_rows())


# Accounts 0 to 3 have one event that both of their predictions could claim; account 4 carries the id of its second.
TIES: list[Said] = [
    *((None, f"a{i}", DAY, DAY, 1.0, "auto", None) for i in range(4)),
    ("p4y", "a4", DAY, DAY, 1.0, "auto", None),
]


def test_the_tie_rule_moves_recall_as_counted_by_hand() -> None:
    found = join_sensitivity(opened(*TIES), metric="recall")
    assert values(found, "tie rule") == {"earliest": 4 / 5, "latest": 0.0, "unique": 0.0, "all": 4 / 9}
    assert changed(found, "tie rule") == {"earliest": 0, "latest": 8, "unique": 4, "all": 4}
    assert found.summary.startswith("recall is 0.8 by the contract's rules, 0 to 0.8 depending on the tie rule")
    current = found.frame.filter("is_current")
    assert current["value"].unique().to_list() == [4 / 5]
    assert current["change"].unique().to_list() == [0.0]


def test_without_the_fallback_only_outcomes_with_a_key_count() -> None:
    found = join_sensitivity(opened(*TIES), metric="recall")
    assert values(found, "fallback") == {"on": 4 / 5, "off": 0.0}
    assert changed(found, "fallback") == {"on": 0, "off": 4}


def test_a_fallback_that_is_the_only_way_cannot_be_turned_off() -> None:
    assert values(join_sensitivity(opened(*TIES[:4]), metric="recall"), "fallback") == {}


def test_the_current_row_is_the_metric_itself() -> None:
    loop = opened(*TIES)
    row = join_sensitivity(loop, metric="recall").frame.filter("is_current").row(0, named=True)
    own = metrics(loop.join(), "recall").row(0, named=True)
    for name in ("value", "lower", "upper", "bound_lower", "bound_upper", "n", "n_labelled"):
        assert row[name] == own[name]


KEYED: list[Said] = [(f"p{i}x", f"a{i}", DAY, DAY, 1.0, "auto", None) for i in range(4)]
NO_FALLBACK: dict[str, Any] = {"join": {}}


def test_the_end_of_the_window_decides_about_late_events_and_the_rows_stay_the_same() -> None:
    late: list[Said] = [("p5y", "a5", 9 * DAY + 12 * HOUR, 11 * DAY, 1.0, "auto", None)]
    after: list[Said] = [("p6y", "a6", 10 * DAY + 12 * HOUR, 11 * DAY, 1.0, "auto", None)]
    found = join_sensitivity(opened(*KEYED, *late, *after, **NO_FALLBACK), metric="recall")
    assert values(found, "window") == pytest.approx({"9d": 1.0, "10d": 4 / 5, "11d": 4 / 6})
    assert found.frame["n"].unique().to_list() == [20]


def test_the_nearest_stage_is_a_shorter_window() -> None:
    loop = opened(*KEYED, label={"window": "90d", "stages": ["30d", "60d"]}, as_of=200 * DAY, **NO_FALLBACK)
    assert list(values(join_sensitivity(loop, metric="recall"), "window")) == ["60d", "81d", "90d", "91d", "99d"]


def test_corrections_backfills_and_late_labels_each_have_their_say() -> None:
    said: list[Said] = [
        *KEYED,
        ("p5y", "a5", DAY, DAY, 0.0, "auto", None),
        ("p5y", "a5", DAY, 2 * DAY, 1.0, "auto", None),
        ("p6y", "a6", DAY, 3 * DAY, 1.0, "backfill", None),
        ("p7y", "a7", DAY, 20 * DAY, 1.0, "auto", None),
    ]
    found = join_sensitivity(opened(*said, **NO_FALLBACK), metric="recall")
    assert values(found, "corrections") == pytest.approx({"the latest counts": 4 / 7, "the first counts": 4 / 6})
    assert values(found, "backfills") == pytest.approx({"counted": 4 / 7, "left out": 4 / 6})
    assert values(found, "late labels") == pytest.approx(
        {"counted from their arrival on": 4 / 7, "left out after 10d": 4 / 6}
    )


def test_a_late_correction_leaves_what_was_said_in_time() -> None:
    said: list[Said] = [
        *KEYED,
        ("p5y", "a5", DAY, DAY, 1.0, "auto", None),
        ("p5y", "a5", DAY, 20 * DAY, 0.0, "auto", None),
    ]
    found = join_sensitivity(opened(*said, **NO_FALLBACK), metric="recall")
    assert values(found, "late labels")["left out after 10d"] == pytest.approx(4 / 5)
    assert found.frame.filter(pl.col("rule") == "late labels")["n_labelled"].to_list() == [5, 5]


def test_label_versions_are_a_choice_when_the_log_holds_several() -> None:
    said: list[Said] = [
        *((f"p{i}x", f"a{i}", DAY, DAY, 1.0, "auto", "2") for i in range(4)),
        ("p5y", "a5", DAY, DAY, 1.0, "auto", "1"),
    ]
    loop = opened(*said, label={"window": "10d", "version": "2"}, **NO_FALLBACK)
    found = join_sensitivity(loop, metric="recall", as_of=T0 + 30 * DAY)
    older, only = values(found, "label versions").values()
    assert (older, only) == pytest.approx((4 / 5, 1.0))


def test_rules_without_a_choice_are_left_out() -> None:
    loop = opened(*KEYED, label={"window": "10d", "combine": "any"}, **NO_FALLBACK)
    assert join_sensitivity(loop, metric="recall").frame["rule"].unique().to_list() == ["window"]


def test_a_number_that_does_not_move_is_said_to_stand() -> None:
    found = join_sensitivity(opened(*KEYED, **NO_FALLBACK), metric="recall", as_of=T0 + 30 * DAY)
    assert found.summary == "recall is 1, whatever one chooses for window and corrections"


def test_what_is_not_estimable_is_null_with_a_reason() -> None:
    found = join_sensitivity(opened(*TIES[:4]), metric="recall")
    lost = found.frame.filter(pl.col("choice") == "unique").row(0, named=True)
    assert (lost["value"], lost["change"], lost["reason"]) == (None, None, "no labelled rows")
    young = join_sensitivity(opened(*TIES), metric="recall", as_of=T0 + 2 * DAY)
    assert young.summary.startswith("recall is not estimable under the contract's own rules")


def test_young_predictions_count_only_when_asked_for() -> None:
    found = join_sensitivity(opened(*TIES), metric="recall", as_of=T0 + 2 * DAY, stage="any")
    assert values(found, "tie rule")["earliest"] == pytest.approx(4 / 5)
    with pytest.raises(ArgumentError, match="final or any"):
        join_sensitivity(opened(*TIES), stage="provisional@30d")


def test_only_predictions_of_the_period_are_compared() -> None:
    found = join_sensitivity(opened(*TIES), metric="recall", period="2024-05-06T00:00Z..2024-05-06T02:00Z")
    assert found.frame["n"].unique().to_list() == [4]


def test_columns_are_constant_and_the_text_says_every_choice() -> None:
    found = join_sensitivity(opened(*TIES), metric="recall")
    assert found.frame.columns == list(COLUMNS)
    text = str(found)
    assert all(f"{rule}: {choice}" in text for rule, choice in found.frame.select("rule", "choice").iter_rows())
    assert "8 labels change" in text


def test_other_rules_have_other_evaluation_ids_and_equal_calls_equal_ones() -> None:
    loop = opened(*TIES)
    once, again = join_sensitivity(loop, metric="recall").frame, join_sensitivity(loop, metric="recall").frame
    assert once.equals(again)
    ties = once.filter(pl.col("rule") == "tie rule")
    assert ties["evaluation_id"].n_unique() == 4


def test_a_joined_table_is_sent_back_to_its_loop() -> None:
    with pytest.raises(ArgumentError, match="takes an open loop first"):
        join_sensitivity(opened(*TIES).join())  # type: ignore[arg-type]
