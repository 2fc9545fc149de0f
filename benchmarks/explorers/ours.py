"""Our side of the charts that are counted by the dozen."""

from collections.abc import Callable
from typing import Any
from unittest.mock import patch

import altair as alt
import ipywidgets

import fbkit as fb
from benchmarks.explorers import prototypes as bare
from fbkit.explorers.source import Source
from fbkit.explorers.view import LiveChart

NOTHING = alt.NamedData("rows")
METRICS = ("recall", "precision", "flag_rate")
COLUMNS = ("region", "device", "channel", "customer")


def one(thing: Any) -> Any:
    """An explorer whose numbers are there, and of which the page does not know: nothing is sent yet."""
    with patch.object(ipywidgets.Widget, "open"):
        return fb.explore.slices(thing, by="channel")


def twelve_charts(explorer: Any) -> ipywidgets.VBox:
    """Twelve live charts, each specified and sent anew, of numbers that are there."""
    views = [LiveChart() for _ in range(12)]
    for number, view in enumerate(views):
        view.show(number, chart=explorer.chart, rows=explorer.rows(), texts=explorer.texts())
    return ipywidgets.VBox(views)


def twelve_explorers(thing: Any) -> ipywidgets.VBox:
    """Twelve whole explorers of one source, with their controls and their numbers."""
    source: Any = Source.of(thing)
    asked = [(metric, column) for metric in METRICS for column in COLUMNS]
    return ipywidgets.VBox([fb.explore.slices(source, metric=metric, by=column) for metric, column in asked])


def bare_view(cube: bare.Cube) -> tuple[LiveChart, Callable[[float], None]]:
    """The picture of the prototypes, drawn by the view that our explorers draw with."""
    view = LiveChart()

    def show(threshold: float) -> None:
        texts = {"headline": bare.said(threshold), "smallprint": " ", "summary": bare.said(threshold)}
        view.show(0, chart=lambda: bare.drawn(NOTHING, title=""), rows=cube.rows(threshold), texts=texts)

    show(0.3)
    return view, show


def bare_picture(cube: bare.Cube) -> ipywidgets.VBox:
    """The same with the prototypes' slider."""
    return bare.with_slider(*bare_view(cube))


def twelve_bare(cube: bare.Cube) -> ipywidgets.VBox:
    """Twelve of them."""
    return bare.twelve(cube, bare_view)
