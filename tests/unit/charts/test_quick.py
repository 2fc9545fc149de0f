"""The postponed address checker: it is not compiled for charts, and it still answers."""

import subprocess
import sys
from importlib.util import find_spec

import pytest

CODE = """
import sys
import fbkit.charts.theme
assert "altair" in sys.modules and "jsonschema" in sys.modules
assert "rfc3987_syntax" not in sys.modules, "compiled for nobody"
from jsonschema import FormatChecker
checker = FormatChecker()
for text, good in (("https://example.org/ä", True), ("not an address", False)):
    assert checker.conforms(text, "iri") is good, text
assert "rfc3987_syntax" in sys.modules
"""


@pytest.mark.skipif(find_spec("rfc3987_syntax") is None, reason="comes with JupyterLab: pip install jupyterlab")
def test_the_checker_waits_until_it_is_called_and_answers_as_before() -> None:
    subprocess.run([sys.executable, "-c", CODE], check=True, timeout=120)
