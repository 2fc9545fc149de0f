"""How much of a ledger lies at or above each of its thresholds: what every question about flags is counted from."""

from dataclasses import dataclass
from datetime import datetime
from typing import Final

import numpy as np
from numpy.typing import NDArray

from fbkit.ledger import columns as c
from fbkit.ledger.ledger import Ledger
from fbkit.ledger.view import Marks
from fbkit.measure.from_ledger.bins import bin_cells
from fbkit.measure.from_ledger.cells import Cells, Question, ask
from fbkit.measure.from_ledger.metrics import weighing_of
from fbkit.measure.scope import Stage
from fbkit.measure.stats.intervals import Array
from fbkit.schema import results
from fbkit.schema.period import Period

LOWEST: Final = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Tails:
    """Weight of positives, of labelled rows and of all rows at the stage with ``score >= threshold``.

    ``rows`` and ``labelled_rows`` are all rows of the question and those with a label, whatever they weigh; ``held``
    are the labelled rows at or above each threshold. ``plain``: each row weighs 1 and has a label of 0 or 1.
    """

    question: Question
    thresholds: Array
    positive: Array
    labelled: Array
    everything: Array
    held: NDArray[np.int64]
    rows: int
    labelled_rows: int
    plain: bool


def tails(
    ledger: Ledger,
    *,
    period: str | Period | None = None,
    stage: str | Stage = results.STAGE_FINAL,
    weights: str | None = None,
    as_of: str | datetime | None = None,
) -> Tails:
    """Count a ledger's rows at 0 and at every edge of its bins."""
    question = ask(ledger, period=period, stage=stage, as_of=as_of)
    weighing = weighing_of(ledger, weights)
    cells = bin_cells(question, weighing=weighing)
    known = cells.counts & cells.labelled
    positive = known & (cells.state == c.CODE[results.POSITIVE])
    if weighing.products:
        positive = known & (cells.state != c.CODE[results.NEGATIVE])
    weight, hit = ("w1y0s0", "w1y1s0") if weighing.products else (c.ROWS, c.ROWS)
    held = _tail(cells, c.ROWS, known)
    return Tails(
        question=question,
        thresholds=np.array([LOWEST, *ledger.edges.edges]),
        positive=_tail(cells, hit, positive),
        labelled=_tail(cells, weight, known),
        everything=_tail(cells, weight, cells.counts),
        held=held.astype(np.int64),
        rows=int(cells.sums[c.ROWS][:, cells.counts].sum()),
        labelled_rows=int(held[0]),
        plain=not weighing.products,
    )


def _tail(cells: Cells, name: str, kinds: Marks) -> Array:
    return np.cumsum(cells.sums[name][:, kinds].sum(axis=(0, 1))[::-1])[::-1]
