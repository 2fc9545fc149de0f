"""Statements about one prediction that disagree, in bulk: what was said before the batch counts again."""

from dataclasses import dataclass
from typing import Final

import numpy as np
import polars as pl
from scipy.special import pdtrc

from fbkit.diagnose import words
from fbkit.diagnose.bootstrap import Floats, Ints
from fbkit.diagnose.counting import DIFFERS_P, place, two_shares
from fbkit.diagnose.labels import Labels, Repair
from fbkit.diagnose.rows import CURRENT, REFERENCE, WINDOWS, Flags, Rows
from fbkit.diagnose.scene import Scene
from fbkit.diagnose.settings import OwnName, is_mean_of_values

CAUSE: Final = "label_conflict"
LEAST_RATIO: Final = 3.0
"""By which ratio the share of contradicted labels must exceed the reference's."""
LEAST_SHARE: Final = 0.002
"""Share of the current labels that must be contradicted."""
BATCH_P: Final = 1e-4
"""p-value beyond which the contradictions that one source sends on one day are a batch."""
BATCHES_SHARE: Final = 0.5
"""Share of the excess that the batches must hold; else it is spread thin, and all that these sources send counts."""
MOSTLY: Final = 4.0
"""Ratio to its usual rate from which on nearly all that a source contradicts belongs to the batch."""
BETTER_FIT: Final = 6.0
"""Log likelihood of the scores by which the later labels must fit better to be taken for true corrections."""
BACKFILL: Final = "backfill"
NEXT: Final = "Batch id or source of the later statements, and twenty of these predictions labelled once more by hand."
_TELLING: Final = ("used", "superseded", "conflicting_label")


@dataclass(frozen=True, slots=True, kw_only=True)
class _Conflicts:
    """One entry per contradicted prediction of the windows.

    ``at`` is its row; ``last`` the label that counts now (NaN if none); ``first`` what the contract's rule makes of the
    other statements, backfills aside (NaN if undecided): of two the earlier one. ``day`` and ``source`` are those of
    the statement that counts now (the latest if none does).
    """

    at: Ints
    first: Floats
    last: Floats
    day: Ints
    source: Ints
    sources: tuple[str, ...]


def label_conflict(scene: Scene, labels: Labels) -> Repair | None:
    """Set the later label aside where contradictions come in bulk; None when the join kept no statements.

    Fires if the share of contradicted labels is several times the reference's. Set aside are only the contradictions of
    batches (one source, one day of arrival, far more of them than that source usually sends); corrections that arrive
    at the usual rate stay, and so do batches whose labels fit the scores better than what they correct. Corrections
    that would have come anyway cannot be told from the rest of their batch: its labels are fractional.
    """
    pairs = getattr(scene.joined, "pairs", None)
    if pairs is None or isinstance(scene.metric, OwnName) or scene.joined.contract.label.combine != "one":
        return None
    found = _conflicts(scene, pairs.lazy())
    labelled = [int((scene.rows.labelled & scene.rows.of(window)).sum()) for window in (REFERENCE, CURRENT)]
    hit = [int((scene.rows.window[found.at] == window).sum()) for window in (REFERENCE, CURRENT)]
    p = two_shares(hit[REFERENCE], max(labelled[REFERENCE], 1), hit[CURRENT], max(labelled[CURRENT], 1))
    share = (hit[REFERENCE] / max(labelled[REFERENCE], 1), hit[CURRENT] / max(labelled[CURRENT], 1))
    moved = share[CURRENT] > max(LEAST_RATIO * share[REFERENCE], LEAST_SHARE) and p is not None and p < DIFFERS_P
    if not moved:
        return Repair(cause=CAUSE, labels=labels, fires=False, numbers=_numbers(share, p))
    batch, anyway = _batches(scene, found)
    fits = _later_fits(scene, found)
    gain = float(fits[batch].sum()) if (fits[batch] != 0).any() else None
    undone = batch & np.isfinite(found.first) & ~(found.first == found.last)
    worse = gain is not None and gain > BETTER_FIT
    fires = bool(undone.any()) and not worse
    changed = np.zeros(len(scene.rows), dtype=bool)
    changed[found.at[undone]] = True
    values = np.full(len(scene.rows), np.nan)
    values[found.at] = _believed(found, anyway, fits)
    return Repair(
        cause=CAUSE,
        labels=labels.with_labels(changed, values[changed]) if fires else labels,
        fires=fires,
        where=place(scene, changed, among=scene.rows.labelled),
        evidence=_sentence(share, found, batch, undone if fires else np.zeros_like(undone)),
        next_evidence=NEXT,
        frame=_frame(found, batch, undone, rows=scene.rows),
        numbers={**_numbers(share, p), **_more(batch, undone, gain)},
        best="established" if gain is None or gain < -BETTER_FIT else "probable",
        reason=_reason(undone, worse=worse),
    )


