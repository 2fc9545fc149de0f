"""Biased statistics: their values against other implementations, and what is said beside them against simulation."""

import numpy as np
import polars as pl
import pytest
from scipy import stats

from fbkit.measure.calibration import calibration_summary
from fbkit.measure.kernels.calibration_error import STATISTICS, ks_of
from fbkit.measure.metrics import metrics
from fbkit.measure.stats.corp import decompose
from fbkit.measure.stats.null_band import Judged, Rows, judge, worlds
from fbkit.testing.frames import FakeJoined, make_joined, random_joined

BASES = ("mcb", "ece", "smooth_ece", "ks_classes")


def judged_all(rows: Rows, names: tuple[str, ...] = BASES) -> dict[str, Judged]:
    made = {against: worlds(rows, against=against) for against in {STATISTICS[name][2] for name in names}}
    found = {}
    for name in names:
        value_of, draws, against = STATISTICS[name]
        value = value_of(rows.score, rows.label, weights=rows.weight)
        found[name] = judge(value, draws, made[against], level=0.95)
    return found


def judged(name: str, rows: Rows) -> Judged:
    return judged_all(rows, (name,))[name]


def drawn(rng: np.random.Generator, n: int, *, shift: float = 0.0, repeat: int = 1) -> Rows:
    score = rng.beta(1.2, 2.5, n // repeat)
    chance = 1 / (1 + np.exp(-(np.log(score / (1 - score)) + shift)))
    label = (rng.random(n // repeat) < chance).astype(float)
    cluster = np.repeat(np.arange(n // repeat), repeat) if repeat > 1 else None
    return Rows(np.repeat(score, repeat), np.repeat(label, repeat), None, cluster)


def test_ks_equals_scipy_and_a_loop_over_thresholds() -> None:
    rng = np.random.default_rng(0)
    scores = np.round(rng.random(400), 2)
    labels = (rng.random(400) < scores).astype(float)
    value = ks_of(scores, labels)
    rates = [(scores[labels == 1] >= cut).mean() - (scores[labels == 0] >= cut).mean() for cut in np.unique(scores)]
    assert value == pytest.approx(max(rates), abs=1e-14)
    found = stats.ks_2samp(scores[labels == 1], scores[labels == 0], alternative="less")
    assert value == pytest.approx(found.statistic, abs=1e-14)
    assert ks_of(-scores, labels) == 0, "scores that rank the wrong way round"
    assert np.isnan(ks_of(scores, np.ones(400)))


def test_decomposition_equals_model_diagnostics_with_weights_and_ties() -> None:
    # model-diagnostics 1.5.0: decompose(y, s, weights=w, scoring_function=SquaredError()) on these 60 rows.
    row = np.arange(60)
    scores = np.round(((row * 37) % 60 + 0.5) / 60, 1)
    labels = (((row * 23) % 59) / 59 < ((row * 37) % 60 / 60 + 0.5 / 60).round(1) ** 1.5).astype(float)
    got = decompose(scores, labels, weights=1.0 + (row * 7) % 4)
    assert got == pytest.approx({"mcb": 0.0411, "dsc": 0.143033, "unc": 0.2436, "brier": 0.141667}, abs=5e-7)


@pytest.mark.parametrize("name", BASES)
def test_weights_are_repeated_rows_and_the_order_does_not_matter(name: str) -> None:
    rng = np.random.default_rng(1)
    rows = drawn(rng, 300, shift=0.3)
    times = rng.integers(1, 4, 300)
    value_of = STATISTICS[name][0]
    repeated = value_of(np.repeat(rows.score, times), np.repeat(rows.label, times), weights=None)
    assert value_of(rows.score, rows.label, weights=times.astype(float)) == pytest.approx(repeated, abs=1e-9)
    order = rng.permutation(300)
    for weight in (None, times.astype(float)):
        first = judged(name, Rows(rows.score, rows.label, weight))
        second = judged(name, Rows(rows.score[order], rows.label[order], None if weight is None else weight[order]))
        assert second[:-1] == pytest.approx(first[:-1], abs=1e-9)


@pytest.mark.parametrize("repeat", [1, 5])
def test_a_calibrated_model_looks_calibrated(repeat: int) -> None:
    rng = np.random.default_rng(2)
    found = [judged_all(drawn(rng, 600, repeat=repeat), BASES[:3]) for _ in range(50)]
    for name in BASES[:3]:
        many = [one[name] for one in found]
        raw, debiased = (np.mean([getattr(one, part) for one in many]) for part in ("value", "debiased"))
        assert raw > 0.003, "biased, as the page says"
        assert abs(debiased) < 0.25 * raw, name
        assert 0.0 <= np.mean([one.p_value < 0.05 for one in many]) <= 0.15
        assert np.mean([one.value > one.null_95 for one in many]) <= 0.15
        assert np.mean([one.lower == 0 for one in many]) >= 0.9


def test_a_naive_band_is_too_narrow_when_entities_repeat() -> None:
    rng = np.random.default_rng(3)
    sample = [drawn(rng, 600, repeat=5) for _ in range(30)]
    naive = [judged("ece", rows._replace(cluster=None)).p_value < 0.05 for rows in sample]
    robust = [judged("ece", rows).p_value < 0.05 for rows in sample]
    assert np.mean(naive) > 0.5
    assert np.mean(robust) < 0.15


@pytest.mark.parametrize("repeat", [1, 5])
def test_intervals_hold_a_known_miscalibration(repeat: int) -> None:
    rng = np.random.default_rng(4)
    whole = drawn(rng, 300_000)
    chance = 1 / (1 + np.exp(-(np.log(whole.score / (1 - whole.score)) + 0.5)))
    sample = [judged_all(drawn(rng, 1000 * repeat, shift=0.5, repeat=repeat)) for _ in range(40)]
    for name in BASES:
        truth = STATISTICS[name][0](whole.score, chance, weights=None)
        found = [one[name] for one in sample]
        assert np.mean([one.lower <= truth <= one.upper for one in found]) >= 0.86, name
        assert np.mean([one.debiased for one in found]) == pytest.approx(truth, rel=0.12), name
        assert np.mean([one.p_value < 0.05 for one in found]) >= 0.9


def test_fractional_labels_have_less_spread_than_drawn_ones() -> None:
    rng = np.random.default_rng(5)
    rows = drawn(rng, 800)
    expected = Rows(rows.score, np.clip(rows.score + rng.normal(0, 0.05, 800), 0, 1))
    assert judged("ece", expected).null_95 < 0.4 * judged("ece", rows).null_95


def test_beside_every_metric_stand_its_companions() -> None:
    joined = random_joined(1500, seed=6)
    names = [f"{base}{part}" for base in BASES for part in ("", "_debiased", "_null_95", "_p_value")]
    frame = metrics(joined, names, by="group")
    values = {name: frame.filter(metric=name) for name in names}
    summary = calibration_summary(joined, by="group").sort("group")
    for base in BASES[:3]:
        for part in ("", "_debiased", "_null_95", "_p_value"):
            name = f"{base}{part}"
            np.testing.assert_allclose(values[name].sort("group")["value"], summary[name], rtol=1e-12)
    for base in BASES:
        assert values[base]["lower"].null_count() == 4, "no interval for a biased value"
        lower, upper = (values[f"{base}_debiased"][part] for part in ("lower", "upper"))
        assert (lower <= upper).all()
        assert values[f"{base}_debiased"]["method"].unique().to_list() == ["parametric bootstrap"]
        assert values[f"{base}_p_value"]["value"].is_between(0, 1).all()


def test_one_class_and_margins_say_why_there_is_nothing() -> None:
    one = metrics(make_joined(scores=[0.2, 0.8], labels=[1, 1]), ["ks_classes", "ks_classes_p_value", "mcb_debiased"])
    assert one["reason"].to_list() == ["one class", "one class", None]
    joined = random_joined(50)
    contract = joined.contract.model_copy(
        update={"predictions": joined.contract.predictions.model_copy(update={"score_kind": "margin"})}
    )
    margins = FakeJoined(frame=joined.frame, contract=contract, as_of=joined.as_of)
    frame = metrics(margins, ["mcb_debiased", "ks_classes_debiased"])
    assert frame["reason"].to_list() == ["scores are not probabilities", None]


def test_a_single_row_is_no_evidence() -> None:
    line = calibration_summary(make_joined(scores=[0.9], labels=[0])).row(0, named=True)
    assert line["ece"] == pytest.approx(0.9)
    assert line["ece_p_value"] > 0.01
    assert not pl.DataFrame([line]).select(pl.col(pl.Float64).is_nan().any()).row(0).count(True)


def test_no_draws_leave_the_companions_null() -> None:
    line = calibration_summary(random_joined(100), draws=0).row(0, named=True)
    assert line["mcb"] > 0
    assert {line[f"{base}_{part}"] for base in BASES[:3] for part in ("debiased", "null_95", "p_value")} == {None}


@pytest.mark.parametrize("scores", [[0.0, 1.0, 1.0], [0.3, 0.3, 0.3], [1e-310, 2e-310, 5e-310], [0.5]])
@pytest.mark.parametrize("label", [0.0, 0.4, 1.0])
@pytest.mark.parametrize("weights", [None, [1e9, 0.0, 1e-9]])
def test_degenerate_rows_give_finite_numbers(scores: list[float], label: float, weights: list[float] | None) -> None:
    n = len(scores)
    weight = None if weights is None else np.array(weights[:n])
    found = judged_all(Rows(np.array(scores), np.array([label, 1.0, 0.0][:n]), weight), BASES[:3])
    for one in found.values():
        assert np.isfinite(one[:-1]).all()
        assert 0 <= one.lower <= one.upper + 1e-9
