"""Durations, instants, periods and comparisons."""

from datetime import UTC, date, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fbkit.errors import ArgumentError
from fbkit.schema.durations import format_duration, parse_duration
from fbkit.schema.period import Comparison, Period, floor_day, format_instant, parse_instant

DAY = timedelta(days=1)


@given(st.timedeltas(timedelta(0), timedelta(days=36_500)))
def test_a_duration_survives_being_written(value: timedelta) -> None:
    assert abs(parse_duration(format_duration(value)) - value) <= timedelta(microseconds=1)


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("7d", 7 * DAY),
        (" 36 h ", 1.5 * DAY),
        ("1.5d", 1.5 * DAY),
        ("2w", 14 * DAY),
        ("90s", timedelta(seconds=90)),
        (DAY, DAY),
    ],
)
def test_durations_as_people_write_them(text: str | timedelta, value: timedelta) -> None:
    assert parse_duration(text) == value


@pytest.mark.parametrize("text", ["", "7", "d", "-1d", "7 days", "1y", "1e3d", "nand", "36501d", "9" * 400 + "d"])
def test_other_durations_are_refused(text: str) -> None:
    with pytest.raises(ArgumentError, match="duration"):
        parse_duration(text)


@pytest.mark.parametrize(
    ("given_", "text"),
    [
        ("2013-06-04", "2013-06-04T00:00:00Z"),
        ("2013-06-04T06:00Z", "2013-06-04T06:00:00Z"),
        ("2013-06-04T06:00:00.5+02:00", "2013-06-04T04:00:00.500000Z"),
        (date(2013, 6, 4), "2013-06-04T00:00:00Z"),
        (datetime(2013, 6, 4, tzinfo=UTC), "2013-06-04T00:00:00Z"),
    ],
)
def test_instants_are_utc(given_: str | date, text: str) -> None:
    assert format_instant(parse_instant(given_)) == text


@pytest.mark.parametrize(
    "text", ["", "today", "2013-06-04T06:00", "0001-01-01T00:00+14:00", "9999-12-31T23:00-14:00", "2013-13-01"]
)
def test_other_instants_are_refused(text: str) -> None:
    with pytest.raises(ArgumentError, match="instant"):
        parse_instant(text)


def test_a_period_is_half_open_and_reads_itself() -> None:
    period = Period.parse("2013-05-20..2013-05-27T06:00Z")
    assert str(period) == "2013-05-20..2013-05-27T06:00:00Z"
    assert Period.parse(str(period)) == period == Period.parse(period)
    assert period.duration == timedelta(days=7, hours=6)
    for wrong in ("2013-05-20", "2013-05-27..2013-05-20", "2013-05-27..2013-05-27", ".."):
        with pytest.raises(ArgumentError):
            Period.parse(wrong)


def test_a_comparison_refuses_overlap_and_knows_when_it_is_open() -> None:
    both = Comparison(reference="2013-05-20..2013-05-27", current="2013-05-27..2013-06-03")
    assert both.periods() == (both.reference, both.current)
    assert both.resolve(last_mature=datetime(2013, 7, 1, tzinfo=UTC)) == both
    with pytest.raises(ArgumentError, match="must end before"):
        Comparison(reference="2013-05-20..2013-05-28", current="2013-05-27..2013-06-03")
    with pytest.raises(ArgumentError, match="no fixed periods"):
        Comparison.last("7d").periods()


def test_an_open_comparison_is_the_last_mature_week_against_the_eight_before() -> None:
    mature, first = datetime(2013, 6, 10, tzinfo=UTC), datetime(2013, 1, 1, 5, tzinfo=UTC)
    made = Comparison().resolve(last_mature=mature, first=first)
    assert [str(period) for period in made.periods()] == ["2013-04-08..2013-06-03", "2013-06-03..2013-06-10"]
    asked = Comparison.last("2d", versus="3d").resolve(last_mature=mature, first=first)
    assert [str(period) for period in asked.periods()] == ["2013-06-05..2013-06-08", "2013-06-08..2013-06-10"]
    short = Comparison().resolve(last_mature=mature, first=datetime(2013, 6, 1, 5, tzinfo=UTC))
    assert str(short.reference) == "2013-06-01..2013-06-03"


def test_nothing_mature_takes_the_last_days_and_nothing_before_is_an_error() -> None:
    first, latest = datetime(2013, 6, 1, 5, tzinfo=UTC), datetime(2013, 6, 12, tzinfo=UTC)
    made = Comparison().resolve(last_mature=datetime(2013, 6, 3, tzinfo=UTC), first=first, latest=latest)
    assert str(made.current) == "2013-06-05..2013-06-12"
    with pytest.raises(ArgumentError, match="no predictions before"):
        Comparison(current="2013-06-01..2013-06-02").resolve(last_mature=latest, first=first)


def test_the_day_of_an_instant_begins_at_midnight_utc() -> None:
    assert floor_day(parse_instant("2013-06-04T01:00+02:00")) == datetime(2013, 6, 3, tzinfo=UTC)
