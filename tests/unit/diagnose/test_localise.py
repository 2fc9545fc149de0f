"""Where: places in words, gaps against brute force."""

import numpy as np
import polars as pl
import pytest
from scipy.special import ndtr

from fbkit.diagnose.localise import (
    availability_by_decision,
    availability_by_score,
    where_labels_went,
    where_remainder,
)
from fbkit.diagnose.rows import prepare
from fbkit.diagnose.triage import triage
from fbkit.measure.stats.intervals import holm


def test_counts_by_decision_are_the_rows(by_hand, weeks):
    joined = by_hand(n=3000, lose=lambda frame, outcome: np.full(len(frame), 0.2))
    reference, current = weeks.periods()
    frame = availability_by_decision(prepare(joined.frame, metric="recall", reference=reference, current=current))
    for row in frame.iter_rows(named=True):
        part = joined.frame.filter(pl.col("current") == (row["window"] == "current"))
        if row["decision"] != "all":
            part = part.filter(pl.col("flagged") == (row["decision"] == "flagged"))
        assert (row["n"], row["n_labelled"]) == (part.height, part["label"].count())
        assert row["lower"] <= row["availability"] <= row["upper"]


def test_counts_by_score_add_up(by_hand, weeks):
    joined = by_hand(n=3000)
    reference, current = weeks.periods()
    rows = prepare(joined.frame, metric="recall", reference=reference, current=current)
    edges = np.array([0.2, 0.5])
    frame = availability_by_score(rows, np.searchsorted(edges, rows.score, side="right"), edges)
    assert frame["n"].sum() == 3000
    middle = frame.filter((pl.col("score_lower") == 0.2) & (pl.col("window") == "current"))
    inside = joined.frame.filter(pl.col("current") & (pl.col("score") >= 0.2) & (pl.col("score") < 0.5))
    assert middle["n"].item() == inside.height


def test_drift_in_one_slice_is_placed_there(by_hand, weeks):
    def in_us(frame):
        score = frame["score"].to_numpy()
        hit = (frame["current"] & (frame["region"] == "US")).to_numpy()
        return np.where(hit, 0.4 * score + 0.6 * score.mean(), score)

    said = triage(by_hand(truth=in_us), weeks)
    part = next(p for p in said.contributions if p.cause == "concept_drift")
    assert part.where == "region=US"
    frame = said.evidence["remainder_by_slice"]
    worst = frame.sort("p_adjusted")[0]
    assert (worst["column"].item(), worst["value"].item()) == ("region", "US")
    assert (frame["p_adjusted"] >= frame["p_value"]).all()


def test_even_loss_and_even_drift_are_everywhere(by_hand, weeks):
    said = triage(by_hand(lose=lambda frame, outcome: np.where(frame["current"], 0.3, 0.1)), weeks)
    assert (
        where_labels_went(said.evidence["availability_by_slice"], said.evidence["availability_by_decision"])
        == "everywhere"
    )
    empty = said.evidence["remainder_by_slice"].with_columns(pl.lit(None, pl.Float64).alias("p_value"))
    assert where_remainder(empty, total=-0.1) == "everywhere"


def gaps(**remainders):
    """Remainders by value of two columns with a standard error of one point, as the frame has them."""
    rows = [
        {
            "column": column,
            "value": value,
            "remainder": gap,
            "lower": gap - 0.0196,
            "upper": gap + 0.0196,
            "p_value": float(2 * ndtr(-abs(gap) / 0.01)),
        }
        for column, values in remainders.items()
        for value, gap in values.items()
    ]
    frame = pl.DataFrame(rows)
    return frame.with_columns(pl.Series("p_adjusted", holm(frame["p_value"].to_numpy())))


@pytest.mark.parametrize(
    ("region", "place"),
    [
        ({"EU": -0.12, "US": 0.0, "APAC": 0.01}, "region=EU"),
        ({"EU": -0.12, "US": -0.11, "APAC": 0.0}, "region=EU and region=US"),
        ({"EU": -0.12, "US": -0.07, "APAC": -0.07}, "everywhere"),  # stronger in one, but everywhere
        ({"EU": -0.15, "US": -0.03, "APAC": -0.03}, "everywhere"),  # little elsewhere, but beyond chance
        ({"EU": -0.50, "US": -0.03, "APAC": -0.03}, "region=EU"),  # next to nothing elsewhere
        ({"EU": -0.12, "US": -0.12, "APAC": -0.12}, "everywhere"),
        ({"EU": -0.02, "US": 0.01, "APAC": 0.0}, "everywhere"),  # within chance
        ({"EU": 0.12, "US": -0.01, "APAC": 0.0}, "everywhere"),  # the other way than the whole
    ],
)
def test_a_place_is_named_only_where_the_rest_stayed(region, place):
    frame = gaps(device={"web": -0.06, "app": -0.05}, region=region)
    assert where_remainder(frame, total=-0.06) == place
    turned = frame.with_columns(-pl.col("remainder"), lower=-pl.col("upper"), upper=-pl.col("lower"))
    assert where_remainder(turned, total=0.06) == place


def test_a_column_of_one_value_has_no_place():
    assert where_remainder(gaps(region={"EU": -0.2}), total=-0.2) == "everywhere"


def kept(**columns):
    """Availability by slice, all decisions alike, from (rows, share labelled before, share labelled now) by value."""
    rows = [
        {
            "column": column,
            "value": value,
            "window": window,
            "flagged": "all",
            "n": n,
            "n_labelled": round(n * share),
            "availability": share,
            "ratio": now / before,
        }
        for column, values in columns.items()
        for value, (n, before, now) in values.items()
        for window, share in (("reference", before), ("current", now))
    ]
    return pl.DataFrame(rows)


EVEN = pl.DataFrame(
    [
        {"decision": decision, "window": window, "availability": share}
        for decision in ("flagged", "not flagged")
        for window, share in (("reference", 0.9), ("current", 0.8))
    ]
)


@pytest.mark.parametrize(
    ("region", "place"),
    [
        ({"EU": (4000, 0.9, 0.5), "US": (3000, 0.9, 0.9), "APAC": (800, 0.9, 0.88)}, "region=EU"),
        ({"EU": (4000, 0.9, 0.7), "US": (3000, 0.9, 0.7), "APAC": (800, 0.9, 0.7)}, "everywhere"),
        ({"EU": (4000, 0.9, 0.89), "US": (3000, 0.9, 0.86), "APAC": (800, 0.9, 0.9)}, "everywhere"),  # too little
        ({"EU": (60, 0.9, 0.7), "US": (60, 0.9, 0.9), "APAC": (60, 0.9, 0.85)}, "everywhere"),  # within chance
        ({"EU": (4000, 0.9, 0.0), "US": (3000, 0.9, 0.9), "APAC": (20, 0.9, 0.1)}, "region=EU"),  # too few to say
    ],
)
def test_the_place_of_lost_labels_is_beyond_chance(region, place):
    frame = kept(device={"web": (4000, 0.9, 0.8), "app": (3800, 0.9, 0.8)}, region=region)
    assert where_labels_went(frame, EVEN) == place


def test_a_column_of_many_thin_values_does_not_outshine_the_right_one():
    rng = np.random.default_rng(4)
    thin = {f"c{i:02d}": (60, 0.9, float(share)) for i, share in enumerate(rng.binomial(60, 0.75, 25) / 60)}
    frame = kept(city=thin, region={"EU": (800, 0.9, 0.6), "US": (700, 0.9, 0.9)})
    assert where_labels_went(frame, EVEN) == "region=EU"
