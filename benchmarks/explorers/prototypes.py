"""What an explorer costs at least: one aggregate, one slider, one picture, drawn in four ways and nothing else.

A million predictions become a table of counts by day and bin of the score (about 23,000 lines) once. A move of the
slider sums what lies at or above the threshold and draws recall by day: about 120 rows.
"""

from collections.abc import Callable
from functools import cache
from typing import Any

import altair as alt
import anywidget
import ipywidgets
import numpy as np
import polars as pl
import traitlets
import vl_convert
from IPython.display import display

VEGA_LITE = "6.4"
BINS = 190

PRESENT = """
const slot = (globalThis[Symbol.for("bench.runtime")] ??= {});
slot.ready ??= new Promise((resolve) => { slot.resolve = resolve; });
slot.resolve({ vegaEmbed });
export default { render() {} };
"""
VIEW = """
const slot = (globalThis[Symbol.for("bench.runtime")] ??= {});
slot.ready ??= new Promise((resolve) => { slot.resolve = resolve; });
async function render({ model, el }) {
  const { vegaEmbed } = await slot.ready;
  const spec = structuredClone(model.get("spec"));
  const state = model.get("state");
  spec.data = { name: "rows", values: state.rows };
  spec.params[0].value = state.said;
  const { view } = await vegaEmbed(el, spec, { actions: false, renderer: "canvas" });
  model.on("change:state", () => {
    const { said, rows } = model.get("state");
    view.signal("said", said).data("rows", rows).runAsync();
  });
}
export default { render };
"""


class Cube:
    """Counts by day and bin of the score."""

    def __init__(self, frame: pl.DataFrame) -> None:
        self.edges = np.quantile(frame["score"].to_numpy(), np.linspace(0, 1, BINS + 1)[1:-1])
        at = pl.lit(pl.Series(self.edges)).search_sorted(pl.col("score"), side="right").alias("bin")
        keys = [pl.col("ts_pred").dt.truncate("1d").alias("day"), at]
        self.lines = frame.group_by(keys).agg(
            (pl.col("label") == 1).sum().alias("positives"), pl.col("label").count().alias("labelled")
        )

    def rows(self, threshold: float) -> list[dict[str, Any]]:
        lowest = int(np.searchsorted(self.edges, threshold, side="right"))
        found = pl.col("positives").filter(pl.col("bin") >= lowest).sum()
        by_day = self.lines.group_by("day").agg((found / pl.col("positives").sum()).alias("recall")).sort("day")
        days = by_day["day"].dt.strftime("%Y-%m-%dT%H:%M:%SZ")
        return [{"day": day, "recall": recall} for day, recall in zip(days, by_day["recall"], strict=True)]


def said(threshold: float) -> str:
    return f"recall, threshold {threshold:.3f}"


def drawn(data: Any, *params: Any, title: Any, value: str = "recall:Q") -> Any:
    """The picture, of rows or of a named table."""
    chart = alt.Chart(data, title=alt.Title(title)).mark_line(point=True)
    chart = chart.encode(x=alt.X("day:T"), y=alt.Y(value, scale=alt.Scale(domain=[0, 1])), tooltip=["day:T", value])
    chart = chart.properties(width=560, height=260)
    return chart.add_params(*params) if params else chart


class Runtime(anywidget.AnyWidget):
    _esm = traitlets.Unicode().tag(sync=True)


class Thin(anywidget.AnyWidget):
    _esm = VIEW
    spec = traitlets.Dict().tag(sync=True)
    state = traitlets.Dict().tag(sync=True)


@cache
def runtime() -> Runtime:
    """The drawing code of all thin views."""
    return Runtime(_esm=bundle())


@cache
def bundle() -> str:
    return vl_convert.javascript_bundle(PRESENT, vl_version=VEGA_LITE)


@cache
def offline() -> None:
    alt.JupyterChart.enable_offline()
    alt.renderers.enable("jupyter", offline=True)


def prepare() -> None:
    """Bundle the JavaScript, which each way needs once per machine."""
    bundle()
    offline()


def slider() -> ipywidgets.FloatSlider:
    return ipywidgets.FloatSlider(value=0.3, min=0.0, max=1.0, step=0.005, description="threshold")


def with_slider(shown: Any, move: Callable[[float], None]) -> ipywidgets.VBox:
    control = slider()
    control.observe(lambda change: move(change["new"]), names="value")
    return ipywidgets.VBox([control, shown])


def thin_view(cube: Cube) -> tuple[Thin, Callable[[float], None]]:
    runtime()
    title = alt.param(name="said", value="")
    spec = drawn(alt.NamedData("rows"), title, title=alt.expr("said")).to_dict()

    def state(threshold: float) -> dict[str, Any]:
        return {"said": said(threshold), "rows": cube.rows(threshold)}

    view = Thin(spec=spec, state=state(0.3))
    return view, lambda threshold: view.set_trait("state", state(threshold))


def thin(cube: Cube) -> ipywidgets.VBox:
    """(t) A widget of our own that owns a canvas; the drawing code is shared, rows are exchanged in place."""
    return with_slider(*thin_view(cube))


def param_chart(cube: Cube) -> tuple[Any, Callable[[float], None]]:
    offline()

    def state(threshold: float) -> dict[str, Any]:
        return {"said": said(threshold), "values": [row["recall"] for row in cube.rows(threshold)]}

    rows = [{"day": row["day"], "i": i} for i, row in enumerate(cube.rows(0.3))]
    moved = alt.param(name="moved", value=state(0.3))
    chart = drawn(alt.Data(values=rows), moved, title=alt.expr("moved.said"))
    chart = chart.transform_calculate(recall="moved.values[datum.i]")
    view = alt.JupyterChart(chart, embed_options={"renderer": "canvas", "actions": False})
    return view, lambda threshold: setattr(view.params, "moved", state(threshold))


def param(cube: Cube) -> ipywidgets.VBox:
    """(b) Altair's own widget; the values travel through a parameter of the chart."""
    return with_slider(*param_chart(cube))


def rebuilt(cube: Cube, *, renderer: str) -> ipywidgets.VBox:
    """(a) Altair's own widget; every move builds the chart anew and replaces its specification."""
    offline()

    def chart(threshold: float) -> Any:
        return drawn(alt.Data(values=cube.rows(threshold)), title=said(threshold))

    view = alt.JupyterChart(chart(0.3), embed_options={"renderer": renderer, "actions": False})
    return with_slider(view, lambda threshold: view.set_trait("chart", chart(threshold)))


def redisplayed(cube: Cube) -> ipywidgets.VBox:
    """(d) Every move clears an output and displays a chart in it."""
    offline()
    out = ipywidgets.Output()

    def show(threshold: float) -> None:
        with out:
            out.clear_output(wait=True)
            display(drawn(alt.Data(values=cube.rows(threshold)), title=said(threshold)))

    show(0.3)
    return with_slider(out, show)


def twelve(cube: Cube, make: Callable[[Cube], tuple[Any, Any]]) -> ipywidgets.VBox:
    """Twelve charts in one output."""
    return ipywidgets.VBox([make(cube)[0] for _ in range(12)])
