"""What became of the missing labels: arrived under keys that no prediction has, or hidden by an action?"""

from dataclasses import dataclass
from datetime import datetime
from typing import Final

import polars as pl
from scipy.special import pdtrc

from fbkit.diagnose.rows import CURRENT, REFERENCE, Rows
from fbkit.diagnose.settings import Settings
from fbkit.join.joined import Joined
from fbkit.load.columns import entity_key
from fbkit.schema.period import Period

ORPHAN: Final = "unknown key"
NO_KEY: Final = "no usable key"
_LOST: Final = {"orphan": ORPHAN, "ambiguous": NO_KEY, "no_candidate": NO_KEY}


@dataclass(frozen=True, slots=True, kw_only=True)
class Orphans:
    """Outcomes whose key matches no prediction.

    Attributes
    ----------
    reference, current
        Their number by the time of the event (the current period's until the last label window closes).
    missing
        Current labels beyond the reference's availability that are missing.
    explains
        More of them than chance at the reference's rate, and enough to be the missing labels.
    """

    reference: int
    current: int
    missing: float
    explains: bool


def orphans(
    joined: Joined, rows: Rows, *, reference: Period, current: Period, until: datetime, settings: Settings
) -> Orphans | None:
    """Count orphans per window; None when the join kept no candidates."""
    pairs = getattr(joined, "pairs", None)
    if pairs is None:
        return None
    # By the time of the event, for orphans and for all others alike: outcomes of both windows meet in it.
    spans = ((reference.start, min(reference.end, current.start)), (current.start, until))
    inside = [(pl.col("ts_event") >= start) & (pl.col("ts_event") < end) for start, end in spans]
    orphan = pl.col("fate") == "orphan"
    counted = [part.sum() for mask in inside for part in (mask & orphan, mask & (orphan | (pl.col("fate") == "used")))]
    marks = [part.alias(str(number)) for number, part in enumerate(counted)]
    before, of_before, now, of_now = (int(n) for n in pairs.lazy().select(marks).collect().row(0))
    expected = max(before, 1) * of_now / max(of_before, 1)
    missing = _missing(rows)
    chance = float(pdtrc(now - 1, expected)) if now else 1.0
    excess = now - before * of_now / max(of_before, 1)
    real = now > settings.orphans_least and chance < settings.shift_p
    explains = real and missing > 0 and excess >= settings.orphans_share * missing
    return Orphans(reference=before, current=now, missing=missing, explains=bool(explains))


def _missing(rows: Rows) -> float:
    """Labels that the current period lacks at the reference's availability."""
    now = rows.labelled[rows.of(CURRENT)]
    return float(rows.labelled[rows.of(REFERENCE)].mean() * len(now) - now.sum())


@dataclass(frozen=True, slots=True, kw_only=True)
class Blocked:
    """Rows whose action hides the outcome.

    Attributes
    ----------
    reference, current
        Their share of the predictions.
    explains
        There are enough of them to be the missing labels.
    """

    reference: float
    current: float
    explains: bool


def blocked(rows: Rows, *, settings: Settings) -> Blocked | None:
    """Count blocked rows per window; None when no action is logged."""
    if "blocked" not in rows.frame.columns or not rows.frame["blocked"].any():
        return None
    hidden = rows.frame["blocked"].fill_null(value=False).to_numpy()
    share = [float(hidden[rows.of(window)].mean()) for window in (REFERENCE, CURRENT)]
    missing = _missing(rows)
    excess = (share[CURRENT] - share[REFERENCE]) * int(rows.of(CURRENT).sum())
    explains = excess > settings.orphans_least and missing > 0 and excess >= settings.orphans_share * missing
    return Blocked(reference=share[REFERENCE], current=share[CURRENT], explains=bool(explains))


def lost_statements(joined: Joined) -> pl.DataFrame | None:
    """Statements that had arrived and belong to no prediction, one row each; None when the join kept no candidates.

    Columns: statement (a number), key (null without one), entity (null where the log has none), ts_event, ts_arrival,
    label, source, label_version, how (``unknown key``, or ``no usable key``: blank, with several or no candidates by
    entity and time, or refused at load because nothing else names the prediction).
    """
    pairs = getattr(joined, "pairs", None)
    if pairs is None:
        return None
    names = pairs.lazy().collect_schema().names()
    key = pl.col("key") if "key" in names else pl.lit(None, dtype=pl.String)
    found = (
        pairs.lazy()
        .filter(pl.col("fate").is_in(list(_LOST)))
        .select(
            pl.col("statement").cast(pl.Int64),
            key.alias("key"),
            _entity(joined, names).alias("entity"),
            *_SAID,
            pl.col("fate").cast(pl.String).replace_strict(_LOST, default=NO_KEY).alias("how"),
        )
        .unique("statement", keep="first", maintain_order=True)
        .collect()
    )
    return pl.concat([found, _refused(joined)]).sort("ts_event", "statement")


_SAID: Final = ("ts_event", "ts_arrival", "label", "source", "label_version")


def _refused(joined: Joined) -> pl.DataFrame:
    """What the load set aside because it carries no key; numbered below zero."""
    rejects = getattr(joined, "rejects", {}).get("outcomes", pl.DataFrame())
    if "rule" not in rejects.columns or not set(_SAID) <= set(rejects.columns):
        return pl.DataFrame(schema=_lost_schema(joined))
    mine = rejects.filter(
        (pl.col("rule") == "no_key") & (pl.col("ts_arrival") <= pl.lit(joined.as_of)) & pl.col("label").is_finite()
    )
    return mine.select(
        (-1 - pl.int_range(pl.len())).cast(pl.Int64).alias("statement"),
        pl.lit(None, dtype=pl.String).alias("key"),
        _entity(joined, mine.columns).alias("entity"),
        *_SAID,
        pl.lit(NO_KEY).alias("how"),
    ).cast(dict(_lost_schema(joined)))


def _lost_schema(joined: Joined) -> dict[str, pl.DataType]:
    said = joined.pairs.lazy().select(_SAID).collect_schema()
    text = pl.String()
    return {"statement": pl.Int64(), "key": text, "entity": text, **said, "how": text}


def _entity(joined: Joined, names: list[str]) -> pl.Expr:
    """The entity of a statement as the predictions write theirs; null where the outcome log does not have it."""
    fallback = joined.contract.join.fallback
    if "entity_id" in names:
        return pl.col("entity_id").cast(pl.String)
    if fallback is not None and all(name in names for name in fallback.entity):
        return entity_key(fallback.entity)
    return pl.lit(None, dtype=pl.String)
