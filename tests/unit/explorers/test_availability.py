"""The availability explorer: its numbers are the measures', as known at any midnight, from rows and from a ledger."""

import json
from datetime import datetime, timedelta
from typing import Any

import polars as pl
import pytest
from polars.testing import assert_frame_equal

from fbkit.errors import ArgumentError
from fbkit.explorers.availability import NO_SLICE, VIEWS, AvailabilityExplorer
from fbkit.explorers.source import Source
from fbkit.explorers.state import Shared
from fbkit.ledger.build import build
from fbkit.measure.availability import availability
from fbkit.measure.burn_down import burn_down, promise_dates
from fbkit.measure.lag import label_lag
from fbkit.schema.contract import Contract
from fbkit.schema.period import Comparison, Period
from fbkit.testing.frames import CONTRACT, START, FakeJoined, random_joined

HOSTILE = "<script>alert(1)</script>"
AS_OF = START + timedelta(days=60)
DAY = timedelta(days=1)
WEEKS = Comparison(reference="2026-04-06..2026-04-13", current="2026-04-13..2026-04-20")
SHOWN = [name for _, name in VIEWS]


@pytest.fixture(scope="module")
def joined() -> FakeJoined:
    made = random_joined(3000, seed=5, groups=3, days=40)
    days = pl.col("score") * 6
    lag = pl.when(pl.col("label").is_not_null()).then((days * 86_400e6).cast(pl.Int64).cast(pl.Duration("us")))
    frame = made.frame.with_columns(lag.alias("arrival_lag"), (pl.col("ts_pred") + lag).alias("ts_arrival"))
    known = pl.col("ts_arrival") <= AS_OF
    frame = frame.with_columns(
        *(pl.when(known).then(name).alias(name) for name in ("label", "arrival_lag")),
        pl.when(pl.col("group") == "g1").then(pl.lit(HOSTILE)).otherwise(pl.col("group")).alias("group"),
    )
    slo = '\n[slo]\nlabel_availability = { at = "7d", minimum = 0.7 }\n[slices]\ncolumns = ["group", "region"]\n'
    contract = Contract.from_toml(CONTRACT.format(task="binary") + slo)
    return FakeJoined(frame=frame, contract=contract, as_of=AS_OF)


@pytest.fixture(scope="module")
def explorer(joined: FakeJoined) -> AvailabilityExplorer:
    return AvailabilityExplorer(joined, WEEKS)


@pytest.fixture(autouse=True)
def start(explorer: AvailabilityExplorer) -> None:
    explorer.shared.apply(Source.of(explorer.source).view(WEEKS, by="group"))
    explorer.set_trait("value", NO_SLICE)
    explorer.grain, explorer.cohort, explorer.show = "1d", "week", "time"


def same(ours: pl.DataFrame, theirs: pl.DataFrame) -> None:
    drop = ["evaluation_id", "role"]
    assert_frame_equal(ours.drop(drop, strict=False), theirs.drop(drop, strict=False))


def moves(explorer: AvailabilityExplorer) -> int:
    return explorer.view.frame["seq"]


def known_at(joined: FakeJoined, at: datetime) -> FakeJoined:
    """What a join at that time would have said."""
    came = pl.col("ts_arrival") <= at
    old = pl.col("ts_pred") + timedelta(days=7) <= at
    frame = joined.frame.filter(pl.col("ts_pred") <= at).with_columns(
        *(pl.when(came).then(name).alias(name) for name in ("label", "arrival_lag")), old.alias("mature")
    )
    return FakeJoined(frame=frame, contract=joined.contract, as_of=at)


@pytest.mark.parametrize("show", SHOWN)
def test_the_time_machine_moves_every_number_to_what_was_known_then(
    explorer: AvailabilityExplorer, joined: FakeJoined, show: str
) -> None:
    at = AS_OF - 6 * DAY
    explorer.show = show
    before, drawing = moves(explorer), explorer.view.drawing
    explorer.parts["as_of"].value = at
    assert explorer.shared.as_of == at
    assert moves(explorer) == before + 1
    assert explorer.view.drawing == drawing, "a move exchanges rows and leaves the drawing alone"
    assert "2026-04-25" in explorer.view.frame["texts"]["smallprint"]
    then = known_at(joined, at)
    expected = {
        "cohorts": lambda: label_lag(then, every="1d", points=explorer.model.ages),
        "burn_down": lambda: burn_down(then, every="1w").filter(pl.col("period_start") == START + 42 * DAY),
        "age": lambda: pl.concat([label_lag(then, period=part, points=list(range(8))) for part in WEEKS.periods()]),
    }
    if show == "time":
        whole = availability(then, by="group", every="1d")
        keys = ["group", "period_start"]
        numbers = [*keys, "value", "n", "n_labelled"]
        assert_frame_equal(
            explorer.result.select(numbers).sort(keys, nulls_last=True),
            whole.select(numbers).sort(keys, nulls_last=True),
        )
        return
    shown = expected[show]()
    if show == "cohorts":
        shown = shown.filter(pl.col("period_start") >= explorer.result["period_start"].min())
    same(explorer.result, shown)


