"""The small frames that charts, cards and the incident document are drawn from; no row of a user."""

from collections.abc import Mapping, Sequence

import numpy as np
import polars as pl

from fbkit.diagnose.bootstrap import Floats, Triple, interval
from fbkit.diagnose.bounds import Tilt
from fbkit.diagnose.ladder import Ladder
from fbkit.diagnose.nonrandom import Conservation
from fbkit.diagnose.orphans import Orphans
from fbkit.diagnose.replay import Replay
from fbkit.diagnose.rows import CURRENT, REFERENCE, WINDOWS, Rows
from fbkit.schema.diagnosis import Check, Contribution
from fbkit.schema.words import cause

LADDER_SCHEMA = {
    "step": pl.Int64, "cause": pl.String, "family": pl.String, "label": pl.String, "value": pl.Float64,
    "lower": pl.Float64, "upper": pl.Float64, "start": pl.Float64, "end": pl.Float64, "kind": pl.String,
}  # fmt: skip


def ladder_frame(
    observed: tuple[float | None, float | None],
    parts: Sequence[Contribution],
    *,
    intervals: Mapping[str, tuple[float | None, float | None]],
) -> pl.DataFrame:
    """The waterfall: reference observed, one step per contribution, current observed."""
    level = observed[0]
    rows: list[dict[str, object]] = [_total(0, "reference observed", observed[0], intervals["reference"])]
    for step, part in enumerate(parts, start=1):
        end = None if level is None or part.value is None else level + part.value
        rows.append(
            {
                "step": step,
                "cause": part.cause,
                "family": part.family,
                "label": cause(part.cause),
                "value": part.value,
                "lower": part.lower,
                "upper": part.upper,
                "start": level,
                "end": end if end is not None else level,
                "kind": "step",
            }
        )
        level = end if end is not None else level
    rows.append(_total(len(parts) + 1, "current observed", observed[1], intervals["current"]))
    return pl.DataFrame(rows, schema=LADDER_SCHEMA)


def _total(step: int, label: str, value: float | None, between: tuple[float | None, float | None]) -> dict[str, object]:
    return {
        "step": step, "cause": None, "family": None, "label": label, "value": value,
        "lower": between[0], "upper": between[1], "start": 0.0, "end": value, "kind": "total",
    }  # fmt: skip


def windows_frame(rows: Rows) -> pl.DataFrame:
    """window, n, n_labelled, n_open (label window still open), mean_score, median_threshold."""
    found: list[dict[str, object]] = []
    for index, name in enumerate(WINDOWS):
        mine = rows.of(index)
        threshold = rows.frame["threshold"].filter(pl.Series(mine)).median()
        found.append(
            {
                "window": name,
                "n": int(mine.sum()),
                "n_labelled": int((mine & rows.labelled).sum()),
                "n_open": int((mine & ~rows.mature).sum()),
                "mean_score": float(rows.score[mine].mean()),
                "median_threshold": threshold,
            }
        )
    counts = dict.fromkeys(("n", "n_labelled", "n_open"), pl.Int64)
    schema = {"window": pl.String} | counts | dict.fromkeys(("mean_score", "median_threshold"), pl.Float64)
    return pl.DataFrame(found, schema=schema)


def corrected_frame(ladder: Ladder, *, level: float, more: float = 0.0) -> pl.DataFrame:
    """window, observed, like_for_like, corrected, lower, upper (the interval is the corrected value's)."""
    rows: list[dict[str, object]] = []
    for window in (REFERENCE, CURRENT):
        value, lower, upper = interval(ladder.corrected[:, window], level=level, more=more)
        rows.append(
            {
                "window": WINDOWS[window],
                "observed": _number(ladder.observed[0, window]),
                "like_for_like": _number(ladder.like_for_like[0, window]),
                "corrected": value,
                "lower": lower,
                "upper": upper,
            }
        )
    return pl.DataFrame(rows, schema={"window": pl.String} | dict.fromkeys(list(rows[0])[1:], pl.Float64))


