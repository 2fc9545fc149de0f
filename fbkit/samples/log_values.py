"""Ids, accounts and times as the simulated logs hold them."""

from typing import Final

import numpy as np
import polars as pl

from fbkit.samples.world import Ints, World

UTC_US: Final = pl.Datetime("us", "UTC")


def times(world: World, seconds: Ints) -> pl.Series:
    """Instants from seconds since the start of the reference."""
    start = np.datetime64(world.config.start.replace(tzinfo=None), "us")
    return pl.Series(start + seconds.astype("timedelta64[s]")).dt.replace_time_zone("UTC").cast(UTC_US)


def ids(numbers: Ints) -> pl.Series:
    """Prediction ids."""
    return pl.Series(numbers).cast(pl.String).str.zfill(7).str.pad_start(8, "p")


def accounts(codes: Ints) -> pl.Series:
    """Account ids."""
    return pl.Series(codes).cast(pl.String).str.pad_start(6, "0").str.pad_start(7, "a")
