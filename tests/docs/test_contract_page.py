"""The page on the contract lists exactly the keys and defaults that the model accepts."""

import re
import typing
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

from pydantic import BaseModel

from fbkit.schema.contract_parts import Body, Source
from fbkit.schema.contract_words import COLUMNS, KEYS
from fbkit.schema.durations import format_duration

PAGE = Path(__file__).resolve().parents[2] / "docs" / "contract.md"
LOGS = ("predictions", "outcomes", "actions", "feedback", "changes")
# Lists whose keys stand elsewhere on the page.
TOLD_ELSEWHERE = ("label.also", "retrain.rules")


def models(annotation: object) -> list[type[BaseModel]]:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return [annotation]
    return [model for inner in typing.get_args(annotation) for model in models(inner)]


def keys(model: type[BaseModel], path: str = "") -> Iterator[tuple[str, str]]:
    for name, field in model.model_fields.items():
        key, inner = f"{path}{name}", models(field.annotation)
        shape = {tuple: "[]", dict: ".*"}.get(typing.get_origin(field.annotation), "")
        if key in TOLD_ELSEWHERE:
            yield f"{key}{shape}", "none"
        elif inner:
            yield from keys(inner[0], f"{key}{shape}.")
        else:
            yield key, "required" if field.is_required() else said(field.get_default(call_default_factory=True))


def said(default: object) -> str:
    if isinstance(default, timedelta):
        return format_duration(default)
    if isinstance(default, tuple):
        return ", ".join(default) or "none"
    return "none" if default is None or default == {} else str(default)


def expected() -> dict[str, str]:
    found: dict[str, str] = {}
    for key, default in keys(Body):
        log, _, name = key.partition(".")
        general = log in LOGS and name in Source.model_fields
        found[f"LOG.{name}" if general else key] = "by log" if general and name == "path" else default
    return found


def test_every_key_with_its_default_and_no_other() -> None:
    columns = {f"{log}.{name}" for log, names in COLUMNS.items() for name in names}
    assert {key: default for key, default, _ in rows() if key not in columns} == expected()


def test_the_words_are_those_of_the_template() -> None:
    columns = {f"{log}.{name}": words for log, names in COLUMNS.items() for name, words in names.items()}
    said = {key: words for key, _, words in rows()}
    assert {key: words for key, words in said.items() if key in columns} == columns
    assert {key: words for key, words in said.items() if key not in columns} == {
        key: item.text for key, item in KEYS.items()
    }


def rows() -> list[tuple[str, str, str]]:
    return re.findall(r"^\| `([^`]+)` \| (.*?) \| (.+) \|$", PAGE.read_text(encoding="utf-8"), flags=re.MULTILINE)
