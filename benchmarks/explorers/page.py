"""JupyterLab in headless Chromium as an instrument: cells that are run one by one, key presses, paints, bytes."""

import statistics
from collections.abc import Callable, Generator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from playwright.sync_api import Error

from tests.browser import lab

# A move ends after the frame in which the changed picture was drawn: for a canvas the first text drawn that differs
# from the one before, for SVG the changed title in the document, for our own views the number of the painted answer.
HOOKS = r"""() => {
  const bench = globalThis.bench = {
    marker: null, seen: null, pressed: null, times: [], settle: [], wanted: 1, painted: new Map(),
    bytes: { in: 0, out: 0 }, wire: { sent: null, received: null }, wires: [],
  };
  bench.after = (call) => requestAnimationFrame(() => {
    const c = new MessageChannel(); c.port1.onmessage = call; c.port2.postMessage(0);
  });
  bench.done = () => {
    if (bench.pressed === null) return;
    const start = bench.pressed; bench.pressed = null;
    const { sent, received } = bench.wire;
    const drawn = performance.now();
    bench.after(() => {
      bench.wires.push([sent - start, received - sent, drawn - received, performance.now() - drawn]);
      bench.times.push(performance.now() - start);
    });
  };
  bench.text = (said) => {
    if (!bench.marker || !bench.marker.test(said) || said === bench.seen) return;
    bench.seen = said;
    bench.done();
  };
  addEventListener("keydown", () => {
    bench.pressed = performance.now(); bench.wire = { sent: null, received: null }; bench.painted.clear();
  }, true);
  const draw = CanvasRenderingContext2D.prototype.fillText;
  CanvasRenderingContext2D.prototype.fillText = function (said, ...rest) {
    bench.text(String(said));
    return draw.call(this, said, ...rest);
  };
  bench.watchSvg = (root) => {
    const look = () => { for (const t of root.querySelectorAll("svg text")) bench.text(t.textContent); };
    look();
    new MutationObserver(look).observe(root, { childList: true, subtree: true, characterData: true });
  };
  bench.watchOurs = (root, wanted) => {
    bench.wanted = wanted;
    new MutationObserver((changes) => {
      for (const { target } of changes) bench.painted.set(target, performance.now());
      if (bench.painted.size >= bench.wanted) bench.done();
    }).observe(root, { attributes: true, subtree: true, attributeFilter: ["data-painted"] });
  };
  // An act on a page of ours: from its first event to the last picture that was painted before all was quiet.
  bench.act = { start: null, last: null, charts: new Set() };
  bench.arm = (event, root) => {
    const act = bench.act = { start: null, last: null, charts: new Set() };
    const begin = () => { act.start = performance.now(); act.charts.clear(); };
    addEventListener(event, begin, { capture: true, once: true });
    bench.watcher ??= new MutationObserver((changes) => {
      const seen = changes.map((change) => change.target);
      const { act } = bench;
      bench.after(() => { act.last = performance.now(); for (const one of seen) act.charts.add(one); });
    });
    bench.watcher.observe(root, { attributes: true, subtree: true, attributeFilter: ["data-painted"] });
  };
  bench.quiet = (wait) => bench.act.start !== null && performance.now() - (bench.act.last ?? bench.act.start) > wait;
  // How many pictures of a cell are there, whoever drew them.
  bench.pictures = (root) => [...root.querySelectorAll(".jp-OutputArea canvas.marks, .jp-OutputArea svg.marks")].length;
  bench.until = (root, count, limit) => new Promise((resolve, reject) => {
    const end = performance.now() + limit;
    const look = () => {
      const ours = [...root.querySelectorAll(".fbkit-canvas")];
      const ready = ours.length ? ours.filter((c) => c.dataset.painted).length : bench.pictures(root);
      if (ready >= count) bench.after(() => resolve(performance.now()));
      else if (performance.now() > end) reject(new Error(`${ready} of ${count} pictures`));
      else requestAnimationFrame(look);
    };
    look();
  });
  const size = (data) => data?.byteLength ?? data?.size ?? new Blob([data]).size;
  globalThis.WebSocket = class extends WebSocket {
    constructor(...given) {
      super(...given);
      this.addEventListener("message", ({ data }) => {
        bench.bytes.in += size(data); bench.wire.received = performance.now();
      });
    }
    send(data) { bench.bytes.out += size(data); bench.wire.sent ??= performance.now(); super.send(data); }
  };
}"""

