"""What the availability explorer says beside its pictures, and the calls that compute what it shows."""

from collections.abc import Callable, Mapping
from datetime import timedelta
from typing import Any, Final

import polars as pl

from fbkit.charts.text import clean, count_text, day_text, value_text
from fbkit.explorers.availability_model import AvailabilityModel
from fbkit.explorers.model import span_text
from fbkit.explorers.state import View
from fbkit.schema.period import Period

Said = tuple[str, str, str]


def periods(view: View) -> list[tuple[str, Period]]:
    """The compared periods by role; brushed days take the place of the current one."""
    return [("reference", view.reference), ("current", view.now)]


def _over_time(model: AvailabilityModel, view: View, frame: pl.DataFrame, by: str | None) -> Said:
    headline = f"Label availability{f' by {clean(by)}' if by else ''}"
    then, now = (value_text(model.share(view, period)) for _, period in periods(view))
    whole = f"{then} of the reference period's labels are known, {now} of the current one's."
    small = "dashed: the compared periods; veiled: labels still arriving"
    return headline, small, f"{whole} {_worst(frame, view, by)}".strip()


def _inside(frame: pl.DataFrame, period: Period) -> pl.DataFrame:
    return frame.filter((pl.col("period_start") >= period.start) & (pl.col("period_start") < period.end))


def _worst(frame: pl.DataFrame, view: View, by: str | None) -> str:
    if by is None:
        return ""
    known = _inside(frame, view.now).group_by(by).agg(pl.col("n_labelled").sum(), pl.col("n").sum())
    ranked = known.with_columns((pl.col("n_labelled") / pl.col("n")).alias("share")).sort("share", by, nulls_last=True)
    if ranked.height < 2:
        return ""
    lowest = ranked.row(0, named=True)
    return f"Fewest now: {clean(lowest[by])}, {value_text(lowest['share'])} of {lowest['n']:,}."


def _cohorts(model: AvailabilityModel, _: View, frame: pl.DataFrame, __: str | None) -> Said:
    small = "blank: not all of the cohort is that old yet"
    headline = "Labels by cohort and age"
    judged = frame.filter((pl.col("age_days") == model.promise.due) & pl.col("value").is_not_null())
    minimum = None if model.promise.of_usual else model.promise.minimum
    if judged.is_empty():
        return headline, small, f"No cohort is {_days(model.promise.due)} old yet."
    newest = judged.row(-1, named=True)
    told = f"{value_text(newest['value'])} of {_cohort(newest)} had a label after {_days(model.promise.due)}"
    if minimum is None:
        return headline, small, f"{told}."
    kept = judged.filter(pl.col("value") >= minimum).height
    summary = f"{kept} of {judged.height} cohorts kept the promise of {value_text(minimum)}; {told}."
    return headline, f"{small}; crosses: promise broken", summary


def _burn_down(model: AvailabilityModel, view: View, frame: pl.DataFrame, _: str | None) -> Said:
    headline = "Labels still missing" if model.promise.minimum is None else "Labels still missing to the promise"
    small = "forecast: if the rest comes as it did for mature cohorts"
    if frame.is_empty():
        return headline, small, f"There are no predictions in {span_text(view.now)}, as known then."
    line = model.dates.filter(pl.col("period_start") == frame["period_start"][0]).row(0, named=True)
    others = model.dates.filter(pl.col("state") == "short").height - (line["state"] == "short")
    more = f" {others} more open cohort{'s' * (others > 1)} will fall short." if others > 0 else ""
    return headline, small, _verdict(line) + more


