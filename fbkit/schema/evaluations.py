"""The evaluation log: one line for every result frame that a loop was asked for, kept beside it when asked."""

import hashlib
import json
import os
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

import polars as pl

from fbkit.errors import OutputError

FILE: Final = "evaluations.ndjson"
_LARGEST_LINE: Final = 4000
_DIGITS: Final = 10


class EvaluationLog:
    """Questions in the order they were asked, appended to a file of JSON lines; what stands there is never changed.

    A line holds at (UTC), evaluation_id, call, arguments, contract, as_of, evaluation_key, rows and result (SHA-256 of
    the frame as CSV, ten significant digits): equal ids must have equal results. Arguments are the question as asked;
    no row of a log is in it.
    """

    __slots__ = ("_about", "path")

    def __init__(self, path: Path, *, about: Mapping[str, str] | None = None) -> None:
        self.path = path
        self._about = dict(about or {})

    def of(self, **about: str) -> "EvaluationLog":
        """The same file, for one joined table."""
        return EvaluationLog(self.path, about=about)

    def check(self) -> None:
        """Make the file if it is not there.

        Raises
        ------
        OutputError
            It cannot be written.
        """
        self._append("")

    def append(self, frame: pl.DataFrame, *, identity: str, call: str, arguments: Mapping[str, object]) -> None:
        """Write one line, whole: two programs that append at once do not mix theirs.

        Raises
        ------
        OutputError
            The file cannot be written.
        """
        written = json.dumps(dict(arguments), default=str, sort_keys=True)
        line = {
            "at": datetime.now(UTC).isoformat(timespec="seconds"),
            "evaluation_id": identity,
            "call": call,
            "arguments": json.loads(written) if len(written) <= _LARGEST_LINE else written[:_LARGEST_LINE],
            **self._about,
            "rows": frame.height,
            "result": hashlib.sha256(_settled(frame).write_csv().encode()).hexdigest(),
        }
        self._append(json.dumps(line) + "\n")

    def read(self) -> pl.DataFrame:
        """The lines as a frame: at, evaluation_id, call, arguments (JSON), contract, as_of, rows, result.

        A line that is no JSON (cut off by a full disk, or edited) is left out; so is one without an id.
        """
        names = ("at", "evaluation_id", "call", "arguments", "contract", "as_of", "evaluation_key", "rows", "result")
        lines: list[dict[str, object]] = []
        text = self.path.read_text(encoding="utf-8", errors="replace") if self.path.exists() else ""
        for line in text.splitlines():
            try:
                found = json.loads(line)
            except json.JSONDecodeError:
                continue
            if isinstance(found, dict) and "evaluation_id" in found:
                lines.append({name: _text(found.get(name)) for name in names})
        return pl.DataFrame(lines, schema=dict.fromkeys(names, pl.String)).with_columns(
            pl.col("rows").cast(pl.Int64, strict=False)
        )

    def _append(self, line: str) -> None:
        flags = os.O_APPEND | os.O_CREAT | os.O_WRONLY | getattr(os, "O_NOFOLLOW", 0)
        try:
            handle = os.open(self.path, flags, 0o644)
            try:
                os.write(handle, line.encode())
            finally:
                os.close(handle)
        except OSError as error:
            raise OutputError(
                "the evaluation log cannot be written",
                got=f"{self.path.name}: {error.strerror or error}",
                allowed="a file beside the contract that may be appended to, not a link",
                next_step="open the loop without log_evaluations, or make its folder writable",
            ) from error


def _settled(frame: pl.DataFrame) -> pl.DataFrame:
    """The frame as exports write it: sums of many threads may differ in the last digits."""
    floats = [name for name, dtype in frame.schema.items() if dtype.is_float()]
    nested = [name for name, dtype in frame.schema.items() if dtype.is_nested()]
    return frame.drop(nested).with_columns(pl.col(floats).round_sig_figs(_DIGITS))


def _text(value: object) -> str | None:
    return value if value is None or isinstance(value, str) else json.dumps(value, sort_keys=True)
