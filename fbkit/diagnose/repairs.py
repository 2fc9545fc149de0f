"""The label repairs in the order in which they are climbed."""

from collections.abc import Callable
from typing import Final

from fbkit.diagnose.censoring import action_censoring
from fbkit.diagnose.definition_change import definition_change
from fbkit.diagnose.join_break import join_break
from fbkit.diagnose.label_conflict import label_conflict
from fbkit.diagnose.label_errors import label_errors
from fbkit.diagnose.labels import Labels, Repair
from fbkit.diagnose.scene import Scene

LabelRepair = Callable[[Scene, Labels], Repair | None]

EARLY: Final[tuple[LabelRepair, ...]] = (
    join_break,
    label_conflict,
    label_errors,
    definition_change,
    action_censoring,
)
"""What comes before the age of the labels: which labels are there, what they mean, what the action hid."""
