"""The command line on good, bad and empty input: exit status, documented JSON, nothing written, never a traceback."""

import contextlib
import json
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import polars as pl
import pytest

import fbkit as fb
from fbkit.cli import app, main

CONTRACT = """
[model]
name = "münchen"
[predictions]
path = "predictions.csv"
[outcomes]
path = "outcomes.csv"
[label]
window = "1d"
[decision]
threshold = 0.5
[slices]
columns = ["region"]
"""
MARS = '[time]\ntimezone = "Mars/Base"\n'
HEAD, OUT = "prediction_id,ts_pred,score,region", "prediction_id,ts_event,ts_arrival,label"
METRIC_KEYS = {
    "metric", "slice", "period_start", "period_end", "value", "lower", "upper", "bound_lower", "bound_upper", "n",
    "n_labelled", "stage", "method", "reason",
}  # fmt: skip

Run = Callable[..., tuple[int, str, str]]


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Run:
    """Call the command line in an empty folder: exit status, standard output, standard error."""
    monkeypatch.chdir(tmp_path)

    def call(*arguments: object) -> tuple[int, str, str]:
        with pytest.raises(SystemExit) as stopped:
            main([str(argument) for argument in arguments])
        captured = capsys.readouterr()
        return int(stopped.value.code or 0), captured.out, captured.err

    return call


def prediction_rows(count: int = 40) -> list[str]:
    days = [f"2024-05-{1 + i % 20:02d}T0{i % 10}:00:00Z" for i in range(count)]
    return [f"00{i},{days[i]},{(i * 37 % 100) / 100},{'EU' if i % 3 else 'US'}" for i in range(count)]


def outcome_rows(count: int = 40, *, label: Callable[[int], int] = lambda i: int(i % 4 == 0)) -> list[str]:
    days = [f"2024-05-{1 + i % 20:02d}T1{i % 10}:00:00Z" for i in range(count)]
    return [f"00{i},{days[i]},{days[i]},{label(i)}" for i in range(count)]


def loop(
    folder: Path, *, left: list[str] | None = None, right: list[str] | None = None, contract: str = CONTRACT
) -> Path:
    folder.mkdir(exist_ok=True)
    (folder / "contract.toml").write_text(contract, encoding="utf-8")
    (folder / "predictions.csv").write_text("\n".join([HEAD, *(prediction_rows() if left is None else left)]) + "\n")
    (folder / "outcomes.csv").write_text("\n".join([OUT, *(outcome_rows() if right is None else right)]) + "\n")
    return folder


def files(folder: Path) -> list[str]:
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*"))


def test_metrics_answers_with_the_documented_keys(run: Run, tmp_path: Path) -> None:
    place = loop(tmp_path / "füße")
    status, out, err = run(
        "metrics", place, "--metrics", "recall,precision", "--by", "region", "--every", "1w", "--json"
    )
    facts = json.loads(out)
    assert (status, err) == (0, "")
    assert {"as_of", "rows", "audit"} <= set(facts)
    assert set(facts["rows"][0]) >= METRIC_KEYS
    assert facts["rows"][0]["slice"] in ({"region": "EU"}, {"region": "US"})
    assert {"table", "rule", "rows"} <= set(facts["audit"][0])
    assert facts["as_of"].endswith("Z")


def test_metrics_are_those_of_the_library(run: Run, tmp_path: Path) -> None:
    place = loop(tmp_path / "l")
    facts = json.loads(run("metrics", place, "--json")[1])
    frame = fb.metrics(fb.open_loop(place).join(), ["recall", "precision", "roc_auc", "brier"])
    assert [row["value"] for row in facts["rows"]] == pytest.approx(frame["value"].to_list(), rel=1e-9)
    status, out, _ = run("metrics", place, "--quiet")
    assert (status, "recall" in out, "as of" in out) == (0, True, False)


