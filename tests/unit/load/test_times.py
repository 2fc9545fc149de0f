"""Times become instants in UTC, or are refused: never guessed."""

import re
from datetime import UTC, date, datetime

import polars as pl
import pytest

from fbkit.errors import ContractError, InputError
from fbkit.load.times import absurd, check_zone, to_utc

NOON = datetime(2013, 5, 27, 12, tzinfo=UTC)


def utc(
    values: list[object], *, zone: str | None = None, dtype: pl.DataType | type[pl.DataType] | None = None
) -> list[object]:
    frame = pl.DataFrame({"t": pl.Series(values, dtype=dtype)})
    return to_utc(frame, column="t", table="predictions", zone=zone)["t"].to_list()


@pytest.mark.parametrize(
    "text",
    [
        "2013-05-27T12:00:00Z", "2013-05-27t12:00:00z", "2013-05-27 12:00:00 UTC", "2013-05-27 12:00:00+00",
        "2013-05-27 14:00:00+02:00", "2013-05-27 14:00:00 +0200", "2013-05-27T07:30-04:30", " 2013-05-27T12:00Z ",
        "2013-05-27T12:00:00.000000000Z",
    ],
)  # fmt: skip
def test_text_with_an_offset_is_an_instant(text: str) -> None:
    assert utc([text, text]) == [NOON, NOON]
    assert utc([text], zone="Asia/Tokyo") == [NOON]


@pytest.mark.parametrize("text", ["2013-05-27T12:00:00", "2013-05-27 12:00", "2013-05-27"])
def test_text_without_an_offset_is_refused(text: str) -> None:
    with pytest.raises(InputError, match=r"no time zone[\s\S]*got[\s\S]*next step: set timezone"):
        utc([text, None])


def test_a_zone_in_the_contract_is_used_with_its_summer_time() -> None:
    values = [
        "2013-05-27 14:00:00",
        "2013-01-27 13:00",
        "2013-05-27",
        "2013-03-31 02:30:00",
        "2013-10-27 02:30:00",
        "noon",
    ]
    assert utc(list(values), zone="Europe/Berlin") == [
        NOON,
        datetime(2013, 1, 27, 12, tzinfo=UTC),
        datetime(2013, 5, 26, 22, tzinfo=UTC),
        None,  # the hour that the clock skips
        datetime(2013, 10, 27, 0, 30, tzinfo=UTC),  # the earlier of the two
        None,
    ]


def test_a_few_unreadable_times_are_left_to_the_quarantine() -> None:
    assert utc(["2013-05-27T12:00:00Z", "2013-05-27T12:00:00Z", "soon"]) == [NOON, NOON, None]


@pytest.mark.parametrize("unit", ["ms", "us", "ns"])
def test_timestamps_of_any_unit_and_zone(unit: str) -> None:
    local = datetime(2013, 5, 27, 14)  # noqa: DTZ001 - a naive time is the case
    assert utc([local], zone="Europe/Berlin", dtype=pl.Datetime(unit)) == [NOON]  # type: ignore[arg-type]  # a literal type
    series = pl.Series([local]).dt.replace_time_zone("Europe/Berlin").dt.cast_time_unit(unit)  # type: ignore[arg-type]  # same
    assert utc(series.to_list(), dtype=series.dtype) == [NOON]
    with pytest.raises(InputError, match="no time zone"):
        utc([local], dtype=pl.Datetime(unit))  # type: ignore[arg-type]  # same


def test_dates_need_a_zone_too() -> None:
    with pytest.raises(InputError, match="no time zone"):
        utc([date(2013, 5, 27)])
    assert utc([date(2013, 5, 27)], zone="UTC") == [datetime(2013, 5, 27, tzinfo=UTC)]


@pytest.mark.parametrize(
    ("values", "said"),
    [
        ([1369656000], 'epoch seconds: .*time_unit="s"'),
        ([1369656000123], 'epoch milliseconds: .*time_unit="ms"'),
        (["1369663500"], 'epoch seconds: .*time_unit="s"'),
        (["0.25", "0.5"], "look like probabilities: another column may be meant"),
        (["noon"], "look like words: another column may be meant"),
        ([1.5], "look like numbers"),
        ([True], "instead of epoch numbers"),
    ],
)
def test_what_is_no_time_is_refused_and_said_what_it_looks_like(values: list[object], said: str) -> None:
    with pytest.raises(InputError, match=r"is not a time") as caught:
        utc(values, zone="UTC")
    assert re.search(said, str(caught.value.next_step))


def test_an_unreadable_optional_time_becomes_an_absurd_one_and_not_an_unknown_one() -> None:
    texts = ["2013-05-27T12:00:00Z", "soon", "", None, "2013-05-27T12:00:00Z"]
    frame = to_utc(pl.DataFrame({"t": texts}), column="t", table="x", zone=None, optional=True)
    assert frame["t"].to_list() == [NOON, datetime(1, 1, 1, tzinfo=UTC), None, None, NOON]
    assert frame.select(absurd("t"))["t"].to_list() == [False, True, None, None, False]


def test_the_column_that_would_fit_is_named() -> None:
    frame = pl.DataFrame({"t": [0.25, 0.5], "score": [NOON, NOON]})
    with pytest.raises(InputError, match="score would fit: are the columns swapped"):
        to_utc(frame, column="t", table="x", zone=None)


def test_an_empty_column_of_no_type_is_an_empty_column_of_times() -> None:
    frame = to_utc(pl.DataFrame({"t": pl.Series([None])}), column="t", table="x", zone=None)
    assert frame.schema["t"] == pl.Datetime("us", "UTC")
    assert utc([]) == []


@pytest.mark.parametrize("zone", ["Mars/Base", "", "../etc", "Factory", "UTC+3"])
def test_an_unknown_zone_is_refused(zone: str) -> None:
    with pytest.raises(ContractError, match="unknown time zone"):
        check_zone(zone)
