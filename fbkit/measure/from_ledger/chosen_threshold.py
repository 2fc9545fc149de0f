"""A threshold for a target, chosen among a ledger's edges on one period and judged on another."""

from datetime import datetime, timedelta
from typing import Any, Final

import numpy as np

from fbkit.ledger import columns as c
from fbkit.ledger.ledger import Ledger
from fbkit.measure.chosen_threshold import NOTHING, Found, highest_share
from fbkit.measure.from_ledger.cells import ask, gather
from fbkit.measure.from_ledger.frames import share_of, worth_of
from fbkit.measure.from_ledger.metrics import ledger_metrics
from fbkit.measure.from_ledger.tails import Tails, tails
from fbkit.measure.scope import Stage
from fbkit.measure.stats.intervals import Array
from fbkit.measure.thresholds import VALUE
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
    name = VALUE if target == "value" else target
    if not np.isnan(found.threshold):
        value, lower, upper = _judged(second, found.threshold, ledger.contract, target, level=level)
        said |= {"value": value, "lower": lower, "upper": upper}
        said["method"] = None if np.isnan(lower) else "Student t" if target == "value" else "Wilson"
    before = ledger_metrics(ledger, name, period=judge, level=level, **asked)
    said["value_before"] = before.get_column(results.VALUE)[0]
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
    hits, flagged = (np.append(side, 0.0)[[place]] for side in (made.positive, made.labelled))
    every, positives = made.labelled[[0]], made.positive[[0]]
    if target == "value":
        table = (hits, flagged - hits, positives - hits, every - positives - flagged + hits)
        numbers = worth_of(contract, table, level=level, plain=made.plain)
    else:
        numbers = share_of(hits, flagged if target == "precision" else positives, level=level, plain=made.plain)
    value, lower, upper = (float(each[0]) for each in numbers)
    return value, lower, upper


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
