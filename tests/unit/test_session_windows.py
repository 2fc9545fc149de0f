"""A loop whose label window is a session, end to end: every measure works, or says in words why it cannot."""

from datetime import UTC, datetime, timedelta

import polars as pl
import pytest

import fbkit as fb
from fbkit.errors import ContractError
from fbkit.join.periods import resolve
from fbkit.schema.label import longest_delay

T0 = datetime(2026, 3, 2, tzinfo=UTC)
GAP, DAYS, PER_DAY = timedelta(hours=1), 28, 60
CONTRACT = {
    "model": {"name": "clicks"},
    "predictions": {},
    "outcomes": {},
    "label": {"name": "click", "window": "session", "session_gap": "1h", "grace": "30m"},
    "decision": {"threshold": 0.5},
    "metrics": {"primary": "recall"},
}


@pytest.fixture(scope="module")
def loop() -> fb.Loop:
    """Sessions of up to three predictions ten minutes apart; every third outcome comes after the gap."""
    n = DAYS * PER_DAY
    number = pl.Series(range(n))
    made = [T0 + timedelta(minutes=24 * 60 / PER_DAY * i) for i in number]
    # The first of each three starts a session; the others follow it by 10 and 20 minutes.
    made = [made[i - i % 3] + timedelta(minutes=10 * (i % 3)) for i in range(n)]
    label = [float((i * 7919) % 5 < 2) for i in range(n)]
    score = [0.25 + 0.5 * value if i % 4 else 0.75 - 0.5 * value for i, value in enumerate(label)]
    left = pl.DataFrame(
        {
            "prediction_id": [f"p{i}" for i in range(n)],
            "session_id": [f"s{i // 3}" for i in range(n)],
            "ts_pred": made,
            "score": score,
            "model_version": ["1"] * n,
        }
    )
    event = [at + (timedelta(hours=3) if i % 9 == 8 else GAP) for i, at in enumerate(made)]
    right = pl.DataFrame({"prediction_id": left["prediction_id"], "ts_event": event, "label": label})
    right = right.with_columns(ts_arrival=pl.col("ts_event") + timedelta(minutes=5))
    return fb.open_loop(contract=fb.Contract.from_dict(CONTRACT), predictions=left, outcomes=right)


@pytest.fixture(scope="module")
def joined(loop: fb.Loop) -> fb.Joined:
    return loop.join()


def test_the_longest_delay_is_that_of_the_longest_session(joined: fb.Joined) -> None:
    assert longest_delay(joined) == timedelta(minutes=20) + GAP + timedelta(minutes=30)
    late = joined.candidates.filter(pl.col("fate") == "after_window")
    assert late.height == DAYS * PER_DAY // 9
    # An event one hour after each prediction lies inside the session's window, at its end for the last one.
    assert joined.frame["label"].null_count() >= late.height


def test_open_periods_end_where_every_session_is_final(joined: fb.Joined) -> None:
    comparison = resolve(joined)
    assert comparison.current is not None
    frame = joined.frame.filter(pl.col("ts_pred") < comparison.current.end)
    assert frame["mature"].all()


def test_metrics_of_every_stage_can_be_had(joined: fb.Joined) -> None:
    final = fb.metrics(joined, ["recall", "precision", "brier"], every="1w")
    assert final["value"].is_not_null().all()
    young = fb.metrics(joined, ["recall"], stage="provisional@1h")
    assert young["n"].item() >= young["n_labelled"].item()
    assert fb.availability(joined, every="1w")["value"].is_between(0, 1).all()
    lag = fb.label_lag(joined)
    assert lag["age_days"].max() == pytest.approx(longest_delay(joined) / timedelta(days=1))


def test_a_diagnosis_waits_for_the_longest_session(joined: fb.Joined) -> None:
    diagnosis = fb.triage(joined, draws=20)
    total = sum(row.value for row in diagnosis.contributions)
    assert total == pytest.approx(diagnosis.observed.change, abs=1e-9)


def test_the_checklist_knows_sessions(loop: fb.Loop) -> None:
    items = {row["id"]: row for row in loop.check().to_dicts()}
    assert "window session" in items["final_known"]["evidence"]
    assert items["retention"]["status"] == "not applicable"
    for kept, status in (("2h", "passed"), ("95m", "failed")):
        contract = fb.Contract.from_dict(CONTRACT | {"privacy": {"retention": kept}})
        logs = loop.logs
        again = fb.open_loop(contract=contract, predictions=logs.predictions.frame, outcomes=logs.outcomes.frame)
        assert {row["id"]: row["status"] for row in again.check().to_dicts()}["retention"] == status


def test_what_a_session_cannot_have_is_refused_in_words() -> None:
    label = {"window": "session", "session_gap": "0m"}
    with pytest.raises(ContractError, match="session_gap must be longer than zero"):
        fb.Contract.from_dict(CONTRACT | {"label": label})
    with pytest.raises(ContractError, match="every stage must be shorter than session_gap"):
        fb.Contract.from_dict(CONTRACT | {"label": {"window": "session", "stages": ["10m", "30m"]}})
