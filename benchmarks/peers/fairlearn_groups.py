"""Fairlearn's MetricFrame: true positive rate, false positive rate and selection rate of 200 groups."""

import clock
import fairlearn
import pandas as pd
from fairlearn.metrics import MetricFrame, false_positive_rate, selection_rate, true_positive_rate

RATES = {"recall": true_positive_rate, "false positive rate": false_positive_rate, "flag rate": selection_rate}


def load(path: str, step: int) -> pd.DataFrame:
    rows = pd.read_parquet(path, columns=["truth", "flagged", "group"]).iloc[::step]
    return rows.astype({"flagged": int})


def work(rows: pd.DataFrame) -> pd.DataFrame:
    found = MetricFrame(metrics=RATES, y_true=rows["truth"], y_pred=rows["flagged"], sensitive_features=rows["group"])
    return found.by_group


def numbers(found: pd.DataFrame) -> dict[str, float]:
    return {f"{name} {group}": float(value) for name in RATES for group, value in found[name].items()}


if __name__ == "__main__":
    tasks = {"groups": clock.Task(load=load, work=work, numbers=numbers)}
    clock.main(tasks, version=fairlearn.__version__)
