"""Faults injected into real logs: flights out of New York in 2013, where the world is nobody's simulator.

    python benchmarks/triage/real.py [--seeds 3] [--only CAUSE]

The truth of an injection is what it does to the observed recall of that very week: recall with the fault minus recall
without it. Printed per incident: that effect, what the engine gave to the injected cause, whether it named it, and what
else it claimed that the same week does not claim without the fault.
"""

import argparse
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Final

import numpy as np
import polars as pl

from fbkit.diagnose.triage import triage
from fbkit.join.join import join
from fbkit.join.joined import Joined
from fbkit.load.loop import load_logs
from fbkit.samples.access import path
from fbkit.schema.contract import Contract
from fbkit.schema.diagnosis import Diagnosis
from fbkit.schema.period import Comparison

Frames = tuple[pl.DataFrame, pl.DataFrame]
Rng = np.random.Generator
Fault = Callable[[pl.DataFrame, pl.DataFrame, datetime, Rng], Frames]
WEEKS: Final = ("2013-05-13", "2013-05-20", "2013-05-27")
LEAST: Final = 0.03
"""Effects on recall below this are not asked for: a week of flights has some 400 delayed ones."""


@dataclass(frozen=True, kw_only=True)
class Line:
    """One incident."""

    cause: str
    week: str
    seed: int
    effect: float
    told: float
    named: bool
    beside: tuple[str, ...]


def _now(frame: pl.DataFrame, start: datetime) -> pl.Expr:
    when = pl.col("ts_pred")
    return (when >= start) & (when < start + timedelta(days=7))


def _chance(frame: pl.DataFrame, rng: Rng, share: float) -> pl.Series:
    return pl.Series(rng.random(frame.height) < share)


def _ids(predictions: pl.DataFrame, rule: pl.Expr) -> pl.Series:
    return predictions.filter(rule)["prediction_id"]


def slice_loss(predictions: pl.DataFrame, outcomes: pl.DataFrame, start: datetime, rng: Rng) -> Frames:
    """Labels of flagged flights out of EWR and JFK go missing, whatever they say."""
    rule = _now(predictions, start) & pl.col("decision") & pl.col("origin").is_in(["EWR", "JFK"])
    gone = pl.col("prediction_id").is_in(_ids(predictions, rule).implode()) & _chance(outcomes, rng, 0.75)
    return predictions, outcomes.filter(~gone)


def outage(predictions: pl.DataFrame, outcomes: pl.DataFrame, start: datetime, rng: Rng) -> Frames:
    """Nothing arrives for three days."""
    when = pl.col("ts_arrival")
    down = (when >= start + timedelta(days=2)) & (when < start + timedelta(days=5))
    return predictions, outcomes.filter(~down)


def join_break(predictions: pl.DataFrame, outcomes: pl.DataFrame, start: datetime, rng: Rng) -> Frames:
    """Ids of flagged flights come back in another format."""
    rule = _now(predictions, start) & pl.col("decision")
    broken = pl.col("prediction_id").is_in(_ids(predictions, rule).implode()) & _chance(outcomes, rng, 0.7)
    return predictions, outcomes.with_columns(
        prediction_id=pl.when(broken).then(pl.col("prediction_id").str.to_uppercase()).otherwise("prediction_id")
    )


def conflict(predictions: pl.DataFrame, outcomes: pl.DataFrame, start: datetime, rng: Rng) -> Frames:
    """A bulk relabelling overwrites delayed, flagged flights as punctual."""
    rule = _now(predictions, start) & pl.col("decision")
    hit = pl.col("prediction_id").is_in(_ids(predictions, rule).implode()) & (pl.col("label") == 1)
    later = outcomes.filter(hit & _chance(outcomes, rng, 0.4)).with_columns(
        ts_arrival=pl.lit(start + timedelta(days=9)), label=pl.lit(0, dtype=pl.Int8), source=pl.lit("backfill")
    )
    return predictions, pl.concat([outcomes, later.select(outcomes.columns)])


def threshold(predictions: pl.DataFrame, outcomes: pl.DataFrame, start: datetime, rng: Rng) -> Frames:
    """The operating point moves from 0.20 to 0.30."""
    level = pl.when(_now(predictions, start)).then(0.30).otherwise("threshold")
    moved = predictions.with_columns(threshold=level)
    return moved.with_columns(decision=pl.col("score") >= pl.col("threshold")), outcomes


def fallback(predictions: pl.DataFrame, outcomes: pl.DataFrame, start: datetime, rng: Rng) -> Frames:
    """Every fourth request times out and gets a default score."""
    hit = _now(predictions, start) & _chance(predictions, rng, 0.25)
    served = predictions.with_columns(score=pl.when(hit).then(0.05).otherwise("score"))
    return served.with_columns(decision=pl.col("score") >= pl.col("threshold")), outcomes


