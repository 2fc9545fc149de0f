"""The ledger: additive counts of joined rows by single slice and day; it holds no row and no identifier."""

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final

import polars as pl

from fbkit.errors import ArgumentError
from fbkit.ledger.edges import BinEdges

SLICE_COLUMN: Final = "slice_column"
SLICE_VALUE: Final = "slice_value"
DAY: Final = "day"
MODEL_VERSION: Final = "model_version"
FLAGGED: Final = "flagged"
STATE: Final = "state"
MATURE: Final = "mature"
SCORE_BIN: Final = "score_bin"
ROWS: Final = "n"
MOMENTS: Final = ("sum_score", "sum_score2", "sum_score3", "sum_score4")
KEYS: Final = (SLICE_COLUMN, SLICE_VALUE, DAY, MODEL_VERSION, FLAGGED, STATE, MATURE, SCORE_BIN)
OVERALL: Final = "(all)"
# Powers of scores are added up as whole multiples of 2^-36, so that sums do not depend on the order of rows.
SCALE: Final = 2**36


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Ledger:
    """Counts (``frame``), the bins they use, and where they come from (``manifest``).

    Attributes
    ----------
    frame
        One line per slice_column, slice_value, day, model_version, flagged, state, mature and score_bin that occurs:
        n, and the sums of score to score^4 in units of 2^-36. The slice column "(all)" is the overall table.
    manifest
        contract, as_of, slices, score_scale and rows; sources is the list of what was added up.
    """

    frame: pl.DataFrame
    edges: BinEdges
    manifest: Mapping[str, object]

    def __add__(self, other: "Ledger") -> "Ledger":
        """The ledger of both sets of rows; contract, as-of, slices and edges must be the same."""
        for key in ("contract", "as_of", "slices"):
            if self.manifest[key] != other.manifest[key]:
                raise ArgumentError(
                    f"ledgers with a different {key} cannot be added",
                    got=f"{self.manifest[key]} and {other.manifest[key]}",
                    allowed="the same in both",
                    next_step="build both ledgers from loops of the same contract and as-of time",
                )
        if self.edges != other.edges:
            raise ArgumentError(
                "ledgers with different score bins cannot be added",
                next_step="build both with one BinEdges",
                got="two sets of edges",
                allowed="the same edges in both",
            )
        rows, sources = ([part.manifest[key] for part in (self, other)] for key in ("rows", "sources"))
        manifest = dict(self.manifest) | {"rows": sum(rows), "sources": (*sources[0], *sources[1])}  # pyright: ignore[reportArgumentType, reportCallIssue, reportGeneralTypeIssues]  # ints and tuples by construction
        return Ledger(
            frame=add_up(pl.concat([self.frame, other.frame])), edges=self.edges, manifest=MappingProxyType(manifest)
        )

    @property
    def slices(self) -> tuple[str, ...]:
        """The slice columns that can be asked for, in the order they were given."""
        asked = self.manifest["slices"]
        return asked if isinstance(asked, tuple) else ()


def add_up(frame: pl.DataFrame) -> pl.DataFrame:
    """Lines with equal keys added, in a fixed order."""
    return frame.group_by(KEYS).agg(pl.col(ROWS, *MOMENTS).sum()).sort(KEYS, nulls_last=True)