def test_check_answers_with_the_documented_keys_and_fires(run: Run, tmp_path: Path) -> None:
    status, out, err = run("check", loop(tmp_path / "l"), "--json")
    facts = json.loads(out)
    assert (status, err) == (1, "")
    assert set(facts["items"][0]) == {"id", "question", "status", "evidence", "fix"}
    assert {item["status"] for item in facts["items"]} <= {"passed", "failed", "not applicable"}
    status, out, _ = run("check", tmp_path / "l")
    assert (status, "fix:" in out, "every row accounted for" in out) == (1, True, True)
    assert run("check", fb.samples.path("recall_drop") / "variant_a", "--json")[0] in (0, 1)


BROKEN: dict[str, Callable[[Path], list[object]]] = {
    "no such loop": lambda p: ["check", p / "nowhere"],
    "folder without contract": lambda p: ["check", p],
    "garbage file": lambda p: ["check", write(p / "garbage", b"\x00\xff\xfe" * 50)],
    "contract is a folder": lambda p: ["check", (p / "contract.toml").mkdir() or p],
    "contract is not toml": lambda p: ["check", loop(p / "l", contract="[model\nname=")],
    "unknown key": lambda p: ["check", loop(p / "l", contract=CONTRACT.replace("window", "windw"))],
    "name too long": lambda p: ["check", "x" * 5000],
    "predictions are a folder": lambda p: ["check", loop(p / "l"), "--predictions", made(p / "empty")],
    "no file": lambda p: ["check", loop(p / "l"), "--outcomes", p / "none.csv"],
    "garbage csv": lambda p: ["check", loop(p / "l"), "--outcomes", garbage(p / "o.csv")],
    "empty csv": lambda p: ["check", loop(p / "l"), "--outcomes", write(p / "o.csv", b"")],
    "truncated parquet": lambda p: ["check", loop(p / "l"), "--outcomes", truncated(p / "o.parquet")],
    "unknown format": lambda p: ["check", loop(p / "l"), "--outcomes", write(p / "o.xlsx", b"PK")],
    "missing column": lambda p: ["check", loop(p / "l", left=[]), "--predictions", write(p / "p.csv", b"id\n1\n")],
    "repeated header": lambda p: ["check", loop(p / "l"), "--outcomes", write(p / "o.csv", b"a,a\n1,2\n")],
    "naive times": lambda p: ["check", loop(p / "l", left=[row.replace("Z", "") for row in prediction_rows()])],
    "percent": lambda p: ["check", loop(p / "l", left=[f"{i},2024-05-01T00:00:00Z,{i + 10},EU" for i in range(9)])],
    "unknown slice": lambda p: ["check", loop(p / "l", contract=CONTRACT.replace('"region"', '"regio"'))],
    "no predictions": lambda p: ["metrics", loop(p / "l", left=[])],
    "bad as-of": lambda p: ["check", loop(p / "l"), "--as-of", "yesterday"],
    "naive as-of": lambda p: ["check", loop(p / "l"), "--as-of", "2024-05-10T10:00"],
    "as-of before the calendar": lambda p: ["check", loop(p / "l"), "--as-of", "0001-01-01T00:00+14:00"],
    "as-of before the log": lambda p: ["check", loop(p / "l"), "--as-of", "2001-01-01"],
    "unknown metric": lambda p: ["metrics", loop(p / "l"), "--metrics", "recal"],
    "unknown by": lambda p: ["metrics", loop(p / "l"), "--by", "regio"],
    "unknown stage": lambda p: ["metrics", loop(p / "l"), "--stage", "finale"],
    "unknown grain": lambda p: ["metrics", loop(p / "l"), "--every", "1y"],
    "bad period": lambda p: ["metrics", loop(p / "l"), "--period", "2024-05-02..2024-05-01"],
    "no period": lambda p: ["metrics", loop(p / "l"), "--period", "May"],
    "draws out of range": lambda p: ["triage", loop(p / "l"), "--draws", "5"],
    "draws are text": lambda p: ["triage", loop(p / "l"), "--draws", "many"],
    "last and current": lambda p: ["triage", loop(p / "l"), "--last", "7d", "--current", "2024-05-08..2024-05-15"],
    "very long versus": lambda p: ["triage", loop(p / "l"), "--last", "1d", "--versus", "99999999d"],
    "unknown triage metric": lambda p: ["triage", loop(p / "l"), "--metric", "recal", "--draws", "20"],
    "window with a contract": lambda p: ["check", loop(p / "l"), "--window", "7d"],
    "no argument": lambda p: ["check"],
    "no window": lambda p: ["check", *two(p)],
    "window zero": lambda p: ["check", *two(p), "--window", "0d"],
    "window text": lambda p: ["check", *two(p), "--window", "week"],
    "threshold nan": lambda p: ["check", *two(p), "--window", "1d", "--threshold", "nan"],
    "unknown zone": lambda p: ["check", loop(p / "l", contract=CONTRACT + MARS, left=naive())],
    "guessed, then a bad metric": lambda p: ["metrics", *two(p), "--window", "1d", "--metrics", "recal"],
    "no such option": lambda p: ["check", "--nonsense"],
    "no such command": lambda p: ["nonsense"],
    "lab of a broken loop": lambda p: ["lab", p / "nowhere", "--print-only"],
}  # fmt: skip


