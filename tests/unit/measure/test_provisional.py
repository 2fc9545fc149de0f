"""Provisional numbers aim at the final ones: exactly so on average, and with the truth inside their interval."""

from datetime import timedelta
from functools import cache
from itertools import product
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from fbkit.errors import ArgumentError
from fbkit.join.join import join
from fbkit.join.joined import Joined
from fbkit.load.loop import load_logs
from fbkit.measure.labels.fractional import ESTIMATORS, Rows, average_precision, precision
from fbkit.measure.metrics import metrics
from fbkit.measure.provisional import COLUMNS, NAIVE, provisional, provisional_calibration
from fbkit.samples.chargeback import ChargebackConfig, Outage, chargebacks, expected
from fbkit.schema.contract import Contract

NAMES = ("precision", "recall", "average_precision", "roc_auc", "brier", "base_rate")
CONFIG = ChargebackConfig(days=200, per_day=1200, base_rate=0.02)
YOUNG = "2026-01-12..2026-02-09"


@cache
def joined(outage: Outage | None = None, drop: float = 0.0) -> Joined:
    config = ChargebackConfig(
        days=200, per_day=1200, base_rate=0.02, outage=outage, drop=drop, drop_day=105 if drop else None
    )
    made = chargebacks(config, seed=21)
    contract = Contract.from_toml(made.contract_toml)
    logs = load_logs(contract, root=Path(), frames={"predictions": made.predictions, "outcomes": made.outcomes})
    return join(logs, contract=contract)


def rows_of(seed: int, *, size: int = 60) -> Rows:
    rng = np.random.default_rng(seed)
    score = rng.choice(np.linspace(0.05, 0.95, 12), size=size)
    return Rows(score, (score > 0.5).astype(float), (rng.random(size) < score).astype(float))


@pytest.mark.parametrize("name", sorted(ESTIMATORS))
@pytest.mark.parametrize("seed", [1, 2, 3])
def test_with_all_labels_known_every_estimate_is_the_plain_metric(name: str, seed: int) -> None:
    from sklearn import metrics as reference

    rows = rows_of(seed)
    y, s, f = rows.label, rows.score, rows.flag
    bins = np.clip((s * 10).astype(int), 0, 9)
    gaps = [abs((y - s)[bins == b].sum()) / len(s) for b in range(10)]
    oracle = {
        "precision": lambda: reference.precision_score(y, f),
        "recall": lambda: reference.recall_score(y, f),
        "base_rate": y.mean,
        "average_precision": lambda: reference.average_precision_score(y, s),
        "roc_auc": lambda: reference.roc_auc_score(y, s),
        "brier": lambda: reference.brier_score_loss(y, s),
        "log_loss": lambda: reference.log_loss(y, s),
        "ece": lambda: sum(gaps),
        "mcb": lambda: _mcb(s, y),
    }[name]
    found = ESTIMATORS[name](rows)
    assert found is not None
    assert found.value == pytest.approx(oracle(), abs=1e-12)


def _mcb(score: np.ndarray, y: np.ndarray) -> float:
    from sklearn.isotonic import IsotonicRegression

    fitted = IsotonicRegression().fit_transform(score, y)
    return float(np.mean((score - y) ** 2) - np.mean((fitted - y) ** 2))


def test_over_all_ways_in_which_labels_can_be_late_the_sums_are_exactly_right() -> None:
    """Brute force: every subset of six positives may be all that has arrived, each with chance F."""
    score = np.linspace(0.95, 0.05, 14)
    truth = np.isin(np.arange(14), [0, 1, 3, 6, 7, 11]).astype(float)
    share = np.where(score > 0.5, 0.7, 0.4)
    whole = Rows(score, (score > 0.5).astype(float), truth)
    positives = np.flatnonzero(truth)
    found = {"precision": 0.0, "average precision times positives": 0.0}
    for arrived in product((0.0, 1.0), repeat=len(positives)):
        label = np.zeros(14)
        label[positives] = np.array(arrived)
        chance = float(np.prod(np.where(arrived, share[positives], 1 - share[positives])))
        late = Rows(score, whole.flag, label / share)
        made = precision(late)
        assert made is not None
        found["precision"] += chance * made.value
        ranked = average_precision(late)
        found["average precision times positives"] += chance * (ranked.value * late.label.sum() if ranked else 0.0)
    assert found["precision"] == pytest.approx(4 / 7, abs=1e-12)
    exact = average_precision(whole)
    assert exact is not None
    assert found["average precision times positives"] == pytest.approx(exact.value * truth.sum(), abs=1e-12)


