"""Import Altair without compiling a grammar that no chart needs.

Altair imports jsonschema, which imports, where JupyterLab is installed, a checker for international web addresses
that compiles its grammar at import: more than a second, half of the way to the first picture. Here the checker
stands in for itself while jsonschema is imported, and compiles when somebody calls it. Nothing else changes.
"""

import sys
from importlib import import_module
from importlib.util import find_spec
from types import ModuleType

_NAME = "rfc3987_syntax"


def defer_grammar() -> None:
    """Import jsonschema with the address checker postponed; does nothing if either is absent or loaded already."""
    if (
        "jsonschema" in sys.modules
        or _NAME in sys.modules
        or find_spec(_NAME) is None
        or find_spec("jsonschema") is None
    ):
        return
    stand_in = ModuleType(_NAME)
    stand_in.is_valid_syntax = _is_valid_syntax  # pyright: ignore[reportAttributeAccessIssue]  # a module made by hand
    sys.modules[_NAME] = stand_in
    try:
        import_module("jsonschema")
    finally:
        del sys.modules[_NAME]


def _is_valid_syntax(*given: object, **named: object) -> object:
    return import_module(_NAME).is_valid_syntax(*given, **named)
