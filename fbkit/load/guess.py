"""Guess a contract from two logs whose columns nobody has mapped; every guess is said aloud."""

import re
from collections.abc import Callable, Mapping
from datetime import timedelta
from typing import Any

import polars as pl

from fbkit.errors import InputError
from fbkit.load.columns import free_name
from fbkit.load.predictions import RESERVED
from fbkit.load.read import read_frame
from fbkit.schema.contract import Contract
from fbkit.schema.durations import format_duration, parse_duration

# Names seen in the wild, most telling first; compared without case and punctuation.
_PREDICTIONS: dict[str, tuple[str, ...]] = {
    "ts_pred": (
        "tspred", "predictiontime", "predictedat", "predictionts", "predictiontimestamp", "scoredat", "scoretime",
        "requesttime", "eventtime", "timestamp", "createdat", "datetime", "time", "ts", "date",
    ),
    "score": (
        "score", "probability", "proba", "prob", "predictedprobability", "predproba", "yscore", "yprob", "riskscore",
        "modelscore", "fraudscore", "prediction", "pred", "yhat", "p",
    ),
    "threshold": ("threshold", "cutoff", "cut"),
    "decision": ("decision", "flagged", "isflagged", "predictedlabel", "predictedclass", "ypred", "blocked"),
    "model_version": ("modelversion", "version", "modelid", "model"),
    "entity_id": (
        "entityid", "userid", "customerid", "accountid", "clientid", "memberid", "deviceid", "user", "customer",
    ),
}  # fmt: skip
_OUTCOMES: dict[str, tuple[str, ...]] = {
    "label": (
        "label", "ytrue", "y", "target", "outcome", "actual", "groundtruth", "truth", "isfraud", "fraud",
        "ischargeback", "converted", "clicked", "churned", "defaulted", "class",
    ),
    "ts_event": (
        "tsevent", "eventtime", "eventts", "occurredat", "happenedat", "outcometime", "labeltime", "eventtimestamp",
        "timestamp", "datetime", "time", "ts", "date", "createdat",
    ),
    "ts_arrival": (
        "tsarrival", "arrivaltime", "arrivedat", "tsingest", "ingestedat", "ingesttime", "ingestiontime", "receivedat",
        "loadedat", "reportedat", "recordedat", "labeledat", "labelledat", "updatedat",
    ),
    "source": ("source", "labelsource"),
    "label_version": ("labelversion", "labeldefversion"),
}  # fmt: skip
_IDS = (
    "predictionid", "predid", "scoreid", "transactionid", "txnid", "paymentid", "requestid", "eventid", "orderid",
    "caseid", "applicationid", "loanid", "flightid", "uuid", "id", "key",
)  # fmt: skip
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
    predictions, _ = read_frame(frames["predictions"], table="predictions")
    outcomes, _ = read_frame(frames["outcomes"], table="outcomes")
    for table, frame in (("predictions", predictions), ("outcomes", outcomes)):
        if frame.is_empty():
            raise InputError(
                f"the {table} have no rows, so their columns cannot be guessed",
                got=", ".join(frame.columns) or "no columns",
                next_step="give a log with rows, or write a contract",
            )
    said: list[str] = []
    key = _guess_id(predictions, outcomes, said=said)
    left = _map(
        predictions, _PREDICTIONS, table="predictions", required=("ts_pred", "score"), taken={key[0]}, said=said
    )
    right = _map(outcomes, _OUTCOMES, table="outcomes", required=("label", "ts_event"), taken={key[1]}, said=said)
    if "ts_arrival" not in right:
        said.append("outcomes: no arrival time found, so a label counts as known the moment it happened")
    used = {*left.values(), key[0]}
    slices = _slices(predictions, taken=used)
    features = _features(predictions, taken={*used, *slices})
    said += [f"predictions: slices are {', '.join(slices)}"] if slices else ["predictions: no slice column found"]
    decision = _decision(left, threshold=threshold, said=said)
    silence = _silence(outcomes, right["label"], predictions=predictions.height, said=said)
    # A name that the joined table uses itself, such as "state", is kept under another.
    freed = {free_name(name, predictions.columns): name for name in (*slices, *features) if name in RESERVED}
    renamed = {old: new for new, old in freed.items()}
    raw: dict[str, Any] = {
        "model": {"name": "draft"},
        "predictions": {"columns": {"prediction_id": key[0], **left, **freed}},
        "outcomes": {"columns": {"prediction_id": key[1], **right}},
        "label": {"name": right["label"], "window": format_duration(parse_duration(window)), "silence": silence},
        "decision": decision,
        "slices": {"columns": [renamed.get(name, name) for name in slices]},
        "features": {"columns": [renamed.get(name, name) for name in features]},
    }
    if timezone is not None:
        raw["time"] = {"timezone": timezone}
        said.append(f"times without a zone are read as {timezone}")
    length = format_duration(parse_duration(window))
    said.append(f"labels: window {length}, silence means {silence}, the latest statement counts")
    return Contract.from_dict(raw, name="the draft contract"), tuple(said)


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
    if plain in _IDS:
        return _IDS.index(plain)
    return len(_IDS) if plain.endswith("id") else len(_IDS) + 1


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


_FITS: dict[str, Callable[[pl.DataFrame, str], bool]] = {
    "entity_id": _is_key,
    "ts_pred": _is_time,
    "ts_event": _is_time,
    "ts_arrival": _is_time,
    "score": _is_score,
    "label": _is_binary,
    "threshold": _is_number,
    "decision": _is_binary,
}


_ALLOWED = {
    "score": "one column of probabilities between 0 and 1",
    "label": "one column of 0 and 1",
    "ts_pred": "one column of times",
    "ts_event": "one column of times",
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


def _decision(mapped: dict[str, str], *, threshold: float | None, said: list[str]) -> dict[str, float]:
    if threshold is not None:
        return {"threshold": threshold}
    if "threshold" in mapped or "decision" in mapped:
        return {}
    said.append(
        "decision: no threshold or decision is logged, so score >= 0.5 counts as flagged (say --threshold to change it)"
    )
    return {"threshold": 0.5}
