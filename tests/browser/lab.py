"""A real JupyterLab in a real, headless Chromium, for tests and benchmarks: start, open, run, watch, stop."""

import json
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

FLAGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]
QUIET = {"fetchNews": "false", "checkForUpdates": False, "doNotDisturbMode": True}
START_SECONDS = 90.0


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def _answers(url: str) -> bool:
    try:
        with urllib.request.urlopen(url, timeout=2) as response:
            return response.status == 200
    except OSError:
        return False


@contextmanager
def jupyterlab(folder: Path, *, state: Path, theme: str | None = None) -> Generator[str]:
    """Serve ``folder`` on localhost; everything that JupyterLab writes goes to ``state``. Yields the address."""
    settings = state / "settings" / "@jupyterlab" / "apputils-extension"
    settings.mkdir(parents=True, exist_ok=True)
    (settings / "notification.jupyterlab-settings").write_text(json.dumps(QUIET))
    if theme:
        (settings / "themes.jupyterlab-settings").write_text(json.dumps({"theme": theme}))
    port = _free_port()
    options = {
        "ServerApp.port": port,
        "ServerApp.ip": "127.0.0.1",
        "ServerApp.port_retries": 0,
        "ServerApp.allow_root": True,
        "IdentityProvider.token": "",
        "ServerApp.password": "",
        "ServerApp.root_dir": folder,
        "LabApp.expose_app_in_browser": True,
        "LabServerApp.extension_manager": "readonly",
        "LabApp.user_settings_dir": state / "settings",
        "LabApp.workspaces_dir": state / "workspaces",
    }
    given = [f"--{name}={value}" for name, value in options.items()]
    with _served(["jupyterlab", "--no-browser", *given], port=port, ready="api/status", state=state) as address:
        yield address


@contextmanager
def voila(notebook: Path, *, state: Path, theme: str = "light") -> Generator[str]:
    """Serve a notebook as a page without its code, on localhost. Yields the address."""
    port = _free_port()
    # An extension that needs a whole JupyterLab does not start in a page of Voila, and says so.
    options = {
        "port": port,
        "Voila.ip": "127.0.0.1",
        "theme": theme,
        "VoilaConfiguration.extension_denylist": "jupyterlab-jupytext",
    }
    given = [str(notebook), "--no-browser", *(f"--{name}={value}" for name, value in options.items())]
    with _served(["voila", *given], port=port, ready="voila/static/voila.js", state=state) as address:
        yield address


