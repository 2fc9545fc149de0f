"""Outcomes that lost their key are joined again: by the id written differently, else by entity and time."""

from dataclasses import dataclass, replace
from typing import Final

import numpy as np
import polars as pl

from fbkit.diagnose import words
from fbkit.diagnose.bootstrap import Floats, Ints
from fbkit.diagnose.counting import DIFFERS_P, place, two_shares
from fbkit.diagnose.labels import Labels, Repair
from fbkit.diagnose.orphans import NO_KEY, lost_statements
from fbkit.diagnose.rejoin import BY_ENTITY, FEWEST, Rejoined, rejoin
from fbkit.diagnose.rows import CURRENT, REFERENCE, WINDOWS, Flags
from fbkit.diagnose.scene import Scene
from fbkit.diagnose.settings import OwnName
from fbkit.schema.label import LabelWindow, longest_delay

CAUSE: Final = "join_break"
LEAST_SHARE: Final = 0.002
"""By how much the share of lost statements must differ between the windows to matter."""
LEAST_RATIO: Final = 1.5
"""By which ratio it must differ as well."""
REJOINED_SHARE: Final = 0.1
"""Less of the lost statements joined again says that they are not these predictions'."""
MOST_SHARE: Final = 0.5
"""With less of them joined again the repair stands on a part that may not be like the rest."""
_SINGLE: Final = ("one", "first", "last", "any", "max")
NEXT: Final = (
    "The id as the outcome feed writes it beside the id as the prediction log does, for twenty of the lost outcomes."
)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Counts:
    """Lost statements and all statements by window of the event, and p of their shares being the same."""

    lost: tuple[int, int]
    said: tuple[int, int]
    p: float | None

    @property
    def share(self) -> tuple[float, float]:
        first, second = (k / n if n else 0.0 for k, n in zip(self.lost, self.said, strict=True))
        return first, second

    @property
    def differs(self) -> bool:
        low, high = sorted(self.share)
        return (
            self.p is not None
            and self.p < DIFFERS_P
            and max(self.lost) > FEWEST
            and high - low >= LEAST_SHARE
            and high >= LEAST_RATIO * low
        )


def join_break(scene: Scene, labels: Labels) -> Repair | None:
    """Join orphans again; None when the join kept no statements or their number is what counts.

    Fires if the share of statements without a prediction differs between the windows beyond chance, and enough of them
    find their prediction. Joined again are statements with one prediction only: with the same id once its writing is
    ignored, or the only prediction of the entity whose window holds the event and that no other statement names.
    """
    if isinstance(scene.metric, OwnName) or scene.joined.contract.label.combine not in _SINGLE:
        return None
    lost = lost_statements(scene.joined)
    if lost is None:
        return None
    counts = _counts(scene, lost)
    if not counts.differs:
        return Repair(cause=CAUSE, labels=labels, fires=False, numbers=_numbers(counts, None, None))
    usable = lost.filter(_allowed(scene) & _near(scene))
    found = rejoin(usable, _free(scene), others=_others(scene), fixed=_fixed(scene))
    at, y, weight = _settled(scene, usable, found)
    again = np.zeros(len(scene.rows), dtype=bool)
    again[at] = True
    values, weights = np.full(len(scene.rows), np.nan), labels.weight.copy()
    values[at] = y
    weights[at] *= weight
    enough = found.pairs.height >= max(FEWEST, REJOINED_SHARE * lost.height) and bool(again.any())
    return Repair(
        cause=CAUSE,
        labels=replace(labels.with_labels(again, values[again]), weight=weights) if enough else labels,
        fires=enough,
        where=place(scene, again),
        evidence=_sentence(counts, found, lost, again=again, scene=scene),
        next_evidence=NEXT,
        frame=_frame(scene, counts, lost, found, again=again),
        numbers={
            **_numbers(counts, found, lost),
            "joined_again_current": ("count", float((again & scene.rows.of(CURRENT)).sum())),
        },
        best=_best(found, lost, enough=enough),
        reason=_reason(found, lost, enough=enough),
    )