def test_rows_and_a_ledger_of_them_show_the_same(joined: FakeJoined) -> None:
    ledger = AvailabilityExplorer(build(joined, slices=["group", "region"]), WEEKS)
    rows = AvailabilityExplorer(joined, WEEKS)
    for show in SHOWN:
        ledger.show = rows.show = show
        assert ledger.trouble == rows.trouble == ""
        assert ledger.view.frame["rows"] == rows.view.frame["rows"]
        assert ledger.summary == rows.summary
        assert "ledger" in ledger.calls()[-1]
        assert "joined" in rows.calls()[-1]


@pytest.mark.parametrize("show", SHOWN)
def test_the_calls_compute_what_is_shown(explorer: AvailabilityExplorer, joined: FakeJoined, show: str) -> None:
    import fbkit as fb

    explorer.show = show
    names: dict[str, Any] = {"fb": fb, "joined": joined}
    *first, last = explorer.calls()
    for line in first:
        exec(line, names)
    made = eval(last, names)
    shown = explorer.result
    if show == "age":
        shown, made = (part.filter(pl.col("age_days").is_in([0.0, 7.0])) for part in (shown, made))
        shown = shown.filter(pl.col("role") == "current")
    keys = [name for name in ("group", "period_start", "as_of", "age_days") if name in shown.columns]
    both = shown.join(made, on=keys, how="left", nulls_equal=True, suffix="_called")
    number = "n_missing" if show == "burn_down" else "value"
    assert both.height == shown.height
    assert both[number].to_list() == pytest.approx(both[f"{number}_called"].to_list(), nan_ok=True)


def test_narrowed_to_a_slice(explorer: AvailabilityExplorer, joined: FakeJoined) -> None:
    only = FakeJoined(
        frame=joined.frame.filter(pl.col("group") == HOSTILE), contract=joined.contract, as_of=joined.as_of
    )
    explorer.show = "burn_down"
    explorer.cohort = "current"
    explorer.value = HOSTILE
    same(explorer.result, burn_down(only, period="2026-04-13..2026-04-20"))
    assert HOSTILE in explorer.view.frame["texts"]["headline"]
    assert "<script" not in explorer._line.value
    assert HOSTILE in explorer.calls()[-1]
    explorer.by = "region"
    assert explorer.value == NO_SLICE
    assert HOSTILE not in explorer.view.frame["texts"]["headline"]


def test_a_click_on_a_slice_focuses_it_and_one_on_a_cohort_its_days(explorer: AvailabilityExplorer) -> None:
    row = next(row for row in explorer.view.frame["rows"] if row.get("slice") == HOSTILE)
    explorer.view.picked = {"kind": "pick", "value": row["pick"], "seq": 1}
    assert explorer.shared.focus == {"group": HOSTILE}
    assert {row.get("slice") for row in explorer.view.frame["rows"] if row["part"] == "point"} == {HOSTILE}
    explorer.shared.clear()
    explorer.show = "cohorts"
    cell = next(row for row in explorer.view.frame["rows"] if row["part"] == "cell" and row["pick"] == 3)
    explorer.view.picked = {"kind": "pick", "value": 3, "seq": 2}
    days = explorer.shared.days
    assert isinstance(days, Period)
    assert (days.start.timestamp() * 1000, days.end.timestamp() * 1000) == (cell["from"], cell["to"])
    explorer.view.picked = {"kind": "pick", "value": 10**6, "seq": 3}
    assert explorer.shared.days == days


def test_explorers_of_one_page_move_together(joined: FakeJoined) -> None:
    source = Source.of(joined)
    shared = Shared.of(source.view(WEEKS))
    one, two = (AvailabilityExplorer(source, shared=shared) for _ in range(2))
    before = moves(two)
    one.by = "region"
    assert (two.by, moves(two)) == ("region", before + 1)
    assert "region" in two.result.columns
    shared.as_of = AS_OF - 3 * DAY
    assert two.parts["as_of"].value == one.parts["as_of"].value == AS_OF - 3 * DAY
    two.value = "US"
    shared.by = None
    assert (one.by, two.by, two.value) == (NO_SLICE, NO_SLICE, NO_SLICE)
    shared.by = "nobody's column"
    assert "slice column" in one.trouble


