"""Brier's parts and the calibration errors as measures of a cell."""

from collections.abc import Callable
from typing import Final

from fbkit.measure.corp import PARTS, decompose, expected_error
from fbkit.measure.kinds import Cell, Cellwise, Found


def _part(name: str) -> Callable[[Cell, float], Found]:
    def measure(cell: Cell, level: float) -> Found:  # noqa: ARG001 - no interval
        return Found(decompose(cell.score, cell.label, weights=cell.weight)[name])

    return measure


def ece(cell: Cell, level: float) -> Found:  # noqa: ARG001 - no interval
    """Expected calibration error, ten equal bins."""
    return Found(expected_error(cell.score, cell.label, weights=cell.weight))


MEASURES: Final = (
    *(Cellwise(name=name, fn=_part(name), probability=True) for name in PARTS),
    Cellwise(name="ece", fn=ece, probability=True),
)
