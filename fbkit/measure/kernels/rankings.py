"""How good are ranked lists: NDCG, reciprocal rank, hits, precision and recall at k per request, clicks by position."""

import threading
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Final
from weakref import ReferenceType, ref

import numpy as np
import polars as pl
from numpy.typing import NDArray

from fbkit.measure.kernels.made import POSITION, REQUEST
from fbkit.measure.kinds import Cell, Cellwise, Found, S, Total, W, Y
from fbkit.measure.stats.intervals import Array, mean_by_variance, proportion_by_variance, ratio_variance, wilson
from fbkit.measure.stats.per_unit import CLUSTERED, numbers_of
from fbkit.schema.contract import Contract

RANKING: Final = ("ranking",)
Ints = NDArray[np.int64]
_y, _s, _w = pl.col(Y), pl.col(S), pl.col(W)
# A grade of relevance is one click at most; a label that is part known stays a fraction.
_clicked = _y.clip(0.0, 1.0)
NO_REQUEST: Final = "no request is labelled far enough"


@dataclass(frozen=True, slots=True, kw_only=True)
class Lists:
    """The rows of a cell by request and rank. ``starts`` are the first rows of the requests, ``rank`` counts from 0.

    Rows at the same place (equal scores, equal positions) form a tie; ``tie`` numbers them, ``ties`` are their first
    rows. ``label`` is NaN for an unlabelled row. ``cluster`` is the requests' entity, None where it is their own.
    """

    starts: Ints
    sizes: Ints
    request: Ints
    rank: Ints
    tie: Ints
    ties: Ints
    label: Array
    weight: Array
    cluster: Ints | None

    @classmethod
    def of(
        cls, *, request: Ints, key: Array, label: Array, weight: Array | None = None, cluster: Ints | None = None
    ) -> "Lists":
        """Sort rows by request and falling ``key``; a request's weight is its rows' mean, its entity the first's."""
        order = np.lexsort((-key, request))
        code, place = request[order], key[order]
        new = _changes(code)
        starts = np.flatnonzero(new)
        sizes = np.diff(np.append(starts, len(code)))
        tied = new | _changes(place)
        mass = np.ones_like(place) if weight is None else weight[order]
        owner = None if cluster is None else cluster[order][starts]
        return cls(
            starts=starts,
            sizes=sizes,
            request=np.cumsum(new) - 1,
            rank=np.arange(len(code)) - np.repeat(starts, sizes),
            tie=np.cumsum(tied) - 1,
            ties=np.flatnonzero(tied),
            label=label[order],
            weight=by_start(mass, starts) / sizes,
            cluster=owner if owner is not None and len(np.unique(owner)) < len(starts) else None,
        )

    def per_request(self, values: Array) -> Array:
        """Sum over each request."""
        return by_start(values, self.starts)

    def shared(self, values: Array) -> Array:
        """The values of a tie's places, shared equally by its rows: what a random order of them gives on average."""
        sizes = np.diff(np.append(self.ties, len(values)))
        return (by_start(values, self.ties) / sizes)[self.tie]


def _changes(values: Array | Ints) -> NDArray[np.bool_]:
    changed = np.ones(len(values), dtype=bool)
    np.not_equal(values[1:], values[:-1], out=changed[1:])
    return changed


def by_start(values: Array, starts: Ints) -> Array:
    """Sums of runs that begin at ``starts``."""
    return np.add.reduceat(values, starts) if len(starts) else np.zeros(0)


# One number per request (NaN = not defined), given the labels as they are taken to be, and k.
PerRequest = Callable[[Lists, Array, int], Array]


def ndcg(lists: Lists, label: Array, k: int) -> Array:
    """Discounted gain of the top k over that of the best order; 0 where nothing is relevant, as scikit-learn has it.

    Gain = label, discount 1 / log2(1 + rank) (Jarvelin and Kekalainen 2002, doi:10.1145/582415.582418); a tie counts as
    the mean over its orders (McSherry and Najork 2008). A negative label has no gain: NaN.
    """
    discount = np.where(lists.rank < k, 1 / np.log2(lists.rank + 2.0), 0.0)
    got = lists.per_request(lists.shared(discount) * label)
    best = label[np.lexsort((-label, lists.request))]
    ideal = lists.per_request(discount * best)
    negative = lists.per_request((label < 0).astype(np.float64)) > 0
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.where(negative, np.nan, np.where(ideal > 0, got / ideal, 0.0))


