"""Every measure a second time: loops over rows in exact fractions, by name; how to make a small random world.

``BRUTE[name](rows)`` is a number or None (not defined) for rows that all count at the stage. A new measure of the
registry needs an entry here and one in ``library.py``.
"""

from collections.abc import Callable, Sequence
from fractions import Fraction
from itertools import groupby, permutations, product
from math import log, log2, sqrt
from typing import NamedTuple

import numpy as np
from hypothesis import strategies as st

from fbkit.schema.contract_parts import ValuePart
from fbkit.testing.frames import FakeJoined, make_joined

Number = Fraction | float | int
VALUE = {"true_positive": 5, "false_positive": -2, "false_negative": -3, "true_negative": 1}
COLUMNS = (
    "latency_ms", "latency_feature_ms", "latency_inference_ms", "latency_post_ms", "status", "amount", "cost",
    "request_id", "position", "score_p10", "score_p90",
)  # fmt: skip


class Row(NamedTuple):
    """One prediction; ``label`` None is unlabelled, ``flag`` None undecided, ``at`` the further columns."""

    score: Fraction
    label: Fraction | None
    flag: bool | None
    w: int
    at: dict[str, object]


def joined_of(rows: Sequence[Row], *, task: str, **columns: object) -> FakeJoined:
    """The rows as a joined table, in their order, with the contract's [value]; weights in the column ``w``."""
    made = make_joined(
        scores=[float(row.score) for row in rows],
        labels=[None if row.label is None else float(row.label) for row in rows],
        flags=[row.flag for row in rows],
        columns={"w": [row.w for row in rows]}
        | {name: typed(name, [row.at.get(name) for row in rows]) for name in COLUMNS}
        | columns,
        task=task,
    )
    contract = made.contract.model_copy(update={"value": ValuePart.model_validate(VALUE)})
    return FakeJoined(frame=made.frame, contract=contract, as_of=made.as_of)


def typed(name: str, values: list[object]) -> list[object]:
    """Numbers as floats, so that a column of nulls and whole numbers has one type."""
    if name in ("status", "request_id"):
        return [None if value is None else str(value) for value in values]
    return [None if value is None else float(value) for value in values]  # pyright: ignore[reportArgumentType]


@st.composite
def worlds(
    draw: st.DrawFn, *, task: str = "binary", least: int = 1, most: int = 9, complete: bool = False
) -> list[Row]:
    """A few rows with ties, unlabelled rows and undecided rows (unless ``complete``)."""
    eighths, quarters = (
        st.integers(0, 8).map(lambda k: Fraction(k, 8)),
        st.integers(-8, 16).map(lambda k: Fraction(k, 4)),
    )
    some = (lambda values: values) if complete else (lambda values: st.none() | values)
    label = quarters if task == "regression" else st.integers(0, 1).map(Fraction)
    whole = st.integers(0, 6)
    made = []
    for place in range(draw(st.integers(least, most))):
        low = draw(quarters)
        at: dict[str, object] = {name: draw(some(whole)) for name in COLUMNS[:4]}
        at |= {"amount": draw(some(whole)), "cost": draw(some(whole))}
        at |= {"status": draw(some(st.sampled_from(["ok", " OK", "timeout", "fallback", "error"])))}
        at |= {"request_id": f"r{draw(st.integers(0, 2))}", "position": draw(some(st.just(place)))}
        at |= {"score_p10": low, "score_p90": low + draw(whole)}
        made.append(
            Row(
                score=draw(quarters if task == "regression" else eighths),
                label=draw(some(label)),
                flag=draw(some(st.booleans())),
                w=draw(st.integers(1, 3)),
                at=at,
            )
        )
    return made


def ratio(pairs: Sequence[tuple[Number, Number]]) -> Number | None:
    """Sum of the first over sum of the second; None where that is 0."""
    top, bottom = sum((a for a, _ in pairs), Fraction()), sum((b for _, b in pairs), Fraction())
    return top / bottom if bottom > 0 else None


def labelled(rows: Sequence[Row]) -> list[tuple[Fraction, Fraction, int]]:
    """Score, label and weight of the labelled rows."""
    return [(row.score, row.label, row.w) for row in rows if row.label is not None]


