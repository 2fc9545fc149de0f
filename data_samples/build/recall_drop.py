"""Build `data_samples/recall_drop`: three loops with one headline, made up by the simulator of `fbkit.samples`.

`--calibrate` finds the strengths of the faults that give the three variants their headline, and prints them.
`--seeds` finds the shipped seeds: the first whose rows come close to what the simulator expects.
"""

import argparse
import hashlib
import json
import shutil
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

import polars as pl

from fbkit.samples import Simulation, recall_drop
from fbkit.samples.challenge import CHALLENGE, HEADLINE, REVIEW_REGIONS, TRUE_RECALL
from fbkit.samples.config import GENERATOR
from fbkit.samples.faults import ConceptDrift, LabelSliceLoss
from fbkit.samples.stages import build as build_world
from fbkit.samples.truth import TRUTH_SEED, expected

FOLDER: Final = Path(__file__).parents[1] / "recall_drop"
PER_DAY: Final = 2400
SHIPPED: Final = {"variant_a": ("both", 216), "variant_b": ("labels", 1), "variant_c": ("quality", 102)}
CALIBRATION_ROWS: Final = 1_200_000
CLOSE: Final = 0.008

HEAD: Final = """\
# Written by data_samples/build/recall_drop.py; do not edit. A test compares every hash and count with the files.
[sample]
name = "recall_drop"
builder = "data_samples/build/recall_drop.py"
licence = "Apache-2.0"
real = "nothing"
made_up = "everything: accounts, payments, scores, decisions, outcomes, delays and the faults"

[generator]
name = "fbkit.samples"
version = "{generator}"
predictions_per_day = {per_day}
reference = "{reference}"
current = "{current}"
as_of = "{as_of}"

[assumptions]
headline = "observed weekly recall falls from 0.80 to 0.68 and label availability from 0.92 to 0.70, in expectation"
seeds = "for each variant the first seed (from 1, 101 and 201) whose recall and availability, observed and with all \
outcomes known, lie within {close} of their expectation in both windows"
traffic = "accounts repeat (heavy-tailed), volume follows weekday and hour, two regions grow slowly over the weeks"
model = "sees noisy features, one of them not logged, and not all of the risk; slightly overconfident; a minor version \
takes over in the middle of the reference"
labels = "lag differs by outcome, decision and region; review labels flagged payments, the rest comes by itself; about \
8 of 100 never come even in good weeks, a little more often in some regions; the feed is loaded once an hour"
dirt = "some duplicate rows, corrected statements, labels of unknown predictions and events after the window"
hidden = "which variant is which, and what each cause contributed, stands in truth.json, which the analysis never reads"
"""


def build(folder: Path = FOLDER) -> None:
    """Write the three loops, their truth and where they come from."""
    shutil.rmtree(folder, ignore_errors=True)
    for name, (variant, seed) in SHIPPED.items():
        recall_drop(variant, seed, per_day=PER_DAY).write(folder / name)
    (folder / "truth.json").write_text(truth_text(), encoding="utf-8")
    (folder / "PROVENANCE.toml").write_text(_provenance(folder), encoding="utf-8")


def truth_text() -> str:
    """The content of truth.json."""
    truths: dict[str, Any] = {}
    for name, (variant, seed) in SHIPPED.items():
        found = recall_drop(variant, seed, per_day=PER_DAY).truth
        truths[name] = {"variant": variant, "seed": seed, **found.as_dict()}
    return json.dumps(_rounded(truths), indent=1) + "\n"


def _rounded(value: Any) -> Any:
    if isinstance(value, float):
        return round(value, 6)
    if isinstance(value, dict):
        return {key: _rounded(item) for key, item in value.items()}
    return [_rounded(item) for item in value] if isinstance(value, list | tuple) else value