def _best(found: Rejoined, lost: pl.DataFrame, *, enough: bool) -> str:
    if not enough:
        return "possible"
    return "established" if found.pairs.height >= MOST_SHARE * lost.height else "probable"


def _reason(found: Rejoined, lost: pl.DataFrame, *, enough: bool) -> str | None:
    if not enough:
        return "the lost outcomes match no prediction by id, nor by entity and time"
    if found.pairs.height >= MOST_SHARE * lost.height:
        return None
    return "most of the lost outcomes could belong to several predictions of their entity and stay out"


def _counts(scene: Scene, lost: pl.DataFrame) -> _Counts:
    """By the time of the event, which is known of every statement; the current window's until the last label closes."""
    reference, current = scene.reference, scene.current
    spans = (
        (reference.start, min(reference.end, current.start)),
        (current.start, current.end + longest_delay(scene.joined)),
    )
    inside = [(pl.col("ts_event") >= start) & (pl.col("ts_event") < end) for start, end in spans]
    names = [f"in_{window}" for window in WINDOWS]
    marks = [mask.sum().alias(name) for mask, name in zip(inside, names, strict=True)]
    gone = lost.select(marks).row(0)
    joined = scene.joined.frame.lazy().filter(pl.col("rule").is_not_null()).select(marks).collect().row(0)
    said = (gone[0] + joined[0], gone[1] + joined[1])
    return _Counts(lost=(gone[0], gone[1]), said=said, p=two_shares(gone[0], said[0], gone[1], said[1]))


def _allowed(scene: Scene) -> pl.Expr:
    """What the label's definition lets count."""
    contract = scene.joined.contract
    allowed = pl.col("source") != "audit"
    if contract.model.task == "binary":
        allowed &= pl.col("label").is_in([0.0, 1.0])
    strict = getattr(scene.joined, "label_versions", "any") == "current"
    if strict and contract.label.version is not None:
        allowed &= pl.col("label_version").eq_missing(pl.lit(contract.label.version))
    return allowed


def _near(scene: Scene) -> pl.Expr:
    until = scene.current.end + longest_delay(scene.joined)
    return (pl.col("ts_event") >= min(scene.reference.start, scene.current.start)) & (pl.col("ts_event") < until)


def _free(scene: Scene) -> pl.DataFrame:
    """Predictions around both windows that no statement names and no action hides."""
    contract = scene.joined.contract
    window, longest = LabelWindow.of(contract), longest_delay(scene.joined)
    closes = pl.col("closes") if window.session else pl.col("ts_pred") + window.window
    key = pl.concat_str([pl.col(name).cast(pl.String) for name in contract.join.keys], separator="|")
    # With silence = negative a row without a statement has a label all the same.
    free = pl.col("rule").is_null() & ~pl.col("blocked")
    since, until = min(scene.reference.start, scene.current.start) - longest, scene.current.end + longest
    near = (pl.col("ts_pred") >= since) & (pl.col("ts_pred") < until)
    names = ("prediction_id", key.alias("key"), pl.col("entity").cast(pl.String), "ts_pred", closes.alias("__closes"))
    return scene.joined.frame.lazy().filter(free & near).select(names).collect()


def _others(scene: Scene) -> pl.DataFrame:
    said = scene.rows.frame.lazy().filter(pl.col("rule").is_not_null() & pl.col("entity").is_not_null())
    return said.select(pl.col("entity").cast(pl.String), "ts_event").collect()


def _fixed(scene: Scene) -> bool:
    return not LabelWindow.of(scene.joined.contract).session