def replay_frame(ladder: Ladder, remainder: Triple, replay: Replay, *, level: float) -> pl.DataFrame:
    """player, value, lower, upper, active, evidence: what each replayed mechanism does, and what remains.

    An inactive one was tried, and moves the metric by no more than chance or the floor.
    """
    rows: list[dict[str, object]] = []
    for player, told in replay.facts.items():
        draws = ladder.replayed.get(player, ladder.tried.get(player))
        if draws is not None:
            rows.append(_player(player, draws, active=player in ladder.replayed, note=told.evidence, level=level))
    rows.append(
        {
            "player": "remainder",
            "value": remainder[0],
            "lower": remainder[1],
            "upper": remainder[2],
            "active": True,
            "evidence": "the corrected change minus everything above",
        }
    )
    schema = {"player": pl.String, "value": pl.Float64, "lower": pl.Float64, "upper": pl.Float64, "active": pl.Boolean}
    return pl.DataFrame(rows, schema=schema | {"evidence": pl.String})


def _player(name: str, draws: Floats, *, active: bool, note: str, level: float) -> dict[str, object]:
    value, lower, upper = interval(draws, level=level)
    return {"player": name, "value": value, "lower": lower, "upper": upper, "active": active, "evidence": note}


def tipping_frame(
    ladder: Ladder, ratio: float | None, rates: Floats | None, tilt: Tilt, *, level: float
) -> pl.DataFrame:
    """One row: the tipping ratio beside what the cells show.

    observed_ratio is how the label rate of detected over missed positives moved (current over
    reference) if labels are lost at random within cells; delta_vanish and delta_touch are the odds
    ratios of being labelled at which the corrected change, or its interval, would reach zero.
    """
    moved: Triple = (None, None, None)
    before = after = None
    if rates is not None:
        before, after = _number(rates[0, REFERENCE]), _number(rates[0, CURRENT])
        with np.errstate(divide="ignore", invalid="ignore"):
            moved = interval(rates[:, CURRENT] / rates[:, REFERENCE], level=level)
    row = {
        "observed_reference": _number(ladder.observed[0, REFERENCE]),
        "observed_current": _number(ladder.observed[0, CURRENT]),
        "tipping_ratio": ratio,
        "label_rate_ratio_reference": before,
        "label_rate_ratio_current": after,
        "observed_ratio": moved[0],
        "observed_lower": moved[1],
        "observed_upper": moved[2],
        "delta_vanish": tilt.vanish,
        "delta_touch": tilt.touch,
    }
    return pl.DataFrame([row], schema=dict.fromkeys(row, pl.Float64))


def bounds_frame(ladder: Ladder, worst: Mapping[str, tuple[float | None, float | None]]) -> pl.DataFrame:
    """window, value, bound_lower, bound_upper."""
    rows = [
        {
            "window": name,
            "value": _number(ladder.observed[0, i]),
            "bound_lower": worst[name][0],
            "bound_upper": worst[name][1],
        }
        for i, name in enumerate(WINDOWS)
    ]
    return pl.DataFrame(
        rows, schema={"window": pl.String} | dict.fromkeys(("value", "bound_lower", "bound_upper"), pl.Float64)
    )


def orphans_frame(found: Orphans | None) -> pl.DataFrame:
    """window, orphans, missing (labels missing beyond the reference's availability)."""
    schema = {"window": pl.String, "orphans": pl.Int64, "missing": pl.Float64}
    if found is None:
        return pl.DataFrame(schema=schema)
    rows = [("reference", found.reference, 0.0), ("current", found.current, found.missing)]
    return pl.DataFrame(rows, schema=schema, orient="row")


def conservation_frame(found: Conservation | None) -> pl.DataFrame:
    """group, found, expected, z: flagged rows of the current window by label, and positives that were not flagged."""
    schema = {"group": pl.String, "found": pl.Float64, "expected": pl.Float64, "z": pl.Float64}
    if found is None:
        return pl.DataFrame(schema=schema)
    rows = [
        ("without a label", found.missing, found.expected_missing, found.z_missing),
        ("labelled positives", found.positives, found.expected_positives, found.z_positives),
        ("labelled negatives", found.negatives, found.expected_negatives, found.z_negatives),
        ("missed positives", found.missed, found.expected_missed, found.z_missed),
    ]
    return pl.DataFrame(rows, schema=schema, orient="row")


def checks_frame(checks: Sequence[Check]) -> pl.DataFrame:
    """question, answer, seconds, table."""
    rows = [(check.question, check.answer, check.seconds, check.table) for check in checks]
    schema = {"question": pl.String, "answer": pl.String, "seconds": pl.Float64, "table": pl.String}
    return pl.DataFrame(rows, schema=schema, orient="row")


def _number(value: float | np.float64) -> float | None:
    return float(value) if np.isfinite(value) else None
