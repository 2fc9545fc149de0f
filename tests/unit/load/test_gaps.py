"""Parts that cannot be read: an error by default; on request left out, and the time they leave open is said."""

import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import polars as pl
import pytest
from click.testing import CliRunner

import fbkit as fb
from fbkit.cli import cli
from fbkit.errors import InputError
from fbkit.load.gaps import named_period
from fbkit.load.scan import Scan, scan_source
from fbkit.schema.contract_parts import Source
from fbkit.schema.logs import UnreadablePart
from fbkit.schema.period import Period

START = datetime(2026, 5, 1, tzinfo=UTC)
CONTRACT = """
[model]
name = "parts"
[predictions]
path = "predictions"
[outcomes]
path = "outcomes"
[label]
window = "2d"
[metrics]
primary = "accuracy"
report = ["accuracy"]
[decision]
threshold = 0.5
"""


def day(number: int, *, rows: int = 24) -> pl.DataFrame:
    times = [START + timedelta(days=number, hours=hour) for hour in range(rows)]
    ids = [f"p-{number:02}-{hour:02}" for hour in range(rows)]
    scores = [0.25 + 0.5 * (hour % 2) + hour / 1000 for hour in range(rows)]
    return pl.DataFrame({"prediction_id": ids, "ts_pred": times, "score": scores})


def labels(predictions: pl.DataFrame) -> pl.DataFrame:
    later = pl.col("ts_pred") + timedelta(hours=1)
    return predictions.select("prediction_id", later.alias("ts_event"), (pl.col("score") > 0.5).alias("label"))


def write(root: Path, names: list[str], *, table: str = "predictions", suffix: str = "parquet") -> None:
    """One part per day, called by ``names``."""
    for number, name in enumerate(names):
        frame = day(number) if table == "predictions" else labels(day(number))
        file = root / table / f"{name}.{suffix}"
        file.parent.mkdir(parents=True, exist_ok=True)
        if suffix == "parquet":
            frame.write_parquet(file)
        elif suffix == "csv":
            frame.write_csv(file)
        else:
            frame.write_ndjson(file)


def skip(root: Path, *, table: str = "predictions") -> Scan:
    return scan_source(Source(path=table), root=root, table=table, skip_unreadable=True)


