"""fbkit slices: what stands out, or that nothing does; TOML that the contract reads; JSON; a picture; 2 when wrong."""

import json
import tomllib
from pathlib import Path

import pytest

import fbkit as fb
from fbkit.cli import main

LOOP = fb.samples.path("recall_drop") / "variant_a"


def run(capsys: pytest.CaptureFixture[str], *words: object) -> tuple[int, str, str]:
    with pytest.raises(SystemExit) as ended:
        main([str(word) for word in words])
    said = capsys.readouterr()
    return int(ended.value.code or 0), said.out, said.err


def test_the_answer_and_the_toml_are_printed(capsys: pytest.CaptureFixture[str]) -> None:
    status, text, _ = run(capsys, "slices", LOOP, "--metric", "recall")
    assert status == 0
    assert "slices that stand out" in text or "no slice stands out" in text
    toml = text[text.index("[slices]") : text.index("\nas of")]
    proposed = tomllib.loads(toml)["slices"]
    contract = (LOOP / "contract.toml").read_text()
    own = tomllib.loads(contract)["slices"]
    assert proposed["columns"] == own["columns"]
    assert proposed["critical"][: len(own["critical"])] == own["critical"]
    assert len(proposed["critical"]) == len(own["critical"]) + 5
    head, rest = contract.split("[slices]")
    after = rest[rest.index("\n[") :]
    assert len(fb.Contract.from_toml(head + toml + after).slices.critical) == len(proposed["critical"])


def test_json_holds_the_same_facts(capsys: pytest.CaptureFixture[str]) -> None:
    status, text, _ = run(capsys, "slices", LOOP, "--by", "region,customer", "--last", "7d", "--json")
    facts = json.loads(text)
    assert status == 0
    assert {"as_of", "rows", "toml"} <= set(facts)
    assert {"metric", "slice", "conditions", "value", "reference", "contribution", "reason"} <= set(facts["rows"][0])
    assert tomllib.loads(facts["toml"])["slices"]["columns"]


def test_quiet_prints_the_result_only(capsys: pytest.CaptureFixture[str]) -> None:
    _, text, _ = run(capsys, "slices", LOOP, "--by", "region", "--quiet")
    assert "as of" not in text
    assert tomllib.loads(text[text.index("[slices]") :])


@pytest.mark.parametrize("kind", ["svg", "png"])
def test_a_picture_is_drawn(kind: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / f"found.{kind}"
    status, text, _ = run(capsys, "slices", LOOP, "--by", "region,device", "--picture", path)
    assert (status, path.stat().st_size > 1000) == (0, True)
    assert "picture:" in text


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--metric", "roc_auc"], "no ratio of sums"),
        (["--by", "nowhere"], "does not exist"),
        (["--period", "2026-09-01..2026-09-08", "--last", "7d"], "its own periods"),
        (["--depth", "4"], "depth"),
        (["--by", "region", "--picture", "found.gif"], ".svg"),
    ],
)
def test_a_wrong_call_is_told(words: list[str], said: str, capsys: pytest.CaptureFixture[str]) -> None:
    status, _, told = run(capsys, "slices", LOOP, *words)
    assert status == 2
    assert said in told
    assert "Traceback" not in told
