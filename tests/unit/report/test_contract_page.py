"""The one-page contract says everything that the contract says, and nothing of it runs."""

from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from markdown_it import MarkdownIt

import fbkit as fb
from fbkit.errors import ArgumentError, OutputError
from fbkit.report.contract_page import ContractPage
from fbkit.report.contract_sentences import NOT_STATED, rule, source, span
from fbkit.schema.contract import Contract
from fbkit.schema.contract_parts import RulePart, Source
from tests.unit.report.hostile import HOSTILE
from tests.unit.report.test_hostile_text import Structure

BARE: dict[str, Any] = {"model": {"name": "m"}, "predictions": {}, "outcomes": {}, "label": {"window": "7d"}}


def full(text: str) -> Contract:
    """A contract that says something everywhere, with the text wherever a user writes freely."""
    rule = {"metric": "recall", "condition": "drop", "by": "10%", "baseline": "median 30d", "lasting": "6h"}
    return Contract.from_dict(
        {
            "model": {
                "name": text, "purpose": text, "owners": [text], "business_metric": text, "runbook": text,
            },
            "predictions": {"path": text, "where": {text: [text]}, "columns": {text: text}},
            "outcomes": {
                "path": text, "columns": {"label": text, "ts_arrival": text}, "timezone": "UTC",
                "complete_through": "2026-06-01T00:00:00Z",
            },
            "actions": {"path": text, "blocked": [text]},
            "feedback": {},
            "changes": {},
            "label": {
                "name": text, "version": text, "window": "90d", "grace": "1d", "stages": ["30d"],
                "silence": "negative", "sources": [text],
                "changes": [{"version": text, "date": "2026-03-01", "note": text}],
                "also": [{"name": f"{text}2", "version": text, "window": "session"}],
            },
            "join": {"keys": [text], "fallback": {"entity": [text], "rule": "earliest"}},
            "decision": {"threshold": 0.25, "positive": [text]},
            "slices": {"columns": [text], "critical": [{text: text}]},
            "features": {
                "columns": [f"{text}3", f"{text}4"],
                "definitions": {
                    f"{text}3": {"version": text, "owner": text, "definition": text, "acknowledged_by": [text]}
                },
            },
            "slo": {"feed_completeness": {"at": "60d", "minimum": 0.9}, "latency_ms": {"p95": 120}},
            "alerts": [{"name": text, "runbook": text, "slices": [{text: text}], **rule}],
            "guardrails": [{"metric": "precision", "max_drop": "5%"}],
            "retrain": {"rules": [rule], "within": "7d", "never_more_often_than": "14d"},
            "costs": [{"component": text, "per_call": 0.00008}],
            "budget": {"spend_share_of_revenue": 0.02},
            "value": {"true_positive": 120, "currency": text},
            "privacy": {"personal": [f"{text}5"], "retention": "400d"},
        }
    )  # fmt: skip


def test_everything_that_is_stated_is_on_the_page() -> None:
    page = ContractPage(contract=full("payment")).markdown()
    said = [
        "within 90 days after the prediction, both ends included",
        "the case is negative, once the feed is complete past that moment",
        "final 1 day after it closes",
        "after 30 days",
        "| payment | 2026-03-01 | payment |",
        "payment2 | payment | the session",
        "among predictions of the same payment whose window holds the event: the earliest",
        "flag if score &gt;= 0.25",
        "payment3 | payment | payment | payment | payment",
        "Served without a stated version, owner and definition: payment4.",
        "at least 90% after 60 days",
        "recall drops by 10% against the median of 30 days, for 6 hours, in payment = payment",
        "| precision | 5% |",
        "At most once in: 14 days",
        "0.00008",
        "120 payment",
        "Kept for: 400 days",
        full("payment").hash,
    ]
    assert [text for text in said if text not in page] == []
    left = [line for line in page.splitlines() if NOT_STATED in line]
    assert [line for line in left if not line.startswith(("| payment2 |", "| predictions |", "| actions |"))] == [
        "| feedback | feedback/\\*.parquet | not stated |",
        "| changes | changes.csv | not stated |",
    ]


def test_what_is_left_open_is_said_plainly() -> None:
    page = ContractPage(contract=Contract.from_dict(BARE)).markdown()
    for line in (
        "- Purpose: not stated", "- Owners: not stated", "- Runbook: not stated", "Proxy labels: not stated.",
        "Changes of the definition: not stated.", "- Retrain when: not stated", "Costs: not stated.",
        "- Kept for: not stated", "- Critical slices: not stated",
    ):  # fmt: skip
        assert line in page
    assert "## Rollback triggers\n\nNot stated." in page
    assert "## Alerts and monitoring\n\nNot stated." in page
    assert "None" not in page


@pytest.fixture(scope="module")
def plain() -> tuple[list[str], str]:
    page = ContractPage(contract=full("ordinary words"))
    return Structure(page.html()).tags, page.markdown()


