from dataclasses import replace
from functools import lru_cache

import numpy as np
import polars as pl
import pytest
from sklearn.linear_model import LinearRegression
from sklearn.preprocessing import OneHotEncoder, SplineTransformer

from fbkit.samples import Simulation, WorldConfig, simulate
from fbkit.samples.faults import FAULTS, VersionRegression
from fbkit.samples.truth import truth
from fbkit.schema.contract import Contract

SMALL = WorldConfig(reference_weeks=2, per_day=300)
EXACT = replace(SMALL, per_day=800, unlogged_weight=0.0, model_noise=0.0)
REGIMES = {
    "low": replace(SMALL, base_rate=0.002, per_day=3000),
    "low, only positives": replace(SMALL, base_rate=0.002, per_day=3000, silence="negative"),
    "high": replace(SMALL, base_rate=0.30),
    "small": SMALL,
    "large": replace(SMALL, reference_weeks=2, per_day=20_000),
    "exact": EXACT,
    "with actions": replace(SMALL, actions=True, blocked_share=0.3),
}


@lru_cache(maxsize=8)
def calm(name: str) -> Simulation:
    return simulate(REGIMES[name], seed=2)


@pytest.mark.parametrize("name", REGIMES)
def test_every_regime_keeps_what_its_configuration_promises(name: str) -> None:
    config = REGIMES[name]
    simulation = calm(name)
    rows, expected = simulation.final, truth(config, (), rows=200_000)
    assert rows.height / config.days == pytest.approx(config.per_day, rel=0.05)
    positives = rows.filter(pl.col("label") == 1)
    spread = 4 * np.sqrt(config.base_rate / rows.height)
    assert positives.height / rows.height == pytest.approx(config.base_rate, abs=spread)
    recall = positives["decision"].mean()
    assert recall == pytest.approx(config.recall, abs=4 * np.sqrt(0.16 / positives.height) + 0.01)
    assert expected.true.reference == pytest.approx(config.recall, abs=0.015)
    assert expected.true.change == pytest.approx(0, abs=0.01)
    contract = Contract.from_toml(simulation.contract_toml)
    assert contract.decision.threshold == simulation.predictions["threshold"][0]
    assert simulation.predictions["score"].n_unique() > 100


@pytest.mark.parametrize("cause", sorted(FAULTS))
@pytest.mark.parametrize("name", ["low, only positives", "exact"])
def test_every_fault_acts_in_every_regime(name: str, cause: str) -> None:
    config = REGIMES[name]
    where = {"region": "LATAM"} if cause == "mix_shift" else {}
    fault = FAULTS[cause](severity=6.0 if cause == "immature_window" else 0.5, where=where)
    hurt, healthy = simulate(config, [fault], seed=2), calm(name)
    same = hurt.predictions.equals(healthy.predictions) and hurt.outcomes.equals(healthy.outcomes)
    assert not same
    assert hurt.final["label"].is_not_null().all()


def _r2(simulation: Simulation, version: str) -> float:
    rows = simulation.predictions.filter(pl.col("model_version") == version)
    score = np.clip(rows["score"].to_numpy(), 1e-6, 1 - 1e-6)
    logit = np.log(score / (1 - score))
    smooth = SplineTransformer(n_knots=10, knots="quantile").fit_transform(rows.select(SMALL.features).to_numpy())
    slices = OneHotEncoder(sparse_output=False).fit_transform(rows.select("region", "device", "customer").to_numpy())
    design = np.hstack([smooth, slices])
    return float(LinearRegression().fit(design, logit).score(design, logit))


def test_an_exact_score_is_a_function_of_the_logged_columns_and_the_usual_one_is_not() -> None:
    assert _r2(simulate(EXACT, seed=3), "7.3") > 0.999
    explained = [
        _r2(simulate(replace(SMALL, per_day=800, unlogged_weight=weight, model_noise=noise), seed=3), "7.3")
        for weight, noise in ((0.0, 0.3), (2.0, 0.8))
    ]
    assert explained == sorted(explained, reverse=True)
    assert explained[0] > 0.95
    assert explained[1] < 0.6


def test_a_version_of_wrong_weights_stays_exact_and_one_of_noise_does_not() -> None:
    wrong = simulate(EXACT, [VersionRegression(severity=2.0, how="weights")], seed=3)
    noisy = simulate(EXACT, [VersionRegression(severity=2.0)], seed=3)
    assert _r2(wrong, "8.0") > 0.999
    assert _r2(noisy, "8.0") < 0.9
    assert wrong.truth.true.change < -0.02


def test_features_of_an_exact_score_keep_their_names_and_meaning() -> None:
    fine, coarse = (simulate(config, seed=3).predictions for config in (EXACT, replace(SMALL, per_day=800)))
    assert fine.columns == coarse.columns
    assert fine["payments_24h"].dtype == pl.Float64
    assert (fine["log_amount"].round(1) - coarse["log_amount"]).abs().max() == pytest.approx(0, abs=1e-9)
