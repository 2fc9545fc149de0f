"""What the parts of the benchmark share: where the data are, how a notebook starts, how much patience there is."""

from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
HEAD = f"import sys\nsys.path.insert(0, {str(ROOT)!r})\n"
OURS = """\
from pathlib import Path
from benchmarks.explorers import data
thing = data.opened(Path({folder!r}))
import fbkit as fb
"""
BARE = """\
from benchmarks.explorers import prototypes as bare
import polars as pl
cube = bare.Cube(pl.read_parquet({folder!r} + "/joined/*.parquet", columns=["ts_pred", "score", "label"]))
bare.prepare()
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """One run."""

    data: Path
    rounds: int
    quick: bool

    @property
    def moves(self) -> int:
        """How many moves are timed in a round."""
        return 12 if self.quick else 30

    @property
    def loop(self) -> Path:
        """The folder of the loop; it is not there where ledgers take its place."""
        return self.data / "loop"

    def ours(self) -> str:
        """A cell that opens what the explorers explore."""
        return HEAD + OURS.format(folder=str(self.data))

    def bare(self) -> str:
        """A cell that makes what the prototypes draw."""
        return HEAD + BARE.format(folder=str(self.data))
