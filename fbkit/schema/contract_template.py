"""A commented contract to start from: every table and key, what is known filled in, the rest switched off."""

import inspect
import textwrap
from collections.abc import Sequence
from typing import Any, get_args, get_origin

from pydantic import BaseModel
from pydantic.fields import FieldInfo

from fbkit.schema.contract import Contract
from fbkit.schema.contract_parts import Body, Source
from fbkit.schema.contract_words import COLUMNS, KEYS, LOGS, Key
from fbkit.schema.durations import format_duration
from fbkit.schema.toml import toml_key, toml_value

_CODE, _LINE = 40, 120
_HEAD = (
    "What the logs mean, on one page. A line that starts with # and no space is switched off: it shows a key with its "
    "default, or with an example where there is none. Take the # away to use it. Notes of your own go under [x]."
)
# Switched on although no contract was given: the smallest contract that can be read.
_SMALLEST = {"format", "model.name", "predictions.path", "outcomes.path", "label.window"}
# Lists whose keys are explained in another table.
_SAME_KEYS = {"label.also": "label", "retrain.rules": "alerts[]"}
_NAME = "total_spend_30d"


def template(contract: Contract | None = None, *, remarks: Sequence[str] = ()) -> str:
    """The text of a new ``contract.toml``.

    Parameters
    ----------
    contract
        What is known already, for example a guessed draft; its keys are switched on. Without it only the smallest
        contract is.
    remarks
        What was guessed, one sentence each, for the head of the file.

    Returns
    -------
    TOML that :meth:`Contract.from_toml` reads; with a contract, as an equal one.

    Examples
    --------
    >>> print(template().splitlines()[6][:66])
    name = "payment-fraud"                  # How the model is called
    """
    lines = _prose(_HEAD)
    if remarks:
        lines += ["#", *_prose("Guessed; read it before you rely on it:")]
        lines += [line for remark in remarks for line in _prose(f"- {remark}", indent="  ")]
        lines.append("")
    _table(Body, (), contract, lines, on=True)
    return "\n".join(lines) + "\n"


def _table(
    model: type[BaseModel], path: tuple[str, ...], value: BaseModel | None, lines: list[str], *, on: bool
) -> None:
    """The keys of one table, then the tables inside it (TOML wants this order)."""
    inside: list[tuple[str, FieldInfo, type[BaseModel] | None]] = []
    # The name of an alert comes first, whatever it inherits.
    for name, field in sorted(model.model_fields.items(), key=lambda item: item[0] != "name"):
        inner = model_in(field.annotation)
        if inner is not None or _is_free_table(path, name):
            inside.append((name, field, inner))
        else:
            lines += _leaf((*path, name), field, value, on=on)
    for name, field, inner in inside:
        _nested((*path, name), field, inner, getattr(value, name, None), lines)


def _nested(
    path: tuple[str, ...], field: FieldInfo, inner: type[BaseModel] | None, value: Any, lines: list[str]
) -> None:
    if inner is None:
        _free_table(path, value or {}, lines)
    elif get_origin(field.annotation) is tuple:
        _list(path, inner, value or (), lines)
    elif get_origin(field.annotation) is dict:
        for name, item in (value or {_NAME: None}).items():
            lines += _heading((*path, name), inner, on=bool(value))
            _table(inner, (*path, name), item, lines, on=bool(value))
    else:
        on = field.is_required() or (value is not None and value != field.default)
        lines += _heading(path, inner, on=on)
        _table(inner, path, value, lines, on=on)


def _list(path: tuple[str, ...], inner: type[BaseModel], items: Sequence[BaseModel], lines: list[str]) -> None:
    example = KEYS.get(f"{'.'.join(path)}[]")
    for item in items:
        lines += _heading(path, inner, on=True, many=True)
        _table(inner, path, item, lines, on=True)
    if items:
        return
    lines += _heading(path, inner, on=False, many=True)
    if example is not None:
        lines += [*_prose(example.plain), *(f"#{line}" for line in example.example.splitlines())]
    else:
        _table(inner, path, None, lines, on=False)