def reciprocal_rank(lists: Lists, label: Array, k: int) -> Array:
    """1 / rank of the first relevant row (label above 0), 0 without one in the top k; of ties their orders' mean."""
    relevant = label > 0
    first = np.full(len(lists.starts), len(label))
    np.minimum.at(first, lists.request[relevant], np.flatnonzero(relevant))
    found = first < len(label)
    value = np.zeros(len(lists.starts))
    at = lists.tie[first[found]]
    start = lists.ties[at]
    size = np.diff(np.append(lists.ties, len(label)))[at]
    hits = by_start(relevant.astype(np.float64), lists.ties)[at]
    value[found] = _first_of_tie(lists.rank[start], size, hits, k)
    return value


def _first_of_tie(rank: Ints, size: Ints, hits: Array, k: int) -> Array:
    """Mean reciprocal rank of the first of ``hits`` relevant rows among ``size`` in random order from ``rank`` on."""
    value = np.zeros(len(rank))
    none_yet = np.ones(len(rank))  # chance that no relevant row came before
    for step in range(int(size.max(initial=0))):
        left = size - step
        with np.errstate(invalid="ignore", divide="ignore"):
            chance = np.where(left > 0, np.minimum(hits / np.maximum(left, 1), 1.0), 0.0)
        value += np.where(rank + step < k, none_yet * chance / (rank + step + 1), 0.0)
        none_yet = none_yet * (1 - chance)
        if not none_yet.any():
            break
    return value


def hits(lists: Lists, label: Array, k: int) -> Array:
    """1 if the top k holds a relevant row, else 0; where a tie crosses the cut, the share of its orders that do."""
    relevant = (label > 0).astype(np.float64)
    size = np.diff(np.append(lists.ties, len(label)))
    inside = np.clip(k - lists.rank[lists.ties], 0, size)
    good = by_start(relevant, lists.ties)
    request = lists.request[lists.ties]
    missed = np.zeros(len(lists.starts))
    np.add.at(missed, request, _log_miss(size, good, inside))
    return -np.expm1(missed)


def _log_miss(size: Ints, good: Array, inside: Ints) -> Array:
    """Log chance that ``inside`` rows drawn from ``size``, ``good`` of them relevant, hold none that is relevant."""
    from scipy.special import gammaln  # a tenth of a second to import, for questions that need it

    bad = size - good
    possible = inside <= bad
    drawn = np.where(possible, inside, 0.0)
    log = gammaln(bad + 1) - gammaln(bad - drawn + 1) + gammaln(size - drawn + 1) - gammaln(size + 1.0)
    return np.where(possible, log, -np.inf)


def precision(lists: Lists, label: Array, k: int) -> Array:
    """Relevant rows in the top k, over k (a list shorter than k cannot reach 1)."""
    return _found(lists, label, k) / k


def recall(lists: Lists, label: Array, k: int) -> Array:
    """Relevant rows in the top k, over all relevant rows of the request; NaN where nothing is relevant."""
    every = lists.per_request((label > 0).astype(np.float64))
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.where(every > 0, _found(lists, label, k) / every, np.nan)


def _found(lists: Lists, label: Array, k: int) -> Array:
    inside = lists.shared((lists.rank < k).astype(np.float64))
    return lists.per_request(inside * (label > 0))


@dataclass(frozen=True, slots=True, kw_only=True)
class Kind:
    """A measure of lists. ``whole``: it needs the labels of all rows, not of the top k only; ``rises`` with labels."""

    fn: PerRequest
    whole: bool = False
    rises: bool = True
    counts: bool = False


KINDS: Final = {
    "ndcg": Kind(fn=ndcg, whole=True, rises=False),
    "mrr": Kind(fn=reciprocal_rank),
    "hit_rate": Kind(fn=hits, counts=True),
    "precision": Kind(fn=precision),
    "recall": Kind(fn=recall, whole=True, rises=False),
}


def place(position: Array, score: Array) -> Array:
    """What rows are ranked by, highest first: the logged position, and the score where none is logged."""
    shown = ~np.isnan(position)
    if not shown.any():
        return score
    first, then = np.where(shown, position, np.inf), np.where(shown, 0.0, -score)
    order = np.lexsort((then, first))
    key = np.empty_like(score)
    key[order] = -np.cumsum(_changes(first[order]) | _changes(then[order])).astype(np.float64)
    return key


class _Latest(threading.local):
    """The lists of the cell that this thread looked at last: each of its measures asks for them in turn."""

    rows: "tuple[ReferenceType[object], ...]" = ()
    lists: Lists | None = None


_latest = _Latest()