def _conflicts(scene: Scene, pairs: pl.LazyFrame) -> _Conflicts:
    """Only predictions with several statements are looked at; those are few."""
    frame = scene.rows.frame
    several = frame.lazy().select("prediction_id", "n_outcomes", "blocked").with_row_index("at")
    several = several.filter((pl.col("n_outcomes") > 1) & ~pl.col("blocked"))
    ids = several.select("prediction_id", pl.col("at").cast(pl.Int64)).collect()
    told = (
        pairs.filter(pl.col("fate").is_in(list(_TELLING)))
        .select("prediction_id", "statement", "label", "source", "ts_arrival", "fate", "label_version")
        .join(ids.lazy(), on="prediction_id", how="inner")
        # Statements of different definitions may differ; that is no contradiction.
        .filter(((pl.col("label").n_unique() > 1) & (pl.col("label_version").drop_nulls().n_unique() <= 1)).over("at"))
        .sort("at", "ts_arrival", "statement")
        .collect()
        if ids.height
        else pl.DataFrame(schema=dict.fromkeys(("at", "label", "source", "ts_arrival", "fate", "statement"), pl.Null))
    )
    if told.is_empty():
        none, nothing = np.zeros(0, dtype=np.int64), np.zeros(0)
        return _Conflicts(at=none, first=nothing, last=nothing, day=none, source=none, sources=())
    return _arranged(told, scene)


def _arranged(told: pl.DataFrame, scene: Scene) -> _Conflicts:
    """Per prediction the statement that counts now (the latest if none does), and what the others would say."""
    part = scene.joined.contract.label
    counts, arrival = pl.col("fate") == "used", pl.col("ts_arrival")
    ranks = {name: rank for rank, name in enumerate(part.sources)}
    told = told.with_columns(
        pl.coalesce(arrival.filter(counts).first(), arrival.last()).over("at").alias("suspect"),
        pl.col("source").replace_strict(ranks, default=len(ranks), return_dtype=pl.Int64).alias("rank"),
    )
    others, own = arrival != pl.col("suspect"), pl.col("source") != BACKFILL
    # Where every other statement is a backfill one of these counts.
    eligible = others & (own | ~(others & own).any().over("at"))
    chosen = arrival.filter(eligible)
    keep_first = part.corrections == "keep_first"
    told = told.with_columns(
        (eligible & (arrival == (chosen.min() if keep_first else chosen.max()).over("at"))).alias("in")
    )
    best = pl.col("in") & (pl.col("rank") == pl.col("rank").filter("in").min().over("at"))
    told = told.with_columns(best.alias("best"))
    said = pl.col("label").filter("best")
    single = told.group_by("at", maintain_order=True).agg(
        pl.when(said.n_unique() == 1).then(said.first()).alias("first"),
        pl.col("suspect").first().dt.epoch("d").alias("day"),
        pl.coalesce(pl.col("source").filter(counts).first(), pl.col("source").last()),
    )
    sources = tuple(single["source"].unique().sort().to_list())
    code = single["source"].replace_strict(list(sources), list(range(len(sources))), return_dtype=pl.Int64)
    at = single["at"].to_numpy()
    return _Conflicts(
        at=at,
        first=single["first"].cast(pl.Float64).fill_null(float("nan")).to_numpy(),
        last=scene.rows.label[at],
        day=single["day"].cast(pl.Int64).to_numpy(),
        source=code.to_numpy(),
        sources=sources,
    )


def _batches(scene: Scene, found: _Conflicts) -> tuple[Flags, Floats]:
    """Which contradictions come in bulk, and the share of each one's kind there that would have come anyway.

    Counted by source, window and day of arrival against the usual rate of that source in the reference.
    """
    rows = scene.rows
    arrival = rows.frame["ts_arrival"].dt.epoch("d").cast(pl.Int64)
    held = pl.Series(rows.labelled) & arrival.is_not_null()
    day, window = arrival.filter(held).to_numpy(), rows.window[held.to_numpy()]
    low = int(min(day.min(), found.day.min()))
    span = int(max(day.max(), found.day.max())) - low + 1
    arrived = np.bincount(window * span + day - low, minlength=2 * span).reshape(2, span).astype(np.float64)
    # A wrong positive that is corrected is another thing than a wrong negative.
    kind = found.source * 2 + (found.first == 1)
    kinds = 2 * len(found.sources)
    code = (kind * 2 + rows.window[found.at]) * span + found.day - low
    counts = np.bincount(code, minlength=kinds * 2 * span).reshape(kinds, 2, span).astype(np.float64)
    usual = np.array([_usual_rate(mine, arrived[REFERENCE]) for mine in counts[:, REFERENCE]])[:, None, None] * arrived
    both = counts.reshape(-1, 2, 2, span).sum(1), usual.reshape(-1, 2, 2, span).sum(1)
    # Half a contradiction a day is always possible.
    bulk = (both[0] > 1) & (pdtrc(np.maximum(both[0] - 1, 0), np.maximum(both[1], 0.5)) < BATCH_P)
    now, before = both[0][:, CURRENT].sum(-1), both[1][:, CURRENT].sum(-1)
    if (both[0] * bulk)[:, CURRENT].sum() < BATCHES_SHARE * (now - before).sum():
        bulk[:, CURRENT] |= (now > before)[:, None]
    # A source that hardly did so before: its quiet days belong to it as well.
    bulk[:, CURRENT] |= ((now > MOSTLY * before) & (bulk[:, CURRENT].any(-1)))[:, None]
    chosen = np.repeat(bulk, 2, axis=0)
    with np.errstate(divide="ignore", invalid="ignore"):
        anyway = np.nan_to_num((usual * chosen).sum(-1) / (counts * chosen).sum(-1))
    return chosen.ravel()[code], np.clip(anyway, 0.0, 1.0)[kind, rows.window[found.at]]


