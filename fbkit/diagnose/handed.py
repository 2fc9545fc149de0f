"""A model that was handed in: scikit-learn-like, ONNX, or a function of a frame of features; it has to prove itself."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Any, Final

import numpy as np
import polars as pl

from fbkit.diagnose.bootstrap import Floats, Ints
from fbkit.diagnose.link import Link
from fbkit.diagnose.surrogate import r_squared
from fbkit.errors import ArgumentError, MissingPartError

CHECK_ROWS: Final = 4_000
SAME: Final = 1e-3
"""Scores that differ by less (logs are rounded) count as reproduced."""
_ALLOWED: Final = (
    "an object with predict_proba or predict, the path of an .onnx file or its session, or a function of a polars "
    "frame that returns one score per row"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Handed:
    """Scores of a frame of logged columns by the model."""

    score: Callable[[pl.DataFrame], Floats]
    columns: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Reproduced:
    """How well the model's scores are the logged ones on some rows: R2 on the link's scale, share that is the same."""

    r2: float
    same: float
    rows: int


def handed(model: object, *, frame: pl.DataFrame, features: Sequence[str]) -> Handed:
    """Wrap a model; its inputs are the columns that it names itself, else the contract's features.

    Raises
    ------
    ArgumentError
        Not a model, or it asks for a column that the log does not have.
    MissingPartError
        An ONNX file without onnxruntime.
    """
    if isinstance(model, str | Path):
        model = _session(Path(model))
    if hasattr(model, "run") and hasattr(model, "get_inputs"):
        return _onnx(model, frame=frame, features=features)
    named = getattr(model, "feature_names_in_", None)
    columns = tuple(str(name) for name in named) if named is not None else tuple(features)
    _check_columns(columns, frame)
    for method in ("predict_proba", "predict"):
        call = getattr(model, method, None)
        if callable(call):
            return Handed(score=_by_frame(call, columns, with_names=named is not None), columns=columns)
    if callable(model):
        return Handed(score=_by_frame(model, columns, with_names=True), columns=columns)
    raise ArgumentError(
        "this is no model that triage can call",
        got=type(model).__name__,
        allowed=_ALLOWED,
        next_step="pass a function that turns a frame of features into scores",
    )


def _check_columns(columns: Sequence[str], frame: pl.DataFrame) -> None:
    missing = [name for name in columns if name not in frame.columns]
    if missing or not columns:
        raise ArgumentError(
            "the model needs features that the prediction log does not have" if missing else "no features are logged",
            got=", ".join(missing) or "an empty [features] columns",
            allowed=", ".join(frame.columns),
            next_step="log the features as served and name them under [features] columns in the contract",
        )


def _by_frame(call: Callable[[Any], Any], columns: tuple[str, ...], *, with_names: bool) -> Callable[..., Floats]:
    def score(frame: pl.DataFrame) -> Floats:
        part = frame.select(columns)
        return one_per_row(call(part if with_names else part.to_numpy()), rows=part.height)

    return score


def one_per_row(answer: object, *, rows: int) -> Floats:
    """One score per row out of what a model answers: of two columns the second; refused if the shape is another."""
    if isinstance(answer, list) and answer and isinstance(answer[0], dict):
        answer = [line.get(1, line.get("1")) for line in answer]
    if isinstance(answer, pl.DataFrame | pl.Series):
        answer = answer.to_numpy()
    try:
        found = np.asarray(answer, dtype=np.float64)
    except (TypeError, ValueError):
        found = np.zeros(0)
    shape = tuple(found.shape)
    if len(shape) == 2 and shape[-1] in (1, 2):
        found = found[:, -1]
    if tuple(found.shape) != (rows,) or not np.isfinite(found).all():
        raise ArgumentError(
            "the model does not answer with one finite score per row",
            got=f"shape {shape} for {rows} rows",
            allowed="shape (rows,), (rows, 1) or (rows, 2): the last column is the probability of the positive class",
            next_step="wrap the model in a function that returns one score per row",
        )
    return found


def _session(path: Path) -> object:
    if path.suffix.lower() != ".onnx" or not path.is_file():
        raise ArgumentError(
            "no such ONNX model", got=path.name, allowed=_ALLOWED, next_step="give the path of an .onnx file"
        )
    try:
        onnxruntime = import_module("onnxruntime")
    except ImportError:
        raise MissingPartError(
            "an ONNX model needs onnxruntime, which is not installed",
            got="no package onnxruntime",
            allowed="onnxruntime beside fbkit",
            next_step="pip install onnxruntime, or pass a function that scores a frame of features",
        ) from None
    return onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])


def _onnx(session: Any, *, frame: pl.DataFrame, features: Sequence[str]) -> Handed:
    inputs = [item.name for item in session.get_inputs()]
    by_name = len(inputs) > 1 or inputs[0] in frame.columns
    columns = tuple(inputs) if by_name else tuple(features)
    _check_columns(columns, frame)

    def score(part: pl.DataFrame) -> Floats:
        if by_name:
            feed = {name: part[name].to_numpy().astype(np.float32).reshape(-1, 1) for name in columns}
        else:
            feed = {inputs[0]: part.select(columns).to_numpy().astype(np.float32)}
        return one_per_row(session.run(None, feed)[-1], rows=part.height)

    return Handed(score=score, columns=columns)


def reproduced(model: Handed, frame: pl.DataFrame, *, rows: Ints, link: Link, seed: int = 0) -> Reproduced:
    """Compare with the logged scores on at most 4,000 of these rows."""
    some = np.sort(np.random.default_rng(seed).permutation(rows)[:CHECK_ROWS])
    part = frame[some]
    logged, made = part["score"].cast(pl.Float64).to_numpy(), model.score(part)
    same = float((np.abs(made - logged) < SAME).mean()) if len(some) else 0.0
    target = link.scale(logged)
    return Reproduced(r2=r_squared(target - link.scale(made), target), same=same, rows=len(some))