def damage(file: Path) -> None:
    """Cut a file in the middle, as an interrupted copy does; half a text file could still be read, so it is broken."""
    content = file.read_bytes()
    file.write_bytes(content[: len(content) // 2] + b"\xff\xfe\n{")


@pytest.mark.parametrize("suffix", ["parquet", "csv", "ndjson"])
def test_one_unreadable_part_is_an_error_that_names_it_and_the_way_on(tmp_path: Path, suffix: str) -> None:
    write(tmp_path, ["a", "b", "c"], suffix=suffix)
    damage(tmp_path / "predictions" / f"b.{suffix}")
    with pytest.raises(InputError, match=rf"could not be read[\s\S]*b\.{suffix}[\s\S]*--skip-unreadable"):
        scan_source(Source(path="predictions"), root=tmp_path, table="predictions").collect()


@pytest.mark.parametrize("suffix", ["parquet", "csv", "ndjson"])
@pytest.mark.parametrize(
    ("names", "gap"),
    [
        (["a", "b", "c", "d"], "2026-05-02T23:00:00.000001Z..2026-05-04"),
        (["2026-05-01", "2026-05-02", "2026-05-03", "2026-05-04"], "2026-05-03..2026-05-04"),
        (["day=2026-05-01/x", "day=2026-05-02/x", "day=2026-05-03/x", "day=2026-05-04/x"], "2026-05-03..2026-05-04"),
    ],
)
def test_the_part_is_left_out_and_its_period_known(tmp_path: Path, suffix: str, names: list[str], gap: str) -> None:
    write(tmp_path, names, suffix=suffix)
    damage(tmp_path / "predictions" / f"{names[2]}.{suffix}")
    scan = skip(tmp_path)
    frame = scan.collect()
    assert frame.height == 72
    assert [source.rows for source in scan.sources(frame)] == [24, 24, 24]
    assert [(part.table, part.file, str(part.period)) for part in scan.incomplete] == [
        ("predictions", f"predictions/{names[2]}.{suffix}", gap)
    ]
    assert names[2].rsplit("/", 1)[-1] in scan.incomplete[0].reason


@pytest.mark.parametrize(("lost", "gap"), [(0, (-1, 0)), (3, (3, 4))])
def test_a_part_at_the_edge_is_taken_to_be_as_long_as_the_others(
    tmp_path: Path, lost: int, gap: tuple[int, int]
) -> None:
    names = ["a", "b", "c", "d"]
    write(tmp_path, names)
    damage(tmp_path / "predictions" / f"{names[lost]}.parquet")
    period = skip(tmp_path).incomplete[0].period
    assert period is not None
    expected = Period(start=START + timedelta(days=lost), end=START + timedelta(days=lost + 1))
    assert period.start < expected.end
    assert expected.start < period.end
    assert period.duration < timedelta(hours=25)


def test_parts_that_overlap_in_time_leave_the_whole_log_open(tmp_path: Path) -> None:
    (tmp_path / "predictions").mkdir()
    rows = pl.concat([day(number) for number in range(3)])
    for number in range(3):
        rows.gather_every(3, number).write_parquet(tmp_path / "predictions" / f"{number}.parquet")
    damage(tmp_path / "predictions" / "1.parquet")
    period = skip(tmp_path).incomplete[0].period
    assert period is not None
    assert (period.start, period.end - timedelta(microseconds=1)) == (START, START + timedelta(days=2, hours=23))


def test_a_damaged_parquet_file_may_still_tell_its_own_times(tmp_path: Path) -> None:
    (tmp_path / "predictions").mkdir()
    for number in (0, 1, 2):
        part = day(number).with_columns(note=pl.col("prediction_id")).select("note", pl.exclude("note"))
        part.write_parquet(tmp_path / "predictions" / f"{'acb'[number]}.parquet", compression="uncompressed")
    file = tmp_path / "predictions" / "c.parquet"
    content = bytearray(file.read_bytes())
    content[4:30] = b"\xff" * 26
    file.write_bytes(bytes(content))
    part = skip(tmp_path).incomplete[0]
    assert str(part.period) == "2026-05-02..2026-05-02T23:00:00.000001Z"


def test_nothing_readable_is_an_error_with_the_option_too(tmp_path: Path) -> None:
    write(tmp_path, ["a"])
    damage(tmp_path / "predictions" / "a.parquet")
    with pytest.raises(InputError, match="could not be read"):
        skip(tmp_path)


def test_files_with_other_columns_are_not_skipped(tmp_path: Path) -> None:
    write(tmp_path, ["a", "b"])
    day(1).drop("score").write_parquet(tmp_path / "predictions" / "b.parquet")
    with pytest.raises(InputError, match="different columns"):
        skip(tmp_path)


@pytest.mark.parametrize(
    ("name", "period"),
    [
        ("p/year=2026/month=05/day=01/hour=07/x.parquet", "2026-05-01T07:00:00Z..2026-05-01T08:00:00Z"),
        ("p/year=2026/x.parquet", "2026-01-01..2027-01-01"),
        ("p/20260501.csv", "2026-05-01..2026-05-02"),
        ("p/log-2026-05-01T13.csv", "2026-05-01T13:00:00Z..2026-05-01T14:00:00Z"),
        ("p/2026-12.csv", "2026-12-01..2027-01-01"),
        ("p/2026-05-01_2026-05-07.csv", "2026-05-01..2026-05-08"),
        ("p/part-00000-d9336c9a-19ab-4ed5-a50b-d9e48de639eb.parquet", None),
        ("p/1746057600.csv", None),
        ("p/202605.csv", None),
        ("p/2026-13-01.csv", None),
    ],
)
def test_dates_in_a_path(name: str, period: str | None) -> None:
    found = named_period(name)
    assert (None if found is None else str(found)) == period


@pytest.fixture
def loop(tmp_path: Path) -> Path:
    """Ten days, one part each; the seventh of the predictions cannot be read."""
    (tmp_path / "contract.toml").write_text(CONTRACT, encoding="utf-8")
    names = [f"2026-05-{number + 1:02}" for number in range(10)]
    write(tmp_path, names)
    write(tmp_path, names, table="outcomes")
    damage(tmp_path / "predictions" / "2026-05-07.parquet")
    return tmp_path


def test_the_gap_is_said_in_audit_metrics_availability_triage_and_card(loop: Path) -> None:
    with pytest.raises(InputError, match="2026-05-07"):
        fb.open_loop(loop)
    opened = fb.open_loop(loop, skip_unreadable=True)
    joined = opened.join()
    assert [str(part.period) for part in joined.incomplete] == ["2026-05-07..2026-05-08"]
    counted = joined.audit.filter(pl.col("rule") == "unreadable_part").row(0, named=True)
    assert (counted["table"], counted["rows"]) == ("predictions", 1)
    assert "2026-05-07.parquet" in counted["detail"]
    weeks = fb.metrics(joined, "accuracy", every="1w", stage="any")
    said = "incomplete: predictions/2026-05-07.parquet could not be read"
    assert weeks["reason"].to_list() == [None, said]
    assert weeks["value"].is_not_null().all()
    assert fb.metrics(joined, "accuracy", stage="any")["reason"][0] == said
    shares = fb.availability(joined, every="1w")["reason"]
    assert shares.to_list() == [None, said]
    assert fb.calibration_summary(joined)["reason"].to_list() == [said]
    assert fb.calibration_summary(joined, period="2026-05-01..2026-05-03")["reason"].to_list() == [None]
    touching = fb.Comparison(reference="2026-05-01..2026-05-05", current="2026-05-05..2026-05-09")
    beside = fb.Comparison(reference="2026-05-01..2026-05-03", current="2026-05-03..2026-05-05")
    assert "2026-05-07.parquet" in fb.triage(joined, touching, draws=0).warnings[0]
    assert not any("could not be read" in line for line in fb.triage(joined, beside, draws=0).warnings)
    assert fb.drift(joined, touching, columns="score")["reason"].to_list() == [said]
    assert fb.drift(joined, beside, columns="score")["reason"].to_list() == [None]
    assert "2026-05-07.parquet" in str(opened)
    assert any("2026-05-07.parquet" in line for line in joined.warnings)


def test_a_lost_part_of_the_outcomes_concerns_every_prediction_it_could_have_labelled(loop: Path) -> None:
    write(loop, [f"2026-05-{number + 1:02}" for number in range(10)])
    damage(loop / "outcomes" / "2026-05-07.parquet")
    joined = fb.open_loop(loop, skip_unreadable=True).join()
    days = fb.availability(joined, every="1d")
    marked = days.filter(pl.col("reason").is_not_null())["period_start"].dt.day().to_list()
    assert marked == [5, 6, 7]
    assert days.filter(pl.col("period_start").dt.day() == 7)["value"][0] < 0.1


def test_the_option_of_the_command_line_prints_the_gap_and_puts_it_in_the_json(loop: Path) -> None:
    run = CliRunner()
    assert isinstance(run.invoke(cli, ["check", str(loop)]).exception, InputError)
    text = run.invoke(cli, ["metrics", str(loop), "--skip-unreadable", "--stage", "any"])
    assert text.exit_code == 0, text.output
    assert "left out, because it could not be read: predictions/2026-05-07.parquet" in text.output
    told = run.invoke(cli, ["metrics", str(loop), "--skip-unreadable", "--json"])
    assert json.loads(told.output)["incomplete"][0]["period"] == "2026-05-07..2026-05-08"


def test_logs_without_a_contract_can_be_skipped_too(loop: Path) -> None:
    given = {"predictions": loop / "predictions", "outcomes": loop / "outcomes", "window": "2d"}
    with pytest.raises(InputError, match="2026-05-07"):
        fb.open_loop(**given)
    assert len(fb.open_loop(**given, skip_unreadable=True).join().incomplete) == 1


@pytest.mark.parametrize(
    "times",
    [
        pytest.param(None, id="no time column"),
        pytest.param([5, 6], id="no times"),
        pytest.param([None, None], id="only nulls"),
    ],
)
def test_where_nothing_tells_the_time_the_whole_log_is_incomplete(
    tmp_path: Path, times: list[int | None] | None
) -> None:
    (tmp_path / "predictions").mkdir()
    for name in ("a", "1850-01-01", "c"):
        part = pl.DataFrame({"prediction_id": [f"{name}1", f"{name}2"], "score": [0.1, 0.2]})
        part = part if times is None else part.with_columns(pl.Series("ts_pred", times))
        part.write_csv(tmp_path / "predictions" / f"{name}.csv")
    damage(tmp_path / "predictions" / "1850-01-01.csv")
    part = skip(tmp_path).incomplete[0]
    assert (part.file, part.period) == ("predictions/1850-01-01.csv", None)


def test_a_log_that_is_incomplete_at_an_unknown_time_says_so_everywhere(loop: Path) -> None:
    write(loop, [f"2026-05-{number + 1:02}" for number in range(10)])
    joined = fb.open_loop(loop).join()
    lost = UnreadablePart(table="predictions", file="predictions/x.csv", period=None, reason="damaged")
    joined = replace(joined, incomplete=(lost,))
    assert (
        fb.availability(joined, every="1w")["reason"].to_list()
        == ["incomplete: predictions/x.csv could not be read"] * 2
    )
    assert "all predictions" in joined.warnings[0]
    harmless = replace(joined, incomplete=(replace(lost, table="changes"),))
    assert fb.availability(harmless)["reason"].to_list() == [None]