def table(rows: Sequence[Row]) -> tuple[int, int, int, int]:
    """TP, FP, FN, TN by weight, of the labelled and decided rows."""

    def count(label: int, flag: bool) -> int:
        return sum(row.w for row in rows if row.label == label and row.flag is flag)

    return count(1, True), count(0, True), count(1, False), count(0, False)


def share(top: int, bottom: int) -> Fraction | None:
    return Fraction(top, bottom) if bottom else None


def f_beta(rows: Sequence[Row], beta: Fraction) -> Fraction | None:
    tp, fp, fn, _ = table(rows)
    bottom = (1 + beta**2) * tp + beta**2 * fn + fp
    return (1 + beta**2) * tp / bottom if bottom else None


def balanced(rows: Sequence[Row]) -> Fraction | None:
    tp, fp, fn, tn = table(rows)
    return (Fraction(tp, tp + fn) + Fraction(tn, tn + fp)) / 2 if tp + fn and tn + fp else None


def mcc(rows: Sequence[Row]) -> float | None:
    tp, fp, fn, tn = table(rows)
    bottom = (tp + fp) * (tp + fn) * (tn + fp) * (tn + fn)
    return (tp * tn - fp * fn) / sqrt(bottom) if bottom else None


def roc_auc(rows: Sequence[Row]) -> Fraction | None:
    pairs = [
        ((Fraction(int(a > b)) + Fraction(int(a == b), 2)) * v * w, v * w)
        for (a, y, v), (b, z, w) in product(labelled(rows), repeat=2)
        if y == 1 and z == 0
    ]
    return ratio(pairs)


def average_precision(rows: Sequence[Row]) -> Fraction | None:
    data = labelled(rows)
    positives = sum(w for _, y, w in data if y == 1)
    if not positives:
        return None
    value = Fraction()
    for at in {score for score, _, _ in data}:
        above = [(y, w) for score, y, w in data if score >= at]
        step = sum(w for score, y, w in data if score == at and y == 1)
        value += Fraction(step, positives) * Fraction(sum(w for y, w in above if y == 1), sum(w for _, w in above))
    return value


def ks(rows: Sequence[Row]) -> Fraction | None:
    data = labelled(rows)
    sizes = [sum(w for _, y, w in data if y == label) for label in (0, 1)]
    if not all(sizes):
        return None

    def reached(label: int, at: Fraction) -> Fraction:
        return Fraction(sum(w for score, y, w in data if y == label and score >= at), sizes[label])

    return max([Fraction(), *(reached(1, at) - reached(0, at) for at in {score for score, _, _ in data})])


def gain(rows: Sequence[Row]) -> Number | None:
    """Positives among the highest 30 % of rows; of a tie at the cut the part that fits."""
    data, found = labelled(rows), Fraction()
    room = Fraction(30 * sum(w for _, _, w in data), 100)
    for at in sorted({score for score, _, _ in data}, reverse=True):
        size = sum(w for score, _, w in data if score == at)
        taken = min(max(room, Fraction()), Fraction(size))
        found += taken / size * sum(w for score, y, w in data if score == at and y == 1)
        room -= size
    positives = sum(w for _, y, w in data if y == 1)
    return found / positives if positives else None


def lift(rows: Sequence[Row]) -> Number | None:
    value = gain(rows)
    return None if value is None else value * 100 / 30


def isotonic(data: Sequence[tuple[Fraction, Fraction, int]]) -> dict[Fraction, Fraction]:
    """The fit at each score: greatest over beginnings of the least over ends of the mean between them."""
    scores = sorted({score for score, _, _ in data})

    def mean(low: Fraction, high: Fraction) -> Fraction:
        inside = [(y * w, w) for score, y, w in data if low <= score <= high]
        return sum((a for a, _ in inside), Fraction()) / sum(b for _, b in inside)

    return {
        at: max(min(mean(low, high) for high in scores if high >= at) for low in scores if low <= at) for at in scores
    }


