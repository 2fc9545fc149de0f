"""A feedback loop that is open: what a user joins and checks."""

from dataclasses import dataclass, field, fields, replace
from datetime import datetime
from typing import TYPE_CHECKING

import polars as pl

from fbkit.diagnose.preflight import preflight
from fbkit.diagnose.trace import COUNT, SEED
from fbkit.join.facts import loop_facts
from fbkit.join.opened import OpenLogs
from fbkit.load.loop import Logs
from fbkit.load.outcomes import label_table
from fbkit.schema.contract import Contract
from fbkit.schema.evaluations import EvaluationLog
from fbkit.schema.period import format_instant, parse_instant
from fbkit.session.joined import Joined

if TYPE_CHECKING:
    from fbkit.report.contract_page import ContractPage


@dataclass(frozen=True, slots=True, kw_only=True)
class Loop:
    """A feedback loop that is open: its contract and its checked logs. Made by :func:`open_loop`.

    ``logs`` are the rows that passed the load rules; ``audit`` counts those that did not, ``assumptions`` lists what
    was guessed where there is no contract; ``evaluations`` notes every result frame, if asked for.
    """

    name: str
    contract: Contract
    source: OpenLogs = field(repr=False)
    assumptions: tuple[str, ...] = ()
    evaluations: EvaluationLog | None = field(default=None, repr=False)

    @property
    def logs(self) -> Logs:
        """Every log, read and checked as a whole; of a long log, :meth:`join` reads a batch at a time instead."""
        return self.source.logs

    @property
    def audit(self) -> pl.DataFrame:
        """What was read, used and refused, by log and rule."""
        return self.source.account()

    @property
    def labels(self) -> pl.DataFrame:
        """Each label's name, role, version, window, silence and statements (rows about it, refused ones too)."""
        return label_table(self.logs.outcomes, contract=self.contract)

    def join(
        self, *, as_of: str | datetime | None = None, label: str | None = None, label_versions: str = "any"
    ) -> Joined:
        """Join predictions and outcomes as known at ``as_of`` (the newest arrival by default).

        Parameters
        ----------
        label
            Which of :attr:`labels` is looked at: the primary, or a proxy by its name.
        label_versions
            ``any``: a label of another definition version counts where there is no current one, and
            :attr:`Joined.warnings` says so; ``current``: only labels of the contract's version count.

        Raises
        ------
        ArgumentError
            No such label or choice of versions, or a time that cannot be read.
        InputError
            No prediction was known then, or the log holds no statement about this label.

        Examples
        --------
        >>> import fbkit as fb
        >>> loop = fb.open_loop(fb.samples.path("recall_drop") / "variant_a")
        >>> joined = loop.join()
        >>> joined.frame["state"].null_count()
        0
        """
        at = None if as_of is None else parse_instant(as_of)
        table = self.source.join(as_of=at, label=label, label_versions=label_versions)
        joined = Joined(**{item.name: getattr(table, item.name) for item in fields(table)})
        if self.evaluations is None:
            return joined
        about = {"contract": table.contract.hash, "as_of": format_instant(table.as_of)}
        return replace(joined, evaluations=self.evaluations.of(**about, evaluation_key=table.evaluation_key))

    def check(self, *, as_of: str | datetime | None = None) -> pl.DataFrame:
        """The pre-flight checklist: id, question, status, evidence, fix."""
        return preflight(self.join(as_of=as_of))

    def trace(self, *, n: int = COUNT, seed: int = SEED, as_of: str | datetime | None = None) -> pl.DataFrame:
        """The random predictions behind the last item of :meth:`check`, one row each: ``clear`` says without doubt."""
        return self.join(as_of=as_of).trace(n=n, seed=seed)

    def contract_page(self) -> "ContractPage":
        """The contract on one page, for people; ``.write("out")`` writes it as Markdown and HTML.

        Examples
        --------
        >>> import fbkit as fb
        >>> page = fb.open_loop(fb.samples.path("flights_2013")).contract_page()
        >>> print(str(page).splitlines()[0])
        # Model contract: flight-delay
        """
        from fbkit.report.contract_page import ContractPage

        return ContractPage(contract=self.contract)

    def __repr__(self) -> str:
        from fbkit.report.escape import terminal

        return terminal(f"<Loop {self.name}>")

    def _repr_html_(self) -> str:
        from fbkit.report.card import loop_html

        facts, missing = loop_facts(self.source)
        return loop_html(self.name, facts, missing=missing)

    def __str__(self) -> str:
        from fbkit.report.card import loop_text

        facts, missing = loop_facts(self.source)
        return loop_text(self.name, facts, missing=missing)
