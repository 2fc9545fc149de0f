"""Evidently's classification report of the reference and the current half, saved as HTML."""

import json
import tempfile
from pathlib import Path
from typing import Any

import clock
import evidently
import pandas as pd
from evidently import BinaryClassification, DataDefinition, Dataset, Report
from evidently.presets import ClassificationPreset

DEFINITION = DataDefinition(
    numerical_columns=["score"],
    categorical_columns=["label", "flagged"],
    classification=[BinaryClassification(target="label", prediction_labels="flagged", prediction_probas="score")],
)


def load(path: str, step: int) -> tuple[pd.DataFrame, pd.DataFrame]:
    rows = pd.read_parquet(path, columns=["ts_pred", "score", "label", "flagged"]).iloc[::step]
    rows = rows.dropna(subset=["label"]).astype({"label": int, "flagged": int})
    early = rows["ts_pred"] < pd.Timestamp("2026-04-06", tz="UTC")
    columns = ["score", "label", "flagged"]
    return rows.loc[early, columns].reset_index(drop=True), rows.loc[~early, columns].reset_index(drop=True)


def work(rows: tuple[pd.DataFrame, pd.DataFrame]) -> dict[str, Any]:
    reference, current = (Dataset.from_pandas(part, data_definition=DEFINITION) for part in rows)
    snapshot = Report([ClassificationPreset()]).run(current, reference)
    with tempfile.TemporaryDirectory() as folder:
        page = Path(folder) / "report.html"
        snapshot.save_html(str(page))
        size = page.stat().st_size
    return {"bytes": size, "found": snapshot}


def numbers(made: dict[str, Any]) -> dict[str, float]:
    found = json.loads(made["found"].json())
    named = {f"current {item['metric_name'].split('(')[0]}": item["value"] for item in found["metrics"]}
    flat: dict[str, float] = {"html bytes": float(made["bytes"])}
    for name, value in named.items():
        if isinstance(value, dict):
            flat |= {f"{name} {key}": float(each) for key, each in value.items() if isinstance(each, int | float)}
        else:
            flat[name] = float(value)
    return flat


if __name__ == "__main__":
    tasks = {"report": clock.Task(load=load, work=work, numbers=numbers)}
    clock.main(tasks, version=evidently.__version__)
