"""The commands that look into the join: readable, as JSON, masked by default, and 2 for a wrong call."""

import json
from pathlib import Path

import polars as pl
import pytest

import fbkit as fb
from fbkit.cli import main

LOOP = fb.samples.path("recall_drop") / "variant_a"


def run(capsys: pytest.CaptureFixture[str], *words: object) -> tuple[int, str, str]:
    with pytest.raises(SystemExit) as ended:
        main([str(word) for word in words])
    said = capsys.readouterr()
    return int(ended.value.code or 0), said.out, said.err


def test_a_receipt_is_text_and_json(capsys: pytest.CaptureFixture[str]) -> None:
    status, text, _ = run(capsys, "receipt", LOOP, "p0000827")
    assert (status, "its state over time:" in text) == (0, True)
    status, text, _ = run(capsys, "receipt", LOOP, "p0000827", "--json")
    facts = json.loads(text)
    assert {"as_of", "prediction_id", "facts", "features", "statements", "rivals", "timeline", "feedback"} <= set(facts)
    assert [row["state"] for row in facts["timeline"]] == ["pending", "negative", "positive", "positive"]


def test_a_receipt_is_as_known_at_the_time_asked_for(capsys: pytest.CaptureFixture[str]) -> None:
    _, text, _ = run(capsys, "receipt", LOOP, "p0000827", "--as-of", "2026-09-02T15:00Z", "--json")
    facts = json.loads(text)
    assert [row["label"] for row in facts["statements"]] == [0.0]
    assert [row["state"] for row in facts["timeline"]] == ["pending", "negative", None]


def test_an_unknown_id_and_no_id_are_told(capsys: pytest.CaptureFixture[str]) -> None:
    status, _, told = run(capsys, "receipt", LOOP, "827")
    assert (status, "p0000827" in told) == (2, True)
    status, _, told = run(capsys, "receipt", LOOP)
    assert (status, "fbkit receipt LOOP ID" in told) == (2, True)


@pytest.fixture
def private(tmp_path: Path) -> Path:
    text = (LOOP / "contract.toml").read_text()
    (tmp_path / "contract.toml").write_text(f'{text}\n[privacy]\npersonal = ["account_id", "entity_id"]\n')
    for name in ("predictions", "outcomes", "changes.csv"):
        (tmp_path / name).symlink_to(LOOP / name)
    return tmp_path


def test_personal_columns_are_hashed_unless_asked_for(private: Path, capsys: pytest.CaptureFixture[str]) -> None:
    _, hidden, _ = run(capsys, "receipt", private, "p0000827")
    _, shown, _ = run(capsys, "receipt", private, "p0000827", "--personal")
    assert "a011964" not in hidden
    assert "a011964" in shown


def test_an_id_without_a_contract_is_the_only_word(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    pl.DataFrame({"prediction_id": ["a"], "ts_pred": ["2024-05-06T00:00:00Z"], "score": [0.5]}).write_csv("p.csv")
    pl.DataFrame({"prediction_id": ["a"], "ts_event": ["2024-05-06T01:00:00Z"], "label": [1]}).write_csv("o.csv")
    status, text, told = run(capsys, "receipt", "--predictions", "p.csv", "--outcomes", "o.csv", "--window", "7d", "a")
    assert (status, "receipt of a" in text) == (0, True), told


def test_orphans_and_their_repair(capsys: pytest.CaptureFixture[str]) -> None:
    status, text, _ = run(capsys, "orphans", LOOP)
    assert (status, "173 of 74,385 keyed outcomes match no prediction" in text) == (0, True)
    assert "proposed, not applied" in text
    facts = json.loads(run(capsys, "orphans", LOOP, "--json")[1])
    assert (facts["orphans"], facts["repairs"][0]["n_match"], sum(row["n"] for row in facts["profile"])) == (
        173,
        173,
        173,
    )


def test_revisions_are_a_table_json_and_a_picture(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    asked = ["revisions", LOOP, "--period", "2026-09-07..2026-09-14", "--at", "2026-09-14,2026-09-28"]
    picture = tmp_path / "moved.svg"
    status, text, _ = run(capsys, *asked, "--picture", picture)
    assert (status, "recall of 2026-09-07..2026-09-14" in text, picture.read_text()[:4]) == (0, True, "<svg")
    rows = json.loads(run(capsys, *asked, "--by", "region", "--json")[1])["rows"]
    assert {row["as_of"] for row in rows} == {"2026-09-14T00:00:00Z", "2026-09-28T00:00:00Z"}
    assert {"slice", "value", "new_labels", "corrections", "stage"} <= set(rows[0])


@pytest.mark.parametrize(
    "words",
    [["--as-of", "2026-09-14"], ["--picture", "x.pdf", "--at", "2026-10-01"], ["--picture", "x.svg", "--by", "region"]],
)
def test_revisions_refuse_what_makes_no_sense(words: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert run(capsys, "revisions", LOOP, *words)[0] == 2


def test_sensitivity_is_a_sentence_a_table_and_json(capsys: pytest.CaptureFixture[str]) -> None:
    asked = ["sensitivity", LOOP, "--period", "2026-09-07..2026-09-14"]
    status, text, _ = run(capsys, *asked)
    assert (status, text.startswith("recall is 0.813 by the contract's rules")) == (0, True)
    facts = json.loads(run(capsys, *asked, "--json")[1])
    assert facts["summary"] == text.splitlines()[0]
    assert {row["rule"] for row in facts["rows"]} == {"window", "late labels", "corrections"}


def test_check_shows_the_ten_predictions_it_traced(capsys: pytest.CaptureFixture[str]) -> None:
    _, text, _ = run(capsys, "check", LOOP)
    shown = text.split("Do random predictions trace")[1]
    ids = fb.open_loop(LOOP).trace()["prediction_id"]
    assert [name for name in ids if name not in shown] == []