def _free_table(path: tuple[str, ...], value: dict[str, Any], lines: list[str]) -> None:
    """A table whose keys are names of the user: the columns of a log, or a team's own notes."""
    lines += ["", *_prose(KEYS[word_path(path)].plain), f"{'' if value else '#'}[{_dotted(path)}]"]
    known = COLUMNS.get(path[0], {}) if path[-1] == "columns" else {}
    for name in [*value, *(name for name in known if name not in value)]:
        shown = value.get(name, name)
        code = f"{'' if name in value else '#'}{toml_key(name)} = {toml_value(shown)}"
        lines += _with_comment(code, known.get(name, ""))


def _heading(path: tuple[str, ...], model: type[BaseModel], *, on: bool, many: bool = False) -> list[str]:
    words = (inspect.getdoc(model) or "").replace("`", "").partition("\n")[0]
    name = f"[[{_dotted(path)}]]" if many else f"[{_dotted(path)}]"
    return ["", *_prose(words), name if on else f"#{name}"]


def _leaf(path: tuple[str, ...], field: FieldInfo, value: BaseModel | None, *, on: bool) -> list[str]:
    key = KEYS.get(word_path(path), Key(text=""))
    given = None if value is None else getattr(value, path[-1])
    default = None if field.is_required() else field.get_default(call_default_factory=True)
    switched_on = on and (
        (value is None and ".".join(path) in _SMALLEST)
        or path == ("format",)
        or (given is not None and (given != default or (value is not None and path[-1] in value.model_fields_set)))
    )
    if switched_on and value is not None:
        shown = _toml(value, path[-1])
    elif default is None or default in ((), {}):
        shown = key.example.replace("predictions", path[0])
    else:
        shown = toml_value(format_duration(default) if hasattr(default, "total_seconds") else default)
    return _with_comment(f"{'' if switched_on else '#'}{path[-1]} = {shown}", key.plain)


def _toml(value: BaseModel, name: str) -> str:
    return toml_value(value.model_dump(mode="python", include={name})[name])


def _with_comment(code: str, comment: str) -> list[str]:
    if not comment:
        return [code]
    line = f"{code:<{_CODE - 1}} # {comment}"
    if len(code) < _CODE and len(line) <= _LINE:
        return [line]
    return [*_prose(comment), code]


def _prose(text: str, *, indent: str = "") -> list[str]:
    plain = "".join(character if character.isprintable() else "?" for character in " ".join(text.split()))
    return [f"# {line}" for line in textwrap.wrap(plain, width=_LINE - 2, subsequent_indent=indent)]


def _is_free_table(path: tuple[str, ...], name: str) -> bool:
    return (len(path) == 1 and path[0] in LOGS and name == "columns") or (not path and name == "x")


def _dotted(path: tuple[str, ...]) -> str:
    return ".".join(map(toml_key, path))


def word_path(path: tuple[str, ...]) -> str:
    """Where :data:`KEYS` explains a key: ``predictions.path`` is ``LOG.path``, a list's key is ``alerts[].name``.

    >>> word_path(("outcomes", "path")), word_path(("retrain", "rules", "by"))
    ('LOG.path', 'alerts[].by')
    """
    if path[0] in LOGS and len(path) == 2 and path[1] in Source.model_fields:
        return f"LOG.{path[1]}"
    if path[:2] == ("features", "definitions") and len(path) > 3:
        return f"features.definitions.*.{path[3]}"
    parent, _, name = ".".join(path).rpartition(".")
    if parent in _SAME_KEYS:
        return f"{_SAME_KEYS[parent]}.{name}"
    listed = f"{parent}[].{name}"
    return listed if listed in KEYS else ".".join(path)


def model_in(annotation: object) -> type[BaseModel] | None:
    """The table that an annotation holds, alone, in a list or in a dictionary."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation
    return next((found for found in map(model_in, get_args(annotation)) if found is not None), None)
