"""Simulated loops with a known truth, and the sample data that ship with the package."""

from fbkit.samples.access import names, path
from fbkit.samples.challenge import recall_drop
from fbkit.samples.config import WorldConfig
from fbkit.samples.simulate import Simulation, simulate
from fbkit.samples.truth import Truth

__all__ = ["Simulation", "Truth", "WorldConfig", "names", "path", "recall_drop", "simulate"]
