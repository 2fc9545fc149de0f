"""The logs behind an open loop: read when they are needed, short ones as a whole, long ones in batches."""

import shutil
import tempfile
from collections.abc import Generator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import replace
from datetime import datetime
from pathlib import Path

import polars as pl

from fbkit.join.cache import Cache, cache_folder, cache_key
from fbkit.join.feedback import with_feedback
from fbkit.join.join import join
from fbkit.join.joined import Joined
from fbkit.join.stream import HashCollisionError, LazyLogs, can_stream, stream_join
from fbkit.join.table import StoredTable
from fbkit.load.columns import NUMBERS, TIMES
from fbkit.load.loop import Logs, Scans, load_scans, short_logs
from fbkit.load.outcomes import outcomes_of_label, prepare_outcomes
from fbkit.load.predictions import prepare_predictions
from fbkit.load.scan import Scan
from fbkit.schema.contract import Contract
from fbkit.schema.contract_parts import Source
from fbkit.schema.logs import SourceFile
from fbkit.schema.period import format_instant

LONG = 500_000
"""Predictions and outcomes together from which on the joined table is kept on disk, and made there where possible."""
_IN_FILES = ("parquet", "csv", "ndjson", "mixed", "delta")
_IN_BATCHES = ("parquet", "delta")
# Half a million rows of two logs do not fit in less.
_SHORT_BYTES = 4_000_000


_KEEPING: ContextVar[bool] = ContextVar("keeping", default=True)


@contextmanager
def not_kept() -> Generator[None]:
    """Tables that are made in this block are not kept on disk: there will be many, each looked at once."""
    token = _KEEPING.set(False)
    try:
        yield
    finally:
        _KEEPING.reset(token)


