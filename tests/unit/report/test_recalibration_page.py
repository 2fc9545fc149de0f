"""The folder of a recalibration: what is in it, what the page says, and what it never overwrites or shows."""

import hashlib
import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from fbkit.errors import OutputError
from fbkit.measure.recalibrate import Recalibration, recalibrate
from fbkit.measure.recalibration_map import RecalibrationMap
from fbkit.report.recalibration_page import render, verdict, write
from fbkit.schema.contract import Contract
from fbkit.testing.frames import FakeJoined, make_joined
from tests.unit.report.hostile import HOSTILE

PERIODS = {"fit": "2026-03-02..2026-03-17", "judge": "2026-03-17..2026-04-01"}


@pytest.fixture(scope="module")
def joined() -> FakeJoined:
    rng = np.random.default_rng(0)
    scores = rng.beta(1.2, 2.5, 1500)
    labels = (rng.random(1500) < scores**1.5).astype(float)
    return make_joined(scores=scores.tolist(), labels=labels.tolist(), ages=rng.uniform(30.5, 60, 1500).tolist())


@pytest.fixture(scope="module", params=["isotonic", "platt"])
def found(request: pytest.FixtureRequest, joined: FakeJoined) -> Recalibration:
    return recalibrate(joined, method=request.param, **PERIODS)


def test_the_folder_holds_the_map_its_sql_and_the_page(
    joined: FakeJoined, found: Recalibration, tmp_path: Path
) -> None:
    folder = write(found, tmp_path / "out", contract=joined.contract, as_of=joined.as_of)
    names = {str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file()}
    assert names == {
        "map.json", "map.sql", "recalibration.html", "recalibration.md", "manifest.json", "data/table.csv",
        "figures/reliability.svg", "figures/reliability.png",
    }  # fmt: skip
    assert RecalibrationMap.open(folder / "map.json") == found.map
    assert (folder / "map.sql").read_text().strip() == found.to_sql()
    listed = {item["name"]: item["sha256"] for item in json.loads((folder / "manifest.json").read_text())["files"]}
    assert set(listed) == names - {"manifest.json"}
    for name, digest in listed.items():
        assert hashlib.sha256((folder / name).read_bytes()).hexdigest() == digest
    write(found, folder, contract=joined.contract, as_of=joined.as_of)


def test_the_page_says_the_numbers_of_the_table(joined: FakeJoined, found: Recalibration) -> None:
    files = render(found, contract=joined.contract, as_of=joined.as_of)
    page, text = files["recalibration.html"].decode(), files["recalibration.md"].decode()
    brier = found.table.filter(metric="brier").row(0, named=True)
    assert f"{brier['before']:.4f}" in page
    assert f"{brier['change']:+.5f}" in text
    assert "default-src 'none'" in page
    assert "<script" not in page
    assert files == render(found, contract=joined.contract, as_of=joined.as_of), "the same bytes again"


def test_notes_of_others_are_not_overwritten(joined: FakeJoined, found: Recalibration, tmp_path: Path) -> None:
    folder = write(found, tmp_path / "out", contract=joined.contract, as_of=joined.as_of)
    (folder / "map.json").write_text("edited")
    with pytest.raises(OutputError, match="edited"):
        write(found, folder, contract=joined.contract, as_of=joined.as_of)
    assert (folder / "map.json").read_text() == "edited"


def test_bins_of_few_rows_are_not_drawn(joined: FakeJoined, found: Recalibration) -> None:
    few = found.curves.with_columns(n=pl.lit(3, dtype=pl.Int64))
    files = render(replace(found, curves=few), contract=joined.contract, as_of=joined.as_of)
    assert not [name for name in files if name.startswith("figures/")]
    assert "reliability.png" not in files["recalibration.md"].decode()


@pytest.mark.parametrize(
    ("change", "lower", "upper", "word"),
    [
        (-0.01, -0.02, -0.001, "Better"),
        (0.01, 0.001, 0.02, "Worse"),
        (0.001, -0.01, 0.01, "No difference"),
        (0.001, None, None, "too few rows"),
        (None, None, None, "Not estimable: window open"),
    ],
)
def test_the_verdict_follows_the_interval(
    change: float | None, lower: float | None, upper: float | None, word: str
) -> None:
    columns = {"metric": "brier", "before": 0.2, "after": 0.19, "change": change, "change_lower": lower}
    table = pl.DataFrame([columns | {"change_upper": upper, "reason": "window open"}])
    assert word in verdict(table)


@pytest.mark.parametrize("name", HOSTILE[:8])
def test_a_hostile_model_name_stays_text(joined: FakeJoined, found: Recalibration, name: str) -> None:
    contract = Contract.from_dict(joined.contract.model_dump(exclude_defaults=True) | {"model": {"name": name}})
    bare = replace(found, curves=found.curves.clear())
    page = render(bare, contract=contract, as_of=joined.as_of)["recalibration.html"].decode()
    for sign in ("<script>alert", "<img src=x", "<svg onload"):
        assert sign not in page