def _settled(scene: Scene, lost: pl.DataFrame, found: Rejoined) -> tuple[Ints, Floats, Floats]:
    """Place, label and weight of each prediction that is labelled again; the contract's rule where several speak."""
    part = scene.joined.contract.label
    ranks = {name: rank for rank, name in enumerate(part.sources)}
    first = part.combine == "first" or (part.combine == "one" and part.corrections == "keep_first")
    rank = pl.col("source").replace_strict(ranks, default=len(ranks), return_dtype=pl.Int64)
    ordered = (
        lost.drop("how")
        .join(found.pairs, on="statement")
        .sort("ts_arrival", rank, "statement", descending=[not first, False, False])
    )
    counts = pl.col("label").max() if part.combine in ("any", "max") else pl.col("label").first()
    single = ordered.group_by("prediction_id", maintain_order=True).agg(counts, pl.col("how").first())
    factor = pl.lit(1.0)
    for label, stands_for in found.stands_for.items():
        factor = pl.when(pl.col("label") == label).then(stands_for).otherwise(factor)
    single = single.with_columns(pl.when(pl.col("how") == BY_ENTITY).then(factor).otherwise(1.0).alias("weight"))
    places = scene.rows.frame.lazy().select("prediction_id").with_row_index("at")
    made = places.join(single.lazy(), on="prediction_id").sort("at").collect()
    return made["at"].cast(pl.Int64).to_numpy(), made["label"].cast(pl.Float64).to_numpy(), made["weight"].to_numpy()


def _how(found: Rejoined) -> list[tuple[str, int]]:
    counted = found.pairs["how"].value_counts(name="n").sort(["n", "how"], descending=[True, False])
    return [(str(how), int(n)) for how, n in counted.iter_rows()]


def _frame(scene: Scene, counts: _Counts, lost: pl.DataFrame, found: Rejoined, *, again: Flags) -> pl.DataFrame:
    """what, window, rows, of, share: what was lost and what came back."""
    made: list[tuple[str, str, int, int]] = []
    for window, name in enumerate(WINDOWS):
        mine = scene.rows.of(window)
        made.append(("statements without a prediction", name, counts.lost[window], counts.said[window]))
        made.append(("predictions labelled again", name, int((again & mine).sum()), int(mine.sum())))
    made += [(f"joined again: {how}", "both", n, lost.height) for how, n in _how(found)]
    made.append(("without a usable key", "both", int((lost["how"] == NO_KEY).sum()), lost.height))
    schema = {"what": pl.String, "window": pl.String, "rows": pl.Int64, "of": pl.Int64}
    frame = pl.DataFrame(made, schema=schema, orient="row")
    return frame.with_columns((pl.col("rows") / pl.col("of")).fill_nan(None).alias("share"))


def _sentence(counts: _Counts, found: Rejoined, lost: pl.DataFrame, *, again: Flags, scene: Scene) -> str:
    text = (
        f"{words.percent(counts.share[CURRENT])} of the outcomes of the current window's time belong to no prediction "
        f"({words.percent(counts.share[REFERENCE])} in the reference)"
    )
    if not again.any():
        return f"{text}, and no way of writing the ids, no entity and time joins them again."
    many = found.average
    more = f", each of them for {many:.1f} lost ones" if many > 1 else ""
    how = "; ".join(f"{how}: {words.count(n)}" for how, n in _how(found))
    back = int((again & scene.rows.of(CURRENT)).sum())
    return (
        f"{text}; {words.count(found.pairs.height)} of {words.count(lost.height)} were joined again ({how}), which "
        f"labels {words.count(back)} current predictions{more}."
    )


def _numbers(counts: _Counts, found: Rejoined | None, lost: pl.DataFrame | None) -> dict[str, tuple[str, float | None]]:
    return {
        "lost_statements_reference": ("count", float(counts.lost[REFERENCE])),
        "lost_statements_current": ("count", float(counts.lost[CURRENT])),
        "lost_share_reference": ("share", counts.share[REFERENCE]),
        "lost_share_current": ("share", counts.share[CURRENT]),
        "lost_share_p": ("ratio", counts.p),
        "lost_statements": ("count", None if lost is None else float(lost.height)),
        "joined_again": ("count", None if found is None else float(found.pairs.height)),
        "each_stands_for": ("ratio", None if found is None else found.average),
        "own_prediction_among_candidates": ("share", None if found is None else found.own_share),
    }
