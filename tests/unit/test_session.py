"""What a user opens and holds: loops from folders, files and frames; cards; periods fixed against the logs."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import polars as pl
import pytest

import fbkit as fb
from fbkit.errors import ArgumentError, ContractError, InputError
from fbkit.join.facts import joined_facts, loop_facts
from fbkit.join.periods import end_of_last_full_day, resolve
from fbkit.session import with_paths

T0 = datetime(2024, 5, 6, tzinfo=UTC)
DAY = timedelta(days=1)
TOML = (
    '[model]\nname = "m"\n[predictions]\npath = "p.parquet"\n[outcomes]\npath = "o.parquet"\n[label]\nwindow = "1d"\n'
)


def left(days: int = 30) -> pl.DataFrame:
    made = [T0 + i * DAY / 4 for i in range(days * 4)]
    return pl.DataFrame(
        {"prediction_id": [f"p{i}" for i in range(len(made))], "ts_pred": made, "score": [0.5] * len(made)}
    )


def right(days: int = 30) -> pl.DataFrame:
    return left(days).select("prediction_id", pl.col("ts_pred").alias("ts_event"), pl.lit(1).alias("label"))


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "contract.toml").write_text(TOML)
    left().write_parquet(tmp_path / "p.parquet")
    right().write_parquet(tmp_path / "o.parquet")
    return tmp_path


def test_a_loop_opens_from_a_folder_a_file_a_contract_and_frames(folder: Path) -> None:
    contract = fb.Contract.load(folder / "contract.toml")
    ways: list[fb.Loop] = [
        fb.open_loop(folder),
        fb.open_loop(folder / "contract.toml"),
        fb.open_loop(contract=folder / "contract.toml"),
        fb.open_loop(folder, contract=contract),
        fb.open_loop(folder, contract=folder / "contract.toml"),
        fb.open_loop(folder, outcomes=right()),
        fb.open_loop(contract=contract, predictions=left(), outcomes=right().lazy()),
        fb.open_loop(contract=contract, predictions=folder / "p.parquet", outcomes=str(folder / "o.parquet")),
    ]
    first = ways[0].join().frame
    assert all(loop.join().frame.equals(first) for loop in ways)
    assert ways[0].name == "m"


def test_a_path_replaces_a_query_and_keeps_the_mapping() -> None:
    source: dict[str, Any] = {"path": None, "query": "select 1", "connection_env": "DB", "columns": {"score": "s"}}
    made = fb.Contract.from_dict(
        {"model": {"name": "m"}, "predictions": source, "outcomes": {}, "label": {"window": "1d"}}
    )
    moved = with_paths(made, {"predictions": "p.csv", "actions": "a.csv"})
    assert (moved.predictions.path, moved.predictions.query, moved.predictions.columns) == (
        "p.csv",
        None,
        {"score": "s"},
    )
    assert moved.actions is not None
    assert with_paths(made, {}) is made


def test_what_is_not_there_is_told(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no such loop"):
        fb.open_loop(tmp_path / "nowhere")
    with pytest.raises(ContractError, match="there is no contract"):
        fb.open_loop(tmp_path)
    with pytest.raises(ArgumentError, match="without a contract"):
        fb.open_loop()


def test_the_card_says_what_is_logged_and_what_is_missing(folder: Path) -> None:
    loop = fb.open_loop(folder)
    facts, missing = loop_facts(loop.source)
    assert facts["predictions"] == "120"
    assert facts["label window"] == "1d"
    assert len(missing) == 6
    assert "m" in str(loop)
    assert "<" in loop._repr_html_()
    assert loop.check()["status"].is_in(["passed", "failed", "not applicable"]).all()
    joined = loop.join()
    assert joined_facts(joined)["labelled"] == "100.0%"
    assert "120" in joined._repr_html_()
    full = left().with_columns(model_version=pl.lit("1"), entity_id=pl.lit("e"), f=pl.lit(1.0))
    contract = fb.Contract.from_toml(TOML + '[features]\ncolumns = "f"\n[actions]\n[changes]\n')
    rich = fb.open_loop(
        contract=contract,
        predictions=full,
        outcomes=right().with_columns(ts_arrival="ts_event"),
        actions=pl.DataFrame({"prediction_id": ["p1"], "action": ["x"]}),
        changes=pl.DataFrame({"ts": [T0], "kind": ["deploy"], "what": ["v2"]}),
    )
    assert loop_facts(rich.source)[1] == []
    assert rich.join().changes.height == 1
    session = fb.open_loop(
        contract=fb.Contract.from_toml(TOML.replace('"1d"', '"session"')), predictions=left(), outcomes=right()
    )
    assert loop_facts(session.source)[0]["label window"] == "session"


def test_a_moment_without_a_zone_is_refused(folder: Path) -> None:
    with pytest.raises(ArgumentError, match="no time zone"):
        fb.open_loop(folder).join(as_of="2024-05-10T10:00")
    assert fb.open_loop(folder).join(as_of="2024-05-10").as_of == datetime(2024, 5, 10, tzinfo=UTC)


def test_periods_left_open_are_fixed_against_the_logs(folder: Path) -> None:
    joined = fb.open_loop(folder).join()
    # The log ends on 4 June at 18:00, which is no full day; the window of a day closes for 2 June.
    assert [str(period) for period in joined.compare().periods()] == [
        "2024-05-06..2024-05-27",
        "2024-05-27..2024-06-03",
    ]
    asked = resolve(joined, fb.Comparison.last("2d", versus="4d"))
    assert [str(period) for period in asked.periods()] == ["2024-05-28..2024-06-01", "2024-06-01..2024-06-03"]


def test_a_day_counts_as_full_from_ten_in_the_evening() -> None:
    assert end_of_last_full_day(T0 + timedelta(hours=21)) == T0
    assert end_of_last_full_day(T0 + timedelta(hours=22)) == T0 + DAY


def test_a_diagnosis_sums_up_and_is_written_whole(tmp_path: Path) -> None:
    joined = fb.open_loop(fb.samples.path("recall_drop") / "variant_a").join()
    diagnosis = fb.triage(joined, draws=20)
    total = sum(row.value or 0.0 for row in diagnosis.contributions)
    assert total == pytest.approx(diagnosis.observed.change, abs=1e-9)
    assert diagnosis.verdict in str(diagnosis.to_dict()["verdict"])
    assert diagnosis.ladder.height > 1
    assert diagnosis.headline in " ".join(str(diagnosis).split())
    assert "fb.triage(" in diagnosis.call
    assert diagnosis.status_line()
    assert "<" in diagnosis._repr_html_()
    assert diagnosis.to_json().startswith("{")
    written = diagnosis.incident(tmp_path / "incident")
    assert (written / "incident.md").is_file()


def test_every_public_name_answers() -> None:
    assert [name for name in fb.__all__ if getattr(fb, name) is None] == []
    with pytest.raises(AttributeError, match="no attribute"):
        _ = fb.nonsense


@pytest.mark.parametrize(
    "call", [fb.triage, fb.metrics, fb.availability, fb.label_lag, fb.calibration, fb.threshold_curve]
)
def test_a_bare_frame_is_sent_to_the_join(call: Callable[..., object]) -> None:
    with pytest.raises(fb.ArgumentError, match="takes a joined table first") as caught:
        call(pl.DataFrame({"label": [1]}), *(["recall"] if call is fb.metrics else []))
    assert "join()" in str(caught.value.next_step)


def test_a_comparison_is_no_text_and_drift_fixes_an_open_one(folder: Path) -> None:
    joined = fb.open_loop(folder).join()
    with pytest.raises(fb.ArgumentError, match="not a Comparison"):
        fb.triage(joined, "last week")  # type: ignore[arg-type]  # what a user may type
    open_one = fb.Comparison.last("2d", versus="4d")
    assert fb.drift(joined, open_one).equals(fb.drift(joined, joined.compare(open_one)))


def test_a_narrowed_table_holds_the_slice_and_says_so(root: Path) -> None:
    joined = fb.open_loop(root / "data_samples" / "recall_drop" / "variant_a").join()
    narrow = joined.only({"region": "EU"}, version="7.3")
    wanted = joined.frame.filter((pl.col("region") == "EU") & (pl.col("model_version") == "7.3"))
    assert wanted.height > 0
    assert narrow.frame.equals(wanted)
    assert narrow.evaluation_key != joined.evaluation_key
    assert narrow.audit.equals(joined.audit)
    assert joined.only() is joined
    assert joined.only({"region": None}).frame.height == joined.frame["region"].null_count()
    with pytest.raises(fb.ArgumentError, match="no such column"):
        joined.only({"regoin": "EU"})
