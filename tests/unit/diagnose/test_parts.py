"""Selection, arrival, grading, series, correction: each against an outside oracle."""

from datetime import UTC, datetime, timedelta

import numpy as np
import polars as pl
import pytest
from scipy.stats import ecdf

from fbkit.diagnose import selection
from fbkit.diagnose.arrival import arrival_curves, arrivals_frame, visibility
from fbkit.diagnose.bootstrap import Resampler
from fbkit.diagnose.cells import count
from fbkit.diagnose.correction import corrected, pooled_ratio
from fbkit.diagnose.graded import grading
from fbkit.diagnose.labels import Labels
from fbkit.diagnose.metric import evaluate
from fbkit.diagnose.moved import day_of_change, features_moved
from fbkit.diagnose.rows import cross, encode, operating_thresholds, prepare, score_edges
from fbkit.diagnose.series import series
from fbkit.diagnose.settings import SETTINGS, material_floor


def rows_of(joined, weeks, metric="recall"):
    reference, current = weeks.periods()
    return prepare(joined.frame, metric=metric, reference=reference, current=current)


def test_the_column_that_loses_labels_is_chosen(by_hand, weeks):
    rows = rows_of(by_hand(lose=lambda frame, outcome: np.where(frame["region"] == "EU", 0.4, 0.1)), weeks)
    encoded = {name: encode(rows.frame[name]) for name in ("device", "region")}
    tests = selection.label_tests(rows, encoded, seen=rows.labelled)
    strata = selection.choose(tests, encoded, p=1e-3, strata=40, rows=len(rows))
    assert strata.columns == ("region",)
    assert selection.choose(tests, encoded, p=1e-3, strata=2, rows=len(rows)).columns == ()


def test_rare_values_are_put_together():
    column = pl.Series("c", ["a"] * 5 + ["b"] * 4 + ["x", "y", None])
    values, code = encode(column, most=2)
    assert values == ("a", "b", "(other values)")
    assert np.bincount(code).tolist() == [5, 4, 3]
    crossed = cross(["c"], {"c": (values, code)}, rows=12)
    assert crossed.values == (("a",), ("b",), ("(other values)",))


def test_edges_come_from_the_reference_and_hold_the_thresholds(by_hand, weeks):
    joined = by_hand(threshold=lambda frame: np.where(frame["current"], 0.613, 0.5))
    rows = rows_of(joined, weeks)
    assert operating_thresholds(rows).tolist() == [0.5, 0.613]
    edges = score_edges(rows, bins=16)
    assert {0.5, 0.613} <= set(edges.tolist())
    moved = joined.frame.with_columns(score=pl.when(pl.col("current")).then(pl.col("score") / 7).otherwise("score"))
    assert np.array_equal(
        edges,
        score_edges(prepare(moved, metric="recall", reference=weeks.periods()[0], current=weeks.periods()[1]), bins=16),
    )


def test_visibility_is_the_empirical_distribution_of_mature_lags(by_hand, weeks):
    joined = by_hand(as_of=datetime(2026, 9, 8, tzinfo=UTC), lag_days=(1.0, 3.0))
    rows = rows_of(joined, weeks)
    found = visibility(rows, joined.frame, as_of=joined.as_of, settings=SETTINGS)
    assert (found.seen1[rows.mature] == 1).all()
    known = joined.frame.filter(pl.col("mature") & (pl.col("label") == 1) & pl.col("flagged"))
    oracle = ecdf(known["arrival_lag"].dt.total_microseconds().to_numpy() / 86_400e6).cdf
    mine = np.flatnonzero(found.young & (rows.decision == 1))[:50]
    age = (joined.as_of - rows.frame["ts_pred"].gather(mine)).dt.total_microseconds().to_numpy() / 86_400e6
    assert found.seen1[mine] == pytest.approx(oracle.evaluate(age), abs=1e-12)
    share = arrivals_frame(rows, as_of=joined.as_of, window_days=7.0)
    assert share["reference"].is_sorted()
    assert share["reference"][-1] == pytest.approx(1.0)


def test_without_a_closed_window_the_age_is_not_allowed_for(by_hand, weeks):
    joined = by_hand(n=2000)
    young = joined.frame.with_columns(mature=pl.lit(value=False))
    rows = prepare(young, metric="recall", reference=weeks.periods()[0], current=weeks.periods()[1])
    found = visibility(rows, young, as_of=joined.as_of, settings=SETTINGS)
    assert "no closed label window" in found.reason
    assert (found.seen1 == 1).all()
    assert arrival_curves(young, settings=SETTINGS) == {}