def _verdict(line: Mapping[str, Any]) -> str:
    promised = _promised(line)
    due = day_text(line["due_at"])
    if line["n_needed"] is None:
        return f"What is promised for {_cohort(line)} cannot be said: {line['reason']}."
    if line["state"] == "reached":
        return f"{_first(promised)} were there on {day_text(line['reached_at'])}."
    if line["state"] == "missed":
        return f"{_first(promised)} were not there by {due}: short by {_whole(line['short'])}."
    missing = f"{count_text(line['n_missing'])} are missing"
    if line["state"] == "open":
        return f"Of {promised} {missing}; when they will be there cannot be said: {line['reason']}."
    if line["state"] == "short":
        least, most = _whole(line["short_lower"]), _whole(line["short_upper"])
        between = "" if least == most else f" ({least} to {most})"
        return f"Of {promised} {missing}; not reached by {due}: short by {_whole(line['short'])}{between}."
    return f"Of {promised} {missing}; expected on {day_text(line['reached_at'])}{_between(line, due)}."


def _between(line: Mapping[str, Any], due: str) -> str:
    earliest, latest = line["reached_earliest"], line["reached_latest"]
    if latest is None:
        return f" (perhaps not by {due})"
    return "" if earliest == latest else f" ({day_text(earliest)} to {day_text(latest)})"


def _promised(line: Mapping[str, Any]) -> str:
    """What is to be there, and by which promise."""
    labels, usual = count_text(line["n_needed"]), line["goal"] in ("feed_completeness", "usual")
    if line["minimum"] is None:
        of = "as many as mature cohorts had" if usual else "every prediction"
        return f"the {labels} labels of {_cohort(line)} (no promise in the contract: {of})"
    of = " of what mature cohorts had" if usual else ""
    share = f"{value_text(line['minimum'])}{of} after {_days(line['at_days'])}"
    return f"the {labels} labels promised for {_cohort(line)} ({share})"


def _first(text: str) -> str:
    return text[:1].upper() + text[1:]


def _whole(value: float) -> str:
    return count_text(round(value))


def _cohort(line: Mapping[str, Any]) -> str:
    start, end = line["period_start"], line["period_end"]
    if end - start <= timedelta(days=1):
        return f"{start.day} {start:%b}"
    return span_text(Period(start=start, end=end))


def _by_age(model: AvailabilityModel, _: View, frame: pl.DataFrame, __: str | None) -> Said:
    fewest = model.source.contract.slices.minimum
    headline, small = "How fast labels arrive", f"of all predictions at least that old, where {fewest} are"
    known = frame.filter(pl.col("value").is_not_null())
    ages = [known.filter(pl.col("role") == role)["age_days"].max() for role in ("reference", "current")]
    told = [age for age in ages if isinstance(age, float)]
    if len(told) < 2:
        return headline, small, "One of the periods has no prediction that is old enough."
    at = min(told)
    then, now = (_at(known, role, at) for role in ("reference", "current"))
    return headline, small, f"After {_days(at)} {then} of the reference period had a label, {now} of the current one."


def _days(age: float) -> str:
    return f"{age:g} day{'' if age == 1 else 's'}"


def _at(frame: pl.DataFrame, role: str, age: float) -> str:
    line = frame.filter((pl.col("role") == role) & (pl.col("age_days") <= age))
    return value_text(line["value"][-1])


TEXTS: Final[dict[str, Callable[[AvailabilityModel, View, pl.DataFrame, str | None], Said]]] = {
    "time": _over_time,
    "cohorts": _cohorts,
    "burn_down": _burn_down,
    "age": _by_age,
}


def calls(show: str, view: View, data: str, *, by: str | None, grain: str, result: pl.DataFrame, at: str) -> list[str]:
    """Python lines that compute what is shown; ``data`` is the name of the table, ``at`` an argument of each call."""
    if show == "time":
        return [f"fb.availability({data}, {f'by={by!a}, ' if by else ''}every={grain!a}{at})"]
    if show == "cohorts":
        return [f"fb.label_lag({data}, every={grain!a}{at})"]
    if show == "age":
        return [f"fb.label_lag({data}, period='{period}'{at})" for _, period in periods(view)]
    cohort = view.now
    if not result.is_empty():
        cohort = Period(start=result["period_start"][0], end=result["period_end"][0])
    return ["from fbkit.measure.burn_down import burn_down", f"burn_down({data}, period='{cohort}'{at})"]
