"""From a simulated world to the logs that a team would have, and to a loop folder on disk."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import cached_property
from pathlib import Path

import numpy as np
import polars as pl

from fbkit.samples.action_log import actions
from fbkit.samples.config import CUSTOMERS, DEVICES, REGIONS, WorldConfig
from fbkit.samples.contract_text import contract_text
from fbkit.samples.faults import ImmatureWindow, Injection, JoinBreak
from fbkit.samples.features import columns
from fbkit.samples.feed import Feed
from fbkit.samples.log_values import UTC_US, accounts, ids, times
from fbkit.samples.stages import build
from fbkit.samples.truth import Truth, truth
from fbkit.samples.world import Ints, World


@dataclass(frozen=True)
class Simulation:
    """A simulated loop. `actions` and `changes` are None when the loop has no such log.

    `final` holds what nobody sees: prediction_id, ts_pred, decision, the `label` that every prediction would have under
    the definition of the reference, its `ts_event`, and whether the log holds a usable statement about it (`stated`).
    """

    config: WorldConfig
    faults: tuple[Injection, ...]
    seed: int
    predictions: pl.DataFrame
    outcomes: pl.DataFrame
    actions: pl.DataFrame | None
    changes: pl.DataFrame | None
    contract_toml: str
    final: pl.DataFrame = field(default_factory=pl.DataFrame)

    @property
    def as_of(self) -> datetime:
        """The evaluation time: the configuration's, unless a fault brought it forward."""
        early = [fault for fault in self.faults if isinstance(fault, ImmatureWindow)]
        return early[-1].as_of(self.config) if early else self.config.as_of

    @cached_property
    def truth(self) -> Truth:
        """What really changed, in expectation over the simulator (the same for every seed)."""
        return truth(self.config, self.faults)

    def write(self, folder: str | Path) -> Path:
        """Write the loop folder: contract.toml and one Parquet file a week and log. Returns the folder."""
        root = Path(folder)
        for name, frame, time in (
            ("predictions", self.predictions, "ts_pred"),
            ("outcomes", self.outcomes, "ts_arrival" if "ts_arrival" in self.outcomes.columns else "ts_event"),
            ("actions", self.actions, "ts_action"),
        ):
            if frame is None:
                continue
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
    feed = Feed.of(world, reformats=any(isinstance(fault, JoinBreak) for fault in faults))
    return Simulation(
        config=config,
        faults=tuple(faults),
        seed=seed,
        predictions=_predictions(world),
        outcomes=feed.log(),
        actions=actions(world) if config.actions else None,
        changes=_changes(config, faults) if config.change_log else None,
        contract_toml=contract_text(
            config,
            threshold=world.constants.threshold,
            as_of=config.start + timedelta(seconds=world.as_of_second),
        ),
        final=feed.final(),
    )


def _names(codes: Ints, names: tuple[str, ...]) -> pl.Series:
    return pl.Series(np.array(names)[codes])


def _predictions(world: World) -> pl.DataFrame:
    features = columns(world)
    frame = pl.DataFrame(
        {
            "prediction_id": ids(np.arange(world.n)),
            "ts_pred": times(world, world.second),
            "entity_id": accounts(world.account),
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
    written = world.written
    twice = written & (world.uniform("duplicate prediction") < world.config.duplicate_share / 5)
    rows = pl.concat([frame.filter(pl.Series(written)), frame.filter(pl.Series(twice))])
    return rows.sort("ts_pred", "prediction_id", maintain_order=True)


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
