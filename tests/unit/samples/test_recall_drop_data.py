"""The shipped mini challenge: its files are what the builder makes, and they do not tell their truth."""

import hashlib
import importlib.util
import json
import tomllib
from pathlib import Path
from types import ModuleType

import polars as pl
import pytest

from fbkit.samples import names, path, recall_drop
from fbkit.samples.config import GENERATOR
from fbkit.schema.contract import Contract

ROOT = Path(__file__).parents[3]
FOLDER = ROOT / "data_samples" / "recall_drop"
LOOPS = ("variant_a", "variant_b", "variant_c")


@pytest.fixture(scope="module")
def builder() -> ModuleType:
    spec = importlib.util.spec_from_file_location("build_recall_drop", ROOT / "data_samples/build/recall_drop.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_hashes_sizes_and_row_counts_are_as_recorded() -> None:
    record = tomllib.loads((FOLDER / "PROVENANCE.toml").read_text())
    files = {file["path"]: file for file in record["files"]}
    present = {p.relative_to(FOLDER).as_posix() for p in FOLDER.rglob("*") if p.is_file()} - {"PROVENANCE.toml"}
    assert set(files) == present
    for name, file in files.items():
        content = (FOLDER / name).read_bytes()
        assert hashlib.sha256(content).hexdigest() == file["sha256"], name
        assert len(content) == file["bytes"]
        if name.endswith(".parquet"):
            assert pl.read_parquet(FOLDER / name).height == file["rows"]
    assert record["generator"]["version"] == GENERATOR


@pytest.mark.parametrize("loop", LOOPS)
def test_the_builder_makes_these_rows_again(loop: str, builder: ModuleType) -> None:
    variant, seed = builder.SHIPPED[loop]
    simulation = recall_drop(variant, seed, per_day=builder.PER_DAY)
    folder = FOLDER / loop
    assert pl.read_parquet(folder / "predictions/*.parquet").equals(simulation.predictions)
    assert pl.read_parquet(folder / "outcomes/*.parquet").equals(simulation.outcomes)
    assert (folder / "contract.toml").read_text() == simulation.contract_toml


def test_the_builder_finds_this_truth_again(builder: ModuleType) -> None:
    assert json.loads(builder.truth_text()) == json.loads((FOLDER / "truth.json").read_text())


def test_the_truth_holds_one_loop_of_each_kind_and_adds_up() -> None:
    found = json.loads((FOLDER / "truth.json").read_text())
    assert sorted(found) == list(LOOPS)
    assert {entry["verdict"] for entry in found.values()} == {"labels", "quality", "both"}
    for entry in found.values():
        total = sum(part["value"] for part in entry["contributions"]) + entry["background"]
        assert total == pytest.approx(entry["observed"]["change"], abs=1e-5)


def test_the_shipped_rows_are_close_to_their_expectation(builder: ModuleType) -> None:
    for variant, seed in builder.SHIPPED.values():
        assert builder._surprise(recall_drop(variant, seed, per_day=builder.PER_DAY)) < builder.CLOSE


def test_nothing_in_a_loop_folder_tells_its_truth() -> None:
    texts = [{p.name: p.read_text() for p in (FOLDER / loop).glob("*.*")} for loop in LOOPS]
    assert texts[0] == texts[1] == texts[2]
    assert sorted(texts[0]) == ["changes.csv", "contract.toml"]
    listings = [sorted(p.relative_to(FOLDER / loop).as_posix() for p in (FOLDER / loop).rglob("*")) for loop in LOOPS]
    assert listings[0] == listings[1] == listings[2]
    record = tomllib.loads((FOLDER / "PROVENANCE.toml").read_text())
    assert "seed" not in record["generator"]


def test_no_product_code_outside_samples_and_training_reads_the_truth() -> None:
    package = ROOT / "fbkit"
    # The command that writes a simulated loop writes its truth beside it.
    apart = (package / "samples", package / "training", package / "cli" / "simulate.py")
    for file in package.rglob("*.py"):
        if not any(file.is_relative_to(folder) for folder in apart):
            text = file.read_text()
            assert "truth.json" not in text, file
            assert "samples.truth" not in text, file


def test_the_data_stay_small_enough_to_ship() -> None:
    assert sum(p.stat().st_size for p in FOLDER.rglob("*") if p.is_file()) < 3_500_000


def test_the_contract_of_the_loops_is_valid() -> None:
    contract = Contract.from_toml((FOLDER / "variant_a" / "contract.toml").read_text())
    assert contract.label.silence == "missing"
    assert contract.slo.label_availability is not None
    assert contract.slo.label_availability.minimum == 0.92
    assert contract.value is not None
    assert len(contract.alerts) == 2


def test_the_samples_are_found_by_name() -> None:
    assert "recall_drop" in names()
    assert (path("recall_drop") / "truth.json").is_file()
    assert (path("recall_drop/variant_b") / "contract.toml").is_file()
