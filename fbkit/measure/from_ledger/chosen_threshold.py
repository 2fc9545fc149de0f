"""A threshold for a target, chosen among a ledger's edges on one period and judged on another."""

from datetime import datetime, timedelta
from typing import Any, Final

import numpy as np

from fbkit.ledger import columns as c
from fbkit.ledger.ledger import Ledger
from fbkit.measure.chosen_threshold import NOTHING, Found, highest_share
from fbkit.measure.from_ledger.cells import ask, gather
from fbkit.measure.from_ledger.frames import share_of, worth_of
from fbkit.measure.from_ledger.metrics import weighing_of
from fbkit.measure.from_ledger.tails import Tails, tails
from fbkit.measure.from_ledger.totals import Weighing
from fbkit.measure.scope import Stage
from fbkit.measure.stats.intervals import Array
from fbkit.schema import results
from fbkit.schema.contract import Contract
from fbkit.schema.period import Period

_DAY: Final = timedelta(days=1)


def ledger_chosen(
    ledger: Ledger,
    fit: Period,
    judge: Period,
    *,
    target: str,
    at_least: float,
    stage: Stage,
    level: float,
    weights: str | None,
    as_of: str | datetime | None,
) -> tuple[dict[str, object], Found]:
    """What the judge period says of the threshold that the fit period gives, and that threshold."""
    asked: dict[str, Any] = {"stage": stage, "weights": weights, "as_of": as_of}
    found = _found(tails(ledger, period=fit, **asked), ledger.contract, target, at_least)
    second = tails(ledger, period=judge, **asked)
    said: dict[str, object] = {"n": second.rows, "n_labelled": second.labelled_rows}
    if not second.labelled_rows:
        found_reason = "no labelled rows" if found.reason is None else found.reason
        found = found._replace(reason=found_reason)
    if not np.isnan(found.threshold):
        value, lower, upper = _judged(second, found.threshold, ledger.contract, target, level=level)
        said |= {"value": value, "lower": lower, "upper": upper}
        said["method"] = None if np.isnan(lower) else "Student t" if target == "value" else "Wilson"
    said["value_before"] = _logged(second, target, weighing_of(ledger, weights))
    return said | _flags(ledger, judge, found.threshold, as_of=as_of), found


def _found(made: Tails, contract: Contract, target: str, at_least: float) -> Found:
    if not made.labelled_rows:
        return NOTHING._replace(reason="fit period: no labelled rows")
    down = slice(None, None, -1)
    enough = made.held[down] >= contract.slices.minimum
    counted: tuple[Array, Array] = made.positive[down], made.labelled[down]
    flags = counted[1] > 0  # above the highest score there is nothing to choose
    return highest_share(
        contract, target, at_least, made.thresholds[down][flags], counted[0][flags], counted[1][flags], enough[flags]
    )


def _judged(
    made: Tails, threshold: float, contract: Contract, target: str, *, level: float
) -> tuple[float, float, float]:
    """Value and interval of the target at a threshold; one past the last edge flags nothing."""
    place = int(np.searchsorted(made.thresholds, threshold))
    hits, flagged = (float(np.append(side, 0.0)[place]) for side in (made.positive, made.labelled))
    counted = (hits, flagged, float(made.positive[0]), float(made.labelled[0]))
    return _numbers(counted, contract, target, level=level, plain=made.plain)


def _numbers(
    counted: tuple[float, float, float, float], contract: Contract, target: str, *, level: float, plain: bool
) -> tuple[float, float, float]:
    """Value and interval of the target from flagged positives, flagged, positives and all of the labelled rows."""
    hits, flagged, positives, every = (np.array([count]) for count in counted)
    if target == "value":
        table = (hits, flagged - hits, positives - hits, every - positives - flagged + hits)
        numbers = worth_of(contract, table, level=level, plain=plain)
    else:
        numbers = share_of(hits, flagged if target == "precision" else positives, level=level, plain=plain)
    value, lower, upper = (float(each[0]) for each in numbers)
    return value, lower, upper


def _logged(made: Tails, target: str, weighing: Weighing) -> float:
    """The target with the decisions as they were logged, among the rows that have one."""
    cells = gather(made.question, weighing.light)
    weight, hit = ("w1y0s0", "w1y1s0") if weighing.products else (c.ROWS, c.ROWS)
    known = cells.counts & cells.labelled & (cells.flagged >= 0)
    positive = known & (
        (cells.state != c.CODE[results.NEGATIVE]) if weighing.products else (cells.state == c.CODE[results.POSITIVE])
    )
    flagged = cells.flagged == 1
    kinds = ((hit, positive & flagged), (weight, known & flagged), (hit, positive), (weight, known))
    hits, flags, positives, every = (float(cells.sums[name][:, kind].sum()) for name, kind in kinds)
    counted = (hits, flags, positives, every)
    return _numbers(counted, made.question.ledger.contract, target, level=0.95, plain=False)[0]


def _flags(ledger: Ledger, judge: Period, threshold: float, *, as_of: str | datetime | None) -> dict[str, object]:
    """Flags a day of the judge period, labelled or not, as decided and at the threshold."""
    days = judge.duration / _DAY
    cells = gather(ask(ledger, period=judge, stage=results.STAGE_ANY, as_of=as_of), (c.ROWS,))
    decided = cells.sums[c.ROWS][:, cells.flagged >= 0].sum() > 0
    before = float(cells.sums[c.ROWS][:, cells.flagged == 1].sum())
    after: float | None = None
    if not np.isnan(threshold):
        made = tails(ledger, period=judge, stage=results.STAGE_ANY, as_of=as_of)
        place = int(np.searchsorted(made.thresholds, threshold))
        after = float(np.append(made.everything, 0.0)[place]) / days
    return {"flags_per_day_before": before / days if decided else None, "flags_per_day": after}
