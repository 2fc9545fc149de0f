"""Audited rows stand for the unlabelled rows that they were drawn from; brute force says what they must say."""

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import timedelta
from typing import Any

import numpy as np
import polars as pl
import pytest

from fbkit.diagnose.audit import Audit, audit, drawn
from fbkit.diagnose.rows import CURRENT, REFERENCE, cross
from fbkit.diagnose.scene import Scene, set_scene
from fbkit.diagnose.settings import SETTINGS
from fbkit.join.table import MemoryTable
from tests.unit.diagnose.conftest import Hand

Draw = Callable[[pl.DataFrame, Any], Any]


@dataclass(frozen=True)
class Told(Hand):
    """A joined table made by hand, with what audits said."""

    pairs: MemoryTable = field(default_factory=lambda: MemoryTable(pl.DataFrame()))


def statements(frame: pl.DataFrame, chance: Any, rng: Any, *, fate: str = "audit_row", **change: Any) -> pl.DataFrame:
    """Audit rows drawn with these probabilities, their true outcome on them."""
    taken = frame.with_columns(audit_prob=pl.Series(chance)).filter(pl.Series(rng.random(frame.height) < chance))
    return taken.select(
        "prediction_id",
        (pl.col("ts_pred") + timedelta(days=3)).alias("ts_event"),
        (pl.col("ts_pred") + timedelta(days=30)).alias("ts_arrival"),
        pl.col("outcome").alias("label"),
        pl.lit("audit").alias("source"),
        pl.lit(fate).alias("fate"),
        "audit_prob",
    ).with_columns(**change)


def audited_scene(hand: Hand, weeks: Any, pairs: pl.DataFrame, *, metric: str = "recall", draws: int = 80) -> Scene:
    reference, current = weeks.periods()
    told = Told(**{name: getattr(hand, name) for name in Hand.__dataclass_fields__}, pairs=MemoryTable(pairs))
    return set_scene(
        told,  # type: ignore[arg-type]  # what triage asks of a joined table
        metric=metric,
        reference=reference,
        current=current,
        draws=draws,
        seed=2,
        settings=SETTINGS,
    )


def looked(scene: Scene) -> Audit:
    found = audit(scene, scene.labels, scene.table(cross((), scene.encoded, rows=len(scene.rows)), scene.labels))
    assert found is not None
    return found


def lost_positives(share: float) -> Draw:
    """The current week loses labels of flagged positives, beside a tenth of all labels."""

    def lose(frame: pl.DataFrame, outcome: Any) -> Any:
        hit = frame["current"].to_numpy() & frame["flagged"].to_numpy() & (outcome == 1)
        return np.where(hit, share, 0.1)

    return lose


def everything(frame: pl.DataFrame) -> Any:
    """All unlabelled rows of the current week."""
    return np.where(frame["label"].is_null() & frame["current"], 1.0, 0.0)


def true_recall(scene: Scene, window: int) -> float:
    rows = scene.rows
    outcome, mine = rows.frame["outcome"].to_numpy(), rows.of(window)
    return float((outcome * rows.decision)[mine].sum() / outcome[mine].sum())


def test_an_audit_of_every_unlabelled_row_gives_the_metric_of_all_outcomes(by_hand: Any, weeks: Any) -> None:
    hand = by_hand(n=6000, lose=lost_positives(0.6))
    scene = audited_scene(hand, weeks, statements(hand.frame, everything(hand.frame), np.random.default_rng(1)))
    found = looked(scene)
    assert found.metric[0, CURRENT] == pytest.approx(true_recall(scene, CURRENT), abs=1e-12)
    assert found.metric[0, REFERENCE] == found.model[0, REFERENCE]
    assert found.audited == (False, True)
    assert found.wins
    assert found.lost[0] == pytest.approx(found.model[0, CURRENT] - found.metric[0, CURRENT])
    assert found.lost[0] < -0.08


def test_a_stratified_audit_is_the_expansion_estimator(by_hand: Any, weeks: Any) -> None:
    hand = by_hand(n=6000, lose=lost_positives(0.5))
    current = hand.frame["current"] & hand.frame["label"].is_null()
    chance = np.where(current, np.where(hand.frame["flagged"], 0.6, 0.4), 0.0)
    rng = np.random.default_rng(3)
    scene = audited_scene(hand, weeks, statements(hand.frame, chance, rng), draws=0)
    found, said = looked(scene), drawn(scene)
    assert said is not None
    rows, y = scene.rows, said.y
    masses = []
    for decision in (1, 0):
        side = rows.of(CURRENT) & (rows.decision == decision)
        unlabelled, taken = side & ~rows.labelled, side & ~rows.labelled & np.isfinite(y)
        expanded = unlabelled.sum() * y[taken].mean()
        masses.append(rows.positive[side].sum() + expanded)
    plain = masses[0] / sum(masses)
    assert found.metric[0, CURRENT] == pytest.approx(plain, abs=0.02)
    for decision in (0, 1):
        side = rows.of(CURRENT) & (rows.decision == decision)
        assert found.labels.weight[side & found.labels.seen].sum() == pytest.approx(side.sum())


def test_an_audit_agrees_with_loss_at_random(by_hand: Any, weeks: Any) -> None:
    hand = by_hand(n=12_000, lose=lambda frame, outcome: np.where(frame["current"], 0.4, 0.1))
    chance = everything(hand.frame) * 0.5
    scene = audited_scene(hand, weeks, statements(hand.frame, chance, np.random.default_rng(4)))
    found = looked(scene)
    assert not found.wins
    assert found.metric[0, CURRENT] == pytest.approx(true_recall(scene, CURRENT), abs=0.03)


