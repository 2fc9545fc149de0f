"""Every measure as a library computes it, by name: scikit-learn, scipy, numpy."""

from collections.abc import Callable
from typing import Any

import numpy as np
from scipy import stats
from sklearn import isotonic
from sklearn import metrics as sk

from tests.unit.measure.brute import VALUE

World = dict[str, Any]
STATUSES = np.array(["ok", "timeout", "fallback", "error"])


def world(*, task: str, n: int = 600, seed: int = 0, weighted: bool = True) -> World:
    """Complete rows as arrays: score s, label y, flag f, weight w and the further columns."""
    rng = np.random.default_rng(seed)
    s = np.round(rng.beta(1, 2, n), 2)
    y = (rng.random(n) < s).astype(float)
    if task == "regression":
        y = np.round(rng.gamma(2, 3, n) + 0.1, 2)
        s = np.round(y + rng.normal(0, 2, n), 2)
    made: World = {"s": s, "y": y, "f": rng.random(n) < 0.2 + 0.5 * y.clip(0, 1)}
    made["w"] = rng.integers(1, 4, n).astype(float) if weighted else np.ones(n)
    for name in ("latency_ms", "latency_feature_ms", "latency_inference_ms", "latency_post_ms", "amount", "cost"):
        made[name] = np.round(rng.gamma(2, 10, n), 1)
    made["status"] = STATUSES[rng.integers(0, 4, n)]
    made["request_id"] = np.repeat(np.arange(n // 10), 10)
    # Shown in the order of the scores, which are all different within a request.
    made["position"] = np.concatenate([stats.rankdata(-part, method="ordinal") for part in s.reshape(-1, 10)])
    made["score_p10"], made["score_p90"] = s - 2.5, s + 2.5
    return made


def confusion(of: Callable[..., Any], **options: object) -> Callable[[World], float]:
    return lambda d: float(of(d["y"], d["f"], sample_weight=d["w"], **options))


def scored(of: Callable[..., Any], **options: object) -> Callable[[World], float]:
    return lambda d: float(of(d["y"], d["s"], sample_weight=d["w"], **options))


def mean(name: str) -> Callable[[World], float]:
    return lambda d: float(np.average(d[name].astype(float), weights=d["w"]))


def order_statistic(of: Callable[[World], np.ndarray], percent: int) -> Callable[[World], float]:
    return lambda d: float(np.quantile(of(d), percent / 100, weights=d["w"], method="inverted_cdf"))


def corp(part: str) -> Callable[[World], float]:
    def found(d: World) -> float:
        fit = isotonic.IsotonicRegression().fit_transform(d["s"], d["y"], sample_weight=d["w"])
        base = np.full_like(d["y"], np.average(d["y"], weights=d["w"]))
        raw, best, unc = (sk.mean_squared_error(d["y"], x, sample_weight=d["w"]) for x in (d["s"], fit, base))
        return float({"mcb": raw - best, "dsc": unc - best, "unc": unc}[part])

    return found


def ece(d: World) -> float:
    edges = np.linspace(0, 1, 11)
    edges[-1] = 1.1
    gap, _, _ = stats.binned_statistic(d["s"] + 1e-12, d["w"] * (d["s"] - d["y"]), "sum", edges)
    return float(np.abs(gap).sum() / d["w"].sum())


def smooth_ece(d: World) -> float:
    """The fixed point by scipy's root finder, the integral by its quadrature over a fine grid of mirror images."""
    from scipy.integrate import simpson
    from scipy.optimize import brentq

    grid, places = np.linspace(0, 1, 2001), np.unique(d["s"])
    mass = np.array([np.sum((d["w"] * (d["y"] - d["s"]))[d["s"] == place]) for place in places]) / d["w"].sum()

    def excess(width: float) -> float:
        images = [stats.norm.pdf(grid[:, None], m + sign * places, width) for m in (-2, 0, 2) for sign in (1, -1)]
        return float(simpson(np.abs(np.sum(images, axis=0) @ mass), x=grid)) - width

    return float(brentq(excess, 1e-3, 1))


def ks_classes(d: World) -> float:
    false, true, _ = sk.roc_curve(d["y"], d["s"], sample_weight=d["w"], drop_intermediate=False)
    return float(np.max(true - false))


def gain(d: World) -> float:
    """The curve of positives found by rows taken, straight between its points."""
    false, true, _ = sk.roc_curve(d["y"], d["s"], sample_weight=d["w"], drop_intermediate=False)
    base = np.average(d["y"], weights=d["w"])
    return float(np.interp(0.3, base * true + (1 - base) * false, true))


def covered(low: str | None) -> Callable[[World], float]:
    return lambda d: float(
        np.average((d["y"] <= d["score_p90"]) & (True if low is None else d["y"] >= d[low]), weights=d["w"])
    )


def lists(of: Callable[[np.ndarray, np.ndarray], float | None]) -> Callable[[World], float]:
    """Mean over requests, weighted by their rows; ``of`` gets the labels and what ranks them, highest first."""

    def found(d: World) -> float:
        values = [of(d["y"][k : k + 10], -d["position"][k : k + 10]) for k in range(0, len(d["y"]), 10)]
        weights = d["w"].reshape(-1, 10).mean(axis=1)
        known = np.array([value is not None for value in values])
        return float(np.average([value for value in values if value is not None], weights=weights[known]))

    return found


def first(y: np.ndarray, key: np.ndarray) -> float:
    """Reciprocal rank of the first relevant row: what label ranking average precision is for its best label."""
    if not y.any():
        return 0.0
    best = np.zeros_like(y)
    best[np.flatnonzero(y)[np.argmax(key[y == 1])]] = 1
    return float(sk.label_ranking_average_precision_score(best[None, :], key[None, :]))


def top(y: np.ndarray, key: np.ndarray, k: int = 2) -> np.ndarray:
    return y[np.argsort(-key)][:k]


def value(d: World) -> float:
    gains = np.array(
        [[VALUE["true_negative"], VALUE["false_positive"]], [VALUE["false_negative"], VALUE["true_positive"]]]
    )
    return float(np.sum(sk.confusion_matrix(d["y"], d["f"], sample_weight=d["w"], normalize="all") * gains))


def announced(d: World) -> float:
    as_one = np.where(d["f"], VALUE["true_positive"], VALUE["false_negative"])
    as_zero = np.where(d["f"], VALUE["false_positive"], VALUE["true_negative"])
    return float(np.average(d["s"] * as_one + (1 - d["s"]) * as_zero, weights=d["w"]))


LIBRARY: dict[str, Callable[[World], float]] = {
    "recall": confusion(sk.recall_score),
    "precision": confusion(sk.precision_score),
    "specificity": confusion(sk.recall_score, pos_label=0),
    "false_positive_rate": lambda d: 1 - float(sk.recall_score(d["y"], d["f"], sample_weight=d["w"], pos_label=0)),
    "npv": confusion(sk.precision_score, pos_label=0),
    "accuracy": confusion(sk.accuracy_score),
    "f1": confusion(sk.f1_score),
    "f0_5": confusion(sk.fbeta_score, beta=0.5),
    "f2": confusion(sk.fbeta_score, beta=2),
    "balanced_accuracy": confusion(sk.balanced_accuracy_score),
    "mcc": confusion(sk.matthews_corrcoef),
    "base_rate": mean("y"),
    "flag_rate": mean("f"),
    "availability": lambda d: float(np.average(np.isfinite(d["y"]), weights=d["w"])),
    "brier": scored(sk.brier_score_loss),
    "log_loss": scored(sk.log_loss),
    "mae": scored(sk.mean_absolute_error),
    "bias": lambda d: float(np.average(d["s"] - d["y"], weights=d["w"])),
    "rmse": scored(sk.root_mean_squared_error),
    "roc_auc": scored(sk.roc_auc_score),
    "average_precision": scored(sk.average_precision_score),
    "ks_classes": ks_classes,
    "gain@30": gain,
    "lift@30": lambda d: gain(d) / 0.3,
    "mcb": corp("mcb"),
    "dsc": corp("dsc"),
    "unc": corp("unc"),
    "ece": ece,
    "smooth_ece": smooth_ece,
    "mape": scored(sk.mean_absolute_percentage_error),
    "wape": lambda d: float(
        sk.mean_absolute_error(d["y"], d["s"], sample_weight=d["w"]) / np.average(np.abs(d["y"]), weights=d["w"])
    ),
    "r2": scored(sk.r2_score),
    **{f"error_p{k}": order_statistic(lambda d: np.abs(d["s"] - d["y"]), k) for k in (50, 90, 95, 99)},
    "pinball@90": lambda d: float(sk.mean_pinball_loss(d["y"], d["score_p90"], sample_weight=d["w"], alpha=0.9)),
    "quantile_coverage@90": covered(None),
    "interval_coverage@80": covered("score_p10"),
    "ctr": mean("y"),
    "ctr_calibration": lambda d: float(np.average(d["y"], weights=d["w"]) / np.average(d["s"], weights=d["w"])),
    "mrr": lists(first),
    "mrr@2": lists(lambda y, key: first(y, key) if top(y, key).any() else 0.0),
    "hit_rate@2": lists(lambda y, key: float(top(y, key).max())),
    "precision@2": lists(lambda y, key: float(top(y, key).mean())),
    "recall@2": lists(lambda y, key: float(sk.recall_score(y, key >= np.sort(key)[-2])) if y.any() else None),
    "ndcg@2": lists(lambda y, key: float(sk.ndcg_score(y[None, :], key[None, :], k=2))),
    **{
        f"latency_{part}p{k}": order_statistic(lambda d, name=f"latency_{part}ms": d[name], k)
        for part in ("", "feature_", "inference_", "post_")
        for k in (50, 90, 95, 99)
    },
    **{
        f"{status}_share": lambda d, status=status: float(np.average(d["status"] == status, weights=d["w"]))
        for status in STATUSES.tolist()
    },
    "volume": lambda d: float(d["w"].sum()),
    "amount_per_prediction": mean("amount"),
    "spend": lambda d: float(d["cost"] @ d["w"]),
    "cost_per_1000": lambda d: 1000 * float(np.average(d["cost"], weights=d["w"])),
    "spend_share": lambda d: float((d["cost"] @ d["w"]) / (d["amount"] @ d["w"])),
    "value_per_prediction": value,
    "expected_value": announced,
}