class OpenLogs:
    """What :class:`fbkit.session.Loop` holds: scans, and the logs once somebody asked for them."""

    def __init__(self, scans: Scans, *, contract: Contract) -> None:
        self.scans = scans
        self.contract = contract
        self._logs: Logs | None = None
        self._newest: Joined | None = None
        self._long: bool | None = None
        self._sources: tuple[SourceFile, ...] | None = None

    @property
    def logs(self) -> Logs:
        """Every log, read and checked as a whole."""
        if self._logs is None:
            self._logs = load_scans(self.scans, contract=self.contract)
        return self._logs

    @property
    def long(self) -> bool:
        """Whether the two main logs are too long to be read for every question."""
        if self._long is None:
            self._long = not self.scans.incomplete and _are_long(self.scans)
        return self._long

    def check(self) -> None:
        """Read short logs, and look at the columns of long ones.

        Raises
        ------
        InputError
            What is wrong with them, as far as it can be seen now.
        """
        if not self.long:
            self.logs  # noqa: B018 - reading them is the check
            return
        prepare_predictions(self.scans.predictions.frame.collect_schema().to_frame(), contract=self.contract)
        prepare_outcomes(self.scans.outcomes.frame.collect_schema().to_frame(), contract=self.contract)

    def columns(self) -> list[str]:
        """The columns of the prediction log under their canonical names."""
        empty = self.scans.predictions.frame.collect_schema().to_frame()
        return prepare_predictions(empty, contract=self.contract)[0].columns

    def predictions(self) -> pl.LazyFrame:
        """The predictions that passed every rule."""
        return self._now().rows.lazy() if self.long and self._logs is None else self.logs.predictions.frame.lazy()

    def account(self) -> pl.DataFrame:
        """What was read, used and refused, by log and rule."""
        if not self.long or self._logs is not None:
            return self.logs.audit
        return self._now().audit.filter(~pl.col("table").is_in(["join"]))

    def _now(self) -> Joined:
        if self._newest is None:
            self._newest = self.join(as_of=None, label=None, label_versions="any")
        return self._newest

    def join(self, *, as_of: datetime | None, label: str | None, label_versions: str) -> Joined:
        """The joined table at a time, from the cache if it was made before.

        Raises
        ------
        ArgumentError, InputError
            As :func:`fbkit.join.join.join`.
        """
        contract = self.contract if label is None else self.contract.for_label(label)
        if not self.long:
            return self._in_memory(contract, as_of=as_of, label_versions=label_versions)
        folder = cache_folder()
        cache = None if folder is None else Cache(folder)
        key = self._key(contract, as_of=as_of, label_versions=label_versions)
        found = None if cache is None else cache.find(key, contract=contract)
        if found is not None:
            return found
        # Named before it is made, so that an interrupt at any moment knows what to remove.
        room = cache.room() if cache is not None and _KEEPING.get() else Path()
        try:
            if cache is None or not room.name or not cache.make(room):
                room = Path(tempfile.mkdtemp(prefix="fbkit-"))
            joined = self._joined(contract, room, as_of=as_of, label_versions=label_versions)
            if cache is not None and room.parent == cache.folder:
                return cache.keep(key, joined, room)
        except BaseException:  # an interrupt too leaves nothing behind
            if room.name:
                shutil.rmtree(room, ignore_errors=True)
            raise
        if isinstance(joined.rows, StoredTable):
            joined.rows.tidy_up(room)
        else:
            shutil.rmtree(room, ignore_errors=True)
        return joined

    def _joined(self, contract: Contract, room: Path, *, as_of: datetime | None, label_versions: str) -> Joined:
        if can_stream(contract) and self._logs is None and self._typed() and not self._mostly_unkeyed(contract):
            try:
                short = LazyLogs(
                    predictions=self.scans.predictions,
                    outcomes=self.scans.outcomes,
                    **short_logs(self.scans, self.contract),
                )
                return stream_join(short, contract=contract, folder=room, as_of=as_of, label_versions=label_versions)
            except HashCollisionError:
                for part in room.iterdir():
                    part.unlink()
        return self._in_memory(contract, as_of=as_of, label_versions=label_versions)

    def _mostly_unkeyed(self, contract: Contract) -> bool:
        """Whether most statements carry no key: what is matched by entity is joined as a whole, in batches or not."""
        if contract.join.fallback is None:
            return False
        frame = self.scans.outcomes.frame
        names = [contract.outcomes.columns.get(key, key) for key in contract.join.keys]
        if any(name not in frame.collect_schema() for name in names):
            return True
        usable = [(pl.col(str(name)).cast(pl.String).str.strip_chars() != "").fill_null(value=False) for name in names]
        try:
            keyed, rows = frame.select(pl.all_horizontal(usable).sum(), pl.len()).collect().row(0)
        except (pl.exceptions.PolarsError, OSError) as error:
            raise self.scans.outcomes.explain(error) from error
        return keyed * 2 < rows

    def _in_memory(self, contract: Contract, *, as_of: datetime | None, label_versions: str) -> Joined:
        logs = self.logs
        if contract is not self.contract:
            logs = replace(logs, outcomes=outcomes_of_label(logs.outcomes, contract=contract))
        return with_feedback(join(logs, contract=contract, as_of=as_of, label_versions=label_versions), logs)

    def _key(self, contract: Contract, *, as_of: datetime | None, label_versions: str) -> str:
        if self._sources is None:
            with ThreadPoolExecutor(max_workers=2) as pool:
                found = list(pool.map(Scan.sources, self.scans.all))
            self._sources = tuple(source for sources in found for source in sources)
        view = {
            "as_of": None if as_of is None else format_instant(as_of),
            "label": contract.label.name,
            "versions": label_versions,
        }
        return cache_key(contract, sources={item.name: item.sha256 for item in self._sources}, view=view)

    def _typed(self) -> bool:
        """Whether no column's type depends on what stands in its rows, as it does with text that should be numbers."""
        contract = self.contract
        if any(scan.kind not in _IN_BATCHES for scan in (self.scans.predictions, self.scans.outcomes)):
            return False
        features = [name for name in contract.features.columns if name not in contract.slices.columns]
        wanted = [*TIMES["predictions"], *NUMBERS["predictions"], *features]
        return _no_text(self.scans.predictions, contract.predictions, wanted) and _no_text(
            self.scans.outcomes, contract.outcomes, [*TIMES["outcomes"], *NUMBERS["outcomes"], "value"]
        )


def _no_text(scan: Scan, source: Source, names: list[str]) -> bool:
    schema = scan.frame.collect_schema()
    for name in names:
        given = source.columns.get(name, name)
        dtype = schema.get(given if isinstance(given, str) else given[0])
        if dtype is not None and (dtype in (pl.String, pl.Categorical) or isinstance(dtype, pl.Enum)):
            return False
    return True


def _are_long(scans: Scans) -> bool:
    main = (scans.predictions, scans.outcomes)
    files = [file for scan in main for file in scan.files]
    if any(scan.kind not in _IN_FILES for scan in main):
        return False
    if all(scan.files for scan in main) and sum(_bytes(file) for file in files) < _SHORT_BYTES:
        return False
    return sum(_height(scan) for scan in main) >= LONG


def _bytes(file: Path) -> int:
    try:
        return file.stat().st_size
    except OSError:
        return 0


def _height(scan: Scan) -> int:
    try:
        return int(scan.frame.select(pl.len()).collect().item())
    except (pl.exceptions.PolarsError, OSError) as error:
        raise scan.explain(error) from error
