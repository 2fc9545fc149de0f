"""Was an earlier verdict right? Judged by the same question, asked with what is known later."""

from dataclasses import dataclass
from typing import Final

import polars as pl

from fbkit.diagnose import words as said
from fbkit.diagnose.verdict import verdict_of
from fbkit.report import numbers, sentences, words
from fbkit.report.cells import Frames, value_at
from fbkit.schema.diagnosis import Contribution, Diagnosis

RIGHT: Final = "right"
PARTLY: Final = "partly right"
WRONG: Final = "wrong"
OPEN: Final = "still open"
DECIDED: Final = "decided now"
REPAIRED: Final = "change once labels are repaired"
COLUMNS: Final = ("name", "label", "kind", "then", "then_lower", "then_upper", "now", "now_lower", "now_upper")

_LATE: Final = "immature_window"
_WINDOWS: Final = ("reference", "current")
_Triple = tuple[float | None, float | None, float | None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Judgement:
    """``outcome`` is right, partly right, wrong, still open, or decided now (it was open before); ``because`` says why.

    ``final``: no label window of the periods is open any more.
    """

    outcome: str
    because: str
    final: bool

    @property
    def heading(self) -> str:
        """The outcome in words."""
        verb = {OPEN: "is still open", DECIDED: "was open and is decided"}.get(self.outcome, f"was {self.outcome}")
        return f"the verdict {verb}"

    @property
    def sentence(self) -> str:
        """What a reader wants to know first."""
        opening = "Now that labels are final" if self.final else "With the labels that have come in since,"
        return f"{opening} {self.heading}, because {self.because}."


def judge(then: Diagnosis, now: Diagnosis) -> Judgement:
    """Judge an earlier verdict by a later one on the same question.

    Right: the same verdict, of the same causes; labels that were still to come are no cause any more once they came.
    Partly right: the same verdict, of other causes. Still open: the later one is undecided, or label windows are open
    even now. Decided now: the earlier one was undecided.
    """
    open_share = value_at(now.evidence.get("key_numbers"), {"name": "open_share_current"}, "value") or 0.0
    final = open_share == 0.0
    same = _lasting(now) == _lasting(then)
    agree = same and _causes(now) == _causes(then)
    if now.verdict == "undecided":
        return Judgement(
            outcome=OPEN, because=_unended(now.reason or "these logs fit more than one cause"), final=final
        )
    if not final:
        share = said.percent(open_share)
        so_far = "agree with it so far" if agree else f"speak for another one so far ({_verdict(now)})"
        because = f"the label window of {share} of the current predictions is open even now; the labels {so_far}"
        return Judgement(outcome=OPEN, because=because, final=False)
    if then.verdict == "undecided":
        return Judgement(outcome=DECIDED, because=f"it is {_verdict(now)}: {_named(now)}", final=True)
    if agree:
        return Judgement(outcome=RIGHT, because=_unmoved(then, now), final=True)
    turned = _turned(then, now)
    if same:
        because = f"it is still {_verdict(now)}, but of other causes: {turned}"
        return Judgement(outcome=PARTLY, because=because, final=True)
    because = f"it said {_verdict(then)}, and it is {_verdict(now)}: {turned}"
    return Judgement(outcome=WRONG, because=because, final=True)


def _lasting(diagnosis: Diagnosis) -> str:
    """The verdict without labels that were only late."""
    parts = [part for part in diagnosis.contributions if part.cause != _LATE]
    return verdict_of(parts, undecided=diagnosis.verdict == "undecided")


def _unended(text: str) -> str:
    return text.rstrip(".")


def _verdict(diagnosis: Diagnosis) -> str:
    text = sentences.verdict(diagnosis)
    return text[:1].lower() + text[1:]


def _causes(diagnosis: Diagnosis) -> frozenset[str]:
    return frozenset(part.cause for part in sentences.material(diagnosis)) - {_LATE}


def _amount(diagnosis: Diagnosis, cause: str) -> str:
    part = _part(diagnosis, cause)
    return "nothing" if part is None else numbers.change(part.value, metric=diagnosis.metric)


def _part(diagnosis: Diagnosis, cause: str) -> Contribution | None:
    return next((part for part in diagnosis.contributions if part.cause == cause), None)


def _size(diagnosis: Diagnosis, cause: str) -> float:
    part = _part(diagnosis, cause)
    return 0.0 if part is None else abs(part.value or 0.0)


def _named(diagnosis: Diagnosis) -> str:
    parts = [f"{words.cause(part.cause)} {_amount(diagnosis, part.cause)}" for part in sentences.material(diagnosis)]
    return ", ".join(parts) or "nothing beyond chance"


def _unmoved(then: Diagnosis, now: Diagnosis) -> str:
    causes = [part.cause for part in sentences.material(then) if part.cause != _LATE]
    if not causes:
        return f"nothing beyond chance is found now either: {_repaired(then, now)}"
    moved = [f"{words.cause(cause)} {_amount(then, cause)} then, {_amount(now, cause)} now" for cause in causes]
    explain = "the same causes explain it" if len(causes) > 1 else "the same cause explains it"
    return f"{explain}: {'; '.join([*moved, _repaired(then, now)])}"


def _repaired(then: Diagnosis, now: Diagnosis) -> str:
    """What the metric itself did, then with its interval, and now."""
    before, after = then.true_change, now.true_change
    between = said.between(then.metric, before.lower, before.upper).replace(f"{100 * then.metric_level:g} % ", "")
    values = [numbers.change(value, metric=then.metric) for value in (before.value, after.value)]
    return f"{REPAIRED} {values[0]} then{between}, {values[1]} now"


def _turned(then: Diagnosis, now: Diagnosis) -> str:
    """The causes that are claimed on one side only, with both amounts."""
    differing = sorted(
        _causes(then) ^ _causes(now), key=lambda cause: (-max(_size(then, cause), _size(now, cause)), cause)
    )
    if not differing:
        return _unmoved(then, now)
    return "; ".join(
        f"{words.cause(cause)} {_amount(then, cause)} then, {_amount(now, cause)} now" for cause in differing
    )


def then_now(then: Diagnosis, now: Diagnosis, *, frames: Frames) -> pl.DataFrame:
    """The numbers of both verdicts side by side.

    Parameters
    ----------
    then, now
        The earlier and the later diagnosis.
    frames
        The evidence frames of the earlier one.

    Returns
    -------
    name, label (for people), kind (how it is read), then, then_lower, then_upper, now, now_lower, now_upper. Null
    where a verdict has no such number.
    """
    rows: list[tuple[object, ...]] = []
    for name, label, kind, column in _LEVELS:
        pair = [_level(diagnosis, column) for diagnosis in (then, now)]
        rows.append((name, label, kind, *pair[0], *pair[1]))
    sides = (then, {**frames}), (now, now.evidence)
    for window in _WINDOWS:
        row = {"decision": "all", "window": window}
        pair = [_share(frame.get("availability_by_decision"), row) for _, frame in sides]
        rows.append((f"availability_{window}", f"labels available, {window}", "share", *pair[0], *pair[1]))
    for cause in dict.fromkeys(part.cause for d in (then, now) for part in sentences.by_size(d)):
        pair = [_contribution(diagnosis, cause) for diagnosis in (then, now)]
        rows.append((f"cause_{cause}", words.cause(cause), "change", *pair[0], *pair[1]))
    open_share = [_share(frame.get("key_numbers"), {"name": "open_share_current"}, "value") for _, frame in sides]
    rows.append(("open_share", "label windows still open, current", "share", *open_share[0], *open_share[1]))
    schema = [(name, pl.String if name in COLUMNS[:3] else pl.Float64) for name in COLUMNS]
    return pl.DataFrame(rows, schema=schema, orient="row")


_LEVELS: Final = (
    ("observed_reference", "observed, reference", "level", "reference"),
    ("observed_current", "observed, current", "level", "current"),
    ("observed_change", "observed change", "change", "change"),
    ("true_change", REPAIRED, "change", "true"),
    ("tipping_ratio", "tipping ratio", "ratio", "tipping"),
)


def _level(diagnosis: Diagnosis, column: str) -> _Triple:
    observed, true = diagnosis.observed, diagnosis.true_change
    if column == "change":
        return observed.change, observed.lower, observed.upper
    if column == "true":
        return true.value, true.lower, true.upper
    return (diagnosis.tipping_ratio if column == "tipping" else getattr(observed, column)), None, None


def _share(frame: pl.DataFrame | None, row: dict[str, str], column: str = "availability") -> _Triple:
    return value_at(frame, row, column), None, None


def _contribution(diagnosis: Diagnosis, cause: str) -> _Triple:
    part = _part(diagnosis, cause)
    return (None, None, None) if part is None else (part.value, part.lower, part.upper)
