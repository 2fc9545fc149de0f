"""NannyML by week: realized performance, KS drift of six columns (binned), and CBPE.

``ks`` and ``cbpe`` are fitted on the first thirteen weeks and applied to the other thirteen; NannyML's fit also puts a
number on each week of the reference. Weeks are from Monday.
"""

import clock
import nannyml
import pandas as pd

FEATURES = [f"x{number}" for number in range(1, 7)]
METRICS = ["roc_auc", "average_precision", "precision", "recall"]
MODEL = {
    "y_pred_proba": "score",
    "y_pred": "flagged",
    "y_true": "label",
    "timestamp_column_name": "ts_pred",
    "problem_type": "classification_binary",
    "metrics": METRICS,
    "chunk_period": "W",
}


def load(path: str, step: int) -> tuple[pd.DataFrame, pd.DataFrame]:
    rows = pd.read_parquet(path, columns=["ts_pred", "score", "label", "flagged", *FEATURES]).iloc[::step]
    rows = rows.dropna(subset=["label"]).astype({"label": int, "flagged": int})
    rows["ts_pred"] = rows["ts_pred"].dt.tz_localize(None)
    middle = pd.Timestamp("2026-04-06")
    return rows[rows["ts_pred"] < middle].reset_index(drop=True), rows[rows["ts_pred"] >= middle].reset_index(drop=True)


def performance(rows: tuple[pd.DataFrame, pd.DataFrame]) -> pd.DataFrame:
    calculator = nannyml.PerformanceCalculator(**MODEL).fit(rows[0])
    return calculator.calculate(rows[1]).to_df()


def cbpe(rows: tuple[pd.DataFrame, pd.DataFrame]) -> pd.DataFrame:
    return nannyml.CBPE(**MODEL).fit(rows[0]).estimate(rows[1]).to_df()


def drift(rows: tuple[pd.DataFrame, pd.DataFrame]) -> pd.DataFrame:
    calculator = nannyml.UnivariateDriftCalculator(
        column_names=FEATURES,
        timestamp_column_name="ts_pred",
        continuous_methods=["kolmogorov_smirnov"],
        chunk_period="W",
    )
    return calculator.fit(rows[0]).calculate(rows[1]).to_df()


def metric_numbers(found: pd.DataFrame) -> dict[str, float]:
    weeks = found[("chunk", "start_date")].dt.strftime("%Y-%m-%d")
    return {
        f"{name} {week}": float(value)
        for name in METRICS
        for week, value in zip(weeks, found[(name, "value")], strict=True)
    }


def drift_numbers(found: pd.DataFrame) -> dict[str, float]:
    later = found[found[("chunk", "chunk", "period")] == "analysis"]
    weeks = later[("chunk", "chunk", "start_date")].dt.strftime("%Y-%m-%d")
    return {
        f"{name} {week}": float(value)
        for name in FEATURES
        for week, value in zip(weeks, later[(name, "kolmogorov_smirnov", "value")], strict=True)
    }


if __name__ == "__main__":
    tasks = {
        "performance": clock.Task(load=load, work=performance, numbers=metric_numbers),
        "cbpe": clock.Task(load=load, work=cbpe, numbers=metric_numbers),
        "ks": clock.Task(load=load, work=drift, numbers=drift_numbers),
    }
    clock.main(tasks, version=nannyml.__version__)
