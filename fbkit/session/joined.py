"""The joined table as a user holds it, and the receipt of one prediction."""

from dataclasses import dataclass, fields

import polars as pl

from fbkit.diagnose.trace import COUNT, SEED, trace
from fbkit.join.facts import joined_facts
from fbkit.join.joined import Joined as JoinedTable
from fbkit.join.periods import resolve
from fbkit.join.receipt import Receipt as ReceiptFacts
from fbkit.schema.period import Comparison, format_instant


@dataclass(frozen=True, slots=True, kw_only=True)
class Receipt(ReceiptFacts):
    """Everything known about one prediction, made by :meth:`Joined.receipt`: a card in the notebook, frames, text.

    ``frame``, ``features``, ``statements``, ``rivals``, ``timeline`` and ``feedback`` are frames, described at
    :class:`fbkit.join.receipt.Receipt`.
    """

    def to_text(self, *, mask: bool = True) -> str:
        """The receipt as text; columns that the contract names as personal appear as hashes unless ``mask=False``."""
        from fbkit.report.receipt import receipt_text

        return receipt_text(self, mask=mask)

    def __str__(self) -> str:
        return self.to_text(mask=False).rstrip("\n")

    def __repr__(self) -> str:
        from fbkit.report.escape import terminal

        return terminal(f"<Receipt of {self.prediction_id} as known at {format_instant(self.as_of)}>")

    def _repr_html_(self) -> str:
        from fbkit.report.receipt import receipt_html

        return receipt_html(self)


@dataclass(frozen=True, slots=True, kw_only=True)
class Joined(JoinedTable):
    """The joined table as a user holds it, made by :meth:`Loop.join`; analysis functions take it first.

    ``frame`` has one row per used prediction, sorted by ``ts_pred`` and ``prediction_id``: the prediction log's
    columns, and state, label, rule, mature, late and the lags as known at ``as_of`` (UTC). ``label`` is null where
    none counts; ``state`` says why. ``audit`` accounts for every row of every log, ``receipt(id)`` for one prediction.
    """

    def compare(self, comparison: Comparison | None = None) -> Comparison:
        """Fix the periods of a comparison against these logs.

        Left open, the current period is the last seven full days that are mature, the reference the
        eight weeks before it.
        """
        return resolve(self, comparison)

    def receipt(self, prediction_id: str) -> Receipt:
        """What the model saw, what was done, what came back, who else could have claimed it, and which state when.

        Raises
        ------
        ArgumentError
            No used prediction has this id; the nearest ids are named, and the rule that refused a rejected row.

        Examples
        --------
        >>> import fbkit as fb
        >>> joined = fb.open_loop(fb.samples.path("recall_drop") / "variant_a").join()
        >>> joined.receipt("p0000005").timeline["state"].to_list()
        ['pending', 'negative', 'negative']
        """
        facts = JoinedTable.receipt(self, prediction_id)
        return Receipt(**{item.name: getattr(facts, item.name) for item in fields(facts)})

    def trace(self, *, n: int = COUNT, seed: int = SEED) -> pl.DataFrame:
        """Random predictions with their outcomes, to be followed by hand: see :func:`fbkit.diagnose.trace.trace`."""
        return trace(self, n=n, seed=seed)

    def __repr__(self) -> str:
        return f"<Joined: {self.frame.height:,} predictions as known at {format_instant(self.as_of)}>"

    def _repr_html_(self) -> str:
        from fbkit.report.card import loop_html

        return loop_html(f"joined as of {format_instant(self.as_of)}", joined_facts(self), warnings=self.warnings)

    def __str__(self) -> str:
        from fbkit.report.card import loop_text

        return loop_text(f"joined as of {format_instant(self.as_of)}", joined_facts(self), warnings=self.warnings)
