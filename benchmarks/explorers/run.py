"""What a person waits for: explorers in JupyterLab in headless Chromium, beside the barest thing that draws the same.

python benchmarks/explorers/run.py [--rows 1000000] [--quick] [--only moves,twelve] [--data FOLDER] [--json]

Explorers and bare prototypes (benchmarks/explorers/prototypes.py) take turns in one notebook of one session, in
alternating order. Above two million rows the explorers open ledgers instead of joined rows. Parts:

moves   from the event of a key press on a slider to after the frame in which the changed picture was drawn
twelve  twelve charts in one output: from running the cell to the last picture, megabytes over the websocket
first   from running an explorer's cell to its picture: in a fresh kernel (the first cell that explores) and later
linked  the linked page: from an act to the last of four charts
memory  kernel (peak) and page after moves at an explorer and on the linked page
peers   size and seconds of the incident document beside those of the peers' reports, as last written to the baselines
"""

import argparse
import json
import os
import shutil
import sys
import tempfile
from collections.abc import Generator
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT))
from benchmarks.explorers import data, measures, report, whole  # noqa: E402
from benchmarks.explorers.page import session  # noqa: E402
from benchmarks.explorers.plan import Plan  # noqa: E402

PARTS = {
    "moves": measures.moves,
    "twelve": measures.twelve,
    "first": measures.first,
    "linked": whole.linked,
    "memory": whole.memory,
    "peers": whole.peers,
}
FROM_LEDGERS = 2_000_000


@contextmanager
def prepared(given: argparse.Namespace) -> Generator[Path]:
    """The folder of the data: kept where one was named, else gone afterwards."""
    place = given.data and given.data.resolve() / str(given.rows)
    holder = nullcontext(place) if place else tempfile.TemporaryDirectory(dir=os.environ.get("FBKIT_BENCH_DIR"))
    with holder as folder:
        where = Path(folder)
        if not (where / "joined").exists():
            data.make(where, rows=given.rows, ledgers=given.rows > FROM_LEDGERS)
        yield where


def figures(given: argparse.Namespace, chromium: str) -> dict[str, Any]:
    """All parts that were asked for, in one browser."""
    found: dict[str, Any] = {"rows": given.rows, "quick": given.quick}
    with prepared(given) as folder, tempfile.TemporaryDirectory() as served:
        plan = Plan(data=folder, rounds=given.rounds or (2 if given.quick else 6), quick=given.quick)
        with session(Path(served), chromium) as (opener, watch):
            for part in given.only:
                print(f"{part} ...", file=sys.stderr, flush=True)
                found[part] = PARTS[part](opener, plan)
            found["console errors"], found["external requests"] = watch.errors, watch.external
    return found


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--quick", action="store_true", help="two rounds of few moves: in minutes, and noisy")
    parser.add_argument("--rounds", type=int, help="how often all take their turn")
    parser.add_argument("--only", type=lambda text: text.split(","), default=[*PARTS], help=f"of {','.join(PARTS)}")
    parser.add_argument("--data", type=Path, help="keep the data here, and find it here next time")
    parser.add_argument("--json", action="store_true")
    given = parser.parse_args()
    if unknown := set(given.only) - PARTS.keys():
        parser.error(f"no part is called {', '.join(sorted(unknown))}")
    return given


def main() -> int:
    given = arguments()
    chromium = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    if chromium is None:
        print("chromium is missing; to get it: apt-get install chromium fonts-liberation", file=sys.stderr)
        return 2
    found = figures(given, chromium)
    print(json.dumps(found) if given.json else report.table(found))
    return 1 if found["console errors"] or found["external requests"] else 0


if __name__ == "__main__":
    raise SystemExit(main())
