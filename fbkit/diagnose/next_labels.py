"""Which rows to audit next, and how many blocked rows to let through."""

import hashlib
from collections.abc import Sequence
from typing import Final

import numpy as np
import polars as pl

from fbkit.diagnose.allocation import FEWEST, Stratum, allocate, audit_error, pull, stratify
from fbkit.diagnose.audit import drawn
from fbkit.diagnose.audit_order import NextLabels
from fbkit.diagnose.bootstrap import Floats, Ints
from fbkit.diagnose.cells import Cells
from fbkit.diagnose.climb import climb
from fbkit.diagnose.correction import corrected, positive_rate
from fbkit.diagnose.labels import Labels
from fbkit.diagnose.metric import Masses, evaluate
from fbkit.diagnose.rows import CURRENT, REFERENCE, Flags, cross
from fbkit.diagnose.scene import Scene, set_scene
from fbkit.diagnose.settings import PROBABILITY_LOSSES, RATES, SETTINGS, OwnName
from fbkit.errors import ArgumentError
from fbkit.join.joined import Joined
from fbkit.measure.stats.intervals import quantile
from fbkit.schema.diagnosis import Diagnosis

LABELLED_SHARE: Final = 0.25
"""Of the budget, where the labels themselves are in question."""
QUESTIONED: Final = ("label_conflict", "label_definition_change")
FEWEST_LET_THROUGH: Final = 30
"""Explored rows below which their weights are noise."""
FORESEEN: Final = (*RATES, *PROBABILITY_LOSSES)
_DECISIONS: Final = ("not flagged", "flagged")


def next_labels(joined: Joined, diagnosis: Diagnosis, *, budget: int = 800, seed: int = 0) -> NextLabels:
    """Choose rows of the current period to audit.

    Parameters
    ----------
    joined
        The joined table that was diagnosed.
    diagnosis
        Of it are taken metric, periods, and whether the labels themselves are in question: then a quarter of the
        budget checks labelled rows.
    budget
        Rows that can be audited, at least 20.
    seed
        Another seed draws other rows; the order of the logs' rows changes nothing.

    Returns
    -------
    Strata and rows. Rows that an audit looked at already, and rows whose action hides the outcome, are left out.

    Raises
    ------
    ArgumentError
        A budget below 20, or a diagnosis of a team's own metric.

    Notes
    -----
    Neyman 1938: rows in proportion to size times sqrt(p (1 - p)) times the pull of one positive on the metric, which
    for recall is se^2 = rho^2 (1 - rho)^2 (V(TP) / TP^2 + V(FN) / FN^2). The rate p expected of unlabelled rows is
    halfway between that of labelled rows and what the reference's rate would leave among them.
    """
    if budget < 4 * FEWEST:
        raise ArgumentError(
            "a budget too small for an audit",
            got=budget,
            allowed=f"{4 * FEWEST} rows or more",
            next_step="some 800 rows decide most cases",
        )
    if isinstance(diagnosis.metric, OwnName):
        raise ArgumentError(
            "rows to audit are chosen for the kit's metrics",
            got=str(diagnosis.metric),
            allowed="a diagnosis of recall, precision, brier, ...",
            next_step="diagnose the contract's metric, and ask that diagnosis",
        )
    scene = set_scene(
        joined,
        metric=diagnosis.metric,
        reference=diagnosis.reference,
        current=diagnosis.current,
        draws=0,
        seed=0,
        settings=SETTINGS,
    )
    questioned = any(part.cause in QUESTIONED and part.value for part in diagnosis.contributions)
    return plan(scene, climb(scene).labels, budget=budget, seed=seed, check_labels=questioned)


