"""Audited rows as evidence: two-phase sampling of unlabelled rows, and what audits say of wrong labels."""

from dataclasses import dataclass, replace
from typing import Final

import numpy as np
import polars as pl

from fbkit.diagnose.bootstrap import Floats, Ints, standard_error
from fbkit.diagnose.cells import Cells
from fbkit.diagnose.correction import corrected
from fbkit.diagnose.labels import Labels
from fbkit.diagnose.metric import Masses, evaluate
from fbkit.diagnose.rows import CURRENT, REFERENCE, WINDOWS, Flags, Rows, cross
from fbkit.diagnose.scene import Scene
from fbkit.diagnose.settings import OwnName

FEWEST: Final = 20
"""Audited rows below which one decision of a window is left to the model."""
BAND: Final = 25
"""Audited rows per score band within which the sampling weights are made to add up."""
BEYOND: Final = 2.0
"""Standard errors by which an audit must differ from the model to overrule it."""
MOSTLY: Final = 0.5
"""Share of audited rows with an event after their window from which on the time is that of the audit."""
_DECISIONS: Final = ("not flagged", "flagged")
_OPEN: Final = ("audit_row", "after_window")


@dataclass(frozen=True, slots=True, kw_only=True)
class Drawn:
    """What audits said, row by row: ``y`` is NaN where no audit looked, ``chance`` the logged inclusion probability."""

    y: Floats
    chance: Floats

    @property
    def any(self) -> bool:
        return bool(np.isfinite(self.y).any())


@dataclass(frozen=True, slots=True, kw_only=True)
class Audit:
    """The metric with audited rows in the place of unlabelled ones.

    Attributes
    ----------
    labels
        Labelled rows as they were, audited ones with the number of unlabelled rows that each stands for.
    metric, model
        The metric by window with the audit in, and under loss at random within cells: shape (draws + 1, 2). They are
        equal in a window that no audit looked at.
    audited
        By window: an audit looked at it.
    frame
        One row by window and decision: unlabelled rows, audited ones, positives among them, the rate of positives that
        follows, and the rate that the model had put in its place.
    """

    labels: Labels
    metric: Floats
    model: Floats
    audited: tuple[bool, bool]
    frame: pl.DataFrame

    @property
    def lost(self) -> Floats:
        """Contribution of labels lost because of their outcome, per draw: the model's change minus the audit's."""
        return _change(self.model) - _change(self.metric)

    @property
    def wins(self) -> bool:
        """The audit contradicts loss at random: the difference is beyond twice its standard error."""
        return self.contradicts(self.model)

    def contradicts(self, world: Floats) -> bool:
        """Whether the audit is further from this metric by window (shape as ``metric``) than chance allows."""
        gap = _change(world) - _change(self.metric)
        error = standard_error(gap)
        return error is not None and bool(abs(gap[0]) > max(BEYOND * error, 1e-12))

    def decides(self, other: Floats) -> bool:
        """Whether it tells loss at random from another world: it contradicts one of the two at least."""
        return self.wins or self.contradicts(other)


def drawn(scene: Scene) -> Drawn | None:
    """What audits said of the rows of both windows; None without audits.

    The newest statement of a row counts. An event after the label window is no positive under the label's definition,
    unless its time is that of the audit: equal to the arrival, or late for most of the audited rows.
    """
    pairs = getattr(scene.joined, "pairs", None)
    if pairs is None:
        return None
    held = pairs.lazy().collect_schema().names()
    if not {"source", "fate", "label", "prediction_id"} <= set(held):
        return None
    chance = pl.col("audit_prob") if "audit_prob" in held else pl.lit(None)
    after = pl.col("fate") == "after_window"
    late = after & (pl.col("ts_event") < pl.col("ts_arrival")) & (after.mean() < MOSTLY)
    told = (
        pairs.lazy()
        .filter((pl.col("source") == "audit") & pl.col("fate").is_in(_OPEN) & pl.col("prediction_id").is_not_null())
        .select(
            "prediction_id",
            "ts_arrival",
            _audited=pl.when(late).then(0.0).otherwise(pl.col("label").cast(pl.Float64)),
            _chance=chance.cast(pl.Float64),
        )
        .sort("prediction_id", "ts_arrival", "_audited", "_chance", nulls_last=False)
        .unique("prediction_id", keep="last", maintain_order=True)
        .collect()
    )
    if told.is_empty():
        return None
    mine = scene.rows.frame.select("prediction_id").join(
        told.drop("ts_arrival"), on="prediction_id", how="left", maintain_order="left"
    )
    y, p = (mine[name].fill_null(float("nan")).to_numpy() for name in ("_audited", "_chance"))
    found = Drawn(y=y, chance=np.where((p > 0) & (p <= 1), p, np.nan))
    return found if found.any else None


