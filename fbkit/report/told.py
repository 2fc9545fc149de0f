"""A diagnosis read back from its JSON; types are checked, evidence stays in the frames beside it."""

import types
from collections.abc import Mapping
from dataclasses import fields
from typing import Any, Final, get_args, get_type_hints

from fbkit.errors import ArgumentError, InputError
from fbkit.schema.diagnosis import Change, Check, Contribution, Diagnosis, Interval, Note
from fbkit.schema.period import Period, parse_instant

_MOST: Final = 1_000
_TEXTS: Final = ("metric", "verdict", "top_cause", "top_family", "headline", "evaluation_id")
_LISTS: Final = ("warnings", "would_change_verdict", "do_now", "do_not")


def diagnosis_of(facts: Mapping[str, Any]) -> Diagnosis:
    """The diagnosis under the keys of ``diagnosis.json``; ``evidence`` is empty.

    Raises
    ------
    InputError
        A key is missing, or its value is of another kind.
    """
    try:
        return _read(facts)
    except (KeyError, TypeError, ValueError, ArgumentError) as error:
        first = (str(error).splitlines() or ["a value is missing"])[0]
        raise InputError(
            "the bundle is damaged: diagnosis.json does not hold a diagnosis",
            got=f"{type(error).__name__}: {first[:160]}",
            allowed="the keys and kinds of values as this version writes them",
            next_step="take another copy, or write the bundle anew",
        ) from error


def _read(facts: Mapping[str, Any]) -> Diagnosis:
    many = {"contributions": Contribution, "checks": Check, "notes": Note}
    made: dict[str, Any] = {name: _kind(facts[name], str) for name in _TEXTS}
    made |= {name: tuple(_kind(item, str) for item in _list(facts[name])) for name in _LISTS}
    made |= {name: tuple(_part(kind, item) for item in _list(facts.get(name, []))) for name, kind in many.items()}
    made |= {name: _number(facts[name]) for name in ("tipping_ratio", "minimum_detectable_change")}
    made |= {name: _maybe(facts[name]) for name in ("reason", "owner", "runbook")}
    made |= {name: _mapping(facts[name]) for name in ("impact", "data_through", "method")}
    made |= {name: tuple(_mapping(item) for item in _list(facts[name])) for name in ("worlds", "changes")}
    ends = {name: _list(pair) for name, pair in _mapping(facts["worst_case"]).items()}
    return Diagnosis(
        reference=Period.parse(_kind(facts["reference"], str)),
        current=Period.parse(_kind(facts["current"], str)),
        as_of=parse_instant(_kind(facts["as_of"], str)),
        decidable_at=None if facts["decidable_at"] is None else parse_instant(_kind(facts["decidable_at"], str)),
        observed=_part(Change, facts["observed"]),
        true_change=_part(Interval, facts["true_change"]),
        worst_case={name: (_number(pair[0]), _number(pair[1])) for name, pair in ends.items() if len(pair) == 2},
        metric_level=_number(facts["metric_level"]) or 0.0,
        seconds=_number(facts.get("seconds")) or 0.0,
        evidence={},
        **made,
    )


def _part(kind: type[Any], value: object) -> Any:
    """One of the small dataclasses; every field has the kind that it is declared with."""
    known, hints = _mapping(value), get_type_hints(kind)
    made: dict[str, Any] = {}
    for field in fields(kind):
        if field.name in known:
            made[field.name] = _declared(known[field.name], hints[field.name])
    return kind(**made)


def _declared(value: object, hint: Any) -> Any:
    kinds = get_args(hint) if isinstance(hint, types.UnionType) else (hint,)
    if value is None and type(None) in kinds:
        return None
    if float in kinds:
        return _kind(_number(value), float)
    if any(getattr(kind, "__name__", "") == "datetime" for kind in kinds):
        return parse_instant(_kind(value, str))
    return _kind(value, bool if bool in kinds else str)


def _kind(value: object, kind: type[Any]) -> Any:
    if not isinstance(value, kind):
        raise TypeError(f"{type(value).__name__} where {kind.__name__} belongs")
    return value


def _number(value: object) -> float | None:
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise TypeError(f"{type(value).__name__} where a number belongs")
    return float(value)


def _maybe(value: object) -> str | None:
    return None if value is None else _kind(value, str)


def _mapping(value: object) -> Mapping[str, Any]:
    return _kind(value, Mapping)


def _list(value: object) -> list[Any]:
    found = _kind(value, list)
    if len(found) > _MOST:
        raise ValueError(f"a list of {len(found):,}")
    return found
