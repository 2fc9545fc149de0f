"""Guess a contract from two logs whose columns nobody has mapped; every guess is said aloud."""

import re
from collections.abc import Callable, Mapping
from datetime import timedelta
from typing import Any

import polars as pl
import polars.selectors as cs

from fbkit.errors import InputError
from fbkit.load.columns import NUMBERS, TIMES, free_name, is_special, refuse_other_separator
from fbkit.load.guess_names import ACTIONS, BLOCKING, IDS, OUTCOMES, PREDICTIONS
from fbkit.load.predictions import RESERVED
from fbkit.load.read import read_frame
from fbkit.schema.contract import Contract
from fbkit.schema.durations import format_duration, parse_duration

_TIME = re.compile(r"^\d{4}-\d{2}-\d{2}")


def guess_contract(
    frames: Mapping[str, Any], *, window: str | timedelta, threshold: float | None = None, timezone: str | None = None
) -> tuple[Contract, tuple[str, ...]]:
    """A draft contract for two logs, and the assumptions it rests on, one sentence each.

    Raises
    ------
    InputError
        A required column cannot be guessed; the message says which and shows what is there.
    """
    predictions, outcomes = (_look_at(frames[table], table=table) for table in ("predictions", "outcomes"))
    said: list[str] = []
    key = _guess_id(predictions, outcomes, said=said)
    left = _map(predictions, PREDICTIONS, table="predictions", required=("ts_pred", "score"), taken={key[0]}, said=said)
    right = _map(outcomes, OUTCOMES, table="outcomes", required=("label", "ts_event"), taken={key[1]}, said=said)
    if "ts_arrival" not in right:
        said.append("outcomes: no arrival time found, so a label counts as known the moment it happened")
    used = {*left.values(), key[0]}
    slices = _slices(predictions, taken=used)
    features = _features(predictions, taken={*used, *slices})
    said += [f"predictions: slices are {', '.join(slices)}"] if slices else ["predictions: no slice column found"]
    decision = _decision(left, threshold=threshold, said=said)
    silence = _silence(outcomes, right["label"], predictions=predictions.height, said=said)
    # A name that the joined table uses itself, such as "state", is kept under another.
    taken = {*RESERVED, "prediction_id", *left}
    kept = {*features} - taken | {*slices} - taken - {*NUMBERS["predictions"], *TIMES["predictions"]}
    freed = {free_name(name, predictions.columns): name for name in (*slices, *features) if name not in kept}
    renamed = {old: new for new, old in freed.items()}
    raw: dict[str, Any] = {
        "model": {"name": "draft"},
        "predictions": {"columns": {"prediction_id": key[0], **left, **freed}},
        "outcomes": {"columns": {"prediction_id": key[1], **right}},
        "label": {
            "name": _label_name(outcomes, right["label"], said=said),
            "window": format_duration(parse_duration(window)),
            "silence": silence,
        },
        "decision": decision,
        "slices": {"columns": [renamed.get(name, name) for name in slices]},
        "features": {"columns": [renamed.get(name, name) for name in features]},
    }
    if "actions" in frames:
        raw["actions"] = _actions(read_frame(frames["actions"], table="actions")[0], ids=predictions[key[0]], said=said)
    if timezone is not None:
        raw["time"] = {"timezone": timezone}
        said.append(f"times without a zone are read as {timezone}")
    length = format_duration(parse_duration(window))
    said.append(f"labels: window {length}, silence means {silence}, the latest statement counts")
    return Contract.from_dict(raw, name="the draft contract"), tuple(said)


def _label_name(outcomes: pl.DataFrame, column: str, *, said: list[str]) -> str:
    """What the log itself calls the label; of several the one that most rows are about."""
    if "label_name" not in outcomes.columns or outcomes.schema["label_name"] != pl.String:
        return column
    names = outcomes["label_name"].str.strip_chars().drop_nulls().value_counts(sort=True)
    names = names.filter(pl.col("label_name") != "").sort("count", "label_name", descending=[True, False])
    if names.is_empty():
        return column
    name = str(names["label_name"][0])
    more = f"; rows about {', '.join(names['label_name'][1:4])} are left out" if names.height > 1 else ""
    said.append(f"labels: the label is {name}, by label_name{more}")
    return name


def _look_at(data: Any, *, table: str) -> pl.DataFrame:
    """The rows of a log, without the columns that go by another name once loaded."""
    frame, _ = read_frame(data, table=table)
    refuse_other_separator(frame, table=table)
    if frame.is_empty():
        raise InputError(
            f"the {table} have no rows, so their columns cannot be guessed",
            got=", ".join(frame.columns) or "no columns",
            allowed="at least one row",
            next_step="give a log with rows, or write a contract",
        )
    return frame.select(cs.by_name(*[name for name in frame.columns if not is_special(name)]))