def brier_of(data: Sequence[tuple[Fraction, Fraction, int]], forecast: Callable[[Fraction], Fraction]) -> Fraction:
    return sum((w * (forecast(score) - y) ** 2 for score, y, w in data), Fraction()) / sum(w for _, _, w in data)


def corp(rows: Sequence[Row], part: str) -> Fraction | None:
    data = labelled(rows)
    if not data:
        return None
    fit, base = isotonic(data), sum((y * w for _, y, w in data), Fraction()) / sum(w for _, _, w in data)
    unc, best = brier_of(data, lambda _: base), brier_of(data, lambda score: fit[score])
    return {"mcb": brier_of(data, lambda score: score) - best, "dsc": unc - best, "unc": unc}[part]


def ece(rows: Sequence[Row]) -> Fraction | None:
    data = labelled(rows)
    if not data:
        return None
    gaps: dict[int, Fraction] = {}
    for score, y, w in data:
        place = min(int(score * 10), 9)
        gaps[place] = gaps.get(place, Fraction()) + w * (score - y)
    return sum((abs(gap) for gap in gaps.values()), Fraction()) / sum(w for _, _, w in data)


def smooth_ece(rows: Sequence[Row]) -> float | None:
    """The kernel summed over mirror images, the integral by the trapezoid rule, the bandwidth by halving."""
    data = labelled(rows)
    if not data:
        return None
    total, grid = sum(w for _, _, w in data), np.linspace(0, 1, 1001)
    masses: dict[float, float] = {}
    for score, y, w in data:
        masses[float(score)] = masses.get(float(score), 0.0) + float(w * (y - score) / total)
    places = np.array([m + sign * x for x in masses for m in (-4, -2, 0, 2, 4) for sign in (1, -1)])
    heights = np.repeat(list(masses.values()), 10) / np.sqrt(2 * np.pi)

    def integral(width: float) -> float:
        return (
            float(np.trapezoid(np.abs(np.exp(-(((grid[:, None] - places) / width) ** 2) / 2) @ heights), grid)) / width
        )

    low, high = 0.0, sum(abs(m) for m in masses.values())
    for _ in range(12):
        middle = (low + high) / 2
        low, high = (middle, high) if middle < 2e-3 or integral(middle) >= middle else (low, middle)
    return (low + high) / 2


def quantile(values: Sequence[tuple[Number, int]], percent: int) -> Number | None:
    """The smallest value with at least that share of the weight at or below it."""
    total = sum(w for _, w in values)
    reached = (x for x, _ in sorted(values) if 100 * sum(w for v, w in values if v <= x) >= percent * total)
    return next(reached) if values else None


def error_quantile(percent: int) -> Callable[[Sequence[Row]], Number | None]:
    return lambda rows: quantile([(abs(score - y), w) for score, y, w in labelled(rows)], percent)


def logged_quantile(column: str, percent: int) -> Callable[[Sequence[Row]], Number | None]:
    return lambda rows: quantile([(row.at[column], row.w) for row in rows if row.at[column] is not None], percent)  # pyright: ignore[reportArgumentType]


def status_share(status: str) -> Callable[[Sequence[Row]], Number | None]:
    def found(rows: Sequence[Row]) -> Number | None:
        said = [(str(row.at["status"]).strip().lower(), row.w) for row in rows if row.at["status"] is not None]
        return ratio([(int(one == status) * w, w) for one, w in said])

    return found


def column_sum(rows: Sequence[Row], column: str) -> Number:
    return sum((Fraction(row.at[column]) * row.w for row in rows if row.at[column] is not None), Fraction())  # pyright: ignore[reportArgumentType]


def loss(of: Callable[[Fraction, Fraction], Number]) -> Callable[[Sequence[Row]], Number | None]:
    """Weighted mean of a loss of score and label over the labelled rows."""
    return lambda rows: ratio([(of(score, y) * w, w) for score, y, w in labelled(rows)])


def log_loss(score: Fraction, label: Fraction) -> float:
    step = 2.0**-52
    p = min(max(float(score), step), 1 - step)
    return -log(p) if label == 1 else -log(1 - p)


