"""How often a harmful version goes out and an equal one is held back: simulated versions whose difference is known.

python benchmarks/promotion.py --seeds 60
"""

import argparse
import time

import fbkit as fb
from fbkit.measure.guardrails import judge_promotion
from fbkit.samples.versions import VersionsConfig, versions
from fbkit.schema.contract import Contract

WORLDS = {
    "shadow, equal": VersionsConfig(),
    "shadow, recall -5 points in EU": VersionsConfig(drop=0.05),
    "shadow, recall -8 points in EU": VersionsConfig(drop=0.08),
    "split, equal, 10 x the traffic": VersionsConfig(design="split", per_day=4000, accounts=40_000),
    "split, recall -8 points in EU, 10 x the traffic": VersionsConfig(
        design="split", drop=0.08, per_day=4000, accounts=40_000
    ),
    "split, equal, 15 % of the challenger's rows lost": VersionsConfig(design="split", lost=0.15),
}


def outcome(config: VersionsConfig, *, seed: int) -> str:
    made = versions(config, seed=seed)
    raw = Contract.from_toml(made.contract_toml).model_dump(mode="json", exclude_unset=True)
    contract = Contract.from_dict({name: part for name, part in raw.items() if name not in ("slo", "budget")})
    loop = fb.open_loop(contract=contract, predictions=made.predictions, outcomes=made.outcomes)
    found = judge_promotion(loop.join(as_of=config.as_of), champion="v1", challenger="v2")
    return "broken" if found.failed else "cannot tell" if found.undecided else "goes out"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", type=int, default=40)
    parser.add_argument("--world", help="Only worlds whose name holds this.")
    given = parser.parse_args()
    print(f"allowed: recall -3 points, ROC AUC -2 points; overall, EU and US; {given.seeds} seeds each")
    for name, config in WORLDS.items():
        if given.world and given.world not in name:
            continue
        start = time.process_time()
        found = [outcome(config, seed=seed) for seed in range(given.seeds)]
        shares = ", ".join(
            f"{what} {found.count(what) / len(found):.0%}" for what in ("goes out", "cannot tell", "broken")
        )
        print(f"{name}: {shares} ({(time.process_time() - start) / len(found):.1f} s CPU each)")


if __name__ == "__main__":
    main()
