"""Whether somebody pressed Ctrl-C: inside a library's callback the interrupt may come out as another error."""

import signal
import threading
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass
from types import FrameType


@dataclass(slots=True)
class Interrupt:
    """``pressed`` turns True with the first interrupt."""

    pressed: bool = False


@contextmanager
def noticed() -> Generator[Interrupt]:
    """Remember interrupts in this block; they are raised as ever. Another's handler is left alone."""
    seen = Interrupt()

    def remember(number: int, frame: FrameType | None) -> None:
        seen.pressed = True
        signal.default_int_handler(number, frame)

    ours = (
        threading.current_thread() is threading.main_thread()
        and signal.getsignal(signal.SIGINT) is signal.default_int_handler
    )
    if not ours:
        yield seen
        return
    signal.signal(signal.SIGINT, remember)
    try:
        yield seen
    finally:
        signal.signal(signal.SIGINT, signal.default_int_handler)
