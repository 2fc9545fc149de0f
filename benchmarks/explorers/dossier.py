"""The incident document of a loop: seconds and megabytes, printed as JSON. python dossier.py LOOP"""

import json
import sys
import tempfile
import time
from pathlib import Path

import fbkit as fb


def main() -> None:
    joined = fb.open_loop(sys.argv[1]).join()
    diagnosis = fb.triage(joined)
    with tempfile.TemporaryDirectory() as place:
        start, processor = time.perf_counter(), time.process_time()
        folder = diagnosis.incident(Path(place) / "incident")
        seconds, busy = time.perf_counter() - start, time.process_time() - processor
        sizes = {item.name: item.stat().st_size / 1e6 for item in folder.rglob("*") if item.is_file()}
    print(
        json.dumps({"seconds": seconds, "processor": busy, "html": sizes["incident.html"], "all": sum(sizes.values())})
    )


if __name__ == "__main__":
    main()
