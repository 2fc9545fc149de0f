"""Work that takes longer than a moment: a progress bar, a button that stops it, and the newest answer wins."""

import html
import threading
from collections.abc import Callable
from typing import Any

import ipywidgets

from fbkit.charts.text import clean
from fbkit.errors import FbkitError

Step = Callable[[float, str], None]


class StoppedError(Exception):
    """Somebody pressed Stop, or newer work took the place of this."""


class Work(ipywidgets.HBox):
    """A bar for work that runs beside the kernel's other business. Hidden while there is none.

    ``run(job, done)`` calls ``job(step)`` in a thread; ``step(share, text)`` moves the bar, and raises
    :class:`StoppedError` in the job once it was stopped. ``done(answer)`` is called unless newer work was started or
    this one was stopped; what goes wrong is told in ``trouble``.
    """

    def __init__(self) -> None:
        self._bar = ipywidgets.FloatProgress(min=0.0, max=1.0, layout=ipywidgets.Layout(width="220px"))
        self._said = ipywidgets.HTML()
        self._stop = ipywidgets.Button(
            description="Stop", icon="stop", tooltip="stop this work", layout=ipywidgets.Layout(width="90px")
        )
        self._stop.on_click(lambda _: self.stop())
        self._number = 0
        self._thread: threading.Thread | None = None
        self.trouble = ""
        super().__init__(children=[self._bar, self._stop, self._said])
        self.layout.display = "none"
        self.add_class("fbkit-work")

    @property
    def busy(self) -> bool:
        """Whether work is under way that nobody stopped."""
        return self.layout.display != "none"

    def run(self, job: Callable[[Step], Any], done: Callable[[Any], None], *, saying: str = "working") -> None:
        """Start a job; one that is under way is stopped, and its answer will not be shown."""
        self._number += 1
        number = self._number
        self.trouble = ""
        self._bar.value, self._bar.description = 0.0, ""
        self._say(saying)
        self.layout.display = ""
        self._thread = threading.Thread(target=self._work, args=(number, job, done), name="fbkit-work", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """Stop the job at its next step; the picture stays as it was."""
        self._number += 1
        self.layout.display = "none"

    def join(self, timeout: float | None = None) -> None:
        """Wait for the job."""
        if self._thread is not None:
            self._thread.join(timeout)

    def _work(self, number: int, job: Callable[[Step], Any], done: Callable[[Any], None]) -> None:
        def step(share: float, text: str) -> None:
            if number != self._number:
                raise StoppedError
            self._bar.value = min(max(share, 0.0), 1.0)
            self._say(text)

        try:
            answer = job(step)
            if number == self._number:
                done(answer)
        except StoppedError:
            return
        except FbkitError as error:
            self._fail(number, f"{error.what}. {error.next_step or ''}".strip())
        except Exception as error:  # noqa: BLE001, nobody stands behind a thread to read a traceback
            self._fail(number, f"{type(error).__name__}: {error}")
        finally:
            if number == self._number:
                self.layout.display = "none"

    def _fail(self, number: int, text: str) -> None:
        if number == self._number:
            self.trouble = clean(text, limit=400)

    def _say(self, text: str) -> None:
        self._said.value = f'<span role="status">{html.escape(clean(text, limit=160))}</span>'