def write(path: Path, content: bytes) -> Path:
    path.write_bytes(content)
    return path


def garbage(path: Path) -> Path:
    return write(path, b"\xff\xfe\x00garbage\x00,\n\x80")


def made(path: Path) -> Path:
    path.mkdir()
    return path


def naive() -> list[str]:
    return [row.replace("Z", "") for row in prediction_rows()]


def two(folder: Path) -> list[object]:
    place = loop(folder / "l")
    return ["--predictions", place / "predictions.csv", "--outcomes", place / "outcomes.csv"]


def truncated(path: Path) -> Path:
    pl.DataFrame({"prediction_id": ["1"] * 1000}).write_parquet(path)
    return write(path, path.read_bytes()[:200])


@pytest.mark.parametrize("name", BROKEN)
def test_wrong_input_ends_with_one_message_and_nothing_written(run: Run, tmp_path: Path, name: str) -> None:
    arguments = BROKEN[name](tmp_path)
    before = files(tmp_path)
    status, out, err = run(*arguments)
    assert (status, out, err.count("fbkit: "), "Traceback" in err) == (2, "", 1, False)
    if "--print-only" not in arguments:
        status, out, err = run(*arguments, "--json")
        error = json.loads(err)
        assert (status, out, set(error)) == (2, "", {"error"})
        assert set(error["error"]) == {"code", "what", "got", "allowed", "next_step"}
        assert error["error"]["got"] or error["error"]["next_step"] or error["error"]["allowed"]
    assert files(tmp_path) == before


def foreign_lines() -> tuple[list[str], list[str]]:
    left, right = ["txn,scored_at,fraud probability,State,amount"], ["reference,happened_at,ingested_at,is_fraud"]
    for i in range(40):
        made, event = f"2024-05-{1 + i % 20:02d} 0{i % 10}:00:00+00", f"2024-05-{1 + i % 20:02d} 1{i % 10}:00:00+00"
        left.append(f"t-{i},{made},{(i * 37 % 100) / 100},{'CA' if i % 3 else 'NY'},{i * 1.5}")
        right.append(f"t-{i},{event},2024-05-{2 + i % 20:02d} 1{i % 10}:00:00+00,{int(i % 4 == 0)}")
    return left, right[:38]


def foreign(folder: Path) -> list[object]:
    for name, lines in zip(("p.csv", "o.csv"), foreign_lines(), strict=True):
        write(folder / name, "\n".join(lines).encode())
    return ["--predictions", "p.csv", "--outcomes", "o.csv", "--window", "7d"]


