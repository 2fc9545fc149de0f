"""A monotone map from score to probability that travels: as arrays, a Polars expression, SQL text and a JSON file."""

import contextlib
import json
import math
import os
import secrets
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Literal

import numpy as np
import polars as pl

from fbkit.errors import ArgumentError, InputError, OutputError
from fbkit.measure.stats.corp import distinct_scores, isotonic
from fbkit.measure.stats.intervals import Array
from fbkit.measure.stats.logistic import CLIP, Line, fit_line, log_odds

FORMAT: Final = 1
KIND: Final = "fbkit recalibration map"
Method = Literal["isotonic", "platt"]
METHODS: Final = ("isotonic", "platt")
_NOTHING: Final = 1e-200
_MOST_KNOTS: Final = 100_000
_LARGEST_FILE: Final = 10_000_000
_TEXTS: Final = ("fit_period", "stage", "contract", "evaluation_id")


@dataclass(frozen=True, slots=True, kw_only=True)
class RecalibrationMap:
    """What a score means: a probability that never falls as the score rises.

    ``isotonic``: straight lines between ``knots`` (score, probability), constant beyond the outer ones; ``platt``:
    1 / (1 + exp(-(slope * ln(s / (1 - s)) + intercept))) of the score cut at ``clip`` and 1 - ``clip``.

    ``fit_period``, ``n_labelled``, ``stage``, ``contract`` (hash) and ``evaluation_id`` say what it was fitted on.

    Examples
    --------
    >>> halved = RecalibrationMap(method="isotonic", knots=((0.0, 0.0), (1.0, 0.5)))
    >>> halved.apply([0.2, 0.9]).tolist()
    [0.1, 0.45]
    """

    method: Method
    knots: tuple[tuple[float, float], ...] = ()
    slope: float = 1.0
    intercept: float = 0.0
    clip: float = CLIP
    fit_period: str = ""
    n_labelled: int = 0
    stage: str = ""
    contract: str = ""
    evaluation_id: str = ""

    def __post_init__(self) -> None:
        problem = _problem(self)
        if problem is not None:
            raise InputError(
                "this is no recalibration map",
                got=problem,
                allowed="rising scores with probabilities that never fall, or a positive slope",
                next_step="fit it again with fb.recalibrate",
            )

    def apply(self, scores: Any) -> Array:
        """The probabilities of these scores; NaN stays NaN."""
        score = np.asarray(scores, dtype=np.float64)
        if self.method == "platt":
            return Line(self.slope, self.intercept)(log_odds(score, clip=self.clip))
        x, y = np.array(self.knots).T
        return np.interp(score, x, y)

    def to_expr(self, column: str = "score") -> pl.Expr:
        """The map as a Polars expression of a score column; null stays null."""
        score = pl.col(column).cast(pl.Float64)
        if self.method == "platt":
            inside = score.clip(self.clip, 1 - self.clip)
            made = 1 / (1 + (-(self.slope * (inside / (1 - inside)).log() + self.intercept)).exp())
        else:
            x, y = (pl.lit(pl.Series(part, dtype=pl.Float64)) for part in np.array(self.knots).T.tolist())
            slopes = pl.lit(pl.Series(self._slopes(), dtype=pl.Float64))
            last = len(self.knots) - 1
            inside = score.clip(self.knots[0][0], self.knots[-1][0])
            # The line of a score starts at the last knot below it; a null is given the first and stays null.
            at = (x.search_sorted(inside.fill_null(self.knots[0][0]), side="right").cast(pl.Int64) - 1).clip(0, last)
            made = y.gather(at) + (inside - x.gather(at)) * slopes.gather(at)
        return pl.when(score.is_not_nan()).then(made).alias(column)

    def to_sql(self, column: str = "score") -> str:
        """The map as one ANSI SQL expression of a quoted column; null stays null. Its numbers are doubles."""
        name = _quoted(column)
        if self.method == "platt":
            inside = (
                f"(CASE WHEN {name} < {_number(self.clip)} THEN {_number(self.clip)} "
                f"WHEN {name} > {_number(1 - self.clip)} THEN {_number(1 - self.clip)} ELSE {name} END)"
            )
            line = f"{_number(self.slope)} * LN({inside} / (1e0 - {inside})) + {_number(self.intercept)}"
            return f"(1e0 / (1e0 + EXP(-({line}))))"
        parts = [f"CASE WHEN {name} IS NULL THEN NULL"]
        parts.append(f"WHEN {name} <= {_number(self.knots[0][0])} THEN {_number(self.knots[0][1])}")
        slopes = self._slopes()
        for (x0, y0), (x1, _), slope in zip(self.knots, self.knots[1:], slopes, strict=False):
            line = _number(y0) if slope == 0 else f"{_number(y0)} + ({name} - {_number(x0)}) * {_number(slope)}"
            parts.append(f"WHEN {name} < {_number(x1)} THEN {line}")
        return "\n  ".join([*parts, f"ELSE {_number(self.knots[-1][1])} END"])

    def _slopes(self) -> list[float]:
        """The slope from each knot to the next; 0 from the last one."""
        if len(self.knots) == 1:
            return [0.0]
        x, y = np.array(self.knots).T
        return [*(np.diff(y) / np.diff(x)).tolist(), 0.0]

    def to_json(self) -> str:
        """The map as JSON: format version, method, coefficients, and what it was fitted on."""
        said: dict[str, object] = {"kind": KIND, "format": FORMAT, "method": self.method}
        if self.method == "platt":
            said |= {"slope": self.slope, "intercept": self.intercept, "clip": self.clip}
        else:
            said["knots"] = [list(knot) for knot in self.knots]
        said |= {"n_labelled": self.n_labelled} | {name: getattr(self, name) for name in _TEXTS}
        return json.dumps(said, ensure_ascii=False, allow_nan=False, indent=1) + "\n"

    def save(self, path: str | Path) -> Path:
        """Write the map as JSON; the file appears whole or not at all.

        Raises
        ------
        OutputError
            The folder cannot be written; what stood there before is untouched.
        """
        return _write(Path(path), self.to_json().encode())

    @classmethod
    def open(cls, path: str | Path) -> "RecalibrationMap":
        """Read a map that :meth:`save` wrote.

        Raises
        ------
        InputError
            The file is missing, no such map, damaged, or of a newer format.
        """
        file = Path(path)
        try:
            if file.stat().st_size > _LARGEST_FILE:
                raise _refused(file, f"{file.stat().st_size:,} bytes")
            text = file.read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError) as error:
            reason = "not UTF-8 text" if isinstance(error, UnicodeDecodeError) else f"{error.strerror}"
            raise _refused(file, reason) from error
        return from_json(text, name=file.name)


