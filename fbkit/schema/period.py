"""Half-open periods in UTC, and the pair of them that a question compares."""

from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta

from fbkit.errors import ArgumentError
from fbkit.schema.durations import parse_duration


def parse_instant(text: str | datetime | date) -> datetime:
    """Read an instant; a date alone is midnight UTC, another zone is converted, no zone is refused.

    >>> parse_instant("2013-06-04T06:00Z")
    datetime.datetime(2013, 6, 4, 6, 0, tzinfo=datetime.timezone.utc)
    """
    if isinstance(text, datetime):
        value = text
    elif isinstance(text, date):
        value = datetime(text.year, text.month, text.day, tzinfo=UTC)
    else:
        value = _from_text(str(text).strip())
    if value.tzinfo is None:
        raise ArgumentError(
            "an instant has no time zone",
            got=text,
            allowed="for example 2013-06-04T06:00Z",
            next_step="add Z or an offset",
        )
    # Outside these years sums with a window would leave the calendar.
    if not 1900 <= value.year <= 2200:
        raise ArgumentError(
            "an instant is out of range",
            got=text,
            allowed="years 1900 to 2200",
            next_step="choose a time within those years",
        )
    return value.astimezone(UTC)


def _from_text(text: str) -> datetime:
    try:
        value = datetime.fromisoformat(text)
    except ValueError as error:
        raise ArgumentError(
            "an instant could not be read",
            got=text,
            allowed="2013-06-04 or 2013-06-04T06:00Z",
            next_step="write it in one of these forms",
        ) from error
    return value.replace(tzinfo=UTC) if len(text) <= 10 else value


def format_instant(value: datetime) -> str:
    """ISO 8601 with a Z; whole seconds unless there are fractions.

    >>> format_instant(parse_instant("2013-06-04"))
    '2013-06-04T00:00:00Z'
    """
    return value.astimezone(UTC).isoformat().replace("+00:00", "Z")


def _short(value: datetime) -> str:
    midnight = (value.hour, value.minute, value.second, value.microsecond) == (0, 0, 0, 0)
    return value.strftime("%Y-%m-%d") if midnight else format_instant(value)


@dataclass(frozen=True, slots=True, kw_only=True)
class Period:
    """Half-open ``[start, end)`` in UTC: the first instant belongs to it, the last does not.

    Raises
    ------
    ArgumentError
        The end is not after the start; :meth:`parse` also where the text is no period, or an instant has no zone.

    Examples
    --------
    >>> str(Period.parse("2013-05-20..2013-05-27"))
    '2013-05-20..2013-05-27'
    """

    start: datetime
    end: datetime

    def __post_init__(self) -> None:
        if not self.start < self.end:
            raise ArgumentError(
                "a period must end after it starts",
                got=f"{self.start}..{self.end}",
                allowed="START..END, START included, END not",
                next_step="swap the two, or choose a later end",
            )

    @classmethod
    def parse(cls, text: "str | Period") -> "Period":
        """Read ``A..B``; a Period is returned as it is."""
        if isinstance(text, Period):
            return text
        start, dots, end = str(text).partition("..")
        if not dots:
            raise ArgumentError(
                "a period could not be read", got=text, allowed="START..END", next_step='write "2013-05-20..2013-05-27"'
            )
        return cls(start=parse_instant(start), end=parse_instant(end))

    @property
    def duration(self) -> timedelta:
        return self.end - self.start

    def __str__(self) -> str:
        return f"{_short(self.start)}..{_short(self.end)}"


@dataclass(frozen=True, slots=True, init=False)
class Comparison:
    """A reference period and a current one; relative ones are resolved against the logs.

    Parameters
    ----------
    reference, current
        Periods, or their text ``A..B``; None is filled in later (see :meth:`resolve`): the last seven mature
        days, and the eight weeks before the current period.

    Raises
    ------
    ArgumentError
        The reference ends after the current period starts.

    Examples
    --------
    >>> Comparison(reference="2013-05-20..2013-05-27", current="2013-05-27..2013-06-03").current.duration.days
    7
    """

    reference: Period | None = None
    current: Period | None = None
    last_duration: timedelta | None = None
    versus_duration: timedelta | None = None

    def __init__(self, *, reference: str | Period | None = None, current: str | Period | None = None) -> None:
        object.__setattr__(self, "reference", None if reference is None else Period.parse(reference))
        object.__setattr__(self, "current", None if current is None else Period.parse(current))
        object.__setattr__(self, "last_duration", None)
        object.__setattr__(self, "versus_duration", None)
        if self.reference and self.current and self.reference.end > self.current.start:
            raise ArgumentError(
                "the reference must end before the current period starts",
                got=f"reference {self.reference}, current {self.current}",
                next_step="choose periods that do not overlap",
                allowed="a reference that lies before the current period",
            )

    @classmethod
    def last(cls, duration: str, *, versus: str | None = None) -> "Comparison":
        """The last ``duration`` of mature predictions against the ``versus`` before it (8 weeks by default)."""
        made = cls()
        object.__setattr__(made, "last_duration", parse_duration(duration))
        object.__setattr__(made, "versus_duration", None if versus is None else parse_duration(versus))
        return made

    def resolve(
        self, *, last_mature: datetime, first: datetime | None = None, latest: datetime | None = None
    ) -> "Comparison":
        """Fill in what was left open.

        Parameters
        ----------
        last_mature
            The end of the newest whole day whose predictions are all mature.
        first
            The oldest prediction; a default reference does not start before its day.
        latest
            The end of the newest whole day with predictions; used instead of ``last_mature`` when
            no mature period of that length exists.
        """
        duration = self.last_duration or timedelta(days=7)
        current = self.current or self._default_current(duration, last_mature, first, latest)
        reference = self.reference
        if reference is None:
            versus = self.versus_duration or timedelta(weeks=8)
            start = current.start - versus
            if first is not None:
                start = max(start, floor_day(first))
            if start >= current.start:
                raise ArgumentError(
                    "there are no predictions before the current period to compare with",
                    got=f"current {current}, first prediction {first}",
                    next_step="choose a later --current or give --reference",
                    allowed="a current period that starts after the first prediction",
                )
            reference = Period(start=start, end=current.start)
        return Comparison(reference=reference, current=current)

    @staticmethod
    def _default_current(
        duration: timedelta, last_mature: datetime, first: datetime | None, latest: datetime | None
    ) -> Period:
        end = floor_day(last_mature)
        if latest is not None and first is not None and end - duration <= floor_day(first):
            end = latest
        return Period(start=end - duration, end=end)

    def periods(self) -> tuple[Period, Period]:
        """Reference and current; ArgumentError while one of them is open."""
        if self.reference is None or self.current is None:
            raise ArgumentError(
                "the comparison has no fixed periods yet",
                got=repr(self),
                next_step="give reference= and current=, or let the loop resolve it (triage does)",
                allowed="a comparison with both periods",
            )
        return self.reference, self.current


def floor_day(value: datetime) -> datetime:
    """Midnight UTC of the instant's day."""
    return value.astimezone(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
