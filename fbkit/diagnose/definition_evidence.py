"""What speaks for another definition of the label, and how it is told."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final

import numpy as np
import polars as pl

from fbkit.diagnose import words
from fbkit.diagnose.bootstrap import Floats
from fbkit.diagnose.both_versions import Doubly
from fbkit.diagnose.old_cohorts import Excess
from fbkit.diagnose.rows import Flags

GUARD_Z: Final = 1.5
"""Each of the guards (against older labels, over whole cohorts, without the strongest day) must reach this."""
SECOND_Z: Final = 2.0
"""The other decision is repaired as well from here on."""
FEWEST: Final = 30
"""Late labels of one decision below which nothing can be said."""
DECISIONS: Final = ("not flagged", "flagged")


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """What speaks for another definition; ``new`` marks rows of the windows whose label follows it.

    ``due`` is there where silence means negative: how much of each row's positives would come under the new definition.
    """

    since: int
    logged: bool
    excess: tuple[Excess, Excess]
    new: Flags
    gate: float
    versions: tuple[str, ...] = ()
    share: float | None = None
    due: Floats | None = None
    twice: Doubly | None = None

    def holds(self, part: Excess, *, gate: float) -> bool:
        """Beyond the gate and all guards on the same side."""
        side = 1.0 if part.gap >= 0 else -1.0
        guards = [part.before, part.steady, *([] if part.whole is None else [part.whole])]
        sound = self.logged or all(side * value >= GUARD_Z for value in guards)
        return part.n >= FEWEST and abs(part.z) > gate and sound

    @property
    def repaired(self) -> tuple[Excess, ...]:
        """The decisions whose labels are repaired: all that hold, once one of them passes the gate."""
        if not any(self.holds(part, gate=self.gate) for part in self.excess):
            return ()
        return tuple(part for part in self.excess if self.holds(part, gate=min(self.gate, SECOND_Z)))


def where_of(found: Found, parts: Sequence[Excess]) -> str:
    """The version or the day of arrival, and the decision if it is only one."""
    day = words.instant(datetime.fromtimestamp(found.since / 1e6, tz=UTC))
    place = f"labels of version {', '.join(found.versions)}" if found.versions else f"labels that arrived from {day} on"
    return f"{place}, {DECISIONS[parts[0].decision]} rows" if len(parts) == 1 else place


def sentence(found: Found, parts: Sequence[Excess]) -> str:
    """What was seen on old cohorts; of the decisions that are not repaired the one that comes nearest to it."""
    about = (
        f"{words.percent(found.share)} of the current labels follow version {', '.join(found.versions)}"
        if found.share is not None
        else "No change of the label's definition is logged"
    )
    shown = parts or (max(found.excess, key=lambda part: abs(part.z)),)
    told = [f"{_told(found, part)} ({abs(part.z):.1f} standard deviations)" for part in shown if part.n]
    return f"{about}; {'; '.join(told)}." if told else f"{about}; no older row has such a label."


def _told(found: Found, part: Excess) -> str:
    rows = f"{DECISIONS[part.decision]} rows that were predicted before the current window"
    if found.due is not None:
        return f"{words.count(part.observed)} positives of {rows} came late, {words.count(part.expected)} were expected"
    return (
        f"{words.count(part.observed)} of {words.count(part.n)} such labels of {rows} are positive, "
        f"{words.count(part.expected)} were to be expected"
    )


def evidence_frame(found: Found) -> pl.DataFrame:
    """decision, labels, observed, expected, standard_deviation, z, excess_rate, and the guards."""
    made = [
        {
            "decision": DECISIONS[part.decision],
            "labels": part.n,
            "observed": part.observed,
            "expected": part.expected,
            "standard_deviation": part.variance**0.5,
            "z": part.z,
            "excess_rate": part.gap / part.negatives if part.negatives > 0 else None,
            "beyond_older_labels": part.before if np.isfinite(part.before) else None,
            "over_whole_cohorts": part.whole,
            "without_strongest_day": part.steady,
        }
        for part in found.excess
    ]
    return pl.DataFrame(made, schema_overrides={"excess_rate": pl.Float64, "over_whole_cohorts": pl.Float64})


def numbers_of(found: Found) -> dict[str, tuple[str, float | None]]:
    """Name -> (kind, value) of what the sentence says."""
    numbers: dict[str, tuple[str, float | None]] = {"new_definition_share": ("share", found.share)}
    if found.twice is not None:
        numbers["labelled_by_both_definitions"] = ("count", float(len(found.twice.at)))
    for part in found.excess:
        name = "flagged" if part.decision else "unflagged"
        numbers[f"late_labels_{name}"] = ("count", float(part.n))
        numbers[f"late_positives_{name}"] = ("count", part.observed)
        numbers[f"late_positives_expected_{name}"] = ("count", part.expected)
        numbers[f"late_positives_z_{name}"] = ("ratio", abs(part.z))
    return numbers
