"""Small worlds whose labels arrive late: known laws of arrival, and what can go wrong with them."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta

import numpy as np
import polars as pl
from numpy.typing import NDArray

from fbkit.diagnose.cells import Cells
from fbkit.diagnose.labels import Labels
from fbkit.diagnose.rows import cross
from fbkit.diagnose.scene import Scene, set_scene
from fbkit.diagnose.settings import SETTINGS
from fbkit.schema.contract import Contract
from fbkit.schema.period import Comparison

Floats = NDArray[np.float64]
Flags = NDArray[np.bool_]

START = datetime(2026, 8, 3, tzinfo=UTC)
CONTRACT = """
[model]
name = "by-hand"
owners = ["the-team"]
[predictions]
path = "p.csv"
[outcomes]
path = "o.csv"
[label]
window = "{window}d"
silence = "{silence}"
[decision]
threshold = 0.5
[slices]
columns = ["region", "device"]
"""


@dataclass(frozen=True)
class Hand:
    """What the arrival model asks of a joined table."""

    frame: pl.DataFrame
    contract: Contract
    as_of: datetime
    evaluation_key: str = "by hand"
    data_through: dict[str, str | None] = field(default_factory=dict)
    changes: pl.DataFrame | None = None
    audit: pl.DataFrame = field(default_factory=lambda: pl.DataFrame({"rule": ["none"], "rows": [0]}))
    pairs: None = None


@dataclass(frozen=True, kw_only=True)
class World:
    """Rows as arrays, times in days since the first prediction; faults change ``arrival`` or make it infinite."""

    made: Floats
    score: Floats
    positive: Flags
    flagged: Flags
    region: NDArray[np.str_]
    event: Floats
    arrival: Floats
    days: int
    current: int
    window: int

    def now(self) -> Flags:
        return self.made >= self.current

    def lose(self, rows: Flags) -> "World":
        return replace(self, arrival=np.where(rows, np.inf, self.arrival))


def healthy(
    *,
    seed: int,
    per_day: int = 400,
    weeks: int = 6,
    extra: int = 7,
    window: int = 14,
    rate: float = 0.25,
    drift: float = 0.0,
) -> World:
    """Calibrated scores, lognormal waits that are shorter for flagged rows, 90 % of the labels arrive.

    With ``drift`` the score of current rows says nothing in so many of them.
    """
    rng = np.random.default_rng(seed)
    days = 7 * weeks + extra
    n = per_day * days
    made = np.sort(rng.random(n)) * days
    score = rng.beta(0.6, 0.6 * (1 - rate) / rate, n).round(3)
    blind = (made >= 7 * weeks) & (rng.random(n) < drift)
    positive = rng.random(n) < np.where(blind, rate, score)
    flagged = score >= 0.5
    event = np.minimum(
        np.where(positive, 3.0, 4.0) * np.where(flagged, 0.6, 1.0) * np.exp(0.6 * rng.normal(size=n)), window
    )
    arrival = made + event + 0.4 * np.exp(rng.normal(size=n))
    world = World(
        made=made,
        score=score,
        positive=positive,
        flagged=flagged,
        region=np.array(["EU", "US", "APAC"])[rng.integers(0, 3, n)],
        event=made + event,
        arrival=arrival,
        days=days,
        current=7 * weeks,
        window=window,
    )
    return world.lose(rng.random(n) < 0.1)


def no_weekends(world: World) -> World:
    """What would arrive at a weekend arrives on Monday night."""
    day = np.floor(world.arrival)
    day = np.nan_to_num(day, posinf=0.0)
    weekend = np.isfinite(world.arrival) & (day % 7 >= 5)
    monday = np.where(weekend, day - day % 7 + 7 + np.nan_to_num(world.arrival, posinf=0.0) % 1, world.arrival)
    return replace(world, arrival=monday)


def batches(world: World, *, every: float) -> World:
    """Arrivals are loaded at the end of every so many days."""
    return replace(world, arrival=np.ceil(world.arrival / every) * every)


def outage(world: World, *, first: int, last: int, share: float, rows: Flags | None = None, seed: int = 0) -> World:
    """Of what would arrive on the days ``first`` to ``last`` of the current period, ``share`` is lost."""
    day = np.floor(world.arrival) - world.current
    down = (day >= first) & (day <= last) & (np.random.default_rng([seed, 1]).random(len(day)) < share)
    return world.lose(down if rows is None else down & rows)


def slower(world: World, *, by: float, rows: Flags, how: str = "wait") -> World:
    """Current rows wait longer: from the event on (``wait``), from the prediction on (``times``), or ``later``."""
    if how == "wait":
        late = world.event + by * (world.arrival - world.event)
    elif how == "times":
        late = world.made + by * (world.arrival - world.made)
    else:
        late = world.arrival + by
    return replace(world, arrival=np.where(rows & world.now(), late, world.arrival))


def scene_of(
    world: World,
    *,
    age: float,
    silence: str = "missing",
    metric: str = "recall",
    draws: int = 0,
    drop: Sequence[str] = (),
    audit: Mapping[str, int] | None = None,
    change: Callable[[pl.DataFrame], pl.DataFrame] | None = None,
) -> Scene:
    """The scene as of ``age`` days after the last prediction."""
    as_of = world.days + age
    known = world.arrival <= as_of
    label = np.where(known, world.positive.astype(float), np.nan)
    mature = world.made + world.window <= as_of
    if silence == "negative":
        known &= world.positive
        label = np.where(known, 1.0, np.where(mature, 0.0, np.nan))
    frame = pl.DataFrame(
        {
            "prediction_id": [f"p{i:07d}" for i in range(len(world.made))],
            "ts_pred": _times(world.made),
            "score": world.score,
            "threshold": 0.5,
            "flagged": world.flagged,
            "entity": [f"e{i}" for i in range(len(world.made))],
            "model_version": "1",
            "region": world.region,
            "device": np.array(["web", "app"])[np.arange(len(world.made)) % 2],
            "label": pl.Series(label).fill_nan(None),
            "mature": mature,
            "lag": _since(world.event - world.made, known),
            "arrival_lag": _since(world.arrival - world.made, known),
        }
    ).drop(drop)
    if change is not None:
        frame = change(frame)
    day = START.date()
    comparison = Comparison(
        reference=f"{day}..{day + timedelta(days=world.current)}",
        current=f"{day + timedelta(days=world.current)}..{day + timedelta(days=world.days)}",
    )
    joined = Hand(
        frame=frame,
        contract=Contract.from_toml(CONTRACT.format(silence=silence, window=world.window)),
        as_of=START + timedelta(days=as_of),
    )
    if audit is not None:
        rules = pl.DataFrame({"rule": list(audit), "rows": list(audit.values())})
        joined = replace(joined, audit=rules)
    return set_scene(
        joined,  # type: ignore[arg-type]  # it has what the arrival model reads
        metric=metric,
        reference=comparison.reference,
        current=comparison.current,
        draws=draws,
        seed=1,
        settings=SETTINGS,
    )


def _times(days: Floats) -> pl.Series:
    micro = np.datetime64(START.replace(tzinfo=None), "us") + (days * 86_400e6).astype("timedelta64[us]")
    return pl.Series(micro).dt.replace_time_zone("UTC")


def _since(days: Floats, known: Flags) -> pl.Series:
    micro = pl.Series(np.where(known, days, 0.0) * 86_400e6).cast(pl.Int64).cast(pl.Duration("us"))
    return pl.select(pl.when(pl.Series(known)).then(micro)).to_series()


def recall_of(scene: Scene, labels: Labels) -> tuple[float, float]:
    """Recall by window as the ladder counts it."""
    cells: Cells = scene.table(cross((), scene.encoded, rows=len(scene.rows)), labels)
    caught, missed = (cells.v1[0, :, d].sum((-1, -2)) for d in (1, 0))
    return tuple(caught / (caught + missed))  # type: ignore[return-value]