@pytest.mark.parametrize("text", [text for text in HOSTILE if text], ids=lambda text: repr(text)[:20])
def test_hostile_text_stays_text(plain: tuple[list[str], str], text: str) -> None:
    known = text.encode("utf-8", "replace").decode()
    page = ContractPage(contract=full(known))
    structure = Structure(page.html())
    assert structure.bad == []
    assert structure.tags == plain[0]
    said = page.markdown()
    assert said.count("\n") == plain[1].count("\n")
    render = MarkdownIt("commonmark").enable(["table", "strikethrough"]).render
    assert Structure(render(said)).tags == Structure(render(plain[1])).tags
    assert not [sign for sign in "\x1b\x07\x00\x9b\u202e\u200f\u2066\u200b\u2028" if sign in page.html() + said]


def test_the_page_needs_no_network_and_runs_nothing() -> None:
    page = ContractPage(contract=full("x")).html()
    assert "Content-Security-Policy" in page
    assert "default-src 'none'" in page
    assert "<script" not in page
    assert "http" not in page.replace("http-equiv", "")


def test_in_a_notebook_the_page_lives_in_a_frame_of_its_own() -> None:
    shown = ContractPage(contract=full("</iframe><script>alert(1)</script>"))._repr_html_()
    assert shown.startswith("<iframe ")
    assert 'sandbox=""' in shown
    assert shown.count("<") == 2
    assert "<script" not in shown


def test_files_are_written_by_folder_or_by_name(tmp_path: Path) -> None:
    page = ContractPage(contract=full("x"))
    both = page.write(tmp_path / "pages")
    assert [path.name for path in both] == ["contract.md", "contract.html"]
    assert page.write(tmp_path / "pages") == both
    assert [path.name for path in page.write(tmp_path, form="md")] == ["contract.md"]
    assert page.write(tmp_path / "a.htm")[0].read_text().startswith("<!doctype html>")
    assert str(page) == both[0].read_text()


@pytest.mark.parametrize(("name", "form"), [("contract.toml", None), ("page.pdf", None), ("page.md", "html")])
def test_a_file_that_is_no_page_is_refused_by_its_name(tmp_path: Path, name: str, form: str | None) -> None:
    with pytest.raises(ArgumentError, match="written as Markdown or HTML"):
        ContractPage(contract=full("x")).write(tmp_path / name, form=form)
    assert not (tmp_path / name).exists()


def test_another_persons_file_is_left_alone(tmp_path: Path) -> None:
    other = tmp_path / "contract.html"
    other.write_text("<p>our notes</p>")
    with pytest.raises(OutputError, match="left alone"):
        ContractPage(contract=full("x")).write(tmp_path)
    assert other.read_text() == "<p>our notes</p>"
    assert not (tmp_path / "contract.md").exists()


def test_equal_contracts_make_equal_pages() -> None:
    one = Contract.load(fb.samples.path("flights_2013") / "contract.toml")
    two = Contract.from_toml(one.to_toml())
    assert ContractPage(contract=one).html() == ContractPage(contract=two).html()


@pytest.mark.parametrize(
    ("path", "shown"),
    [
        ("predictions/*.parquet", "predictions/*.parquet"),
        ("/home/me/secret-project/p.csv", "p.csv"),
        ("C:\\data\\p.csv", "p.csv"),
        ("s3://bucket/key/p.parquet?token=abc", "p.parquet"),
        ("../other/p.csv", "p.csv"),
    ],
)
def test_a_log_is_named_without_its_address(path: str, shown: str) -> None:
    assert source(Source(path=path)) == shown


def test_a_query_is_named_by_its_variable_only() -> None:
    part = Source.model_validate({"query": "select secret from t", "connection_env": "DB"})
    assert source(part) == "a database query (connection in DB)"


@pytest.mark.parametrize(
    ("part", "said"),
    [
        ({"metric": "mcb", "condition": "above", "level": 0.01, "lasting": "7d"}, "mcb is above 0.01, for 7 days"),
        ({"metric": "mae", "condition": "rise", "by": "0.5", "baseline": "previous 1d"},
         "mae rises by 0.5 against the previous 1 day"),
        ({"metric": "f1", "condition": "diverges", "by": "5%", "baseline": "reference", "slices": "all"},
         "f1 diverges by 5% against the reference, in any slice"),
    ],
)  # fmt: skip
def test_a_rule_reads_as_a_clause(part: dict[str, Any], said: str) -> None:
    assert rule(RulePart.model_validate(part)) == said


@pytest.mark.parametrize("value", [timedelta(microseconds=1), timedelta(seconds=1.5), timedelta(weeks=2)])
def test_any_span_has_words(value: timedelta) -> None:
    assert span(value)[0].isdigit()


def test_an_open_loop_has_its_page() -> None:
    loop = fb.open_loop(fb.samples.path("flights_2013"))
    assert loop.contract_page() == ContractPage(contract=loop.contract)
