"""Score the triage engine on fresh incidents of known truth: see benchmarks/triage/run.py, which this starts."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

if __name__ == "__main__":
    from benchmarks.triage.run import main

    sys.exit(main())