def _usual_rate(counts: Floats, arrived: Floats) -> float:
    """Contradictions per label that arrives, on the quieter three quarters of the days that bring labels."""
    held = np.flatnonzero(arrived > 0)
    if not len(held):
        return 0.0
    quiet = held[np.argsort(counts[held] / arrived[held], kind="stable")[: max(1, len(held) * 3 // 4)]]
    return float(counts[quiet].sum() / arrived[quiet].sum())


def _later_fits(scene: Scene, found: _Conflicts) -> Floats:
    """Log likelihood ratio of each score if the later label is true over that if the earlier one is; 0 if unknown.

    By the reference's score distributions of positives and of others within the decision, so that neither the base rate
    nor the decision that a batch is limited to decides anything.
    """
    rows = scene.rows
    if is_mean_of_values(scene.metric):
        return np.zeros(len(found.at))
    cell = rows.decision * scene.bins + scene.bin_of
    plain = rows.labelled & rows.of(REFERENCE)
    plain[found.at] = False
    n = np.bincount(cell[plain], minlength=2 * scene.bins)
    n1 = np.bincount(cell[plain & rows.positive], minlength=2 * scene.bins)
    by_decision = n.reshape(2, -1).sum(1), n1.reshape(2, -1).sum(1)
    base = np.repeat(np.clip((by_decision[1] + 0.5) / (by_decision[0] + 1), 1e-6, 1 - 1e-6), scene.bins)
    rate = np.clip((n1 + base) / (n + 1), 1e-6, 1 - 1e-6)[cell[found.at]]
    base = base[cell[found.at]]
    odds = np.log(rate / (1 - rate)) - np.log(base / (1 - base))
    told = np.isfinite(found.first) & np.isfinite(found.last) & (found.first != found.last)
    return np.where(told, np.where(found.last == 1, odds, -odds), 0.0)


def _believed(found: _Conflicts, anyway: Floats, fits: Floats) -> Floats:
    """The first label, but for the share that is corrected anyway, which is told by the score as far as it can be."""
    odds = anyway * np.exp(np.clip(fits, -30.0, 30.0))
    later = np.where(anyway < 1, odds / (odds + 1 - anyway), 1.0)
    return np.where(np.isfinite(found.last), later * found.last + (1 - later) * found.first, found.first)


def _frame(found: _Conflicts, batch: Flags, undone: Flags, *, rows: Rows) -> pl.DataFrame:
    """window, source, day, contradicted, in_batch, set_aside."""
    day = pl.Series(found.day).cast(pl.Int32).cast(pl.Date)
    frame = pl.DataFrame(
        {
            "window": [WINDOWS[window] for window in rows.window[found.at]],
            "source": [found.sources[code] for code in found.source],
            "day": day,
            "in_batch": batch,
            "set_aside": undone,
        },
        schema_overrides={"window": pl.String, "source": pl.String},
    )
    return (
        frame.group_by("window", "source", "day")
        .agg(pl.len().cast(pl.Int64).alias("contradicted"), pl.col("in_batch", "set_aside").sum().cast(pl.Int64))
        .sort("contradicted", "window", "source", "day", descending=[True, False, False, False])
        .head(60)
    )


def _sentence(share: tuple[float, float], found: _Conflicts, batch: Flags, undone: Flags) -> str:
    text = (
        f"{words.percent(share[CURRENT])} of the current labels are contradicted by another statement "
        f"({words.percent(share[REFERENCE])} in the reference)"
    )
    if not undone.any():
        return f"{text}."
    counts = np.bincount(found.source[undone], minlength=len(found.sources))
    source = found.sources[int(counts.argmax())]
    return (
        f"{text}; {words.count(int(batch.sum()))} of these come in bulk, most of them from the source {source}, and "
        f"{words.count(int(undone.sum()))} labels are set back to what was said first."
    )


def _numbers(share: tuple[float, float], p: float | None) -> dict[str, tuple[str, float | None]]:
    return {
        "contradicted_share_reference": ("share", share[REFERENCE]),
        "contradicted_share_current": ("share", share[CURRENT]),
        "contradicted_share_p": ("ratio", p),
    }


def _more(batch: Flags, undone: Flags, gain: float | None) -> dict[str, tuple[str, float | None]]:
    return {
        "contradicted_in_bulk": ("count", float(batch.sum())),
        "contradicted_set_back": ("count", float(undone.sum())),
        "later_labels_fit_better_by": ("ratio", gain),
    }


def _reason(undone: Flags, *, worse: bool) -> str | None:
    if worse:
        return "the later labels fit the scores better than the earlier ones: they are taken for true corrections"
    return None if undone.any() else "which of the statements was first cannot be told, or it counts already"
