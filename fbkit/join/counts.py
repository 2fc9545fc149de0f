"""The account of a join that is made in batches: the same rows of the audit, added up."""

from collections import Counter
from typing import Final, Self

import polars as pl

from fbkit.join.assemble import TABLE
from fbkit.schema.logs import audit_frame
from fbkit.schema.results import PENDING
from fbkit.schema.rules import NOTES, OUTCOME_FATE, PAIRED

_USED_IN_VIEW: Final = "used in this view"
_ALWAYS: Final = ("late", "mature")


class Counts(Counter[str]):
    """Rows by rule of the joined table's audit."""

    @classmethod
    def of(cls, audit: pl.DataFrame) -> Self:
        """The counts of another join."""
        mine = audit.filter(pl.col("table") == TABLE)
        return cls(dict(mine.select("rule", "rows").iter_rows()))

    def add(self, rule: str, rows: int) -> None:
        """Count rows under a rule."""
        self[rule] += rows

    def add_rows(self, frame: pl.DataFrame, *, version: str | None) -> None:
        """Count a batch of the joined table; the states partition it.

        Raises
        ------
        AssertionError
            A row has no state.
        """
        states = frame["state"].value_counts()
        if frame["state"].null_count() or states["count"].sum() != frame.height:
            raise AssertionError("the label states do not partition the predictions")
        self["predictions"] += frame.height
        for name, rows in states.iter_rows():
            self[f"state_{name}"] += rows
        paired = frame["rule"].is_not_null()
        for name, rows in frame["rule"].drop_nulls().value_counts().iter_rows():
            self[name] += rows
        for name in _ALWAYS:
            self[name] += int(frame[name].sum())
        self["feed_incomplete"] += int((frame["mature"] & (frame["state"] == PENDING)).sum())
        if version is not None:
            said = frame["label_version"].filter(paired)
            self["older_definition"] += int((said != version).sum() or 0)
            self["unknown_definition"] += said.null_count()

    def add_fates(self, fates: pl.Series, *, simple: pl.Series) -> None:
        """Count the simple statements; those that an action contradicts have been counted with their rows."""
        for name, rows in fates.filter(simple).value_counts().iter_rows():
            self["used" if name is None else str(name)] += rows

    def audit(self) -> pl.DataFrame:
        """The audit rows, in the order of :func:`fbkit.join.assemble.account`."""
        rows: list[tuple[str, str, int, str | None]] = [(TABLE, "predictions", self["predictions"], _USED_IN_VIEW)]
        states = sorted(name for name in self if name.startswith("state_") and self[name])
        rows += [(TABLE, name, self[name], None) for name in states]
        rows += [(TABLE, name, self[name], OUTCOME_FATE[name]) for name in sorted(OUTCOME_FATE) if self[name]]
        rows += [(TABLE, name, self[name], PAIRED[name]) for name in sorted(PAIRED) if self[name]]
        rows += [(TABLE, name, self[name], NOTES[name]) for name in _ALWAYS]
        notes = [name for name in NOTES if name not in _ALWAYS and self[name]]
        rows += [(TABLE, name, self[name], NOTES[name]) for name in notes]
        return audit_frame(rows)
