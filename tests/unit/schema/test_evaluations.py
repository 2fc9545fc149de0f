"""The log of questions: appended to, never rewritten, and told when it cannot be kept."""

import json
import os
import shutil
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import polars as pl
import pytest

import fbkit as fb
from fbkit.errors import OutputError
from fbkit.schema.evaluations import EvaluationLog


@pytest.fixture
def loop_folder(tmp_path: Path) -> Path:
    folder = tmp_path / "loop"
    shutil.copytree(fb.samples.path("recall_drop") / "variant_a", folder)
    return folder


def test_every_question_is_noted_when_asked_for(loop_folder: Path) -> None:
    loop = fb.open_loop(loop_folder, log_evaluations=True)
    assert loop.evaluations is not None
    joined = loop.join()
    first = fb.metrics(joined, "recall", by="region")
    again = fb.metrics(joined, "recall", by="region")
    other = fb.metrics(joined, "precision")
    noted = loop.evaluations.read()
    assert noted["evaluation_id"].to_list() == [frame["evaluation_id"][0] for frame in (first, again, other)]
    assert noted["result"][0] == noted["result"][1] != noted["result"][2]
    assert noted["rows"].to_list() == [4, 4, 1]
    assert json.loads(noted["arguments"][0])["by"] == ["region"]
    assert set(noted["contract"]) == {loop.contract.hash}


def test_nothing_is_written_unless_asked_for(loop_folder: Path) -> None:
    before = sorted(os.listdir(loop_folder))
    fb.metrics(fb.open_loop(loop_folder).join(), "recall")
    assert sorted(os.listdir(loop_folder)) == before


def test_a_log_of_questions_holds_no_row(loop_folder: Path) -> None:
    loop = fb.open_loop(loop_folder, log_evaluations=True)
    joined = loop.join()
    fb.metrics(joined, ["recall", "brier"], by="region", every="1w")
    written = (loop_folder / "evaluations.ndjson").read_text()
    ids = joined.frame["prediction_id"].head(50).to_list() + joined.frame["entity"].drop_nulls().head(50).to_list()
    assert not [name for name in ids if f'"{name}"' in written]


def test_lines_written_at_once_do_not_mix(tmp_path: Path) -> None:
    log = EvaluationLog(tmp_path / "evaluations.ndjson")
    frame = pl.DataFrame({"a": [1]})
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda i: log.append(frame, identity=f"{i:016d}", call="x", arguments={"i": i}), range(200)))
    assert sorted(log.read()["evaluation_id"]) == [f"{i:016d}" for i in range(200)]


def test_a_line_that_is_cut_off_is_left_out_and_the_rest_is_read(tmp_path: Path) -> None:
    log = EvaluationLog(tmp_path / "evaluations.ndjson")
    log.append(pl.DataFrame({"a": [1]}), identity="one", call="x", arguments={})
    with log.path.open("a") as stream:
        stream.write('{"evaluation_id": "tw\n[1]\n')
    log.append(pl.DataFrame({"a": [1]}), identity="three", call="x", arguments={})
    assert log.read()["evaluation_id"].to_list() == ["one", "three"]


def test_a_log_that_cannot_be_kept_is_refused_when_the_loop_is_opened(loop_folder: Path, tmp_path: Path) -> None:
    target = tmp_path / "elsewhere"
    (loop_folder / "evaluations.ndjson").symlink_to(target)
    with pytest.raises(OutputError, match="evaluation log"):
        fb.open_loop(loop_folder, log_evaluations=True)
    assert not target.exists()