def plan(scene: Scene, labels: Labels, *, budget: int = 800, seed: int = 0, check_labels: bool = False) -> NextLabels:
    """The same from a scene and the labels of its last repair."""
    cells = scene.table(cross((), scene.encoded, rows=len(scene.rows)), labels)
    masses = _current(cells, scene)
    weight = pull(scene.metric, masses, score=_mean_score(scene))
    current, hidden, audited = scene.rows.of(CURRENT), _hidden(scene), _audited(scene)
    open_rows = current & ~labels.seen & ~hidden & ~audited
    rate = _expected_rate(scene, cells, labels)
    strata = stratify(_sizes(scene, open_rows), rate, weight)
    checked = current & labels.seen & ~audited
    share = LABELLED_SHARE if check_labels and checked.any() else 0.0
    counts = allocate(strata, budget=round(budget * (1 - share)))
    found = [(each, int(n), False) for each, n in zip(strata, counts, strict=True)]
    if share:
        known = stratify(_sizes(scene, checked), rate, weight)
        again = allocate(known, budget=budget - round(budget * (1 - share)))
        found += [(each, int(n), True) for each, n in zip(known, again, strict=True)]
    if not open_rows.any():
        reason = "every row of the current period has a label, or its action hides it"
    else:
        reason = (
            None if scene.metric in FORESEEN else "the interval after an audit is foreseen for rates and probabilities"
        )
    value = _finite(evaluate(scene.metric, masses))
    foreseen = value is not None and scene.metric in FORESEEN
    error = audit_error(strata, counts) if foreseen else None
    sampling = _sampling_error(masses, weight) if foreseen else None
    half = None if error is None or sampling is None else _half_width(scene, error, sampling)
    return NextLabels(
        strata=_strata_frame(scene, found),
        rows=_drawn_rows(scene, found, (open_rows, checked), seed=seed),
        exploration=_exploration(scene, hidden & current, rate=rate, weight=weight, sampling=sampling),
        metric=scene.metric,
        value=value,
        expected_error=error,
        half_width=half,
        level=scene.settings.level,
        reason=reason,
        sampling_error=sampling,
        open_strata=strata,
    )


def _half_width(scene: Scene, error: float, sampling: float) -> float:
    return float(quantile(scene.settings.level)) * float(np.hypot(error, sampling))


def _current(cells: Cells, scene: Scene) -> Masses:
    """The current window as the model corrects it: shape (decision, bin, 1)."""
    masses = corrected(cells, thin=scene.settings.thin_cell)
    loss = None if masses.loss is None else masses.loss[0, CURRENT]
    return Masses(np.nan_to_num(masses.positive[0, CURRENT]), np.nan_to_num(masses.negative[0, CURRENT]), loss)


def _mean_score(scene: Scene) -> Floats:
    n = np.bincount(scene.bin_of, minlength=scene.bins)
    return np.bincount(scene.bin_of, weights=scene.rows.score, minlength=scene.bins) / np.maximum(n, 1)


def _hidden(scene: Scene) -> Flags:
    frame = scene.rows.frame
    if "blocked" not in frame.columns:
        return np.zeros(len(scene.rows), dtype=bool)
    return frame["blocked"].fill_null(value=False).to_numpy()


def _audited(scene: Scene) -> Flags:
    said = drawn(scene)
    return np.zeros(len(scene.rows), dtype=bool) if said is None else np.isfinite(said.y)


def _sizes(scene: Scene, mine: Flags) -> Ints:
    code = scene.rows.decision[mine] * scene.bins + scene.bin_of[mine]
    return np.bincount(code, minlength=2 * scene.bins).reshape(2, scene.bins)


def _expected_rate(scene: Scene, cells: Cells, labels: Labels) -> Floats:
    """Rate of positives expected among unlabelled current rows, by decision and bin; never exactly 0 or 1."""
    rates = np.nan_to_num(positive_rate(cells, thin=scene.settings.thin_cell)[0, ..., 0])
    n, n1 = (part[0, CURRENT, ..., 0] for part in (cells.n, cells.n1))
    unseen = _sizes(scene, scene.rows.of(CURRENT) & ~labels.seen)
    left = np.clip((n * rates[REFERENCE] - n1) / np.maximum(unseen, 1), 0.0, 1.0)
    rate = (rates[CURRENT] + np.where(unseen > 0, left, rates[CURRENT])) / 2
    return (rate * n + 0.5) / (n + 1)


def _sampling_error(masses: Masses, weight: Floats) -> float:
    """What the period's own number of rows leaves open: each row's outcome is a draw at its cell's rate."""
    size = (masses.positive + masses.negative)[..., 0]
    with np.errstate(divide="ignore", invalid="ignore"):
        p = np.where(size > 0, masses.positive[..., 0] / size, 0.0)
    return float(np.sqrt((size * p * (1 - p) * weight**2).sum()))


