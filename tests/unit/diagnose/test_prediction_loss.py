"""Missing predictions: found where volume falls alone, told from traffic by orphans, silent on healthy weeks."""

from dataclasses import replace
from datetime import timedelta

import numpy as np
import polars as pl
import pytest

from fbkit.diagnose.prediction_loss import log_loss, orphan_excess, whole_days
from fbkit.diagnose.replay import replay
from tests.unit.diagnose.replay_world import START, make, scene_of


def with_orphans(logs, lost, *, share):
    """The outcomes of lost predictions, as the join keeps them."""
    hit = lost.sample(fraction=share, seed=1)
    pairs = hit.select(pl.lit("orphan").alias("fate"), (pl.col("ts_pred") + timedelta(hours=1)).alias("ts_event"))
    return replace(logs, pairs=pairs)


def lose(hit, *, n=20_000, seed=0):
    """Logs without the rows of ``hit`` (a function of the columns), and the rows that are gone."""
    kept = {}

    def away(c, rng):
        kept["gone"] = hit(c)
        c["kept"] = ~kept["gone"]

    logs = make(after=away, n=n, seed=seed)
    everything = make(n=n, seed=seed).frame
    return logs, everything.filter(pl.Series(kept["gone"]))


def eu(c):
    return c["now"] & (c["region"] == "EU") & (c["u"] < 0.5)


def mornings(c):
    return c["now"] & np.isin(c["second"] // 3600 % 24, [8, 9]) & (c["u"] < 0.7)


def test_a_slice_that_falls_alone_with_orphans_is_a_loss():
    logs, gone = lose(eu)
    found, frame = log_loss(scene_of(with_orphans(logs, gone, share=0.9))[0])
    assert found is not None
    assert (found.player.where, found.player.best) == ("region=EU", "established")
    assert found.missing == pytest.approx(len(gone), rel=0.15)
    short = frame.filter(pl.col("short") & (pl.col("column") != "all"))
    assert short.select("column", "value").rows() == [("region", "EU")]


def test_without_orphans_where_they_would_show_it_is_traffic():
    logs, gone = lose(eu)
    none = with_orphans(logs, gone.head(1), share=1.0)
    scene, cells = scene_of(none)
    assert log_loss(scene)[0] is None
    assert "mix_shift" in replay(scene, scene.labels, cells).facts


def test_where_orphans_are_not_kept_it_is_only_probable():
    found, _ = log_loss(scene_of(lose(eu)[0])[0])
    assert found is not None
    assert found.player.best == "probable"
    assert orphan_excess(scene_of(lose(eu)[0], draws=0)[0]) is None


def test_hours_are_found_without_any_slice():
    logs, gone = lose(mornings)
    scene, cells = scene_of(with_orphans(logs, gone, share=0.9))
    said = replay(scene, scene.labels, cells)
    assert said.facts["prediction_log_loss"].where == "hour=08, 09"
    assert "prediction_log_loss" not in said.players  # which hours are missing does not move the metric
    assert "nothing" not in said.facts["prediction_log_loss"].evidence


def test_a_uniform_loss_shows_in_the_orphans_only():
    logs, gone = lose(lambda c: c["now"] & (c["u"] < 0.4))
    assert log_loss(scene_of(logs)[0])[0] is None
    found, _ = log_loss(scene_of(with_orphans(logs, gone, share=0.9))[0])
    assert found is not None
    assert found.player.where == "everywhere"


def test_traffic_that_moves_from_one_slice_to_another_is_no_loss():
    def moves(c, rng):
        c["region"] = np.where(c["now"] & (c["region"] == "EU") & (c["u"] < 0.5), "US", c["region"])

    scene, cells = scene_of(make(before=moves, n=20_000))
    assert log_loss(scene)[0] is None
    assert "mix_shift" in replay(scene, scene.labels, cells).facts


def test_a_holiday_is_no_loss():
    def quiet(c, rng):
        day = c["second"] // 86_400
        c["kept"] = ~((day == 30) & (c["u"] < 0.6))

    assert log_loss(scene_of(make(after=quiet, n=20_000))[0])[0] is None


def test_a_day_without_predictions_is_a_hole_in_the_log():
    def away(c, rng):
        c["kept"] = c["second"] // 86_400 != 31

    found, _ = log_loss(scene_of(make(after=away, n=20_000))[0])
    assert found is not None
    assert (found.player.where, found.player.best) == (f"day={START + timedelta(days=31):%Y-%m-%d}", "probable")


@pytest.mark.parametrize(("hours", "days"), [(12, 6), (0, 7), (-160, 0)])
def test_days_that_have_only_begun_are_not_counted(hours, days):
    logs = make(n=20_000)
    end = START + timedelta(days=35, hours=-hours) if hours >= 0 else START + timedelta(days=35, hours=hours)
    early = replace(logs, as_of=end, frame=logs.frame.filter(pl.col("ts_pred") < end))
    scene, _ = scene_of(early)
    assert len(whole_days(scene)) == days
    found, frame = log_loss(scene)
    assert found is None
    assert not frame["short"].any()


@pytest.mark.parametrize("seed", range(4))
def test_weekly_rhythm_and_slow_growth_are_no_loss(seed):
    def rhythm(c, rng):
        day = c["second"] // 86_400
        c["kept"] = c["u"] < np.where(day % 7 >= 5, 0.5, 0.9) * (0.8 + 0.2 * day / 35)

    found, frame = log_loss(scene_of(make(after=rhythm, seed=seed, n=9000))[0])
    assert found is None
    assert not frame["short"].any()
    days = frame.filter(pl.col("column") == "day")
    assert days["value"].to_list()[0] == f"{START + timedelta(days=28):%Y-%m-%d}"
    assert days["n"].sum() == frame.filter(pl.col("column") == "all")["n"].item()
