"""Every code block of the written pages runs: a reader who copies one gets what the page promises."""

import json
import re
import shlex
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PAGES = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")])
BLOCK = re.compile(r"^```(\w*)[^\n]*\n(.*?)^```", re.MULTILINE | re.DOTALL)
# Commands of a shell that are not ours to test; everything else in a console block is run.
NOT_OURS = {"git", "cd", "pip", "apt-get", "python"}
LANGUAGES = {"python", "console", "toml", "json", "text"}


def blocks(page: Path, *languages: str) -> list[tuple[int, str, str]]:
    """Line, language and text of the blocks in these languages."""
    text = page.read_text(encoding="utf-8")
    found = [(text.count("\n", 0, match.start(2)), match[1], match[2]) for match in BLOCK.finditer(text)]
    return [block for block in found if block[1] in languages]


def commands(page: Path) -> list[str]:
    lines = "".join(text for _, _, text in blocks(page, "console")).replace("\\\n", " ").splitlines()
    return [line.removeprefix("$ ") for line in lines if line.startswith("$ ")]


def pages_with(*languages: str) -> list[str]:
    return [str(page.relative_to(ROOT)) for page in PAGES if blocks(page, *languages)]


@pytest.fixture
def reader(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A reader's folder: the samples are there, and whatever a block writes stays out of the repository."""
    (tmp_path / "data_samples").symlink_to(ROOT / "data_samples")
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_block_names_a_language_that_is_tested(page: Path) -> None:
    found = BLOCK.finditer(page.read_text(encoding="utf-8"))
    assert {match[1] for match in found} - LANGUAGES == set()


@pytest.mark.parametrize("page", pages_with("python"))
def test_python_blocks_run_in_their_order(page: str, reader: Path) -> None:
    namespace: dict[str, object] = {}
    for line, _, text in blocks(ROOT / page, "python"):
        source = "\n" * line + text
        exec(compile(source, str(ROOT / page), "exec"), namespace)
    assert namespace
    assert reader.exists()


@pytest.mark.parametrize("page", pages_with("console"))
def test_commands_run(page: str, reader: Path) -> None:
    for command in commands(ROOT / page):
        words = shlex.split(command, comments=True)
        if words[0] == "make":
            known = subprocess.run(["make", "--dry-run", *words[1:]], cwd=ROOT, capture_output=True, check=False)
            assert known.returncode == 0, command
        elif words[0] == "fbkit" and words[1] != "lab":
            program = Path(sys.executable).with_name("fbkit")
            done = subprocess.run([program, *words[1:]], cwd=reader, capture_output=True, text=True, check=False)
            assert done.returncode in {0, 1}, f"{command}\n{done.stderr}"
        else:
            assert words[0] in NOT_OURS | {"fbkit"}, command


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_data_blocks_can_be_read(page: Path) -> None:
    for _, language, text in blocks(page, "toml", "json"):
        assert (tomllib.loads if language == "toml" else json.loads)(text)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_to_files_lead_somewhere(page: Path) -> None:
    targets = re.findall(r"\]\((?!https?:|#|mailto:)([^)#\s]+)", page.read_text(encoding="utf-8"))
    assert [target for target in targets if not (page.parent / target).exists()] == []
