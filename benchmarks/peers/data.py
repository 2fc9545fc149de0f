"""The one data set of all peers: a million predictions over half a year, nine tenths labelled, 200 groups, 6 features.

Run: `python benchmarks/peers/data.py OUT.parquet [--rows 1000000] [--seed 0]`. Columns: ts_pred (UTC), score
(calibrated at first, overconfident later), truth (0 or 1, known for every row), label (truth, a tenth of it missing),
flagged (score >= 0.5), group (text), x1 to x6 (numbers that move a little in the second half). The first thirteen of
the 26 whole weeks are the reference.
"""

import argparse

import numpy as np
import polars as pl

WEEKS = 26
START = np.datetime64("2026-01-05T00:00:00", "us")
FEATURES = tuple(f"x{number}" for number in range(1, 7))
WEEK_US = 7 * 86_400_000_000


def frame(rows: int, seed: int = 0) -> pl.DataFrame:
    """The rows in the order of their times."""
    rng = np.random.default_rng(seed)
    since = np.sort(rng.integers(0, WEEKS * WEEK_US, rows))
    late = since >= WEEKS * WEEK_US // 2
    score = rng.beta(1.2, 2.5, rows)
    truth = (rng.random(rows) < np.where(late, 0.9 * score, score)).astype(np.int64)
    lost = rng.random(rows) < 0.1
    group = np.char.add("g", rng.integers(0, 200, rows).astype(str))
    shift = np.where(late, 1.0, 0.0)
    made = {
        "ts_pred": pl.Series(START + since.astype("timedelta64[us]")).dt.replace_time_zone("UTC"),
        "score": score,
        "truth": truth,
        "label": pl.Series(np.where(lost, np.nan, truth), nan_to_null=True),
        "flagged": score >= 0.5,
        "group": group,
        "x1": rng.normal(size=rows),
        "x2": rng.normal(size=rows) + 0.05 * shift,
        "x3": rng.lognormal(size=rows) * (1 + 0.1 * shift),
        "x4": rng.gamma(2.0, size=rows),
        "x5": rng.integers(0, 50, rows).astype(np.float64),
        "x6": rng.uniform(size=rows) ** (1 + 0.1 * shift),
    }
    return pl.DataFrame(made)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("out")
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    frame(options.rows, options.seed).write_parquet(options.out)


if __name__ == "__main__":
    main()
