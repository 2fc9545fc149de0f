"""`fbkit contract`: a draft that opens, a page, two contracts compared, a gate for CI; never an overwritten file."""

import json
import tomllib
from collections.abc import Callable
from pathlib import Path

import pytest

import fbkit as fb
from fbkit.cli import main
from fbkit.schema.contract import Contract

Run = Callable[..., tuple[int, str, str]]
FLIGHTS = fb.samples.path("flights_2013")
DROP = fb.samples.path("recall_drop") / "variant_a"
TEXT = """
[model]
name = "fraud"
owners = ["risk"]
[predictions]
[outcomes]
[label]
version = "1"
window = "90d"
[features]
columns = ["spend"]
[features.definitions.spend]
version = "1"
definition = "sum of payments"
"""


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Run:
    """Call the command line in an empty folder: exit status, standard output, standard error."""
    monkeypatch.chdir(tmp_path)

    def call(*arguments: object) -> tuple[int, str, str]:
        with pytest.raises(SystemExit) as stopped:
            main(["contract", *map(str, arguments)])
        captured = capsys.readouterr()
        return int(stopped.value.code or 0), captured.out, captured.err

    return call


def two(old: str, new: str) -> tuple[Path, Path]:
    Path("old.toml").write_text(old)
    Path("new.toml").write_text(new)
    return Path("old.toml"), Path("new.toml")


def test_new_without_logs_writes_the_whole_template(run: Run) -> None:
    status, out, _ = run("new")
    assert (status, out) == (0, "wrote contract.toml\n")
    assert Contract.load("contract.toml").model.name == "payment-fraud"


def test_new_with_logs_writes_a_contract_that_opens(run: Run) -> None:
    Path("loop").mkdir()
    logs = ("--predictions", f"{DROP}/predictions/*.parquet", "--outcomes", f"{DROP}/outcomes/*.parquet")
    status, out, _ = run("new", *logs, "--name", "cards", "--out", "loop")
    assert status == 0
    assert "predictions: score is score" in out
    loop = fb.open_loop("loop")
    assert loop.name == "cards"
    assert loop.join().frame["label"].is_not_null().any()
    assert "# - predictions: score is score" in Path("loop/contract.toml").read_text()


def test_new_on_standard_output_is_toml_and_nothing_else(run: Run) -> None:
    status, out, err = run("new", "--out", "-")
    assert (status, err) == (0, "")
    assert tomllib.loads(out)["format"] == 1
    status, out, _ = run("new", "--out", "-", "--json")
    facts = json.loads(out)
    assert facts.keys() == {"contract", "assumptions", "path"}
    assert (facts["path"], facts["assumptions"]) == (None, [])
    assert list(Path().iterdir()) == []


@pytest.mark.parametrize("kind", ["file", "folder", "link"])
def test_new_never_overwrites(run: Run, kind: str) -> None:
    target = Path("contract.toml")
    if kind == "link":
        target.symlink_to("nowhere")
    else:
        target.write_text("mine")
    status, _, err = run("new", "--out", "." if kind == "folder" else "contract.toml")
    assert status == 2
    assert "never overwritten" in err
    assert target.is_symlink() if kind == "link" else target.read_text() == "mine"


@pytest.mark.parametrize("given", [("--predictions", "p.csv"), ("--window", "7d"), ("--actions", "a.csv")])
def test_new_wants_both_logs_or_none(run: Run, given: tuple[str, str]) -> None:
    status, _, err = run("new", *given)
    assert status == 2
    assert given[0] in err
    assert not Path("contract.toml").exists()


def test_new_with_logs_that_cannot_be_read_writes_nothing(run: Run) -> None:
    status, _, err = run("new", "--predictions", "p.csv", "--outcomes", "o.csv", "--json")
    assert status == 2
    assert json.loads(err)["error"].keys() == {"code", "what", "got", "allowed", "next_step"}
    assert list(Path().iterdir()) == []


def test_page_in_both_forms_and_on_standard_output(run: Run) -> None:
    status, out, _ = run("page", FLIGHTS)
    assert status == 0
    assert out.startswith("# Model contract: flight-delay\n")
    status, out, _ = run("page", FLIGHTS / "contract.toml", "--format", "html")
    assert (status, out[:15]) == (0, "<!doctype html>")
    status, out, _ = run("page", FLIGHTS, "--out", "pages")
    assert (status, out) == (0, "wrote pages/contract.md\nwrote pages/contract.html\n")
    status, _, err = run("page", FLIGHTS, "--out", "contract.toml")
    assert status == 2
    assert "Markdown or HTML" in err


def test_page_needs_no_logs(run: Run) -> None:
    Path("contract.toml").write_text(TEXT)
    assert run("page", ".")[0] == 0


def test_diff_says_what_changed_and_what_it_invalidates(run: Run) -> None:
    files = two(TEXT, TEXT.replace("90d", "60d"))
    status, out, _ = run("diff", *files)
    assert status == 0
    assert "the label window changed from 90d to 60d" in out
    assert "invalidates every metric" in out
    assert "1 difference (" in out
    status, out, _ = run("diff", *files, "--json")
    facts = json.loads(out)
    assert facts["changes"][0].keys() == {"path", "before", "after", "words", "invalidates"}
    assert facts["old"] != facts["new"]
    assert run("diff", files[0], files[0])[:2] == (0, f"0 differences ({facts['old'][:12]} to {facts['old'][:12]})\n")


def test_gate_stops_a_silent_redefinition_and_lets_an_announced_one_through(run: Run) -> None:
    files = two(TEXT, TEXT.replace("sum of payments", "sum of settled payments"))
    status, out, _ = run("gate", *files)
    assert status == 1
    for line in ("features.definitions.spend.definition", "before: sum of payments", "after:  sum of settled", "fix: "):
        assert line in out
    status, out, _ = run("gate", *files, "--json")
    facts = json.loads(out)
    assert (status, len(facts["violations"])) == (1, 1)
    assert facts["violations"][0].keys() == {"path", "before", "after", "fix"}
    acknowledged = files[1].read_text() + 'acknowledged_by = ["risk"]\n'
    assert run("gate", *two(TEXT, acknowledged))[:2] == (0, "every change is announced\n")
    assert json.loads(run("gate", *two(TEXT, acknowledged), "--json")[1])["violations"] == []


@pytest.mark.parametrize("command", ["diff", "gate"])
def test_of_two_contracts_the_wrong_one_is_named(run: Run, command: str) -> None:
    good, bad = two(TEXT, TEXT.replace("window", "windo"))
    for arguments, which in (((bad, good), "the old contract"), ((good, bad), "the new contract")):
        status, out, err = run(command, *arguments)
        assert (status, out) == (2, "")
        assert which in err
        assert "unknown key label.windo" in err
    assert run(command, good, "nowhere")[0] == 2
    assert run(command, good)[0] == 2


def test_hostile_text_does_not_reach_the_terminal(run: Run) -> None:
    files = two(TEXT, TEXT.replace("sum of payments", "\\u001b[31mred\\u202e"))
    for command in ("diff", "gate"):
        out = run(command, *files)[1]
        assert "\x1b" not in out
        assert "\u202e" not in out
        assert "‹U+001B›" in out
