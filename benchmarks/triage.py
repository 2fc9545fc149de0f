"""Score the triage engine on fresh incidents of known truth: starts benchmarks/triage/run.py."""

import runpy
import sys
from pathlib import Path

if __name__ == "__main__":
    program = Path(__file__).with_name("triage") / "run.py"
    sys.argv[0] = str(program)
    runpy.run_path(str(program), run_name="__main__")
