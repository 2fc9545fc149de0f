from pathlib import Path

import pytest

from fbkit.errors import ArgumentError
from fbkit.samples import access, names, path


def make(root: Path, name: str) -> Path:
    folder = root / name
    (folder / "loop").mkdir(parents=True)
    (folder / "PROVENANCE.toml").write_text("")
    return folder


@pytest.fixture
def roots(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> tuple[Path, Path]:
    packaged, checkout = tmp_path / "packaged", tmp_path / "checkout"
    monkeypatch.setattr(access, "_PACKAGED", packaged)
    monkeypatch.setattr(access, "_CHECKOUT", checkout)
    return packaged, checkout


def test_samples_of_an_installed_package_come_first(roots: tuple[Path, Path]) -> None:
    packaged, checkout = roots
    make(packaged, "one")
    make(checkout, "one")
    make(checkout, "two")
    (checkout / "build").mkdir()
    assert names() == ("one", "two")
    assert path("one") == packaged / "one"
    assert path("two/loop") == checkout / "two" / "loop"


@pytest.mark.parametrize("name", ["nothing", "build", "one/nothing", "", "..", "one/../build"])
def test_a_name_that_is_no_sample_is_refused_with_what_there_is(name: str, roots: tuple[Path, Path]) -> None:
    make(roots[1], "one")
    (roots[1] / "build").mkdir()
    with pytest.raises(ArgumentError, match="sample") as caught:
        path(name)
    assert "one" in str(caught.value)


def test_without_any_data_the_list_is_empty(roots: tuple[Path, Path]) -> None:
    assert names() == ()
