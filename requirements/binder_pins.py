"""Write binder/requirements.txt: those of the project's pins that fbkit and JupyterLab need, without the test tools."""

import re
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
HEADER = "# Made by requirements/binder_pins.py from requirements/constraints.txt; `make lock` runs it.\n"


def main() -> int:
    """Resolve runtime and lab for Binder's machine, held to the project's pins."""
    uv = Path(sys.executable).with_name("uv")
    command = [str(uv), "pip", "compile", "--quiet", "--python-version", "3.12", "--python-platform", "linux"]
    command += ["--no-header", "--no-annotate", "--extra", "lab", "--constraint", "requirements/constraints.txt"]
    done = subprocess.run([*command, "pyproject.toml"], cwd=ROOT, capture_output=True, text=True, check=False)
    if done.returncode:
        sys.stderr.write(done.stderr)
        return 1
    lines = [line for line in done.stdout.splitlines() if re.match(r"[a-z0-9]", line)]
    (ROOT / "binder" / "requirements.txt").write_text(HEADER + "\n".join(lines) + "\n", encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
