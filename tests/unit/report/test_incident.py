import csv
import hashlib
import html.parser
import io
import json
import os
import re
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import polars as pl
import pytest

from fbkit.report import incident
from fbkit.schema.contract import Contract
from fbkit.schema.diagnosis import Diagnosis

CLOCK = datetime(2026, 11, 2, 3, 4, tzinfo=UTC)
SOURCES = [
    ("predictions/2026.parquet", "ab" * 32, 45_000),
    ("https://store.example/outcomes.csv?token=secret", "cd" * 32, 41_000),
]
CALL = 'fb.triage(joined, weeks, metric="recall")'
AUDIT = pl.DataFrame(
    {"table": ["outcomes", "outcomes"], "rule": ["by_id", "orphan"], "rows": [41_000, 17], "detail": [None, None]}
)


@pytest.fixture(scope="session")
def files(diagnosis: Diagnosis, contract: Contract) -> dict[str, bytes]:
    return incident.render(
        diagnosis, contract=contract, sources=SOURCES, call=CALL, frames={"audit": AUDIT}, clock=CLOCK
    )


class Page(html.parser.HTMLParser):
    def __init__(self, text: str) -> None:
        super().__init__(convert_charrefs=True)
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.text = ""
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_data(self, data: str) -> None:
        self.text += data

    def named(self, name: str) -> list[dict[str, str | None]]:
        return [attributes for tag, attributes in self.tags if tag == name]


def test_the_bundle_holds_what_it_promises(files: dict[str, bytes]) -> None:
    assert {"incident.md", "incident.html", "diagnosis.json", "manifest.json"} <= set(files)
    for figure in ("weekly", "ladder"):
        assert files[f"figures/{figure}.svg"].startswith(b"<svg")
        assert files[f"figures/{figure}.png"].startswith(b"\x89PNG")
    assert {"data/ladder.csv", "data/weekly.csv", "data/audit.csv"} <= set(files)


def test_the_manifest_lists_every_file_with_its_hash(files: dict[str, bytes]) -> None:
    manifest = json.loads(files["manifest.json"])
    listed = {item["name"]: item["sha256"] for item in manifest["files"]}
    assert listed == {name: hashlib.sha256(data).hexdigest() for name, data in files.items() if name != "manifest.json"}
    assert manifest["written"] == "2026-11-02T03:04:00Z"
    assert manifest["call"] == CALL
    named = {item["name"]: item["rows"] for item in manifest["sources"]}
    assert named == {"predictions/2026.parquet": 45_000, "outcomes.csv": 41_000}


def test_equal_input_gives_equal_bytes(files: dict[str, bytes], diagnosis: Diagnosis, contract: Contract) -> None:
    again = incident.render(
        diagnosis, contract=contract, sources=SOURCES, call=CALL, frames={"audit": AUDIT}, clock=CLOCK
    )
    assert again == files


def test_how_long_it_took_does_not_change_a_pinned_bundle(make, files: dict[str, bytes], contract: Contract) -> None:
    slower = make.diagnosis(seconds=9.9, checks=tuple(replace(item, seconds=7.7) for item in make.diagnosis().checks))
    again = incident.render(slower, contract=contract, sources=SOURCES, call=CALL, frames={"audit": AUDIT}, clock=CLOCK)
    assert again == files
    assert (
        json.loads(incident.render(make.without_pictures(slower), contract=contract)["diagnosis.json"])["seconds"]
        == 9.9
    )


def test_the_page_needs_and_may_reach_nothing(files: dict[str, bytes]) -> None:
    page = Page(files["incident.html"].decode())
    policy = next(item["content"] for item in page.named("meta") if item.get("http-equiv") == "Content-Security-Policy")
    assert policy is not None
    assert policy.startswith("default-src 'none'; img-src data:; style-src 'unsafe-inline'")
    assert {tag for tag, _ in page.tags} & {"script", "link", "iframe", "object", "embed", "form", "base"} == set()
    assert all(str(item["src"]).startswith("data:image/") for item in page.named("img"))
    assert all(str(item["href"]).startswith("#") for item in page.named("a"))
    assert not [name for _, item in page.tags for name in item if name.startswith("on")]
    assert "url(" not in files["incident.html"].decode()
    assert len(files["incident.html"]) < 2_000_000


