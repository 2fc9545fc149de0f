"""Where: which decision, score and slice lost labels; which slice carries the remainder."""

import numpy as np
import polars as pl
from scipy.special import chdtrc, ndtr

from fbkit.diagnose.bootstrap import Floats, Ints, Resampler, interval, standard_error
from fbkit.diagnose.cells import Cells, count
from fbkit.diagnose.correction import corrected
from fbkit.diagnose.labels import Labels
from fbkit.diagnose.metric import Masses, evaluate
from fbkit.diagnose.replay import Stage
from fbkit.diagnose.rows import CURRENT, REFERENCE, WINDOWS, Encoded, Flags, Rows, cross
from fbkit.diagnose.settings import SETTINGS, Settings
from fbkit.measure.stats.intervals import holm, quantile, wilson

DECISIONS = ("not flagged", "flagged")


def availability_by_decision(rows: Rows) -> pl.DataFrame:
    """decision ("flagged", "not flagged", "all"), window, n, n_labelled, availability, lower, upper."""
    found: list[dict[str, object]] = []
    for name, mask in _decisions(rows):
        for window in (REFERENCE, CURRENT):
            mine = mask & rows.of(window)
            found.append({"decision": name, "window": WINDOWS[window], **_share(rows, mine)})
    return pl.DataFrame(found, infer_schema_length=None)


def _decisions(rows: Rows) -> list[tuple[str, Flags]]:
    return [
        ("flagged", rows.decision == 1),
        ("not flagged", rows.decision == 0),
        ("all", np.ones(len(rows), dtype=bool)),
    ]


def _share(rows: Rows, mine: Flags) -> dict[str, object]:
    return _rate(int((mine & rows.labelled).sum()), int(mine.sum()))


def _rate(k: int, n: int) -> dict[str, object]:
    if n == 0:
        return {"n": 0, "n_labelled": 0, "availability": None, "lower": None, "upper": None}
    low, high = wilson(k, n, level=SETTINGS.level)
    return {"n": n, "n_labelled": k, "availability": k / n, "lower": float(low), "upper": float(high)}


def availability_by_slice(rows: Rows, encoded: Encoded) -> pl.DataFrame:
    """column, value, window, flagged, n, n_labelled, availability, lower, upper, ratio (current / reference)."""
    found: list[dict[str, object]] = []
    for column, (values, code) in encoded.items():
        for name, mask in _decisions(rows):
            table = _tally(rows, code, mask, size=len(values))
            for index, value in enumerate(values):
                cells = [_rate(int(table[w, 1, index]), int(table[w, :, index].sum())) for w in (REFERENCE, CURRENT)]
                ratio = _ratio(cells[CURRENT]["availability"], cells[REFERENCE]["availability"])
                found += [
                    {
                        "column": column,
                        "value": value,
                        "window": WINDOWS[w],
                        "flagged": name,
                        **cells[w],
                        "ratio": ratio,
                    }
                    for w in (REFERENCE, CURRENT)
                ]
    return pl.DataFrame(found, schema=SLICE_SCHEMA, infer_schema_length=None)


SLICE_SCHEMA = {
    "column": pl.String,
    "value": pl.String,
    "window": pl.String,
    "flagged": pl.String,
    "n": pl.Int64,
    "n_labelled": pl.Int64,
    "availability": pl.Float64,
    "lower": pl.Float64,
    "upper": pl.Float64,
    "ratio": pl.Float64,
}


def _tally(rows: Rows, code: Ints, mask: Flags, *, size: int) -> Floats:
    key = (rows.window * 2 + rows.labelled) * size + code
    return np.bincount(key[mask], minlength=4 * size).reshape(2, 2, size).astype(np.float64)


def _ratio(current: object, reference: object) -> float | None:
    if not isinstance(current, float) or not isinstance(reference, float) or reference == 0:
        return None
    return current / reference


def availability_by_score(rows: Rows, bin_of: Ints, edges: Floats) -> pl.DataFrame:
    """score_lower, score_upper, window, n, n_labelled, availability; outer edges are the extreme scores."""
    bins = len(edges) + 1
    outer = np.concatenate([[rows.score.min()], edges, [rows.score.max()]])
    table = _tally(rows, bin_of, np.ones(len(rows), dtype=bool), size=bins)
    found: list[dict[str, object]] = []
    for index in range(bins):
        for window in (REFERENCE, CURRENT):
            n, k = int(table[window, :, index].sum()), int(table[window, 1, index])
            found.append(
                {
                    "score_lower": float(outer[index]),
                    "score_upper": float(outer[index + 1]),
                    "window": WINDOWS[window],
                    "n": n,
                    "n_labelled": k,
                    "availability": k / n if n else None,
                }
            )
    return pl.DataFrame(found, infer_schema_length=None)


