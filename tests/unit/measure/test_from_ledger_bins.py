"""Metrics of score bins: the rows' number lies where the method says, and close to the ledger's."""

import re

import numpy as np
import polars as pl
import pytest
from hypothesis import Phase, given, settings
from hypothesis import strategies as st
from sklearn.metrics import average_precision_score, roc_auc_score

from fbkit.ledger.build import build
from fbkit.ledger.edges import BinEdges
from fbkit.measure.from_ledger.bins import FROM_BINS
from fbkit.measure.from_ledger.metrics import ledger_metrics
from fbkit.measure.metrics import metrics
from fbkit.testing.frames import FakeJoined, make_joined, random_joined

NAMES = list(FROM_BINS)
BRACKETED = ("roc_auc", "average_precision", "log_loss", "unc", "ece", "ks_classes")
# How far the default bins' number may lie from the rows' at 20,000 rows, and in slices of some hundreds.
TOLERANCE = {
    "roc_auc": (1e-4, 2e-3), "average_precision": (4e-3, 2e-2), "log_loss": (3e-4, 3e-3), "mcb": (1e-3, 8e-3),
    "dsc": (1e-3, 8e-3), "unc": (1e-12, 1e-12), "ece": (1e-9, 1e-9), "ks_classes": (3e-3, 2e-2),
}  # fmt: skip

pair = st.tuples(st.integers(0, 20).map(lambda step: step / 20) | st.floats(0, 1), st.sampled_from([0.0, 1.0, None]))


def bracket(method: str) -> tuple[float, float] | None:
    found = re.search(r"by rows between (-?[0-9.]+) and (-?[0-9.]+)", method)
    return None if found is None else (float(found[1]), float(found[2]))


@given(st.lists(pair, min_size=1, max_size=40), st.sampled_from([(0.5,), (0.2, 0.5, 0.55), (0.1, 0.3, 0.5, 0.7, 0.9)]))
@settings(max_examples=60, phases=(Phase.explicit, Phase.generate), deadline=None)
def test_the_rows_number_lies_where_the_method_says(rows: list[tuple], edges: tuple[float, ...]) -> None:
    joined = make_joined(scores=[score for score, _ in rows], labels=[label for _, label in rows])
    ledger = build(joined, edges=BinEdges(edges=edges))
    ours = {row["metric"]: row for row in ledger_metrics(ledger, NAMES).to_dicts()}
    for theirs in metrics(joined, NAMES).to_dicts():
        mine = ours[theirs["metric"]]
        same = ("n", "n_labelled", "reason", "stage")
        assert [mine[name] for name in same] == [theirs[name] for name in same]
        if theirs["value"] is None or theirs["metric"] not in BRACKETED:
            continue
        inside = bracket(mine["method"])
        if inside is None:
            assert mine["value"] == pytest.approx(theirs["value"], abs=1e-9), theirs["metric"]
        else:
            assert inside[0] - 1e-4 <= theirs["value"] <= inside[1] + 1e-4, theirs["metric"]
            assert inside[0] - 1e-4 <= mine["value"] <= inside[1] + 1e-4, theirs["metric"]
    if ours["mcb"]["value"] is not None:
        parts = {name: ours[name]["value"] for name in ("mcb", "dsc", "unc")}
        brier = metrics(joined, "brier")["value"].item()
        assert parts["mcb"] - parts["dsc"] + parts["unc"] == pytest.approx(brier, abs=1e-9)


@pytest.mark.parametrize(("by", "every"), [(None, None), ("group", None), ("region", "1w")])
def test_default_bins_are_close_to_the_rows(by: str | None, every: str | None) -> None:
    joined = random_joined(20_000, seed=1)
    ledger = build(joined, slices=["group", "region"])
    ours, rows = (call(by=by, every=every) for call in (
        lambda **how: ledger_metrics(ledger, NAMES, **how), lambda **how: metrics(joined, NAMES, **how)
    ))  # fmt: skip
    for name, (whole, sliced) in TOLERANCE.items():
        left, right = (frame.filter(metric=name) for frame in (ours, rows))
        tolerance = whole if by is None else sliced
        np.testing.assert_allclose(left["value"].to_numpy(), right["value"].to_numpy(), atol=tolerance, err_msg=name)
        for limit in ("lower", "upper"):
            np.testing.assert_allclose(
                left[limit].to_numpy(), right[limit].to_numpy(), atol=max(tolerance, 5e-3), err_msg=name
            )


