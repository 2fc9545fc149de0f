"""What the measuring layers ask of a joined table, so that they can be tried on any frame of that shape."""

from datetime import datetime
from inspect import getattr_static
from typing import Protocol

import polars as pl

from fbkit.errors import ArgumentError
from fbkit.schema.contract import Contract


class JoinedLike(Protocol):
    """Predictions with their label states as of one instant."""

    @property
    def frame(self) -> pl.DataFrame: ...

    @property
    def contract(self) -> Contract: ...

    @property
    def as_of(self) -> datetime: ...

    @property
    def evaluation_key(self) -> str: ...


def _has(thing: object, *names: str) -> bool:
    """Whether a thing has these members; none is read, because that of a long table's frame takes seconds."""
    if hasattr(type(thing), "__getattr__"):  # it answers for another thing
        return all(hasattr(thing, name) for name in names)
    missing = object()
    return all(getattr_static(thing, name, missing) is not missing for name in names)


def check_joined(joined: object) -> None:
    """Refuse anything but a joined table, with the way to one."""
    if not _has(joined, "frame", "contract", "as_of", "evaluation_key"):
        raise ArgumentError(
            "this takes a joined table first",
            got=type(joined).__name__,
            allowed="what loop.join() returns",
            next_step="joined = fb.open_loop(folder).join()",
        )


class LoopLike(Protocol):
    """An open loop: its contract, and the joined table as known at any time."""

    @property
    def contract(self) -> Contract: ...

    def join(self, *, as_of: datetime | None = None) -> JoinedLike: ...


def check_loop(loop: object) -> None:
    """Refuse anything but an open loop, with the way to one."""
    if not _has(loop, "contract", "join"):
        raise ArgumentError(
            "this takes an open loop first",
            got=type(loop).__name__,
            allowed="what fb.open_loop(folder) returns",
            next_step="loop = fb.open_loop(folder)",
        )
