"""The two versions of the simulated loop differ by what they are said to differ by, and by nothing else."""

import polars as pl
import pytest
from sklearn.metrics import roc_auc_score

from fbkit.samples.versions import REGIONS, THRESHOLD, VersionsConfig, versions
from fbkit.schema.contract import Contract


def recalls(config: VersionsConfig, *, seed: int = 1) -> dict[tuple[str, str], float]:
    made = versions(config, seed=seed)
    rows = made.predictions.join(made.final.drop("ts_pred"), on="request_id").filter(pl.col("label") == 1)
    found = rows.group_by("model_version", "region").agg((pl.col("score") >= THRESHOLD).mean().alias("recall"))
    return {(version, region): recall for version, region, recall in found.iter_rows()}


def test_the_same_seed_gives_the_same_rows_and_another_seed_others() -> None:
    config = VersionsConfig(days=3, proxy=True)
    first, again, other = (versions(config, seed=seed) for seed in (3, 3, 4))
    assert first.predictions.equals(again.predictions)
    assert first.outcomes.equals(again.outcomes)
    assert not first.predictions.equals(other.predictions)


def test_equal_versions_are_equally_good() -> None:
    found = recalls(VersionsConfig(days=10, per_day=5000))
    for region in REGIONS:
        assert found["v1", region] == pytest.approx(found["v2", region], abs=0.012)
        assert found["v1", region] == pytest.approx(0.695, abs=0.02)


def test_a_drop_is_as_large_as_asked_and_only_where_asked() -> None:
    base, dropped = (recalls(VersionsConfig(days=10, per_day=5000, drop=drop)) for drop in (0.0, 0.05))
    assert base["v2", "EU"] - dropped["v2", "EU"] == pytest.approx(0.05, abs=0.01)
    assert base["v2", "US"] == dropped["v2", "US"]
    assert base["v1", "EU"] == dropped["v1", "EU"]


def test_bait_lifts_the_proxy_and_harms_the_label() -> None:
    made = versions(VersionsConfig(days=10, per_day=1000, bait=0.6, proxy=True), seed=2)
    rows = made.predictions.join(made.final.drop("ts_pred"), on="request_id")
    one, two = (rows.filter(pl.col("model_version") == version) for version in ("v1", "v2"))
    assert roc_auc_score(two["proxy"], two["score"]) > roc_auc_score(one["proxy"], one["score"]) + 0.03
    assert roc_auc_score(two["label"], two["score"]) < roc_auc_score(one["label"], one["score"]) - 0.02


def test_split_traffic_keeps_accounts_with_their_version_and_loses_what_it_is_told_to() -> None:
    made = versions(VersionsConfig(design="split", share=0.3, lost=0.2, days=10), seed=5)
    by_account = made.predictions.group_by("account_id").agg(pl.col("model_version").n_unique())
    assert by_account["model_version"].max() == 1
    share = made.predictions["model_version"].eq("v2").mean()
    assert share == pytest.approx(0.3 * 0.8 / (0.7 + 0.3 * 0.8), abs=0.03)


def test_outcomes_name_the_prediction_that_was_served_and_come_at_the_asked_rate() -> None:
    shadow = versions(VersionsConfig(days=10, labelled=(0.8, 0.8)), seed=6)
    assert shadow.outcomes["prediction_id"].str.starts_with("v1-").all()
    assert shadow.outcomes.height / shadow.final.height == pytest.approx(0.8, abs=0.02)
    assert set(shadow.predictions["environment"]) == {"prod", "shadow"}
    split = versions(VersionsConfig(days=10, design="split", labelled=(0.9, 0.6)), seed=6)
    told = split.predictions.join(split.outcomes, on="prediction_id", how="left").group_by("model_version")
    shares = dict(told.agg(pl.col("label").is_not_null().mean()).iter_rows())
    assert shares["v1"] == pytest.approx(0.9, abs=0.02)
    assert shares["v2"] == pytest.approx(0.6, abs=0.03)


@pytest.mark.parametrize("proxy", [True, False])
def test_the_contract_can_be_read(proxy: bool) -> None:
    contract = Contract.from_toml(versions(VersionsConfig(days=1, proxy=proxy), seed=1).contract_toml)
    assert [guardrail.metric for guardrail in contract.guardrails] == ["recall", "roc_auc"]
    assert [label.name for label in contract.label.also] == (["report"] if proxy else [])
