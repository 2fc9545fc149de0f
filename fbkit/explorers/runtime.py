"""The drawing code (Vega) that all charts of a kernel share: sent to the page once, offline."""

import gzip
import hashlib
import os
import tempfile
import threading
from contextlib import suppress
from functools import cache
from importlib.metadata import version
from pathlib import Path
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

# Compressed it is a third as long, which is most of what a page of charts costs over a slow line.
_LOADER = f"""
async function load(model) {{
  const slot = (globalThis[Symbol.for("{SLOT}")] ??= {{}});
  if (slot.vegaEmbed || slot.loading) return;
  slot.loading = true;
  const packed = new Blob([model.get("packed")]).stream().pipeThrough(new DecompressionStream("gzip"));
  const url = URL.createObjectURL(new Blob([await new Response(packed).text()], {{ type: "text/javascript" }}));
  try {{ await import(url); }} finally {{ slot.loading = false; URL.revokeObjectURL(url); }}
}}
export default {{ initialize({{ model }}) {{ return load(model); }}, render() {{}} }};
"""

_lock = threading.Lock()
_held: dict[str, Any] = {}


@cache
def _bundle() -> str:
    import vl_convert

    kept = _cache_file(version("vl-convert-python"))
    found = read_kept(kept)
    if found is None:
        found = vl_convert.javascript_bundle(_PRESENT, vl_version=VEGA_LITE)
        keep(kept, found)
    return found


def bundle() -> str:
    """The JavaScript module that holds Vega, Vega-Lite and vega-embed (about 900 kB); made once per process.

    Bundling takes more than a second, so the result is kept in the user's cache folder, under the version of
    the bundler, the hash of what is bundled, and its own checksum.
    """
    with _lock:
        return _bundle()


@cache
def _pack(text: str) -> bytes:
    return gzip.compress(text.encode(), compresslevel=6, mtime=0)


def packed() -> bytes:
    """The bundle as it goes to the page: gzip."""
    text = bundle()
    with _lock:
        return _pack(text)


def _cache_file(bundler: str) -> Path:
    base = os.environ.get("XDG_CACHE_HOME") or str(Path.home() / ".cache")
    key = hashlib.sha256(f"{bundler}\n{VEGA_LITE}\n{_PRESENT}".encode()).hexdigest()[:16]
    return Path(base) / "fbkit" / f"runtime-{key}.js"


def read_kept(path: Path) -> str | None:
    """The kept bundle, or None if there is none or its checksum does not hold."""
    try:
        head, _, body = path.read_text(encoding="utf-8").partition("\n")
    except (OSError, UnicodeDecodeError):
        return None
    return body if head == _checksum(body) else None


def keep(path: Path, text: str) -> None:
    """Write the bundle whole or not at all; a folder that cannot be written costs a second, not an error."""
    with suppress(OSError):
        path.parent.mkdir(parents=True, exist_ok=True)
        handle, name = tempfile.mkstemp(dir=path.parent, suffix=".part")
        with os.fdopen(handle, "w", encoding="utf-8", newline="\n") as file:
            file.write(f"{_checksum(text)}\n{text}")
        Path(name).replace(path)


def _checksum(text: str) -> str:
    return f"// sha256 {hashlib.sha256(text.encode()).hexdigest()}"


def prepare() -> None:
    """Start making the bundle in the background, while the numbers are computed."""
    if "thread" not in _held:
        _held["thread"] = threading.Thread(target=packed, name="fbkit-runtime", daemon=True)
        _held["thread"].start()


class Runtime(anywidget.AnyWidget):
    """Carries the bundle to the page. Nobody displays it; views find it by its page-wide slot."""

    _esm = _LOADER
    packed = traitlets.Bytes(b"").tag(sync=True)


def shared_runtime() -> Runtime:
    """The kernel's one runtime widget; a second call returns the same."""
    runtime = _held.get("runtime")
    if runtime is None or runtime.comm is None:
        runtime = _held["runtime"] = Runtime(packed=packed())
    return runtime