def _plain(name: str) -> str:
    return re.sub(r"[^a-z0-9]", "", name.lower())


def _guess_id(predictions: pl.DataFrame, outcomes: pl.DataFrame, *, said: list[str]) -> tuple[str, str]:
    """The id column on both sides: known names first, and it must really pair rows."""
    left = sorted(predictions.columns, key=_id_rank)
    right = sorted(outcomes.columns, key=_id_rank)
    best: tuple[float, str, str] | None = None
    for a in (name for name in left if _may_be_id(predictions, name)):
        values = predictions[a].cast(pl.String)
        if not _mostly_distinct(predictions[a], share=0.9):
            continue
        for b in (name for name in right if _may_be_id(outcomes, name) and _mostly_distinct(outcomes[name], share=0.5)):
            hit = outcomes[b].cast(pl.String).is_in(values.implode()).mean() or 0.0
            if best is None or float(hit) > best[0] + 1e-9:  # type: ignore[arg-type]  # mean() of a boolean is a float
                best = (float(hit), a, b)  # type: ignore[arg-type]  # same
    if best is None or best[0] == 0.0:
        raise InputError(
            "no column pairs the outcomes with the predictions",
            got=f"predictions: {', '.join(predictions.columns)}; outcomes: {', '.join(outcomes.columns)}",
            allowed="an id that is unique in the predictions and appears in the outcomes",
            next_step="write a contract that maps prediction_id under [predictions.columns] and [outcomes.columns]",
        )
    said.append(
        f"predictions: prediction_id is {best[1]}; outcomes: prediction_id is {best[2]} "
        f"({best[0]:.1%} of outcomes match)"
    )
    return best[1], best[2]


def _mostly_distinct(values: pl.Series, *, share: float) -> bool:
    """Whether the values tell rows apart; a 0/1 label would else pair with the ids 0 and 1."""
    known = values.drop_nulls()
    return known.len() > 0 and known.n_unique() >= share * known.len()


def _id_rank(name: str) -> int:
    plain = _plain(name)
    if plain in IDS:
        return IDS.index(plain)
    return len(IDS) if plain.endswith("id") else len(IDS) + 1


def _may_be_id(frame: pl.DataFrame, name: str) -> bool:
    dtype = frame.schema[name]
    if dtype == pl.String:
        sample = frame[name].drop_nulls().head(20).to_list()
        return not all(_TIME.match(value) for value in sample) if sample else False
    return dtype.is_integer()


def _map(
    frame: pl.DataFrame,
    known: dict[str, tuple[str, ...]],
    *,
    table: str,
    required: tuple[str, ...],
    taken: set[str],
    said: list[str],
) -> dict[str, str]:
    plain = {_plain(name): name for name in reversed(frame.columns) if name not in taken}
    found: dict[str, str] = {}
    for canonical, names in known.items():
        fits = _FITS.get(canonical)
        for name in (plain[item] for item in names if item in plain):
            if name not in found.values() and (fits is None or fits(frame, name)):
                found[canonical] = name
                break
    for canonical in required:
        if canonical not in found:
            found[canonical] = _by_type(frame, canonical, table=table, taken={*taken, *found.values()})
    said += [f"{table}: {canonical} is {name}" for canonical, name in found.items()]
    return found


def _by_type(frame: pl.DataFrame, canonical: str, *, table: str, taken: set[str]) -> str:
    """The only column of the right type, when no name tells."""
    fits = _FITS[canonical]
    candidates = [name for name in frame.columns if name not in taken and fits(frame, name)]
    if len(candidates) == 1:
        return candidates[0]
    raise InputError(
        f"the {canonical} of the {table} could not be guessed",
        got=", ".join(candidates) or ", ".join(frame.columns),
        allowed=_ALLOWED.get(canonical, f"one column that is {canonical}"),
        next_step=f"write a contract with [{table}.columns] {canonical} = ... (and its task, if it is not binary)"
        if canonical in ("score", "label")
        else f"write a contract with [{table}.columns] {canonical} = ...",
    )


def _is_time(frame: pl.DataFrame, name: str) -> bool:
    if frame.schema[name].is_temporal():
        return True
    sample = frame[name].drop_nulls().head(50).to_list() if frame.schema[name] == pl.String else []
    return bool(sample) and all(_TIME.match(value) for value in sample)


def _numbers(frame: pl.DataFrame, name: str) -> pl.Series | None:
    dtype = frame.schema[name]
    if dtype.is_numeric() or dtype == pl.Boolean:
        return frame[name].cast(pl.Float64)
    if dtype != pl.String:
        return None
    text = frame[name].str.to_lowercase()
    cast = text.replace({"true": "1", "false": "0"}).cast(pl.Float64, strict=False)
    return cast if cast.null_count() <= text.null_count() + 0.1 * frame.height else None


