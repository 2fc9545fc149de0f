"""The joined table at one as-of time, with the account of how it came about."""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Self

import polars as pl

from fbkit.errors import ArgumentError
from fbkit.join.ambiguity import ambiguity
from fbkit.join.definitions import definition_warnings
from fbkit.join.ids import nearest_ids
from fbkit.join.orphans import Orphans, profile_orphans
from fbkit.join.receipt import Receipt, make_receipt
from fbkit.join.table import MemoryTable, Table
from fbkit.join.watermark import no_runs
from fbkit.schema.contract import Contract
from fbkit.schema.evaluations import EvaluationLog
from fbkit.schema.incomplete import incomplete_warnings
from fbkit.schema.logs import SourceFile, UnreadablePart
from fbkit.schema.period import format_instant


@dataclass(frozen=True, slots=True, kw_only=True)
class Joined:
    """Predictions with the state of their label as known at ``as_of``.

    Attributes
    ----------
    frame
        One row per used prediction, sorted by ``ts_pred``, ``prediction_id``.
    candidates
        One row per (statement, prediction) pairing that was considered, with its ``fate``
        (:data:`fbkit.schema.rules.OUTCOME_FATE`); orphans have a null ``prediction_id``.
    audit
        table, rule, rows, detail of every load and join rule.
    rejects
        By log, the rows set aside at load with the rule they broke.
    changes
        The change log, or an empty frame.
    label_versions
        ``any``, or ``current`` where only statements of the contract's label version count.
    feed
        With silence = negative: the days on which the outcome feed fell short, by slice
        (:func:`fbkit.join.watermark.incomplete_feed`); rows that close after such a day stay pending.
    feedback
        What people said, one row each, linked to what it reacts to: see :func:`fbkit.join.feedback.link_feedback`.
    actions
        The actions that were known, as they were logged (for receipts; empty where no receipt needs them).
    incomplete
        Parts of the logs that could not be read and were left out, each with its period.
    evaluations
        Where every result frame is noted, if the loop was opened so.
    narrowed
        To which slices :meth:`only` narrowed it, as JSON pairs of column and value; empty for the whole table.
    """

    rows: Table
    pairs: Table
    contract: Contract
    as_of: datetime
    audit: pl.DataFrame
    rejects: Mapping[str, pl.DataFrame]
    sources: tuple[SourceFile, ...]
    changes: pl.DataFrame
    data_through: Mapping[str, str | None]
    label_versions: str = "any"
    feed: pl.DataFrame = field(default_factory=no_runs)
    feedback: pl.DataFrame = field(default_factory=pl.DataFrame)
    actions: pl.DataFrame = field(default_factory=pl.DataFrame)
    incomplete: tuple[UnreadablePart, ...] = ()
    evaluations: EvaluationLog | None = None
    narrowed: str = ""

    @property
    def frame(self) -> pl.DataFrame:
        """Every row and column; see the class."""
        return self.rows.frame

    @property
    def candidates(self) -> pl.DataFrame:
        """Every pairing that was considered; see the class."""
        return self.pairs.frame

    @property
    def evaluation_key(self) -> str:
        """Hash of contract, sources and as-of: equal keys mean equal numbers."""
        parts = [self.contract.hash, format_instant(self.as_of), *sorted(source.sha256 for source in self.sources)]
        if self.label_versions != "any":
            parts.append(self.label_versions)
        if self.narrowed:
            parts.append(self.narrowed)
        return hashlib.sha256("\n".join(parts).encode()).hexdigest()

    def only(self, focus: Mapping[str, str | None] | None = None, *, version: str | None = None) -> Self:
        """The same table with the predictions of these slices only; everything else stays, the audit too.

        Parameters
        ----------
        focus
            Column to value, compared as text; None is where the column is empty.
        version
            Only predictions of this model version.

        Raises
        ------
        ArgumentError
            There is no such column.

        Examples
        --------
        >>> import fbkit as fb
        >>> joined = fb.open_loop(fb.samples.path("recall_drop") / "variant_a").join()
        >>> joined.only({"region": "EU"}).frame["region"].unique().to_list()
        ['EU']
        """
        wanted = dict(focus or {}) | ({} if version is None else {"model_version": version})
        names = self.rows.lazy().collect_schema().names()
        strange = next((name for name in wanted if name not in names), None)
        if strange is not None:
            raise ArgumentError(
                "there is no such column to narrow by",
                got=str(strange),
                allowed=", ".join(name for name in names if name in self.contract.slices.columns) or ", ".join(names),
                next_step="name a column of joined.frame",
            )
        if not wanted:
            return self
        mine = pl.all_horizontal(
            pl.col(name).cast(pl.String).eq_missing(pl.lit(value)) for name, value in wanted.items()
        )
        told = json.dumps([*json.loads(self.narrowed or "[]"), *sorted(wanted.items())], ensure_ascii=False)
        return replace(self, rows=MemoryTable(self.rows.lazy().filter(mine).collect()), narrowed=told)

    def receipt(self, prediction_id: str) -> Receipt:
        """Everything known about one prediction and how its label was found.

        Raises
        ------
        ArgumentError
            No used prediction has this id; rejected rows are named with their rule.
        """
        if not self.rows.lazy().filter(pl.col("prediction_id") == str(prediction_id)).select(pl.len()).collect().item():
            raise self._unknown(str(prediction_id))
        return make_receipt(self, str(prediction_id))

    @property
    def warnings(self) -> tuple[str, ...]:
        """What must be said before any number of this table is read, one sentence each."""
        return (*incomplete_warnings(self), *self.definition_warnings)

    @property
    def definition_warnings(self) -> tuple[str, ...]:
        """Those of them that tell of labels of another definition than the contract's."""
        return definition_warnings(self.rows.lazy(), audit=self.audit, contract=self.contract)

    @property
    def ambiguity(self) -> pl.DataFrame:
        """How clearly outcomes without a key name their prediction: see :func:`fbkit.join.ambiguity.ambiguity`."""
        return ambiguity(self.candidates, predictions=self.rows.height, contract=self.contract)

    def orphans(self) -> Orphans:
        """Outcomes whose key matches no prediction: what their ids look like, and repairs that are only proposed.

        Examples
        --------
        >>> import fbkit as fb
        >>> orphans = fb.open_loop(fb.samples.path("recall_drop") / "variant_a").join().orphans()
        >>> orphans.n, orphans.repairs.select("repair", "n_match", "confidence").row(0)
        (173, ('q in front removed; p put in front', 173, 'high'))
        """
        return profile_orphans(self)

    def _unknown(self, prediction_id: str) -> ArgumentError:
        refused = self.rejects.get("predictions", pl.DataFrame())
        if "prediction_id" in refused.columns:
            rules = refused.filter(pl.col("prediction_id").cast(pl.String) == prediction_id)
            if rules.height:
                return ArgumentError(
                    "the prediction was set aside at load",
                    got=prediction_id,
                    next_step=f"rule {rules['rule'][0]}",
                    allowed="a prediction that passed the load rules",
                )
        if "prediction_id" in self.contract.privacy.personal:
            return ArgumentError(
                "no prediction has this id",
                got="an id, which the contract calls personal",
                allowed="an id of the prediction log",
                next_step="look the id up in joined.frame",
            )
        near = nearest_ids(self.rows.lazy().select("prediction_id").collect().to_series(), prediction_id)
        return ArgumentError(
            "no prediction has this id",
            got=prediction_id,
            allowed=f"an id of the log, for example {', '.join(near)}" if near else None,
            next_step="an outcome under a key that no prediction has: joined.orphans()",
        )