def _exploration(scene: Scene, hidden: Flags, *, rate: Floats, weight: Floats, sampling: float | None) -> pl.DataFrame:
    """Rows to let through so that each decision's blocked rows add no more than the sampling error."""
    made: list[dict[str, object]] = []
    size = _sizes(scene, hidden)
    for decision in (1, 0):
        n = size[decision]
        blocked = int(n.sum())
        if not blocked:
            continue
        p = float((n * rate[decision]).sum() / blocked)
        spread = float(np.sqrt((n * rate[decision] * (1 - rate[decision]) * weight[decision] ** 2).sum() / blocked))
        least = min(blocked, FEWEST_LET_THROUGH)
        wanted = blocked if not sampling else round((blocked * spread / sampling) ** 2)
        through = min(blocked, max(least, wanted))
        made.append(
            {
                "decision": _DECISIONS[decision],
                "blocked": blocked,
                "expected_rate": p,
                "let_through": through,
                "share": through / blocked,
                "expected_error": blocked * spread / float(np.sqrt(through)),
            }
        )
    schema = {
        "decision": pl.String,
        "blocked": pl.Int64,
        "expected_rate": pl.Float64,
        "let_through": pl.Int64,
        "share": pl.Float64,
        "expected_error": pl.Float64,
    }
    return pl.DataFrame(made, schema=schema)


def _strata_frame(scene: Scene, found: Sequence[tuple[Stratum, int, bool]]) -> pl.DataFrame:
    edges = np.concatenate([[float(scene.rows.score.min())], scene.edges, [float(scene.rows.score.max())]])
    made = [
        (
            _name(number),
            _DECISIONS[each.decision],
            float(edges[each.bins[0]]),
            float(edges[each.bins[1] + 1]),
            labelled,
            each.size,
            each.rate,
            n,
            n / each.size,
        )
        for number, (each, n, labelled) in enumerate(found)
    ]
    schema = {
        "stratum": pl.String,
        "decision": pl.String,
        "score_from": pl.Float64,
        "score_to": pl.Float64,
        "labelled": pl.Boolean,
        "candidates": pl.Int64,
        "expected_rate": pl.Float64,
        "rows": pl.Int64,
        "audit_prob": pl.Float64,
    }
    return pl.DataFrame(made, schema=schema, orient="row")


def _name(number: int) -> str:
    return f"s{number + 1}"


def _drawn_rows(
    scene: Scene, found: Sequence[tuple[Stratum, int, bool]], masks: tuple[Flags, Flags], *, seed: int
) -> pl.DataFrame:
    """Of every stratum the rows whose hashed id comes first: any order of the logs gives the same."""
    rows = scene.rows
    keys = ["prediction_id", *(key for key in scene.joined.contract.join.keys if key != "prediction_id")]
    keys = [key for key in keys if key in rows.frame.columns]
    parts: list[pl.DataFrame] = []
    for number, (each, n, labelled) in enumerate(found):
        inside = (scene.bin_of >= each.bins[0]) & (scene.bin_of <= each.bins[1])
        mine = masks[int(labelled)] & (rows.decision == each.decision) & inside
        frame = rows.frame.select(keys).filter(pl.Series(mine))
        ids = frame["prediction_id"].cast(pl.String).to_list()
        frame = frame.with_columns(
            pl.lit(_name(number)).alias("stratum"),
            pl.lit(n / each.size).alias("audit_prob"),
            pl.Series("_at", [hashlib.blake2b(f"{seed}|{name}".encode(), digest_size=8).hexdigest() for name in ids]),
        )
        parts.append(frame.sort("_at", "prediction_id").head(n).drop("_at"))
    if parts:
        return pl.concat(parts)
    schema = {**{key: rows.frame.schema[key] for key in keys}, "stratum": pl.String, "audit_prob": pl.Float64}
    return pl.DataFrame(schema=schema)


def _finite(value: Floats) -> float | None:
    number = float(value)
    return number if np.isfinite(number) else None