def audit(scene: Scene, labels: Labels, cells: Cells) -> Audit | None:
    """Put audited rows in the place of the unlabelled rows that they were drawn from.

    Parameters
    ----------
    labels
        The labels of the last repair.
    cells
        Their counts, from which the model corrects for missing labels at random within cells.

    Returns
    -------
    None when no decision of a window has enough audited rows without a label. Sides without them stay with the model.

    Notes
    -----
    Hansen and Hurwitz 1946: each audited row counts 1 / (its inclusion probability), made to add up to the unlabelled
    rows within score bands. Rows of one decision that log no probability count as drawn at random from it.
    """
    said = drawn(scene)
    if said is None or isinstance(scene.metric, OwnName):
        return None
    rows, open_rows = scene.rows, _open(scene, labels)
    looked = open_rows & np.isfinite(said.y)
    sides = {
        (window, decision): open_rows & rows.of(window) & (rows.decision == decision)
        for window in (REFERENCE, CURRENT)
        for decision in (0, 1)
    }
    enough = {key for key, side in sides.items() if (looked & side).sum() >= FEWEST}
    if not enough:
        return None
    weight = labels.weight.copy()
    used = np.zeros(len(rows), dtype=bool)
    for key in enough:
        side = sides[key]
        mine = looked & side & _usable(said.chance, looked & side)
        weight[mine] = _weights(scene.bin_of, said.chance, side=side, mine=mine)
        used |= mine
    # The audit says what the labels would be, those to come as well.
    ones = np.ones(len(rows))
    after = replace(labels.with_labels(used, said.y[used]), weight=weight, seen1=ones, seen0=ones)
    model = corrected(cells, thin=scene.settings.thin_cell)
    one = scene.table(cross((), scene.encoded, rows=len(rows)), after).observed()
    both = _combined(_flat(model), one, enough)
    return Audit(
        labels=after,
        metric=evaluate(scene.metric, both),
        model=evaluate(scene.metric, _flat(model)),
        audited=tuple(any(key[0] == window for key in enough) for window in (REFERENCE, CURRENT)),  # type: ignore[arg-type]  # two windows
        frame=_frame(rows, sides, used, weight=weight, y=said.y, model=_flat(model), labels=labels),
    )


def _open(scene: Scene, labels: Labels) -> Flags:
    """Rows without a label that an audit can look at: what an action hides is stood for by explored rows."""
    frame = scene.rows.frame
    hidden = frame["blocked"].fill_null(value=False).to_numpy() if "blocked" in frame.columns else False
    return ~labels.seen & ~np.asarray(hidden)


def _usable(chance: Floats, mine: Flags) -> Flags:
    """Rows with a probability, where any of them has one; else all."""
    known = np.isfinite(chance)
    return known if (known & mine).any() else np.ones(len(chance), dtype=bool)


def _weights(bin_of: Ints, chance: Floats, *, side: Flags, mine: Flags) -> Floats:
    """1 / probability, scaled within score bands so that the audited rows stand for all the open ones of the band."""
    raw = np.where(np.isfinite(chance[mine]), 1 / chance[mine], 1.0)
    bins = int(bin_of.max()) + 1
    band = _bands(np.bincount(bin_of[mine], minlength=bins))
    own = band[bin_of[mine]]
    size = np.bincount(band[bin_of[side]], minlength=int(band.max()) + 1)
    total = np.bincount(own, weights=raw, minlength=len(size))
    return raw * size[own] / total[own]


def _bands(audited: Ints, *, least: int = BAND) -> Ints:
    """The band of every score bin: neighbours together until ``least`` audited rows; a thin rest joins the last."""
    band, held, number = np.zeros(len(audited), dtype=np.int64), 0, 0
    left = int(audited.sum())
    for index, count in enumerate(audited):
        band[index] = number
        held += int(count)
        left -= int(count)
        if held >= least and left >= least:
            number, held = number + 1, 0
    return band


def _flat(masses: Masses) -> Masses:
    """The same masses without their strata."""
    loss = None if masses.loss is None else masses.loss.sum(-1, keepdims=True)
    return Masses(masses.positive.sum(-1, keepdims=True), masses.negative.sum(-1, keepdims=True), loss)


def _combined(model: Masses, audited: Masses, sides: set[tuple[int, int]]) -> Masses:
    """The audit's masses on these (window, decision) sides, the model's elsewhere."""

    def pick(of_model: Floats, of_audit: Floats) -> Floats:
        made = of_model.copy()
        for window, decision in sides:
            made[:, window, decision] = of_audit[:, window, decision]
        return made

    loss = None if model.loss is None or audited.loss is None else pick(model.loss, audited.loss)
    return Masses(pick(model.positive, audited.positive), pick(model.negative, audited.negative), loss)


def _change(by_window: Floats) -> Floats:
    return by_window[:, CURRENT] - by_window[:, REFERENCE]


def _frame(
    rows: Rows,
    sides: dict[tuple[int, int], Flags],
    used: Flags,
    *,
    weight: Floats,
    y: Floats,
    model: Masses,
    labels: Labels,
) -> pl.DataFrame:
    made: list[dict[str, object]] = []
    shown = labels.positives(rows.metric)
    for (window, decision), side in sides.items():
        mine, n = side & used, int(side.sum())
        whole = rows.of(window) & (rows.decision == decision)
        expected = float(model.positive[0, window, decision].sum()) - float(shown[whole].sum())
        made.append(
            {
                "window": WINDOWS[window],
                "decision": _DECISIONS[decision],
                "unlabelled": n,
                "audited": int(mine.sum()),
                "positives": float(np.nan_to_num(y[mine]).sum()),
                "rate": float((weight[mine] * y[mine]).sum() / weight[mine].sum()) if mine.any() else None,
                "model_rate": expected / n if n and np.isfinite(expected) else None,
            }
        )
    return pl.DataFrame(made, schema_overrides={"rate": pl.Float64, "model_rate": pl.Float64})