def _is_score(frame: pl.DataFrame, name: str) -> bool:
    values = _numbers(frame, name)
    if values is None or not values.drop_nulls().len():
        return False
    # A stray NaN or 1.2 does not make it another column: the log's own checks set such rows aside.
    inside = values.drop_nulls().is_between(0, 1).sum()
    return inside >= 0.9 * values.drop_nulls().len() and values.n_unique() > min(2, values.len() - 1)


def _is_binary(frame: pl.DataFrame, name: str) -> bool:
    values = _numbers(frame, name)
    return values is not None and set(values.drop_nulls().unique().to_list()) <= {0.0, 1.0}


def _is_number(frame: pl.DataFrame, name: str) -> bool:
    return _numbers(frame, name) is not None


def _is_key(frame: pl.DataFrame, name: str) -> bool:
    return frame.schema[name] == pl.String or frame.schema[name].is_integer()


def _is_text(frame: pl.DataFrame, name: str) -> bool:
    return frame.schema[name] == pl.String and not _is_time(frame, name)


def _is_share(frame: pl.DataFrame, name: str) -> bool:
    values = _numbers(frame, name)
    return values is not None and bool(values.drop_nulls().is_between(0, 1).all())


_FITS: dict[str, Callable[[pl.DataFrame, str], bool]] = {
    "entity_id": _is_key,
    "ts_pred": _is_time,
    "ts_event": _is_time,
    "ts_arrival": _is_time,
    "score": _is_score,
    "label": _is_binary,
    "threshold": _is_number,
    "decision": _is_binary,
    "action": _is_text,
    "propensity": _is_share,
    "ts_action": _is_time,
    "explored": _is_binary,
}


_ALLOWED = {
    "score": "one column of probabilities between 0 and 1",
    "label": "one column of 0 and 1",
    "ts_pred": "one column of times",
    "ts_event": "one column of times",
    "action": "one column that says in words what was done",
}


def _silence(outcomes: pl.DataFrame, label: str, *, predictions: int, said: list[str]) -> str:
    """Only positives are logged: then silence is how a negative looks."""
    values = _numbers(outcomes, label)
    if values is None or outcomes.height >= predictions or values.drop_nulls().unique().to_list() != [1.0]:
        return "missing"
    said.append("labels: every logged label is 1, so a prediction without one is negative once its window is closed")
    return "negative"


def _slices(frame: pl.DataFrame, *, taken: set[str]) -> list[str]:
    """Text columns with few values."""
    texts = [name for name in frame.columns if name not in taken and frame.schema[name] in (pl.String, pl.Boolean)]
    texts = [name for name in texts if not _is_time(frame, name) and _numbers(frame, name) is None]
    return [name for name in texts if 2 <= frame[name].n_unique() <= 50][:8]


def _features(frame: pl.DataFrame, *, taken: set[str]) -> list[str]:
    rest = [name for name in frame.columns if name not in taken and not _is_time(frame, name)]
    return [
        name
        for name in rest
        if _numbers(frame, name) is not None and frame[name].n_unique() > 2 and not _plain(name).endswith("id")
    ]


def _actions(frame: pl.DataFrame, *, ids: pl.Series, said: list[str]) -> dict[str, Any]:
    """Columns of an action log, and the actions whose names say that they hide the outcome."""
    known = ids.cast(pl.String).implode()
    hits = {
        name: float(frame[name].cast(pl.String).is_in(known).mean() or 0.0)  # type: ignore[arg-type]  # of a boolean
        for name in sorted(frame.columns, key=_id_rank)
        if _may_be_id(frame, name)
    }
    key = max(hits, key=lambda name: hits[name], default=None)
    if key is None or hits[key] == 0.0:
        raise InputError(
            "no column pairs the actions with the predictions",
            got=", ".join(frame.columns),
            allowed="an id that appears in the predictions",
            next_step="write a contract that maps prediction_id under [actions.columns]",
        )
    said.append(f"actions: prediction_id is {key} ({hits[key]:.1%} of actions match)")
    columns = _map(frame, ACTIONS, table="actions", required=("action",), taken={key}, said=said)
    values = frame[columns["action"]].cast(pl.String).unique().drop_nulls().sort().to_list()
    blocked = [value for value in values if _plain(value) in BLOCKING]
    if blocked:
        said.append(f"actions: {', '.join(blocked)} hides the outcome, as the name says")
    return {"columns": {"prediction_id": key, **columns}, "blocked": blocked}


def _decision(mapped: dict[str, str], *, threshold: float | None, said: list[str]) -> dict[str, float]:
    if threshold is not None:
        return {"threshold": threshold}
    if "threshold" in mapped or "decision" in mapped:
        return {}
    said.append(
        "decision: no threshold or decision is logged, so score >= 0.5 counts as flagged (say --threshold to change it)"
    )
    return {"threshold": 0.5}