def test_brushed_days_take_the_place_of_the_current_period(explorer: AvailabilityExplorer) -> None:
    explorer.show, explorer.cohort = "burn_down", "current"
    explorer.shared.days = Period.parse("2026-04-08..2026-04-11")
    assert explorer.result["period_start"].unique().to_list() == [datetime.fromisoformat("2026-04-08T00:00Z")]
    assert "8 Apr to 10 Apr" in explorer.summary


def test_what_the_burn_down_says_is_what_was_counted(explorer: AvailabilityExplorer, joined: FakeJoined) -> None:
    explorer.show = "burn_down"
    explorer.shared.as_of = AS_OF - 10 * DAY
    dates = promise_dates(explorer.result).row(0, named=True)
    assert dates["state"] in ("expected", "short")
    assert f"{dates['n_missing']} are missing" in explorer.summary
    explorer.cohort = "current"
    explorer.shared.as_of = AS_OF
    fact = promise_dates(burn_down(joined, period="2026-04-13..2026-04-20")).row(0, named=True)
    assert fact["state"] in ("reached", "missed")
    assert (f"short by {fact['short']:.0f}" if fact["state"] == "missed" else "were there") in explorer.summary


def test_what_was_not_known_then_is_not_drawn(joined: FakeJoined) -> None:
    log = pl.DataFrame(
        {"ts": [START + 30 * DAY, START + 50 * DAY], "kind": ["deploy", "incident"], "what": ["v2", "outage"]}
    )
    source = Source(joined=joined, changes=log)
    explorer = AvailabilityExplorer(source, shared=Shared.of(source.view(WEEKS)))
    for show in ("time", "cohorts"):
        explorer.show = show
        explorer.shared.as_of = AS_OF
        letters = [row["letter"] for row in explorer.view.frame["rows"] if row["part"] == "change"]
        assert letters == ["D", "!"]
        explorer.shared.as_of = START + 45 * DAY
        letters = [row["letter"] for row in explorer.view.frame["rows"] if row["part"] == "change"]
        assert letters == ["D"]


def test_an_age_that_a_few_predictions_have_reached_is_not_drawn(explorer: AvailabilityExplorer) -> None:
    explorer.show = "age"
    explorer.shared.as_of = AS_OF - 16 * DAY
    current = explorer.result.filter(pl.col("role") == "current")
    assert current["n"].min() >= 20
    assert current["age_days"].max() < 2
    assert explorer.summary.startswith(f"After {current['age_days'].max():g} day")


def test_controls_that_change_nothing_are_hidden(explorer: AvailabilityExplorer) -> None:
    wanted = {
        "time": {"grain"},
        "cohorts": {"grain", "value"},
        "burn_down": {"value", "cohort"},
        "age": {"value"},
    }
    for show, names in wanted.items():
        explorer.show = show
        shown = {name for name in ("grain", "value", "cohort") if explorer.parts[name].layout.display != "none"}
        assert shown == names
    assert all(control.description and control.tooltip for control in explorer.parts.values())


def test_regression_has_no_time_machine_but_says_so() -> None:
    made = random_joined(600, days=30)
    scores = made.frame.with_columns(state=pl.lit("labelled").cast(made.frame.schema["state"]))
    contract = Contract.from_toml(CONTRACT.format(task="regression"))
    explorer = AvailabilityExplorer(FakeJoined(frame=scores, contract=contract, as_of=made.as_of), WEEKS)
    assert explorer.parts["as_of"].disabled
    for show in SHOWN:
        explorer.show = show
        assert explorer.trouble == ""


def test_what_travels_is_small_and_holds_no_ids(explorer: AvailabilityExplorer) -> None:
    for show in SHOWN:
        explorer.show = show
        sent = json.dumps(explorer.view.frame)
        assert "p-0000" not in sent
        assert len(sent) < 100_000


def test_without_a_promise_nothing_is_called_one() -> None:
    explorer = AvailabilityExplorer(random_joined(800, days=30), WEEKS, show="cohorts")
    assert not any("promised" in row for row in explorer.view.frame["rows"])
    explorer.show = "burn_down"
    assert explorer.view.frame["texts"]["headline"] == "Labels still missing"
    assert "no promise in the contract" in explorer.summary


def test_wrong_arguments_are_refused(joined: FakeJoined) -> None:
    with pytest.raises(ArgumentError, match="no such view"):
        AvailabilityExplorer(joined, WEEKS, show="cohort")
    with pytest.raises(ArgumentError, match="column"):
        AvailabilityExplorer(joined, WEEKS, by="nobody")
