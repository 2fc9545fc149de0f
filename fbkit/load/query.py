"""A database query as a log; what the environment variable holds (user, password, host) appears nowhere."""

import os
import re
import sqlite3
from pathlib import Path
from typing import NoReturn
from urllib.parse import unquote, urlsplit

import polars as pl

from fbkit.errors import InputError, MissingPartError
from fbkit.load.hashes import frame_hash
from fbkit.load.quiet import quiet
from fbkit.load.scan import Scan, Sources
from fbkit.schema.logs import SourceFile

_SCHEMES = "postgresql://..., sqlite:///FILE or duckdb:///FILE"
# The classes of SQLSTATE that speak of the connection: it broke, it was refused, there is no such database, no room.
_OF_THE_CONNECTION = ("08", "28", "3D", "53", "57P")


def scan_query(query: str, *, variable: str, root: Path, table: str) -> Scan:
    """Fetch a query's rows through Polars; the rows are sorted, because a query without ``order by`` has no order.

    Parameters
    ----------
    variable
        The name of the environment variable that holds the connection string.

    Raises
    ------
    InputError
        The variable is not set, the database cannot be reached, or the query fails. No message repeats the connection.
    MissingPartError
        The driver is not installed.
    """
    url = os.environ.get(variable)
    if not url:
        raise InputError(
            f"the environment variable that [{table}] connection_env names is not set",
            got=variable,
            allowed=_SCHEMES,
            next_step=f"export {variable}=... in the shell that runs fbkit; the contract holds only its name",
        )
    scheme = url.partition("://")[0].partition("+")[0].lower()
    in_files = {"sqlite": _sqlite, "duckdb": _duckdb}
    if scheme in ("postgresql", "postgres"):
        fetched = _postgresql(query, url=url, variable=variable, table=table)
    elif scheme in in_files:
        file = _file(url, variable=variable, root=root, table=table)
        fetched = in_files[scheme](query, file=file, url=url, table=table)
    else:
        raise InputError(
            f"the {table} log names a database that fbkit does not read",
            got=f"what {variable} holds does not begin with a known scheme",
            allowed=_SCHEMES,
            next_step="export the query to Parquet, or hand in a frame: open_loop(..., predictions=frame)",
        )
    frame = _in_order(_plain(fetched))

    def identify(_: pl.DataFrame | None) -> Sources:
        return (SourceFile(name=f"{table}/query ({variable})", sha256=frame_hash(frame), rows=frame.height),)

    def explain(error: BaseException) -> InputError:
        return InputError(
            f"the rows of the {table} query could not be used",
            got=str(error).splitlines()[0],
            allowed="columns of text, numbers, booleans or times",
            next_step="cast the columns in the query",
        )

    return Scan(table=table, frame=frame.lazy(), kind="query", identify=identify, explain=explain)


def _postgresql(query: str, *, url: str, variable: str, table: str) -> pl.DataFrame:
    try:
        from adbc_driver_manager import Error, OperationalError
        from adbc_driver_postgresql import dbapi
    except ImportError as error:
        raise MissingPartError(
            f"the {table} log is a PostgreSQL query, and its driver is not installed",
            next_step="pip install 'fbkit[database]'",
            got="no package adbc-driver-postgresql",
            allowed="adbc-driver-postgresql beside fbkit",
        ) from error
    try:
        with dbapi.connect(url) as connection:
            with connection.cursor() as cursor:
                cursor.execute("set session characteristics as transaction read only")
            connection.commit()
            with quiet():
                return pl.read_database(query, connection)
    except Error as error:
        state = str(getattr(error, "sqlstate", None) or "")
        if state.startswith(_OF_THE_CONNECTION) or (not state and isinstance(error, OperationalError)):
            _unreachable(variable, table=table, state=state)
        _failed(_masked(str(error), url=url), table=table)
    except (pl.exceptions.PolarsError, pl.exceptions.PanicException) as error:
        _failed(_masked(str(error), url=url), table=table)


