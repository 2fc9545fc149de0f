"""Every problem of a contract at once, in words: what is unknown, missing, impossible, and which key was meant."""

import copy
import re
from collections.abc import Iterator, Mapping
from typing import Any, Literal, get_args, get_origin

from pydantic import BaseModel, TypeAdapter, ValidationError

from fbkit.errors import ContractError, nearest, shorten
from fbkit.schema.contract_checks import ProblemsError, cross_problems
from fbkit.schema.contract_parts import Body

# Marks that pydantic puts between the keys: the branch of a union, the key of a dictionary.
_BRANCHES = ("str", "timedelta")
_SECRET = ("connection_env",)
_ROUNDS = 4
_VALUE = 120


def explain(content: Mapping[str, Any], error: ValidationError, *, name: str) -> ContractError:
    """The error that names all problems of a file.

    Pydantic looks at a table as a whole only once each of its keys is fine, and at the tables together only once each
    of them is. So the keys that are wrong are taken away and the rest is read again: what is impossible there is told
    in the same breath.
    """
    problems: dict[str, str] = {}
    for path, sentence in _told(error):
        problems.setdefault(path, sentence)
    taken: set[tuple[Any, ...]] = set()
    rest = _without(content, error, taken=taken)
    for _ in range(_ROUNDS):
        again = _fault(rest)
        if again is None:
            break
        for path, sentence in _told(again, taken=taken):
            problems.setdefault(path, sentence)
        rest = _without(rest, again, taken=taken)
    for sentence in _between(rest):
        problems.setdefault(sentence, sentence)
    what = f"{name} has {len(problems)} problem{'s' if len(problems) > 1 else ''}"
    # One a line, under each other where the error shows what it got.
    told = f"\n{' ' * 7}".join(_printable(sentence) for sentence in problems.values())
    return ContractError(
        what,
        got=told,
        next_step="mend the keys that are named",
        allowed="the keys and values that docs/contract.md describes",
    )


def _printable(text: str) -> str:
    """Keys are text of a user: nothing in them moves the cursor or breaks the line."""
    return "".join(sign if sign.isprintable() else repr(sign)[1:-1] for sign in text)


def _fault(content: Mapping[str, Any]) -> ValidationError | None:
    try:
        Body.model_validate(content)
    except ValidationError as error:
        return error
    return None


def _told(error: ValidationError, *, taken: set[tuple[Any, ...]] | None = None) -> Iterator[tuple[str, str]]:
    """Path and sentence of each problem; what is only wrong because a key was ``taken`` away is left out."""
    for item in error.errors(include_url=False):
        facts = dict(item)
        location = _location(facts)
        path = ".".join(map(str, location))
        context: Any = facts.get("ctx") or {}
        cause = context.get("error")
        if isinstance(cause, ProblemsError):
            lacking = {str(key) for *table, key in taken or () if table == location}
            for sentence in cause.sentences:
                if not lacking & set(re.findall(r"\w+", sentence)):
                    whole = f"{path}: {sentence}" if path else sentence
                    yield whole, whole
        elif taken is None or facts["type"] != "missing":
            yield path or str(facts["msg"]), _sentence(facts, path=path)


def _without(content: Mapping[str, Any], error: ValidationError, *, taken: set[tuple[Any, ...]]) -> dict[str, Any]:
    """A copy that lacks every key pydantic refused (noted in ``taken``); tables refused as a whole stay."""
    rest = copy.deepcopy(dict(content))
    for item in error.errors(include_url=False):
        whole = isinstance(item.get("input"), dict) and item["type"] == "value_error"
        path = () if whole else _key_to_drop(rest, _location(dict(item)))
        if path:
            holder: Any = rest
            for part in path[:-1]:
                holder = holder[part]
            holder.pop(path[-1], None)
            taken.add(path)
    return rest


def _key_to_drop(content: object, location: list[Any]) -> tuple[Any, ...]:
    """The innermost key of a table on the way to a place; empty when the place does not exist."""
    drop: tuple[Any, ...] = ()
    for depth, part in enumerate(location, start=1):
        if isinstance(content, dict) and part in content:
            drop, content = tuple(location[:depth]), content[part]
        elif isinstance(content, list | tuple) and isinstance(part, int) and part < len(content):
            content = content[part]
        else:
            return ()
    return drop


def _between(content: Mapping[str, Any]) -> list[str]:
    """What contradicts itself between the tables that can be read alone."""
    parts: dict[str, Any] = {}
    readable: set[str] = set()
    for name, field in Body.model_fields.items():
        if name in content:
            annotation: Any = field.annotation
            try:
                parts[name] = TypeAdapter[Any](annotation).validate_python(content[name])
            except ValidationError:
                continue
        elif field.is_required():
            continue
        readable.add(name)
    return list(cross_problems(Body.model_construct(None, **parts), readable=readable))


def _location(item: dict[str, Any]) -> list[Any]:
    *parts, last = item["loc"] or ("",)
    kept: list[Any] = [part for part in parts if not _is_mark(part)]
    # An unknown key may well be called "" or like a mark.
    is_tag = item["type"] != "extra_forbidden" and (_is_mark(last) or last == "")
    return kept if is_tag else [*kept, last]


def _is_mark(part: object) -> bool:
    return isinstance(part, str) and ("[" in part or part in _BRANCHES)


def _sentence(item: dict[str, Any], *, path: str) -> str:
    location = _location(item)
    if item["type"] == "extra_forbidden" or item["loc"][-1:] == ("[key]",):
        known = _keys_at(location[:-1])
        hint = nearest(str(location[-1]), known)
        named = path or '""'
        return f"unknown key {named}" + (f" (did you mean {hint}?)" if hint else f" (known: {', '.join(known)})")
    if item["type"] == "missing":
        return f"{path} is missing"
    message = _message(item)
    if not path:
        return message
    shown = item.get("input")
    if isinstance(shown, dict) or location[-1] in _SECRET:
        return f"{path}: {message}"
    return f"{path} = {shorten(repr(shown), limit=_VALUE)}: {message}"


def _message(item: dict[str, Any]) -> str:
    match item["type"]:
        case "tuple_type" | "list_type":
            return "a list is needed here: [...], or [[...]] for a list of tables"
        case "model_type" | "dict_type" | "model_attributes_type":
            return "a table is needed here"
        case "timezone_aware":
            return "the time has no zone; end it with Z, or with an offset such as +02:00"
        case _:
            return re.sub(r"^Value error, ", "", str(item["msg"]))


def _keys_at(location: list[Any]) -> list[str]:
    """The keys that are known at a place of the contract."""
    annotation: Any = Body
    for part in location:
        if isinstance(part, int):
            continue
        model = _model_in(annotation)
        field = model.model_fields.get(str(part)) if model is not None and not _is_dictionary(annotation) else None
        if field is not None:
            annotation = field.annotation
        elif _is_dictionary(annotation):
            annotation = get_args(annotation)[1]
        else:
            return []
    model = _model_in(annotation)
    if model is not None:
        return sorted(model.model_fields)
    keys = get_args(annotation)[:1] if _is_dictionary(annotation) else ()
    return [str(name) for key in keys if get_origin(key) is Literal for name in get_args(key)]


def _is_dictionary(annotation: object) -> bool:
    return get_origin(annotation) is dict


def _model_in(annotation: object) -> type[BaseModel] | None:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation
    for argument in get_args(annotation):
        found = _model_in(argument)
        if found is not None:
            return found
    return None