def _provenance(folder: Path) -> str:
    facts = {
        "generator": GENERATOR,
        "per_day": PER_DAY,
        "reference": CHALLENGE.period("reference"),
        "current": CHALLENGE.period("current"),
        "as_of": f"{CHALLENGE.as_of:%Y-%m-%dT%H:%M:%SZ}",
        "close": CLOSE,
    }
    blocks = [HEAD.format(**facts)]
    for file in sorted(path for path in folder.rglob("*") if path.is_file() and path.name != "PROVENANCE.toml"):
        content = file.read_bytes()
        rows = f"rows = {pl.read_parquet(file).height}\n" if file.suffix == ".parquet" else ""
        digest = hashlib.sha256(content).hexdigest()
        name = file.relative_to(folder).as_posix()
        blocks.append(f'[[files]]\npath = "{name}"\nbytes = {len(content)}\n{rows}sha256 = "{digest}"\n')
    return "\n".join(blocks)


def find_seeds() -> None:
    """Print the first representative seed of each variant."""
    for first, variant in zip((1, 101, 201), TRUE_RECALL, strict=True):
        seed = next(s for s in range(first, first + 100) if _surprise(recall_drop(variant, s, per_day=PER_DAY)) < CLOSE)
        sys.stdout.write(f"{variant}: {seed}\n")


def _surprise(simulation: Simulation) -> float:
    """Largest distance of this seed's rows from what the simulator expects."""
    world = build_world(simulation.config, simulation.faults, seed=simulation.seed)
    positive = world.uniform("outcome") < world.p
    labelled = simulation.outcomes["prediction_id"].implode()
    seen = (
        simulation.predictions.unique("prediction_id").sort("prediction_id")["prediction_id"].is_in(labelled).to_numpy()
    )
    truth, worst = simulation.truth, 0.0
    for window in ("reference", "current"):
        rows = world.window(window)
        recall = world.flagged[rows & positive].mean()
        observed = world.flagged[rows & positive & seen].mean()
        worst = max(
            worst,
            abs(recall - getattr(truth.true, window)),
            abs(observed - getattr(truth.observed, window)),
            abs(seen[rows].mean() - getattr(truth.availability, window)),
        )
    return worst


def calibrate() -> None:
    """Print the strengths of each variant, and what they lead to."""
    healthy = _expect(drift=0, flagged=0, uniform=0, window="reference")
    recall = healthy["observed"] * HEADLINE["recall"][1] / HEADLINE["recall"][0]
    for variant, true in TRUE_RECALL.items():
        drift = flagged = 0.0
        if variant == "quality":
            drift = _falls_to(recall, lambda s: _expect(drift=s, flagged=0, uniform=0)["observed"])
        elif variant == "both":
            drift = _falls_to(true, lambda s: _expect(drift=s, flagged=0, uniform=0)["true"])
        if variant != "quality":
            flagged = _falls_to(recall, _review_loss(drift))
        left = _expect(drift=drift, flagged=flagged, uniform=0)["availability"]
        uniform = round(1 - HEADLINE["availability"][1] / left, 3)
        result = _expect(drift=drift, flagged=flagged, uniform=uniform)
        sys.stdout.write(f"{variant}: drift={drift} flagged={flagged} uniform={uniform} -> {result}\n")


def _review_loss(drift: float) -> Callable[[float], float]:
    return lambda s: _expect(drift=drift, flagged=s, uniform=0)["observed"]


def _expect(*, drift: float, flagged: float, uniform: float, window: str = "current") -> dict[str, float]:
    faults = (
        ConceptDrift(severity=drift),
        LabelSliceLoss(severity=flagged, where={"region": REVIEW_REGIONS, "decision": "flagged"}),
        LabelSliceLoss(severity=uniform),
    )
    world = build_world(CHALLENGE.expectation(), faults, seed=TRUTH_SEED, rows=CALIBRATION_ROWS)
    return expected(world, metric="recall", window=window)


def _falls_to(goal: float, f: Callable[[float], float]) -> float:
    low, high = 0.0, 0.95
    for _ in range(11):
        middle = (low + high) / 2
        low, high = (middle, high) if f(middle) > goal else (low, middle)
    return round((low + high) / 2, 3)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--calibrate", action="store_true")
    parser.add_argument("--seeds", action="store_true")
    wanted = parser.parse_args()
    if wanted.calibrate:
        calibrate()
    elif wanted.seeds:
        find_seeds()
    else:
        build()
