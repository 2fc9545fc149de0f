"""The label feed of a simulated world: which statements are made, when they arrive, and the usual dirt."""

from dataclasses import dataclass
from typing import Self

import numpy as np
import polars as pl

from fbkit.samples.log_values import accounts, ids, times
from fbkit.samples.world import DAY, Batch, Bools, Ints, World


@dataclass(frozen=True, slots=True, kw_only=True)
class Feed:
    """One realisation of the outcomes of a world. `frame`: one row a prediction, as its statement would be."""

    world: World
    outcome: Ints
    emitted: Bools
    usable: Bools
    frame: pl.DataFrame

    @classmethod
    def of(cls, world: World, *, reformats: bool) -> Self:
        """Draw outcomes and statements; `reformats`: whether some of their ids are broken."""
        outcome = (world.uniform("outcome") < world.p).astype(np.int64)
        row = np.arange(world.n)
        emitted = (world.uniform("emission") < world.emit[outcome, row]) & ~world.lost[outcome, row] & ~world.blocked
        said = (world.uniform("statement") < world.said[outcome, row]).astype(np.int8)
        keys, usable = ids(row), emitted
        if reformats:
            broken = world.uniform("join") >= world.joinable
            keys, usable = _broken(keys, broken, how=world.broken_id), emitted & ~broken
        frame = pl.DataFrame(
            {
                "prediction_id": keys,
                "entity_id": accounts(world.account),
                "event": world.event[outcome, row],
                "arrival": world.arrival[outcome, row],
                "label": said,
                "source": np.where(world.flagged, "review", "auto"),
            }
        )
        return cls(world=world, outcome=outcome, emitted=emitted, usable=usable, frame=frame)

    def log(self) -> pl.DataFrame:
        """The label log as of the evaluation time: one row a statement."""
        world, frame = self.world, self.frame
        only_positives = world.config.silence == "negative"
        emitted = self.emitted & (frame["label"] == 1).to_numpy() if only_positives else self.emitted
        statements = pl.concat([frame.filter(pl.Series(emitted)), *_dirt(world, frame, emitted)])
        if only_positives:
            statements = statements.filter(pl.col("label") == 1)
        loads = [_version(world, self._load(batch), by="first") for batch in world.batches]
        return _as_log(world, pl.concat([_version(world, statements, by="arrival"), *loads]))

    def final(self) -> pl.DataFrame:
        """What is true of every prediction in the log, and whether the label log holds a usable statement about it."""
        world = self.world
        stated = pl.Series(self.usable) & (self.frame["arrival"] <= world.as_of_second)
        if world.config.silence == "negative":
            stated &= self.frame["label"] == 1
        frame = pl.DataFrame(
            {
                "prediction_id": ids(np.arange(world.n)),
                "ts_pred": times(world, world.second),
                "entity_id": accounts(world.account),
                "decision": world.flagged,
                "label": self.outcome.astype(np.int8),
                "ts_event": times(world, np.minimum(self.frame["event"].to_numpy(), world.as_of_second)),
                "stated": stated,
                "blocked": world.blocked,
            }
        )
        return frame.filter(pl.Series(world.written))

    def _load(self, batch: Batch) -> pl.DataFrame:
        world = self.world
        hit = self.emitted & (world.uniform(batch.stream) < batch.chance)
        again = self.frame.filter(pl.Series(hit) & (pl.col("arrival") < batch.second))
        label = 1 - pl.col("label") if batch.label is None else pl.lit(batch.label, dtype=pl.Int8)
        return again.with_columns(
            label=label, source=pl.lit(batch.source), first="arrival", arrival=pl.lit(batch.second, dtype=pl.Int64)
        )


def _broken(keys: pl.Series, broken: Bools, *, how: str) -> pl.Series:
    other = pl.lit("") if how == "blank" else pl.lit("TX-") + pl.col("id").str.slice(1).str.strip_chars_start("0")
    frame = pl.DataFrame({"id": keys, "broken": broken})
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
    silent = ~emitted & ~world.blocked
    after = frame.filter(pl.Series(silent & (u >= low) & (u < low + 10 * config.duplicate_share)))
    gap = (config.window_days + 1) * DAY
    after = after.with_columns(event=pl.col("event") + gap, arrival=pl.col("arrival") + gap)
    return [twice, first, strangers, after]


def _version(world: World, statements: pl.DataFrame, *, by: str) -> pl.DataFrame:
    """The definition that a statement says it follows; a batch repeats that of the statement that it overwrites."""
    new = pl.lit(value=False) if world.new_definition_from is None else pl.col(by) >= world.new_definition_from
    version = pl.when(new).then(pl.lit("2")).otherwise(pl.lit("1")).alias("label_version")
    return statements.with_columns(version).drop("first", strict=False)


def _as_log(world: World, statements: pl.DataFrame) -> pl.DataFrame:
    config = world.config
    kept = statements.filter(pl.col("arrival") <= world.as_of_second)
    frame = kept.select(
        "prediction_id",
        *(["entity_id"] if config.outcome_accounts else []),
        times(world, kept["event"].to_numpy()).alias("ts_event"),
        times(world, kept["arrival"].to_numpy()).alias("ts_arrival"),
        "label",
        "source",
        "label_version",
    )
    # Files are cut by week of arrival; within a week the feed is exported in the order of its keys.
    week = pl.col("ts_arrival").dt.truncate("1w")
    return frame.sort(week, "prediction_id", "ts_arrival", "label", maintain_order=True)
