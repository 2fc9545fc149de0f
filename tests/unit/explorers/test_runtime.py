"""The shared drawing code: made once, kept with a checksum, never a reason to fail."""

import gzip
from pathlib import Path

import pytest

from fbkit.explorers import runtime


def test_a_kept_bundle_is_read_back_and_a_damaged_one_is_not(tmp_path: Path) -> None:
    file = tmp_path / "deep" / "runtime.js"
    assert runtime.read_kept(file) is None
    runtime.keep(file, "const a = 'ü';\nexport default a;\n")
    assert runtime.read_kept(file) == "const a = 'ü';\nexport default a;\n"
    assert [path.name for path in file.parent.iterdir()] == ["runtime.js"]
    file.write_text(file.read_text(encoding="utf-8") + "// more", encoding="utf-8")
    assert runtime.read_kept(file) is None
    file.write_bytes(b"\xff\xfe")
    assert runtime.read_kept(file) is None


def test_the_page_gets_the_bundle_whole_and_much_shorter() -> None:
    assert gzip.decompress(runtime.packed()).decode() == runtime.bundle()
    assert len(runtime.packed()) < 0.5 * len(runtime.bundle())
    assert runtime.shared_runtime().packed == runtime.packed()
    assert runtime.shared_runtime() is runtime.shared_runtime()


def test_a_folder_that_cannot_be_written_is_no_error(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    runtime.keep(tmp_path / "file" / "runtime.js", "x")
    assert not (tmp_path / "file" / "runtime.js").exists()


def test_the_bundle_is_taken_from_the_cache_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import vl_convert

    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.setattr(vl_convert, "javascript_bundle", lambda *_, **__: "made")
    runtime._bundle.cache_clear()
    try:
        assert runtime.bundle() == "made"
        monkeypatch.setattr(vl_convert, "javascript_bundle", lambda *_, **__: pytest.fail("asked twice"))
        runtime._bundle.cache_clear()
        assert runtime.bundle() == "made"
    finally:
        runtime._bundle.cache_clear()