@contextmanager
def _served(module: list[str], *, port: int, ready: str, state: Path) -> Generator[str]:
    """A server of Jupyter's family that writes nothing outside ``state``, from its first answer to its end."""
    places = {
        name: str(state / name.lower())
        for name in ("JUPYTER_CONFIG_DIR", "JUPYTER_DATA_DIR", "JUPYTER_RUNTIME_DIR", "IPYTHONDIR")
    }
    with (state / "server.log").open("wb") as log:
        server = subprocess.Popen(
            [sys.executable, "-m", *module],
            env={**os.environ, **places},
            stdout=log,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
        address = f"http://127.0.0.1:{port}"
        try:
            end = time.monotonic() + START_SECONDS
            while not _answers(f"{address}/{ready}"):
                if server.poll() is not None or time.monotonic() > end:
                    raise RuntimeError((state / "server.log").read_text(errors="replace")[-3000:])
                time.sleep(0.25)
            yield address
        finally:
            _stop(server)


def _stop(server: subprocess.Popen[bytes]) -> None:
    """Politely, because a server that ends in order takes its kernels with it."""
    server.terminate()
    try:
        server.wait(timeout=20)
    except subprocess.TimeoutExpired:
        os.killpg(server.pid, signal.SIGKILL)
        server.wait()


@dataclass
class Watch:
    """What the page said and asked for."""

    errors: list[str] = field(default_factory=list)
    external: list[str] = field(default_factory=list)


@contextmanager
def chromium(executable: str, *, width: int = 1280, height: int = 1000) -> Generator[tuple[Any, Watch]]:
    """A page of a fresh headless browser that refuses every request that leaves the machine, and notes it."""
    from playwright.sync_api import sync_playwright

    watch = Watch()
    with sync_playwright() as play:
        browser = play.chromium.launch(executable_path=executable, headless=True, args=FLAGS)
        try:
            context = browser.new_context(viewport={"width": width, "height": height})
            page = context.new_page()
            page.on("console", lambda message: watch.errors.append(message.text) if message.type == "error" else None)
            page.on("pageerror", lambda error: watch.errors.append(str(error)))
            page.route("**/*", lambda route: _local_only(route, watch))
            yield page, watch
        finally:
            browser.close()


def _local_only(route: Any, watch: Watch) -> None:
    parts = urlsplit(route.request.url)
    if parts.scheme in ("data", "blob", "about", "file") or parts.hostname in ("127.0.0.1", "localhost"):
        route.continue_()
    else:
        watch.external.append(route.request.url)
        route.abort()


def open_notebook(page: Any, address: str, path: str, *, workspace: str = "test") -> None:
    """Open a notebook in a workspace of its own and wait for its kernel."""
    page.goto(f"{address}/lab/workspaces/{workspace}/tree/{path}?reset")
    page.wait_for_selector(".jp-Notebook-ExecutionIndicator[data-status='idle']", timeout=90_000)
    page.evaluate("""async () => {
      const context = jupyterapp.shell.currentWidget.sessionContext;
      await context.ready;
      await context.session.kernel.info;
    }""")
    page.wait_for_timeout(500)


# Cells outside the window are not in the page, so their state is read from JupyterLab's model of the notebook.
_STATE = """() => {
  const cells = jupyterapp.shell.currentWidget.content.widgets
    .filter(c => c.model.type === 'code' && c.model.sharedModel.source.trim());
  const outputs = cells.flatMap(c => c.model.outputs.toJSON());
  const bad = outputs.filter(o => o.output_type === 'error' || o.name === 'stderr');
  return {
    kernel: jupyterapp.shell.currentWidget.sessionContext.session?.kernel?.status ?? 'none',
    waiting: cells.filter(c => !c.model.executionCount).length,
    errors: bad.map(o => o.ename ? `${o.ename}: ${o.evalue}` : String(o.text)),
  };
}"""


def run_all(page: Any, *, timeout: float = 180.0) -> None:
    """Run all cells; an error or a warning in any of them is raised here."""
    start = "async () => { await jupyterapp.commands.execute('notebook:run-all-cells'); }"
    page.evaluate(start)
    end, idle = time.monotonic() + timeout, 0
    while (state := page.evaluate(_STATE))["waiting"]:
        if state["errors"] or time.monotonic() > end:
            break
        # On a busy machine JupyterLab now and then drops the command: an idle kernel with cells left is asked again.
        idle = idle + 1 if state["kernel"] == "idle" else 0
        if idle == 25:
            page.evaluate(start)
            idle = 0
        page.wait_for_timeout(200)
    if state["errors"] or state["waiting"]:
        raise AssertionError(f"{state['waiting']} cells are left after {timeout:.0f} s; {state['errors']}")
    page.wait_for_selector(".jp-Notebook-ExecutionIndicator[data-status='idle']", timeout=timeout * 1000)


def wait_painted(page: Any, *, at_least: int = 1, index: int = 0, timeout: float = 60.0) -> int:
    """Wait until the ``index``-th live chart has painted its ``at_least``-th answer; return which it painted."""
    page.wait_for_function(
        "([i, n]) => Number(document.querySelectorAll('.fbkit-canvas')[i]?.dataset.painted ?? 0) >= n",
        arg=[index, at_least],
        timeout=timeout * 1000,
    )
    return painted(page, index=index)


def painted(page: Any, *, index: int = 0) -> int:
    """The number of the answer that a live chart shows."""
    return int(page.evaluate("i => Number(document.querySelectorAll('.fbkit-canvas')[i].dataset.painted ?? 0)", index))


def picture_hash(page: Any, *, index: int = 0) -> str:
    """A hash of the chart's pixels."""
    script = """async i => {
      const canvas = document.querySelectorAll('.fbkit-canvas')[i].querySelector('canvas');
      const blob = await new Promise(done => canvas.toBlob(done));
      const digest = await crypto.subtle.digest('SHA-256', await blob.arrayBuffer());
      return Array.from(new Uint8Array(digest)).map(b => b.toString(16).padStart(2, '0')).join('');
    }"""
    return str(page.evaluate(script, index))


def write_notebook(path: Path, cells: list[str]) -> None:
    """A notebook of code cells for the running interpreter's kernel."""
    content = {
        "cells": [
            {
                "cell_type": "code",
                "id": f"c{i}",
                "execution_count": None,
                "metadata": {},
                "outputs": [],
                "source": source,
            }
            for i, source in enumerate(cells)
        ],
        "metadata": {"kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"}},
        "nbformat": 4,
        "nbformat_minor": 5,
    }
    path.write_text(json.dumps(content))


def paint_all(page: Any, *, timeout: float = 60.0) -> int:
    """Scroll through, so that all cells are attached, until every live chart in sight is painted; how many."""
    cells = page.locator(".jp-Notebook .jp-Cell")
    for index in range(cells.count()):
        cells.nth(index).scroll_into_view_if_needed()
        page.wait_for_timeout(80)
    page.wait_for_function(
        "() => [...document.querySelectorAll('.fbkit-canvas')].every(c => c.dataset.painted || !c.offsetParent)",
        timeout=timeout * 1000,
    )
    return int(page.evaluate("document.querySelectorAll('.fbkit-canvas').length"))


def index_of_chart(control: Any) -> int:
    """Which live chart of the page belongs to the explorer of a control."""
    script = """e => {
      const own = e.closest('.fbkit-explorer').querySelector('.fbkit-canvas');
      return [...document.querySelectorAll('.fbkit-canvas')].indexOf(own);
    }"""
    return int(control.evaluate(script))