def test_every_figure_has_words_for_who_cannot_see_it(files: dict[str, bytes]) -> None:
    images = Page(files["incident.html"].decode()).named("img")
    assert len(images) == 2
    assert all("-12.0 points" in str(item["alt"]) for item in images)


SECTIONS = (
    "Summary",
    "Impact",
    "What moved",
    "Why: the ladder of causes",
    "The checks",
    "Slices hit",
    "What we know and do not know",
    "What would change this verdict",
    "Do now, and do not",
    "Decisions and owner",
    "Provenance",
)


def test_the_document_says_everything_in_order(files: dict[str, bytes]) -> None:
    text = files["incident.md"].decode()
    assert re.findall(r"^## (.*)$", text, flags=re.MULTILINE) == list(SECTIONS)
    assert re.findall(r"^### Check (\d)", text, flags=re.MULTILINE) == ["1", "2", "3"]
    for link in re.findall(r"!\[.*?\]\((.*?)\)", text):
        assert link in files


@pytest.mark.parametrize(
    "said",
    [
        "payment-fraud: recall 0.80 → 0.68",
        "-12.0 points [-16.0, -8.0]",
        "0.680 [0.650, 0.710]",
        "0.70 to 0.85",
        "by the factor 0.53",
        "2026-10-20",
        "EU feed moved",
        "ab" * 32,
        "outcomes.csv",
        "41,000",
        "orphan",
        "owner by contract",
        "payments-ml",
        CALL,
        "Do not retrain on the labels of this week.",
        "net fraud loss avoided",
        "region=EU",
        "evidence for concept_drift",
    ],
)
def test_the_facts_are_in_both_documents(files: dict[str, bytes], said: str) -> None:
    page = Page(files["incident.html"].decode()).text
    assert said in page
    assert said in re.sub(r"\\([_\[\]])", r"\1", files["incident.md"].decode())


def test_no_path_and_no_token_of_a_source_is_shown(files: dict[str, bytes]) -> None:
    for name in ("incident.md", "incident.html", "manifest.json"):
        assert b"secret" not in files[name]
        assert b"store.example" not in files[name]


def test_fields_to_fill_in_are_empty(files: dict[str, bytes]) -> None:
    assert (
        "- decision: \\_\\_\\_" in files["incident.md"].decode() or "- decision: ____" in files["incident.md"].decode()
    )
    assert '<dt>decision</dt><dd class="empty"></dd>' in files["incident.html"].decode()


def test_the_json_has_the_normative_keys(files: dict[str, bytes]) -> None:
    facts = json.loads(files["diagnosis.json"])
    assert facts["reference"] == "2026-08-03..2026-09-28"
    assert facts["as_of"] == "2026-11-02T00:00:00Z"
    assert facts["observed"] == {"reference": 0.8, "current": 0.68, "change": -0.12, "lower": -0.16, "upper": -0.08}
    assert facts["worst_case"]["current"] == [0.3, 0.88]
    assert facts["contributions"][0]["cause"] == "label_slice_loss"
    assert "evidence" not in facts
    assert abs(sum(item["value"] for item in facts["contributions"]) - facts["observed"]["change"]) < 1e-9


def test_numbers_carry_ten_digits(make, contract: Contract) -> None:
    frame = pl.DataFrame({"step": ["x"], "value": [1 / 3]})
    facts = make.diagnosis(impact={"rows": 1, "share": 2 / 3}, evidence={"corrected": frame})
    files = incident.render(facts, contract=contract, clock=CLOCK)
    assert json.loads(files["diagnosis.json"])["impact"]["share"] == 0.6666666667
    assert b"0.3333333333\n" in files["data/corrected.csv"]


