"""A first contract for logs that have none: columns guessed, paths as seen from the contract, a label window."""

import os
from collections.abc import Mapping
from datetime import timedelta
from pathlib import Path
from typing import Final

import polars as pl

from fbkit.errors import FbkitError
from fbkit.load.guess import guess_contract
from fbkit.load.loop import load_logs
from fbkit.load.read import read_source
from fbkit.schema.contract import Contract
from fbkit.schema.contract_parts import Source
from fbkit.schema.durations import format_duration, parse_duration

# Windows that people choose; the guess is the shortest that holds nearly every outcome.
WINDOWS: Final = ("1h", "6h", "12h", "1d", "36h", "2d", "3d", "7d", "14d", "30d", "60d", "90d", "180d", "365d")
_SHARE: Final = 0.999


def draft_contract(
    paths: Mapping[str, str],
    *,
    folder: Path,
    name: str | None = None,
    window: str | timedelta | None = None,
    threshold: float | None = None,
    timezone: str | None = None,
) -> tuple[Contract, tuple[str, ...]]:
    """A draft for log files, and the assumptions it rests on, one sentence each.

    Parameters
    ----------
    paths
        File, pattern or folder of ``predictions``, ``outcomes`` and, if there is one, ``actions``, as the caller sees
        them; the draft names them as seen from ``folder``, where the contract will stand.
    window
        The label window; by default the shortest usual one that holds 99.9 % of the outcomes.

    Raises
    ------
    InputError
        A log cannot be read, or a required column cannot be guessed.
    """
    frames = {table: read_source(Source(path=path), root=Path(), table=table)[0] for table, path in paths.items()}
    contract, said = guess_contract(frames, window=window or WINDOWS[-1], threshold=threshold, timezone=timezone)
    raw = contract.model_dump(mode="json", exclude_unset=True)
    if window is None:
        chosen, remark = _window(contract, frames)
        raw["label"]["window"] = chosen
        said = (*said[:-1], remark)
    for table, path in paths.items():
        raw[table]["path"] = Path(os.path.relpath(path, folder)).as_posix()
    raw["model"]["name"] = name or contract.model.name
    return Contract.from_dict(raw, name="the draft contract"), said


def _window(contract: Contract, frames: Mapping[str, pl.DataFrame]) -> tuple[str, str]:
    try:
        logs = load_logs(contract, root=Path(), frames=dict(frames))
    except FbkitError as error:
        return "7d", f"labels: the window of 7d is a placeholder, set it ({error.what})"
    made = logs.predictions.frame.select("prediction_id", "ts_pred")
    paired = logs.outcomes.frame.join(made, on="prediction_id", how="inner", suffix="_of_prediction")
    lags = paired.select((pl.col("ts_event") - pl.col("ts_pred")).alias("lag"))["lag"]
    longest = lags.filter(lags >= timedelta(0)).quantile(_SHARE, interpolation="higher")
    if not isinstance(longest, timedelta):
        return "7d", "labels: the window of 7d is a placeholder, set it (no outcome follows its prediction)"
    chosen = next((item for item in WINDOWS if parse_duration(item) >= longest), WINDOWS[-1])
    silence = contract.label.silence
    return chosen, (
        f"labels: 99.9 % of the paired outcomes happened within {_rounded(longest)} after their prediction, so the "
        f"window is {chosen}; silence means {silence}, the latest statement counts"
    )


def _rounded(span: timedelta) -> str:
    units = (timedelta(days=1), timedelta(hours=1), timedelta(minutes=1))
    unit = next((item for item in units if span >= 2 * item), units[-1])
    return format_duration(-(-span // unit) * unit)
