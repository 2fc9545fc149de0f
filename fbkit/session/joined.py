"""The joined table as a user holds it, and the receipt of one prediction."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from typing import TYPE_CHECKING

import polars as pl

from fbkit.diagnose.trace import COUNT, SEED, trace
from fbkit.join.facts import joined_facts
from fbkit.join.joined import Joined as JoinedTable
from fbkit.join.periods import resolve
from fbkit.join.receipt import Receipt as ReceiptFacts
from fbkit.schema.period import Comparison, Period, format_instant
from fbkit.schema.results import STAGE_FINAL

if TYPE_CHECKING:
    from fbkit.ledger.edges import BinEdges
    from fbkit.ledger.ledger import Ledger
    from fbkit.measure.user import Metric
    from fbkit.report.promotion import Promotion


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

    def ledger(
        self,
        *,
        edges: "BinEdges | None" = None,
        slices: Sequence[str] | None = None,
        pairs: Sequence[tuple[str, str]] = (),
        weights: str | None = None,
        entities: bool | None = None,
    ) -> "Ledger":
        """Additive counts of these rows, without a row in them: see :func:`fbkit.ledger.build.build`.

        The measures take a ledger wherever they take a joined table, in milliseconds, also as of an earlier time.

        Examples
        --------
        >>> import fbkit as fb
        >>> joined = fb.open_loop(fb.samples.path("recall_drop") / "variant_a").join()
        >>> ledger = joined.ledger()
        >>> fb.metrics(ledger, "recall")["value"].equals(fb.metrics(joined, "recall")["value"])
        True
        """
        from fbkit.ledger.build import build

        return build(self, edges=edges, slices=slices, pairs=pairs, weights=weights, entities=entities)

    def promote(
        self,
        *,
        champion: str,
        challenger: str,
        period: str | Period | None = None,
        stage: str = STAGE_FINAL,
        share: float | None = None,
        proxies: "Mapping[str, Joined] | None" = None,
        metrics: "Sequence[Metric]" = (),
        allow_undecided: bool = False,
    ) -> "Promotion":
        """Whether the challenger may go out by the contract's guardrails: see :func:`fbkit.report.promotion.promote`.

        ``share`` is the challenger's intended share of split traffic, ``proxies`` the loop joined for its proxy labels,
        ``metrics`` your own that guardrails name.
        """
        from fbkit.report.promotion import promote

        return promote(
            self,
            champion=champion,
            challenger=challenger,
            period=period,
            stage=stage,
            share=share,
            proxies=proxies,
            metrics=metrics,
            allow_undecided=allow_undecided,
        )

    def __repr__(self) -> str:
        return f"<Joined: {self.frame.height:,} predictions as known at {format_instant(self.as_of)}>"

    def _repr_html_(self) -> str:
        from fbkit.report.card import loop_html

        return loop_html(f"joined as of {format_instant(self.as_of)}", joined_facts(self), warnings=self.warnings)

    def __str__(self) -> str:
        from fbkit.report.card import loop_text

        return loop_text(f"joined as of {format_instant(self.as_of)}", joined_facts(self), warnings=self.warnings)