def log_loss(predictions: pl.DataFrame, outcomes: pl.DataFrame, start: datetime, rng: Rng) -> Frames:
    """Half of the flagged predictions of three origins' evenings never reach the log."""
    lost = _now(predictions, start) & (pl.col("origin") == "EWR") & _chance(predictions, rng, 0.7)
    return predictions.filter(~lost), outcomes


def nothing(predictions: pl.DataFrame, outcomes: pl.DataFrame, start: datetime, rng: Rng) -> Frames:
    """No fault."""
    return predictions, outcomes


def uniform_loss(predictions: pl.DataFrame, outcomes: pl.DataFrame, start: datetime, rng: Rng) -> Frames:
    """Three labels in ten go missing everywhere: it biases nothing."""
    gone = pl.col("prediction_id").is_in(_ids(predictions, _now(predictions, start)).implode())
    return predictions, outcomes.filter(~(gone & _chance(outcomes, rng, 0.3)))


FAULTS: Final[Mapping[str, Fault]] = {
    "label_slice_loss": slice_loss,
    "label_outage": outage,
    "join_break": join_break,
    "label_conflict": conflict,
    "threshold_change": threshold,
    "serving_fallback": fallback,
    "prediction_log_loss": log_loss,
    "uniform loss": uniform_loss,
}


def logs() -> Frames:
    """The shipped flights as two frames."""
    root = path("flights_2013")
    return tuple(pl.read_parquet(sorted((root / name).glob("*.parquet"))) for name in ("predictions", "outcomes"))  # type: ignore[return-value]


def joined_of(frames: Frames, *, as_of: datetime) -> Joined:
    """Check and join."""
    contract = Contract.from_toml((path("flights_2013") / "contract.toml").read_text(encoding="utf-8"))
    contract = contract.model_copy(update={"changes": None})
    logs = {"predictions": frames[0], "outcomes": frames[1]}
    return join(load_logs(contract, root=Path(), frames=logs), contract=contract, as_of=as_of)


def diagnose(frames: Frames, week: str) -> Diagnosis:
    """Recall of the week against all the weeks before it."""
    start = datetime.fromisoformat(week).replace(tzinfo=UTC)
    weeks = Comparison(reference=f"2013-04-29..{week}", current=f"{week}..{(start + timedelta(days=7)).date()}")
    return triage(joined_of(frames, as_of=start + timedelta(days=10)), weeks, metric="recall")


def claims(said: Diagnosis) -> dict[str, float]:
    """Material causes and their contributions."""
    return {part.cause: part.value or 0.0 for part in said.contributions if part.material}


def run(cause: str, week: str, *, seed: int) -> Line:
    """Inject, diagnose, compare with the same week without the fault."""
    frames = logs()
    start = datetime.fromisoformat(week).replace(tzinfo=UTC)
    before = diagnose(frames, week)
    after = diagnose(FAULTS[cause](*frames, start, np.random.default_rng(seed)), week)
    told = {part.cause: part.value or 0.0 for part in after.contributions}
    effect = (after.observed.current or np.nan) - (before.observed.current or np.nan)
    beside = set(claims(after)) - set(claims(before)) - {cause}
    return Line(
        cause=cause,
        week=week,
        seed=seed,
        effect=effect,
        told=told.get(cause, 0.0),
        named=cause in claims(after),
        beside=tuple(sorted(beside)),
    )


def main(arguments: Sequence[str] | None = None) -> int:
    """Print a line per incident and the shares at the end."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, default=1)
    parser.add_argument("--only", default=",".join(FAULTS))
    options = parser.parse_args(arguments)
    lines = [
        run(cause, week, seed=seed)
        for cause in options.only.split(",")
        for week in WEEKS
        for seed in range(options.seeds)
    ]
    for line in lines:
        said = f"{line.cause:20} {line.week} effect {line.effect:+.3f} told {line.told:+.3f}"
        print(f"{said} {'named' if line.named else '-':5} beside: {', '.join(line.beside) or 'nothing'}")
    asked = [line for line in lines if abs(line.effect) >= LEAST and line.cause != "uniform loss"]
    clean = sum(not line.beside for line in lines)
    print(
        f"named {sum(line.named for line in asked)}/{len(asked)}; nothing else claimed {clean}/{len(lines)}; ", end=""
    )
    print(f"mean |told - effect| {np.mean([abs(line.told - line.effect) for line in asked]):.3f}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
