"""Which cells of the evidence frames a sentence speaks of, in the order in which it speaks of them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

import polars as pl

from fbkit.report import numbers
from fbkit.schema.diagnosis import Diagnosis

Frames = Mapping[str, pl.DataFrame]
WINDOWS: Final = ("reference", "current")
_MOST_FEATURES: Final = 30
_DECISIONS: Final = ("all", "flagged", "not flagged")


@dataclass(frozen=True, slots=True, kw_only=True)
class Cell:
    """One cell: the frame, what picks its row (column -> value), the column, how it is read, and the number in it."""

    frame: str
    row: Mapping[str, str] = field(default_factory=dict)
    column: str = "value"
    kind: str
    value: float


def value_at(frame: pl.DataFrame | None, row: Mapping[str, str], column: str) -> float | None:
    """The number in the one row that ``row`` picks; None where there is no such row or column, several, or no number.

    A number may stand there as text, as in a frame that was read from CSV.

    Examples
    --------
    >>> value_at(pl.DataFrame({"window": ["reference", "current"], "n": [5, 7]}), {"window": "current"}, "n")
    7.0
    """
    if frame is None or column not in frame.columns or not set(row) <= set(frame.columns):
        return None
    if frame.height > 1 and not row:
        return None
    for name, value in row.items():
        frame = frame.filter(pl.col(name).cast(pl.String).eq_missing(pl.lit(value)))
    if frame.height != 1:
        return None
    return _number(frame[column][0])


def _number(value: object) -> float | None:
    if isinstance(value, str):
        try:
            value = float(value)
        except ValueError:
            return None
    number = numbers.finite(value)
    return None if number is None or isinstance(number, bool) else float(number)


@dataclass(frozen=True, slots=True, kw_only=True)
class Cells:
    """The cells of a diagnosis by what they are about."""

    frames: Frames
    material: tuple[str, ...]
    causes: tuple[str, ...]

    @classmethod
    def of(cls, diagnosis: Diagnosis, *, frames: Frames | None = None) -> "Cells":
        """From a diagnosis and, if given, the frames that are exported with it."""
        parts = sorted(diagnosis.contributions, key=lambda part: -abs(part.value or 0.0))
        return cls(
            frames={**diagnosis.evidence, **(frames or {})},
            material=tuple(part.cause for part in parts if part.material),
            causes=tuple(dict.fromkeys(part.cause for part in parts)),
        )

    def at(self, frame: str, column: str, kind: str, /, **row: str) -> list[Cell]:
        """The cell as a list of one, or of none if there is no number."""
        value = value_at(self.frames.get(frame), row, column)
        return [] if value is None else [Cell(frame=frame, row=row, column=column, kind=kind, value=value)]

    def key(self, *names: str) -> list[Cell]:
        """Rows of the key numbers, each read as the frame says."""
        frame = self.frames.get("key_numbers")
        if frame is None or not {"name", "kind", "value"} <= set(frame.columns):
            return []
        kinds = dict(frame.select("name", "kind").iter_rows())
        return [cell for name in names for cell in self.at("key_numbers", "value", str(kinds.get(name)), name=name)]

    def told(self, cause: str | None = None) -> list[Cell]:
        """The key numbers about a cause, in the order of its sentences; of all causes without one."""
        frame = self.frames.get("key_numbers")
        if frame is None or "about" not in frame.columns:
            return []
        mine = frame.filter(pl.col("about").is_not_null() if cause is None else pl.col("about") == cause)
        return self.key(*mine["name"].to_list())

    def observed(self) -> list[Cell]:
        """Change, both levels, interval."""
        return (
            self.key("observed_change") + self.levels() + self.key("interval_level", "observed_lower", "observed_upper")
        )

    def levels(self) -> list[Cell]:
        """The observed metric of both windows."""
        found = [cell for window in WINDOWS for cell in self.at("corrected", "observed", "level", window=window)]
        ends = [cell for name in WINDOWS for cell in self.at("ladder", "value", "level", label=f"{name} observed")]
        return found or ends

    def true(self) -> list[Cell]:
        """The change once labels are repaired."""
        return self.key("true_change", "interval_level", "true_lower", "true_upper")

    def step(self, cause: str) -> list[Cell]:
        """One contribution with its interval."""
        bounds = [cell for name in ("lower", "upper") for cell in self.at("ladder", name, "change", cause=cause)]
        return self.at("ladder", "value", "change", cause=cause) + self.key("interval_level") + bounds

    def steps(self, causes: Sequence[str] | None = None) -> list[Cell]:
        """Several contributions, the largest first."""
        return [cell for cause in (self.material if causes is None else causes) for cell in self.step(cause)]

    def availability(self) -> list[Cell]:
        """Labels available in both windows: all rows, flagged ones, the others."""
        table = "availability_by_decision"
        pairs = [(decision, window) for decision in _DECISIONS for window in WINDOWS]
        return [
            cell
            for decision, window in pairs
            for cell in self.at(table, "availability", "share", decision=decision, window=window)
        ]

    def corrected(self) -> list[Cell]:
        """Observed and corrected levels of both windows."""
        names = ("observed", "corrected")
        return [
            cell for name in names for window in WINDOWS for cell in self.at("corrected", name, "level", window=window)
        ]

    def worst(self, windows: Sequence[str] = WINDOWS) -> list[Cell]:
        """The worst case over the missing labels."""
        return [
            cell
            for window in windows
            for name in ("bound_lower", "bound_upper")
            for cell in self.at("bounds", name, "level", window=window)
        ]

    def tipping(self) -> list[Cell]:
        """The tipping ratio and what the cells show."""
        return [cell for name in ("tipping_ratio", "observed_ratio") for cell in self.at("tipping", name, "ratio")]

    def vanish(self) -> list[Cell]:
        """The odds ratio at which the corrected change would be gone."""
        return self.at("tipping", "delta_vanish", "ratio")

    def replayed(self) -> list[Cell]:
        """What each replayed mechanism does, in the order of the frame."""
        frame = self.frames.get("replay")
        players = [] if frame is None or "player" not in frame.columns else frame["player"].cast(pl.String).to_list()
        named = [str(player) for player in players if player != "remainder"]
        return [cell for player in named for cell in self.at("replay", "value", "change", player=player)]

    def remainder(self) -> list[Cell]:
        """What is left, with its interval and the spread of days."""
        names = ("remainder", "interval_level", "remainder_lower", "remainder_upper", "remainder_standard_errors")
        return self.key(*names, "remainder_gate", "day_dispersion", "interval_widened_by")

    def cbpe(self) -> list[Cell]:
        """What the scores alone expect of the current window, and the gap to the repaired metric."""
        levels = [
            cell for name in ("expected", "corrected") for cell in self.at("cbpe", name, "level", window="current")
        ]
        gap = self.at("cbpe", "gap", "change", window="current") + self.key("interval_level")
        ends = [cell for name in ("lower", "upper") for cell in self.at("cbpe", name, "change", window="current")]
        return levels + gap + ends

    def loss(self) -> list[Cell]:
        """How labels were lost: what the evidence of the label rungs says, in its order."""
        found = self.availability() + self.key("repair_label_loss", "open_share_current", "repair_immature_window")
        found += self.key("blocked_share_current", "blocked_share_reference")
        found += [
            cell
            for window in ("current", "reference")
            for cell in self.at("orphans", "orphans", "count", window=window)
        ]
        found += self.at("orphans", "missing", "count", window="current")
        return found + self.key("label_odds_ratio", "label_odds_allowed")

    def counts(self) -> list[Cell]:
        """Count conservation: found and expected."""
        groups = ("without a label", "labelled positives", "labelled negatives", "missed positives")
        names = ("found", "expected")
        return [
            cell for group in groups for name in names for cell in self.at("conservation", name, "count", group=group)
        ]

    def model(self) -> list[Cell]:
        """What the evidence of the model's rungs says: thresholds, scores, replays, features, versions."""
        columns = ("median_threshold", "mean_score")
        found = [
            cell for name in columns for window in WINDOWS for cell in self.at("windows", name, "score", window=window)
        ]
        found += self.key("version_share_current") + self.replayed() + self.key("version_effect")
        frame = self.frames.get("features_moved")
        told = [] if frame is None or "column" not in frame.columns else frame["column"].cast(pl.String).to_list()
        features = told[:_MOST_FEATURES]
        return found + [
            cell for name in features for cell in self.at("features_moved", "shift", "shift", column=str(name))
        ]

    def audit(self) -> list[Cell]:
        """How large an audit is asked for."""
        return self.key("audit_flagged", "audit_unflagged")

    def impact(self) -> list[Cell]:
        """Rows and money."""
        return self.key("impact_rows", "impact_value")

    def sizes(self) -> list[Cell]:
        """Rows and labels of both windows."""
        names = ("n", "n_labelled", "n_open")
        return [
            cell for name in names for window in WINDOWS for cell in self.at("windows", name, "count", window=window)
        ]

    def definitions(self) -> list[Cell]:
        """How many labels follow which definition, as the warnings of a join tell it."""
        table = "label_definitions"
        frame = self.frames.get(table)
        about = [] if frame is None or "about" not in frame.columns else frame["about"].cast(pl.String).to_list()
        versions = [str(name) for name in about if str(name).startswith("version ")]
        order = [
            "other definition",
            "labelled",
            *versions,
            "not stated",
            "labelled",
            "set aside",
            "definitions",
            *versions,
        ]
        return [cell for name in order for cell in self.at(table, "rows", "count", about=name)]

    def everything(self) -> list[Cell]:
        """Every cell that a sentence may speak of, the ones that matter most first."""
        return [
            *self.observed(), *self.true(), *self.steps(self.causes), *self.availability(), *self.tipping(),
            *self.vanish(), *self.key("minimum_detectable_change"), *self.worst(), *self.corrected(), *self.remainder(),
            *self.replayed(), *self.cbpe(), *self.loss(), *self.counts(), *self.model(), *self.audit(), *self.impact(),
            *self.sizes(), *self.told(), *self.key("remainder_gate", "surrogate_r2"),
        ]  # fmt: skip