def where_labels_went(by_slice: pl.DataFrame, by_decision: pl.DataFrame, *, fewest: int = 50) -> str:
    """The decision and the slice values whose label rate fell most against the others, in words.

    The column is the one whose values' ratios (current over reference) differ beyond chance (chi-square of their
    logarithms, times the number of columns) and by more than ``Settings.spread``, the least probable of several.
    """
    decision = _decision_hit(by_decision)
    side = by_slice.filter((pl.col("flagged") == (decision or "all")) & (pl.col("n") >= fewest))
    columns = side["column"].n_unique()
    hit: list[str] = []
    least = SETTINGS.slice_p
    for (column,), part in side.drop_nulls("ratio").group_by("column", maintain_order=True):
        found = _ratios(part)
        ratios = found["ratio"].to_numpy()
        if found.height < 2 or ratios.max() - ratios.min() <= SETTINGS.spread:
            continue
        p = _uneven(found) * columns
        if p < least:
            least = p
            low = found.filter(pl.col("ratio") < float(ratios.max() + ratios.min()) / 2)
            hit = [f"{column}={value}" for value in low.sort("ratio", "value")["value"]]
    place = _listed(hit)
    if decision is None:
        return place or "everywhere"
    return f"{place}, {decision} rows" if place else f"{decision} rows"


def _ratios(part: pl.DataFrame) -> pl.DataFrame:
    """value, ratio and the variance of its logarithm; values without rows enough in a window are left out."""
    k, n = pl.col("n_labelled"), pl.col("n")
    # Half a row keeps the variance of a value that lost none, or all, above 0.
    noise = ((n - k + 0.5) / ((k + 0.5) * n)).sum().alias("variance")
    both = part.group_by("value", maintain_order=True).agg(pl.col("ratio").first(), noise, pl.len())
    return both.filter(pl.col("len") == len(WINDOWS))


def _uneven(found: pl.DataFrame) -> float:
    """p-value of "all values kept the same share of their labels"."""
    log_ratio = np.log(np.maximum(found["ratio"].to_numpy(), 1e-6))
    weight = 1 / found["variance"].to_numpy()
    mean = float(np.average(log_ratio, weights=weight))
    return float(chdtrc(len(log_ratio) - 1, (weight * (log_ratio - mean) ** 2).sum()))


def _listed(places: list[str], *, most: int = 3) -> str:
    """Up to three names, then how many more.

    >>> _listed(["a=1", "a=2", "a=3", "a=4"])
    'a=1, a=2, a=3 and 1 more'
    """
    if len(places) > most:
        return f"{', '.join(places[:most])} and {len(places) - most} more"
    return " and ".join(places)


def _decision_hit(by_decision: pl.DataFrame) -> str | None:
    ratio: dict[str, float] = {}
    for name in DECISIONS:
        part = by_decision.filter(pl.col("decision") == name)
        value = _ratio(*(part.filter(pl.col("window") == w)["availability"].item() for w in ("current", "reference")))
        if value is None:
            return None
        ratio[name] = value
    low, high = sorted(ratio, key=lambda name: ratio[name])
    return low if ratio[high] - ratio[low] > SETTINGS.spread else None


def remainder_by_slice(
    rows: Rows,
    labels: Labels,
    encoded: Encoded,
    *,
    metric: str,
    bin_of: Ints,
    bins: int,
    resampler: Resampler,
    settings: Settings,
    minimum: int,
) -> pl.DataFrame:
    """Corrected current metric of each slice minus what the reference's rates lead one to expect on its rows.

    Columns column, value, remainder, lower, upper, p_value, p_adjusted (Holm over all values), n_labelled.
    Values with fewer labelled current rows than ``minimum`` or without an interval have nulls.
    """
    found: list[dict[str, object]] = []
    for column, (values, _) in encoded.items():
        strata = cross([column], encoded, rows=len(rows))
        cells = count(rows, labels, strata, bin_of=bin_of, bins=bins, resampler=resampler)
        gap = _gap(cells, metric=metric, thin=settings.thin_cell)
        labelled = (cells.n1 + cells.n0)[0, CURRENT].sum((0, 1))
        found += [
            {
                "column": column,
                "value": value,
                **_entry(gap[:, i], labels=int(labelled[i]), minimum=minimum, level=settings.level),
            }
            for i, value in enumerate(values)
        ]
    schema = {"column": pl.String, "value": pl.String} | dict.fromkeys(
        ("remainder", "lower", "upper", "p_value"), pl.Float64
    )
    frame = pl.DataFrame(found, schema=schema | {"n_labelled": pl.Int64}, infer_schema_length=None)
    adjusted = holm(frame["p_value"].fill_null(float("nan")).to_numpy())
    return frame.with_columns(pl.Series("p_adjusted", adjusted, nan_to_null=True)).select(
        "column", "value", "remainder", "lower", "upper", "p_value", "p_adjusted", "n_labelled"
    )


