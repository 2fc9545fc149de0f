"""Open, join, check and measure a spoilt loop: a result with a true account, or the kit's own error, in time."""

import contextlib
import io
import json
import math
import os
import signal
import sys
import tempfile
import tomllib
import warnings
from collections.abc import Iterator
from pathlib import Path
from types import FrameType
from typing import Any

import polars as pl

import fbkit as fb
from fbkit.cli import main
from fbkit.errors import FbkitError
from fbkit.join import opened
from fbkit.load.quiet import quiet
from fbkit.schema.rules import REFUSED
from fbkit.session import Joined, Loop

SECONDS = 5
NOTHING = ("", "None")


class SlowError(Exception):
    """The case took longer than it may."""


@contextlib.contextmanager
def in_time(seconds: float = SECONDS) -> Iterator[None]:
    """Raise where the wall clock says that the body takes too long."""

    def ring(number: int, frame: FrameType | None) -> None:
        raise SlowError(f"more than {seconds} s")

    before = signal.signal(signal.SIGALRM, ring)
    signal.setitimer(signal.ITIMER_REAL, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


@contextlib.contextmanager
def silent() -> Iterator[None]:
    """Assert that nothing is written to standard error, by libraries below Python either."""
    sys.stderr.flush()
    kept = os.dup(2)
    with tempfile.TemporaryFile() as caught:
        os.dup2(caught.fileno(), 2)
        try:
            yield
        finally:
            sys.stderr.flush()
            os.dup2(kept, 2)
            os.close(kept)
        caught.seek(0)
        assert caught.read().decode(errors="replace") == ""


@contextlib.contextmanager
def taken_for_long(wanted: bool) -> Iterator[None]:
    """Let small logs go the way of large ones: in batches, by hashes, with the table on disk."""
    before = opened.LONG, opened._SHORT_BYTES
    if wanted:
        opened.LONG = opened._SHORT_BYTES = 0
    try:
        yield
    finally:
        opened.LONG, opened._SHORT_BYTES = before


def exercise(folder: Path) -> str:
    """Run the case that lies in the folder; says how it ended. Anything but the two allowed ends is raised."""
    facts = json.loads((folder / "case.json").read_text())
    long = facts["options"].get("long", False)
    with silent(), warnings.catch_warnings(), in_time(), taken_for_long(long):
        warnings.simplefilter("error")
        if facts["how"] == "command":
            return _command(folder, facts["options"]["command"])
        try:
            loop = _open(folder, how=facts["how"], options=facts["options"])
            rows = facts["rows"] if facts["how"] != "guess" else {}
            if not long:
                check_log_account(loop, rows=rows)
            joined = loop.join(as_of=facts["options"].get("as_of"))
            if long:  # reading the logs as a whole would spare the way in batches
                check_log_account(loop, rows=rows)
            check_account(joined, loop)
            if facts["how"] == "frames":
                given = pl.read_ipc(folder / "predictions.arrow")
                # In pandas NaN is how a number is missing.
                check_nothing_lost(loop, given.fill_nan(None) if facts["options"]["as"] == "pandas" else given)
            _look(joined, loop, triage=facts["options"].get("triage", False))
        except FbkitError as error:
            check_message(error)
            return f"refused: {error.code}"
    return "result"


def _open(folder: Path, *, how: str, options: dict[str, Any]) -> Loop:
    if how == "contract":
        return fb.open_loop(folder)
    if how == "dict":
        try:
            content = tomllib.loads((folder / "contract.toml").read_text())
        except (ValueError, UnicodeDecodeError):
            return fb.open_loop(folder)
        return fb.open_loop(folder, contract=fb.Contract.from_dict(content))
    names = ("predictions", "outcomes", "actions", "changes")
    found = {name: path for name in names for path in folder.glob(f"{name}.*")}
    if how == "guess":
        return fb.open_loop(**found, window=options["window"], timezone=options["timezone"])
    frames = {name: _frame(path, options["as"]) for name, path in found.items()}
    return fb.open_loop(folder, **frames)


def _frame(path: Path, kind: str) -> Any:
    frame = pl.read_ipc(path)
    if kind == "lazy":
        return frame.lazy()
    # What the other library cannot hold stays with Polars.
    with contextlib.suppress(Exception, pl.exceptions.PanicException), quiet():
        return {"arrow": frame.to_arrow, "pandas": frame.to_pandas}.get(kind, lambda: frame)()
    return frame


def check_message(error: FbkitError) -> None:
    """The error says what is wrong and what to do, in one short printable text."""
    text = str(error)
    assert all((error.what, error.got, error.allowed, error.next_step)), text
    assert len(text) < 12_000, len(text)
    assert "Traceback" not in text
    assert "panicked" not in text
    json.dumps(error.as_json())


def _rule_counts(audit: pl.DataFrame, table: str) -> dict[str, int]:
    part = (
        audit.filter((pl.col("table") == table) & (pl.col("rule") != "cast")).group_by("rule").agg(pl.col("rows").sum())
    )
    return dict(part.iter_rows())


def check_log_account(loop: Loop, *, rows: dict[str, int | None]) -> None:
    """In = used + refused for every log; what was set aside is there to be looked at."""
    logs = {"predictions": loop.logs.predictions, "outcomes": loop.logs.outcomes}
    logs |= {name: log for name in ("actions", "changes") if (log := getattr(loop.logs, name)) is not None}
    for name, log in logs.items():
        counts = _rule_counts(loop.audit, name)
        refused = {rule: number for rule, number in counts.items() if rule in REFUSED}
        assert counts["in"] == counts["used"] + sum(refused.values())
        assert counts["used"] == log.frame.height
        assert dict(log.rejects.group_by("rule").len().iter_rows()) == refused
        if rows.get(name) is not None:
            assert counts["in"] == rows[name], f"{name}: {counts['in']} rows counted, {rows[name]} written"
    frame = loop.logs.predictions.frame
    assert frame["prediction_id"].null_count() == 0
    assert frame["prediction_id"].n_unique() == frame.height
    assert frame["score"].is_finite().all()
    assert frame["ts_pred"].null_count() == 0


def check_nothing_lost(loop: Loop, given: pl.DataFrame) -> None:
    """Every number that was there is there still, or counted as unreadable: none becomes null on the quiet."""
    log, mapped = loop.logs.predictions, loop.contract.predictions.columns
    told = loop.audit.filter((pl.col("table") == "predictions") & (pl.col("rule") == "unreadable"))
    for name in {"threshold", "latency_ms"} & set(given.columns) & set(log.frame.columns):
        if name in mapped or name in str(mapped.values()):
            continue
        values = given[name].drop_nulls()
        if values.dtype in (pl.String, pl.Categorical):
            values = values.cast(pl.String).str.strip_chars()
            values = values.filter(values != "")
        kept = sum(frame[name].drop_nulls().len() for frame in (log.frame, log.rejects) if name in frame.columns)
        lost = told.filter(pl.col("detail").str.starts_with(f"{name}:"))["rows"].sum()
        assert values.len() == kept + lost, f"{name}: {values.len()} given, {kept} kept, {lost} told"


def check_account(joined: Joined, loop: Loop) -> None:
    """The states partition the predictions, every statement has its fate, and no number is undefined."""
    counts = _rule_counts(joined.audit, "join")
    states = {name: number for name, number in counts.items() if name.startswith("state_")}
    assert sum(states.values()) == counts["predictions"] == joined.frame.height
    assert joined.frame.height + counts.get("after_as_of", 0) == loop.logs.predictions.frame.height
    assert joined.candidates["statement"].n_unique() == loop.logs.outcomes.frame.height
    assert joined.frame["state"].null_count() == 0
    known = joined.frame.filter(pl.col("label").is_not_null())
    assert known["label"].is_finite().all()
    assert (known["ts_arrival"] <= joined.as_of).all() or known["ts_arrival"].null_count()
    assert str(joined.receipt(joined.frame["prediction_id"][0]))


def _look(joined: Joined, loop: Loop, *, triage: bool) -> None:
    items = loop.check() if triage else None
    assert items is None or items.height >= 9
    assert str(loop)
    if triage and joined.contract.model.task == "binary":
        diagnosis = fb.triage(joined, draws=0)
        assert diagnosis.verdict
        json.loads(diagnosis.to_json())
        assert str(diagnosis)
    names = {"binary": ["recall", "precision", "brier"], "regression": ["mae"]}.get(joined.contract.model.task, [])
    if names:
        _numbers(fb.metrics(joined, names, stage="any"))


def _numbers(frame: pl.DataFrame) -> None:
    for row in frame.iter_rows(named=True):
        value = row["value"]
        assert (value is None) == (row["reason"] is not None) or value is not None
        assert value is not None or row["reason"]
        assert row["n_labelled"] <= row["n"]
        for name in ("value", "lower", "upper", "bound_lower", "bound_upper"):
            assert row[name] is None or not math.isnan(row[name])


def _command(folder: Path, arguments: list[str]) -> str:
    """The command line ends with 0, 1 or 2; 2 says one message and nothing else."""
    out, err = io.StringIO(), io.StringIO()
    here = Path.cwd()
    os.chdir(folder)
    try:
        with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
            main(arguments)
    except SystemExit as end:
        code = end.code
    finally:
        os.chdir(here)
    assert code in (0, 1, 2), code
    assert "Traceback" not in err.getvalue()
    if code == 2:
        assert out.getvalue() == ""
        if "--json" in arguments:
            error = json.loads(err.getvalue())["error"]
            assert set(error) == {"code", "what", "got", "allowed", "next_step"}
        else:
            assert err.getvalue().startswith("fbkit: ")
            assert err.getvalue().count("fbkit: ") == 1
        return "refused: command"
    assert err.getvalue() == ""
    if "--json" in arguments:
        json.loads(out.getvalue())
    return "result"