def test_grading_is_found_only_when_loss_follows_the_score(by_hand, weeks):
    def graded(frame, outcome):
        return np.where(frame["flagged"].to_numpy(), 0.9 * (frame["score"].to_numpy() - 0.5), 0.02)

    def flat(frame, outcome):
        return np.where(frame["flagged"].to_numpy(), 0.4, 0.02)

    for lose, expected in ((graded, True), (flat, False)):
        rows = rows_of(by_hand(lose=lose), weeks)
        resampler = Resampler.make(np.zeros(len(rows), dtype=np.int64), draws=0, seed=0, buckets=1)
        bin_of = np.minimum((rows.score * 20).astype(np.int64), 19)
        cells = count(
            rows, Labels.as_shown(rows), cross([], {}, rows=len(rows)), bin_of=bin_of, bins=20, resampler=resampler
        )
        assert grading(cells, settings=SETTINGS).found is expected


def test_begg_and_greenes_by_hand(by_hand, weeks):
    """N_c times the labelled rate of the cell, added up in a plain loop."""
    joined = by_hand(lose=lambda frame, outcome: np.where(frame["flagged"] & (frame["region"] == "EU"), 0.7, 0.2))
    rows = rows_of(joined, weeks)
    encoded = {"region": encode(rows.frame["region"])}
    resampler = Resampler.make(np.zeros(len(rows), dtype=np.int64), draws=0, seed=0, buckets=1)
    bin_of = np.minimum((rows.score * 4).astype(np.int64), 3)
    cells = count(
        rows,
        Labels.as_shown(rows),
        cross(["region"], encoded, rows=len(rows)),
        bin_of=bin_of,
        bins=4,
        resampler=resampler,
    )
    frame = joined.frame.with_columns(bin=pl.Series(bin_of))
    detected = positive = 0.0
    for _, part in frame.filter("current").group_by("flagged", "bin", "region"):
        mass = part.height * part["label"].drop_nulls().mean()
        positive += mass
        detected += mass * part["flagged"][0]
    assert evaluate("recall", corrected(cells, thin=0))[0, 1] == pytest.approx(detected / positive, abs=1e-12)


def test_thin_cells_borrow_from_their_score_bin():
    part, whole = np.array([[[1.0, 30.0]]]), np.array([[[2.0, 100.0]]])
    assert pooled_ratio(part, whole, labels=whole, thin=6)[0, 0].tolist() == pytest.approx([31 / 102, 0.3])
    assert pooled_ratio(part * 0, whole * 0, labels=whole, thin=6) == pytest.approx(np.nan, nan_ok=True)


@pytest.mark.parametrize("metric", ["recall", "brier", "roc_auc", "f1", "rmse", "log_loss"])
def test_series_cut_at_the_current_period(by_hand, weeks, metric):
    joined = by_hand(n=4000, lose=lambda frame, outcome: np.full(len(frame), 0.1))
    reference, current = weeks.periods()
    weekly = series(
        joined.frame, metric=metric, step=timedelta(days=7), reference=reference, current=current, level=0.95
    )
    assert weekly["role"].to_list() == ["reference"] * 4 + ["current"]
    assert weekly["n"].sum() == 4000
    assert weekly["period_start"][-1] == current.start
    if metric == "recall":
        now = joined.frame.filter(pl.col("current") & (pl.col("label") == 1))
        assert weekly["value"][-1] == pytest.approx(now["flagged"].mean())
        assert (weekly["bound_lower"] <= weekly["value"]).all()


def test_floors():
    assert material_floor("recall", 0.3) == 0.01
    assert material_floor("mae", -20.0) == pytest.approx(0.4)


def test_features_that_moved_come_first(by_hand, weeks):
    joined = by_hand(n=3000)
    shift = pl.when(pl.col("current")).then(2.0).otherwise(0.0)
    noise = np.random.default_rng(0).normal(size=3000)
    frame = joined.frame.with_columns(
        still=pl.Series(noise),
        moved=pl.Series(noise) + shift,
        gone=pl.when(pl.col("current")).then(None).otherwise(1.0),
    )
    contract = joined.contract.model_copy(
        update={
            "features": joined.contract.features.model_copy(
                update={"columns": ("still", "moved", "gone", "region", "absent")}
            )
        }
    )
    rows = prepare(frame, metric="recall", reference=weeks.periods()[0], current=weeks.periods()[1])
    found = features_moved(rows, contract)
    assert found["column"].to_list() == ["moved", "still", "gone"]
    before, after = (frame.filter(pl.col("current") == now)["moved"].to_numpy() for now in (False, True))
    assert found["shift"][0] == pytest.approx((after.mean() - before.mean()) / before.std(ddof=1))
    assert found["null_rate_current"][2] == 1.0


def test_the_day_of_change_is_found(by_hand, weeks):
    day = datetime(2026, 9, 2, tzinfo=UTC)
    joined = by_hand(truth=lambda f: np.where(f["ts_pred"] >= day, f["score"] * 0.3 + 0.2, f["score"]))
    reference, current = weeks.periods()
    daily = series(
        joined.frame, metric="recall", step=timedelta(days=1), reference=reference, current=current, level=0.95
    )
    found = day_of_change(daily.with_columns(day=pl.col("period_start")), not_before=datetime(2026, 8, 20, tzinfo=UTC))
    assert found[0] == day
    assert found[1] < 0
    assert day_of_change(daily.head(3).with_columns(day=pl.col("period_start")), not_before=day) is None
