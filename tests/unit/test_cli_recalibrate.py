"""`fbkit recalibrate`: a map that is written, an exit status a pipeline can use, and 2 for a wrong call."""

import json
from pathlib import Path

import pytest

import fbkit as fb
from fbkit.cli import main
from fbkit.measure.recalibration_map import RecalibrationMap

LOOP = fb.samples.path("recall_drop") / "variant_a"
FIT, JUDGE = "2026-08-31..2026-09-14", "2026-09-14..2026-09-28"


def run(capsys: pytest.CaptureFixture[str], *words: object) -> tuple[int, str, str]:
    with pytest.raises(SystemExit) as ended:
        main([str(word) for word in words])
    said = capsys.readouterr()
    return int(ended.value.code or 0), said.out, said.err


def test_a_better_map_is_written_and_told(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "out"
    words = ("recalibrate", LOOP, "--fit", FIT, "--judge", JUDGE, "--method", "platt", "--out", out)
    status, text, _ = run(capsys, *words)
    assert (status, "Better: the Brier score falls" in text) == (0, True)
    assert RecalibrationMap.open(out / "map.json").fit_period == FIT
    status, text, _ = run(capsys, *words, "--json")
    facts = json.loads(text)
    assert (status, facts["worse"], facts["method"]) == (0, False, "platt")
    assert {row["metric"] for row in facts["rows"]} >= {"brier", "mcb", "ece", "smooth_ece", "log_loss", "roc_auc"}
    assert facts["sql"].strip() == (out / "map.sql").read_text().strip()


def test_a_worse_map_is_exit_status_one(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    few = "2026-08-31..2026-08-31T06:00Z"
    words = ("recalibrate", LOOP, "--fit", few, "--judge", JUDGE, "--out", tmp_path / "out", "--quiet")
    status, text, _ = run(capsys, *words)
    assert (status, "Do not deploy" in text) == (1, True)


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (("--fit", FIT, "--judge", FIT), "not judged on the rows"),
        (("--fit", "2020-01-01..2020-02-01", "--judge", JUDGE), "nothing to fit"),
        (("--fit", "yesterday", "--judge", JUDGE), "period"),
        (("--fit", FIT), "--judge"),
        (("--fit", FIT, "--judge", JUDGE, "--method", "beta"), "isotonic"),
    ],
)
def test_a_wrong_call_is_exit_status_two(
    words: tuple[str, ...], told: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    status, out, said = run(capsys, "recalibrate", LOOP, *words, "--out", tmp_path / "out")
    assert (status, out, told in said) == (2, "", True)
    assert not (tmp_path / "out").exists()


def test_a_folder_with_other_files_is_left_alone(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "notes.txt").write_text("mine")
    status, _, said = run(capsys, "recalibrate", LOOP, "--fit", FIT, "--judge", JUDGE, "--out", tmp_path)
    assert (status, "notes.txt" in said) == (2, True)
    assert (tmp_path / "notes.txt").read_text() == "mine"
