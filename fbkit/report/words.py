"""Names for people: headings of evidence columns beside the schema's causes, families and verdicts."""

from typing import Final

from fbkit.schema.words import CAUSES, FAMILIES, FAMILY_COLOURS, VERDICTS, cause, verdict

__all__ = ["CAUSES", "COLUMNS", "FAMILIES", "FAMILY_COLOURS", "VERDICTS", "cause", "column", "verdict"]

COLUMNS: Final = {
    "n": "predictions",
    "feed_complete": "outcome feed",
    "n_labelled": "labelled",
    "lower": "from",
    "upper": "to",
    "bound_lower": "worst case from",
    "bound_upper": "worst case to",
    "value": "value",
    "period_start": "start",
    "age_days": "age, days",
    "p_value": "p",
    "p_adjusted": "p (adjusted)",
    "score_lower": "score from",
    "score_upper": "score to",
}


def column(name: str) -> str:
    """The heading of an evidence column."""
    return COLUMNS.get(name, name.replace("_", " "))
