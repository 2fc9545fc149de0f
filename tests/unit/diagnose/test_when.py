"""Days of a cause in worlds where they are known, counts against plain loops, and dated coincidences."""

from datetime import UTC, datetime, timedelta
from itertools import pairwise

import numpy as np
import polars as pl
import pytest

from fbkit.diagnose.rows import prepare, score_edges
from fbkit.diagnose.when import Days, by_day, coincidences, dated, days_of, rows_at
from fbkit.schema.diagnosis import Contribution
from fbkit.schema.period import Period
from fbkit.schema.results import FAMILY_OF_CAUSE

START, NOW = datetime(2026, 8, 3, tzinfo=UTC), datetime(2026, 8, 31, tzinfo=UTC)
CURRENT = Period.parse("2026-08-31..2026-09-07")
DAY = timedelta(days=1)
TWO_DAYS = (datetime(2026, 9, 2, tzinfo=UTC), datetime(2026, 9, 4, tzinfo=UTC))


def part(cause, *, where="everywhere", material=True):
    return Contribution(
        cause=cause, family=FAMILY_OF_CAUSE[cause], value=-0.1, lower=-0.2, upper=-0.01, material=material,
        strength="established", where=where, evidence="", next_evidence="",
    )  # fmt: skip


def told(hand, *parts, metric="recall"):
    reference = Period.parse("2026-08-03..2026-08-31")
    rows = prepare(hand.frame, metric=metric, reference=reference, current=CURRENT)
    bin_of = np.searchsorted(score_edges(rows, bins=16), rows.score, side="right").astype(np.int64)
    return dated(parts, rows, bin_of=bin_of, current=CURRENT)


def inside(frame, days=TWO_DAYS):
    return ((frame["ts_pred"] >= days[0]) & (frame["ts_pred"] < days[1])).to_numpy()


def test_labels_lost_for_two_days_are_placed_there(by_hand):
    def lose(frame, outcome):
        hit = inside(frame) & (frame["region"] == "EU").to_numpy() & frame["flagged"].to_numpy()
        return np.where(hit, 0.9, 0.1)

    parts, frame = told(by_hand(n=30_000, lose=lose), part("label_slice_loss", where="region=EU, flagged rows"))
    assert parts[0].where == "region=EU, flagged rows, 2026-09-02 to 2026-09-03"
    row = frame.filter(cause="label_slice_loss").row(0, named=True)
    assert (row["axis"], row["first"], row["last"]) == ("prediction", TWO_DAYS[0], TWO_DAYS[1] - DAY)
    bare, _ = told(by_hand(n=30_000, lose=lose), part("label_slice_loss", where="region=EU"))
    assert bare[0].where == "region=EU, 2026-09-02 to 2026-09-03"


def test_drift_of_two_days_is_placed_there(by_hand):
    def truth(frame):
        score = frame["score"].to_numpy()
        return np.where(inside(frame), score.mean(), score)

    parts, _ = told(by_hand(n=60_000, truth=truth), part("concept_drift"))
    assert parts[0].where == "everywhere, 2026-09-02 to 2026-09-03"


@pytest.mark.parametrize(
    ("since", "ending"), [(NOW, ""), (NOW + 2 * DAY, ", from 2026-09-02"), (NOW - 4 * DAY, ", from 2026-08-27")]
)
def test_what_lasts_is_dated_only_where_it_did_not_begin_with_the_period(by_hand, since, ending):
    def truth(frame):
        score = frame["score"].to_numpy()
        return np.where(frame["ts_pred"] >= since, 0.3 * score + 0.7 * score.mean(), score)

    parts, frame = told(by_hand(n=60_000, truth=truth), part("concept_drift"))
    assert parts[0].where == f"everywhere{ending}"
    assert frame.filter(cause="concept_drift")["first"].to_list() == [since]
    assert frame.filter(pl.col("cause").is_null())["axis"].to_list() == ["prediction"]


def test_policy_mix_and_scores_have_their_own_counts(by_hand):
    late = NOW + 3 * DAY

    def threshold(frame):
        return np.where(frame["ts_pred"] >= late, 0.7, 0.5)

    parts, _ = told(by_hand(n=20_000, threshold=threshold), part("threshold_change", where="the operating threshold"))
    assert parts[0].where == "the operating threshold, from 2026-09-03"
    joined = by_hand(n=20_000)
    hit = inside(joined.frame)
    device = np.where(hit, "app", joined.frame["device"].to_numpy())
    joined.frame.insert_column(0, pl.Series("platform", device))
    mixed = told(joined, part("mix_shift", where="platform=app"))[0]
    assert mixed[0].where == "platform=app, 2026-09-02 to 2026-09-03"
    low = joined.frame.with_columns(score=pl.when(pl.Series(hit)).then(0.05).otherwise("score"))
    served = told(type(joined)(low, joined.contract, joined.as_of), part("serving_fallback"))[0]
    assert served[0].where == "everywhere, 2026-09-02 to 2026-09-03"
    hidden = joined.frame.with_columns(blocked=pl.Series(hit & joined.frame["flagged"].to_numpy()))
    censored = told(type(joined)(hidden, joined.contract, joined.as_of), part("action_censoring"))[0]
    assert censored[0].where == "everywhere, 2026-09-02 to 2026-09-03"
    versions = joined.frame.with_columns(
        model_version=pl.when(pl.col("ts_pred") >= late).then(pl.lit("2")).otherwise(pl.lit("1"))
    )
    new = told(
        type(joined)(versions, joined.contract, joined.as_of), part("version_regression", where="model_version=2")
    )[0]
    assert new[0].where == "model_version=2, from 2026-09-03"