RUN = """async ([index, pictures, limit]) => {
  const notebook = jupyterapp.shell.currentWidget.content;
  notebook.activeCellIndex = index;
  const cell = notebook.widgets[index];
  await notebook.scrollToItem(index, 'start');
  cell.node.dataset.bench = String(index);
  bench.bytes = { in: 0, out: 0 };
  const start = performance.now();
  const ran = jupyterapp.commands.execute('notebook:run-cell').then(() => {
    const bad = cell.model.outputs.toJSON().filter(o => o.output_type === 'error');
    if (bad.length) throw new Error(`${bad[0].ename}: ${bad[0].evalue}`);
  });
  const failed = new Promise((_, reject) => ran.catch(reject));
  const painted = pictures ? await Promise.race([bench.until(cell.node, pictures, limit), failed]) - start : null;
  await ran;
  return painted;
}"""

SAID = """index => jupyterapp.shell.currentWidget.content.widgets[index].model.outputs.toJSON()
  .filter(o => o.output_type === 'stream').map(o => String(o.text)).join('')"""


class FailedError(Exception):
    """What could not be measured, in one line."""


@dataclass(frozen=True, slots=True)
class Moves:
    """Milliseconds of every move, and where they went: to the socket, in the kernel, to the picture, to the paint."""

    total: list[float]
    parts: list[list[float]]


