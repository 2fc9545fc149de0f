"""What the measuring layers ask of a joined table, so that they can be tried on any frame of that shape."""

from datetime import datetime
from typing import Protocol

import polars as pl

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
