"""Before any statistic: do rows and statements find each other in both windows alike?"""

from collections.abc import Mapping
from datetime import datetime
from typing import Final

import polars as pl

from fbkit.diagnose.counting import DIFFERS_P, two_shares
from fbkit.diagnose.orphans import NO_KEY, lost_statements
from fbkit.diagnose.rows import CURRENT, REFERENCE, WINDOWS
from fbkit.diagnose.scene import Scene
from fbkit.join.ids import format_of
from fbkit.schema.label import longest_delay

SCHEMA: Final = {
    "check": pl.String, "window": pl.String, "rows": pl.Int64, "of": pl.Int64, "share": pl.Float64,
    "p_value": pl.Float64, "differs": pl.Boolean, "note": pl.String,
}  # fmt: skip
STATEMENTS: Final[dict[str, tuple[tuple[str, ...], str]]] = {
    "duplicate statements": (("duplicate_statement",), "another statement that arrived at the same time and agrees"),
    "replaced statements": (("superseded",), "a later or preferred statement counts instead"),
    "conflicting statements": (("conflicting_label",), "simultaneous statements that disagree; none is used"),
    "events before the prediction": (("before_prediction",), "never a label"),
    "events after the label window": (("after_window",), "never a label"),
    "statements of another definition": (("other_definition",), "beside one of the contract's, or in a strict view"),
    "statements against the action": (("contradicts_action",), "an outcome of a row whose action hides it"),
}
_LOST: Final = ("not_yet_arrived", "not_chosen", "orphan", "ambiguous", "no_candidate")
_REFUSED: Final[dict[str, str]] = {
    "duplicate_row": "predictions logged twice",
    "conflicting_id": "predictions under one id with different content",
    "other_environment": "predictions of another environment",
}
FAN_OUT: Final = "statements that several predictions could claim"
_LATE: Final = "labels that came late"
_STILL_COMING: Final = (*STATEMENTS, _LATE, "predictions with several statements")
_SAMPLE: Final = 5_000
_Pair = tuple[int, int]
_Check = tuple[str, _Pair, _Pair, str]
_Spans = tuple[tuple[datetime, datetime], tuple[datetime, datetime]]


def integrity(scene: Scene) -> pl.DataFrame:
    """check, window, rows, of, share, p_value, differs, note: two rows for each check, empty checks left out.

    Statements without a prediction are put into the windows by the time of their event (the current window's until its
    last label window closes), everything else by the time of the prediction. ``p_value`` is that of the shares of both
    windows being the same, ``differs`` that it is below 5e-4 (Fabijan and others 2019); of what may still come for the
    current rows only more of it differs, less of it does not. A joined table without statements has the checks of the
    predictions only.
    """
    found = [*_of_statements(scene), *_of_predictions(scene), *_of_refused(scene)]
    made: list[tuple[object, ...]] = []
    for check, rows, of, note in found:
        p = two_shares(rows[REFERENCE], of[REFERENCE], rows[CURRENT], of[CURRENT])
        for window, name in enumerate(WINDOWS):
            share = rows[window] / of[window] if of[window] else None
            differs = p is not None and p < DIFFERS_P and (check not in _STILL_COMING or _more(rows, of))
            made.append((check, name, rows[window], of[window], share, p, differs, note))
    return pl.DataFrame(made, schema=SCHEMA, orient="row")


def _more(rows: _Pair, of: _Pair) -> bool:
    return rows[CURRENT] * of[REFERENCE] > rows[REFERENCE] * of[CURRENT]


def _spans(scene: Scene) -> _Spans:
    """Times of events that belong to the one and the other window."""
    reference, current = scene.reference, scene.current
    until = current.end + longest_delay(scene.joined)
    return (reference.start, min(reference.end, current.start)), (current.start, until)


def _own_spans(scene: Scene) -> _Spans:
    return (scene.reference.start, scene.reference.end), (scene.current.start, scene.current.end)


def _by_window(frame: pl.LazyFrame, spans: _Spans, *, time: str, what: Mapping[str, pl.Expr]) -> dict[str, _Pair]:
    """How many rows of each window are marked."""
    marks: list[pl.Expr] = []
    for name, (start, end) in zip(WINDOWS, spans, strict=True):
        inside = (pl.col(time) >= start) & (pl.col(time) < end)
        marks += [(inside & mask).sum().alias(f"{key}|{name}") for key, mask in what.items()]
    counts = frame.select(marks).collect().row(0, named=True)
    return {key: (int(counts[f"{key}|{WINDOWS[0]}"]), int(counts[f"{key}|{WINDOWS[1]}"])) for key in what}


