"""``fbkit promote``: the exit status is what a deployment pipeline acts on."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from fbkit.cli import main
from fbkit.samples.versions import VersionsConfig, versions

Run = Callable[..., tuple[int, str, str]]
BOTH = ("--champion", "v1", "--challenger", "v2")


@pytest.fixture(scope="module")
def loops(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    root = tmp_path_factory.mktemp("loops")
    worlds = {
        "good": VersionsConfig(),
        "harmful": VersionsConfig(days=21, per_day=300, drop=0.15),
        "young": VersionsConfig(days=4, per_day=60),
        "slow": VersionsConfig(days=21, per_day=300, latency=(60.0, 130.0)),
        "bait": VersionsConfig(days=21, per_day=300, proxy=True, bait=0.6),
    }
    return {name: versions(config, seed=1).write(root / name) for name, config in worlds.items()}


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str]) -> Run:
    def call(*words: object) -> tuple[int, str, str]:
        with pytest.raises(SystemExit) as stopped:
            main(["promote", *map(str, words)])
        captured = capsys.readouterr()
        return int(stopped.value.code or 0), captured.out, captured.err

    return call


def test_a_version_that_holds_goes_out(run: Run, loops: dict[str, Path]) -> None:
    status, out, _ = run(loops["good"], *BOTH)
    assert status == 0
    assert out.startswith("v2 may go out: every one of 9 guardrails holds.")


def test_a_version_that_harms_a_critical_slice_does_not(run: Run, loops: dict[str, Path]) -> None:
    status, out, _ = run(loops["harmful"], *BOTH, "--json")
    facts = json.loads(out)
    assert (status, facts["allowed"], facts["failed"]) == (1, False, True)
    broken = [(row["metric"], row["slice"]) for row in facts["rows"] if row["status"] == "fail"]
    assert ("recall", "region=EU") in broken
    assert ("recall", "region=US") not in broken
    assert facts["verdict"].startswith("v2 may not go out, v1 stays: ")
    assert facts["audit"]


def test_a_slow_version_does_not(run: Run, loops: dict[str, Path]) -> None:
    status, out, _ = run(loops["slow"], *BOTH, "--json")
    rows = {(row["guard"], row["metric"]): row["status"] for row in json.loads(out)["rows"]}
    assert status == 1
    assert rows["latency", "latency_p95"] == rows["added latency", "latency_p95"] == "fail"


def test_what_cannot_be_told_stops_it_unless_allowed(run: Run, loops: dict[str, Path]) -> None:
    status, out, _ = run(loops["young"], *BOTH)
    assert status == 1
    assert "may not go out yet" in out
    assert "more labelled rows" in out
    assert run(loops["young"], *BOTH, "--allow-undecided")[0] == 0


def test_the_proxies_of_the_contract_are_looked_at(run: Run, loops: dict[str, Path]) -> None:
    status, out, _ = run(loops["bait"], *BOTH, "--json")
    rows = {row["guard"]: row["status"] for row in json.loads(out)["rows"]}
    assert (status, rows["proxy"]) == (1, "fail")
    assert json.loads(out)["proxies_unchecked"] == []


def test_the_decision_is_written(run: Run, loops: dict[str, Path], tmp_path: Path) -> None:
    status, out, _ = run(loops["good"], *BOTH, "--out", tmp_path / "p.md")
    assert status == 0
    assert "wrote" in out
    assert "**v2 may go out" in (tmp_path / "p.md").read_text(encoding="utf-8")


@pytest.mark.parametrize(
    ("options", "what"),
    [
        (("--champion", "v1", "--challenger", "v9"), "no prediction of the challenger"),
        (("--champion", "v1", "--challenger", "v1"), "the same version"),
        ((*BOTH, "--stage", "soon"), "an unknown stage"),
        ((*BOTH, "--period", "soon"), "period"),
        (("--champion", "v1"), "challenger"),
        ((*BOTH, "--out", "p.pdf"), "Markdown or HTML"),
    ],
)
def test_a_wrong_call_is_status_2_and_one_message(
    run: Run, loops: dict[str, Path], options: tuple[str, ...], what: str
) -> None:
    status, out, err = run(loops["good"], *options)
    assert (status, out) == (2, "")
    assert what in err
    assert "Traceback" not in err


def test_a_contract_without_guardrails_is_status_2(run: Run, loops: dict[str, Path], tmp_path: Path) -> None:
    text = (loops["good"] / "contract.toml").read_text(encoding="utf-8").partition("[[guardrails]]")[0]
    for name in ("predictions.parquet", "outcomes.parquet"):
        (tmp_path / name).symlink_to(loops["good"] / name)
    (tmp_path / "contract.toml").write_text(text, encoding="utf-8")
    status, _, err = run(tmp_path, *BOTH)
    assert status == 2
    assert "names no guardrail" in err


def test_split_traffic_with_lost_rows_does_not_go_out(run: Run, tmp_path: Path) -> None:
    made = versions(VersionsConfig(design="split", lost=0.3, days=21, per_day=800), seed=1)
    status, out, _ = run(made.write(tmp_path / "split"), *BOTH, "--share", "0.5")
    assert status == 1
    assert "sample-ratio mismatch" in out.splitlines()[0]
