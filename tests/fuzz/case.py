"""One case by its number: a folder with the files as they were spoilt, and how they are handed in."""

import contextlib
import io
import json
from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from typing import Any

import polars as pl

from fbkit.load.quiet import quiet
from fbkit.schema.contract import dump_toml
from tests.fuzz.base import FRAMES, contract
from tests.fuzz.damage import ANY, OWN
from tests.fuzz.spoil import spoil
from tests.fuzz.values import VALUES

FORMATS = ("csv", "ndjson", "parquet")
TIMES = (
    None, None, None, "2024-03-08", "2024-03-08T00:00Z", "2024-03-01T00:00Z", "1900-01-01", "2200-12-31", "0001-01-01",
    "9999-12-31T23:59:59Z", "2024-03-08T00:00", "nonsense", "",
)  # fmt: skip
WINDOWS = ("0d", "-1d", "1e9d", "36500d", "1s", "", "session", "2 weeks")


@dataclass(slots=True, kw_only=True)
class Case:
    """What is written to disk, and how it will be opened."""

    how: str
    options: dict[str, Any] = field(default_factory=dict)
    files: dict[str, bytes] = field(default_factory=dict)
    rows: dict[str, int | None] = field(default_factory=dict)
    steps: list[str] = field(default_factory=list)

    def write(self, folder: Path) -> None:
        """Put the files there."""
        folder.mkdir(parents=True, exist_ok=True)
        for name, data in self.files.items():
            (folder / name).write_bytes(data)
        facts = {"how": self.how, "options": self.options, "rows": self.rows, "steps": self.steps}
        (folder / "case.json").write_text(json.dumps(facts, indent=1) + "\n")


def encode(frame: pl.DataFrame, kind: str) -> bytes | None:
    """The frame in a file format, or None where the format cannot hold it."""
    buffer = io.BytesIO()
    try:
        with quiet():
            return _written(frame, buffer, kind)
    except (pl.exceptions.PolarsError, pl.exceptions.PanicException, ValueError):
        return None


def _written(frame: pl.DataFrame, buffer: io.BytesIO, kind: str) -> bytes:
    if kind == "csv":
        return frame.write_csv(datetime_format="%Y-%m-%dT%H:%M:%S%.6fZ").encode()
    if kind == "ndjson":
        frame.write_ndjson(buffer)
    elif kind == "parquet":
        frame.write_parquet(buffer)
    else:
        frame.write_ipc(buffer)
    return buffer.getvalue()


def make(number: int) -> Case:
    """The case of this number, the same on every machine."""
    random = Random(f"case {number}")
    case = Case(how=random.choices(["contract", "dict", "guess", "frames", "command"], weights=[9, 2, 4, 4, 3])[0])
    tables = ["predictions", "outcomes"]
    tables += [] if case.how == "guess" else [name for name in ("actions", "changes") if random.random() < 0.4]
    frames = {name: FRAMES[name] for name in tables}
    content = contract()
    for name in ("actions", "changes"):
        if name not in tables:
            del content[name]
    damaged = []
    for _ in range(random.choice([1, 1, 1, 2, 2, 3])):
        table = random.choice(["predictions", "predictions", "outcomes", "outcomes", *tables])
        kind = random.random()
        if kind < 0.65 or (case.how == "frames" and kind < 0.8):
            mutation = random.choice(VALUES)
            with contextlib.suppress(
                pl.exceptions.PolarsError
            ):  # what does not fit the column's type leaves it as it is
                frames[table] = mutation(frames[table], random)
            case.steps.append(f"{table}: {mutation.__name__}")
        elif kind < 0.87:
            damaged.append(table)
        elif case.how != "guess":
            content = spoil(content, random)
            case.steps.append("contract")
    for name, frame in frames.items():
        _store(case, name, frame, random, damage=damaged.count(name))
        if case.how in ("contract", "dict", "command") and isinstance(content.get(name), dict):
            content[name].setdefault("path", next(file for file in case.files if file.startswith(name)))
    _hand_in(case, content, random)
    return case


def _store(case: Case, name: str, frame: pl.DataFrame, random: Random, *, damage: int) -> None:
    kind = "arrow" if case.how == "frames" else random.choice(FORMATS)
    data = encode(frame, kind)
    if data is None:
        kind = "arrow" if case.how == "frames" else "parquet"
        data = encode(frame, kind)
    if data is None:
        kind, data, frame = "parquet", encode(FRAMES[name], "parquet") or b"", FRAMES[name]
    case.rows[name] = None if damage else frame.height
    for _ in range(0 if case.how == "frames" else damage):
        spoiler = random.choice(ANY if random.random() < 0.5 else OWN[kind])
        data = spoiler(data, random)
        case.steps.append(f"{name}.{kind}: {spoiler.__name__}")
    case.rows[name] = frame.height if case.how == "frames" else case.rows[name]
    suffix = kind
    if kind != "arrow" and random.random() < 0.03:
        suffix = random.choice(["csv", "ndjson", "parquet", "txt", "gz", "CSV"])
        case.rows[name] = None
    case.files[f"{name}.{suffix}"] = data


def _hand_in(case: Case, content: dict[str, Any], random: Random) -> None:
    if case.how in ("contract", "command", "dict", "frames"):
        text = dump_toml(content).encode("utf-8", "surrogatepass")
        if case.how != "frames" and random.random() < 0.05:
            spoiler = random.choice(ANY)
            text = spoiler(text, random)
            case.steps.append(f"contract.toml: {spoiler.__name__}")
        case.files["contract.toml"] = text
    if case.how == "frames":
        case.options["as"] = random.choice(["polars", "lazy", "arrow", "pandas"])
    if case.how == "guess":
        case.options["window"] = random.choice(WINDOWS) if random.random() < 0.1 else "2d"
        case.options["timezone"] = random.choice(
            [None, None, None, None, "UTC", "UTC", "Europe/Berlin", "Mars/Olympus", ""]
        )
    if case.how == "command":
        guessed = random.random() < 0.4
        case.options["command"] = _arguments(case, guessed=guessed, random=random)
    case.options["as_of"] = random.choice(TIMES) if random.random() < 0.2 else None
    case.options["triage"] = random.random() < 0.12
    case.options["long"] = random.random() < 0.15


def _arguments(case: Case, *, guessed: bool, random: Random) -> list[str]:
    name = random.choice(["check", "metrics", "triage"])
    made = [name]
    if guessed:
        for log in ("predictions", "outcomes"):
            made += [f"--{log}", next(file for file in case.files if file.startswith(log))]
        made += ["--window", random.choice(WINDOWS) if random.random() < 0.1 else "2d"]
        made += ["--threshold", random.choice(["0.5", "nan", "high"])] if random.random() < 0.2 else []
    else:
        made.append("contract.toml" if random.random() < 0.9 else "nowhere")
    if name == "triage":
        made += ["--draws", random.choice(["0", "0", "5", "20", "-1", "x"])]
    as_of = random.choice(TIMES) if random.random() < 0.3 else None
    made += ["--as-of", as_of] if as_of is not None else []
    made += ["--json"] if random.random() < 0.5 else []
    return made
