"""What another threshold changes: against flagging again row by row, from rows and from a ledger."""

import numpy as np
import polars as pl
import pytest
from scipy import stats

from fbkit.errors import ArgumentError
from fbkit.ledger.build import build
from fbkit.ledger.edges import BinEdges
from fbkit.measure.threshold_moves import MORE, threshold_moves, threshold_range
from fbkit.measure.thresholds import threshold_curve
from fbkit.schema.contract import Contract
from fbkit.testing.frames import FakeJoined, make_joined

WORTH = {"true_positive": 10.0, "false_positive": -2.0, "false_negative": -6.0, "true_negative": 0.5}
PERIOD = "2026-03-10..2026-04-10"
EDGES = (0.1, 0.25, 0.5, 0.75)


def world(n: int = 900, *, seed: int = 1, repeat: int = 1, priced: bool = True) -> FakeJoined:
    rng = np.random.default_rng(seed)
    scores = np.round(np.repeat(rng.beta(1.2, 2.5, n // repeat), repeat), 2)
    labels = (np.repeat(rng.random(n // repeat), repeat) < scores).astype(float)
    made = make_joined(
        scores=scores.tolist(),
        labels=[None if lost else label for lost, label in zip(rng.random(n) < 0.2, labels.tolist(), strict=True)],
        ages=rng.uniform(0, 60, n).tolist(),
        entities=None if repeat == 1 else [f"e{row // repeat}" for row in range(n)],
    )
    facts = made.contract.model_dump(exclude_defaults=True) | ({"value": WORTH} if priced else {})
    return FakeJoined(frame=made.frame, contract=Contract.from_dict(facts), as_of=made.as_of)


def by_hand(joined: FakeJoined, before: float, after: float, *, final: bool = True) -> dict[str, float]:
    """Flag every row twice and look at each row's difference."""
    inside = joined.frame.filter(
        pl.col("ts_pred").is_between(pl.lit("2026-03-10").str.to_datetime(time_zone="UTC"),
                                     pl.lit("2026-04-10").str.to_datetime(time_zone="UTC"), closed="left")
    )  # fmt: skip
    inside = inside.filter("mature") if final else inside
    turned = (inside["score"] >= after).cast(pl.Int8) - (inside["score"] >= before).cast(pl.Int8)
    known = inside["label"].is_not_null()
    flip, label = turned.filter(known).to_numpy(), inside["label"].filter(known).to_numpy()
    gain = flip * np.where(label == 1, 16.0, -2.5)
    half = stats.t.ppf(0.975, len(gain) - 1) * gain.std(ddof=0) / np.sqrt(len(gain) - 1)
    return {
        "more_true_positives": (flip * label).sum(), "more_false_positives": (flip * (1 - label)).sum(),
        "more_flagged": turned.sum(), "value": gain.mean(), "lower": gain.mean() - half, "upper": gain.mean() + half,
        "n": inside.height, "n_labelled": int(known.sum()),
    }  # fmt: skip


@pytest.mark.parametrize("of", ["rows", "ledger"])
@pytest.mark.parametrize(("before", "after"), [(0.5, 0.1), (0.5, 0.75), (0.25, 0.25), (0.1, 0.5)])
def test_counts_and_value_are_those_of_flagging_again(of: str, before: float, after: float) -> None:
    joined = world()
    data = build(joined, edges=BinEdges(edges=EDGES)) if of == "ledger" else joined
    more = {} if of == "ledger" else {"thresholds": list(EDGES)}
    made = threshold_moves(data, before=before, period=PERIOD, **more)
    line = made.filter(pl.col("threshold") == after).row(0, named=True)
    expected = by_hand(joined, before, after)
    assert {name: line[name] for name in expected} == pytest.approx(expected, rel=1e-9)
    assert line["threshold_before"] == before
    assert line["reason"] is None


@pytest.mark.parametrize("stage", ["final", "any"])
def test_a_ledger_says_what_rows_say(stage: str) -> None:
    joined = world(2000, seed=5)
    ledger = build(joined, edges=BinEdges(edges=EDGES))
    of_ledger = threshold_moves(ledger, before=0.5, period=PERIOD, stage=stage)
    of_rows = threshold_moves(joined, before=0.5, period=PERIOD, stage=stage, thresholds=[0.0, *EDGES])
    for name in ("threshold", *MORE, "true_positives", "flagged", "value", "n", "n_labelled", "stage"):
        np.testing.assert_array_equal(of_ledger[name].to_numpy(), of_rows[name].to_numpy(), err_msg=name)
    for name in ("lower", "upper"):
        np.testing.assert_allclose(of_ledger[name].to_numpy(), of_rows[name].to_numpy(), atol=1e-9)


def test_the_change_of_value_is_the_difference_of_the_curves_values() -> None:
    joined = world(3000, seed=2)
    curve = threshold_curve(joined, period=PERIOD, points=21)
    own = curve.filter(pl.col("threshold") == 0.5)["value_per_prediction"][0]
    made = threshold_moves(joined, before=0.5, period=PERIOD, thresholds=curve["threshold"].to_list())
    np.testing.assert_allclose(made["value"].to_numpy(), (curve["value_per_prediction"] - own).to_numpy(), atol=1e-12)


def test_rows_of_one_entity_widen_the_interval() -> None:
    """Five copies of each row are five times as many rows and no more knowledge."""
    line, alone = (
        threshold_moves(joined, before=0.5, thresholds=[0.25], stage="any").filter(pl.col("threshold") == 0.25)
        for joined in (world(3000, repeat=5, seed=3), world(600, repeat=1, seed=3))
    )
    assert line["method"].item().startswith("cluster-robust")
    width, single = ((each["upper"] - each["lower"]).item() for each in (line, alone))
    assert width == pytest.approx(single, rel=0.15)


def test_without_prices_the_counts_remain_and_the_reason_is_told() -> None:
    joined = world(priced=False)
    for data in (joined, build(joined, edges=BinEdges(edges=EDGES))):
        made = threshold_moves(data, before=0.5)
        assert made["value"].is_null().all()
        assert made["lower"].is_null().all()
        assert made["more_flagged"].null_count() == 0
        assert set(made["reason"]) == {"the contract has no [value]"}


def test_no_labels_give_no_value_and_never_a_zero() -> None:
    joined = make_joined(scores=[0.2, 0.7], labels=[None, None])
    facts = joined.contract.model_dump(exclude_defaults=True) | {"value": WORTH}
    bare = FakeJoined(frame=joined.frame, contract=Contract.from_dict(facts), as_of=joined.as_of)
    for data in (bare, build(bare)):
        made = threshold_moves(data, before=0.5)
        assert made["value"].is_null().all()
        assert set(made["reason"]) == {"no labelled rows"}
        assert made["more_flagged"].max() >= 1


def test_a_threshold_that_the_ledger_did_not_count_is_refused() -> None:
    ledger = build(world(), edges=BinEdges(edges=EDGES))
    with pytest.raises(ArgumentError, match="not among the ledger's edges"):
        threshold_moves(ledger, before=0.33)
    nothing = threshold_moves(ledger, before=float(np.nextafter(1, 2)))
    assert nothing["more_flagged"][0] == nothing["n"][0], "against flagging nothing, flagging at 0 flags every row"


@pytest.mark.parametrize("of", ["rows", "ledger"])
def test_the_range_of_the_best_holds_what_cannot_be_told_from_it_and_narrows_with_more_rows(of: str) -> None:
    """Scores mean what they say, so the best threshold is where a flag's gain is zero: 2.5 / 18.5."""
    best, widths = 2.5 / 18.5, []
    for n in (600, 60_000):
        joined = world(n, seed=4)
        data = build(joined) if of == "ledger" else joined
        near = min(data.edges.edges, key=lambda edge: abs(edge - best)) if of == "ledger" else 0.14
        low, high = threshold_range(data, chosen=near, fit=PERIOD, target="value")
        assert low <= near <= high
        widths.append(high - low)
    assert widths[1] < widths[0] / 2


def test_the_range_of_a_target_is_where_its_interval_holds_the_target() -> None:
    joined = world(4000, seed=6)
    curve = threshold_curve(joined, period=PERIOD)
    chosen = curve.filter(pl.col("precision") >= 0.5)["threshold"].min()
    low, high = threshold_range(joined, chosen=chosen, fit=PERIOD, target="precision", at_least=0.5)
    inside = curve.filter(pl.col("threshold").is_between(low, high))
    outside = curve.filter(~pl.col("threshold").is_between(low, high) & pl.col("precision").is_not_null())
    assert ((outside["precision_lower"] > 0.5) | (outside["precision_upper"] < 0.5)).all()
    assert 1 < inside.height < curve.height
