"""One number as one sentence: value, interval, worst case, maturity, the rows behind it and the rows set aside."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any, Final

import polars as pl

from fbkit.report import numbers
from fbkit.report.escape import clean
from fbkit.schema import bands, results
from fbkit.schema.rules import SET_ASIDE

_REASONS: Final = 4
_STAGES: Final = {
    results.STAGE_FINAL: "final",
    results.STAGE_YOUNG: "young, labels are still to come",
    results.STAGE_MIXED: "final and young rows mixed",
    results.STAGE_ANY: "whatever is labelled so far",
}
_UNITS: Final = {"d": "days", "h": "hours", "m": "minutes", "s": "seconds", "w": "weeks"}


def sentence(row: Mapping[str, Any], *, audit: pl.DataFrame | None = None, level: float = 0.95) -> str:
    """A row of a result frame as a sentence of plain text.

    Parameters
    ----------
    row
        A row of :func:`fbkit.metrics` (``frame.row(0, named=True)``) or of :func:`fbkit.truth_bands`.
    audit
        The account of the joined table (columns table, rule, rows): what was set aside in the logs as a whole, and why.
        None leaves it out.
    level
        Coverage of the row's interval.

    Returns
    -------
    Plain text; names and slice values are free of invisible characters. Where it goes into a document it still has to
    pass that target's function of :mod:`fbkit.report.escape`.

    Examples
    --------
    >>> sentence({"metric": "recall", "value": 0.81, "lower": 0.78, "upper": 0.84, "bound_lower": 0.64,
    ...           "bound_upper": 0.92, "n": 5002, "n_labelled": 4310, "stage": "provisional@30d", "method": "Wilson"})
    'recall is 0.81, interval 0.78 to 0.84 (95 %, Wilson), between 0.64 and 0.92 whatever the missing labels are, provisional at 30 days, from 4,310 of 5,002 predictions.'
    """  # noqa: E501  # one sentence is one line of output
    parts = [_value(row, level), *_worst(row), *_stage(row), _rows(row)]
    aside = [] if audit is None else [set_aside(audit)]
    return "; ".join([", ".join(parts), *aside]) + "."


def _value(row: Mapping[str, Any], level: float) -> str:
    name = " ".join([clean(row[results.METRIC]), *_where(row)])
    value = numbers.finite(row.get(results.VALUE))
    reason = row.get(results.REASON)
    if value is None and bands.ASSUMPTION in row and numbers.finite(row.get(results.BOUND_LOWER)) is not None:
        return f"{name} is known to a range only"
    if value is None:
        assumed = f" ({row[bands.ASSUMPTION]})" if bands.ASSUMPTION in row else ""
        return f"{name} is not estimable{assumed}: {clean(reason or 'no reason is known')}"
    shown = f"{name} is {numbers.plain(value)}"
    if row.get(bands.ASSUMPTION) not in (None, bands.LABELLED):
        shown += f" ({row[bands.ASSUMPTION]})"
    lower, upper = (numbers.finite(row.get(end)) for end in (results.LOWER, results.UPPER))
    if lower is None or upper is None:
        return f"{shown}, without an interval"
    method = f", {clean(row[results.METHOD])}" if row.get(results.METHOD) else ""
    places = numbers.places_of(value)
    ends = " to ".join(numbers.plain(end, places=places) for end in (lower, upper))
    noted = f" ({clean(reason)})" if reason else ""
    return f"{shown}, interval {ends} ({100 * level:g} %{method}){noted}"


def _where(row: Mapping[str, Any]) -> list[str]:
    """Slice and period of the row, where it has them."""
    own = bands.COLUMNS if bands.ASSUMPTION in row and bands.BAND_LOWER in row else results.ESTIMATE_COLUMNS
    slices = [f"{clean(name)} {_slice(value)}" for name, value in row.items() if name not in own]
    said = [f"for {', '.join(slices)}"] if slices else []
    start, end = row.get(results.PERIOD_START), row.get(results.PERIOD_END)
    if isinstance(start, datetime) and isinstance(end, datetime):
        said.append(f"from {numbers.instant(start)} to {numbers.instant(end)}")
    return said


def _slice(value: object) -> str:
    return "(no value)" if value is None else clean(value)


def _worst(row: Mapping[str, Any]) -> list[str]:
    low, high = (numbers.finite(row.get(end)) for end in (results.BOUND_LOWER, results.BOUND_UPPER))
    if low is None or high is None:
        return ["its worst case over missing labels is not known"]
    if low == high:
        return []
    value = numbers.finite(row.get(results.VALUE))
    places = min(numbers.places_of(low), numbers.places_of(high)) if value is None else numbers.places_of(value)
    assumed = row.get(bands.ASSUMPTION)
    under = "whatever the missing labels are"
    if assumed not in (None, bands.LABELLED, bands.WORST_CASE):
        under = f"under the assumption {assumed!r}"
    return [f"between {numbers.plain(low, places=places)} and {numbers.plain(high, places=places)} {under}"]


def _stage(row: Mapping[str, Any]) -> list[str]:
    stage = row.get(results.STAGE)
    if stage is None:
        return []
    kind, at, age = str(stage).partition("@")
    if at:
        number, unit = age[:-1], _UNITS.get(age[-1:])
        said = f"{number} {unit if number != '1' else unit[:-1]}" if unit and number.isdigit() else clean(age)
        return [f"{clean(kind)} at {said}"]
    return [_STAGES.get(str(stage), clean(stage))]


def _rows(row: Mapping[str, Any]) -> str:
    n, labelled = row.get(results.N), row.get(results.N_LABELLED)
    if row.get(bands.ASSUMPTION) == bands.EXPECTED:
        return f"from the scores of {numbers.count(n)} predictions"
    if n == labelled:
        return f"from all {numbers.count(n)} predictions"
    return f"from {numbers.count(labelled)} of {numbers.count(n)} predictions"


def set_aside(audit: pl.DataFrame) -> str:
    """How many rows of the logs were set aside, by the rules that most of them broke."""
    broken = audit.filter(pl.col(results.AUDIT_RULE).is_in(list(SET_ASIDE)) & (pl.col(results.AUDIT_ROWS) > 0))
    if broken.is_empty():
        return "no row of the logs is set aside"
    ranked = broken.sort(results.AUDIT_ROWS, results.AUDIT_TABLE, results.AUDIT_RULE, descending=[True, False, False])
    reasons: dict[str, list[dict[str, Any]]] = {}
    for row in ranked.iter_rows(named=True):
        reasons.setdefault(SET_ASIDE[row[results.AUDIT_RULE]].partition(";")[0], []).append(row)
    told = [f"{why} ({', '.join(map(_counted, rows))})" for why, rows in list(reasons.items())[:_REASONS]]
    rest = sum(row[results.AUDIT_ROWS] for rows in list(reasons.values())[_REASONS:] for row in rows)
    more = [f"by other rules ({rest:,})"] if rest else []
    total = int(broken[results.AUDIT_ROWS].sum())
    return f"{total:,} {'row' if total == 1 else 'rows'} of the logs set aside because {', '.join(told + more)}"


def _counted(row: Mapping[str, Any]) -> str:
    table = "outcomes" if row[results.AUDIT_TABLE] == "join" else clean(row[results.AUDIT_TABLE])
    return f"{row[results.AUDIT_ROWS]:,} {table.removesuffix('s') if row[results.AUDIT_ROWS] == 1 else table}"
