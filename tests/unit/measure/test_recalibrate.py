"""Recalibration on another period: the table against paired tests and laws, and what is refused."""

import json
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from scipy import stats

from fbkit.errors import ArgumentError
from fbkit.measure.calibration import calibration_summary
from fbkit.measure.metrics import metrics
from fbkit.measure.recalibrate import Recalibration, recalibrate
from fbkit.measure.recalibration_map import RecalibrationMap
from fbkit.testing.frames import FakeJoined, make_joined

FIT, JUDGE = "2026-03-02..2026-03-17", "2026-03-17..2026-04-01"


def world(
    n: int = 4000, *, seed: int = 0, shift: float = -0.8, slope: float = 1.0, repeat: int = 1, weights: bool = False
) -> FakeJoined:
    """A model whose log odds are off by ``shift`` and ``slope``, over 31 days."""
    rng = np.random.default_rng(seed)
    owners = n // repeat
    scores = np.round(np.repeat(rng.beta(1.2, 2.5, owners), repeat), 3).clip(0.001, 0.999)
    chance = 1 / (1 + np.exp(-(slope * np.log(scores / (1 - scores)) + shift)))
    labels = (np.repeat(rng.random(owners), repeat) < chance).astype(float)
    columns: dict[str, object] = {"group": [f"g{code}" for code in rng.integers(0, 3, n)]}
    if weights:
        columns["w"] = rng.integers(1, 4, n).astype(float)
    return make_joined(
        scores=scores.tolist(),
        labels=labels.tolist(),
        entities=None if repeat == 1 else [f"e{row // repeat}" for row in range(n)],
        ages=np.repeat(rng.uniform(30.5, 60, owners), repeat).tolist(),
        columns=columns,
    )


def line(found: Recalibration, metric: str) -> dict[str, float]:
    return found.table.filter(metric=metric).row(0, named=True)


def judged_rows(joined: FakeJoined, found: Recalibration) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    rows = joined.frame.filter(pl.col("ts_pred").is_between(found.judge.start, found.judge.end, closed="left"))
    return rows["score"].to_numpy(), rows.select(found.to_expr()).to_series().to_numpy(), rows["label"].to_numpy()


@pytest.mark.parametrize("method", ["isotonic", "platt"])
def test_the_change_is_the_paired_test_of_the_rows_losses(method: str) -> None:
    joined = world()
    found = recalibrate(joined, fit=FIT, judge=JUDGE, method=method)  # pyright: ignore[reportArgumentType]
    before, after, label = judged_rows(joined, found)
    got = line(found, "brier")
    loss = (before - label) ** 2, (after - label) ** 2
    assert (got["before"], got["after"]) == pytest.approx((loss[0].mean(), loss[1].mean()), abs=1e-12)
    test = stats.ttest_rel(loss[1], loss[0])
    low, high = test.confidence_interval(0.95)
    assert (got["change"], got["change_lower"], got["change_upper"]) == pytest.approx(
        (loss[1].mean() - loss[0].mean(), low, high), abs=1e-9
    )
    assert got["change_upper"] < 0, "this model is off"
    assert not found.worse


@pytest.mark.parametrize("by", [None, "group"])
def test_before_is_what_metrics_say_and_after_what_they_say_of_new_scores(by: str | None) -> None:
    joined = world(repeat=2)
    found = recalibrate(joined, fit=FIT, judge=JUDGE, method="platt", by=by)
    new = FakeJoined(frame=joined.frame.with_columns(found.to_expr()), contract=joined.contract, as_of=joined.as_of)
    keys = ["metric"] if by is None else [by, "metric"]
    for side, rows in (("before", joined), ("after", new)):
        names = ["brier", "log_loss", "roc_auc", "mcb", "dsc", "ece", "smooth_ece"]
        expected = metrics(rows, names, by=by, period=JUDGE)
        both = found.table.join(expected, on=keys, suffix="_expected")
        assert both.height == expected.height
        np.testing.assert_allclose(both[side], both["value"], rtol=1e-9, atol=1e-12)
        exact = both.filter(pl.col("metric").is_in(["brier", "log_loss", "roc_auc"]))
        for end in ("lower", "upper"):
            np.testing.assert_allclose(exact[f"{side}_{end}"], exact[end], rtol=1e-7, atol=1e-10)


def test_a_rising_line_keeps_the_order_so_only_miscalibration_changes() -> None:
    found = recalibrate(world(), fit=FIT, judge=JUDGE, method="platt")
    for metric in ("dsc", "roc_auc"):
        got = line(found, metric)
        assert (got["change"], got["change_lower"], got["change_upper"]) == pytest.approx((0, 0, 0), abs=1e-12)
    brier, mcb = line(found, "brier"), line(found, "mcb")
    assert mcb["after"] - mcb["before"] == pytest.approx(brier["change"], abs=1e-12)
    assert mcb["change_lower"] < brier["change"] < mcb["change_upper"]


def test_brier_is_the_sum_of_its_parts_on_both_sides() -> None:
    joined = world()
    found = recalibrate(joined, fit=FIT, judge=JUDGE)
    variance = calibration_summary(joined, period=JUDGE, draws=0)["unc"][0]
    for side in ("before", "after"):
        parts = line(found, "mcb")[side] - line(found, "dsc")[side] + variance
        assert line(found, "brier")[side] == pytest.approx(parts, abs=1e-12)


