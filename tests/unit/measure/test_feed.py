"""Feed completeness is about one while all arrives, the share that arrives when some does not, and null if unknown."""

from datetime import timedelta
from functools import cache
from pathlib import Path

import polars as pl
import pytest

from fbkit.diagnose.preflight import preflight
from fbkit.errors import ArgumentError
from fbkit.join.join import join
from fbkit.join.joined import Joined
from fbkit.load.loop import load_logs
from fbkit.measure.feed import COLUMNS, feed_completeness
from fbkit.samples.chargeback import ChargebackConfig, chargebacks
from fbkit.schema.contract import Contract

CONFIG = ChargebackConfig(days=230, per_day=1200, base_rate=0.02)


@cache
def joined(kept: float = 1.0, *, region: str | None = None, slo: float | None = 0.9) -> Joined:
    """A loop in which, of predictions of the last 100 days, only a share of the positives ever reaches the feed."""
    made = chargebacks(CONFIG, seed=31)
    young = made.predictions.filter(pl.col("ts_pred") >= CONFIG.as_of - timedelta(days=100))
    if region is not None:
        young = young.filter(pl.col("region") == region)
    hit = made.outcomes["prediction_id"].is_in(young["prediction_id"].implode())
    luck = made.outcomes["prediction_id"].hash(7) % 1000 < 1000 * kept
    content = Contract.from_toml(made.contract_toml).model_dump(exclude_defaults=True)
    content["slo"] = {} if slo is None else {"feed_completeness": {"at": "60d", "minimum": slo}}
    contract = Contract.from_dict(content)
    frames = {"predictions": made.predictions, "outcomes": made.outcomes.filter(~hit | luck)}
    return join(load_logs(contract, root=Path(), frames=frames), contract=contract)


@pytest.mark.parametrize("at", [None, "30d", "60d"])
def test_a_sound_feed_is_complete(at: str | None) -> None:
    row = feed_completeness(joined(), at=at).row(0, named=True)
    assert row["lower"] < 1 < row["upper"]
    assert row["value"] == pytest.approx(1, abs=0.12)
    assert row["value"] == pytest.approx(row["n_arrived"] / row["n_expected"])


@pytest.mark.parametrize("at", [None, "30d"])
@pytest.mark.parametrize("kept", [0.5, 0.75])
def test_a_feed_that_loses_a_share_says_which_share(kept: float, at: str | None) -> None:
    row = feed_completeness(joined(kept), at=at).row(0, named=True)
    assert row["value"] == pytest.approx(kept, abs=0.1)
    assert row["upper"] < 1


def test_the_slice_that_loses_labels_is_told_from_those_that_do_not() -> None:
    frame = feed_completeness(joined(0.5, region="EU"), by="region", at="30d")
    values = dict(frame.select("region", "value").iter_rows())
    assert values["EU"] == pytest.approx(0.5, abs=0.12)
    assert values["US"] > 0.8
    assert values["APAC"] > 0.8


def test_by_week_the_loss_begins_where_it_began_and_young_weeks_have_no_number() -> None:
    frame = feed_completeness(joined(0.5), every="1w", at="30d")
    assert frame.columns == list(COLUMNS)
    start = CONFIG.as_of - timedelta(days=100)
    healthy = frame.filter(pl.col("period_end") <= start)["value"]
    lossy = frame.filter((pl.col("period_start") >= start) & pl.col("value").is_not_null())["value"]
    assert healthy.mean() == pytest.approx(1, abs=0.06)
    assert lossy.mean() == pytest.approx(0.5, abs=0.08)
    young = frame.filter(pl.col("period_start") > CONFIG.as_of - timedelta(days=30))
    assert young["value"].null_count() == young.height > 0
    assert young["reason"].null_count() == 0


def test_the_expectation_is_the_count_of_a_plain_loop() -> None:
    """One bin, one decision: predictions of the cell times positives by 30 days among settled rows."""
    table = joined()
    one = Joined(
        **{name: getattr(table, name) for name in table.__dataclass_fields__ if name != "rows"},
        rows=_Rows(table.frame.with_columns(pl.lit(0.5).alias("score"), pl.lit(value=True).alias("flagged"))),  # type: ignore[arg-type]  # what is read of it
    )
    row = feed_completeness(one, at="30d").row(0, named=True)
    settled = table.frame.filter(pl.col("mature") & (pl.col("state") != "pending"))
    judged = table.frame.filter(
        (pl.col("ts_pred") <= table.as_of - timedelta(days=30))
        & ~pl.col("prediction_id").is_in(settled["prediction_id"].implode())
    )
    positives = settled.filter(pl.col("label") == 1)
    by_30 = positives.filter(pl.col("arrival_lag") <= timedelta(days=30)).height
    assert row["n"] == judged.height
    assert row["n_expected"] == pytest.approx(judged.height * by_30 / settled.height, rel=1e-9)
    assert row["n_arrived"] == judged.filter(pl.col("arrival_lag") <= timedelta(days=30), pl.col("label") == 1).height


class _Rows:
    def __init__(self, frame: pl.DataFrame) -> None:
        self.frame = frame

    def lazy(self) -> pl.LazyFrame:
        return self.frame.lazy()


def test_without_mature_cohorts_there_is_no_expectation() -> None:
    made = chargebacks(ChargebackConfig(days=60, per_day=100), seed=1)
    contract = Contract.from_toml(made.contract_toml)
    logs = load_logs(contract, root=Path(), frames={"predictions": made.predictions, "outcomes": made.outcomes})
    row = feed_completeness(join(logs, contract=contract)).row(0, named=True)
    assert row["value"] is None
    assert row["reason"] == "fewer than 30 positives in mature cohorts"


def feed_item(table: Joined) -> dict[str, object]:
    return preflight(table).filter(pl.col("id") == "feed_complete").row(0, named=True)


def test_the_preflight_holds_the_feed_against_its_objective() -> None:
    assert feed_item(joined())["status"] == "passed"
    failed = feed_item(joined(0.5))
    assert failed["status"] == "failed"
    assert failed["fix"] is not None
    assert feed_item(joined(0.75, slo=0.5))["status"] == "passed"
    assert "completeness now" in str(feed_item(joined(slo=None))["evidence"])


def test_a_wrong_age_is_told() -> None:
    with pytest.raises(ArgumentError, match="duration"):
        feed_completeness(joined(), at="later")
