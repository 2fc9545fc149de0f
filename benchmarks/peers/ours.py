"""fbkit's side of every row of the table: the same questions, of the same rows."""

import tempfile
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import clock
import polars as pl

import fbkit as fb
from fbkit.testing.frames import STATES, FakeJoined, make_joined

AS_OF = datetime(2026, 9, 1, tzinfo=UTC)
HALVES = fb.Comparison(reference="2026-01-05..2026-04-06", current="2026-04-06..2026-07-06")
FEATURES = [f"x{number}" for number in range(1, 7)]
WEEKLY = ["roc_auc", "average_precision", "precision", "recall"]
RATES = {"recall": "recall", "specificity": "false positive rate", "flag_rate": "flag rate"}
QUALITY = [
    "accuracy", "precision", "recall", "specificity", "npv", "f1", "roc_auc", "average_precision", "log_loss",
    "base_rate", "flag_rate",
]  # fmt: skip


def loader(label: str, *, labelled: bool = False) -> Callable[[str, int], FakeJoined]:
    """A joined table with this column of the data as its label, of all rows or of the labelled ones."""

    def load(path: str, step: int) -> FakeJoined:
        rows = pl.read_parquet(path).gather_every(step)
        rows = rows.filter(pl.col(label).is_not_null()) if labelled else rows
        frame = rows.with_columns(
            pl.col(label).cast(pl.Float64).alias("label"),
            pl.lit(0.5).alias("threshold"),
            pl.lit(None, dtype=pl.String).alias("model_version"),
            pl.lit(None, dtype=pl.String).alias("entity"),
            pl.lit(value=True).alias("mature"),
        ).with_columns(
            pl.when(pl.col("label").is_not_null()).then(pl.lit(timedelta(days=1))).alias("arrival_lag"),
            pl.col("label")
            .replace_strict({1.0: "positive", 0.0: "negative"}, default="missing")
            .cast(STATES)
            .alias("state"),
            pl.when(pl.col("ts_pred") < HALVES.current.start)
            .then(pl.lit("reference"))
            .otherwise(pl.lit("current"))
            .alias("half"),
        )
        return FakeJoined(frame=frame.rechunk(), contract=make_joined(scores=[0.5], labels=[1.0]).contract, as_of=AS_OF)

    return load


def groups(joined: FakeJoined) -> pl.DataFrame:
    return fb.metrics(joined, list(RATES), by="group")


def group_numbers(found: pl.DataFrame) -> dict[str, float]:
    made = {}
    for metric, group, value in found.select("metric", "group", "value").iter_rows():
        made[f"{RATES[metric]} {group}"] = 1 - value if metric == "specificity" else value
    return made


def performance(joined: FakeJoined) -> pl.DataFrame:
    return fb.metrics(joined, WEEKLY, every="1w")


def weekly_numbers(found: pl.DataFrame) -> dict[str, float]:
    weeks = found["period_start"].dt.strftime("%Y-%m-%d")
    return {f"{name} {week}": value for name, week, value in zip(found["metric"], weeks, found["value"], strict=True)}


def drift(joined: FakeJoined) -> pl.DataFrame:
    return fb.drift(joined, HALVES, columns=FEATURES, every="1w")


def drift_numbers(found: pl.DataFrame) -> dict[str, float]:
    weeks = found["period_start"].dt.strftime("%Y-%m-%d")
    return {f"{name} {week}": value for name, week, value in zip(found["column"], weeks, found["ks"], strict=True)}


def cbpe(joined: FakeJoined) -> pl.DataFrame:
    return fb.truth_bands(joined, WEEKLY, every="1w", assumptions=["CBPE"], calibrate_on=str(HALVES.reference))


def report(joined: FakeJoined) -> dict[str, object]:
    """Quality of both halves, by class; confusion; ROC, precision-recall and threshold curves; as HTML."""
    import page

    quality = fb.metrics(joined, QUALITY, by="half")
    curves = {half: fb.threshold_curve(joined, period=period) for half, period in page.periods(HALVES)}
    text = page.written(quality, curves)
    with tempfile.TemporaryDirectory() as folder:
        where = Path(folder) / "report.html"
        where.write_text(text, encoding="utf-8")
        size = where.stat().st_size
    return {"bytes": size, "found": quality}


def report_numbers(made: dict[str, object]) -> dict[str, float]:
    found = made["found"].filter(pl.col("half") == "current")
    value = dict(zip(found["metric"], found["value"], strict=True))
    recall, precision, specificity, npv = (value[name] for name in ("recall", "precision", "specificity", "npv"))
    return {
        "html bytes": float(made["bytes"]),
        "current Accuracy": value["accuracy"],
        "current Precision": precision,
        "current Recall": recall,
        "current F1Score": value["f1"],
        "current RocAuc": value["roc_auc"],
        "current LogLoss": value["log_loss"],
        "current TPR": recall,
        "current TNR": specificity,
        "current FPR": 1 - specificity,
        "current FNR": 1 - recall,
        "current PrecisionByLabel 0": npv,
        "current PrecisionByLabel 1": precision,
        "current RecallByLabel 0": specificity,
        "current RecallByLabel 1": recall,
        "current F1ByLabel 0": 2 * npv * specificity / (npv + specificity),
        "current F1ByLabel 1": value["f1"],
    }


if __name__ == "__main__":
    tasks = {
        "groups": clock.Task(load=loader("truth"), work=groups, numbers=group_numbers),
        "performance": clock.Task(load=loader("label"), work=performance, numbers=weekly_numbers),
        "ks": clock.Task(load=loader("label", labelled=True), work=drift, numbers=drift_numbers),
        "cbpe": clock.Task(load=loader("label", labelled=True), work=cbpe, numbers=weekly_numbers),
        "report": clock.Task(load=loader("label"), work=report, numbers=report_numbers),
    }
    clock.main(tasks, version=fb.__version__)
