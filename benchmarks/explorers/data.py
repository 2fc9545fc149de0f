"""A million predictions as a joined table, as ledgers and as the folder of a loop, the same ones in every run."""

from datetime import timedelta
from pathlib import Path
from typing import Any

import polars as pl

from benchmarks import ledger

AS_OF = ledger.START + timedelta(days=121)
WINDOW = timedelta(days=7)
LOOP = f"""
[slices]
columns = {list(ledger.SLICES)!r}
[metrics]
primary = "recall"
[slo]
label_availability = {{ at = "7d", minimum = 0.85 }}
"""
PATHS = {'path = "p"': 'path = "predictions.parquet"', 'path = "o"': 'path = "outcomes.parquet"'}


def contract_text() -> str:
    text = ledger.CONTRACT + LOOP
    for there, here in PATHS.items():
        text = text.replace(there, here)
    return text


def make(folder: Path, *, rows: int, ledgers: bool) -> None:
    """Write what the explorers open: joined rows, and their ledgers or the loop that they came from."""
    parts = folder / "joined"
    parts.mkdir(parents=True)
    ledger.make(parts, rows=rows)
    if ledgers:
        ledger.ours(parts, folder / "ledger")
    else:
        write_loop(pl.read_parquet(parts / "*.parquet"), folder / "loop")


def write_loop(rows: pl.DataFrame, folder: Path) -> None:
    """The logs that a join would make these rows of."""
    folder.mkdir()
    (folder / "contract.toml").write_text(contract_text())
    known = rows.filter(pl.col("label").is_not_null()).select(
        "prediction_id",
        pl.col("ts_arrival").alias("ts_event"),
        "ts_arrival",
        pl.col("label").cast(pl.Int64),
    )
    known.write_parquet(folder / "outcomes.parquet")
    made = ["label", "state", "mature", "arrival_lag", "ts_arrival"]
    rows.drop(made).write_parquet(folder / "predictions.parquet")


def joined(folder: Path) -> Any:
    """The joined table in memory."""
    from fbkit.schema.contract import Contract
    from fbkit.testing.frames import FakeJoined

    frame = pl.read_parquet(folder / "joined" / "*.parquet")
    return FakeJoined(frame=frame, contract=Contract.from_toml(contract_text()), as_of=AS_OF)


def opened(folder: Path) -> Any:
    """The ledgers if they are there, else the joined table."""
    import fbkit as fb

    saved = folder / "ledger"
    return fb.Ledger.open(saved) if saved.exists() else joined(folder)