def test_thin_slices_are_masked_everywhere(make) -> None:
    thin = make.by_slice(("EU", "US", "Malta")).with_columns(
        n=pl.when(pl.col("value") == "Malta").then(7).otherwise(pl.col("n")),
        n_labelled=pl.when(pl.col("value") == "Malta").then(3).otherwise(pl.col("n_labelled")),
    )
    files = incident.render(
        make.diagnosis(evidence=make.evidence(availability_by_slice=thin)), contract=make.contract(), clock=CLOCK
    )
    rows = list(csv.DictReader(io.StringIO(files["data/availability_by_slice.csv"].decode())))
    assert {row["n"] for row in rows if row["value"] == "Malta"} == {""}
    assert {row["masked"] for row in rows if row["value"] == "Malta"} == {"fewer than 20"}
    assert "fewer than 20" in files["incident.md"].decode()
    assert "hidden beside a thin slice" in files["incident.html"].decode()


def test_personal_columns_stay_at_home(make) -> None:
    named = make.by_slice(("ada@example.org", "bob@example.org")).with_columns(column=pl.lit("customer"))
    frames = make.evidence(availability_by_slice=pl.concat([make.by_slice(), named]))
    files = incident.render(
        make.diagnosis(evidence=frames), contract=make.contract(personal='["customer"]'), clock=CLOCK
    )
    assert not [name for name, data in files.items() if b"ada@" in data or b"ada&#64;" in data]


@pytest.mark.parametrize("metric", ["brier", "roc_auc", "precision"])
def test_other_metrics_are_documented_too(make, contract: Contract, metric: str) -> None:
    files = incident.render(make.diagnosis(metric=metric), contract=contract, clock=CLOCK)
    assert f"{metric} 0.80 → 0.68".replace("_", "_") in files["incident.md"].decode().replace("\\_", "_")


def test_what_is_not_estimable_is_said_with_its_reason(make, contract: Contract) -> None:
    from fbkit.schema.diagnosis import Change, Interval

    nothing = make.diagnosis(
        observed=Change(reference=0.8, current=None, change=None, lower=None, upper=None),
        true_change=Interval(value=None, lower=None, upper=None),
        reason="no positives in the current period",
        contributions=(),
        checks=(),
        worst_case={"current": (None, None)},
        tipping_ratio=None,
        minimum_detectable_change=None,
        decidable_at=None,
        impact={"rows": None},
        evidence={},
        verdict="undecided",
        changes=(),
    )
    files = incident.render(nothing, contract=contract, clock=CLOCK)
    text = files["incident.md"].decode()
    assert "not estimable" in text
    assert "no positives in the current period" in text
    assert "nan" not in text.lower().split()


def test_two_worlds_are_told_with_what_decides(make, contract: Contract) -> None:
    worlds = (
        {"causes": ["concept_drift"], "tipping_ratio": 0.5, "decided_by": "an audit of 300 rows"},
        {"causes": ["label_loss_nonrandom"], "tipping_ratio": 0.5, "decided_by": "the same audit"},
    )
    files = incident.render(make.diagnosis(verdict="undecided", worlds=worlds), contract=contract, clock=CLOCK)
    text = files["incident.md"].decode()
    assert "decided by: an audit of 300 rows" in text
    assert "labels lost by outcome would look the same" in text


def test_write_returns_the_folder_and_refuses_an_edited_one(
    tmp_path: Path, diagnosis: Diagnosis, contract: Contract
) -> None:
    from fbkit.errors import OutputError

    folder = incident.write(diagnosis, tmp_path / "incident", contract=contract, clock=CLOCK)
    assert folder == tmp_path / "incident"
    incident.write(diagnosis, folder, contract=contract)
    with (folder / "incident.md").open("a") as stream:
        stream.write("Decision: roll back.\n")
    with pytest.raises(OutputError, match=r"incident\.md"):
        incident.write(diagnosis, folder, contract=contract)
    assert os.listdir(tmp_path) == ["incident"]