def _sqlite(query: str, *, file: Path, url: str, table: str) -> pl.DataFrame:
    try:
        connection = sqlite3.connect(f"{file.as_uri()}?mode=ro", uri=True)
        try:
            return pl.read_database(query, connection, infer_schema_length=None)
        finally:
            connection.close()
    except (sqlite3.Error, pl.exceptions.PolarsError, TypeError, ValueError) as error:
        _failed(_masked(str(error), url=url, also=(str(file),)), table=table)


def _duckdb(query: str, *, file: Path, url: str, table: str) -> pl.DataFrame:
    try:
        import duckdb
    except ImportError as error:
        raise MissingPartError(
            f"the {table} log is a DuckDB query, and the package duckdb is not installed",
            next_step="pip install 'fbkit[duckdb]'",
            got="no package duckdb",
            allowed="duckdb beside fbkit",
        ) from error
    try:
        # A query must not fetch extensions over the network behind the user's back.
        with duckdb.connect(file, read_only=True, config={"autoinstall_known_extensions": "false"}) as connection:
            relation = connection.sql(query)
            if relation is None:
                _failed("the statement returns no rows", table=table)
            with quiet():
                return pl.DataFrame(relation)
    except (duckdb.Error, pl.exceptions.PolarsError, pl.exceptions.PanicException) as error:
        _failed(_masked(str(error), url=url, also=(str(file),)), table=table)


def _file(url: str, *, variable: str, root: Path, table: str) -> Path:
    """The database file: ``sqlite:///a.db`` stands beside the contract, ``sqlite:////data/a.db`` is absolute."""
    written = unquote(url.partition("://")[2].partition("?")[0])
    file = (root / written.removeprefix("/")).absolute()
    if not file.is_file():
        raise InputError(
            f"the database file of the {table} log does not exist",
            got=f"what {variable} names is not a file",
            allowed="sqlite:///FILE (relative to the contract) or sqlite:////FULL/PATH; duckdb the same",
            next_step=f"mend {variable}",
        )
    return file


def _unreachable(variable: str, *, table: str, state: str) -> NoReturn:
    raise InputError(
        f"the database of the {table} log could not be reached or refused the connection",
        got=f"what {variable} holds" + (f" (SQLSTATE {state})" if state else ""),
        allowed="a server that answers, a user that may read",
        next_step=f"try the same connection with psql; the contract holds only the name {variable}",
    ) from None


def _failed(reason: str, *, table: str) -> NoReturn:
    lines = [line for line in reason.splitlines() if line.strip()]
    raise InputError(
        f"the query of the {table} log failed",
        got=lines[0] if lines else "no reason was given",
        allowed="a query that reads rows",
        next_step=f"mend [{table}] query; a column of an unusual type needs a cast, for example id::text",
    ) from None


def _masked(text: str, *, url: str, also: tuple[str, ...] = ()) -> str:
    """The text without any piece of the connection string, decoded or not."""
    split = urlsplit(url)
    pieces = {url, split.netloc, split.path, split.path.strip("/"), *re.split(r"[:@/?&=,;]+", url.partition("://")[2])}
    pieces |= {unquote(piece) for piece in pieces} | set(also)
    for piece in sorted(filter(None, pieces), key=len, reverse=True):
        # Two letters alone would blacken half a sentence; as a name they stand in quotation marks.
        text = text.replace(piece, "***") if len(piece) > 2 else text.replace(f'"{piece}"', '"***"')
    return text


def _plain(frame: pl.DataFrame) -> pl.DataFrame:
    """Numbers and JSON of PostgreSQL arrive as extension types around their text."""
    wrapped = [name for name, dtype in frame.schema.items() if isinstance(dtype, pl.BaseExtension)]
    return frame.with_columns(frame[name].ext.storage() for name in wrapped) if wrapped else frame


def _in_order(frame: pl.DataFrame) -> pl.DataFrame:
    flat = [name for name, dtype in frame.schema.items() if not dtype.is_nested() and dtype != pl.Object]
    return frame.sort(flat, nulls_last=True, maintain_order=True) if flat else frame
