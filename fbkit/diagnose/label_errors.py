"""What an audit of labelled rows says of the labels themselves: rates of error by label and decision."""

from dataclasses import replace
from typing import Final

import numpy as np
import polars as pl

from fbkit.diagnose import words
from fbkit.diagnose.audit import Drawn, drawn
from fbkit.diagnose.bootstrap import Floats
from fbkit.diagnose.labels import Labels, Repair
from fbkit.diagnose.rows import CURRENT, Flags
from fbkit.diagnose.scene import Scene
from fbkit.diagnose.settings import is_mean_of_values

FEWEST: Final = 30
"""Audited rows of one label and decision below which nothing is said of that label."""
BEYOND: Final = 4.0
"""Standard errors between the audit and the labels beyond which labels are wrong."""
TOLERATED: Final = 0.01
"""Share of audited labels that may differ in any healthy week: auditors err too."""
_DECISIONS: Final = ("not flagged", "flagged")
_LABELS: Final = ("other", "positive")


def label_errors(scene: Scene, labels: Labels) -> Repair | None:
    """Give labelled rows of the current window the rate of positives that an audit of such rows found.

    Fires where audited rows of one label and decision differ from their labels beyond chance; the labels of all such
    rows become that rate, so a metric counts each label for what it is worth. The reference's labels are taken for
    right. None without an audit of labelled rows, and for errors of values.

    Notes
    -----
    Two-phase sampling (Hansen and Hurwitz 1946): each audited row counts 1 / (its inclusion probability).
    """
    said = drawn(scene)
    if said is None or is_mean_of_values(scene.metric):
        return None
    now = scene.rows.of(CURRENT) & labels.seen
    looked = now & np.isfinite(said.y)
    made, after, sides = [], labels.y.copy(), (labels.y.copy(), labels.y.copy())
    for decision in (0, 1):
        for value in (0, 1):
            group = now & (scene.rows.decision == decision) & ((labels.y >= 0.5) == bool(value))
            mine = group & looked
            if mine.sum() < FEWEST:
                continue
            rate, error, believed = _rates(said, labels.y, mine)
            wrong = abs(rate - believed) > BEYOND * error + TOLERATED
            made.append((_DECISIONS[decision], _LABELS[value], int(mine.sum()), believed, rate, error, wrong))
            if wrong:
                after[group] = rate
                for side, sign in zip(sides, (-1, 1), strict=True):
                    side[group] = float(np.clip(rate + sign * error, 0.0, 1.0))
    if not made:
        return None
    return _repair(labels, _frame(made), after=after, sides=sides, now=now)


def _rates(said: Drawn, y: Floats, mine: Flags) -> tuple[float, float, float]:
    """Rate of positives that the audit found, its standard error, and what the labels say."""
    chance = said.chance[mine]
    weight = 1 / chance if np.isfinite(chance).all() else np.ones(len(chance))
    share = weight / weight.sum()
    rate = float((share * said.y[mine]).sum())
    believed = float((share * y[mine]).sum())
    inner = np.clip(rate, TOLERATED, 1 - TOLERATED)
    return rate, float(np.sqrt(inner * (1 - inner) * (share**2).sum())), believed


def _frame(made: list[tuple[str, str, int, float, float, float, bool]]) -> pl.DataFrame:
    schema = {
        "decision": pl.String,
        "label": pl.String,
        "audited": pl.Int64,
        "labels_say": pl.Float64,
        "audit_says": pl.Float64,
        "error": pl.Float64,
        "wrong": pl.Boolean,
    }
    return pl.DataFrame(made, schema=schema, orient="row")


def _repair(labels: Labels, frame: pl.DataFrame, *, after: Floats, sides: tuple[Floats, Floats], now: Flags) -> Repair:
    wrong = frame.filter("wrong")
    fires = bool(wrong.height)
    worst = frame.sort((pl.col("audit_says") - pl.col("labels_say")).abs(), descending=True).row(0, named=True)
    text = (
        f"An audit of {words.count(worst['audited'])} {worst['decision']} rows labelled {worst['label']} finds "
        f"{words.percent(worst['audit_says'])} positives where the labels say {words.percent(worst['labels_say'])}."
    )
    made = [replace(labels, y=np.where(now, side, labels.y)) for side in sides]
    return Repair(
        cause="label_definition_change",
        labels=replace(labels, y=after) if fires else labels,
        fires=fires,
        where="labelled rows that an audit contradicts",
        evidence=text,
        next_evidence="The same rows labelled once more by the definition of the reference.",
        frame=frame,
        best="probable",
        reason="an audit says that labels are wrong, not why" if fires else None,
        either_side=(made[0], made[1]) if fires else (),
    )
