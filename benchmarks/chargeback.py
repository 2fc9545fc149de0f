"""Hold provisional numbers and the feed's watermark against the truth of simulated chargeback loops.

    python benchmarks/chargeback.py --seeds 40 --from-commit

Positives only, 90 days of window, about 1.2 % chargebacks. Prints, per stage and metric, how far the naive number
(silence taken for a negative) and the corrected one are from the expected value of the cohort, and how often the 95 %
interval holds it; then how often a sound feed is stopped, how often an outage is found, and how many true chargebacks
are called negative with the newest arrival as watermark and with the watermark by slice. With --from-commit the seeds
follow from the commit id and the table's name; without it they are 1, 2, ... (for development).
"""

import argparse
import hashlib
import subprocess
import sys
import time
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

import numpy as np
import polars as pl

from fbkit.join.join import join
from fbkit.join.joined import Joined
from fbkit.join.watermark import no_runs
from fbkit.load.loop import load_logs
from fbkit.measure.metrics import metrics
from fbkit.measure.provisional import provisional
from fbkit.measure.stats.intervals import wilson
from fbkit.samples.chargeback import METRICS, ChargebackConfig, Chargebacks, Outage, chargebacks, expected
from fbkit.schema.contract import Contract

WORLDS = {
    "steady": ChargebackConfig(),
    "drop": ChargebackConfig(drop_day=119, drop=0.35),
    "outage": ChargebackConfig(outage=Outage(first=204, days=7, region="EU")),
}
SOUND = {
    "steady": ChargebackConfig(),
    "drop": ChargebackConfig(drop_day=119, drop=0.35),
    "busy": ChargebackConfig(days=200, per_day=4000, base_rate=0.015),
    "thin": ChargebackConfig(per_day=300),
    "every day": ChargebackConfig(business_days=False),
}
OUTAGES = {
    "EU, 3 working days": Outage(first=184, days=3),
    "US, a week": Outage(first=183, days=7, region="US"),
    "APAC, two weeks": Outage(first=182, days=14, region="APAC"),
    "all, 2 days": Outage(first=184, days=2, region=None),
    "EU, a fifth left": Outage(first=182, days=8, kept=0.2),
    "EU, the last 5 days": Outage(first=247, days=5),
}
WEEKS = 4


@dataclass(frozen=True, kw_only=True)
class Look:
    """One number of one loop against its truth."""

    naive: float
    corrected: float
    truth: float
    covered: bool


def seeds_for(table: str, *, count: int, commit: str | None) -> list[int]:
    if commit is None:
        return list(range(1, count + 1))
    digests = (hashlib.sha256(f"{commit}|{table}|{number}".encode()).digest() for number in range(count))
    return [int.from_bytes(digest[:4]) for digest in digests]


def joined_of(made: Chargebacks, *, judged: bool = True) -> Joined:
    """``judged=False`` takes the newest arrival for the watermark, whatever arrived before."""
    contract = Contract.from_toml(made.contract_toml)
    logs = load_logs(contract, root=Path(), frames={"predictions": made.predictions, "outcomes": made.outcomes})
    return join(logs, contract=contract, as_of=made.config.as_of, runs=None if judged else no_runs())


def cohort(config: ChargebackConfig, *, age: int) -> tuple[str, dict[str, float]]:
    """The newest whole weeks that are old enough, and what is true of them."""
    end = (config.days - age - 2) // 7 * 7
    start = end - 7 * WEEKS
    drop = config.drop if config.drop_day is not None and start >= config.drop_day else 0.0
    edges = (config.start + timedelta(days=day) for day in (start, end))
    return "..".join(edge.date().isoformat() for edge in edges), expected(config.base_rate, drop=drop)


def looks(world: str, seed: int) -> dict[tuple[str, str], Look]:
    config = WORLDS[world]
    joined = joined_of(chargebacks(config, seed=seed))
    found: dict[tuple[str, str], Look] = {}
    for stage, age in (("30d", 30), ("60d", 60), ("final", 90)):
        period, truth = cohort(config, age=age)
        if stage == "final":
            frame = metrics(joined, METRICS, period=period).with_columns(pl.col("value").alias("naive_negative"))
        else:
            frame = provisional(joined, METRICS, stage=stage, period=period)
        for row in frame.iter_rows(named=True):
            name = row["metric"]
            if row["value"] is None:
                continue
            found[stage, name] = Look(
                naive=row["naive_negative"],
                corrected=row["value"],
                truth=truth[name],
                covered=row["lower"] <= truth[name] <= row["upper"],
            )
    return found


