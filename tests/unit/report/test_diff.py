"""Two bundles compared in words: what differs is said once, and what does not is not."""

import json
import shutil
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import polars as pl
import pytest

from fbkit.errors import InputError
from fbkit.report import incident as writer
from fbkit.report.bundle import Bundle
from fbkit.report.diff import COLUMNS, NOTHING, diff, diff_text

CLOCK = datetime(2026, 11, 2, tzinfo=UTC)


@pytest.fixture(scope="module")
def one(make, tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = make.without_pictures(make.diagnosis())
    sources = [("predictions/2026.parquet", "ab" * 32, 45_000), ("outcomes/2026.parquet", "cd" * 32, 41_000)]
    return writer.write(
        made, tmp_path_factory.mktemp("one") / "incident", contract=make.contract(), sources=sources, clock=CLOCK
    )


def _other(make, tmp_path: Path, sources=None, contract=None, **changes) -> Path:
    made = replace(make.without_pictures(make.diagnosis()), **changes)
    listed = sources or [("predictions/2026.parquet", "ab" * 32, 45_000), ("outcomes/2026.parquet", "cd" * 32, 41_000)]
    return writer.write(made, tmp_path / "other", contract=contract or make.contract(), sources=listed, clock=CLOCK)


def _rows(one: Path, other: Path) -> list[tuple[str, ...]]:
    found = diff(Bundle.open(one), Bundle.open(other))
    assert tuple(found.columns) == COLUMNS
    return found.rows()


def test_a_bundle_and_its_copy_do_not_differ(one: Path, tmp_path: Path) -> None:
    copy = Path(shutil.copytree(one, tmp_path / "copy"))
    assert _rows(one, copy) == []
    assert diff_text(diff(Bundle.open(one), Bundle.open(copy))) == NOTHING == "no difference"


def test_when_it_was_written_is_no_difference(make, one: Path, tmp_path: Path) -> None:
    made = make.without_pictures(make.diagnosis())
    sources = [("predictions/2026.parquet", "ab" * 32, 45_000), ("outcomes/2026.parquet", "cd" * 32, 41_000)]
    later = writer.write(made, tmp_path / "later", contract=make.contract(), sources=sources)
    assert _rows(one, later) == []


def test_a_contribution_says_by_how_much_it_moved(make, one: Path, tmp_path: Path) -> None:
    parts = make.diagnosis().contributions
    moved = (replace(parts[0], value=-0.045), parts[1], make.contribution("mix_shift", "mix", -0.02))
    rows = _rows(one, _other(make, tmp_path, contributions=moved))
    assert rows == [
        (
            "cause",
            "labels lost in slices",
            "-6.5 points [-8.5, -4.5], region=EU",
            "-4.5 points [-8.5, -4.5], region=EU",
            "+2.0 points",
        ),
        ("cause", "sampling noise", "-0.3 points [-2.3, +1.7], not material", None, "+0.3 points"),
        ("cause", "changed mix of cases", None, "-2.0 points [-4.0, 0.0], everywhere", "-2.0 points"),
    ]


def test_verdict_answers_actions_and_numbers_are_told(make, one: Path, tmp_path: Path) -> None:
    base = make.diagnosis()
    checks = (replace(base.checks[0], answer="Nobody."), *base.checks[1:])
    other = _other(
        make, tmp_path, verdict="labels", checks=checks, do_now=(base.do_now[0], "Sleep."), tipping_ratio=0.7,
        observed=replace(base.observed, current=0.7, change=-0.1), impact={"rows": 4000, "business_metric": -5400.0},
    )  # fmt: skip
    rows = _rows(one, other)
    assert ("verdict", "verdict", "Both the model and the labels", "The labels, not the model", None) in rows
    assert ("check", base.checks[0].question, "Flagged rows of EU.", "Nobody.", None) in rows
    assert ("text", "do now", "Compare both versions on mature rows.", None, None) in rows
    assert ("text", "do now", None, "Sleep.", None) in rows
    assert ("number", "tipping ratio", "0.53", "0.70", None) in rows
    assert ("number", "observed change", "-12.0 points", "-10.0 points", "+2.0 points") in rows
    assert ("number", "impact, rows", "5,000", "4,000", None) in rows


def test_logs_contract_question_and_versions_are_told(make, one: Path, tmp_path: Path) -> None:
    sources = [("predictions/2026.parquet", "ab" * 32, 45_000), ("outcomes/2026.parquet", "ef" * 32, 41_007)]
    sources.append(("changes.csv", "00" * 32, 1))
    as_of = datetime(2026, 11, 9, tzinfo=UTC)
    other = _other(make, tmp_path, sources=sources, contract=make.contract(minimum=30), as_of=as_of)
    path = other / "manifest.json"
    facts = json.loads(path.read_text(encoding="utf-8"))
    facts["versions"]["polars"] = "0.1"
    path.write_text(json.dumps(facts), encoding="utf-8")
    rows = {(part, what): (before, after) for part, what, before, after, _ in _rows(one, other)}
    assert rows["question", "as of"] == ("2026-11-02", "2026-11-09")
    assert rows["source", "outcomes/2026.parquet"] == ("41,000 rows, cdcdcdcdcdcd", "41,007 rows, efefefefefef")
    assert rows["source", "changes.csv"] == (None, "1 rows, 000000000000")
    assert rows["version", "polars"][1] == "0.1"
    assert ("contract", "SHA-256") in rows
    assert {part for part, _ in rows} == {"question", "source", "version", "contract"}


def test_the_words_are_one_line_a_difference(make, one: Path, tmp_path: Path) -> None:
    headline = "Recall fell 10 points. " * 8
    other = _other(make, tmp_path, verdict="labels", headline=headline, warnings=("\x1b[31mmind\u202e",))
    text = diff_text(diff(Bundle.open(one), Bundle.open(other)))
    assert "Verdict:\n  - verdict changed from Both the model and the labels to The labels, not the model\n" in text
    assert "      before: Recall fell 12.0 points: lost labels" in text
    assert "  - warning, new: ‹U+001B›[31mmind‹U+202E›" in text
    assert "\x1b" not in text


def test_a_folder_that_is_no_bundle_is_told(one: Path, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no incident bundle"):
        diff(Bundle.open(one), Bundle.open(tmp_path))
    assert diff_text(pl.DataFrame(schema=[(name, pl.String) for name in COLUMNS])) == NOTHING
