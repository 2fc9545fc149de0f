"""What kind of thing each keyword takes: refused before any work, in the same words by every function."""

from collections.abc import Callable, Mapping
from datetime import timedelta
from functools import wraps
from inspect import signature
from typing import Any, Final, NamedTuple, ParamSpec, TypeVar

import numpy as np

from fbkit.errors import ArgumentError
from fbkit.measure.scope import Stage
from fbkit.measure.user import Metric
from fbkit.schema.period import Comparison

P = ParamSpec("P")
R = TypeVar("R")
_MANY: Final = 2**31


class _Kind(NamedTuple):
    """Whether a value is of the kind, and the kind in words."""

    fits: Callable[[Any], bool]
    words: str


def _whole(value: Any) -> bool:
    return isinstance(value, int | np.integer) and not isinstance(value, bool) and abs(int(value)) < _MANY


def _number(value: Any) -> bool:
    return _whole(value) or isinstance(value, float | np.floating)


def _numbers(value: Any) -> bool:
    return _number(value) or _all(value, _number)


def _text(value: Any) -> bool:
    return isinstance(value, str)


def _texts(value: Any) -> bool:
    return isinstance(value, str) or _all(value, _text)


def _groups(value: Any) -> bool:
    return isinstance(value, str) or _all(value, _texts)


def _all(value: Any, fits: Callable[[Any], bool]) -> bool:
    """A list of such things; a table, a mapping or a set is none, because the order counts."""
    if isinstance(value, np.ndarray):
        return value.ndim == 1 and all(map(fits, value))
    return isinstance(value, list | tuple) and all(map(fits, value))


def _names(value: Any) -> bool:
    return isinstance(value, str | Metric) or _all(value, lambda item: isinstance(item, str | Metric))


def _stage(value: Any) -> bool:
    return isinstance(value, str | Stage)


def _targets(value: Any) -> bool:
    return _number(value) or (isinstance(value, Mapping) and all(map(_number, value.values())))


def _edges(value: Any) -> bool:
    return isinstance(value, Mapping) and all(
        isinstance(key, str) and _all(item, _number) for key, item in value.items()
    )


_TEXT: Final = _Kind(_text, "a text")
_TEXTS: Final = _Kind(_texts, "a text, or a list of texts")
_NUMBER: Final = _Kind(_number, "a number")
_NUMBERS: Final = _Kind(_numbers, "numbers")
_WHOLE: Final = _Kind(_whole, "a whole number")
_KINDS: Final[Mapping[str, _Kind]] = {
    "by": _TEXTS, "columns": _TEXTS, "within": _TEXTS, "curves": _TEXTS, "assumptions": _TEXTS,
    "every": _TEXT, "weights": _TEXT, "column": _TEXT, "interval": _TEXT, "champion": _TEXT, "challenger": _TEXT,
    "target": _TEXT, "method": _TEXT, "worse": _TEXT,
    "level": _NUMBER, "share": _NUMBER, "at_least": _NUMBER, "alpha": _NUMBER, "delta": _NUMBERS,
    "draws": _WHOLE, "seed": _WHOLE, "weeks": _WHOLE, "minimum": _WHOLE, "depth": _WHOLE, "k": _WHOLE,
    "names": _Kind(_names, "a name or an fb.Metric, or a list of these"),
    "metric": _Kind(lambda value: isinstance(value, str | Metric), "a name, or an fb.Metric"),
    "stage": _Kind(_stage, '"final", "any" or "provisional@30d"'),
    "reach": _Kind(_targets, "a number, or one per metric"),
    "comparison": _Kind(lambda value: isinstance(value, Comparison), "an fb.Comparison"),
}  # fmt: skip
_OWN: Final[Mapping[tuple[str, str], _Kind]] = {
    ("calibration", "bins"): _WHOLE,
    ("calibration_summary", "bins"): _Kind(lambda value: _whole(value) and value >= 1, "a whole number from 1 on"),
    ("calibration_summary", "draws"): _Kind(lambda value: _whole(value) and value >= 0, "a whole number from 0 on"),
    ("drift", "columns"): _Kind(lambda value: _texts(value) and len(value) > 0, "a text, or a list of some"),
    ("metrics", "bins"): _Kind(_edges, 'edges by column, such as {"amount": [10, 50]}'),
    ("slice_gaps", "bins"): _Kind(_edges, 'edges by column, such as {"amount": [10, 50]}'),
    ("find_slices", "bins"): _Kind(_edges, 'edges by column, such as {"amount": [10, 50]}'),
    ("slice_gaps", "by"): _Kind(_groups, "a column, or a list of columns and of lists of columns"),
    ("provisional", "stage"): _Kind(lambda value: _stage(value) or isinstance(value, timedelta), "an age such as 30d"),
    ("provisional_calibration", "stage"): _Kind(
        lambda value: _stage(value) or isinstance(value, timedelta), "an age such as 30d"
    ),
    ("provisional", "metrics"): _TEXTS,
    ("threshold_curve", "points"): _WHOLE,
    ("label_lag", "points"): _Kind(lambda value: _all(value, _number), "a list of numbers"),
}


def checked(function: Callable[P, R]) -> Callable[P, R]:
    """Refuse keywords of the wrong kind with an ArgumentError; what is left out keeps its default.

    >>> @checked
    ... def find(rows, *, level=0.95):
    ...     return level
    >>> find([], level="95")
    Traceback (most recent call last):
    fbkit.errors.ArgumentError: level of find() is of the wrong kind
      got: '95' (str)
      allowed: a number
      next step: see help(fb.find)
    """
    name = function.__name__
    taken = signature(function).parameters
    kinds = {
        item: (kind, parameter.default)
        for item, parameter in taken.items()
        if (kind := _OWN.get((name, item), _KINDS.get(item))) is not None
    }

    @wraps(function)
    def call(*args: P.args, **kwargs: P.kwargs) -> R:
        given: dict[str, Any] = {**dict(zip(taken, args, strict=False)), **kwargs}
        for item, (kind, default) in kinds.items():
            if item in given and given[item] is not default and not kind.fits(given[item]):
                raise ArgumentError(
                    f"{item} of {name}() is of the wrong kind",
                    got=f"{_shown(given[item])} ({type(given[item]).__name__})",
                    allowed=kind.words,
                    next_step=f"see help(fb.{name})",
                )
        return function(*args, **kwargs)

    return call


def _shown(value: Any) -> str:
    """The value in one line; of a number too large to print only that."""
    if isinstance(value, int) and abs(value) >= _MANY:
        return "a number beyond two billion"
    return " ".join(repr(value).split())
