"""What is in the wheel, and what is not. No network needed."""

import tomllib
import zipfile
from email.parser import Parser
from pathlib import Path

import pytest

LARGEST = 8_000_000  # bytes, with the samples: small enough to install without a thought


@pytest.fixture(scope="session")
def names(wheel: Path) -> list[str]:
    return zipfile.ZipFile(wheel).namelist()


@pytest.fixture(scope="session")
def metadata(wheel: Path, names: list[str]) -> str:
    file = next(name for name in names if name.endswith(".dist-info/METADATA"))
    return zipfile.ZipFile(wheel).read(file).decode()


def test_every_file_of_the_package_is_in_the_wheel(names: list[str], root: Path) -> None:
    ours = {str(path.relative_to(root)) for path in (root / "fbkit").rglob("*.*") if path.is_file()}
    ours = {name for name in ours if "__pycache__" not in name}
    assert ours - set(names) == set()


def test_nothing_but_the_package_is_in_the_wheel(names: list[str]) -> None:
    tops = {name.split("/")[0] for name in names}
    assert {top for top in tops if not top.startswith("fbkit")} == set()
    assert [
        name for name in names if "/test_" in name or "__pycache__" in name or name.endswith(".ipynb_checkpoints")
    ] == []


def test_the_licence_is_in_the_wheel(names: list[str]) -> None:
    assert any(name.endswith("licenses/LICENSE") for name in names)


def test_the_small_samples_are_in_the_wheel_with_their_provenance(names: list[str]) -> None:
    samples = [name for name in names if "recall_drop" in name]
    assert sum(name.endswith("contract.toml") for name in samples) == 3
    assert any(name.endswith("PROVENANCE.toml") for name in samples)
    assert any("/predictions/" in name for name in samples)


def test_the_triage_notebook_is_in_the_wheel(names: list[str]) -> None:
    assert "fbkit/samples/data/triage.ipynb" in names


def test_the_wheel_is_small(wheel: Path) -> None:
    assert wheel.stat().st_size < LARGEST


def test_the_wheel_tells_what_it_needs(metadata: str, root: Path) -> None:
    project = tomllib.loads((root / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    message = Parser().parsestr(metadata)
    assert message["Version"] == project["version"]
    assert message["Requires-Python"] == ">=3.11"
    assert message["License-Expression"] == "Apache-2.0"
    needed = [line for line in message.get_all("Requires-Dist") or [] if "extra ==" not in line]
    assert len(needed) == len(project["dependencies"])
