"""The label window: when an event is a label, when its absence means something."""

from dataclasses import dataclass
from datetime import timedelta

from fbkit.errors import ContractError
from fbkit.schema.contract import Contract


@dataclass(frozen=True, slots=True, kw_only=True)
class LabelWindow:
    """What one label definition says about time.

    A label counts if ``ts_pred <= ts_event <= ts_pred + window`` (both ends closed) and
    ``ts_arrival <= as_of``; a prediction is mature if ``ts_pred + window + grace <= as_of``.
    """

    window: timedelta
    grace: timedelta
    stages: tuple[timedelta, ...]
    silence: str
    version: str | None

    @property
    def delay(self) -> timedelta:
        """Window plus grace: a prediction that old is mature."""
        return self.window + self.grace

    @classmethod
    def of(cls, contract: Contract) -> "LabelWindow":
        """The primary label's window; a session window is not supported yet."""
        label = contract.label
        if not isinstance(label.window, timedelta):
            raise ContractError(
                'label.window = "session" is not supported by this version',
                got=label.window,
                allowed='a duration such as "7d"',
                next_step="give the window as a duration",
            )
        return cls(
            window=label.window, grace=label.grace, stages=label.stages, silence=label.silence, version=label.version
        )
