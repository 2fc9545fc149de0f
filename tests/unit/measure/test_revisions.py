"""The revision view: each row is what a join at that time says, and what arrived in between is counted by hand."""

from datetime import UTC, datetime, timedelta
from typing import Any

import polars as pl
import pytest

import fbkit as fb
from fbkit.errors import ArgumentError, InputError
from fbkit.measure.metrics import metrics
from fbkit.measure.provisional import provisional
from fbkit.measure.revisions import revisions
from fbkit.samples.chargeback import ChargebackConfig, chargebacks

T0 = datetime(2024, 5, 6, tzinfo=UTC)
HOUR, DAY = timedelta(hours=1), timedelta(days=1)
WEEK = "2024-05-06..2024-05-07"


def opened(*said: tuple[str, timedelta, float, str], window: str = "3d", **label: Any) -> fb.Loop:
    """Ten predictions on the first day (p0 to p4 flagged), each statement: id, arrival after T0, label, source."""
    made = [T0 + i * 2 * HOUR for i in range(10)]
    left = pl.DataFrame(
        {
            "prediction_id": [f"p{i}" for i in range(10)],
            "ts_pred": made,
            "score": [0.9] * 5 + [0.1] * 5,
            "region": ["EU", None] * 5,
        }
    )
    rows = [(name, T0 + 20 * HOUR, T0 + after, value, source) for name, after, value, source in said]
    names = ["prediction_id", "ts_event", "ts_arrival", "label", "source"]
    right = pl.DataFrame(rows, schema=names, orient="row").cast({"ts_event": pl.Datetime("us", "UTC")})
    content = {
        "model": {"name": "m"},
        "predictions": {},
        "outcomes": {},
        "label": {"window": window, **label},
        "decision": {"threshold": 0.5},
        "slices": {"columns": ["region"]},
    }
    return fb.open_loop(contract=fb.Contract.from_dict(content), predictions=left, outcomes=right)


LOOP = opened(
    ("p0", DAY, 1.0, "auto"),
    ("p5", DAY, 1.0, "auto"),
    ("p1", 2 * DAY, 1.0, "auto"),
    ("p5", 2 * DAY + HOUR, 0.0, "backfill"),
    ("p6", 3 * DAY - HOUR, 1.0, "backfill"),
    ("p7", 9 * DAY, 1.0, "auto"),
)


def test_the_number_its_labels_and_what_came_in_between() -> None:
    frame = revisions(LOOP, metric="recall", period=WEEK, every="1d")
    assert frame["as_of"].to_list() == [T0 + n * DAY for n in (1, 2, 3, 4, 9)]
    assert frame["value"].to_list() == pytest.approx([1 / 2, 2 / 3, 2 / 3, 2 / 3, 2 / 4])
    assert frame["n_labelled"].to_list() == [2, 3, 4, 4, 5]
    assert frame["availability"].to_list() == pytest.approx([0.2, 0.3, 0.4, 0.4, 0.5])
    assert frame["new_labels"].to_list() == [2, 1, 1, 0, 1]
    assert frame["corrections"].to_list() == [0, 0, 1, 0, 0]
    assert frame["backfilled"].to_list() == [0, 0, 2, 0, 0]
    assert frame["stage"].to_list() == ["young", "young", "mixed", "final", "final"]
    assert frame["n"].to_list() == [10] * 5


@pytest.mark.parametrize("by", [None, "region"])
def test_each_row_equals_the_metric_of_a_join_at_that_time(by: str | None) -> None:
    frame = revisions(LOOP, metric="precision", period=WEEK, by=by, every="12h")
    for moment in frame["as_of"].unique():
        there = metrics(LOOP.join(as_of=moment), "precision", by=by, period=WEEK, stage="any")
        here = frame.filter(pl.col("as_of") == moment)
        columns = ["value", "lower", "upper", "bound_lower", "bound_upper", "n", "n_labelled", "stage", "reason"]
        assert here.select(columns).equals(there.select(columns))


def test_slices_add_up_and_a_null_value_is_a_slice_of_its_own() -> None:
    whole = revisions(LOOP, metric="recall", period=WEEK, every="1d")
    parts = revisions(LOOP, metric="recall", period=WEEK, every="1d", by="region")
    for name in ("n", "n_labelled", "new_labels", "corrections", "backfilled"):
        assert parts.group_by("as_of").agg(pl.col(name).sum()).sort("as_of")[name].to_list() == whole[name].to_list()
    assert set(parts["region"]) == {"EU", None}


