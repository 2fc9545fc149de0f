"""A frame in memory as a log: Polars eager or lazy, pandas, Arrow, a DuckDB relation, or what narwhals understands."""

from typing import Any

import polars as pl

from fbkit.errors import InputError
from fbkit.load.files import UNREADABLE
from fbkit.load.hashes import frame_hash
from fbkit.load.quiet import quiet
from fbkit.load.scan import Scan, Sources
from fbkit.schema.logs import SourceFile


def scan_frame(data: Any, *, table: str) -> Scan:
    """Accept a frame that was handed in; a lazy one stays lazy, everything else becomes Polars.

    Raises
    ------
    InputError
        It is no frame, its query fails, or a column holds Python objects.
    """
    frame = data if isinstance(data, pl.LazyFrame) else _to_polars(data, table=table).lazy()
    try:
        schema = frame.collect_schema()
    except UNREADABLE as error:
        raise _not_collected(error, table=table) from error
    objects = [name for name, dtype in schema.items() if dtype == pl.Object]
    if objects:
        raise InputError(
            f"the {table} log holds Python objects",
            got=", ".join(objects),
            allowed="columns of text, numbers, booleans or times",
            next_step="cast these columns or drop them",
        )

    def identify(collected: pl.DataFrame | None) -> Sources:
        rows = scan.collect() if collected is None else collected
        return (SourceFile(name=f"{table} (frame)", sha256=frame_hash(rows), rows=rows.height),)

    def explain(error: BaseException) -> InputError:
        return _not_collected(error, table=table)

    scan = Scan(table=table, frame=frame, kind="frame", identify=identify, explain=explain)
    return scan


def _not_collected(error: BaseException, *, table: str) -> InputError:
    lines = str(error).splitlines()
    return InputError(
        f"the lazy {table} log could not be collected",
        got=lines[0] if lines else type(error).__name__,
        next_step="collect it yourself to see where it fails",
        allowed="a lazy frame that collects",
    )


def _to_polars(data: Any, *, table: str) -> pl.DataFrame:
    if isinstance(data, pl.DataFrame):
        return data
    import narwhals as nw  # for other libraries' frames only
    from narwhals.dependencies import is_duckdb_relation

    if is_duckdb_relation(data):
        return _from_duckdb(data, table=table)
    try:
        native = nw.from_native(data)
        eager = native.collect() if isinstance(native, nw.LazyFrame) else native
        return eager.to_polars()
    except (TypeError, ValueError) as error:
        raise InputError(
            f"the {table} log is not a data frame",
            got=type(data).__name__,
            allowed="a Polars, pandas or Arrow frame, a DuckDB relation, or a path",
            next_step="convert it to one of these",
        ) from error


def _from_duckdb(relation: Any, *, table: str) -> pl.DataFrame:
    import duckdb

    try:
        with quiet():
            return pl.DataFrame(relation)
    except (duckdb.Error, pl.exceptions.PolarsError, pl.exceptions.PanicException) as error:
        raise InputError(
            f"the DuckDB relation of the {table} log could not be read",
            got=str(error).splitlines()[0],
            next_step="run relation.show() to see where it fails",
            allowed="a relation that can be fetched",
        ) from error
