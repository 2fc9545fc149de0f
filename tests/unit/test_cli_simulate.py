"""`fbkit simulate`: a loop that opens, its truth beside it, and nothing ever written over."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest

import fbkit as fb
from fbkit.cli import main
from fbkit.samples.faults import FAULTS
from fbkit.samples.scenarios import SCENARIOS

Run = Callable[..., tuple[int, str, str]]
SMALL = ("--per-day", "40", "--seed", "5")


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Run:
    """Call the command line in an empty folder: exit status, standard output, standard error."""
    monkeypatch.chdir(tmp_path)

    def call(*arguments: object) -> tuple[int, str, str]:
        with pytest.raises(SystemExit) as stopped:
            main(["simulate", *map(str, arguments)])
        captured = capsys.readouterr()
        return int(stopped.value.code or 0), captured.out, captured.err

    return call


def content(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_a_scenario_becomes_a_loop_that_opens_and_a_truth_that_the_kit_does_not_read(run: Run) -> None:
    status, out, _ = run("loop", "--scenario", "drift_and_slice_loss", *SMALL)
    assert status == 0
    assert "concept_drift" in out
    joined = fb.open_loop("loop").join()
    assert joined.frame["label"].is_not_null().any()
    assert not any("truth" in name for name in content(Path("loop")))
    facts = json.loads(Path("loop.truth.json").read_text())
    assert facts["truth"]["verdict"] == "both"
    assert {fault["cause"] for fault in facts["faults"]} == {"concept_drift", "label_slice_loss"}


def test_the_same_seed_writes_the_same_bytes_and_json_says_what_the_file_says(run: Run) -> None:
    for name in ("one", "two"):
        status, out, _ = run(name, "--scenario", "healthy", *SMALL, "--json")
        assert status == 0
    assert content(Path("one")) == content(Path("two"))
    told = json.loads(out)
    assert told["predictions"] == fb.open_loop("two").join().frame.height
    assert told.items() >= json.loads(Path("two.truth.json").read_text()).items()


def test_one_cause_is_described_by_its_options(run: Run) -> None:
    options = ("--severity", 0.5, "--where", "region=EU,US", "--where", "decision=flagged", "--start", 2, "--gradual")
    status, out, _ = run("loop", "--cause", "label_slice_loss", *options, *SMALL, "--base-rate", 0.2, "--json")
    assert status == 0
    (fault,) = json.loads(out)["faults"]
    assert fault["where"] == {"region": ["EU", "US"], "decision": ["flagged"]}
    assert (fault["severity"], fault["start_day"], fault["ramp"]) == (0.5, 2, True)
    assert json.loads(out)["truth"]["observed"]["change"] < -0.01
    known = fb.open_loop("loop").join().frame["label"].drop_nulls()
    assert known.mean() == pytest.approx(0.2, abs=0.05)


def test_another_metric_has_its_own_truth(run: Run) -> None:
    run("loop", "--cause", "threshold_change", "--severity", 0.4, "--metric", "roc_auc", *SMALL)
    truth = json.loads(Path("loop.truth.json").read_text())["truth"]
    assert truth["metric"] == "roc_auc"
    assert truth["contributions"][0]["true_value"] == pytest.approx(0, abs=1e-12)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ((), "folder of the loop is missing"),
        (("loop", "--scenario", "concept_drift-mid"), "concept_drift-mild"),
        (("loop", "--cause", "mixshift", "--severity", "1"), "mix_shift"),
        (("loop", "--cause", "mix_shift"), "--severity"),
        (("loop", "--cause", "label_slice_loss", "--severity", "2"), "0.0 to 1.0"),
        (("loop", "--cause", "mix_shift", "--severity", "2", "--where", "region:EU"), "region=EU"),
        (("loop", "--cause", "mix_shift", "--severity", "2", "--where", "region=Mars"), "LATAM"),
        (("loop", "--cause", "mix_shift", "--scenario", "healthy"), "stands in place"),
        (("loop", "--scenario", "healthy", "--severity", "1"), "--cause"),
        (("loop", "--gradual"), "--cause"),
        (("loop", "--per-day", "0"), "--per-day"),
        (("loop", "--base-rate", "1.5"), "--base-rate"),
        (("loop", "--metric", "karma", *SMALL), "recall"),
    ],
)
def test_a_wrong_call_is_told_and_writes_nothing(run: Run, arguments: tuple[str, ...], said: str) -> None:
    status, out, err = run(*arguments)
    assert (status, out) == (2, "")
    assert said in err
    assert "next step" in err
    assert list(Path().iterdir()) == []


def test_nothing_is_written_over(run: Run) -> None:
    Path("mine").mkdir()
    Path("mine/notes.txt").write_text("mine")
    Path("file").write_text("mine")
    Path("told.truth.json").write_text("{}")
    before = content(Path())
    for name in ("mine", "file", "told"):
        status, _, err = run(name, *SMALL)
        assert status == 2
        assert "choose another folder" in err
    assert content(Path()) == before


def test_the_list_names_every_scenario_and_cause(run: Run) -> None:
    status, out, _ = run("--list")
    assert status == 0
    assert all(name in out for name in (*SCENARIOS, *FAULTS))
    told = json.loads(run("--list", "--json")[1])
    assert [row["name"] for row in told["scenarios"]] == list(SCENARIOS)
    assert {row["cause"] for row in told["causes"]} == set(FAULTS)
