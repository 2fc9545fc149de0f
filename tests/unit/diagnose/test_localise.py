"""Where: places in words, gaps against brute force."""

import numpy as np
import polars as pl

from fbkit.diagnose.localise import (
    availability_by_decision,
    availability_by_score,
    where_labels_went,
    where_remainder,
)
from fbkit.diagnose.rows import prepare
from fbkit.diagnose.triage import triage


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