def test_two_worlds_are_told_apart_or_not(by_hand: Any, weeks: Any) -> None:
    hand = by_hand(n=6000, lose=lost_positives(0.6))
    scene = audited_scene(hand, weeks, statements(hand.frame, everything(hand.frame), np.random.default_rng(1)))
    found = looked(scene)
    assert found.decides(found.metric)
    unsure = replace(found, model=found.metric)
    assert not unsure.decides(found.metric)


def test_intervals_cover_the_truth_about_as_often_as_they_say(by_hand: Any, weeks: Any) -> None:
    covered = 0
    for seed in range(40):
        hand = by_hand(n=4000, lose=lost_positives(0.5), seed=seed)
        chance = everything(hand.frame) * 0.5
        pairs = statements(hand.frame, chance, np.random.default_rng(seed))
        draws = looked(audited_scene(hand, weeks, pairs, draws=40)).metric[:, CURRENT]
        # The score is the probability, so the expectation over outcomes is known.
        now = hand.frame.filter(pl.col("current"))
        p, flagged = now["score"].to_numpy(), now["flagged"].to_numpy()
        covered += abs(draws[0] - p[flagged].sum() / p.sum()) < 1.96 * np.std(draws[1:], ddof=1)
    assert covered >= 34


def test_without_logged_probabilities_rows_count_as_drawn_at_random_by_decision(by_hand: Any, weeks: Any) -> None:
    hand = by_hand(n=6000, lose=lost_positives(0.5))
    pairs = statements(hand.frame, everything(hand.frame) * 0.4, np.random.default_rng(5))
    with_chance = looked(audited_scene(hand, weeks, pairs, draws=0))
    without = looked(audited_scene(hand, weeks, pairs.drop("audit_prob"), draws=0))
    assert without.metric == pytest.approx(with_chance.metric)


def test_too_few_rows_are_no_audit(by_hand: Any, weeks: Any) -> None:
    hand = by_hand(n=3000, lose=lost_positives(0.5))
    few = statements(hand.frame, everything(hand.frame), np.random.default_rng(1)).head(15)
    scene = audited_scene(hand, weeks, few, draws=0)
    cells = scene.table(cross((), scene.encoded, rows=len(scene.rows)), scene.labels)
    assert audit(scene, scene.labels, cells) is None


def test_a_side_that_nobody_looked_at_stays_with_the_model(by_hand: Any, weeks: Any) -> None:
    hand = by_hand(n=6000, lose=lost_positives(0.5))
    chance = everything(hand.frame) * hand.frame["flagged"].to_numpy()
    scene = audited_scene(hand, weeks, statements(hand.frame, chance, np.random.default_rng(1)), draws=0)
    found = looked(scene)
    rows = scene.rows
    flagged = rows.of(CURRENT) & (rows.decision == 1)
    hits = rows.frame["outcome"].to_numpy()[flagged].sum()
    model = found.model[0, CURRENT]
    cells = scene.table(cross((), scene.encoded, rows=len(rows)), scene.labels)
    n, n1, n0 = (part[0, CURRENT, 0] for part in (cells.n, cells.n1, cells.n0))
    missed = (n * n1 / np.maximum(n1 + n0, 1)).sum()
    assert found.metric[0, CURRENT] == pytest.approx(hits / (hits + missed), abs=0.01)
    assert found.metric[0, CURRENT] != model


def test_an_event_after_the_window_is_no_positive_unless_it_is_the_time_of_the_audit(by_hand: Any, weeks: Any) -> None:
    hand = by_hand(n=3000, lose=lost_positives(0.5))
    pairs = statements(hand.frame, everything(hand.frame), np.random.default_rng(1), label=pl.lit(1.0))
    some = pl.int_range(pl.len()) % 3 == 0
    third = pairs.with_columns(fate=pl.when(some).then(pl.lit("after_window")).otherwise("fate"))
    late, stamped, mostly = (
        drawn(audited_scene(hand, weeks, each, draws=0))
        for each in (
            third,
            third.with_columns(ts_event=pl.col("ts_arrival")),
            pairs.with_columns(fate=pl.lit("after_window")),
        )
    )
    assert late is not None
    assert stamped is not None
    assert mostly is not None
    assert np.nansum(late.y) == (~pairs.select(some).to_series()).sum()
    assert np.nansum(stamped.y) == np.nansum(mostly.y) == pairs.height


def test_without_audits_there_is_nothing(by_hand: Any, weeks: Any) -> None:
    hand = by_hand(n=2000)
    pairs = statements(hand.frame, np.zeros(2000), np.random.default_rng(1))
    assert drawn(audited_scene(hand, weeks, pairs, draws=0)) is None


@pytest.mark.parametrize("metric", ["precision", "brier", "roc_auc"])
def test_other_metrics_take_the_audit_too(by_hand: Any, weeks: Any, metric: str) -> None:
    hand = by_hand(n=6000, lose=lost_positives(0.6))
    scene = audited_scene(
        hand, weeks, statements(hand.frame, everything(hand.frame), np.random.default_rng(1)), metric=metric
    )
    found = looked(scene)
    now = hand.frame.filter(pl.col("current"))
    y, score, flagged = now["outcome"].to_numpy(), now["score"].to_numpy(), now["flagged"].to_numpy()
    expected = {
        "precision": y[flagged].mean(),
        "brier": ((score - y) ** 2).mean(),
        "roc_auc": np.mean((score[y == 1][:, None] > score[y == 0]) + 0.5 * (score[y == 1][:, None] == score[y == 0])),
    }[metric]
    assert found.metric[0, CURRENT] == pytest.approx(expected, abs=0.006 if metric == "roc_auc" else 1e-9)
