"""Value, amounts, cost, latency, status shares and the contract's promises, against plain loops over a small shop."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

import fbkit as fb
from fbkit.measure.budget import budget_status
from fbkit.measure.metrics import metrics
from fbkit.samples.revenue import RevenueConfig, revenue
from fbkit.schema.contract import Contract
from fbkit.testing.frames import CONTRACT, FakeJoined, make_joined

SHOP = RevenueConfig(start=datetime(2026, 3, 24, tzinfo=UTC), days=12, sessions_per_day=40, users=100)
VALUE = "[value]\ntrue_positive = 120.0\nfalse_positive = -8.0\nfalse_negative = -120.0\n"


def with_contract(joined: FakeJoined, more: str, *, task: str = "binary") -> FakeJoined:
    contract = Contract.from_toml(CONTRACT.format(task=task) + more)
    return FakeJoined(frame=joined.frame, contract=contract, as_of=joined.as_of)


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory):
    return fb.open_loop(revenue(SHOP, seed=5).write(tmp_path_factory.mktemp("shop"))).join()


row = st.tuples(
    st.sampled_from([0.1, 0.4, 0.8]), st.sampled_from([0.0, 1.0, None]), st.sampled_from([True, False, None])
)


@given(rows=st.lists(row, min_size=1, max_size=8))
def test_value_per_prediction_is_that_of_its_cells_and_sharp_over_every_labelling(
    rows: list[tuple[float, float | None, bool | None]],
) -> None:
    plain = make_joined(
        scores=[score for score, _, _ in rows],
        labels=[label for _, label, _ in rows],
        flags=[flag for _, _, flag in rows],
    )
    got = metrics(with_contract(plain, VALUE), "value_per_prediction").row(0, named=True)
    worth = {(True, 1.0): 120.0, (True, 0.0): -8.0, (False, 1.0): -120.0, (False, 0.0): 0.0}
    decided = [(label, flag) for _, label, flag in rows if flag is not None]
    known = [worth[flag, label] for label, flag in decided if label is not None]
    least = [min(worth[flag, y] for y in ((label,) if label is not None else (0.0, 1.0))) for label, flag in decided]
    most = [max(worth[flag, y] for y in ((label,) if label is not None else (0.0, 1.0))) for label, flag in decided]
    assert got["value"] == (pytest.approx(np.mean(known), abs=1e-9) if known else None)
    if decided:
        assert got["bound_lower"] == pytest.approx(
            min([np.mean(least), *([np.mean(known)] if known else [])]), abs=1e-9
        )
        assert got["bound_upper"] == pytest.approx(max([np.mean(most), *([np.mean(known)] if known else [])]), abs=1e-9)


def test_expected_value_believes_the_scores_and_needs_no_labels() -> None:
    plain = make_joined(scores=[0.9, 0.2, 0.6], labels=[None, None, None])
    joined = with_contract(plain, VALUE)
    expected = np.mean([0.9 * 120 - 0.1 * 8, 0.2 * -120, 0.6 * 120 - 0.4 * 8])
    assert metrics(joined, "expected_value")["value"][0] == pytest.approx(expected)
    margins = CONTRACT.format(task="binary").replace("[predictions]", '[predictions]\nscore_kind = "margin"') + VALUE
    other = FakeJoined(frame=plain.frame, contract=Contract.from_toml(margins), as_of=plain.as_of)
    assert metrics(other, "expected_value")["reason"][0] == "scores are not probabilities"


def test_without_prices_there_is_a_reason() -> None:
    joined = make_joined(scores=[0.9], labels=[1.0])
    frame = metrics(
        joined, ["value_per_prediction", "cost_per_1000", "latency_p95", "ok_share", "amount_per_prediction"]
    )
    assert frame["value"].null_count() == 5
    assert frame["reason"].to_list() == [
        "the contract has no [value]",
        "no column cost, and the contract has no [[costs]]",
        "no column latency_ms",
        "no column status",
        "no column amount",
    ]


def costs_by_hand(shop) -> dict[str, float]:
    """Cost of every prediction: as logged, else 0.0001 and a share of 40 a month over the month's covered part."""
    rows = shop.frame.sort("ts_pred").to_dicts()
    first = rows[0]["ts_pred"].replace(hour=0, minute=0, second=0, microsecond=0)
    last = rows[-1]["ts_pred"].replace(hour=0, minute=0, second=0, microsecond=0) + timedelta(days=1)
    days = {}
    day = first
    while day < last:
        days[day.month] = days.get(day.month, 0) + 1
        day += timedelta(days=1)
    count = {month: sum(row["ts_pred"].month == month for row in rows) for month in days}
    length = {3: 31, 4: 30}
    fixed = {month: 40.0 * days[month] / length[month] / count[month] for month in days}
    return {
        row["prediction_id"]: row["cost"] if row["cost"] is not None else 0.0001 + fixed[row["ts_pred"].month]
        for row in rows
    }


