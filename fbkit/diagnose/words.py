"""Numbers in sentences: points for rates, plain figures for losses."""

from fbkit.diagnose.settings import RATES

NAMES = {
    "recall": "recall", "precision": "precision", "specificity": "specificity", "f1": "F1", "accuracy": "accuracy",
    "base_rate": "the base rate", "roc_auc": "ROC AUC", "brier": "the Brier score", "log_loss": "log loss",
    "mae": "the mean absolute error", "rmse": "RMSE", "bias": "the bias",
}  # fmt: skip


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
    return f"{value * 100:+.1f}" if metric in RATES else f"{value:+.3g}"


def between(metric: str, lower: float | None, upper: float | None, *, at: float = 0.95) -> str:
    """An interval of a change in words; empty without one.

    >>> between("recall", -0.14, -0.10)
    ' (95 % interval -14.0 to -10.0)'
    """
    if lower is None or upper is None:
        return ""
    return f" ({at * 100:g} % interval {signed(metric, lower)} to {signed(metric, upper)})"


def percent(value: float | None) -> str:
    """A share in percent.

    >>> percent(0.7049)
    '70.5 %'
    """
    return "not known" if value is None else f"{value * 100:.1f} %"


def moved(change: float | None) -> str:
    """fell, rose or stayed."""
    if change is None or change == 0:
        return "stayed"
    return "fell" if change < 0 else "rose"


def count(value: float) -> str:
    """A count with thousands separated.

    >>> count(12345.4)
    '12,345'
    """
    return f"{value:,.0f}"


def start(text: str) -> str:
    """The sentence with a capital first letter."""
    return text[:1].upper() + text[1:]