def _gap(cells: Cells, *, metric: str, thin: int) -> Floats:
    """(draws + 1, strata): corrected minus expected, each stratum on its own."""
    stage = Stage.of(cells, metric=metric, thin=thin)
    found = corrected(cells, thin=thin)
    n = cells.n[:, CURRENT]
    expected = Masses(
        n * stage.rate[:, None], n * (1 - stage.rate[:, None]), None if stage.loss is None else n * stage.loss[:, None]
    )
    now = Masses(
        found.positive[:, CURRENT], found.negative[:, CURRENT], None if found.loss is None else found.loss[:, CURRENT]
    )
    return evaluate(metric, _each(now)) - evaluate(metric, _each(expected))


def _each(masses: Masses) -> Masses:
    """Put the stratum before the cell axes and leave an axis of length 1 in its place."""

    def move(table: Floats) -> Floats:
        return np.moveaxis(table, -1, 1)[..., None]

    return Masses(move(masses.positive), move(masses.negative), None if masses.loss is None else move(masses.loss))


def _entry(gap: Floats, *, labels: int, minimum: int, level: float) -> dict[str, object]:
    error = standard_error(gap)
    if labels < minimum or error is None or error == 0 or not np.isfinite(gap[0]):
        return {"remainder": None, "lower": None, "upper": None, "p_value": None, "n_labelled": labels}
    value, lower, upper = interval(gap, level=level)
    p = float(2 * ndtr(-abs(gap[0]) / error))
    return {"remainder": value, "lower": lower, "upper": upper, "p_value": p, "n_labelled": labels}


# The values of a column that are not named must have moved less than the first share of the named ones' change, or
# less than the second and no more than chance.
LITTLE, REST, CHANCE = 0.1, 0.5, 2.0


def where_remainder(frame: pl.DataFrame, *, total: float) -> str:
    """Slice values that carry the remainder, or "everywhere" if no column is uneven.

    Named are values beyond chance (Holm over all values) that moved further than their column's mean, in the column
    that is most uneven (chi-square, times the number of columns); and only if the column's other values moved less
    than half as far: a change of all of them that is stronger in some is everywhere.
    """
    best: tuple[float, list[str]] = (0.01, [])
    columns = frame["column"].n_unique()
    for (column,), part in frame.drop_nulls("p_value").group_by("column", maintain_order=True):
        if part.height < 2:
            continue
        value, weight = _weighted(part)
        mean = float(np.average(value, weights=weight))
        p = float(chdtrc(part.height - 1, (weight * (value - mean) ** 2).sum())) * columns
        named = (part["p_adjusted"] < 0.05).to_numpy() & (value * np.sign(total) > abs(mean))
        if p < best[0] and named.any() and _carried(value, weight, named):
            ranked = part.filter(pl.Series(named)).sort("p_value", "value")
            best = (p, [f"{column}={v}" for v in ranked["value"]])
    return _listed(best[1]) if best[1] else "everywhere"


def _weighted(part: pl.DataFrame) -> tuple[Floats, Floats]:
    """Remainders and inverse variances."""
    error = np.maximum((part["upper"] - part["lower"]).to_numpy() / (2 * quantile(SETTINGS.level)), 1e-12)
    return part["remainder"].to_numpy(), 1 / error**2


def _carried(value: Floats, weight: Floats, named: Flags) -> bool:
    """Whether the others stayed where they were, or nearly."""
    if named.all():
        return False
    inside, rest = (float(np.average(value[mask], weights=weight[mask])) for mask in (named, ~named))
    share, error = rest * np.sign(inside) / abs(inside), 1 / np.sqrt(weight[~named].sum())
    return bool(share < LITTLE or (share < REST and rest * np.sign(inside) < CHANCE * error))