def root(value: Number | None) -> float | None:
    return None if value is None else sqrt(value)


def mape(rows: Sequence[Row]) -> Number | None:
    data = labelled(rows)
    return None if any(y == 0 for _, y, _ in data) else ratio([(w * abs(s - y) / abs(y), w) for s, y, w in data])


def r2(rows: Sequence[Row]) -> Number | None:
    data = labelled(rows)
    mean = ratio([(w * y, w) for _, y, w in data])
    left = None if mean is None else ratio([(w * (s - y) ** 2, w * (y - mean) ** 2) for s, y, w in data])
    return None if left is None else 1 - left


def pinball(rows: Sequence[Row]) -> Number | None:
    def one(y: Fraction, q: Fraction) -> Fraction:
        return max(Fraction(9, 10) * (y - q), -Fraction(1, 10) * (y - q))

    return ratio([(row.w * one(row.label, row.at["score_p90"]), row.w) for row in rows if row.label is not None])  # pyright: ignore[reportArgumentType]


def covered(low: str | None) -> Callable[[Sequence[Row]], Number | None]:
    def found(rows: Sequence[Row]) -> Number | None:
        known = [row for row in rows if row.label is not None]
        inside = [row for row in known if row.label <= row.at["score_p90"] and (not low or row.label >= row.at[low])]  # pyright: ignore[reportOperatorIssue]
        return ratio([(row.w * int(row in inside), row.w) for row in known])

    return found


def of_lists(
    one: Callable[[list[int]], Number | None], *, top: int | None = None
) -> Callable[[Sequence[Row]], Number | None]:
    """Mean over requests of the mean over every order that the ties allow; requests whose labels do not decide are out.

    ``top``: only the labels of rows that can be among the first ``top`` must be known.
    """

    def key(row: Row) -> tuple[bool, object]:
        logged = row.at["position"]
        return (logged is None, -row.score if logged is None else logged)

    def orders(request: list[Row]) -> list[list[Row]]:
        ties = [list(tie) for _, tie in groupby(sorted(request, key=key), key=key)]  # pyright: ignore[reportArgumentType]
        return [[row for tie in order for row in tie] for order in product(*(permutations(tie) for tie in ties))]

    def found(rows: Sequence[Row]) -> Number | None:
        pairs = []
        for name in sorted({str(row.at["request_id"]) for row in rows}):
            request = [row for row in rows if row.at["request_id"] == name]
            every = orders(request)
            if any(row.label is None for order in every for row in order[:top]):
                continue
            values = [one([0 if row.label is None else int(row.label) for row in order]) for order in every]
            weight = Fraction(sum(row.w for row in request), len(request))
            if None not in values:
                pairs.append((weight * sum(values, Fraction()) / len(values), weight))  # pyright: ignore[reportCallIssue, reportArgumentType]
        return ratio(pairs)

    return found


def reciprocal(k: int | None) -> Callable[[list[int]], Number]:
    return lambda labels: Fraction(1, labels.index(1) + 1) if 1 in labels[:k] else Fraction()


def ndcg(labels: list[int]) -> Number:
    def gain(order: list[int]) -> float:
        return sum(label / log2(rank + 2) for rank, label in enumerate(order[:2]))

    return gain(labels) / gain(sorted(labels, reverse=True)) if any(labels) else 0.0


def worth(rows: Sequence[Row]) -> Number | None:
    tp, fp, fn, tn = table(rows)
    counts = {"true_positive": tp, "false_positive": fp, "false_negative": fn, "true_negative": tn}
    return ratio([(VALUE[name] * count, count) for name, count in counts.items()])


def expected(rows: Sequence[Row]) -> Number | None:
    pairs = []
    for row in rows:
        if row.flag is not None:
            one, zero = ("true_positive", "false_positive") if row.flag else ("false_negative", "true_negative")
            pairs.append((row.w * (row.score * VALUE[one] + (1 - row.score) * VALUE[zero]), row.w))
    return ratio(pairs)


