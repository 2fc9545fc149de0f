"""Numbers in sentences: points for rates, plain figures for losses."""

from datetime import datetime

from fbkit.diagnose.settings import RATES, SETTINGS

NAMES = {
    "recall": "recall", "precision": "precision", "specificity": "specificity", "f1": "F1", "accuracy": "accuracy",
    "base_rate": "the base rate", "roc_auc": "ROC AUC", "brier": "the Brier score", "log_loss": "log loss",
    "average_precision": "average precision", "ece": "the expected calibration error", "mcb": "miscalibration (MCB)",
    "dsc": "discrimination (DSC)", "value_per_prediction": "the value per prediction", "mae": "the mean absolute error",
    "rmse": "RMSE", "bias": "the bias", "ctr": "the click-through rate", "mrr": "the mean reciprocal rank",
}  # fmt: skip


def name_of(metric: str) -> str:
    """What the metric is called in a sentence; a team's own by its name."""
    return NAMES.get(metric, metric)


def level(metric: str, value: float | None) -> str:
    """A level: three decimals for rates, four significant digits otherwise.

    >>> level("recall", 0.80312)
    '0.803'
    """
    if value is None:
        return "not estimable"
    return f"{value:.3f}" if metric in RATES else f"{value:.4g}"


def points(metric: str, value: float | None) -> str:
    """A change without its sign.

    >>> points("recall", -0.1204)
    '12.0 points'
    """
    if value is None:
        return "not estimable"
    return f"{abs(value) * 100:.1f} points" if metric in RATES else f"{abs(value):.3g}"


def signed(metric: str, value: float | None) -> str:
    """A change with its sign, in points for rates."""
    if value is None:
        return "not estimable"
    if metric not in RATES:
        return f"{value:+.3g}"
    return f"{round(value * 100, 1) + 0.0:+.1f}"


def between(metric: str, lower: float | None, upper: float | None) -> str:
    """An interval of a change in words; empty without one.

    >>> between("recall", -0.14, -0.10)
    ' (95 % interval -14.0 to -10.0)'
    """
    if lower is None or upper is None:
        return ""
    return f" ({SETTINGS.level * 100:g} % interval {signed(metric, lower)} to {signed(metric, upper)})"


def percent(value: float | None) -> str:
    """A share in percent.

    >>> percent(0.7049)
    '70.5 %'
    """
    return "not known" if value is None else f"{value * 100:.1f} %"


def moved(metric: str, change: float | None) -> str:
    """How a level moved, at the digits that are printed.

    >>> moved("recall", -0.02), moved("recall", 0.0001)
    ('fell 2.0 points', 'stayed')
    """
    said = points(metric, change)
    if change is None or change == 0 or said == "0.0 points":
        return "stayed"
    return f"{'fell' if change < 0 else 'rose'} {said}"


def instant(value: datetime) -> str:
    """A day, with the time when it is not midnight; UTC."""
    midnight = (value.hour, value.minute) == (0, 0)
    return f"{value:%Y-%m-%d}" if midnight else f"{value:%Y-%m-%d %H:%M} UTC"


def count(value: float) -> str:
    """A count with thousands separated.

    >>> count(12345.4)
    '12,345'
    """
    return f"{value:,.0f}"


def start(text: str) -> str:
    """The sentence with a capital first letter."""
    return text[:1].upper() + text[1:]
