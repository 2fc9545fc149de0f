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


@dataclass(frozen=True, kw_only=True)
class Logs:
    """The logs before the fault, the first instant of the week, and a source of chance."""

    predictions: pl.DataFrame
    outcomes: pl.DataFrame
    start: datetime
    rng: np.random.Generator

    @property
    def now(self) -> pl.Expr:
        """Predictions of the week."""
        when = pl.col("ts_pred")
        return (when >= self.start) & (when < self.start + timedelta(days=7))

    def chance(self, frame: pl.DataFrame, share: float) -> pl.Series:
        """True for this share of the rows."""
        return pl.Series(self.rng.random(frame.height) < share)

    def outcomes_of(self, rule: pl.Expr, share: float) -> pl.Expr:
        """This share of the outcomes of the predictions that fit the rule."""
        ids = self.predictions.filter(rule)["prediction_id"]
        return pl.col("prediction_id").is_in(ids.implode()) & self.chance(self.outcomes, share)


Fault = Callable[[Logs], Frames]


def slice_loss(logs: Logs) -> Frames:
    """Labels of flagged flights out of EWR and JFK go missing, whatever they say."""
    gone = logs.outcomes_of(logs.now & pl.col("decision") & pl.col("origin").is_in(["EWR", "JFK"]), 0.75)
    return logs.predictions, logs.outcomes.filter(~gone)


def outage(logs: Logs) -> Frames:
    """Nothing arrives for three days."""
    when = pl.col("ts_arrival")
    down = (when >= logs.start + timedelta(days=2)) & (when < logs.start + timedelta(days=5))
    return logs.predictions, logs.outcomes.filter(~down)


def join_break(logs: Logs) -> Frames:
    """Ids of flagged flights come back in another format."""
    broken = logs.outcomes_of(logs.now & pl.col("decision"), 0.7)
    key = pl.col("prediction_id")
    return logs.predictions, logs.outcomes.with_columns(pl.when(broken).then(key.str.to_uppercase()).otherwise(key))


def conflict(logs: Logs) -> Frames:
    """A bulk relabelling overwrites delayed, flagged flights as punctual."""
    hit = logs.outcomes_of(logs.now & pl.col("decision"), 0.4) & (pl.col("label") == 1)
    later = logs.outcomes.filter(hit).with_columns(
        ts_arrival=pl.lit(logs.start + timedelta(days=9)), label=pl.lit(0, dtype=pl.Int8), source=pl.lit("backfill")
    )
    return logs.predictions, pl.concat([logs.outcomes, later.select(logs.outcomes.columns)])


def _decided(predictions: pl.DataFrame) -> pl.DataFrame:
    return predictions.with_columns(decision=pl.col("score") >= pl.col("threshold"))


def threshold(logs: Logs) -> Frames:
    """The operating point moves from 0.20 to 0.30."""
    level = pl.when(logs.now).then(0.30).otherwise("threshold")
    return _decided(logs.predictions.with_columns(threshold=level)), logs.outcomes


def fallback(logs: Logs) -> Frames:
    """Every fourth request times out and gets a default score."""
    hit = logs.now & logs.chance(logs.predictions, 0.25)
    return _decided(logs.predictions.with_columns(score=pl.when(hit).then(0.05).otherwise("score"))), logs.outcomes


def log_loss(logs: Logs) -> Frames:
    """Most predictions of one origin never reach the log."""
    lost = logs.now & (pl.col("origin") == "EWR") & logs.chance(logs.predictions, 0.7)
    return logs.predictions.filter(~lost), logs.outcomes


def uniform_loss(logs: Logs) -> Frames:
    """Three labels in ten go missing everywhere: it biases nothing."""
    return logs.predictions, logs.outcomes.filter(~logs.outcomes_of(logs.now, 0.3))


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


def flights(week: str, *, seed: int) -> Logs:
    """The shipped flights and the week that will be spoilt."""
    root = path("flights_2013")
    predictions, outcomes = (
        pl.read_parquet(sorted((root / name).glob("*.parquet"))) for name in ("predictions", "outcomes")
    )
    start = datetime.fromisoformat(week).replace(tzinfo=UTC)
    return Logs(predictions=predictions, outcomes=outcomes, start=start, rng=np.random.default_rng(seed))


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
    logs = flights(week, seed=seed)
    before = diagnose((logs.predictions, logs.outcomes), week)
    after = diagnose(FAULTS[cause](logs), week)
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
