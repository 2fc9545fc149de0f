"""Numbers and foreign text as people read them; the only way such text gets into a chart.

Text of users (slice values, column names, versions) is data here and stays data: it is cleaned, shortened,
and put under fixed field names, never into an expression or a field name.
"""

import math
import textwrap
import unicodedata
from collections.abc import Iterable
from datetime import UTC, datetime

LABEL_LIMIT = 48
MISSING_SLICE = "(no value)"

# Shares are shown in percent and their changes in percentage points; the others are scores with their own digits.
_SCORES = frozenset((
    "roc_auc", "average_precision", "brier", "log_loss", "mcb", "dsc", "unc", "ece", "smooth_ece", "mcc", "mae", "rmse",
    "bias", "r2", "error_p95", "ndcg", "mrr", "value_per_prediction", "expected_value", "amount_per_prediction",
    "cost_per_1000", "volume", "spend",
))  # fmt: skip
_NAMES = {
    "availability": "label availability",
    "average_precision": "average precision",
    "base_rate": "base rate",
    "brier": "Brier score",
    "ctr": "CTR",
    "dsc": "discrimination (DSC)",
    "ece": "ECE",
    "f1": "F1",
    "flag_rate": "flag rate",
    "log_loss": "log loss",
    "mae": "MAE",
    "mape": "MAPE",
    "mcb": "miscalibration (MCB)",
    "mcc": "MCC",
    "mrr": "MRR",
    "ndcg": "NDCG",
    "npv": "negative predictive value",
    "r2": "R²",
    "rmse": "RMSE",
    "roc_auc": "ROC AUC",
    "unc": "uncertainty (UNC)",
    "wape": "WAPE",
}
_STAGES = {
    "final": "final labels",
    "any": "all labels so far",
    "young": "labels still arriving",
    "mixed": "final and young labels mixed",
}


def clean(text: object, *, limit: int = LABEL_LIMIT) -> str:
    r"""One visible line of a user's text: no control or direction signs, at most ``limit`` signs.

    >>> clean("east\nwest\u202e"), clean(None), clean("x" * 60, limit=10)
    ('east west', '(no value)', 'xxxxxxxxx…')
    """
    if text is None:
        return MISSING_SLICE
    visible = "".join(" " if sign.isspace() else sign for sign in str(text)[: 4 * limit + 64] if _shown(sign))
    visible = " ".join(visible.split())
    if not visible:
        return "(empty text)"
    return visible if len(visible) <= limit else visible[: limit - 1].rstrip() + "…"


def _shown(sign: str) -> bool:
    # Cc: terminal escapes; Cf: right-to-left marks and zero-width signs; Cs, Co: what no font draws.
    return sign.isspace() or unicodedata.category(sign) not in ("Cc", "Cf", "Cs", "Co", "Cn")


def lines(text: object, *, width: int = 88, most: int = 3) -> list[str]:
    """A cleaned text in lines of at most ``width`` signs, for what Vega does not wrap by itself.

    >>> lines("one two three", width=8)
    ['one two', 'three']
    """
    return textwrap.wrap(clean(text, limit=width * most), width=width, max_lines=most, placeholder=" …") or [" "]


def distinct(values: Iterable[object], *, limit: int = LABEL_LIMIT) -> dict[object, str]:
    r"""A label for each value; two values that look alike after cleaning stay two.

    >>> list(distinct(["a", "a\n"]).values())
    ['a', 'a (2)']
    """
    labels: dict[object, str] = {}
    taken: set[str] = set()
    for value in values:
        if value in labels:
            continue
        label = base = clean(value, limit=limit)
        count = 1
        while label in taken:
            count += 1
            label = f"{base} ({count})"
        taken.add(label)
        labels[value] = label
    return labels


def metric_name(metric: str) -> str:
    """A metric's name in running text.

    >>> metric_name("roc_auc"), metric_name("value_per_prediction")
    ('ROC AUC', 'value per prediction')
    """
    name, at, first = metric.partition("@")
    return f"{_NAMES.get(name, clean(name).replace('_', ' '))}{at}{clean(first) if at else ''}"


