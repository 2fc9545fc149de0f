"""The drawing code (Vega) that all charts of a kernel share: sent to the page once, offline."""

import threading
from functools import cache
from typing import Any

import anywidget
import traitlets

from fbkit.charts.render import VEGA_LITE

SLOT = f"fbkit.runtime.vl{VEGA_LITE}"

_PRESENT = f"""
const slot = (globalThis[Symbol.for("{SLOT}")] ??= {{}});
slot.ready ??= new Promise((resolve) => {{ slot.resolve = resolve; }});
slot.vegaEmbed = vegaEmbed;
slot.resolve?.({{ vegaEmbed }});
export default {{ render() {{}} }};
"""

_lock = threading.Lock()
_held: dict[str, Any] = {}


@cache
def _bundle() -> str:
    import vl_convert

    return vl_convert.javascript_bundle(_PRESENT, vl_version=VEGA_LITE)


def bundle() -> str:
    """The JavaScript module that holds Vega, Vega-Lite and vega-embed (about 900 kB); made once per process."""
    with _lock:
        return _bundle()


def prepare() -> None:
    """Start making the bundle in the background, while the numbers are computed."""
    if "thread" not in _held:
        _held["thread"] = threading.Thread(target=bundle, name="fbkit-runtime", daemon=True)
        _held["thread"].start()


class Runtime(anywidget.AnyWidget):
    """Carries the bundle to the page. Nobody displays it; views find it by its page-wide slot."""

    _esm = traitlets.Unicode("export default { render() {} };").tag(sync=True)


def shared_runtime() -> Runtime:
    """The kernel's one runtime widget; a second call returns the same."""
    runtime = _held.get("runtime")
    if runtime is None or runtime.comm is None:
        runtime = _held["runtime"] = Runtime(_esm=bundle())
    return runtime
