"""The label window: when an event is a label, when its absence means something."""

from dataclasses import dataclass
from datetime import timedelta

import polars as pl

from fbkit.schema.contract import Contract
from fbkit.schema.protocols import JoinedLike

CLOSES = "__closes"


@dataclass(frozen=True, slots=True, kw_only=True)
class LabelWindow:
    """What one label definition says about time.

    A label counts if ``ts_pred <= ts_event <= closes`` (both ends closed) and ``ts_arrival <= as_of``; a prediction is
    mature if ``closes + grace <= as_of``. With a fixed window ``closes`` is ``ts_pred + window``. With
    ``window = "session"`` it is ``window`` (the contract's session_gap) after the last prediction of the same
    ``session_id`` that is known at the as-of time, so it may move while the session goes on.
    """

    window: timedelta
    grace: timedelta
    stages: tuple[timedelta, ...]
    silence: str
    version: str | None
    session: bool = False

    @property
    def delay(self) -> timedelta:
        """Window plus grace: a prediction that old is mature (in a session: one that no other followed)."""
        return self.window + self.grace

    @property
    def closes(self) -> pl.Expr:
        """The end of each prediction's window; a session's needs all of its known predictions in the frame."""
        made = pl.col("ts_pred")
        if not self.session:
            return made + self.window
        session = pl.col("session_id").str.strip_chars()
        # A prediction without a session is one of its own.
        last = pl.when((session != "").fill_null(value=False)).then(made.max().over(session)).otherwise(made)
        return last + self.window

    @classmethod
    def of(cls, contract: Contract) -> "LabelWindow":
        """The window of the contract's label."""
        label = contract.label
        session = not isinstance(label.window, timedelta)
        return cls(
            window=label.session_gap if not isinstance(label.window, timedelta) else label.window,
            grace=label.grace,
            stages=label.stages,
            silence=label.silence,
            version=label.version,
            session=session,
        )


def longest_delay(joined: JoinedLike) -> timedelta:
    """The longest time from prediction to maturity in a joined table; a fixed window's is the same for all."""
    window = LabelWindow.of(joined.contract)
    if not window.session:
        return window.delay
    longest = joined.frame.select((pl.col("closes") - pl.col("ts_pred")).max()).item()
    return window.delay if longest is None else longest + window.grace