def test_scores_that_fill_no_bin_are_exact_against_scikit_learn() -> None:
    generator = np.random.default_rng(2)
    scores = generator.integers(0, 11, 3000) / 10 + 0.04
    scores = np.clip(scores, 0, 1)
    labels = (generator.random(3000) < scores).astype(float)
    joined = make_joined(scores=scores.tolist(), labels=labels.tolist())
    edges = BinEdges(edges=tuple(float(edge) for edge in np.unique(scores)[1:]))
    got = dict(
        ledger_metrics(build(joined, edges=edges), ["roc_auc", "ks_classes"]).select("metric", "value").iter_rows()
    )
    assert got["roc_auc"] == pytest.approx(roc_auc_score(labels, scores), abs=1e-12)
    fractions = [np.mean(scores[labels == value] <= at) for at in np.unique(scores) for value in (0, 1)]
    assert got["ks_classes"] == pytest.approx(-np.diff(np.reshape(fractions, (-1, 2))).min(), abs=1e-12)
    assert abs(average_precision_score(labels, scores) - metrics(joined, "average_precision")["value"].item()) < 1e-12


def test_weights_and_fractional_labels_count_as_shares() -> None:
    generator = np.random.default_rng(3)
    scores = np.round(0.01 + 0.98 * generator.random(4000), 2)
    labels = np.where(generator.random(4000) < 0.3, 0.25, (generator.random(4000) < scores).astype(float))
    joined = make_joined(
        scores=scores.tolist(), labels=labels.tolist(), columns={"w": generator.choice([0.5, 1.0, 2.0], 4000)}
    )
    ledger = build(joined, weights="w")
    ours = ledger_metrics(ledger, NAMES, weights="w")
    rows = metrics(joined, NAMES, weights="w")
    for name, (tolerance, _) in TOLERANCE.items():
        left, right = (frame.filter(metric=name)["value"].item() for frame in (ours, rows))
        assert left == pytest.approx(right, abs=max(5 * tolerance, 1e-8)), name


def test_an_earlier_midnight_has_the_bins_of_what_was_known_then() -> None:
    joined = random_joined(3000, seed=4)
    late = joined.frame.with_columns(arrival_lag=pl.duration(days=pl.col("score") * 6))
    late = late.with_columns(label=pl.when(pl.col("ts_pred") + pl.col("arrival_lag") <= joined.as_of).then("label"))
    whole = FakeJoined(frame=late, contract=joined.contract, as_of=joined.as_of)
    at = joined.as_of.replace(day=20, month=4)
    then = late.filter(pl.col("ts_pred") <= at).with_columns(
        label=pl.when(pl.col("ts_pred") + pl.col("arrival_lag") <= at).then("label"),
        mature=pl.col("ts_pred") + pl.duration(days=7) <= at,
    )
    ours = ledger_metrics(build(whole), NAMES, as_of=at)
    rows = metrics(FakeJoined(frame=then, contract=joined.contract, as_of=at), NAMES)
    assert ours.select("n", "n_labelled").equals(rows.select("n", "n_labelled"))
    for name, (_, tolerance) in TOLERANCE.items():
        left, right = (frame.filter(metric=name)["value"].item() for frame in (ours, rows))
        assert left == pytest.approx(right, abs=tolerance), name


def test_no_interval_is_drawn_as_if_rows_were_independent_where_entities_repeat() -> None:
    joined = random_joined(2000, seed=5, entities=200)
    row = ledger_metrics(build(joined), "roc_auc").row(0, named=True)
    assert row["value"] is not None
    assert (row["lower"], row["upper"]) == (None, None)
    assert "no interval where entities repeat" in row["method"]
