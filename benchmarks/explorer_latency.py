"""From a key press on the slices explorer's slider to the changed picture, in JupyterLab in headless Chromium.

python benchmarks/explorer_latency.py [--loop data_samples/flights_2013] [--moves 20]

"key to paint" runs from the key's event in the page to after the frame in which the new picture was drawn; "compute"
is the kernel's share (answer computed and handed to the page's queue). Prints medians and 95 % quantiles in ms.
"""

import argparse
import json
import shutil
import statistics
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))
from tests.browser import lab  # noqa: E402, the driver is shared with the tests

CELLS = (
    """\
import time
import fbkit as fb
joined = fb.open_loop({loop!r}).join()
started = time.perf_counter()
explorer = fb.explore.slices(joined)
built = time.perf_counter() - started
refresh, kernel = explorer.refresh, []
def timed():
    start = time.perf_counter()
    refresh()
    kernel.append(1000 * (time.perf_counter() - start))
explorer.refresh = timed
explorer
""",
    "import json\nprint('FIGURES', json.dumps({'built': built, 'kernel': kernel, 'rows': joined.frame.height}))",
)

WATCH = """() => {
  window.times = []; let pressed = null;
  document.addEventListener('keydown', () => { pressed = performance.now(); }, true);
  const after = (call) => requestAnimationFrame(() => {
    const c = new MessageChannel(); c.port1.onmessage = call; c.port2.postMessage(0);
  });
  new MutationObserver(() => {
    if (pressed === null) return;
    const start = pressed; pressed = null;
    after(() => window.times.push(performance.now() - start));
  }).observe(document.querySelector('.fbkit-canvas'), { attributes: true, attributeFilter: ['data-painted'] });
}"""


def measure(loop: Path, moves: int, chromium: str) -> dict[str, object]:
    folder = Path(tempfile.mkdtemp())
    try:
        work, state = folder / "work", folder / "state"
        work.mkdir()
        state.mkdir()
        lab.write_notebook(work / "n.ipynb", [CELLS[0].format(loop=str(loop)), CELLS[1]])
        with lab.jupyterlab(work, state=state) as address, lab.chromium(chromium) as (page, watch):
            lab.open_notebook(page, address, "n.ipynb")
            lab.run_all(page)
            lab.wait_painted(page)
            page.wait_for_timeout(2000)
            page.evaluate(WATCH)
            handle = page.locator(".fbkit-explorer .noUi-handle").first
            handle.focus()
            for move in range(moves + 2):
                page.keyboard.press("ArrowRight" if move % 2 else "ArrowLeft")
                page.wait_for_function("n => window.times.length >= n", arg=move + 1, timeout=20_000)
                page.wait_for_timeout(60)
            times = page.evaluate("window.times")[2:]
            page.locator(".jp-CodeCell").nth(1).click()
            page.evaluate("async () => { await jupyterapp.commands.execute('notebook:run-cell'); }")
            page.wait_for_function("() => document.body.innerText.includes('FIGURES {')", timeout=20_000)
            said = page.locator(".jp-OutputArea-output", has_text="FIGURES {").last.inner_text()
            figures = json.loads(said.split("FIGURES ", 1)[1])
            return {"paint": times, "errors": watch.errors + watch.external, **figures}
    finally:
        shutil.rmtree(folder)


def quantiles(values: list[float]) -> str:
    ordered = sorted(values)
    late = ordered[min(len(ordered) - 1, round(0.95 * (len(ordered) - 1)))]
    return f"median {statistics.median(ordered):.0f} ms, 95 % {late:.0f} ms, n {len(ordered)}"


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--loop", type=Path, default=ROOT / "data_samples" / "flights_2013")
    parser.add_argument("--moves", type=int, default=20)
    given = parser.parse_args()
    chromium = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    if chromium is None:
        print("chromium is missing; to get it: apt-get install chromium fonts-liberation", file=sys.stderr)
        return 2
    found = measure(given.loop.resolve(), given.moves, chromium)
    print(f"{given.loop.name}: {found['rows']:,} predictions, explorer built in {found['built']:.2f} s")
    print(f"key press to painted picture: {quantiles(found['paint'])}")
    print(f"of which the kernel computes: {quantiles(found['kernel'][2:])}")
    print(f"console errors and external requests: {len(found['errors'])}")
    return 1 if found["errors"] else 0


if __name__ == "__main__":
    raise SystemExit(main())