@pytest.mark.parametrize("name", ["precision", "recall", "base_rate", "brier", "log_loss", "roc_auc"])
def test_slopes_are_derivatives_and_influences_sum_to_nothing(name: str) -> None:
    rows = rows_of(5)
    label = rows.label * 1.4
    found = ESTIMATORS[name](Rows(rows.score, rows.flag, label))
    assert found is not None
    step = 1e-6
    for row in range(0, len(label), 7):
        moved = [label.copy(), label.copy()]
        moved[0][row] -= step
        moved[1][row] += step
        low, high = (ESTIMATORS[name](Rows(rows.score, rows.flag, part)) for part in moved)
        assert low is not None
        assert high is not None
        assert (high.value - low.value) / (2 * step) == pytest.approx(found.slope[row], rel=2e-2, abs=2e-5)
    assert found.influence.sum() == pytest.approx(0, abs=0.02)


@pytest.mark.parametrize("drop", [0.0, 0.4])
@pytest.mark.parametrize("stage", ["30d", "60d"])
def test_the_truth_lies_in_the_interval_and_the_naive_number_is_far_off(stage: str, drop: float) -> None:
    period = YOUNG if stage == "30d" else "2025-12-22..2026-01-19"
    frame = provisional(joined(drop=drop), NAMES, stage=stage, period=period)
    truth = expected(CONFIG.base_rate, drop=drop)
    rows = {row["metric"]: row for row in frame.iter_rows(named=True)}
    wide = {name: (row["upper"] - row["lower"]) * 0.3 for name, row in rows.items()}
    missed = {
        name: (row["lower"], truth[name], row["upper"])
        for name, row in rows.items()
        if not row["lower"] - wide[name] <= truth[name] <= row["upper"] + wide[name]
    }
    assert missed == {}
    if stage == "30d":
        for name in ("precision", "base_rate", "recall"):
            assert abs(rows[name][NAIVE] - truth[name]) > abs(rows[name]["value"] - truth[name])
        assert not rows["base_rate"]["lower"] <= rows["base_rate"][NAIVE] <= rows["base_rate"]["upper"]


def test_a_mature_week_shown_at_its_30th_day_is_close_to_what_it_became() -> None:
    frame = provisional(joined(), ["precision", "base_rate"], stage="30d", period="2025-09-01..2025-10-27")
    final = metrics(joined(), ["precision", "base_rate"], period="2025-09-01..2025-10-27")
    for early, late in zip(frame.iter_rows(named=True), final.iter_rows(named=True), strict=True):
        assert late["stage"] == "final"
        assert early["lower"] < late["value"] < early["upper"]
        assert abs(early["value"] - late["value"]) < 0.5 * abs(early[NAIVE] - late["value"])


@pytest.mark.parametrize("backfill", [None, 190])
def test_an_outage_inside_the_look_is_allowed_for(backfill: int | None) -> None:
    down = joined(Outage(first=150, days=10, region=None, backfill=backfill))
    sound = joined()
    assert down.feed["complete"].to_list() == [backfill is not None]
    rows = {
        name: provisional(part, ["base_rate"], stage="30d", period=YOUNG).row(0, named=True)
        for name, part in {"down": down, "sound": sound}.items()
    }
    assert rows["down"]["n_labelled"] < 0.9 * rows["sound"]["n_labelled"]
    assert rows["down"]["value"] == pytest.approx(rows["sound"]["value"], rel=0.12)


def test_rows_that_the_feed_never_reached_have_no_number() -> None:
    dead = joined(Outage(first=150, days=50, region=None))
    frame = provisional(dead, ["precision"], stage="30d", every="1w", period="2026-01-05..2026-02-16")
    reasons = set(frame["reason"].drop_nulls())
    assert frame["value"].null_count() > 0
    assert reasons <= {"too young for this stage", "the outcome feed is incomplete for these rows"}


def test_every_stage_of_the_contract_and_both_naive_numbers_stand_beside_the_value() -> None:
    frame = provisional(joined(), by="region", period=YOUNG)
    assert frame.columns == ["region", *COLUMNS]
    assert frame["stage"].unique(maintain_order=True).to_list() == ["provisional@30d", "provisional@60d"]
    told = frame.filter(pl.col("value").is_not_null())
    assert told[NAIVE].null_count() == 0
    assert frame.filter(pl.col("value").is_null())[NAIVE].null_count() == frame["value"].null_count()
    shares = told.filter(pl.col("metric") == "precision")["naive_labelled"]
    assert set(shares) == {1.0}
    assert told.filter(pl.col("metric") == "ece")["lower"].null_count() == told.filter(pl.col("metric") == "ece").height


