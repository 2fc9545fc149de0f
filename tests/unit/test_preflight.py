"""The pre-flight checklist: each question can pass and can fail, with a fix when it fails."""

from datetime import UTC, datetime, timedelta
from typing import Any

import polars as pl
import pytest

import fbkit as fb

T0 = datetime(2024, 5, 6, tzinfo=UTC)
GOOD: dict[str, Any] = {
    "model": {"name": "m"},
    "predictions": {},
    "outcomes": {},
    "label": {"window": "1d", "version": "1"},
    "slo": {"label_availability": {"at": "1d", "minimum": 0.9}},
    "privacy": {"retention": "30d"},
    "actions": {"blocked": ["block"]},
}


def logs(**changes: Any) -> dict[str, pl.DataFrame]:
    ids = [f"p{i}" for i in range(20)]
    made = [T0 + timedelta(hours=i) for i in range(20)]
    event = [moment + timedelta(hours=2) for moment in made]
    frames = {
        "predictions": pl.DataFrame(
            {"prediction_id": ids, "ts_pred": made, "score": [0.5] * 20, "model_version": ["1"] * 20}
        ),
        "outcomes": pl.DataFrame(
            {
                "prediction_id": [*ids, "p0"],
                "ts_event": [*event, event[0]],
                "ts_arrival": [*event, T0 + timedelta(days=3)],
                "label": [1.0] * 21,
            }
        ),
        "actions": pl.DataFrame({"prediction_id": ids[:2], "action": ["block", "allow"], "propensity": [0.5, 1.0]}),
    }
    return frames | changes


def ask(frames: dict[str, pl.DataFrame], **tables: Any) -> dict[str, dict[str, Any]]:
    content = {key: value for key, value in (GOOD | tables).items() if value is not None}
    items = fb.open_loop(contract=fb.Contract.from_dict(content), **frames).check()
    return {row["id"]: row for row in items.iter_rows(named=True)}


def test_a_good_loop_passes_everything_and_needs_no_fix() -> None:
    items = ask(logs())
    assert {key: row["status"] for key, row in items.items()} == dict.fromkeys(items, "passed")
    assert {row["fix"] for row in items.values()} == {None}
    assert len(items) == 10


def with_amount(**columns: Any) -> dict[str, pl.DataFrame]:
    return logs(predictions=logs()["predictions"].with_columns(amount=pl.lit(1.0), **columns))


def outcomes(**columns: Any) -> dict[str, pl.DataFrame]:
    return logs(outcomes=logs()["outcomes"].with_columns(**columns))


STRANGERS = pl.when(pl.int_range(pl.len()) < 5).then(pl.lit("x")).otherwise("prediction_id")
LATE = pl.col("ts_event") + timedelta(days=2)


@pytest.mark.parametrize(
    ("question", "frames", "tables"),
    [
        ("rebuildable", outcomes(prediction_id=STRANGERS), {}),
        ("rebuildable", outcomes(prediction_id=pl.lit("x")), {}),
        ("final_known", outcomes(ts_arrival=LATE), {}),
        ("final_known", logs(), {"label": {"window": "9d"}}),
        ("unique_ids", logs(predictions=logs()["predictions"].with_columns(prediction_id=STRANGERS)), {}),
        ("actions_logged", logs(actions=logs()["actions"].drop("propensity")), {}),
        ("availability_alert", logs(), {"slo": None}),
        ("times_utc", logs(outcomes=logs()["outcomes"].drop("ts_arrival")), {}),
        ("times_utc", outcomes(ts_event=pl.when(pl.int_range(pl.len()) > 3).then("ts_event")), {}),
        ("versioned", logs(predictions=logs()["predictions"].drop("model_version")), {}),
        ("versioned", logs(), {"label": {"window": "1d"}}),
        ("versioned", with_amount(), {"features": {"columns": ["amount"]}}),
        ("actions_logged", logs(actions=logs()["actions"].with_columns(propensity=pl.Series([0.5, None]))), {}),
        ("traceable", outcomes(prediction_id=pl.lit("x")), {}),
    ],
)  # fmt: skip
def test_each_question_can_fail_and_says_how_to_mend_it(
    question: str, frames: dict[str, pl.DataFrame], tables: Any
) -> None:
    item = ask(frames, **tables)[question]
    assert (item["status"], bool(item["fix"])) == ("failed", True)