class Notebook:
    """An opened notebook; cells are named by their number."""

    def __init__(self, page: Any) -> None:
        self.page = page

    def run(self, index: int, *, pictures: int = 0, limit: float = 60.0) -> float:
        """Run a cell; milliseconds from the command to the frame in which so many pictures are there.

        A cell that fails, or draws nothing, is a :class:`FailedError` with one line.
        """
        try:
            found = self.page.evaluate(RUN, [index, pictures, 1000 * limit])
        except Error as error:
            raise FailedError(error.message.splitlines()[0]) from error
        self.idle()
        return found or 0.0

    def said(self, index: int) -> str:
        """What a cell printed."""
        return str(self.page.evaluate(SAID, index))

    def megabytes(self) -> float:
        """What came over the websocket since the last cell was run."""
        return float(self.page.evaluate("bench.bytes.in")) / 1e6

    def idle(self) -> None:
        """Wait until the kernel and the page are quiet."""
        self.page.wait_for_function(
            "() => jupyterapp.shell.currentWidget.sessionContext.session?.kernel?.status === 'idle'", timeout=120_000
        )
        self.page.wait_for_timeout(300)

    def clear(self, index: int) -> None:
        """Take the output of a cell away, and with it its views."""
        self.page.evaluate(
            """async index => {
              jupyterapp.shell.currentWidget.content.activeCellIndex = index;
              await jupyterapp.commands.execute('notebook:clear-cell-output');
              bench.marker = null;
            }""",
            index,
        )

    def handle(self, index: int, label: str | None) -> Any:
        """The handle of the slider with this label in a cell's output; None: the first slider."""
        within = self.page.locator(f"[data-bench='{index}']")
        found = within.locator(".noUi-handle")
        if label is not None:
            found = within.locator(".widget-slider", has=self.page.locator(f"label:text-is('{label}')"))
            found = found.locator(".noUi-handle")
        return found.first

    def moves(self, index: int, *, key: str, times: int, marker: str | None, label: str | None, wanted: int) -> Moves:
        """Press a key on a slider, again and again, each time after the last move was painted."""
        root = f"document.querySelector('[data-bench=\"{index}\"] .jp-Cell-outputArea')"
        if marker is None:
            self.page.evaluate(f"wanted => bench.watchOurs({root}, wanted)", wanted)
        else:
            self.page.evaluate(
                f"marker => {{ bench.marker = new RegExp(marker); bench.seen = null; bench.watchSvg({root}); }}", marker
            )
        try:
            self.handle(index, label).focus(timeout=8000)
        except Error as error:
            raise FailedError(f"no slider {label}") from error
        self.page.evaluate("() => { bench.times = []; bench.wires = []; }")
        for move in range(times + WARM_UP):
            self.page.keyboard.press(key)
            self._moved(move + 1)
            self.page.wait_for_timeout(60)
        total, parts = self.page.evaluate("[bench.times, bench.wires]")
        return Moves(total[WARM_UP:], parts[WARM_UP:])

    def act(self, index: int, event: str, do: Callable[[], None], *, wait: float = 0.6) -> tuple[float, int]:
        """Do something; milliseconds from its first event of this kind to the last picture, and how many changed."""
        root = f"document.querySelector('[data-bench=\"{index}\"] .jp-Cell-outputArea')"
        self.page.evaluate(f"event => bench.arm(event, {root})", event)
        do()
        self.page.wait_for_function("wait => bench.quiet(wait)", arg=1000 * wait, timeout=20_000)
        start, last, charts = self.page.evaluate("[bench.act.start, bench.act.last, bench.act.charts.size]")
        return (last or start) - start, charts

    def _moved(self, count: int) -> None:
        try:
            self.page.wait_for_function("n => bench.times.length >= n", arg=count, timeout=15_000)
        except Error as error:
            raise FailedError(f"move {count} changed no picture") from error

    def heap_megabytes(self) -> float:
        """What the page holds after it was asked to clean up."""
        session = self.page.context.new_cdp_session(self.page)
        session.send("HeapProfiler.collectGarbage")
        found = session.send("Performance.enable") or session.send("Performance.getMetrics")
        session.detach()
        return next(m["value"] for m in found["metrics"] if m["name"] == "JSHeapUsedSize") / 1e6


WARM_UP = 3


@contextmanager
def session(folder: Path, chromium: str) -> Generator[tuple["Opener", lab.Watch]]:
    """One server and one browser for a whole run."""
    work, state = folder / "work", folder / "state"
    work.mkdir(parents=True)
    state.mkdir()
    with lab.jupyterlab(work, state=state) as address, lab.chromium(chromium, height=1100) as (page, watch):
        page.add_init_script(f"({HOOKS})()")
        yield Opener(page, address, work), watch


@dataclass
class Opener:
    """Opens notebooks, each with a kernel of its own."""

    page: Any
    address: str
    work: Path
    count: int = 0

    def open(self, cells: list[str]) -> Notebook:
        self.count += 1
        name = f"n{self.count}.ipynb"
        lab.write_notebook(self.work / name, cells)
        lab.open_notebook(self.page, self.address, name, workspace=f"bench{self.count}")
        return Notebook(self.page)

    def close(self) -> None:
        """Shut the opened notebook's kernel down."""
        self.page.evaluate("async () => { await jupyterapp.shell.currentWidget.sessionContext.shutdown(); }")


def quantile(values: list[float], level: float) -> float:
    """The value at a level, an observed one."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, round(level * (len(ordered) - 1)))]


def summary(rounds: list[list[float]]) -> dict[str, float]:
    """Medians over the rounds of each round's median and 95 % quantile."""
    return {
        "median": round(statistics.median(statistics.median(turn) for turn in rounds), 1),
        "high": round(statistics.median(quantile(turn, 0.95) for turn in rounds), 1),
        "moves": sum(map(len, rounds)),
    }
