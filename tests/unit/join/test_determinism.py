"""Equal content, equal bytes: any row order, files, chunks, kind of frame, number of threads, and hash seed."""

import hashlib
import io
import json
import os
import random
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import polars as pl
import pytest

import fbkit as fb
from fbkit.join import opened
from fbkit.join.table import MemoryTable
from fbkit.session import Joined

SAMPLE = "recall_drop"
FALLBACK = """
[join.fallback]
entity = ["entity_id"]
rule = "earliest"
"""
# Which files were read, and how long it took, is said beside the numbers and differs by right.
BESIDE = {"seconds", "evaluation_id"}


def messy_logs() -> dict[str, pl.DataFrame]:
    """The sample's logs with lost ids, repeated rows, clashing ids, corrections, conflicts and orphans."""
    folder = fb.samples.path(SAMPLE) / "variant_a"
    predictions = pl.read_parquet(folder / "predictions" / "*.parquet", glob=True)
    outcomes = pl.read_parquet(folder / "outcomes" / "*.parquet", glob=True)
    predictions = predictions.sort("ts_pred", "prediction_id")
    outcomes = outcomes.sort("ts_event", "prediction_id")
    entity = predictions.select("prediction_id", "entity_id")
    outcomes = outcomes.join(entity, on="prediction_id", how="left", maintain_order="left")
    number = pl.int_range(pl.len())
    clashing = predictions.gather_every(997).with_columns(score=pl.lit(0.5))
    repeated = predictions.gather_every(499)
    lost = pl.when(number % 20 != 0).then("prediction_id")
    outcomes = outcomes.with_columns(lost.alias("prediction_id"))
    later = pl.col("ts_arrival") + pl.duration(hours=5)
    corrected = outcomes.gather_every(31).with_columns(label=1 - pl.col("label"), ts_arrival=later)
    contested = outcomes.gather_every(37).with_columns(label=1 - pl.col("label"))
    orphans = outcomes.gather_every(401).with_columns(prediction_id="x-" + pl.col("prediction_id"))
    strangers = outcomes.gather_every(601).with_columns(
        prediction_id=pl.lit(None, dtype=pl.String), entity_id=pl.lit("?")
    )
    said = pl.concat(
        [outcomes, corrected, contested, orphans, strangers, outcomes.gather_every(211)], how="vertical_relaxed"
    )
    actions = predictions.gather_every(5).select(
        "prediction_id",
        pl.when(number % 3 == 0).then(pl.lit("block")).otherwise(pl.lit("allow")).alias("action"),
        pl.lit(0.5).alias("propensity"),
    )
    return {"predictions": pl.concat([predictions, clashing, repeated]), "outcomes": said, "actions": actions}


@pytest.fixture(scope="module")
def logs() -> dict[str, pl.DataFrame]:
    return messy_logs()


@pytest.fixture(scope="module")
def contract() -> fb.Contract:
    text = (fb.samples.path(SAMPLE) / "variant_a" / "contract.toml").read_text(encoding="utf-8")
    return fb.Contract.from_toml(text.replace('[changes]\npath = "changes.csv"\n', "") + FALLBACK + ACTIONS)


ACTIONS = """
[actions]
blocked = ["block"]
"""


def write_loop(folder: Path, *, logs: dict[str, pl.DataFrame], contract: fb.Contract, seed: int | None) -> Path:
    """A loop on disk; with a seed its rows are shuffled and spread over files and row groups of random sizes."""
    folder.mkdir(parents=True)
    (folder / "contract.toml").write_text(contract.to_toml(), encoding="utf-8")
    for name, frame in logs.items():
        (folder / name).mkdir()
        for number, part in enumerate([frame] if seed is None else pieces(shuffled(frame, seed=seed), seed=seed)):
            size = None if seed is None else random.Random(number).choice([100, 1_000, 7_777])
            part.write_parquet(folder / name / f"{number:02}.parquet", row_group_size=size)
    return folder


def shuffled(frame: pl.DataFrame, *, seed: int) -> pl.DataFrame:
    order = list(range(frame.height))
    random.Random(seed).shuffle(order)
    return frame[order]


def pieces(frame: pl.DataFrame, *, seed: int) -> list[pl.DataFrame]:
    cuts = sorted(random.Random(seed).sample(range(1, frame.height), 6))
    return [frame[start:end] for start, end in zip([0, *cuts], [*cuts, frame.height], strict=True)]


def digest(frame: pl.DataFrame) -> str:
    buffer = io.BytesIO()
    # As plain strings: a view may lie anywhere in its buffers, which is Polars' business and no content.
    frame.rechunk().write_ipc(buffer, compat_level=pl.CompatLevel.oldest())
    return hashlib.sha256(buffer.getvalue()).hexdigest()


def said(joined: Joined) -> dict[str, str]:
    """What must not depend on how the rows came: each table as a hash of its bytes."""
    casts = pl.col("rule") != "cast"
    tables = {"frame": joined.frame, "candidates": joined.candidates, "audit": joined.audit.filter(casts)}
    return {name: digest(frame) for name, frame in tables.items()}


