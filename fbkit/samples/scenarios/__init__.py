"""A catalogue of incidents with known truth: every cause at several sizes, compounds, masked drops, healthy weeks.

>>> from fbkit.samples.scenarios import SCENARIOS
>>> SCENARIOS["concept_drift-mild"].causes
('concept_drift',)
"""

from typing import Final

from fbkit.samples.scenarios.base import SIZES, Kind, Scenario, Size
from fbkit.samples.scenarios.causes import labels, mix_and_policy, pipeline, quality
from fbkit.samples.scenarios.mixed import ablations, censored, healthy, in_other_loops, several
from fbkit.samples.scenarios.tasks import tasks

SCENARIOS: Final[dict[str, Scenario]] = {
    scenario.name: scenario
    for part in (
        quality,
        labels,
        mix_and_policy,
        pipeline,
        several,
        censored,
        healthy,
        in_other_loops,
        ablations,
        tasks,
    )
    for scenario in part()
}
"""Every scenario by name; called with a seed it gives the logs."""

__all__ = [
    "SCENARIOS",
    "SIZES",
    "Kind",
    "Scenario",
    "Size",
    "ablations",
    "censored",
    "healthy",
    "in_other_loops",
    "labels",
    "mix_and_policy",
    "pipeline",
    "quality",
    "several",
    "tasks",
]
