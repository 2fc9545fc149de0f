import csv
import hashlib
import html
import html.parser
import io
import json
import os
import re
import subprocess
import sys
import zipfile
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
    assert {"incident.md", "incident.html", "incident.docx", "diagnosis.json", "manifest.json"} <= set(files)
    assert "incident.pdf" not in files
    for figure in ("weekly", "ladder", "availability_by_decision"):
        assert files[f"figures/{figure}.svg"].startswith(b"<svg")
        assert files[f"figures/{figure}.png"].startswith(b"\x89PNG")
        assert json.loads(files[f"figures/{figure}.vl.json"])["$schema"].startswith("https://vega.github.io/schema/")
    for frame in ("ladder", "weekly", "audit", "timeline", "claims"):
        assert {f"data/{frame}.csv", f"data/{frame}.parquet"} <= set(files)


def test_parquet_and_csv_hold_the_same_numbers(files: dict[str, bytes]) -> None:
    names = [name.removesuffix(".parquet") for name in files if name.endswith(".parquet")]
    assert len(names) > 8
    for name in names:
        stored = pl.read_parquet(io.BytesIO(files[f"{name}.parquet"]))
        rows = list(csv.DictReader(io.StringIO(files[f"{name}.csv"].decode())))
        assert len(rows) == stored.height, name
        for column in (column for column, kind in stored.schema.items() if kind.is_float()):
            shown = [float(row[column]) if row[column] else None for row in rows]
            assert shown == stored[column].to_list(), (name, column)


def test_a_specification_draws_the_picture_that_lies_beside_it(files: dict[str, bytes]) -> None:
    from fbkit.charts.render import to_svg

    for figure in ("weekly", "ladder", "availability_by_decision"):
        assert to_svg(json.loads(files[f"figures/{figure}.vl.json"])).encode() == files[f"figures/{figure}.svg"]


def test_the_manifest_lists_every_file_with_its_hash(files: dict[str, bytes]) -> None:
    manifest = json.loads(files["manifest.json"])
    listed = {item["name"]: item["sha256"] for item in manifest["files"]}
    assert listed == {name: hashlib.sha256(data).hexdigest() for name, data in files.items() if name != "manifest.json"}
    assert manifest["written"] == "2026-11-02T03:04:00Z"
    assert manifest["call"] == CALL
    assert manifest["seeds"] == {"bootstrap": 7}
    assert {"fbkit", "polars", "altair", "python-docx"} <= set(manifest["versions"])
    named = {item["name"]: item["rows"] for item in manifest["sources"]}
    assert named == {"predictions/2026.parquet": 45_000, "outcomes.csv": 41_000}


def test_equal_input_gives_equal_bytes(files: dict[str, bytes], diagnosis: Diagnosis, contract: Contract) -> None:
    again = incident.render(
        diagnosis, contract=contract, sources=SOURCES, call=CALL, frames={"audit": AUDIT}, clock=CLOCK
    )
    assert again == files


WRITER = """
import hashlib, json, sys
from fbkit.report import incident
from tests.unit.report import conftest as made
from tests.unit.report.test_incident import AUDIT, CALL, CLOCK, SOURCES
files = incident.render(made.make_diagnosis(), contract=made.make_contract(), sources=SOURCES, call=CALL,
                        frames={"audit": AUDIT}, clock=CLOCK)
print(json.dumps({name: hashlib.sha256(data).hexdigest() for name, data in files.items()}))
"""


def test_another_process_writes_the_same_bytes(files: dict[str, bytes], root: Path) -> None:
    for seed, threads in (("1", "1"), ("2", "2")):
        told = {**os.environ, "PYTHONHASHSEED": seed, "POLARS_MAX_THREADS": threads, "TZ": "Asia/Tokyo"}
        done = subprocess.run(
            [sys.executable, "-c", WRITER], check=True, capture_output=True, cwd=root, env=told, timeout=120
        )
        hashes = json.loads(done.stdout)
        assert hashes == {name: hashlib.sha256(data).hexdigest() for name, data in files.items()}


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
    assert len(images) == 3
    assert ["-12.0 points" in str(item["alt"]) for item in images] == [True, True, False]
    assert "Flagged rows of EU." in str(images[2]["alt"])


def word_text(content: bytes) -> str:
    """Every text of a Word file, its paragraphs on lines of their own."""
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        body = archive.read("word/document.xml").decode()
    lines = [re.sub(r"<[^>]+>", "", paragraph) for paragraph in body.split("</w:p>")]
    return html.unescape("\n".join(lines))


SECTIONS = (
    "Summary",
    "Impact",
    "Timeline",
    "What moved",
    "Why: the ladder of causes",
    "The checks",
    "Slices hit",
    "What we know and do not know",
    "What would change this verdict",
    "Do now, and do not",
    "Decisions and owner",
    "Notes of the engineers",
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
    assert said in word_text(files["incident.docx"])
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
    assert "fewer than 20" in word_text(files["incident.docx"])
    stored = pl.read_parquet(io.BytesIO(files["data/availability_by_slice.parquet"]))
    hidden = stored.filter(pl.col("value") == "Malta")
    assert hidden["masked"].unique().to_list() == ["fewer than 20"]
    assert hidden.select("n", "n_labelled", "availability", "lower", "upper").null_count().row(0) == (6,) * 5


def test_a_thin_group_is_masked_in_its_picture_and_specification_too(make) -> None:
    thin = pl.DataFrame(
        {
            "column": ["region"] * 3,
            "value": ["EU", "Malta", "US"],
            "decision": ["EU", "Malta", "US"],
            "window": ["current"] * 3,
            "n": [900, 7, 800],
            "n_labelled": [700, 3, 600],
            "availability": [0.77, 0.42857, 0.75],
            "lower": [0.7, 0.15, 0.7],
            "upper": [0.8, 0.75, 0.8],
        }
    )
    evidence = {"availability_by_decision": thin}
    files = incident.render(make.diagnosis(evidence=evidence), contract=make.contract(), clock=CLOCK)
    spec = files["figures/availability_by_decision.vl.json"].decode()
    assert "Malta" in spec
    for secret in ("0.42857", "42.9", "3 of 7"):
        for name, data in files.items():
            if name.endswith((".json", ".svg", ".md", ".html", ".csv")):
                assert secret not in data.decode(), name


def test_the_page_stays_small_with_200_slices(make, contract: Contract) -> None:
    values = [f"a slice with quite a long name, number {i}" for i in range(200)]
    frames = make.evidence(availability_by_slice=make.by_slice(values), remainder_by_slice=make.remainder(values))
    files = incident.render(make.diagnosis(evidence=frames), contract=contract, clock=CLOCK)
    assert len(files["incident.html"]) < 700_000
    assert len(list(csv.DictReader(io.StringIO(files["data/availability_by_slice.csv"].decode())))) == 1200
    assert "186 more" in files["incident.md"].decode()


def test_personal_columns_stay_at_home(make) -> None:
    named = make.by_slice(("ada@example.org", "bob@example.org")).with_columns(column=pl.lit("customer"))
    frames = make.evidence(availability_by_slice=pl.concat([make.by_slice(), named]))
    files = incident.render(
        make.diagnosis(evidence=frames), contract=make.contract(personal='["customer"]'), clock=CLOCK
    )
    assert not [name for name, data in files.items() if b"ada@" in data or b"ada&#64;" in data]
    assert "ada@" not in word_text(files["incident.docx"])


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
