"""Our side of the charts that are counted by the dozen."""

from typing import Any

import ipywidgets

import fbkit as fb
from fbkit.explorers.view import LiveChart

METRICS = ("recall", "precision", "flag_rate")
COLUMNS = ("region", "device", "channel", "customer")


def one(thing: Any) -> Any:
    """An explorer whose numbers are there; nobody looks at it."""
    return fb.explore.slices(thing, by="channel")


def twelve_charts(explorer: Any) -> ipywidgets.VBox:
    """Twelve live charts, each specified and sent anew, of numbers that are there."""
    views = [LiveChart() for _ in range(12)]
    for number, view in enumerate(views):
        view.show(number, chart=explorer.chart, rows=explorer.rows(), texts=explorer.texts())
    return ipywidgets.VBox(views)


def twelve_explorers(thing: Any) -> ipywidgets.VBox:
    """Twelve whole explorers with their controls and their numbers."""
    asked = [(metric, column) for metric in METRICS for column in COLUMNS]
    return ipywidgets.VBox([fb.explore.slices(thing, metric=metric, by=column) for metric, column in asked])