def lists_of(cell: Cell) -> Lists:
    """The rows of a cell as ranked lists."""
    rows = (cell.score, cell.label, cell.columns[REQUEST], cell.columns[POSITION])
    if _latest.lists is not None and all(held() is part for held, part in zip(_latest.rows, rows, strict=True)):
        return _latest.lists
    position = cell.columns[POSITION].cast(pl.Float64, strict=False).to_numpy()
    lists = Lists.of(
        request=numbers_of(cell.columns[REQUEST]),
        key=place(position, cell.score),
        label=cell.label,
        weight=cell.weight,
        cluster=cell.cluster,
    )
    _latest.rows, _latest.lists = tuple(ref(part) for part in rows), lists
    return lists


def measure_lists(cell: Cell, level: float, *, kind: Kind, k: int) -> Found:
    """Mean over the requests whose labels suffice, its interval from the requests, and the worst case over all."""
    lists = lists_of(cell)
    if not len(lists.starts):
        return Found(np.nan)
    deciding = np.ones(len(lists.label), dtype=bool) if kind.whole else lists.rank[lists.ties][lists.tie] < k
    unknown = lists.per_request((np.isnan(lists.label) & deciding).astype(np.float64)) > 0
    values = kind.fn(lists, np.nan_to_num(lists.label), k)
    values = np.where(unknown, np.nan, values)
    least = greatest = np.nan
    if kind.rises:
        least = float(np.average(kind.fn(lists, np.nan_to_num(lists.label, nan=0.0), k), weights=lists.weight))
        greatest = float(np.average(kind.fn(lists, np.nan_to_num(lists.label, nan=1.0), k), weights=lists.weight))
    return request_mean(values, lists, level, counts=kind.counts)._replace(bound_lower=least, bound_upper=greatest)


def request_mean(values: Array, lists: Lists, level: float, *, counts: bool) -> Found:
    """Mean of one number in 0..1 per request (NaN = left out), with the requests, or their entities, as units."""
    known = ~np.isnan(values)
    weight = np.where(known, lists.weight, 0.0)
    if not weight.sum() > 0:
        return Found(np.nan)
    codes = np.arange(len(values)) if lists.cluster is None else np.unique(lists.cluster, return_inverse=True)[1]
    top = np.bincount(codes, weights=weight * np.nan_to_num(values))
    bottom = np.bincount(codes, weights=weight)
    top, bottom = top[bottom > 0], bottom[bottom > 0]
    value, units, rows = float(top.sum() / bottom.sum()), len(bottom), int(known.sum())
    variance = ratio_variance(top.sum(), bottom.sum(), top @ top, top @ bottom, bottom @ bottom, units=units)
    name = CLUSTERED if units < rows else ""
    if counts and not name and np.all(weight[known] == 1) and np.isin(values[known], (0.0, 1.0)).all():
        lower, upper = wilson(top.sum(), rows, level=level)
        return Found(value, float(lower), float(upper), method="Wilson over requests")
    if counts or not float(variance) > 0:
        lower, upper = proportion_by_variance(value, variance, rows, units=units, level=level)
        return Found(value, float(lower), float(upper), method=f"{name}Wilson (effective n) over requests")
    lower, upper = mean_by_variance(value, variance, units=units, level=level, low=0.0, high=1.0)
    return Found(value, float(lower), float(upper), method=f"{name}Student t over requests")


def at_k(name: str, k: int | None) -> Cellwise:
    """The measure ``name@k``; without k, of the whole list."""
    kind = KINDS[name]
    return Cellwise(
        name=name if k is None else f"{name}@{k}",
        fn=partial(measure_lists, kind=kind, k=np.iinfo(np.int64).max if k is None else k),
        rows="all",
        bounded=kind.rises,
        empty=NO_REQUEST,
        tasks=RANKING,
        columns=(REQUEST, POSITION),
    )


def click_calibration(contract: Contract) -> Total:
    """Clicks over the clicks that the scores announced: 1 if calibrated, above 1 if the scores are too low."""
    kind = contract.predictions.score_kind
    probable = (_s >= 0) & (_s <= 1)
    return Total(
        name="ctr_calibration",
        needs="rows",
        kind="mean",
        numerator=_w * _clicked,
        denominator=pl.when(probable).then(_w * _s).otherwise(pl.when(_w > 0).then(float("nan"))),
        floor=0.0,
        tasks=RANKING,
        empty="no click was announced, or a score is no probability",
        unavailable=None if kind == "probability" else "scores are not probabilities",
    )


MEASURES: Final = (
    Total(name="ctr", needs="rows", numerator=_w * _clicked, denominator=_w, tasks=RANKING),
    at_k("mrr", None),
)
FAMILIES: Final = {name: partial(at_k, name) for name in KINDS}
FROM_CONTRACT: Final = {"ctr_calibration": click_calibration}
