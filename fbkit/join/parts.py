"""The rows of a large prediction log in the order of the joined table, a part at a time, whatever order they lie in."""

from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from datetime import datetime
from pathlib import Path
from types import TracebackType
from typing import Self

import polars as pl

from fbkit.errors import OutputError
from fbkit.join.slim import BATCH, ROW, batches
from fbkit.load.scan import Scan

Run = tuple[pl.DataFrame, datetime | None]


def runs(scan: Scan, *, keep: pl.Series, times: pl.Series, folder: Path, name: str | None = None) -> Iterator[Run]:
    """Batches of the kept rows whose times ascend from one batch to the next.

    Yields the rows as they stand in the log, with their number in ``__row``, and the time before which every row has
    now been given; None with the last batch. Within a batch rows stand by time and, if ``name`` is given, by that.

    Parameters
    ----------
    keep, times
        By row of the log: whether it is wanted, and its ``ts_pred``.
    name
        The column that decides between rows of the same time.
    folder
        Where rows are put in between when the log is not sorted by time.
    """
    found = (
        _in_order(scan, keep=keep, times=times)
        if times.filter(keep).is_sorted()
        else _by_bucket(scan, keep=keep, times=times, folder=folder)
    )
    for rows, before in found:
        yield _sorted(rows, times.gather(rows[ROW]), name=name), before


def _sorted(rows: pl.DataFrame, times: pl.Series, *, name: str | None) -> pl.DataFrame:
    """Sorted here, rows are moved before they grow to the width of the joined table."""
    at = pl.int_range(rows.height, dtype=pl.UInt32, eager=True)
    order = at.clone() if times.is_sorted() else times.arg_sort()  # what is scattered into changes in place
    seen = times.gather(order)
    tied = ((seen == seen.shift(1)) | (seen == seen.shift(-1))).fill_null(value=False)
    if name is not None and tied.any():
        # Ids are compared only where times do not decide.
        places = tied.arg_true()
        same = pl.DataFrame({"time": seen.filter(tied), "at": order.filter(tied)})
        same = same.with_columns(rows[name].gather(same["at"]).cast(pl.String).alias("name"))
        order = order.scatter(places, same.sort("time", "name")["at"])
    return rows if (order == at).all() else rows.select(pl.all().gather(order))


def numbered(scan: Scan, *, keep: pl.Series) -> Iterator[pl.DataFrame]:
    """Batches of the kept rows as they stand in the log, with their number in ``__row``."""
    start = 0
    for batch in batches(scan):
        mask = keep.slice(start, batch.height)
        rows = batch.with_columns(pl.int_range(start, start + batch.height, dtype=pl.UInt32).alias(ROW))
        start += batch.height
        yield rows if mask.all() else rows.filter(mask)


def _in_order(scan: Scan, *, keep: pl.Series, times: pl.Series) -> Iterator[Run]:
    """A row whose time the next batch may share waits for it."""
    waiting: pl.DataFrame | None = None
    for batch in numbered(scan, keep=keep):
        if batch.is_empty():
            continue
        rows = batch if waiting is None else pl.concat([waiting, batch])
        seen = times.gather(rows[ROW])
        last = seen[-1]
        cut = int(seen.search_sorted(last, side="left"))
        waiting = rows.slice(cut)
        if cut:
            yield rows.slice(0, cut), last
    if waiting is not None:
        yield waiting, None


def _by_bucket(scan: Scan, *, keep: pl.Series, times: pl.Series, folder: Path) -> Iterator[Run]:
    """Deal the rows out to files by time, about a batch each, and take the files in order of time."""
    wanted = times.filter(keep).sort()
    limits = wanted.gather(list(range(BATCH, wanted.len(), BATCH))).unique(maintain_order=True)
    pieces: dict[int, list[Path]] = {}
    for number, batch in enumerate(numbered(scan, keep=keep)):
        bucket = limits.search_sorted(times.gather(batch[ROW]), side="right")
        dealt = batch.rechunk().select(pl.all().gather(bucket.arg_sort()))
        start = 0
        for key, height in bucket.value_counts().sort(bucket.name).iter_rows():
            file = folder / f"piece-{key:05}-{number:05}.parquet"
            dealt.slice(start, height).write_parquet(file, compression="snappy", statistics=False)
            pieces.setdefault(key, []).append(file)
            start += height
    for key in sorted(pieces):
        yield (
            pl.concat([pl.read_parquet(file) for file in pieces[key]], rechunk=True),
            limits[key] if key < len(limits) else None,
        )
        for file in pieces[key]:
            file.unlink()


class Writer:
    """Writes parts beside the work on the next one; ``parts`` are complete when the block ends.

    Raises
    ------
    OutputError
        A part cannot be written, for example because the disk is full.
    """

    def __init__(self, folder: Path, *, name: str = "part") -> None:
        self.folder = folder
        self.name = name
        self.parts: list[Path] = []
        self.height = 0
        self._pool = ThreadPoolExecutor(max_workers=1)
        self._busy: Future[None] | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            self._wait()
        finally:
            self._pool.shutdown()

    def add(self, frame: pl.DataFrame) -> None:
        """Hand over a part; at most one is waiting, so that memory stays bounded."""
        if frame.is_empty() and self.parts:  # the first part tells the columns, even without rows
            return
        self._wait()
        file = self.folder / f"{self.name}-{len(self.parts):05}.parquet"
        self.parts.append(file)
        self.height += frame.height
        self._busy = self._pool.submit(_write, frame, file)

    def _wait(self) -> None:
        busy, self._busy = self._busy, None
        if busy is not None:
            busy.result()


def _write(frame: pl.DataFrame, file: Path) -> None:
    try:
        frame.write_parquet(file, compression="snappy")
    except (OSError, pl.exceptions.PolarsError) as error:
        raise OutputError(
            "a part of the joined table could not be written",
            got=f"{file.name}: {error}",
            allowed="a folder with room for it",
            next_step="free disk space, or point FBKIT_CACHE to another disk",
        ) from error