@pytest.fixture(scope="module")
def expected(logs: dict[str, pl.DataFrame], contract: fb.Contract) -> dict[str, str]:
    joined = fb.open_loop(contract=contract, **logs).join()
    fates = set(joined.candidates["fate"].unique())
    assert fates >= {"used", "superseded", "conflicting_label", "orphan", "not_chosen", "contradicts_action"}
    assert set(joined.audit["rule"]) >= {"duplicate_row", "conflicting_id", "by_id", "by_fallback", "no_candidate"}
    return said(joined)


@pytest.mark.parametrize("seed", range(3))
def test_row_order_and_chunks_change_no_byte(
    seed: int, logs: dict[str, pl.DataFrame], contract: fb.Contract, expected: dict[str, str]
) -> None:
    mixed = {
        name: pl.concat(pieces(shuffled(frame, seed=seed), seed=seed), rechunk=False) for name, frame in logs.items()
    }
    assert mixed["predictions"].n_chunks() == 7
    assert said(fb.open_loop(contract=contract, **mixed).join()) == expected


@pytest.mark.parametrize("seed", range(2))
def test_the_split_into_files_and_row_groups_changes_no_byte(
    seed: int, tmp_path: Path, logs: dict[str, pl.DataFrame], contract: fb.Contract, expected: dict[str, str]
) -> None:
    folder = write_loop(tmp_path / "loop", logs=logs, contract=contract, seed=seed)
    assert said(fb.open_loop(folder).join()) == expected


def test_a_long_log_of_outcomes_without_ids_is_joined_as_a_short_one(
    tmp_path: Path, logs: dict[str, pl.DataFrame], contract: fb.Contract, monkeypatch: pytest.MonkeyPatch
) -> None:
    """They cannot be matched in batches, so their rows are not written in batches either."""
    unkeyed = logs | {"outcomes": logs["outcomes"].drop("prediction_id")}
    whole = said(fb.open_loop(contract=contract, **unkeyed).join())
    folder = write_loop(tmp_path / "loop", logs=unkeyed, contract=contract, seed=5)
    monkeypatch.setattr(opened, "LONG", 0)
    monkeypatch.setattr(opened, "_SHORT_BYTES", 0)
    monkeypatch.setenv("FBKIT_CACHE", "off")
    joined = fb.open_loop(folder).join()
    assert isinstance(joined.rows, MemoryTable)
    assert said(joined) == whole


FORMS: dict[str, Callable[[pl.DataFrame], Any]] = {
    "lazy": pl.DataFrame.lazy,
    "Arrow": pl.DataFrame.to_arrow,
    "pandas": lambda frame: frame.to_pandas(),
    "pandas on Arrow": lambda frame: frame.to_pandas(use_pyarrow_extension_array=True),
}


@pytest.mark.parametrize("form", list(FORMS))
def test_the_kind_of_frame_changes_no_byte(
    form: str, logs: dict[str, pl.DataFrame], contract: fb.Contract, expected: dict[str, str]
) -> None:
    handed = {name: FORMS[form](frame) for name, frame in logs.items()}
    assert said(fb.open_loop(contract=contract, **handed).join()) == expected


SCRIPT = """
import contextlib, io, json, sys
from pathlib import Path
import fbkit as fb
from fbkit.cli import main
from fbkit.join import opened, parts, slim
from tests.unit.join.test_determinism import said, without_beside

folder = sys.argv[1]
told = said(fb.open_loop(folder).join())
calls = {
    "metrics": ["metrics", folder, "--by", "region", "--every", "1w", "--stage", "any", "--json"],
    "triage": ["triage", folder, "--metric", "recall", "--json"],
}
for name, call in calls.items():
    printed = io.StringIO()
    with contextlib.redirect_stdout(printed), contextlib.suppress(SystemExit):
        main(call)
    told[name] = json.dumps(without_beside(json.loads(printed.getvalue())))
# The same once more in small batches, as logs are joined that are long.
opened.LONG, opened._SHORT_BYTES, slim.BATCH, parts.BATCH = 0, 0, 10_000, 10_000
told["in batches"] = said(fb.open_loop(folder).join())
print(json.dumps(told))
"""


def without_beside(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: without_beside(item) for name, item in value.items() if name not in BESIDE}
    return [without_beside(item) for item in value] if isinstance(value, list) else value


def test_threads_and_hash_seeds_change_no_byte_of_tables_and_json(
    tmp_path: Path, root: Path, logs: dict[str, pl.DataFrame], contract: fb.Contract, expected: dict[str, str]
) -> None:
    whole = write_loop(tmp_path / "whole", logs=logs, contract=contract, seed=None)
    parts = write_loop(tmp_path / "parts", logs=logs, contract=contract, seed=7)
    told = []
    for folder, threads, seed in ((whole, 1, 0), (whole, 2, 1), (whole, 4, 2), (parts, 4, 3)):
        environment = os.environ | {"POLARS_MAX_THREADS": str(threads), "PYTHONHASHSEED": str(seed)}
        environment["FBKIT_CACHE"] = "off"
        call = [sys.executable, "-c", SCRIPT, str(folder)]
        done = subprocess.run(call, capture_output=True, text=True, check=True, cwd=root, env=environment)
        told.append(json.loads(done.stdout))
    assert '"verdict": ' in told[0]["triage"]
    assert '"metric": "recall"' in told[0]["metrics"]
    for other in told[1:]:
        assert other == told[0]
    assert {name: told[0][name] for name in expected} == expected
    assert told[0]["in batches"]["frame"] == expected["frame"]