def test_a_label_that_no_longer_counts_is_withdrawn() -> None:
    loop = opened(
        ("p0", DAY, 1.0, "auto"),
        ("p0", 2 * DAY, 1.0, "auto"),
        ("p0", 2 * DAY, 0.0, "auto"),
        ("p1", 5 * DAY, 1.0, "auto"),
    )
    frame = revisions(loop, metric="recall", period=WEEK, every="1d")
    assert frame["withdrawn"].to_list() == [0, 1, 0, 0, 0]
    assert frame["reason"][1] == "no labelled rows"


def test_the_default_period_is_the_last_mature_week_and_the_metric_the_contracts_own() -> None:
    loop = fb.open_loop(fb.samples.path("recall_drop") / "variant_a")
    frame = revisions(loop, at=[loop.join().as_of])
    current = loop.join().compare().current
    assert current is not None
    assert frame.select("metric", "period_start", "period_end").row(0) == ("recall", current.start, current.end)


@pytest.mark.parametrize(
    ("window", "most", "step"), [("3d", 13, 6 * HOUR), ("14d", 16, DAY), ("90d", 15, 7 * DAY), ("2h", 4, HOUR)]
)
def test_the_default_times_end_with_maturity_and_the_newest_arrival(window: str, most: int, step: timedelta) -> None:
    loop = opened(("p0", 400 * DAY, 1.0, "auto"), ("p1", 21 * HOUR, 1.0, "auto"), window=window)
    times = revisions(loop, period=WEEK)["as_of"].to_list()
    assert times[0] == T0 + DAY
    assert times[1] - times[0] == step
    assert (
        times[-2]
        == T0
        + DAY
        + fb.Contract.from_dict(
            {"model": {"name": "m"}, "predictions": {}, "outcomes": {}, "label": {"window": window}}
        ).label.window
    )
    assert times[-1] == T0 + 400 * DAY
    assert len(times) <= most + 1


def test_nothing_is_looked_at_beyond_the_logs() -> None:
    loop = opened(("p0", DAY + HOUR, 1.0, "auto"))
    assert revisions(loop, period=WEEK, every="1d")["as_of"].to_list() == [T0 + DAY, T0 + DAY + HOUR]


def test_one_question_has_one_id_at_each_time() -> None:
    once, again = (revisions(LOOP, period=WEEK, every="1d") for _ in range(2))
    assert once.equals(again)
    assert once["evaluation_id"].n_unique() == once.height


def test_what_does_not_fit_is_told() -> None:
    with pytest.raises(ArgumentError, match="takes an open loop first"):
        revisions(LOOP.join())  # type: ignore[arg-type]
    with pytest.raises(ArgumentError, match="there is no metric"):
        revisions(LOOP, metric="recal")
    with pytest.raises(ArgumentError, match="step between two looks"):
        revisions(LOOP, period=WEEK, every="1s")
    with pytest.raises(ArgumentError, match="some times to look at"):
        revisions(LOOP, period=WEEK, at=[])
    with pytest.raises(ArgumentError, match="slice column does not exist"):
        revisions(LOOP, period=WEEK, by="planet")
    with pytest.raises(InputError, match="no prediction at the as-of time"):
        revisions(LOOP, period=WEEK, at="2020-01-01")


@pytest.fixture(scope="module")
def chargeback_loop() -> fb.Loop:
    made = chargebacks(ChargebackConfig(days=200, per_day=600, base_rate=0.03), seed=4)
    contract = fb.Contract.from_toml(made.contract_toml)
    return fb.open_loop(contract=contract, predictions=made.predictions, outcomes=made.outcomes)


def test_where_only_positives_are_reported_young_numbers_are_corrected_and_the_naive_ones_stand_beside(
    chargeback_loop: fb.Loop,
) -> None:
    period = "2025-09-22..2025-10-06"
    frame = revisions(chargeback_loop, metric="precision", period=period, every="30d")
    first, middle, last = frame.row(0, named=True), frame.row(2, named=True), frame.row(-1, named=True)
    assert (first["value"], first["reason"]) == (None, "only positives have been reported so far")
    assert (middle["stage"], middle["naive"]) == ("provisional@60d", 1.0)
    assert middle["lower"] <= last["value"] <= middle["upper"]
    assert (last["stage"], last["naive"]) == ("final", None)
    there = provisional(chargeback_loop.join(as_of=middle["as_of"]), "precision", stage="60d", period=period)
    assert there["value"][0] == middle["value"]


def test_a_metric_without_a_correction_is_not_shown_naively(chargeback_loop: fb.Loop) -> None:
    frame = revisions(chargeback_loop, metric="accuracy", period="2025-09-22..2025-10-06", every="60d")
    assert frame["value"][1] is None
    share = revisions(chargeback_loop, metric="availability", period="2025-09-22..2025-10-06", every="60d")
    assert share["value"].null_count() == 0
