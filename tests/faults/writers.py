"""A program that writes two versions of one output by turns until it is killed: ``-m tests.faults.writers NAME OUT``.

Every line on standard input forks a fresh writer, whose process id is printed once it is at work.
"""

import importlib
import json
import os
import signal
import sys
from collections.abc import Callable
from itertools import count
from pathlib import Path

import polars as pl

from fbkit.cli.interrupt import noticed
from fbkit.report.files import sha256, write_file, write_folder

Write = Callable[[Path, int], object]
SIZE = 200_000


def text(number: int) -> bytes:
    """What stands in the file in this version; long enough to be caught half-written."""
    return f"version = {number % 2}\n".encode() * (SIZE // 12)


def bundle(number: int) -> dict[str, bytes]:
    """What stands in the folder in this version; the second has one file more."""
    files = {f"figures/f{part}.svg": text(number) for part in range(4 + number % 2)} | {"incident.md": text(number)}
    listed = [{"name": name, "sha256": sha256(data)} for name, data in files.items()]
    return files | {"manifest.json": json.dumps({"files": listed}).encode()}


def _file() -> Write:
    return lambda out, number: write_file(out / "contract.toml", text(number))


def _folder() -> Write:
    return lambda out, number: write_folder(out / "incident", bundle(number))


def _page() -> Write:
    from fbkit.report.contract_page import ContractPage
    from fbkit.schema.contract import Contract

    base = {"predictions": {}, "outcomes": {}, "label": {"window": "7d"}}
    pages = [ContractPage(contract=Contract.from_dict({"model": {"name": name}} | base)) for name in ("one", "two")]
    return lambda out, number: pages[number % 2].write(out / "page.md")


def _table() -> Write:
    """The joined table as a long loop keeps it: every as-of time is an entry of its own."""
    from datetime import timedelta

    import fbkit as fb
    from fbkit.join import opened
    from tests.fuzz.base import FRAMES, START, contract

    opened.LONG = opened._SHORT_BYTES = 0
    out = Path(sys.argv[2])
    os.environ["FBKIT_CACHE"] = str(out / "cache")
    for name in ("predictions", "outcomes"):
        if not (out / f"{name}.parquet").exists():
            FRAMES[name].write_parquet(out / f"{name}.parquet")
    made = {key: value for key, value in contract().items() if key not in ("actions", "changes")}
    made = fb.Contract.from_dict(made)
    paths = {name: out / f"{name}.parquet" for name in ("predictions", "outcomes")}
    loop = fb.open_loop(contract=made, **paths)
    first = int.from_bytes(os.urandom(3))
    return lambda _, number: loop.join(as_of=START + timedelta(days=9, seconds=first + number))


WRITERS: dict[str, Callable[[], Write]] = {"file": _file, "folder": _folder, "page": _page, "table": _table}


HEAVY = {
    "table": ("fbkit.session", "fbkit.join.cache", "fbkit.join.joined", "narwhals", "fbkit.diagnose.preflight"),
    "page": ("fbkit.report.contract_page", "fbkit.schema.contract"),
}


def _work(name: str, out: Path) -> None:
    signal.signal(signal.SIGINT, signal.default_int_handler)
    with noticed() as interrupt:
        try:
            write = WRITERS[name]()
            write(out, 0)
            sys.stdout.write(f"{os.getpid()}\n")
            sys.stdout.flush()
            for number in count(1):
                write(out, number)
                if interrupt.pressed:  # and lost on its way
                    os._exit(130)
        except (Exception, KeyboardInterrupt, pl.exceptions.PanicException):  # noqa: BLE001 - it ends here, whatever it is
            # An interrupt that arrives while Polars calls back into Python comes out as its panic, or another error.
            os._exit(130 if interrupt.pressed else 1)


def main() -> None:
    """Fork a writer for every line read; print how it ended."""
    name, out = sys.argv[1], Path(sys.argv[2])
    for module in HEAVY.get(name, ()):  # once, not in every writer; no thread is started by that
        importlib.import_module(module)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    for _ in sys.stdin:
        child = os.fork()
        if child == 0:
            _work(name, out)
        _, status = os.waitpid(child, 0)
        sys.stdout.write(f"{os.waitstatus_to_exitcode(status)}\n")
        sys.stdout.flush()


if __name__ == "__main__":
    main()
