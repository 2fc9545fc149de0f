"""`fbkit ledger`: a loop becomes a folder of counts, which is opened, updated and asked like a joined table."""

import json
from pathlib import Path

import pytest

import fbkit as fb
from fbkit.cli import main

LOOP = str(fb.samples.path("recall_drop") / "variant_a")


def run(*arguments: str, capsys: pytest.CaptureFixture[str]) -> tuple[int, str, str]:
    with pytest.raises(SystemExit) as ended:
        main(["ledger", *arguments])
    told = capsys.readouterr()
    return int(ended.value.code or 0), told.out, told.err


def test_a_loop_becomes_a_ledger_that_answers_like_the_joined_table(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / "ledger"
    status, out, _ = run(LOOP, "--out", str(folder), "--pairs", "region+device", "--json", capsys=capsys)
    facts = json.loads(out)
    joined = fb.open_loop(LOOP).join()
    assert (status, facts["rows"], facts["slices"]) == (0, joined.frame.height, list(joined.contract.slices.columns))
    opened = fb.Ledger.open(folder)
    by = ["region", "device"]
    assert fb.metrics(opened, "recall", by=by)["value"].equals(fb.metrics(joined, "recall", by=by)["value"])
    status, out, _ = run(LOOP, "--out", str(folder), "--update", capsys=capsys)
    assert (status, fb.Ledger.open(folder)) == (0, opened)
    assert "no row and no identifier" in out


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--pairs", "region"), "could not be read"),
        (("--slices", "regoin"), "slice column does not exist"),
        (("--update", "--slices", "region"), "fixed when a ledger is built"),
        (("--update",), "there is no ledger here"),
    ],
)
def test_a_wrong_call_is_one_message(
    arguments: tuple[str, ...], message: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    status, out, told = run(LOOP, "--out", str(tmp_path / "ledger"), *arguments, capsys=capsys)
    assert (status, out) == (2, "")
    assert message in told