def test_thin_cells_keep_their_numbers_inside_their_range() -> None:
    frame = provisional(joined(), ["precision", "recall"], by=["region", "device"], every="1d", stage="60d")
    told = frame.filter(pl.col("value").is_not_null())
    assert told.height > 200
    assert told["value"].is_between(0, 1).all()
    assert (told["lower"] <= told["value"] + 1e-12).all()
    assert (told["value"] <= told["upper"] + 1e-12).all()


def test_without_closed_windows_there_is_nothing_to_learn_from() -> None:
    made = chargebacks(ChargebackConfig(days=80, per_day=200), seed=2)
    contract = Contract.from_toml(made.contract_toml)
    logs = load_logs(contract, root=Path(), frames={"predictions": made.predictions, "outcomes": made.outcomes})
    frame = provisional(join(logs, contract=contract), ["precision"], stage="30d")
    assert frame["value"].to_list() == [None]
    assert "too few positives in closed windows" in frame["reason"][0]


def test_metrics_never_shows_positives_alone_and_final_waits_for_the_feed() -> None:
    early = metrics(joined(), ["precision", "availability"], stage="provisional@30d")
    assert early["value"].null_count() == 1
    assert "provisional()" in early["reason"][0]
    held = joined(Outage(first=130, days=10))
    assert held.feed["value"].to_list() == ["EU"]
    frame = metrics(held, "precision", by="region", every="1mo", period="2025-09-01..2025-11-01")
    last = frame.filter(pl.col("region") == "EU").sort("period_start").row(-1, named=True)
    assert last["value"] is None or last["value"] < 0.5


def test_the_bins_of_the_curve_add_up_to_the_base_rate_and_hold_the_scores() -> None:
    curve = provisional_calibration(joined(), stage="30d", period=YOUNG)
    whole = provisional(joined(), "base_rate", stage="30d", period=YOUNG).row(0, named=True)
    assert curve["n"].sum() == whole["n"]
    # A bin of few rows may be cut at 1; all others add up exactly.
    cut = curve.filter(pl.col("observed") == 1)["n"].sum() / curve["n"].sum()
    added = (curve["n"] * curve["observed"]).sum() / curve["n"].sum()
    assert added == pytest.approx(whole["value"], abs=1e-12 + cut)
    assert (curve["n"] * curve[NAIVE]).sum() / curve["n"].sum() == pytest.approx(whole[NAIVE], abs=1e-12)
    assert curve["score_mean"].is_between(curve["score_lower"], curve["score_upper"]).all()
    # The simulated scores are the true chances, so the corrected curve is the diagonal and the naive one lies below.
    told = curve.filter(pl.col("n_labelled") >= 20)
    assert told.height >= 4
    wide = 0.3 * (told["upper"] - told["lower"])
    assert (told["lower"] - wide <= told["score_mean"]).all()
    assert (told["score_mean"] <= told["upper"] + wide).all()
    assert (told[NAIVE] < told["observed"]).all()


def test_the_curve_needs_probabilities() -> None:
    with pytest.raises(ArgumentError, match="at least one bin"):
        provisional_calibration(joined(), bins=0)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ({"metrics": "recal"}, "did you mean 'recall'"),
        ({"stage": "soon"}, "duration"),
        ({"stage": timedelta(0)}, "longer than zero"),
        ({"by": "planet"}, "slice column"),
        ({"level": 2.0}, "level"),
    ],
)
def test_a_wrong_call_is_told(arguments: dict[str, object], said: str) -> None:
    with pytest.raises(ArgumentError, match=said):
        provisional(joined(), **arguments)  # type: ignore[arg-type]  # that is the point


def test_where_silence_means_missing_it_says_what_to_call_instead() -> None:
    table = joined()
    label = table.contract.label.model_copy(update={"silence": "missing"})
    other = Joined(
        **{name: getattr(table, name) for name in table.__dataclass_fields__ if name != "contract"},
        contract=table.contract.model_copy(update={"label": label}),
    )
    with pytest.raises(ArgumentError, match="only positives"):
        provisional(other)