def test_two_foreign_logs_are_guessed_said_and_written_down(run: Run, tmp_path: Path) -> None:
    options = foreign(tmp_path)
    status, out, err = run("metrics", *options)
    assert (status, err) == (0, "")
    for said in (
        "prediction_id is txn",
        "score is fraud probability",
        "label is is_fraud",
        "ts_arrival is ingested_at",
    ):
        assert said in out
    facts = json.loads(run("metrics", *options, "--json")[1])
    assert facts["assumptions"]
    drafted = json.loads(run("metrics", facts["draft"], "--json")[1])
    assert [row["value"] for row in drafted["rows"]] == [row["value"] for row in facts["rows"]]
    assert drafted["audit"] == facts["audit"]
    contract = fb.Contract.load(facts["draft"])
    assert contract.slices.columns == ("State",)
    assert contract.features.columns == ("amount",)
    quiet = run("metrics", *options, "--quiet")[1]
    assert "assumed" not in quiet


def test_a_draft_never_replaces_another_file(run: Run, tmp_path: Path) -> None:
    options = foreign(tmp_path)
    write(tmp_path / "contract.draft.toml", b"mine")
    drafts = [json.loads(run("check", *options, "--json")[1])["draft"] for _ in range(2)]
    assert drafts == ["contract.draft-2.toml"] * 2
    assert (tmp_path / "contract.draft.toml").read_bytes() == b"mine"
    folder = json.loads(run("check", *options, "--json", "--draft", ".")[1])["draft"]
    assert folder == "contract.draft-2.toml"
    other = json.loads(run("check", *options, "--json", "--threshold", "0.9")[1])["draft"]
    assert other == "contract.draft-3.toml"


@pytest.mark.parametrize(
    ("left", "right"),
    [
        (None, []),
        (["1,2024-05-01T00:00:00Z,0.5,EU"], ["1,2024-05-01T01:00:00Z,2024-05-09T01:00:00Z,1"]),
        (None, outcome_rows(label=lambda i: 0)),
        (None, outcome_rows(label=lambda i: 1)),
    ],
    ids=["no outcomes", "one row", "no positives", "no negatives"],
)
def test_thin_logs_get_reasons_not_zeros(run: Run, tmp_path: Path, left: list[str], right: list[str]) -> None:
    place = loop(tmp_path / "l", left=left, right=right)
    status, out, err = run("metrics", place, "--json", "--stage", "any")
    assert (status, err) == (0, "")
    for row in json.loads(out)["rows"]:
        assert (row["value"] is None) == (row["reason"] is not None)
    assert run("check", place)[0] == 1


def test_a_period_outside_the_log_is_empty_with_a_reason(run: Run, tmp_path: Path) -> None:
    rows = json.loads(run("metrics", loop(tmp_path / "l"), "--period", "2020-01-01..2020-02-01", "--json")[1])["rows"]
    assert {(row["n"], row["value"]) for row in rows} == {(0, None)}
    assert all(row["reason"] for row in rows)


def test_logs_can_be_replaced_beside_a_contract(run: Run, tmp_path: Path) -> None:
    place = loop(tmp_path / "l")
    other = write(tmp_path / "other.csv", "\n".join([OUT, *outcome_rows(7)]).encode())
    facts = json.loads(run("metrics", place, "--outcomes", other, "--json")[1])
    rows = {(row["table"], row["rule"]): row["rows"] for row in facts["audit"]}
    assert rows["outcomes", "in"] == 7


def test_the_small_commands(run: Run) -> None:
    assert run("--version")[1] == f"fbkit, version {fb.__version__}\n"
    assert "triage" in run("--help")[1]
    facts: dict[str, Any] = json.loads(run("doctor", "--json")[1])
    assert {"name", "version", "required", "for", "install"} == set(facts["parts"][0])
    assert "polars" in run("doctor")[1]


def test_lab_fills_in_the_loop_and_never_replaces_a_notebook(run: Run, tmp_path: Path) -> None:
    place = loop(tmp_path / "l")
    first, second = (run("lab", place, "--print-only")[1].split(": ", 1)[1].strip() for _ in range(2))
    assert first != second
    assert str(place) in (tmp_path / first).read_text(encoding="utf-8")