BRUTE: dict[str, Callable[[Sequence[Row]], Number | None]] = {
    "recall": lambda rows: share(table(rows)[0], table(rows)[0] + table(rows)[2]),
    "precision": lambda rows: share(table(rows)[0], table(rows)[0] + table(rows)[1]),
    "specificity": lambda rows: share(table(rows)[3], table(rows)[3] + table(rows)[1]),
    "false_positive_rate": lambda rows: share(table(rows)[1], table(rows)[3] + table(rows)[1]),
    "npv": lambda rows: share(table(rows)[3], table(rows)[3] + table(rows)[2]),
    "accuracy": lambda rows: share(table(rows)[0] + table(rows)[3], sum(table(rows))),
    "f1": lambda rows: f_beta(rows, Fraction(1)),
    "f0_5": lambda rows: f_beta(rows, Fraction(1, 2)),
    "f2": lambda rows: f_beta(rows, Fraction(2)),
    "balanced_accuracy": balanced,
    "mcc": mcc,
    "base_rate": lambda rows: ratio([(y * w, w) for _, y, w in labelled(rows)]),
    "flag_rate": lambda rows: ratio([(int(row.flag) * row.w, row.w) for row in rows if row.flag is not None]),
    "availability": lambda rows: ratio([(int(row.label is not None) * row.w, row.w) for row in rows]),
    "brier": loss(lambda s, y: (s - y) ** 2),
    "log_loss": loss(log_loss),
    "mae": loss(lambda s, y: abs(s - y)),
    "bias": loss(lambda s, y: s - y),
    "rmse": lambda rows: root(loss(lambda s, y: (s - y) ** 2)(rows)),
    "roc_auc": roc_auc,
    "average_precision": average_precision,
    "ks_classes": ks,
    "gain@30": gain,
    "lift@30": lift,
    "mcb": lambda rows: corp(rows, "mcb"),
    "dsc": lambda rows: corp(rows, "dsc"),
    "unc": lambda rows: corp(rows, "unc"),
    "ece": ece,
    "smooth_ece": smooth_ece,
    "mape": mape,
    "wape": lambda rows: ratio([(w * abs(s - y), w * abs(y)) for s, y, w in labelled(rows)]),
    "r2": r2,
    **{f"error_p{percent}": error_quantile(percent) for percent in (50, 90, 95, 99)},
    "pinball@90": pinball,
    "quantile_coverage@90": covered(None),
    "interval_coverage@80": covered("score_p10"),
    "ctr": loss(lambda _, y: y),
    "ctr_calibration": lambda rows: ratio([(w * y, w * s) for s, y, w in labelled(rows)]),
    "mrr": of_lists(reciprocal(None)),
    "mrr@2": of_lists(reciprocal(2), top=2),
    "hit_rate@2": of_lists(lambda labels: int(any(labels[:2])), top=2),
    "precision@2": of_lists(lambda labels: Fraction(sum(labels[:2]), 2), top=2),
    "recall@2": of_lists(lambda labels: share(sum(labels[:2]), sum(labels))),
    "ndcg@2": of_lists(ndcg),
    **{
        f"latency_{part}p{percent}": logged_quantile(f"latency_{part}ms", percent)
        for part in ("", "feature_", "inference_", "post_")
        for percent in (50, 90, 95, 99)
    },
    **{f"{status}_share": status_share(status) for status in ("ok", "timeout", "fallback", "error")},
    "volume": lambda rows: sum(row.w for row in rows) or None,
    "amount_per_prediction": lambda rows: ratio(
        [(w * (row.at["amount"] or 0), w) for row in rows if row.label is not None for w in [row.w]]
    ),  # pyright: ignore[reportOperatorIssue]
    "spend": lambda rows: column_sum(rows, "cost") if any(row.at["cost"] is not None for row in rows) else None,
    "cost_per_1000": lambda rows: ratio(
        [(1000 * row.at["cost"] * row.w, row.w) for row in rows if row.at["cost"] is not None]
    ),  # pyright: ignore[reportOperatorIssue]
    "spend_share": lambda rows: ratio([(column_sum(rows, "cost"), column_sum(rows, "amount"))]),
    "value_per_prediction": worth,
    "expected_value": expected,
}