def _of_statements(scene: Scene) -> list[_Check]:
    pairs, lost = getattr(scene.joined, "pairs", None), lost_statements(scene.joined)
    if pairs is None or lost is None:
        return []
    fate = pl.col("fate").cast(pl.String)
    told = {name: fate.is_in(list(fates)) for name, (fates, _) in STATEMENTS.items()}
    told |= {FAN_OUT: (pl.col("n_rivals") > 0) & (fate == "used")}
    paired = {"all": ~fate.is_in(list(_LOST))}
    spans = _spans(scene)
    found = _by_window(pairs.lazy(), _own_spans(scene), time="ts_pred", what=paired | told)
    around = _by_window(pairs.lazy(), spans, time="ts_event", what=paired)["all"]
    gone = _by_window(lost.lazy(), spans, time="ts_event", what=_kinds(scene))
    of = (around[0] + gone["all"][0], around[1] + gone["all"][1])
    notes = {name: note for name, (_, note) in STATEMENTS.items()} | {FAN_OUT: "by entity and time"}
    made: list[_Check] = [(name, gone[name], of, note) for name, note in _LOST_NOTES.items()]
    made += [(name, found[name], found["all"], note) for name, note in notes.items()]
    return [item for item in made if any(item[1])]


_LOST_NOTES: Final[dict[str, str]] = {
    "orphans": "the key matches no prediction",
    "ids of another format": "no prediction writes its key like that",
    "statements without a usable key": "blank, or with no single prediction by entity and time",
}


def _kinds(scene: Scene) -> dict[str, pl.Expr]:
    keys = [pl.col(name).cast(pl.String) for name in scene.joined.contract.join.keys]
    rows = scene.rows.frame
    sample = rows.gather_every(max(1, rows.height // _SAMPLE)).select(pl.concat_str(keys, separator="|").alias("key"))
    formats = sample.select(_shape(pl.col("key")).unique()).to_series()
    blank = pl.col("how") == NO_KEY
    other = (~_shape(pl.col("key")).is_in(formats.implode())).fill_null(value=False)
    return {
        "all": pl.lit(value=True),
        "orphans": ~blank,
        "ids of another format": ~blank & other,
        "statements without a usable key": blank,
    }


def _shape(key: pl.Expr) -> pl.Expr:
    """The format of an id whatever the length of its numbers."""
    return format_of(key).str.replace_all("0+", "0")


def _of_predictions(scene: Scene) -> list[_Check]:
    rows = scene.rows
    n = (int(rows.of(REFERENCE).sum()), int(rows.of(CURRENT).sum()))

    def counted(mask: pl.Expr) -> _Pair:
        hit = rows.frame.select(mask.fill_null(value=False)).to_series().to_numpy()
        return int((hit & rows.of(REFERENCE)).sum()), int((hit & rows.of(CURRENT)).sum())

    columns = rows.frame.columns
    made: list[_Check] = []
    if "state" in columns:
        missing = counted(pl.col("state").cast(pl.String) == "missing")
        made.append(("predictions that no statement reached", missing, n, "the label window is closed"))
    if "n_outcomes" in columns:
        several = counted(pl.col("n_outcomes") > 1)
        made.append(("predictions with several statements", several, n, "duplicates and corrections"))
    if "late" in columns:
        made.append((_LATE, counted(pl.col("late")), n, "after the label window and its grace"))
    return [item for item in made if any(item[1])]


def _of_refused(scene: Scene) -> list[_Check]:
    """Rows of the prediction log that were left out, those of other environments among them."""
    refused = getattr(scene.joined, "rejects", {}).get("predictions", pl.DataFrame())
    if not {"rule", "ts_pred"} <= set(refused.columns) or refused.is_empty():
        return []
    what = {name: pl.col("rule") == name for name in _REFUSED}
    found = _by_window(refused.lazy(), _own_spans(scene), time="ts_pred", what=what)
    rows = scene.rows
    n = (int(rows.of(REFERENCE).sum()), int(rows.of(CURRENT).sum()))
    return [
        (said, found[name], (n[0] + found[name][0], n[1] + found[name][1]), "left out")
        for name, said in _REFUSED.items()
        if any(found[name])
    ]
