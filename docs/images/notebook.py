"""Take the picture of the readme anew: the verdict and an explorer, in a real JupyterLab.

python docs/images/notebook.py
"""

import shutil
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT))
from tests.browser import lab  # noqa: E402, the driver is shared with the tests

CELLS = (
    'import fbkit as fb\n\nloop = fb.open_loop(fb.samples.path("flights_2013"))\njoined = loop.join()',
    (
        'weeks = fb.Comparison(reference="2013-05-20..2013-05-27", current="2013-05-27..2013-06-03")\n'
        "diagnosis = fb.triage(joined, weeks)\ndiagnosis"
    ),
    "fb.explore.slices(joined, weeks)",
)


def main() -> None:
    """Write ``notebook.png`` beside this file."""
    executable = shutil.which("chromium") or sys.exit("chromium is not installed")
    with tempfile.TemporaryDirectory() as name:
        work, state = Path(name) / "work", Path(name) / "state"
        work.mkdir()
        state.mkdir()
        lab.write_notebook(work / "triage.ipynb", list(CELLS))
        with lab.jupyterlab(work, state=state) as address, lab.chromium(executable, height=1420) as (page, _):
            lab.open_notebook(page, address, "triage.ipynb")
            lab.run_all(page)
            lab.paint_all(page)
            page.evaluate("async () => { await jupyterapp.commands.execute('application:toggle-left-area') }")
            page.evaluate("document.querySelector('.jp-WindowedPanel-outer')?.scrollTo(0, 0)")
            page.wait_for_timeout(1500)
            page.screenshot(path=str(Path(__file__).with_suffix(".png")))


if __name__ == "__main__":
    main()