def from_json(text: str, *, name: str = "the map") -> RecalibrationMap:
    """Read the JSON of a map; anything but one is an InputError."""
    try:
        said = json.loads(text, parse_constant=_no_constant)
    except (ValueError, RecursionError) as error:
        raise _refused(Path(name), f"not JSON: {error}") from error
    if not isinstance(said, dict) or said.get("kind") != KIND:
        raise _refused(Path(name), "a file of another kind")
    if said.get("format") != FORMAT:
        raise InputError(
            f"{name} has a format that this version cannot read",
            got=said.get("format"),
            allowed=f"format {FORMAT}",
            next_step="read it with the version of fbkit that wrote it, or fit the map again",
        )
    method = said.get("method")
    coefficients = {"slope", "intercept", "clip"} if method == "platt" else {"knots"}
    keys = {"kind", "format", "method", "n_labelled", *_TEXTS, *coefficients}
    if set(said) != keys:
        raise _refused(Path(name), f"keys that differ: {', '.join(sorted(set(said) ^ keys))}")
    given = {key: said[key] for key in keys - {"kind", "format"}}
    if "knots" in given:
        given["knots"] = _pairs(given["knots"], name)
    return RecalibrationMap(**given)


def fit_isotonic(scores: Array, labels: Array, *, weights: Array | None = None) -> tuple[tuple[float, float], ...]:
    """Knots of the isotonic fit (pool adjacent violators): the first and the last score of each block.

    Straight lines between them, as scikit-learn's IsotonicRegression draws them. Labels may be fractional.
    """
    # Between scores of 1e-310 and 2e-310 a line is too steep for a double.
    distinct = distinct_scores(np.where(np.abs(scores) < _NOTHING, 0.0, scores), labels, weights=weights)
    fit = np.clip(isotonic(distinct.positives / distinct.n, distinct.n), 0, 1)
    change = np.diff(fit) > 0
    starts, ends = np.concatenate([[True], change]), np.concatenate([change, [True]])
    kept = starts | ends
    return tuple(zip(distinct.score[kept].tolist(), fit[kept].tolist(), strict=True))


