"""Every cause has a runbook page with the same headings, and the pages know each other."""

import re
import shlex
from pathlib import Path

import pytest

import fbkit.cli  # noqa: F401  # its commands register themselves
from fbkit.cli.app import cli
from fbkit.diagnose.remedies import runbook_of
from fbkit.schema.contract import Contract
from fbkit.schema.results import FAMILY_OF_CAUSE

ROOT = Path(__file__).resolve().parents[2]
FOLDER = ROOT / "docs" / "runbooks"
HEADINGS = ["Symptom", "Confirm", "Do now", "Do not", "Who", "When decidable"]
LINK = re.compile(r"\]\(([^)#]+)\)")
CONTRACT = '[model]\nname = "m"\n[predictions]\npath = "p.csv"\n[outcomes]\npath = "o.csv"\n[label]\nwindow = "7d"\n'


def text(cause: str) -> str:
    return (FOLDER / f"{cause}.md").read_text(encoding="utf-8")


def sections(cause: str) -> dict[str, str]:
    parts = re.split(r"^## (.+)$", text(cause), flags=re.MULTILINE)[1:]
    return dict(zip(parts[::2], parts[1::2], strict=True))


def test_there_is_one_page_for_every_cause_and_an_index() -> None:
    assert {page.stem for page in FOLDER.glob("*.md")} == {*FAMILY_OF_CAUSE, "README"}
    index = LINK.findall(text("README"))
    assert set(index) == {f"{cause}.md" for cause in FAMILY_OF_CAUSE}


@pytest.mark.parametrize("cause", FAMILY_OF_CAUSE)
def test_a_page_has_its_headings_and_fits_half_a_page(cause: str) -> None:
    found = sections(cause)
    assert list(found) == HEADINGS
    assert all(part.strip() for part in found.values())
    assert f"`{cause}`" in text(cause)
    assert re.match(r"\n\n1\. ", found["Do now"])
    lines = [line for line in found["Do not"].splitlines() if line]
    assert all(line.startswith("- Do not ") for line in lines)
    assert 120 < len(re.findall(r"\w+", text(cause))) < 420


@pytest.mark.parametrize("cause", [*FAMILY_OF_CAUSE, "README"])
def test_links_lead_somewhere(cause: str) -> None:
    assert all((FOLDER / link).is_file() for link in LINK.findall(text(cause)))


def test_a_diagnosis_points_at_its_page() -> None:
    contract = Contract.from_toml(CONTRACT)
    for cause in FAMILY_OF_CAUSE:
        assert (ROOT / runbook_of(cause, contract)).is_file()


@pytest.mark.parametrize("cause", FAMILY_OF_CAUSE)
def test_commands_and_their_options_exist(cause: str) -> None:
    """They run in the tests of all pages; here each is known to the command line without running."""
    asked = re.findall(r"^\$ fbkit (.+)$", text(cause), flags=re.MULTILINE)
    assert asked or "```python" in text(cause)
    for line in asked:
        name, *rest = shlex.split(line)
        known = {option for param in cli.commands[name].params for option in param.opts}
        assert {word for word in rest if word.startswith("--")} <= known, line
