"""Database queries against real databases: the same rows as from a file, and no trace of the connection string."""

import sqlite3
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import polars as pl
import pytest

import fbkit as fb
from fbkit.errors import InputError, MissingPartError
from fbkit.load.scan import Scan, scan_source
from fbkit.schema.contract_parts import Source

PREDICTIONS = """
create table predictions (id text, made_at timestamptz, score real, amount numeric(12, 2), region text, note jsonb);
insert into predictions values
  ('0002', '2026-05-01 12:30:00+02', 0.75, 12.50, 'EU', '{"a": 1}'),
  ('0001', '2026-05-01 10:00:00+00', 0.25, null, 'US', null);
create table outcomes (id text, happened timestamptz, label boolean);
insert into outcomes values ('0001', '2026-05-02 10:00:00+00', true), ('0002', '2026-05-03 10:00:00+00', false);
"""
LITE = PREDICTIONS.replace("jsonb", "text").replace("timestamptz", "text").replace("boolean", "integer")
DUCK = PREDICTIONS.replace("jsonb", "json")


def scan(query: str, root: Path = Path(), variable: str = "FBKIT_TEST_DB") -> Scan:
    return scan_source(Source(query=query, connection_env=variable), root=root, table="predictions")


@pytest.fixture(params=["postgresql", "sqlite", "duckdb"])
def database(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """A database of each kind with the same two tables; its kind."""
    kind = str(request.param)
    if kind == "postgresql":
        execute: Callable[[str], str] = request.getfixturevalue("postgres")
        url = execute(f"drop table if exists predictions; drop table if exists outcomes; {PREDICTIONS}")
    elif kind == "sqlite":
        with sqlite3.connect(tmp_path / "logs.db") as connection:
            connection.executescript(LITE)
        connection.close()
        url = "sqlite:///logs.db"
    else:
        duckdb = pytest.importorskip("duckdb")
        with duckdb.connect(tmp_path / "logs.db") as connection:
            connection.execute(DUCK)
        url = f"duckdb:///{tmp_path}/logs.db"
    monkeypatch.setenv("FBKIT_TEST_DB", url)
    return kind


def test_a_loop_in_a_database_gives_what_its_rows_say(database: str, tmp_path: Path) -> None:
    (tmp_path / "contract.toml").write_text(
        """
        [model]
        name = "from a database"
        [predictions]
        query = "select * from predictions"
        connection_env = "FBKIT_TEST_DB"
        columns = { prediction_id = "id", ts_pred = "made_at" }
        [outcomes]
        query = "select * from outcomes"
        connection_env = "FBKIT_TEST_DB"
        columns = { prediction_id = "id", ts_event = "happened" }
        [label]
        window = "7d"
        [slices]
        columns = ["region"]
        [features]
        columns = ["amount"]
        """,
        encoding="utf-8",
    )
    joined = fb.open_loop(tmp_path).join()
    assert joined.frame["prediction_id"].to_list() == ["0001", "0002"]
    assert joined.frame["score"].to_list() == [0.25, 0.75]
    assert joined.frame["amount"].to_list() == [None, 12.5]
    assert joined.frame["state"].to_list() == ["positive", "negative"]
    assert joined.frame["ts_pred"].dt.strftime("%H:%M").to_list() == ["10:00", "10:30"]
    names = [source.name for source in joined.sources]
    assert names == ["predictions/query (FBKIT_TEST_DB)", "outcomes/query (FBKIT_TEST_DB)"]
    assert fb.open_loop(tmp_path).join().evaluation_key == joined.evaluation_key


def test_the_rows_of_a_query_have_one_order_and_one_hash(database: str, tmp_path: Path) -> None:
    up, down = (scan(f"select id, score from predictions order by id {way}", tmp_path) for way in ("asc", "desc"))
    assert up.collect().equals(down.collect())
    assert up.sources() == down.sources()
    fewer = scan("select id, score from predictions where id = '0001'", tmp_path)
    assert fewer.sources()[0].sha256 != up.sources()[0].sha256


def test_a_query_that_fails_is_told_without_the_connection(database: str, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="query of the predictions log failed") as caught:
        scan("select nothing from predictions", tmp_path)
    assert "nothing" in str(caught.value.got)
    for secret in ("keeper", "sesame", str(tmp_path), "fbkit-pg-"):
        assert secret not in str(caught.value)
    assert caught.value.__suppress_context__


def test_a_query_that_would_write_is_refused_and_writes_nothing(database: str, tmp_path: Path) -> None:
    for statement in ("insert into outcomes(id) values ('9')", "delete from outcomes returning id"):
        with pytest.raises(InputError, match="query of the predictions log failed"):
            scan(statement, tmp_path)
    assert scan("select * from outcomes", tmp_path).collect().height == 2


def test_what_the_server_sends_and_polars_cannot_hold_is_our_error(
    postgres: Callable[[str], str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FBKIT_TEST_DB", postgres("select 1"))
    with pytest.raises(InputError, match=r"failed[\s\S]*cast"):
        scan("select interval '1 day' as lag")


def test_a_query_that_takes_too_long_is_the_querys_fault(
    postgres: Callable[[str], str], monkeypatch: pytest.MonkeyPatch
) -> None:
    url = postgres("select 1") + "&options=-c%20statement_timeout%3D20"
    monkeypatch.setenv("FBKIT_TEST_DB", url)
    with pytest.raises(InputError, match=r"query of the predictions log failed[\s\S]*statement timeout"):
        scan("select pg_sleep(5)")


@pytest.mark.parametrize(
    "url",
    [
        "postgresql://bob:hunter2secret@localhost:1/payments",
        "postgresql://bob:hunter2secret@127.0.0.1:1/payments?connect_timeout=2",
        "postgresql://bob:hunter2secret@/payments?host=/nonexistent-socket",
        "postgresql://bob:hunter2%zz@[bad/payments",
        "mysql://bob:hunter2secret@localhost/payments",
        "sqlite:///home/bob/payments-hunter2secret.db",
        "duckdb:////home/bob/payments-hunter2secret.db",
        "hunter2secret",
        "bob:hunter2secret@localhost",
    ],
)
def test_no_message_repeats_the_connection_string(url: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("FBKIT_TEST_DB", url)
    with pytest.raises(InputError) as caught:
        scan("select 1 as a", tmp_path)
    told = f"{caught.value}\n{caught.value.as_json()}"
    for secret in ("bob", "hunter2", "payments", "localhost", "127.0.0.1", "nonexistent"):
        assert secret not in told
    assert "FBKIT_TEST_DB" in told
    assert caught.value.__cause__ is None


def test_a_wrong_password_does_not_name_the_user(
    postgres: Callable[[str], str], monkeypatch: pytest.MonkeyPatch
) -> None:
    url = postgres("select 1").replace("keeper:", "mallory:")
    monkeypatch.setenv("FBKIT_TEST_DB", url)
    with pytest.raises(InputError, match="refused the connection") as caught:
        scan("select 1 as a")
    assert "mallory" not in str(caught.value)


def test_a_variable_that_is_not_set_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("FBKIT_TEST_DB", raising=False)
    with pytest.raises(InputError, match="is not set") as caught:
        scan("select 1")
    assert (caught.value.got, caught.value.next_step is not None) == ("FBKIT_TEST_DB", True)


@pytest.mark.parametrize(
    ("module", "url", "extra"),
    [("adbc_driver_postgresql", "postgresql://x@y/z", "database"), ("duckdb", "duckdb:///a.db", "duckdb")],
)
def test_a_missing_driver_names_the_command_that_brings_it(
    module: str, url: str, extra: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "a.db").write_bytes(b"")
    monkeypatch.setitem(sys.modules, module, None)
    monkeypatch.setenv("FBKIT_TEST_DB", url)
    with pytest.raises(MissingPartError) as caught:
        scan("select 1 as a", tmp_path)
    assert caught.value.next_step == f"pip install 'fbkit[{extra}]'"


def test_databases_and_relations_are_read_without_pyarrow_or_pandas(database: str, tmp_path: Path) -> None:
    code = """
import sys
import polars
class Absent:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in ("pyarrow", "pandas"):
            raise ImportError(name)
sys.meta_path.insert(0, Absent())
from pathlib import Path
from fbkit.load.scan import scan_source
from fbkit.schema.contract_parts import Source
source = Source(query="select * from predictions", connection_env="FBKIT_TEST_DB")
print(scan_source(source, root=Path(sys.argv[1]), table="predictions").collect().height)
"""
    done = subprocess.run([sys.executable, "-c", code, tmp_path], capture_output=True, text=True, check=False)
    assert done.stdout.strip() == "2", done.stderr


def test_values_and_columns_of_the_source_survive_a_mixed_sqlite_column(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with sqlite3.connect(tmp_path / "logs.db") as connection:
        connection.executescript("create table t (x); insert into t values (1), ('two'), (3.5);")
    connection.close()
    monkeypatch.setenv("FBKIT_TEST_DB", "sqlite:///logs.db")

    def outcome() -> Any:
        try:
            return scan("select x from t", tmp_path).collect()
        except InputError as error:
            return error

    got = outcome()
    assert isinstance(got, InputError) or got.schema["x"] == pl.String