def stage_name(stage: str | None) -> str:
    """What the labels behind a number are.

    >>> stage_name("provisional@30d"), stage_name("final")
    ('labels known after 30d', 'final labels')
    """
    if stage is None:
        return "stage unknown"
    if stage.startswith("provisional@"):
        return f"labels known after {clean(stage.removeprefix('provisional@'))}"
    return _STAGES.get(stage, clean(stage))


def is_share(metric: str) -> bool:
    """Whether a metric is a share of something and reads well in percent."""
    name = metric.partition("@")[0]
    return name not in _SCORES and not name.startswith("latency")


def number_format(metric: str) -> str:
    """The d3 format of a metric's axis."""
    return ".0%" if is_share(metric) else ".2~f"


def _finite(value: float | None) -> bool:
    return value is not None and math.isfinite(value)


def value_text(value: float | None, *, metric: str = "recall") -> str:
    """A metric's value.

    >>> value_text(0.62134), value_text(0.62134, metric="roc_auc"), value_text(None)
    ('62.1 %', '0.621', 'not estimable')
    """
    if value is None or not math.isfinite(value):
        return "not estimable"
    return f"{100 * value:.1f} %" if is_share(metric) else f"{value:.3f}"


def interval_text(lower: float | None, upper: float | None, *, metric: str = "recall") -> str:
    """An interval, or a dash where there is none.

    >>> interval_text(0.5, 0.7)
    '50.0 to 70.0 %'
    """
    if lower is None or upper is None or not (_finite(lower) and _finite(upper)):
        return "—"
    if is_share(metric):
        return f"{100 * lower:.1f} to {100 * upper:.1f} %"
    return f"{lower:.3f} to {upper:.3f}"


def change_text(value: float | None, *, metric: str = "recall") -> str:
    """A change of a metric, in percentage points where it is a share.

    >>> change_text(-0.1234), change_text(0.0312, metric="brier")
    ('−12.3 points', '+0.031')
    """
    if value is None or not math.isfinite(value):
        return "not estimable"
    sign = "−" if value < 0 else "+"
    return f"{sign}{100 * abs(value):.1f} points" if is_share(metric) else f"{sign}{abs(value):.3f}"


def change_interval_text(lower: float | None, upper: float | None, *, metric: str = "recall") -> str:
    """The interval of a change, in the unit of :func:`change_text`; empty where there is none.

    >>> change_interval_text(-0.08, 0.02), change_interval_text(None, None)
    ('−8.0 to +2.0', '')
    """
    if lower is None or upper is None or not (_finite(lower) and _finite(upper)):
        return ""
    return " to ".join(change_text(bound, metric=metric).removesuffix(" points") for bound in (lower, upper))


def count_text(value: float | None) -> str:
    """A count with thousands set off.

    >>> count_text(39012), count_text(None)
    ('39,012', '—')
    """
    return "—" if value is None else f"{int(value):,}"


def day_text(moment: datetime | None) -> str:
    """A day in UTC.

    >>> day_text(datetime(2013, 5, 27, tzinfo=UTC))
    'Mon 27 May 2013'
    """
    return (
        "—"
        if moment is None
        else f"{moment.astimezone(UTC):%a} {moment.astimezone(UTC).day} {moment.astimezone(UTC):%b %Y}"
    )


def instant_text(moment: datetime | None) -> str:
    """An instant to the minute in UTC.

    >>> instant_text(datetime(2013, 6, 4, 6, 5, tzinfo=UTC))
    '2013-06-04 06:05 UTC'
    """
    return "—" if moment is None else f"{moment.astimezone(UTC):%Y-%m-%d %H:%M} UTC"


def epoch_ms(moment: datetime) -> int:
    """Milliseconds since 1970 in UTC: what a time axis takes without parsing, in every browser's zone."""
    return round(moment.timestamp() * 1000)
