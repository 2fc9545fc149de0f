"""A draft contract from log files: columns, paths as seen from the contract, and a window that holds the labels."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

import polars as pl
import pytest

from fbkit.errors import InputError
from fbkit.load.draft import WINDOWS, draft_contract
from fbkit.load.loop import load_logs
from fbkit.schema.durations import parse_duration

T0 = datetime(2024, 5, 6, tzinfo=UTC)
N = 40


@pytest.fixture
def logs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, str]:
    monkeypatch.chdir(tmp_path)
    write(lag=timedelta(hours=5))
    return {"predictions": "in/p.csv", "outcomes": "in/o.csv"}


def write(*, lag: timedelta, zone: str = "+00:00") -> None:
    Path("in").mkdir(exist_ok=True)
    made = [T0 + timedelta(hours=i) for i in range(N)]
    ids = [f"{i:04d}" for i in range(N)]
    scores = {"txn_id": ids, "scored_at": made, "score": [i / N for i in range(N)]}
    frames = {
        "p": pl.DataFrame(scores | {"country": ["DE", "FR"] * (N // 2)}),
        "o": pl.DataFrame({"txn": ids, "fraud": [i % 2 for i in range(N)], "happened_at": [at + lag for at in made]}),
        "a": pl.DataFrame(
            {"txn_id": ids, "what": ["Block", "allow"] * (N // 2), "propensity": [0.5] * N, "policy": ["v1"] * N}
        ),
    }
    for name, frame in frames.items():
        frame.with_columns(pl.col(pl.Datetime).dt.strftime(f"%Y-%m-%dT%H:%M:%S{zone}")).write_csv(f"in/{name}.csv")


def test_the_draft_opens_from_where_it_stands(logs: dict[str, str], tmp_path: Path) -> None:
    made, said = draft_contract(logs, folder=Path("loops/fraud"), name="fraud")
    assert (made.predictions.path, made.outcomes.path) == ("../../in/p.csv", "../../in/o.csv")
    assert made.model.name == "fraud"
    assert made.slices.columns == ("country",)
    (tmp_path / "loops" / "fraud").mkdir(parents=True)
    opened = load_logs(made, root=tmp_path / "loops" / "fraud")
    assert opened.predictions.frame.height == N
    assert sum("predictions: prediction_id is txn_id" in line for line in said) == 1


@pytest.mark.parametrize(
    ("lag", "window"),
    [
        (timedelta(minutes=20), "1h"),
        (timedelta(hours=1), "1h"),
        (timedelta(hours=5), "6h"),
        (timedelta(days=20), "30d"),
        (timedelta(days=900), "365d"),
    ],
)
def test_the_window_is_the_shortest_usual_one_that_holds_the_outcomes(
    logs: dict[str, str], lag: timedelta, window: str
) -> None:
    write(lag=lag)
    made, said = draft_contract(logs, folder=Path())
    assert made.label.window_text == window
    assert f"so the window is {window}" in said[-1]
    assert sum("window" in line for line in said) == 1


def test_a_window_that_is_given_is_kept(logs: dict[str, str]) -> None:
    made, said = draft_contract(logs, folder=Path(), window="90d")
    assert made.label.window == timedelta(days=90)
    assert "window 90d" in said[-1]


def test_where_no_outcome_follows_its_prediction_the_window_is_called_a_placeholder(logs: dict[str, str]) -> None:
    write(lag=timedelta(hours=-5))
    made, said = draft_contract(logs, folder=Path())
    assert made.label.window_text == "7d"
    assert "placeholder" in said[-1]


def test_logs_that_cannot_be_opened_yet_still_get_a_draft(logs: dict[str, str]) -> None:
    write(lag=timedelta(hours=1), zone="")
    made, said = draft_contract(logs, folder=Path())
    assert made.label.window_text == "7d"
    assert "placeholder" in said[-1]
    zoned, told = draft_contract(logs, folder=Path(), timezone="UTC")
    assert (zoned.time.timezone, zoned.label.window_text) == ("UTC", "1h")
    assert any("read as UTC" in line for line in told)


def test_actions_are_mapped_and_what_hides_the_outcome_is_named(logs: dict[str, str]) -> None:
    made, said = draft_contract({**logs, "actions": "in/a.csv"}, folder=Path())
    assert made.actions is not None
    assert made.actions.columns == {
        "prediction_id": "txn_id", "action": "what", "propensity": "propensity", "policy_id": "policy",
    }  # fmt: skip
    assert made.actions.blocked == ("Block",)
    assert any("Block hides the outcome" in line for line in said)


def test_actions_that_pair_with_nothing_are_refused(logs: dict[str, str]) -> None:
    pl.DataFrame({"id": ["x1", "x2"], "action": ["block", "pass"]}).write_csv("in/a.csv")
    with pytest.raises(InputError, match="no column pairs the actions"):
        draft_contract({**logs, "actions": "in/a.csv"}, folder=Path())


def test_the_usual_windows_grow() -> None:
    assert list(WINDOWS) == sorted(WINDOWS, key=parse_duration)
