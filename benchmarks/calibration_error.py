"""How often the intervals of debiased calibration errors hold the truth, and how often a calibrated model is accused.

Run: `python benchmarks/calibration_error.py [--worlds 200] [--json]`. Scores are Beta(1.2, 2.5); the true log odds are
a line in theirs.
"""

import argparse
import json

import numpy as np

from fbkit.measure.kernels.calibration_error import STATISTICS
from fbkit.measure.stats.null_band import Rows, judge, worlds

CASES = [
    (rows, repeat, slope, shift)
    for rows, repeat in ((500, 1), (2000, 1), (4000, 1), (4000, 5))
    for slope, shift in ((1.0, 0.0), (1.0, 0.3), (0.6, -0.4))
]


def chance(score: np.ndarray, slope: float, shift: float) -> np.ndarray:
    return 1 / (1 + np.exp(-(slope * np.log(score / (1 - score)) + shift)))


def case(rows: int, repeat: int, slope: float, shift: float, *, times: int) -> list[dict[str, float | str]]:
    rng = np.random.default_rng(rows + repeat)
    whole = rng.beta(1.2, 2.5, 400_000)
    found: dict[str, list[tuple[float, ...]]] = {name: [] for name in STATISTICS}
    for _ in range(times):
        score = rng.beta(1.2, 2.5, rows // repeat)
        label = (rng.random(len(score)) < chance(score, slope, shift)).astype(float)
        owners = np.repeat(np.arange(len(score)), repeat) if repeat > 1 else None
        cell = Rows(np.repeat(score, repeat), np.repeat(label, repeat), None, owners)
        made = {against: worlds(cell, against=against) for against in ("scores", "base")}
        for name, (value_of, draws, against) in STATISTICS.items():
            value = value_of(cell.score, cell.label, weights=None)
            one = judge(value, draws, made[against], level=0.95)
            found[name].append((one.value, one.debiased, one.lower, one.upper, one.p_value))
    lines: list[dict[str, float | str]] = []
    for name, many in found.items():
        truth = STATISTICS[name][0](whole, chance(whole, slope, shift), weights=None)
        raw, debiased, lower, upper, p_value = np.array(many).T
        world = f"{rows} rows, repeated {repeat} x, slope {slope}, shift {shift}"
        held = float(np.mean((lower <= truth + 1e-6) & (truth <= upper)))
        lines.append(
            {
                "world": world,
                "metric": name,
                "truth": truth,
                "raw": float(raw.mean()),
                "debiased": float(debiased.mean()),
                "held": held,
                "accused": float(np.mean(p_value < 0.05)),
            }
        )
    return lines


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--worlds", type=int, default=200)
    parser.add_argument("--json", action="store_true")
    given = parser.parse_args()
    lines = [line for numbers in CASES for line in case(*numbers, times=given.worlds)]
    if given.json:
        print(json.dumps(lines, indent=1))
        return
    for line in lines:
        numbers = "  ".join(f"{name} {line[name]:.4f}" for name in ("truth", "raw", "debiased", "held", "accused"))
        print(f"{line['world']:<48}  {line['metric']:<11} {numbers}")


if __name__ == "__main__":
    main()