def fit_platt(scores: Array, labels: Array, *, weights: Array | None = None) -> Line:
    """Platt's scaling on the log odds of the score, without his smoothing of the labels (Platt 1999).

    Raises
    ------
    ArgumentError
        Labels that a threshold separates in full, or scores that rank the wrong way round: no rising line fits.
    """
    line = fit_line(log_odds(scores), labels, weights=weights)
    if line is None or not line.slope > 0:
        raise ArgumentError(
            "Platt scaling finds no rising line",
            got="labels that a threshold separates in full" if line is None else f"slope {line.slope:.3g}",
            allowed="labels of both classes that overlap and rise with the score",
            next_step='use method="isotonic", or fit on a longer period',
        )
    return line


def _problem(made: RecalibrationMap) -> str | None:
    """What is wrong with a map, or None."""
    texts = all(isinstance(getattr(made, name), str) for name in _TEXTS)
    counted = isinstance(made.n_labelled, int) and not isinstance(made.n_labelled, bool) and made.n_labelled >= 0
    if made.method not in METHODS or not texts or not counted:
        return f"method {made.method!r}, or a value of another type"
    return _platt_problem(made) if made.method == "platt" else _knots_problem(made.knots)


def _platt_problem(made: RecalibrationMap) -> str | None:
    if not all(_is_number(number) for number in (made.slope, made.intercept, made.clip)):
        return "a coefficient that is no finite number"
    if made.slope <= 0 or not 0 < made.clip < 0.5:
        return f"slope {made.slope}, clip {made.clip}"
    return None


def _knots_problem(knots: tuple[tuple[float, float], ...]) -> str | None:
    if not 1 <= len(knots) <= _MOST_KNOTS:
        return f"{len(knots):,} knots"
    if not all(len(knot) == 2 and all(_is_number(number) for number in knot) for knot in knots):
        return "a knot that is no pair of finite numbers"
    x, y = np.array(knots, dtype=np.float64).T
    if (np.diff(x) < _NOTHING).any() or (np.diff(y) < 0).any():
        return "knots that do not rise"
    return None if y[0] >= 0 and y[-1] <= 1 else "a probability outside 0..1"


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)


def _pairs(knots: object, name: str) -> tuple[tuple[float, float], ...]:
    if not isinstance(knots, list) or not all(isinstance(knot, list) for knot in knots):
        raise _refused(Path(name), "knots that are no list of pairs")
    return tuple(tuple(knot) for knot in knots)


def _no_constant(name: str) -> float:
    raise ValueError(f"{name} is not a number")


def _refused(file: Path, reason: str) -> InputError:
    return InputError(
        f"{file.name} is no recalibration map that can be read",
        got=reason,
        allowed="the JSON file that fbkit recalibrate or RecalibrationMap.save wrote, unedited",
        next_step="look whether it is the right file, or fit the map again",
    )


def _number(value: float) -> str:
    """A literal that every dialect reads as a double: without an exponent some make it a decimal."""
    text = repr(float(value))
    return text if "e" in text else f"{text}e0"


def _quoted(column: str) -> str:
    if not column or "\0" in column:
        raise ArgumentError(
            "a column name cannot be written in SQL",
            got=column,
            allowed="a name of at least one sign, none of them NUL",
            next_step="name the score column",
        )
    return '"' + column.replace('"', '""') + '"'


def _write(target: Path, content: bytes) -> Path:
    temporary = target.with_name(f".{target.name}.{secrets.token_hex(6)}")
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        with temporary.open("xb") as stream:
            stream.write(content)
            stream.flush()
            os.fsync(stream.fileno())
        temporary.replace(target)
    except OSError as error:
        raise OutputError(
            f"could not write {target.name}",
            got=error.strerror or str(error),
            allowed="a folder that can be written, on a disk with room",
            next_step="choose another folder; what stood there before is untouched",
        ) from error
    finally:
        with contextlib.suppress(OSError):
            temporary.unlink(missing_ok=True)
    return target