def test_what_is_fitted_on_a_period_is_calibrated_there() -> None:
    from sklearn.isotonic import IsotonicRegression

    joined = world(n=2000, weights=True)
    found = recalibrate(joined, fit=FIT, judge=JUDGE, weights="w")
    rows = joined.frame.filter(pl.col("ts_pred").is_between(found.fit.start, found.fit.end, closed="left"))
    other = IsotonicRegression(out_of_bounds="clip").fit(rows["score"], rows["label"], sample_weight=rows["w"])
    at = np.linspace(0, 1, 300)
    np.testing.assert_allclose(found.map.apply(at), other.predict(at), atol=1e-12)
    assert found.map.n_labelled == rows.height


def test_intervals_of_the_change_hold_the_truth_also_when_entities_repeat() -> None:
    rng = np.random.default_rng(1)
    at = rng.beta(1.2, 2.5, 400_000).round(3).clip(0.001, 0.999)
    chance = 1 / (1 + np.exp(-(np.log(at / (1 - at)) - 0.8)))
    hits: dict[str, list[bool]] = {"brier": [], "mcb": [], "ece": []}
    for seed in range(15):
        found = recalibrate(world(3000, seed=seed, repeat=5), fit=FIT, judge=JUDGE, method="platt")
        new = found.map.apply(at)
        truth = {"brier": np.mean((new - chance) ** 2) - np.mean((at - chance) ** 2)}
        truth["mcb"] = truth["brier"]
        truth["ece"] = _gap(new, chance) - _gap(at, chance)
        for metric, many in hits.items():
            got = line(found, metric)
            many.append(got["change_lower"] <= truth[metric] <= got["change_upper"])
    assert {metric: np.mean(many) >= 0.8 for metric, many in hits.items()} == dict.fromkeys(hits, True)


def _gap(score: np.ndarray, chance: np.ndarray) -> float:
    return float(np.abs(np.bincount((score * 10).astype(int).clip(0, 9), weights=chance - score)).sum() / len(score))


def test_a_calibrated_model_fitted_on_little_gets_worse_and_says_so() -> None:
    joined = world(n=6000, shift=0.0, seed=5)
    few = recalibrate(joined, fit="2026-03-02..2026-03-04", judge=JUDGE)
    assert few.worse
    assert line(few, "brier")["change_lower"] > 0


def test_slices_without_labels_have_a_reason() -> None:
    joined = world(n=600)
    frame = joined.frame.with_columns(
        label=pl.when(
            (pl.col("group") == "g0") & (pl.col("ts_pred") >= pl.lit(pl.Series([joined.as_of])[0]).dt.offset_by("-45d"))
        )
        .then(None)
        .otherwise("label")
    )
    found = recalibrate(
        FakeJoined(frame=frame, contract=joined.contract, as_of=joined.as_of), fit=FIT, judge=JUDGE, by="group"
    )
    silent = found.table.filter(group="g0")
    assert silent["reason"].unique().to_list() == ["no labelled rows"]
    assert silent.select(pl.col("before", "after", "change").is_null().all()).row(0) == (True, True, True)
    assert found.table.filter(group="g1")["reason"].null_count() == 7
    nothing = recalibrate(joined, fit=FIT, judge="2027-01-01..2027-02-01")
    assert nothing.table["reason"].unique().to_list() == ["window open"]
    assert nothing.curves.is_empty()


def test_the_map_carries_what_it_rests_on(tmp_path: Path) -> None:
    joined = world(n=800)
    found = recalibrate(joined, fit=FIT, judge=JUDGE)
    opened = RecalibrationMap.open(found.save(tmp_path / "map.json"))
    assert opened == found.map
    assert opened.evaluation_id == found.table["evaluation_id"][0]
    assert (opened.fit_period, opened.stage, opened.contract) == (FIT, "final", joined.contract.hash)
    assert json.loads((tmp_path / "map.json").read_text())["format"] == 1
    assert '"p"' in found.to_sql("p")
    assert set(found.curves["when"]) == {"before", "after"}


def test_what_cannot_be_judged_is_refused() -> None:
    joined = world(n=400)
    with pytest.raises(ArgumentError, match="not judged on the rows") as told:
        recalibrate(joined, fit=FIT, judge="2026-03-16..2026-04-01")
    assert told.value.next_step
    with pytest.raises(ArgumentError, match="nothing to fit"):
        recalibrate(joined, fit="2020-01-01..2020-02-01", judge=JUDGE)
    with pytest.raises(ArgumentError, match="unknown recalibration"):
        recalibrate(joined, fit=FIT, judge=JUDGE, method="beta")  # pyright: ignore[reportArgumentType]
    with pytest.raises(ArgumentError, match="between 0 and 1"):
        recalibrate(joined, fit=FIT, judge=JUDGE, level=95)
    one_class = FakeJoined(frame=joined.frame.with_columns(label=1.0), contract=joined.contract, as_of=joined.as_of)
    with pytest.raises(ArgumentError, match="nothing to fit") as told:
        recalibrate(one_class, fit=FIT, judge=JUDGE)
    assert "one class" in str(told.value)
    with pytest.raises(ArgumentError, match="probability scores"):
        recalibrate(make_joined(scores=[1.0], labels=[2.0], task="regression"), fit=FIT, judge=JUDGE)
