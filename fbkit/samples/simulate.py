"""From a simulated world to the logs that a team would have, and to a loop folder on disk."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from functools import cached_property
from pathlib import Path

import numpy as np
import polars as pl

from fbkit.samples.config import CUSTOMERS, DEVICES, REGIONS, WorldConfig
from fbkit.samples.contract_text import contract_text
from fbkit.samples.faults import Injection, JoinBreak
from fbkit.samples.features import columns
from fbkit.samples.stages import build
from fbkit.samples.truth import Truth, truth
from fbkit.samples.world import DAY, Bools, Ints, World

UTC_US = pl.Datetime("us", "UTC")


@dataclass(frozen=True)
class Simulation:
    """A simulated loop. `actions` and `changes` are None when the loop has no such log."""

    config: WorldConfig
    faults: tuple[Injection, ...]
    seed: int
    predictions: pl.DataFrame
    outcomes: pl.DataFrame
    actions: pl.DataFrame | None
    changes: pl.DataFrame | None
    contract_toml: str

    @cached_property
    def truth(self) -> Truth:
        """What really changed, in expectation over the simulator (the same for every seed)."""
        return truth(self.config, self.faults)

    def write(self, folder: str | Path) -> Path:
        """Write the loop folder: contract.toml and one Parquet file a week and log. Returns the folder."""
        root = Path(folder)
        for name, frame, time in (
            ("predictions", self.predictions, "ts_pred"),
            ("outcomes", self.outcomes, "ts_arrival"),
        ):
            (root / name).mkdir(parents=True, exist_ok=True)
            for (week,), part in frame.group_by(pl.col(time).dt.truncate("1w").alias("week"), maintain_order=True):
                part.write_parquet(root / name / f"{week:%Y-%m-%d}.parquet", compression="zstd", compression_level=19)
        if self.changes is not None:
            self.changes.write_csv(root / "changes.csv", datetime_format="%Y-%m-%dT%H:%M:%SZ")
        (root / "contract.toml").write_text(self.contract_toml, encoding="utf-8")
        return root


def simulate(config: WorldConfig | None = None, faults: Sequence[Injection] = (), *, seed: int) -> Simulation:
    """Simulate a fraud-like feedback loop with faults.

    Parameters
    ----------
    config
        The healthy loop; by default eight reference weeks and one current week of about 1,500 predictions a day.
    faults
        What goes wrong, from `fbkit.samples.faults`.
    seed
        The same configuration, faults and seed give the same bytes. Switching a fault off leaves every other random
        draw as it was.

    Returns
    -------
    Simulation
        Frames with canonical column names, the contract, and the exact truth.

    Examples
    --------
    >>> from fbkit.samples.faults import LabelSliceLoss
    >>> loss = LabelSliceLoss(severity=0.5, where={"region": "EU", "decision": "flagged"})
    >>> simulation = simulate(WorldConfig(per_day=50), [loss], seed=7)
    >>> simulation.predictions.columns[:4]
    ['prediction_id', 'ts_pred', 'entity_id', 'score']
    """
    config = config or WorldConfig()
    world = build(config, faults, seed=seed)
    return Simulation(
        config=config,
        faults=tuple(faults),
        seed=seed,
        predictions=_predictions(world),
        outcomes=_outcomes(world, reformats=any(isinstance(fault, JoinBreak) for fault in faults)),
        actions=None,
        changes=_changes(config, faults) if config.change_log else None,
        contract_toml=contract_text(config, threshold=world.constants.threshold),
    )


def _times(world: World, seconds: Ints) -> pl.Series:
    start = np.datetime64(world.config.start.replace(tzinfo=None), "us")
    return pl.Series(start + seconds.astype("timedelta64[s]")).dt.replace_time_zone("UTC").cast(UTC_US)


def _ids(numbers: Ints) -> pl.Series:
    return pl.Series(numbers).cast(pl.String).str.zfill(7).str.pad_start(8, "p")


def _names(codes: Ints, names: tuple[str, ...]) -> pl.Series:
    return pl.Series(np.array(names)[codes])


def _predictions(world: World) -> pl.DataFrame:
    features = columns(world)
    frame = pl.DataFrame(
        {
            "prediction_id": _ids(np.arange(world.n)),
            "ts_pred": _times(world, world.second),
            "entity_id": _accounts(world.account),
            "score": world.score,
            "threshold": world.threshold,
            "decision": world.flagged,
            "model_version": world.version,
            "region": _names(world.region, REGIONS),
            "device": _names(world.device, DEVICES),
            "customer": _names(world.customer, CUSTOMERS),
            **{name: features[name] for name in world.config.features},
            **({} if world.status is None else {"status": world.status}),
        }
    )
    written = world.uniform("prediction log") < world.logged
    twice = written & (world.uniform("duplicate prediction") < world.config.duplicate_share / 5)
    rows = pl.concat([frame.filter(pl.Series(written)), frame.filter(pl.Series(twice))])
    return rows.sort("ts_pred", "prediction_id", maintain_order=True)


def _accounts(codes: Ints) -> pl.Series:
    return pl.Series(codes).cast(pl.String).str.pad_start(6, "0").str.pad_start(7, "a")


def _outcomes(world: World, *, reformats: bool) -> pl.DataFrame:
    """The label log as of the evaluation time: one row a label, and the usual dirt."""
    outcome = (world.uniform("outcome") < world.p).astype(np.int64)
    row = np.arange(world.n)
    emitted = (world.uniform("emission") < world.emit[outcome, row]) & ~world.lost[outcome, row]
    event, arrival = world.event[outcome, row], world.arrival[outcome, row]
    ids = _ids(row)
    if reformats:
        ids = _broken(ids, world.uniform("join") >= world.joinable, how=world.broken_id)
    frame = pl.DataFrame(
        {
            "prediction_id": ids,
            "entity_id": _accounts(world.account),
            "event": event,
            "arrival": arrival,
            "label": outcome.astype(np.int8),
            "source": np.where(world.flagged, "review", "auto"),
        }
    )
    statements = pl.concat([frame.filter(pl.Series(emitted)), *_dirt(world, frame, emitted)])
    return _as_log(world, statements)


def _broken(ids: pl.Series, broken: Bools, *, how: str) -> pl.Series:
    other = pl.lit("") if how == "blank" else pl.lit("TX-") + pl.col("id").str.slice(1).str.strip_chars_start("0")
    frame = pl.DataFrame({"id": ids, "broken": broken})
    return frame.select(pl.when("broken").then(other).otherwise("id").alias("id"))["id"]


def _dirt(world: World, frame: pl.DataFrame, emitted: Bools) -> list[pl.DataFrame]:
    """Duplicates, statements that were corrected later, labels of unknown predictions, events after the window."""
    config, u = world.config, world.uniform("dirt")
    low = config.duplicate_share
    twice = frame.filter(pl.Series(emitted & (u < low)))
    corrected = frame.filter(pl.Series(emitted & (u >= low) & (u < low + config.correction_share)))
    first = corrected.filter(pl.col("arrival") > pl.col("event")).with_columns(
        label=1 - pl.col("label"), arrival=pl.col("event")
    )
    low += config.correction_share
    strangers = frame.filter(pl.Series((u >= low) & (u < low + config.orphan_share))).with_columns(
        prediction_id=pl.lit("q") + pl.col("prediction_id").str.slice(1)
    )
    low += config.orphan_share
    after = frame.filter(pl.Series(~emitted & (u >= low) & (u < low + 10 * config.duplicate_share)))
    gap = (config.window_days + 1) * DAY
    after = after.with_columns(event=pl.col("event") + gap, arrival=pl.col("arrival") + gap)
    return [twice, first, strangers, after]


def _as_log(world: World, statements: pl.DataFrame) -> pl.DataFrame:
    config = world.config
    kept = statements.filter(pl.col("arrival") <= world.as_of_second)
    frame = kept.select(
        "prediction_id",
        *(["entity_id"] if config.outcome_accounts else []),
        _times(world, kept["event"].to_numpy()).alias("ts_event"),
        _times(world, kept["arrival"].to_numpy()).alias("ts_arrival"),
        "label",
        "source",
        pl.lit("1").alias("label_version"),
    )
    # Files are cut by week of arrival; within a week the feed is exported in the order of its keys.
    week = pl.col("ts_arrival").dt.truncate("1w")
    return frame.sort(week, "prediction_id", "ts_arrival", "label", maintain_order=True)


def _changes(config: WorldConfig, faults: Sequence[Injection]) -> pl.DataFrame:
    """The log of deploys and product changes: harmless ones, and those of the faults that a team would have logged."""
    middle = config.start + timedelta(days=config.reference_days // 2)
    entries = [(middle, "deploy", "payment-fraud 7.3: retrained on newer data, same features")]
    for fault in faults:
        change = fault.logged_change()
        if change is not None:
            entries.append((config.current_start + timedelta(days=fault.start), *change))
    schema = {"ts": UTC_US, "kind": pl.String, "what": pl.String}
    return pl.DataFrame(entries, schema=schema, orient="row").sort("ts", maintain_order=True)
