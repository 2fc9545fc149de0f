"""A small loop as two logs, opened and joined for real: what happens to its statements is up to each test."""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np
import polars as pl

import fbkit as fb
from fbkit.diagnose.scene import Scene, set_scene
from fbkit.diagnose.settings import SETTINGS
from fbkit.schema.period import Comparison

START = datetime(2026, 8, 3, tzinfo=UTC)
TURN = START + timedelta(days=28)
END = START + timedelta(days=35)
AS_OF = START + timedelta(days=50)
WEEKS = Comparison(reference="2026-08-03..2026-08-31", current="2026-08-31..2026-09-07")


@dataclass(frozen=True)
class Logs:
    """Two logs and what is true: ``truth`` is one outcome per prediction, in the order of the log."""

    predictions: pl.DataFrame
    outcomes: pl.DataFrame
    truth: pl.DataFrame
    current: pl.Series

    def joined(self, outcomes: pl.DataFrame | None = None, **tables: Any) -> fb.Joined:
        """Join with other outcomes, or another contract."""
        label = {"window": "7d", "sources": ["review", "auto"], **tables.pop("label", {})}
        content: dict[str, Any] = {
            "model": {"name": "small", "owners": ["team"]}, "predictions": {}, "outcomes": {},
            "decision": {"threshold": 0.5}, "slices": {"columns": ["region"]}, **tables, "label": label,
        }  # fmt: skip
        log = (self.outcomes if outcomes is None else outcomes).filter(pl.col("ts_arrival") <= AS_OF)
        loop = fb.open_loop(contract=fb.Contract.from_dict(content), predictions=self.predictions, outcomes=log)
        return loop.join(as_of=AS_OF)

    def of_current(self) -> pl.Series:
        """Statements about the current predictions."""
        made = self.predictions.filter(self.current)["prediction_id"]
        return self.outcomes["prediction_id"].is_in(made.implode())


def logs(*, n: int = 8_000, seed: int = 0, entities: int | None = None, available: float = 0.9) -> Logs:
    """Five weeks of predictions; 9 in 10 have a statement, an event after about two days, known a few hours later."""
    rng = np.random.default_rng(seed)
    second = np.sort(rng.integers(0, 35 * 86_400, n))
    score = np.round(rng.beta(0.5, 1.5, n), 3)
    outcome = (rng.random(n) < score).astype(float)
    event = np.minimum(rng.exponential(2.0, n), 6.9) * 86_400
    arrival = event + rng.exponential(0.3, n) * 86_400
    made = pl.Series(np.datetime64(START.replace(tzinfo=None), "us") + second.astype("timedelta64[s]"))
    made = made.dt.replace_time_zone("UTC")
    predictions = pl.DataFrame(
        {
            "prediction_id": [f"p{i:06d}" for i in range(n)],
            "ts_pred": made,
            "entity_id": [f"e{i}" for i in rng.integers(0, entities or 20 * n, n)],
            "score": score,
            "region": np.array(["EU", "US", "APAC"])[rng.integers(0, 3, n)],
        }
    )
    whole = pl.DataFrame(
        {
            "prediction_id": predictions["prediction_id"],
            "entity_id": predictions["entity_id"],
            "ts_event": made + pl.Series(event.astype(np.int64) * 1_000_000).cast(pl.Duration("us")),
            "ts_arrival": made + pl.Series(arrival.astype(np.int64) * 1_000_000).cast(pl.Duration("us")),
            "label": outcome,
            "source": np.where(score >= 0.5, "review", "auto"),
        }
    )
    return Logs(
        predictions=predictions,
        outcomes=whole.filter(pl.Series(rng.random(n) < available)),
        truth=whole,
        current=made >= TURN,
    )


def scene_of(joined: fb.Joined, *, metric: str = "recall") -> Scene:
    """The scene of the five weeks without bootstrap draws."""
    reference, current = WEEKS.periods()
    return set_scene(joined, metric=metric, reference=reference, current=current, draws=0, seed=0, settings=SETTINGS)


def recall(scene: Scene, y: Any, seen: Any, *, window: int) -> float:
    """Weighted share of flagged positives, straight from its definition."""
    mine = (scene.rows.window == window) & seen
    mass = np.where(mine, np.nan_to_num(y), 0.0)
    return float(mass[scene.rows.decision == 1].sum() / mass.sum())