def test_costs_are_the_logged_ones_else_the_contracts_amortised_over_the_month(shop) -> None:
    by_hand = costs_by_hand(shop)
    assert {row["ts_pred"].month for row in shop.frame.iter_rows(named=True)} == {3, 4}
    got = metrics(shop, ["cost_per_1000", "spend"], stage="any")
    assert got["value"].to_list() == pytest.approx([1000 * np.mean(list(by_hand.values())), sum(by_hand.values())])
    assert got["lower"].to_list()[1] is None
    # A question about a part of the month does not spread the month's fixed cost over that part only.
    period = "2026-03-28..2026-03-30"
    part = metrics(shop, "spend", stage="any", period=period, every="1d", by="model_version")
    inside = shop.frame.filter(pl.col("ts_pred").is_between(*(datetime(2026, 3, d, tzinfo=UTC) for d in (28, 30))))
    assert part["value"].sum() == pytest.approx(sum(by_hand[name] for name in inside["prediction_id"]))
    assert part.height == 4


def test_amounts_are_those_of_the_statements_that_count(shop) -> None:
    amounts = dict(shop.candidates.filter(pl.col("fate") == "used").select("prediction_id", "amount").iter_rows())
    rows = shop.frame.filter(pl.col("mature") & pl.col("label").is_not_null())
    expected = np.mean([amounts.get(name, 0.0) for name in rows["prediction_id"]])
    assert metrics(shop, "amount_per_prediction")["value"][0] == pytest.approx(expected)
    by_hand = costs_by_hand(shop)
    mature = shop.frame.filter(pl.col("mature"))["prediction_id"]
    share = sum(by_hand[name] for name in mature) / sum(amounts.get(name, 0.0) for name in mature)
    assert metrics(shop, "spend_share")["value"][0] == pytest.approx(share)


def test_latency_by_part_is_numpys_quantile_and_ignores_labels(shop) -> None:
    names = {"latency_p50": 0.5, "latency_p99": 0.99, "latency_feature_p95": 0.95, "latency_post_p90": 0.9}
    got = dict(metrics(shop, list(names), stage="any").select("metric", "value").iter_rows())
    for name, p in names.items():
        part = name.removeprefix("latency_").rpartition("p")[0]
        column = shop.frame[f"latency_{part}ms"]
        assert got[name] == np.quantile(column.to_numpy(), p, method="inverted_cdf")


def test_status_shares_are_of_the_rows_that_say_one() -> None:
    joined = make_joined(
        scores=[0.5] * 6,
        labels=[None] * 6,
        columns={"status": ["ok", " OK ", "timeout", "fallback", None, "error"]},
    )
    got = metrics(joined, ["ok_share", "timeout_share", "fallback_share", "error_share"])
    assert got["value"].to_list() == [0.4, 0.2, 0.2, 0.2]
    assert set(got["method"]) == {"Wilson"}


def test_null_costs_and_latencies_are_left_out() -> None:
    joined = make_joined(
        scores=[0.5] * 4,
        labels=[1.0] * 4,
        columns={"cost": [0.1, None, 0.3, None], "latency_ms": [5.0, None, 7.0, 9.0]},
    )
    got = metrics(joined, ["cost_per_1000", "spend", "latency_p50", "volume"])
    assert got["value"].to_list() == [pytest.approx(200.0), pytest.approx(0.4), 7.0, 4.0]


PROMISES = """
[slo]
latency_ms = { p50 = 10, p95 = 100 }
cost_per_1000 = { maximum = 1000.0 }
label_availability = { at = "2h", minimum = 0.5 }
[budget]
added_latency_ms = { p99 = 130 }
spend_share_of_revenue = 0.9
"""


def test_each_promise_is_kept_broken_or_open(shop, tmp_path: Path) -> None:
    folder = revenue(SHOP, seed=5).write(tmp_path)
    text = (folder / "contract.toml").read_text()
    head, _, rest = text.partition("[slo]")
    (folder / "contract.toml").write_text(head + PROMISES + "[[costs]]" + rest.partition("[[costs]]")[2])
    frame = budget_status(fb.open_loop(folder).join())
    status = dict(frame.select("item", "status").iter_rows())
    assert list(status) == [
        "slo.latency_ms.p50",
        "slo.latency_ms.p95",
        "slo.cost_per_1000.maximum",
        "slo.label_availability.minimum",
        "budget.added_latency_ms.p99",
        "budget.spend_share_of_revenue",
    ]
    assert status["slo.latency_ms.p50"] == "fail"
    assert status["slo.cost_per_1000.maximum"] == "pass"
    assert status["slo.label_availability.minimum"] == "pass"
    for item in frame.iter_rows(named=True):
        low, high, limit = item["lower"], item["upper"], item["limit"]
        kept, broken = (low >= limit, high < limit) if item["at_least"] else (high <= limit, low > limit)
        assert item["status"] == ("pass" if kept else "fail" if broken else "cannot tell")
    assert frame["evaluation_id"].n_unique() == 1
    assert budget_status(shop, by="seller")["seller"].to_list() == ["large", "small"] * 2


def test_a_promise_without_data_cannot_be_judged_and_no_promise_gives_no_row() -> None:
    plain = make_joined(scores=[0.5], labels=[1.0])
    assert budget_status(plain).height == 0
    joined = with_contract(plain, "[slo]\nlatency_ms = { p95 = 10 }\n")
    assert budget_status(joined).select("status", "reason").row(0) == ("cannot tell", "no column latency_ms")
