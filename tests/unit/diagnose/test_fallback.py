"""Defaults served in place of scores: by status, by point mass, where they sit, and what is none."""

import numpy as np
import polars as pl
import pytest

from fbkit.diagnose.fallback import fallback
from tests.unit.diagnose.replay_world import make, scene_of


def looked_at(after, **how):
    logs = make(after=after, **how)
    return fallback(scene_of(logs, draws=0)[0])


def at_noon(c, rng):
    hour = c["second"] // 3600 % 24
    hit = c["now"] & np.isin(hour, [11, 12, 13]) & (c["u"] < 0.8)
    c["score"] = np.where(hit, 0.123, c["score"])


def in_eu(c, rng):
    c["score"] = np.where(c["now"] & (c["region"] == "EU") & (c["u"] < 0.3), 0.9, c["score"])


def test_a_point_mass_is_found_with_its_hours_and_its_share():
    found, frame = looked_at(at_noon)
    assert found is not None
    assert found.score == 0.123
    assert found.player.where == "hour=11, 12, 13"
    assert found.share[[11, 12, 13]] == pytest.approx([0.8] * 3, abs=0.1)
    assert not found.share[[0, 5, 20]].any()
    assert frame["score"][0] == 0.123
    numbers = found.player.numbers
    assert numbers["fallback_share_current"][1] == pytest.approx(0.1, abs=0.02)


def test_a_slice_is_named_and_the_default_keeps_its_decision():
    found, _ = looked_at(in_eu)
    assert found is not None
    assert (found.player.where, found.score, found.flagged) == ("region=EU", 0.9, 1.0)
    default = found.default(np.arange(10))
    assert default.share.shape == (10,)


@pytest.mark.parametrize("word", ["fallback", " TIMEOUT", "Error"])
def test_a_logged_status_is_believed_even_where_scores_differ(word):
    def told(c, rng):
        c["more"] = {"status": np.where(c["now"] & (c["u"] < 0.05), word, "ok")}

    found, _ = looked_at(told)
    assert found is not None
    assert "the logged status" in found.player.evidence


def test_a_status_as_common_as_ever_is_background():
    def always(c, rng):
        c["more"] = {"status": np.where(c["u"] < 0.05, "timeout", "ok")}

    assert looked_at(always)[0] is None


def test_only_what_is_beyond_the_reference_counts():
    def more(c, rng):
        c["score"] = np.where(c["u"] < np.where(c["now"], 0.3, 0.1), 0.2, c["score"])

    found, _ = looked_at(more)
    assert found is not None
    assert found.share.max() == pytest.approx(0.2 / 0.9, abs=0.03)


def lower_scores(c, rng):
    c["score"] = np.where(c["now"], np.round(c["score"] ** 3, 2), np.round(c["score"], 2))


def few_leaves(c, rng):
    grid = np.array([0.05, 0.2, 0.45, 0.8])
    c["score"] = grid[np.abs(c["score"][:, None] - np.where(c["now"], 0.1, 0.0)[:, None] - grid).argmin(1)]


@pytest.mark.parametrize("change", [lower_scores, few_leaves, None])
def test_scores_that_crowd_and_leaves_of_a_small_tree_are_no_defaults(change):
    found, frame = looked_at(change, seed=3)
    assert found is None
    assert isinstance(frame, pl.DataFrame)
