"""A private PostgreSQL server for the tests that ask for one: a socket in a temporary folder, no port, no traces."""

import os
import pwd
import shutil
import subprocess
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest

VERSIONS = Path("/usr/lib/postgresql")
HOW_TO_GET = "apt-get install postgresql"


def _program(name: str) -> str | None:
    """Debian keeps the server's programs out of the path, one folder per version."""
    found = shutil.which(name)
    if found or not VERSIONS.is_dir():
        return found
    folders = sorted(VERSIONS.iterdir(), key=lambda folder: float(folder.name), reverse=True)
    return next((str(folder / "bin" / name) for folder in folders if (folder / "bin" / name).exists()), None)


def _unprivileged() -> dict[str, Any]:
    """The server refuses to run as root."""
    if os.geteuid() != 0:
        return {}
    known = {entry.pw_name: entry.pw_gid for entry in pwd.getpwall()}
    name = "postgres" if "postgres" in known else "nobody"
    return {"user": name, "group": known[name], "extra_groups": []}


@pytest.fixture(scope="session")
def postgres() -> Iterator[Callable[[str], str]]:
    """``postgres("create table ...")`` runs statements and returns the connection string of the server."""
    initdb, control, client = (_program(name) for name in ("initdb", "pg_ctl", "psql"))
    if initdb is None or control is None or client is None:
        (pytest.fail if os.environ.get("FBKIT_REQUIRE") else pytest.skip)(f"no PostgreSQL server; {HOW_TO_GET}")
    who = _unprivileged()
    # The path of a socket may have no more than 107 characters, which pytest's own folders can exceed.
    folder = Path(tempfile.mkdtemp(prefix="fbkit-pg-"))
    if who:
        shutil.chown(folder, who["user"])

    def run(*command: str | Path) -> None:
        subprocess.run(command, check=True, capture_output=True, cwd=folder, **who)

    data, options = folder / "data", f"-F -k {folder} -c listen_addresses="
    try:
        run(initdb, "-D", data, "-U", "keeper", "--auth", "trust", "--locale", "C", "--encoding", "UTF8", "--no-sync")
        run(control, "-D", data, "-w", "-o", options, "-l", folder / "log", "start")

        def execute(statements: str) -> str:
            run(client, "-h", folder, "-U", "keeper", "-q", "-v", "ON_ERROR_STOP=1", "-c", statements, "postgres")
            return f"postgresql://keeper:open%2Fsesame@/postgres?host={quote(str(folder))}"

        yield execute
    finally:
        subprocess.run([control, "-D", data, "-m", "immediate", "stop"], check=False, capture_output=True, **who)
        shutil.rmtree(folder, ignore_errors=True)