def report_looks(world: str, seeds: Sequence[int]) -> list[Look]:
    gathered: dict[tuple[str, str], list[Look]] = defaultdict(list)
    for seed in seeds:
        for key, look in looks(world, seed).items():
            gathered[key].append(look)
    print(f"\n{world}: {len(seeds)} loops, cohorts of {WEEKS} weeks")
    print(
        f"{'stage':6} {'metric':18} {'truth':>7} {'bias naive':>11} {'corrected':>10} {'|err| naive':>12}"
        f" {'corrected':>10} {'covered':>8}"
    )
    for (stage, name), found in sorted(gathered.items()):
        naive, corrected = ([getattr(look, side) - look.truth for look in found] for side in ("naive", "corrected"))
        print(
            f"{stage:6} {name:18} {found[0].truth:7.4f} {np.mean(naive):+11.4f} {np.mean(corrected):+10.4f}"
            f" {np.mean(np.abs(naive)):12.4f} {np.mean(np.abs(corrected)):10.4f}"
            f" {np.mean([look.covered for look in found]):8.3f}"
        )
    return [look for (stage, _), found in gathered.items() for look in found if stage != "final"]


def wrong_negatives(joined: Joined, made: Chargebacks) -> int:
    """Rows called negative although a sound feed would have reported them as positive by now."""
    due = made.final.filter((pl.col("label") == 1) & (pl.col("ts_sound") <= joined.as_of)).select("prediction_id")
    return joined.frame.filter(pl.col("state") == "negative").join(due, on="prediction_id").height


def report_sound(count: int, *, commit: str | None) -> int:
    print("\nsound feeds: loops that are stopped")
    stopped = 0
    for name, config in SOUND.items():
        hits = [
            seed
            for seed in seeds_for(f"sound {name}", count=count, commit=commit)
            if joined_of(chargebacks(config, seed=seed)).feed.height
        ]
        stopped += len(hits)
        print(f"  {name:12} {len(hits)}/{count} {hits or ''}", flush=True)
    low, high = wilson(stopped, count * len(SOUND))
    print(f"  all          {stopped}/{count * len(SOUND)} ({float(low):.4f}..{float(high):.4f})")
    return stopped


def report_outages(count: int, *, commit: str | None) -> int:
    print(
        "\noutages: found, other slices accused, start off by days, true positives called negative by either watermark"
    )
    missed = 0
    for name, outage in OUTAGES.items():
        found, accused, off, lost, wrong, naive = 0, 0, [], [], [], []
        for seed in seeds_for(f"outage {name}", count=count, commit=commit):
            made = chargebacks(ChargebackConfig(outage=outage), seed=seed)
            joined, blind = joined_of(made), joined_of(made, judged=False)
            right = joined.feed.filter(pl.col("value").eq_missing(pl.lit(outage.region, dtype=pl.String)))
            found += right.height > 0
            accused += joined.feed.height - right.height
            off += [(start - made.config.start).days - outage.first for start in right["start"].to_list()[:1]]
            lost.append(made.final.filter((pl.col("label") == 1) & pl.col("lost")).height)
            wrong.append(wrong_negatives(joined, made))
            naive.append(wrong_negatives(blind, made))
        missed += count - found
        print(
            f"  {name:22} found {found}/{count}, accused {accused}, start {np.mean(off):+.1f} d,"
            f" lost {np.mean(lost):.0f}, wrong: newest arrival {np.mean(naive):.1f}, by slice {np.mean(wrong):.1f}",
            flush=True,
        )
    return missed


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, default=40, help="loops per table")
    parser.add_argument("--from-commit", action="store_true", help="seeds from the commit id and the table's name")
    parser.add_argument("--tables", default="looks,sound,outages", help="comma-separated: looks, sound, outages")
    options = parser.parse_args(arguments)
    commit = _commit() if options.from_commit else None
    print(f"seeds from {'commit ' + commit if commit else '1, 2, ... (development)'}")
    begin, tables = time.perf_counter(), options.tables.split(",")
    if "looks" in tables:
        all_looks: list[Look] = []
        for world in WORLDS:
            all_looks += report_looks(world, seeds_for(f"looks {world}", count=options.seeds, commit=commit))
        print(f"\nprovisional intervals hold the truth: {np.mean([look.covered for look in all_looks]):.3f}")
    failed = report_sound(options.seeds, commit=commit) if "sound" in tables else 0
    failed += report_outages(options.seeds, commit=commit) if "outages" in tables else 0
    print(f"\n{time.perf_counter() - begin:.0f} s")
    return 1 if failed else 0


def _commit() -> str:
    command = ["git", "rev-parse", "HEAD"]
    return subprocess.run(command, capture_output=True, text=True, check=True, cwd=Path(__file__).parent).stdout.strip()


if __name__ == "__main__":
    sys.exit(main())