def test_what_does_not_apply_says_so() -> None:
    items = ask({key: frame for key, frame in logs().items() if key != "actions"}, actions=None, privacy=None)
    assert {items[key]["status"] for key in ("actions_logged", "retention")} == {"not applicable"}


def test_an_alert_on_availability_counts_and_a_session_is_shown() -> None:
    alert = {"name": "labels missing", "metric": "availability", "condition": "below", "level": 0.9}
    assert "labels missing" in ask(logs(), slo=None, alerts=[alert])["availability_alert"]["evidence"]


def test_rivals_make_a_trace_unclear() -> None:
    frames = outcomes(prediction_id=pl.lit(None, dtype=pl.String), account=pl.lit("a"))
    frames["predictions"] = frames["predictions"].with_columns(account=pl.lit("a"))
    item = ask(frames, join={"fallback": {"entity": "account", "rule": "latest"}})["traceable"]
    assert (item["status"], "receipt" in item["fix"]) == ("failed", True)


def many(*, flagged_known: float, blocked: int = 0) -> dict[str, pl.DataFrame]:
    """A hundred mature predictions, half of them flagged; labels of the first share of those, of all the others."""
    ids = [f"p{i}" for i in range(100)]
    made = [T0 + timedelta(minutes=i) for i in range(100)]
    said = [i for i in range(100) if i % 2 or i < 100 * flagged_known]
    return {
        "predictions": pl.DataFrame(
            {"prediction_id": ids, "ts_pred": made, "score": [0.1 if i % 2 else 0.9 for i in range(100)]}
        ),
        "outcomes": pl.DataFrame(
            {
                "prediction_id": [ids[i] for i in said],
                "ts_event": [made[i] for i in said],
                "ts_arrival": [T0 + timedelta(days=3)] * len(said),
                "label": [1.0] * len(said),
            }
        ),
        "actions": pl.DataFrame(
            {"prediction_id": ids[:blocked], "action": ["block"] * blocked, "propensity": [0.5] * blocked},
            schema={"prediction_id": pl.String, "action": pl.String, "propensity": pl.Float64},
        ),
    }


def test_labels_that_are_rare_among_flagged_cases_look_like_an_action_nobody_logs() -> None:
    def asked(share: float) -> dict[str, Any]:
        frames = {key: frame for key, frame in many(flagged_known=share).items() if key != "actions"}
        return ask(frames, actions=None, decision={"threshold": 0.5})["actions_change"]

    hidden, seen = asked(0.2), asked(1.0)
    assert (hidden["status"], "20% of flagged and 100% of other" in hidden["evidence"]) == ("failed", True)
    assert seen["status"] == "not applicable"


def test_outcomes_of_cases_whose_action_hides_them_contradict_the_contract() -> None:
    item = ask(many(flagged_known=1.0, blocked=40), decision={"threshold": 0.5})["actions_change"]
    assert (item["status"], "40 outcomes of such predictions were seen" in item["evidence"]) == ("failed", True)


@pytest.mark.parametrize(
    "mended",
    [
        {"features": {"columns": ["amount"], "definitions": {"amount": {"version": "1"}}}},
        {"features": {"columns": ["amount"]}, "hash": True},
    ],
)
def test_features_are_versioned_by_the_log_or_by_the_contract(mended: dict[str, Any]) -> None:
    frames = with_amount(schema_hash=pl.lit("9f")) if mended.pop("hash", False) else with_amount()
    assert ask(frames, **mended)["versioned"]["status"] == "passed"


def test_personal_ids_do_not_stand_in_the_evidence() -> None:
    frames = outcomes(prediction_id=pl.lit(None, dtype=pl.String), account=pl.lit("a"))
    frames["predictions"] = frames["predictions"].with_columns(account=pl.lit("a"))
    fallback = {"fallback": {"entity": "account", "rule": "latest"}}
    item = ask(frames, join=fallback, privacy={"personal": ["prediction_id"]})["traceable"]
    assert (item["status"], "p1" in item["evidence"]) == ("failed", False)