TRIAGE_KEYS = {
    "metric", "reference", "current", "as_of", "verdict", "top_cause", "top_family", "metric_level", "headline",
    "observed", "true_change", "worst_case", "tipping_ratio", "minimum_detectable_change", "reason", "warnings",
    "worlds", "contributions", "checks", "would_change_verdict", "do_now", "do_not", "owner", "runbook",
    "decidable_at", "impact", "data_through", "changes", "evaluation_id", "seconds", "audit",
}  # fmt: skip


def test_triage_reaches_a_verdict(run: Run) -> None:
    place = fb.samples.path("recall_drop") / "variant_a"
    status, out, err = run("triage", place, "--draws", "20", "--json")
    assert (status, err) == (0, "")
    assert set(json.loads(out)) >= TRIAGE_KEYS
    status, out, err = run("triage", place, "--draws", "20", "--status-line")
    assert (status, err) == (0, "")
    assert out.count("\n") <= 4


def test_open_label_windows_are_a_warning_and_never_a_finding(run: Run) -> None:
    place = fb.samples.path("recall_drop") / "variant_a"
    options = ("--draws", "20", "--as-of", "2026-09-14")
    facts = json.loads(run("triage", place, *options, "--json")[1])
    assert facts["current"] == "2026-09-07..2026-09-14"
    assert "newest full days stand in" in facts["warnings"][0]
    assert "100.0 % of the current predictions is still open" in facts["warnings"][1]
    assert facts["verdict"] == "undecided"
    assert {tuple(world["causes"]) for world in facts["worlds"]} == {("immature_window",), ("concept_drift",)}
    assert facts["true_change"] == {"value": None, "lower": None, "upper": None}
    assert "no closed label window" in facts["reason"]
    text = run("triage", place, *options)[1]
    assert "Warning: No full period" in text
    assert "recall, 2026-09-07..2026-09-14 against 2026-08-31..2026-09-07, as of 2026-09-14" in text


def test_an_interrupt_that_a_library_turned_into_another_error_is_an_interrupt(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def swallowing(**_: object) -> None:
        with contextlib.suppress(KeyboardInterrupt):
            signal.raise_signal(signal.SIGINT)
        raise TypeError("what the library made of it")

    # A process that was started in the background of a shell ignores the signal from the start.
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        monkeypatch.setattr(app.cli, "main", swallowing)
        with pytest.raises(SystemExit) as ended:
            app.main([])
        assert ended.value.code == 130
        assert capsys.readouterr().err == "interrupted\n"
        assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
    finally:
        signal.signal(signal.SIGINT, before)


def test_numbers_can_be_sentences_to_paste(run: Run) -> None:
    one, text, _ = run(
        "metrics",
        fb.samples.path("recall_drop") / "variant_b",
        "--metrics",
        "recall",
        "--period",
        "2026-09-28..2026-10-05",
        "--sentence",
    )
    assert (one, text.count("\n")) == (0, 1)
    assert "whatever the missing labels are, final, from" in text
    assert "set aside because" in text
    _, text, _ = run(
        "metrics",
        fb.samples.path("recall_drop") / "variant_b",
        "--metrics",
        "recall,brier",
        "--by",
        "region",
        "--sentence",
    )
    assert text.count("whatever the missing labels are") == 8
    assert text.count("set aside because") == 1


def test_another_interval_and_weights_are_asked_for_by_name(run: Run) -> None:
    status, text, _ = run(
        "metrics",
        fb.samples.path("recall_drop") / "variant_b",
        "--metrics",
        "recall",
        "--interval",
        "block_bootstrap@7d",
        "--json",
    )
    assert (status, json.loads(text)["rows"][0]["method"]) == (0, "block bootstrap (7 days)")
    status, _, said = run(
        "metrics", fb.samples.path("recall_drop") / "variant_b", "--metrics", "recall", "--weights", "region"
    )
    assert status == 2
    assert "weights" in said
