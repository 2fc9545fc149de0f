"""The template names every key, and every line of it can be switched on."""

import re
import tomllib
from pathlib import Path
from typing import Any

import pytest

from fbkit.schema.contract import Contract
from fbkit.schema.contract_parts import Body
from fbkit.schema.contract_template import template
from fbkit.schema.contract_words import COLUMNS, KEYS
from tests.unit.schema.test_contract_diff import leaves

OFF = re.compile(r"^#(?=[\w\[\"])")
# Only one of two may be said: where a log comes from, and what a rule compares with.
EITHER_OR = re.compile(r"^#(query|connection_env|format|level) = ")
TEXTS = ["a\nb", 'quo"te', "tab\there", "[x]", "# no comment", "\u202eright", "ünïcode", "=1"]


def switched_on(text: str) -> str:
    return "\n".join(OFF.sub("", line) for line in text.splitlines() if not EITHER_OR.match(line))


def test_it_can_be_read_as_it_is_and_is_the_smallest_contract() -> None:
    made = Contract.from_toml(template())
    smallest = {"model": {"name": "payment-fraud"}, "predictions": {}, "outcomes": {}, "label": {"window": "90d"}}
    assert made == Contract.from_dict(smallest)


def test_every_line_can_be_switched_on_at_once() -> None:
    made = Contract.from_toml(switched_on(template()))
    assert made.features.definitions["total_spend_30d"].owner == "finance-analytics"
    assert made.label.also[0].role == "proxy"
    assert made.retrain.rules[0].metric == "dsc"
    assert made.join.fallback is not None
    assert made.predictions.columns.keys() == COLUMNS["predictions"].keys()


@pytest.mark.parametrize("key", ["query", "level", "format"])
def test_the_other_of_two_can_be_switched_on_too(key: str) -> None:
    def turned(line: str) -> str:
        wanted = {"query": r"^#(query|connection_env) = ", "level": r"^#level = ", "format": "^#format = "}[key]
        idle = {"query": r"^#?path = ", "level": r"^#(by|baseline) = ", "format": "^$"}[key]
        if re.match(idle, line):
            return ""
        line = re.sub(wanted, lambda match: match[0][1:], line)
        if key == "level":
            line = line.replace('#condition = "drop"', '#condition = "above"')
        return line if EITHER_OR.match(line) else OFF.sub("", line)

    text = "\n".join(map(turned, template().splitlines()))
    text = text.split("\n[[retrain.rules]]")[0]
    assert Contract.from_toml(text).model.name == "payment-fraud"


def test_every_key_stands_in_the_template_with_its_words() -> None:
    text = template()
    names = {path[-1] for path in leaves(Body)} - {"columns", "x"}
    assert [name for name in sorted(names) if not re.search(rf"^#?{name} = ", text, re.MULTILINE)] == []
    flat = " ".join(line.lstrip("# ") for line in text.splitlines())
    assert [path for path, key in KEYS.items() if key.plain not in flat] == []
    for columns in COLUMNS.values():
        assert [words for words in columns.values() if words not in text] == []


def test_defaults_are_those_of_the_models() -> None:
    for path in leaves(Body):
        if len(path) != 2 or path[0] in ("predictions", "outcomes", "label", "x"):
            continue
        part = Body.model_fields[path[0]].default
        default = getattr(part, path[1], None)
        if isinstance(default, int | float) and not isinstance(default, bool):
            section = template().split(f"#[{path[0]}]")[1]
            found = re.search(rf"^#{path[1]} = (\S+)", section, re.MULTILINE)
            assert found is not None
            assert float(found[1]) == default


def test_no_line_is_too_wide_and_comments_stay_comments() -> None:
    for text in (template(), template(remarks=["x" * 300, "two\nlines", "\x1b[31m"])):
        assert max(map(len, text.splitlines())) <= 120 or "x" * 118 in text
        assert "\x1b" not in text
        tomllib.loads(text)


def contract(**tables: Any) -> Contract:
    bare = {"model": {"name": "m"}, "predictions": {}, "outcomes": {}, "label": {"window": "7d"}}
    return Contract.from_dict(bare | tables)


@pytest.mark.parametrize("text", TEXTS)
def test_what_is_known_is_filled_in_and_reads_back_as_equal(text: str) -> None:
    made = contract(
        model={"name": text, "owners": [text]},
        predictions={"path": text, "columns": {"score": text, text: text, "entity_id": [text, "b"]}},
        label={"name": text, "window": "session", "also": [{"name": f"{text}2", "window": "1h"}]},
        actions={"blocked": [text]},
        features={"columns": [text], "definitions": {text: {"version": "1", "definition": text}}},
        value={},
        x={"note": text},
    )
    assert Contract.from_toml(template(made, remarks=[text])) == made


def test_shipped_contracts_read_back_as_equal(root: Path) -> None:
    for file in sorted((root / "data_samples").rglob("contract.toml")):
        made = Contract.load(file)
        assert Contract.from_toml(template(made)) == made
