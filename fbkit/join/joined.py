"""The joined table at one as-of time, with the account of how it came about."""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

import polars as pl

from fbkit.errors import ArgumentError, nearest
from fbkit.join.receipt import Receipt, make_receipt
from fbkit.schema.contract import Contract
from fbkit.schema.logs import SourceFile
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
    """

    frame: pl.DataFrame
    candidates: pl.DataFrame
    contract: Contract
    as_of: datetime
    audit: pl.DataFrame
    rejects: Mapping[str, pl.DataFrame]
    sources: tuple[SourceFile, ...]
    changes: pl.DataFrame
    data_through: Mapping[str, str | None]

    @property
    def evaluation_key(self) -> str:
        """Hash of contract, sources and as-of: equal keys mean equal numbers."""
        parts = [self.contract.hash, format_instant(self.as_of), *sorted(source.sha256 for source in self.sources)]
        return hashlib.sha256("\n".join(parts).encode()).hexdigest()

    def receipt(self, prediction_id: str) -> Receipt:
        """Everything known about one prediction and how its label was found.

        Raises
        ------
        ArgumentError
            No used prediction has this id; rejected rows are named with their rule.
        """
        row = self.frame.filter(pl.col("prediction_id") == str(prediction_id))
        if row.is_empty():
            raise self._unknown(str(prediction_id))
        statements = self.candidates.filter(pl.col("prediction_id") == str(prediction_id))
        return make_receipt(row.row(0, named=True), statements=statements, contract=self.contract, as_of=self.as_of)

    def _unknown(self, prediction_id: str) -> ArgumentError:
        refused = self.rejects.get("predictions", pl.DataFrame())
        if "prediction_id" in refused.columns:
            rules = refused.filter(pl.col("prediction_id").cast(pl.String) == prediction_id)
            if rules.height:
                return ArgumentError(
                    "the prediction was set aside at load", got=prediction_id, next_step=f"rule {rules['rule'][0]}"
                )
        known = self.frame["prediction_id"].head(2000).to_list()
        hint = nearest(prediction_id, known) or (known[0] if known else None)
        return ArgumentError(
            "no prediction has this id", got=prediction_id, allowed=f"an id of the log, for example {hint}"
        )
