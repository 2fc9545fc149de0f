"""When it began on each axis and when it could be seen, against plain loops over rows of known truth."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import polars as pl
import pytest

import fbkit as fb
from fbkit.diagnose.onset import onset
from fbkit.measure.stats.intervals import wilson

DAY = timedelta(days=1)


@pytest.fixture(scope="module")
def joined() -> fb.Joined:
    return fb.open_loop(fb.samples.path("recall_drop") / "variant_a").join()


@pytest.fixture(scope="module")
def diagnosis(joined: fb.Joined) -> fb.Diagnosis:
    return fb.triage(joined, draws=40)


@pytest.fixture(scope="module")
def frames(joined: fb.Joined, diagnosis: fb.Diagnosis) -> dict[str, pl.DataFrame]:
    return onset(joined, diagnosis)


def at(frames: dict[str, pl.DataFrame], event: str) -> datetime | None:
    return frames["onset"].filter(pl.col("event") == event)["at"].item()


def test_the_days_of_an_incident_of_known_truth(frames: dict[str, pl.DataFrame], diagnosis: fb.Diagnosis) -> None:
    # The simulated incident starts with the predictions of 28 September; labels take days to arrive.
    start = datetime(2026, 9, 28, tzinfo=UTC)
    assert at(frames, "began_by_prediction") == start
    arrived = frames["onset"].row(1, named=True)
    assert arrived["event"] == "began_by_arrival"
    assert start < arrived["first"] <= start + 3 * DAY
    assert arrived["first"] < arrived["last"] <= start + 21 * DAY
    assert arrived["at"] is None
    assert arrived["reason"] == "it moved little by little"
    seen = at(frames, "visible")
    assert seen is not None
    assert start < seen <= start + 10 * DAY
    assert at(frames, "decidable") == diagnosis.decidable_at


def test_a_day_is_named_only_if_one_stands_out() -> None:
    joined = fb.open_loop(fb.samples.path("flights_2013")).join()
    drawn = fb.triage(joined, draws=20)
    assert drawn.verdict == "mix"
    found = onset(joined, drawn)["onset"]
    for event in ("began_by_prediction", "began_by_arrival"):
        row = found.filter(pl.col("event") == event).row(0, named=True)
        assert (row["at"], row["first"], row["reason"]) == (None, None, "no day stands out")


def test_what_was_known_at_each_midnight_is_what_a_loop_counts(
    frames: dict[str, pl.DataFrame], joined: fb.Joined, diagnosis: fb.Diagnosis
) -> None:
    rows = joined.frame.filter(
        (pl.col("ts_pred") >= diagnosis.current.start) & (pl.col("ts_pred") < diagnosis.current.end)
    ).select("ts_pred", "ts_arrival", "flagged", "label")
    for look in frames["as_seen"].gather([0, 3, 6, -1]).iter_rows(named=True):
        hit = missed = labels = n = 0
        for made, arrived, flagged, label in rows.iter_rows():
            n += made < look["as_of"]
            if label is None or arrived is None or max(made, arrived) >= look["as_of"]:
                continue
            labels += 1
            hit += label == 1 and flagged
            missed += label == 1 and not flagged
        assert (look["n"], look["n_labelled"]) == (n, labels)
        if hit + missed:
            low, high = wilson(hit, hit + missed)
            expected = [hit / (hit + missed), float(low), float(high)]
            assert [look["value"], look["lower"], look["upper"]] == pytest.approx(expected, abs=1e-12)
        else:
            assert look["value"] is None


def test_the_metric_by_arrival_is_what_a_loop_counts(
    frames: dict[str, pl.DataFrame], joined: fb.Joined, diagnosis: fb.Diagnosis
) -> None:
    counted: dict[datetime, list[int]] = {}
    for made, arrived, flagged, label in joined.frame.select("ts_pred", "ts_arrival", "flagged", "label").iter_rows():
        inside = any(part.start <= made < part.end for part in (diagnosis.reference, diagnosis.current))
        if label is None or arrived is None or not inside:
            continue
        day = arrived.replace(hour=0, minute=0, second=0, microsecond=0)
        tally = counted.setdefault(day, [0, 0, 0])
        tally[0] += 1
        tally[1] += label == 1 and flagged
        tally[2] += label == 1
    frame = frames["metric_by_arrival"]
    assert dict(frame.select("day", "n_labelled").iter_rows()) == {day: tally[0] for day, tally in counted.items()}
    expected = [tally[1] / tally[2] if tally[2] else None for _, tally in sorted(counted.items())]
    assert frame["value"].to_list() == pytest.approx(expected)
    roles = frame.select(
        pl.col("role")
        == pl.when(pl.col("day") < diagnosis.current.start).then(pl.lit("reference")).otherwise(pl.lit("current"))
    ).to_series()
    assert roles.all()


def test_visible_means_from_then_on(
    frames: dict[str, pl.DataFrame], joined: fb.Joined, diagnosis: fb.Diagnosis
) -> None:
    level, seen = diagnosis.observed.reference, at(frames, "visible")
    assert level is not None
    assert seen is not None
    looks = frames["as_seen"].to_dicts()
    assert all(look["upper"] < level for look in looks if look["as_of"] >= seen)
    before = [look for look in looks if look["as_of"] < seen]
    assert before[-1]["upper"] is None or before[-1]["upper"] >= level


def test_without_a_change_nothing_began_and_the_reason_is_said(joined: fb.Joined) -> None:
    quiet = fb.triage(
        joined, fb.Comparison(reference="2026-08-31..2026-09-14", current="2026-09-14..2026-09-21"), draws=40
    )
    assert quiet.verdict == "noise"
    found = onset(joined, quiet)
    assert at(found, "began_by_prediction") is None
    assert at(found, "began_by_arrival") is None
    reasons = dict(found["onset"].select("event", "reason").iter_rows())
    assert "noise" in reasons["began_by_arrival"]


@pytest.mark.parametrize("metric", ["precision", "brier", "roc_auc"])
def test_other_metrics_are_followed_too(joined: fb.Joined, metric: str) -> None:
    asked = fb.triage(joined, metric=metric, draws=20)
    found = onset(joined, asked)
    last = found["as_seen"].row(-1, named=True)
    assert last["value"] == pytest.approx(asked.observed.current, abs=0.02)
    if asked.verdict != "noise" and metric != "precision":
        assert "only rates" in found["onset"]["reason"][0]


def test_a_metric_of_your_own_says_that_it_is_not_followed(joined: fb.Joined) -> None:
    own = fb.Metric(name="cost", needs="rows", fn=pl.col("label") * 3.0, better="lower")
    found = onset(joined, fb.triage(joined, metric=own, draws=20))
    assert found["as_seen"].is_empty()
    reasons = dict(found["onset"].select("event", "reason").iter_rows())
    assert reasons["visible"] == "not followed for a metric of your own"


def test_where_only_positives_are_reported_negatives_have_no_arrival(
    joined: fb.Joined, diagnosis: fb.Diagnosis
) -> None:
    label = joined.contract.label.model_copy(update={"silence": "negative"})
    silent = replace(joined, contract=joined.contract.model_copy(update={"label": label}))
    assert onset(silent, diagnosis)["as_seen"].height > 10
    other = onset(silent, replace(diagnosis, metric="precision"))
    assert other["as_seen"].is_empty()
    assert "only positives" in other["onset"].filter(pl.col("event") == "visible")["reason"].item()


def test_a_long_wait_is_looked_at_in_steps(joined: fb.Joined, diagnosis: fb.Diagnosis) -> None:
    late = replace(diagnosis, as_of=diagnosis.as_of + timedelta(days=400))
    looks = onset(joined, late)["as_seen"]["as_of"]
    assert len(looks) <= 60
    assert looks.is_sorted()
    assert looks[-1] <= late.as_of
    early = replace(diagnosis, as_of=diagnosis.current.start + timedelta(hours=5))
    assert onset(joined, early)["as_seen"].is_empty()
