"""Nested dictionaries, lists and scalars as TOML."""

import json
from datetime import UTC, date, datetime, time
from typing import Any


def dump_toml(content: dict[str, Any]) -> str:
    """Write nested dictionaries, lists and scalars as TOML (None is left out)."""
    lines: list[str] = []
    _table(content, (), lines)
    return "\n".join(lines).strip() + "\n"


def _table(content: dict[str, Any], path: tuple[str, ...], lines: list[str]) -> None:
    tables = {key: value for key, value in content.items() if isinstance(value, dict)}
    lists = {key: value for key, value in content.items() if _is_table_list(value)}
    for key, value in content.items():
        if value is not None and key not in tables and key not in lists:
            lines.append(f"{toml_key(key)} = {toml_value(value)}")
    for key, value in tables.items():
        inner = (*path, key)
        lines += ["", f"[{'.'.join(map(toml_key, inner))}]"]
        _table(value, inner, lines)
    for key, rows in lists.items():
        inner = (*path, key)
        for row in rows:
            lines += ["", f"[[{'.'.join(map(toml_key, inner))}]]"]
            _table(row, inner, lines)


def _is_table_list(value: object) -> bool:
    return isinstance(value, list | tuple) and bool(value) and all(isinstance(row, dict) for row in value)


def toml_key(key: str) -> str:
    """A key, quoted where it must be."""
    plain = key.isascii() and key.replace("_", "").replace("-", "").isalnum()
    return key if plain else _quoted(key)


def _quoted(text: str) -> str:
    # TOML refuses the delete character that JSON lets through; otherwise their strings agree.
    return json.dumps(text, ensure_ascii=False).replace("\x7f", "\\u007f")


def toml_value(value: object) -> str:
    """A value as TOML writes it, on one line."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, datetime) and value.tzinfo is not None:
        return value.astimezone(UTC).isoformat().replace("+00:00", "Z")
    if isinstance(value, int | float):
        return repr(value)
    if isinstance(value, date | time):
        return value.isoformat()
    if isinstance(value, list | tuple):
        return "[" + ", ".join(toml_value(item) for item in value) + "]"
    if isinstance(value, dict):
        return "{ " + ", ".join(f"{toml_key(key)} = {toml_value(item)}" for key, item in value.items()) + " }"
    return _quoted(str(value))
