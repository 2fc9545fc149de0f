"""The optional extras at their lowest versions, without the packages that only developers have."""

import json
import subprocess
import tomllib
from collections.abc import Callable
from pathlib import Path

import pytest

pytestmark = pytest.mark.packaging

READ = """
import os, pathlib, sqlite3
import duckdb, polars as pl
from fbkit.errors import InputError
from fbkit.load.read import read_frame
from fbkit.load.scan import scan_source
from fbkit.schema.contract_parts import Source

here = pathlib.Path()
rows = pl.DataFrame({"prediction_id": ["001", "2"], "score": [0.25, 0.5]})

def read(**source):
    return scan_source(Source(**source), root=here, table="predictions").collect().sort("prediction_id")

def ask(url):
    os.environ["FBKIT_DB"] = url
    return read(query="select * from t", connection_env="FBKIT_DB")

rows.write_delta("lake")
assert read(path="lake").equals(rows)
with sqlite3.connect("a.db") as connection:
    connection.execute("create table t (prediction_id text, score real)")
    connection.execute("insert into t values ('001', 0.25), ('2', 0.5)")
assert ask("sqlite:///a.db").equals(rows)
with duckdb.connect("b.db") as connection:
    connection.execute("create table t as select '001' prediction_id, 0.25::double score union all select '2', 0.5")
    assert read_frame(connection.sql("from t order by 1"), table="predictions")[0].equals(rows)
assert ask("duckdb:///b.db").equals(rows)
try:
    ask("postgresql://nobody@127.0.0.1:1/nothing")
except InputError as error:
    assert "refused the connection" in str(error), error

import fbkit as fb

diagnosis = fb.triage(fb.open_loop(fb.samples.path("recall_drop") / "variant_a").join(), draws=20)
bundle = diagnosis.incident("incident", pdf=True)
assert (bundle / "incident.pdf").read_bytes().startswith(b"%PDF")
assert (bundle / "incident.docx").read_bytes().startswith(b"PK")
print("read")
"""


def test_the_extras_at_their_lowest_versions(uv: Callable[..., str], wheel: Path, tmp_path: Path, root: Path) -> None:
    project = tomllib.loads((root / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    optional = project["optional-dependencies"]
    extras = [item for name in ("delta", "database", "duckdb", "pdf") for item in optional[name]]
    uv("venv", "--quiet", "--no-project", tmp_path / "env")
    python = tmp_path / "env" / "bin" / "python"
    lowest = ("--resolution", "lowest-direct", *project["dependencies"], *extras)
    uv("pip", "install", "--quiet", "--python", python, *lowest, wheel)
    installed = {item["name"] for item in json.loads(uv("pip", "list", "--python", python, "--format", "json"))}
    assert installed & {"pyarrow", "sqlalchemy"} == set()
    done = subprocess.run([python, "-c", READ], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.stdout.strip() == "read", done.stderr
