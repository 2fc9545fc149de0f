"""A small loop made by hand whose score is a known function of its features, to spoil one thing at a time."""

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np
import polars as pl

from fbkit.diagnose.cells import Cells
from fbkit.diagnose.replay import Replay, replay
from fbkit.diagnose.rows import cross
from fbkit.diagnose.scene import Scene, set_scene
from fbkit.diagnose.settings import SETTINGS
from fbkit.schema.contract import Contract
from fbkit.schema.period import Comparison

START = datetime(2026, 8, 3, tzinfo=UTC)
WEEKS = Comparison(reference="2026-08-03..2026-08-31", current="2026-08-31..2026-09-07")
THRESHOLD = 0.4
SLOPES = np.array([1.0, 0.8, 0.6])
CONTRACT = """
[model]
name = "replayed"
[predictions]
path = "p.csv"
[outcomes]
path = "o.csv"
[label]
window = "7d"
[decision]
threshold = 0.4
[slices]
columns = ["region", "device"]
[features]
columns = ["a", "b", "c"]
"""
Columns = dict[str, Any]
Step = Callable[[Columns, np.random.Generator], None]


@dataclass(frozen=True)
class Logs:
    """What triage asks of a joined table."""

    frame: pl.DataFrame
    contract: Contract
    as_of: datetime = START + timedelta(days=60)
    evaluation_key: str = "by hand"
    data_through: dict[str, str | None] = field(default_factory=dict)
    changes: pl.DataFrame | None = None
    pairs: pl.DataFrame | None = None


def model(x: Any) -> Any:
    """The score, a function of the three features."""
    return 1 / (1 + np.exp(2.0 - np.asarray(x, dtype=float) @ SLOPES))


def make(
    *,
    n: int = 12_000,
    seed: int = 0,
    before: Step | None = None,
    served: Step | None = None,
    after: Step | None = None,
    hidden: float = 0.0,
    contract: str = CONTRACT,
) -> Logs:
    """Five weeks; features correlate by 0.5.

    ``before`` changes what is so (outcomes follow), ``served`` what the model is given (they do not), ``after`` what is
    logged. ``hidden`` is the weight of an input that nobody logs.
    """
    rng = np.random.default_rng(seed)
    second = np.sort(rng.integers(0, 35 * 86_400, n))
    columns: Columns = {
        "second": second,
        "now": second >= 28 * 86_400,
        "z": rng.multivariate_normal(np.zeros(3), 0.5 + 0.5 * np.eye(3), n),
        "region": np.array(["EU", "US", "APAC"])[rng.integers(0, 3, n)],
        "device": np.array(["web", "app"])[rng.integers(0, 2, n)],
        "version": np.full(n, "1"),
        "threshold": np.full(n, THRESHOLD),
        "u": rng.random(n),
        "other": hidden * rng.normal(size=n),
        "score_of": lambda c: model(np.nan_to_num(c["x"])),
    }
    for step in (before,):
        if step is not None:
            step(columns, rng)
    columns["x"] = columns["z"].copy()
    p = 1 / (1 + np.exp(2.0 - columns["z"] @ SLOPES - columns["other"]))
    columns["outcome"] = (rng.random(n) < p).astype(float)
    if served is not None:
        served(columns, rng)
    raw = columns["score_of"](columns)
    columns["score"] = np.round(1 / (1 + np.exp(-np.log(raw / (1 - raw)) - columns["other"])), 6)
    columns["kept"] = np.ones(n, dtype=bool)
    if after is not None:
        after(columns, rng)
    return Logs(frame=_frame(columns, rng), contract=Contract.from_toml(contract))


def _frame(columns: Columns, rng: np.random.Generator) -> pl.DataFrame:
    n = len(columns["score"])
    when = np.datetime64(START.replace(tzinfo=None), "us") + columns["second"].astype("timedelta64[s]")
    known = rng.random(n) < 0.9
    frame = pl.DataFrame(
        {
            "prediction_id": [f"p{i:06d}" for i in range(n)],
            "ts_pred": pl.Series(when).dt.replace_time_zone("UTC"),
            "score": columns["score"],
            "threshold": columns["threshold"],
            "flagged": columns.get("flagged", columns["score"] >= columns["threshold"]),
            "entity": [f"e{i}" for i in rng.integers(0, n, n)],
            "model_version": columns["version"],
            "region": columns["region"],
            "device": columns["device"],
            **{name: pl.Series(columns["x"][:, k]).fill_nan(None) for k, name in enumerate("abc")},
            **columns.get("more", {}),
            "label": pl.Series(np.where(known, columns["outcome"], np.nan)).fill_nan(None),
            "mature": np.ones(n, dtype=bool),
            "arrival_lag": pl.Series(np.full(n, 3_600_000_000)).cast(pl.Duration("us")),
            "outcome": columns["outcome"],
        }
    )
    return frame.filter(pl.Series(columns["kept"]))


def scene_of(logs: Logs, *, metric: str = "recall", draws: int = 40) -> tuple[Scene, Cells]:
    """The scene and the counts without strata."""
    reference, current = WEEKS.periods()
    scene = set_scene(
        logs,  # type: ignore[arg-type]  # has what is asked of a joined table
        metric=metric,
        reference=reference,
        current=current,
        draws=draws,
        seed=0,
        settings=SETTINGS,
    )
    return scene, scene.table(cross((), scene.encoded, rows=len(scene.rows)), scene.labels)


def played(logs: Logs, *, metric: str = "recall", draws: int = 40, given: object | None = None) -> Replay:
    """The replay of these logs."""
    scene, cells = scene_of(logs, metric=metric, draws=draws)
    return replay(scene, scene.labels, cells, model=given)


def recall(logs: Logs, *, now: bool) -> float:
    """Recall of a window if every outcome were known."""
    start = START + timedelta(days=28)
    part = logs.frame.filter((pl.col("ts_pred") >= start) == now).filter(pl.col("outcome") == 1)
    return float(part["flagged"].mean())  # type: ignore[arg-type]
