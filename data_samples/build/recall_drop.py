"""Build `data_samples/recall_drop` (or, with --calibrate, find the strengths that give its three variants one headline)."""

import argparse
import sys
from collections.abc import Callable

from fbkit.samples.challenge import CHALLENGE, HEADLINE, REVIEW_REGIONS, TRUE_RECALL
from fbkit.samples.faults import ConceptDrift, LabelSliceLoss
from fbkit.samples.truth import TRUTH_SEED, expected
from fbkit.samples.world import build

CALIBRATION_ROWS = 1_200_000


def _expect(*, drift: float, flagged: float, uniform: float, window: str = "current") -> dict[str, float]:
    faults = (
        ConceptDrift(severity=drift),
        LabelSliceLoss(severity=flagged, where={"region": REVIEW_REGIONS, "decision": "flagged"}),
        LabelSliceLoss(severity=uniform),
    )
    world = build(CHALLENGE, faults, seed=TRUTH_SEED, rows=CALIBRATION_ROWS)
    return expected(world, metric="recall", window=window)


def _falls_to(goal: float, f: Callable[[float], float]) -> float:
    low, high = 0.0, 0.95
    for _ in range(11):
        middle = (low + high) / 2
        low, high = (middle, high) if f(middle) > goal else (low, middle)
    return round((low + high) / 2, 3)


def calibrate() -> None:
    """Print the strengths of each variant, and what they lead to."""
    healthy = _expect(drift=0, flagged=0, uniform=0, window="reference")
    recall = healthy["observed"] * HEADLINE["recall"][1] / HEADLINE["recall"][0]
    for variant, true in TRUE_RECALL.items():
        goal = recall if variant == "quality" else true
        which = "observed" if variant == "quality" else "true"
        drift = _falls_to(goal, lambda s: _expect(drift=s, flagged=0, uniform=0)[which]) if variant != "labels" else 0.0
        flagged = 0.0
        if variant != "quality":
            flagged = _falls_to(recall, lambda s: _expect(drift=drift, flagged=s, uniform=0)["observed"])
        left = _expect(drift=drift, flagged=flagged, uniform=0)["availability"]
        uniform = round(1 - HEADLINE["availability"][1] / left, 3)
        result = _expect(drift=drift, flagged=flagged, uniform=uniform)
        sys.stdout.write(f"{variant}: drift={drift} flagged={flagged} uniform={uniform} -> {result}\n")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--calibrate", action="store_true")
    if parser.parse_args().calibrate:
        calibrate()