def test_nothing_is_dated_without_evidence(by_hand):
    quiet = by_hand(n=20_000)
    causes = ("concept_drift", "label_slice_loss", "covariate_shift", "threshold_change", "slow_labels", "mix_shift")
    parts, frame = told(quiet, *(part(cause) for cause in causes))
    assert [item.where for item in parts] == ["everywhere"] * len(causes)
    assert frame.is_empty()
    immaterial, frame = told(
        by_hand(n=20_000, lose=lambda f, y: 0.9 * inside(f)), part("label_slice_loss", material=False)
    )
    assert immaterial[0].where == "everywhere"
    assert frame.is_empty()


def test_a_place_that_names_its_days_stays(by_hand):
    where = "region=EU, 2026-09-01 to 2026-09-02"
    parts, _ = told(by_hand(n=20_000, lose=lambda f, y: 0.9 * inside(f)), part("label_slice_loss", where=where))
    assert parts[0].where == where


def test_the_day_of_change_by_arrival_is_the_feeds(by_hand):
    joined = by_hand(n=60_000)
    arrival = joined.frame["ts_pred"] + timedelta(days=1)
    late = pl.col("ts_arrival") >= NOW + 2 * DAY
    gone = joined.frame.with_columns(ts_arrival=arrival).with_columns(
        label=pl.when(late & (pl.col("label") == 1) & pl.col("flagged") & (pl.int_range(pl.len()) % 3 > 0))
        .then(None)
        .otherwise("label")
    )
    _, frame = told(type(joined)(gone, joined.contract, joined.as_of), part("label_outage"))
    found = dict(frame.filter(pl.col("cause").is_null()).select("axis", "first").iter_rows())
    assert found == {"prediction": NOW + DAY, "arrival": NOW + 2 * DAY}


def test_counts_by_day_are_those_of_a_loop():
    rng = np.random.default_rng(1)
    seconds = rng.integers(0, 9 * 86_400, 500)
    times = pl.Series([None if s % 50 == 0 else START + timedelta(seconds=int(s)) for s in seconds])
    times = times.cast(pl.Datetime("us", "UTC"))
    category, kept = rng.integers(0, 3, 500), rng.random(500) < 0.7
    counts, days = by_day(times, category, kept=kept)
    expected = np.zeros((len(days), 3))
    for at, kind, use in zip(times, category, kept, strict=True):
        if use and at is not None:
            expected[(at - days[0]).days, kind] += 1
    assert (counts == expected).all()
    assert [b - a for a, b in pairwise(days)] == [DAY] * (len(days) - 1)
    assert by_day(times, category, kept=np.zeros(500, dtype=bool))[1] == []


def test_rows_of_a_place_are_those_of_its_words(by_hand):
    joined = by_hand(n=2_000)
    rows = prepare(joined.frame, metric="recall", reference=Period.parse("2026-08-03..2026-08-31"), current=CURRENT)
    frame = rows.frame
    eu, web, us = (frame[c] == v for c, v in (("region", "EU"), ("device", "web"), ("region", "US")))
    cases = {
        "everywhere": pl.Series(np.ones(len(rows), dtype=bool)),
        "region=EU and region=US, flagged rows": (eu | us) & frame["flagged"],
        "region=EU, not flagged rows": eu & ~frame["flagged"],
        "device=web": web,
        "region=nowhere": pl.Series(np.ones(len(rows), dtype=bool)),
    }
    for where, expected in cases.items():
        assert (rows_at(where, rows) == expected.to_numpy()).all(), where


def test_slow_changes_and_old_ones_have_no_day():
    days = [START + number * DAY for number in range(35)]
    slow = np.linspace(0.9, 0.4, 35)[:, None] * np.array([1, 0]) * 2000
    slow[:, 1] = 2000 - slow[:, 0]
    assert days_of(slow, days, current=CURRENT) is None
    old = np.where(np.arange(35)[:, None] < 7, [1800, 200], [1000, 1000]).astype(float)
    assert days_of(old, days, current=CURRENT) is None
    assert days_of(old[::-1].copy(), days, current=CURRENT) == Days(first=NOW)


CHANGES = pl.DataFrame(
    {
        "ts": [NOW + timedelta(days=d) for d in (2.4, -9, 1.2, -40, 8, 3.6)],
        "kind": ["deploy"] * 6,
        "what": ["on the day", "old", "the evening before", "ancient", "after the period", "two days later"],
    },
    schema={"ts": pl.Datetime("us", "UTC"), "kind": pl.String, "what": pl.String},
)


def test_changes_coincide_with_the_day_of_change():
    found = {c["what"]: c["coincides"] for c in coincidences(CHANGES, CURRENT, day=NOW + 2 * DAY)}
    assert found == {"old": False, "the evening before": True, "on the day": True, "two days later": False}
    without = {c["what"] for c in coincidences(CHANGES, CURRENT) if c["coincides"]}
    assert without == set()
    early = {c["what"] for c in coincidences(CHANGES, CURRENT, day=NOW - 30 * DAY)}
    assert "ancient" in early
    assert coincidences(None, CURRENT) == coincidences(CHANGES.head(0), CURRENT) == ()
    assert coincidences(CHANGES.drop("ts"), CURRENT) == ()


def test_a_step_with_the_period_is_not_dated_by_chance():
    rng = np.random.default_rng(7)
    days = [START + number * DAY for number in range(35)]
    told_others = 0
    for _ in range(200):
        p = np.where(np.arange(35) < 28, 0.8, 0.6)
        hits = rng.binomial(60, p)
        found = days_of(np.stack([hits, 60 - hits], axis=1).astype(float), days, current=CURRENT)
        told_others += found is not None and found != Days(first=NOW)
    assert told_others <= 4
