"""Rows worth a label as a user holds them."""

from dataclasses import dataclass

from fbkit.diagnose.audit_order import NextLabels as NextLabelsFacts


@dataclass(frozen=True, slots=True, kw_only=True)
class NextLabels(NextLabelsFacts):
    """Rows to audit, as text and as a card; see :meth:`Diagnosis.next_labels`."""

    def __str__(self) -> str:
        from fbkit.report.next_labels import next_labels_text

        return next_labels_text(self)

    def __repr__(self) -> str:
        return f"<NextLabels: {self.rows.height:,} rows to audit>"

    def _repr_html_(self) -> str:
        from fbkit.report.next_labels import next_labels_html

        return next_labels_html(self)
