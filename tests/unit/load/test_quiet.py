"""What libraries print below Python: passed on when it is a remark, kept back when a thread gave up."""

import os
from pathlib import Path

import polars as pl
import pytest

from fbkit.errors import InputError
from fbkit.load.files import check_readable, scan_file
from fbkit.load.quiet import quiet
from fbkit.load.scan import scan_source
from fbkit.schema.contract_parts import Source

KEPT = Path(__file__).resolve().parents[2] / "data" / "fuzz" / "parquet_page_panics_in_a_thread"


def test_a_remark_is_passed_on_and_a_panic_is_not(capfd: pytest.CaptureFixture[str]) -> None:
    with quiet():
        os.write(2, b"a remark\n")
        with quiet():
            os.write(2, b"and one inside\n")
    assert capfd.readouterr().err == "a remark\nand one inside\n"
    with quiet():
        os.write(2, b"thread 'x' panicked at y.rs:1:1\n")
    os.write(2, b"afterwards\n")
    assert capfd.readouterr().err == "afterwards\n"


def test_an_interrupt_that_polars_turned_into_a_panic_is_an_interrupt() -> None:
    def interrupt(value: int) -> int:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt), quiet():
        raise pl.exceptions.PanicException("called unwrap on KeyboardInterrupt()")
    with pytest.raises(KeyboardInterrupt), quiet():
        pl.DataFrame({"a": [1]}).lazy().select(pl.col("a").map_elements(interrupt, return_dtype=pl.Int64)).collect()


def test_an_error_inside_gives_standard_error_back(capfd: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(KeyError), quiet():
        raise KeyError
    os.write(2, b"afterwards\n")
    assert capfd.readouterr().err == "afterwards\n"


def test_a_damaged_page_is_told_once_and_in_our_words(capfd: pytest.CaptureFixture[str]) -> None:
    scan = scan_source(Source(path="predictions.parquet"), root=KEPT, table="predictions")
    with pytest.raises(InputError, match=r"predictions\.parquet: it is damaged inside"):
        scan.collect()
    assert capfd.readouterr().err == ""


def test_batches_that_just_end_are_missed(capfd: pytest.CaptureFixture[str]) -> None:
    file = KEPT / "predictions.parquet"
    with pytest.raises(InputError, match="damaged inside"):
        check_readable(scan_file(file, table="predictions"), file=file, table="predictions")
    assert capfd.readouterr().err == ""


def test_a_sound_file_is_readable(tmp_path: Path) -> None:
    pl.DataFrame({"a": range(1000)}).write_parquet(tmp_path / "a.parquet", row_group_size=100)
    check_readable(scan_file(tmp_path / "a.parquet", table="x"), file=tmp_path / "a.parquet", table="x")
