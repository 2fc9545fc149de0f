"""Several labels and definitions on the command line."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from fbkit.cli import main

CONTRACT = """
[model]
name = "shop"
[predictions]
path = "predictions.csv"
[outcomes]
path = "outcomes.csv"
[label]
name = "purchase"
version = "2"
window = "2d"
[[label.changes]]
version = "2"
date = 2026-03-01
[[label.also]]
name = "click"
window = "1h"
[decision]
threshold = 0.5
"""
Run = Callable[..., tuple[int, str, str]]


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> Run:
    days = [f"2026-05-{1 + i % 20:02d}T0{i % 10}:" for i in range(60)]
    made = ["prediction_id,ts_pred,score", *(f"p{i},{day}00:00Z,0.{1 + i % 9}" for i, day in enumerate(days))]
    said = ["prediction_id,ts_event,label,label_name,label_version"]
    said += [f"p{i},{day}30:00Z,{i % 2},click," for i, day in enumerate(days)]
    said += [f"p{i},{day}40:00Z,{int(i % 3 == 0)},purchase,{1 + i % 2}" for i, day in enumerate(days)]
    for name, lines in (("predictions.csv", made), ("outcomes.csv", said), ("contract.toml", [CONTRACT])):
        (tmp_path / name).write_text("\n".join(lines), encoding="utf-8")

    def call(command: str, *options: str) -> tuple[int, str, str]:
        with pytest.raises(SystemExit) as stopped:
            main([command, str(tmp_path), *options])
        captured = capsys.readouterr()
        return int(stopped.value.code or 0), captured.out, captured.err

    return call


def base_rate(text: str) -> float:
    return json.loads(text)["rows"][0]["value"]


def test_a_metric_can_be_had_for_a_proxy(run: Run) -> None:
    asked = ("metrics", "--metrics", "base_rate", "--stage", "any", "--json")
    assert base_rate(run(*asked)[1]) == pytest.approx(1 / 3)
    assert base_rate(run(*asked, "--label", "click")[1]) == pytest.approx(1 / 2)
    status, _, error = run(*asked, "--label", "clik")
    assert status == 2
    assert "did you mean click" in json.loads(error)["error"]["next_step"]


def test_labels_of_another_definition_are_a_warning_and_can_be_left_out(run: Run) -> None:
    asked = ("metrics", "--metrics", "base_rate", "--stage", "any")
    status, shown, error = run(*asked)
    assert status == 0
    assert "30 of 60 labels follow another definition" in error
    assert "version 1 until 2026-03-01: 30" in error
    assert "base_rate" in shown
    facts = json.loads(run(*asked, "--json")[1])
    assert "another definition" in facts["warnings"][0]
    strict = json.loads(run(*asked, "--json", "--label-versions", "current")[1])
    assert strict["rows"][0]["n_labelled"] == 30
    assert "set aside" in strict["warnings"][0]
    items = json.loads(run("check", "--json")[1])["items"]
    assert [item["status"] for item in items if item["id"] == "versioned"] == ["failed"]
