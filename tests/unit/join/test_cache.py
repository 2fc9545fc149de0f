"""A long loop is joined once; what changes the table changes its key; a damaged cache is as good as none."""

import json
from pathlib import Path

import polars as pl
import pytest
from polars.testing import assert_frame_equal

import fbkit as fb
from fbkit.errors import InputError
from fbkit.join import opened
from fbkit.join.cache import Cache, cache_folder
from fbkit.join.table import MemoryTable, StoredTable
from fbkit.session import Joined


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Every loop is long here, and kept in a folder of the test."""
    monkeypatch.setattr(opened, "LONG", 1)
    monkeypatch.setattr(opened, "_SHORT_BYTES", 0)
    monkeypatch.setenv("FBKIT_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    source = fb.samples.path("recall_drop") / "variant_a"
    for file in sorted(source.rglob("*")):
        if file.is_file():
            target = tmp_path / "loop" / file.relative_to(source)
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes(file.read_bytes())
    return tmp_path / "loop"


def tables(cache: Path) -> list[str]:
    return sorted(entry.name for entry in cache.iterdir()) if cache.exists() else []


def same(one: Joined, other: Joined) -> None:
    for name in ("frame", "candidates", "audit", "changes", "feed", "feedback", "actions"):
        assert_frame_equal(getattr(one, name), getattr(other, name))
    for name, rows in one.rejects.items():
        assert_frame_equal(rows, other.rejects[name])
    for name in ("as_of", "sources", "data_through", "label_versions", "evaluation_key", "contract"):
        assert getattr(one, name) == getattr(other, name)


def test_a_second_join_finds_the_table_of_the_first(folder: Path, cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first = fb.open_loop(folder).join()
    monkeypatch.setattr(opened, "stream_join", None)  # whoever joins again, fails
    second = fb.open_loop(folder).join()
    assert isinstance(second.rows, StoredTable)
    same(first, second)
    assert len(tables(cache)) == 1


def test_a_kept_table_says_what_a_short_loop_says(folder: Path, cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    kept = fb.open_loop(folder).join()
    long_card = str(fb.open_loop(folder))
    monkeypatch.setattr(opened, "LONG", 10**9)
    short = fb.open_loop(folder).join()
    assert isinstance(short.rows, MemoryTable)
    assert_frame_equal(kept.frame, short.frame)
    assert kept.evaluation_key == short.evaluation_key
    assert kept.audit.sort("table", "rule", "detail").equals(short.audit.sort("table", "rule", "detail"))
    assert str(fb.open_loop(folder)) == long_card
    asked = ["recall", "precision", "brier", "roc_auc", "availability"]
    assert_frame_equal(fb.metrics(kept, asked, every="1w"), fb.metrics(short, asked, every="1w"))
    assert fb.triage(kept, draws=20).headline == fb.triage(short, draws=20).headline
    some = short.frame["prediction_id"][7]
    assert str(kept.receipt(some)) == str(short.receipt(some))


def test_what_changes_the_table_is_another_table(folder: Path, cache: Path) -> None:
    loop = fb.open_loop(folder)
    newest = loop.join()
    earlier = loop.join(as_of=newest.as_of.replace(hour=0, minute=0, second=0, microsecond=0))
    assert earlier.as_of < newest.as_of
    assert len(tables(cache)) == 2
    text = (folder / "contract.toml").read_text()
    (folder / "contract.toml").write_text(text.replace('grace = "0d"', "") + '\n[x]\nnote = "read by nobody"\n')
    fb.open_loop(folder).join()
    assert len(tables(cache)) == 2  # notes are not part of the contract
    (folder / "contract.toml").write_text(text + "\n[time]\ntimezone = 'Europe/Berlin'\n")
    fb.open_loop(folder).join()
    assert len(tables(cache)) == 3
    file = next(folder.glob("outcomes/*.parquet"))
    pl.read_parquet(file).head(1000).write_parquet(file)
    assert fb.open_loop(folder).join().evaluation_key != newest.evaluation_key
    assert len(tables(cache)) == 4


def test_a_log_that_changed_since_it_was_opened_is_told(folder: Path, cache: Path) -> None:
    loop = fb.open_loop(folder)
    file = next(folder.glob("outcomes/*.parquet"))
    pl.read_parquet(file).head(1000).write_parquet(file)
    with pytest.raises(InputError, match="changed while it was read"):
        loop.join()


@pytest.mark.parametrize("harm", ["gone", "cut", "no manifest", "another's manifest"])
def test_a_damaged_table_is_made_again(folder: Path, cache: Path, harm: str) -> None:
    first = fb.open_loop(folder).join()
    whole = first.frame
    entry = cache / tables(cache)[0]
    part = entry / "part-00000.parquet"
    if harm == "gone":
        part.unlink()
    elif harm == "cut":
        part.write_bytes(part.read_bytes()[:1000])
    elif harm == "no manifest":
        (entry / "manifest.json").unlink()
    else:
        (entry / "manifest.json").write_text(json.dumps({"files": {}}))
    again = fb.open_loop(folder).join()
    assert_frame_equal(again.frame, whole)
    assert_frame_equal(fb.open_loop(folder).join().frame, whole)


def test_without_a_cache_the_parts_go_with_the_table(
    folder: Path, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FBKIT_CACHE", "off")
    assert cache_folder() is None
    joined = fb.open_loop(folder).join()
    assert isinstance(joined.rows, StoredTable)
    parts = joined.rows.parts
    assert joined.frame.height
    assert all(part.exists() for part in parts)
    del joined
    assert not any(part.exists() for part in parts)


def test_a_cache_that_cannot_be_written_is_no_reason_to_fail(
    folder: Path, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    cache.write_text("a file stands where the folder should be")
    assert fb.open_loop(folder).join().frame.height
    assert cache.read_text().startswith("a file")


def test_what_a_killed_process_left_is_swept_after_a_day(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    old, young = cache / ".new-1-old", cache / ".new-2-young"
    for entry in (old, young):
        entry.mkdir(parents=True)
    import os

    os.utime(old, (0, 0))
    held = Cache(cache)
    assert held.make(held.room())
    assert not old.exists()
    assert young.exists()


def test_the_tables_not_used_for_longest_go_first(folder: Path, cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from fbkit.join import cache as module

    loop = fb.open_loop(folder)
    newest = loop.join()
    first = tables(cache)
    monkeypatch.setattr(module, "_LIMIT_BYTES", 10)
    import os

    os.utime(cache / first[0] / "manifest.json", (0, 0))
    loop.join(as_of=newest.as_of.replace(hour=0, minute=0))
    left = tables(cache)
    assert first[0] not in left
    assert len(left) == 1


def test_a_revision_view_keeps_one_table_not_thirty(folder: Path, cache: Path) -> None:
    seen = fb.revisions(fb.open_loop(folder), metric="recall")
    assert seen["as_of"].n_unique() > 3
    assert len(tables(cache)) == 1
