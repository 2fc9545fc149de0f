"""The join as one writes it by hand: streaming, unsorted, unchecked. The yardstick of `benchmarks/join.py`."""

import sys
from pathlib import Path

import polars as pl

folder = Path(sys.argv[1])
predictions = pl.scan_parquet(folder / "predictions" / "*.parquet")
outcomes = pl.scan_parquet(folder / "outcomes" / "*.parquet")
predictions.join(outcomes, on="prediction_id", how="left").sink_parquet(folder / "bare.parquet")
