"""What no contract can mean: values that contradict each other, told together and by their paths."""

from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from datetime import timedelta
from itertools import pairwise
from typing import TYPE_CHECKING, Any

from fbkit.errors import nearest
from fbkit.schema.durations import format_duration

if TYPE_CHECKING:
    from fbkit.schema.contract_parts import Body, LabelPart, RulePart, Source

_QUANTILES = ("p50", "p95", "p99")


class ProblemsError(ValueError):
    """Several impossible values of one table; pydantic hands it on, and each sentence is told."""

    def __init__(self, sentences: Iterable[str]) -> None:
        self.sentences = tuple(sentences)
        super().__init__("; ".join(self.sentences))


def refuse(sentences: Iterable[str]) -> None:
    """Raise :class:`ProblemsError` when there are any."""
    found = list(sentences)
    if found:
        raise ProblemsError(found)


def source_problems(part: "Source") -> Iterator[str]:
    """A log comes from one place."""
    if part.query is None:
        if part.connection_env is not None:
            yield "connection_env belongs to a query, and there is none"
        return
    if part.path is not None:
        yield "give path or query, not both"
    if part.format is not None:
        yield "format belongs to a path; a query needs none"
    if part.connection_env is None:
        yield "query needs connection_env, the name of an environment variable"


def label_problems(label: "LabelPart") -> Iterator[str]:
    """Windows that close, stages that come before, sources that may speak."""
    stages = label.stages
    if any(later <= earlier for earlier, later in pairwise(stages)):
        yield "stages must grow"
    if any(stage <= timedelta(0) for stage in stages):
        yield "every stage must be longer than zero"
    if isinstance(label.window, timedelta):
        if label.window <= timedelta(0):
            yield "window must be longer than zero"
        elif any(stage >= label.window for stage in stages):
            yield "every stage must be shorter than the window"
    elif label.session_gap <= timedelta(0):
        yield "session_gap must be longer than zero"
    elif any(stage >= label.session_gap for stage in stages):
        yield "every stage must be shorter than session_gap, the shortest window of a session"
    if "audit" in label.sources:
        yield 'sources names "audit", and audit rows never set the label'
    yield from repeated("changes", (change.version for change in label.changes), what="version")


def rule_problems(rule: "RulePart") -> Iterator[str]:
    """A rule that can fire, and can stop firing."""
    absolute = rule.condition in ("above", "below")
    if absolute and rule.level is None:
        yield f'condition = "{rule.condition}" needs level'
    if not absolute and rule.by is None:
        yield f'condition = "{rule.condition}" needs by'
    idle = [name for name in (("by", "baseline") if absolute else ("level",)) if getattr(rule, name) is not None]
    if idle:
        yield f'condition = "{rule.condition}" does not use {" and ".join(idle)}'
    if rule.by is not None:
        yield from amount_problems("by", rule.by, falls=rule.condition == "drop")
    if rule.every <= timedelta(0):
        yield "every must be longer than zero"
    elif timedelta(0) < rule.lasting < rule.every:
        yield f"lasting ({format_duration(rule.lasting)}) is shorter than every ({format_duration(rule.every)})"


def amount_problems(key: str, text: str, *, falls: bool) -> Iterator[str]:
    """A change of zero always fires; a fall by more than everything never does."""
    number = float(text.removesuffix("%"))
    if number == 0:
        yield f"{key} = {text} is no change"
    if falls and text.endswith("%") and number > 100:
        yield f"{key} = {text}: nothing can fall by more than 100%"


def limit_problems(limits: dict[Any, float]) -> Iterator[str]:
    """Limits of quantiles are positive and do not fall."""
    if any(limit <= 0 for limit in limits.values()):
        yield "a limit must be above zero"
    given = [limits[name] for name in _QUANTILES if name in limits]
    if given != sorted(given):
        yield "limits must not fall from p50 to p95 to p99: the higher one could never be the one that is broken"


def repeated(path: str, names: Iterable[str], *, what: str = "name") -> Iterator[str]:
    """Names that stand twice where each may stand once."""
    twice = sorted(name for name, count in Counter(names).items() if count > 1)
    if twice:
        yield f"{path}: the same {what} twice ({', '.join(twice)})"


def _retention(body: "Body") -> Iterator[str]:
    kept = body.privacy.retention
    if kept is None:
        return
    if _delay(body.label) > kept:
        yield "privacy.retention is shorter than the label delay (label.window + label.grace)"
    for proxy in body.label.also:
        if _delay(proxy) > kept:
            yield f"privacy.retention is shorter than the delay of label.also {proxy.name} (its window + grace)"
    for key, promise in (("label_availability", body.slo.label_availability), ("feed", body.slo.feed_completeness)):
        if promise is not None and promise.at > kept:
            name = "feed_completeness" if key == "feed" else key
            yield f"slo.{name}.at is longer than privacy.retention: the rows are gone before they are judged"


def _delay(label: "LabelPart") -> timedelta:
    return (label.window if isinstance(label.window, timedelta) else label.session_gap) + label.grace


def _vacuous(body: "Body") -> Iterator[str]:
    if body.label.silence != "negative":
        return
    if body.slo.label_availability is not None:
        yield 'slo.label_availability can never fire with label.silence = "negative"; use slo.feed_completeness'
    for alert in body.alerts:
        if alert.metric == "availability":
            yield (
                f'alerts {alert.name}: availability is complete by definition with label.silence = "negative"; '
                "watch feed_completeness"
            )


def _labels(body: "Body") -> Iterator[str]:
    yield from repeated("label and label.also", [body.label.name, *(proxy.name for proxy in body.label.also)])
    if body.label.silence == "negative" and body.model.task == "regression":
        yield 'label.silence = "negative" has no meaning for model.task = "regression"'


def _threshold(body: "Body") -> Iterator[str]:
    threshold = body.decision.threshold
    likely = body.model.task == "binary" and body.predictions.score_kind == "probability"
    if threshold is not None and likely and not 0 <= threshold <= 1:
        yield (
            f"decision.threshold = {threshold} lies outside 0..1, "
            'and predictions.score_kind = "probability" says scores do not'
        )


def _slices(body: "Body") -> Iterator[str]:
    known = list(body.slices.columns)
    yield from repeated("slices.columns", known)
    for where in body.slices.critical:
        yield from _unknown("slices.critical", where, known, where="slices.columns")
    sliced = sorted({*known} & {*body.privacy.personal})
    if sliced:
        yield f"slices.columns names personal data ({', '.join(sliced)}): its values would leave the machine"


def _rules(body: "Body") -> Iterator[str]:
    yield from repeated("alerts", (alert.name for alert in body.alerts))
    yield from repeated("guardrails", (guardrail.metric for guardrail in body.guardrails), what="metric")
    named = [(f"alerts {alert.name}", alert) for alert in body.alerts]
    named += [(f"retrain.rules.{number}", rule) for number, rule in enumerate(body.retrain.rules)]
    for path, rule in named:
        if rule.slices == "critical" and not body.slices.critical:
            yield f'{path}: slices = "critical", but slices.critical names none'
        if isinstance(rule.slices, tuple):
            for where in rule.slices:
                yield from _unknown(f"{path}: slices", where, list(body.slices.columns), where="slices.columns")


def _features(body: "Body") -> Iterator[str]:
    known = list(body.features.columns)
    yield from repeated("features.columns", known)
    yield from _unknown("features.definitions", body.features.definitions, known, where="features.columns")


def _costs(body: "Body") -> Iterator[str]:
    yield from repeated("costs", (cost.component for cost in body.costs), what="component")


def _unknown(path: str, names: Iterable[str], known: list[str], *, where: str) -> Iterator[str]:
    for name in names:
        if name not in known:
            hint = nearest(name, known)
            yield f"{path} names {name}, which is not in {where}" + (f" (did you mean {hint}?)" if hint else "")


# The tables that each check reads: one that could not be read itself must not hide what is wrong between the others.
_CHECKS: tuple[tuple[tuple[str, ...], Callable[["Body"], Iterator[str]]], ...] = (
    (("label", "privacy", "slo"), _retention),
    (("label", "slo", "alerts"), _vacuous),
    (("label", "model"), _labels),
    (("decision", "model", "predictions"), _threshold),
    (("slices", "privacy"), _slices),
    (("alerts", "guardrails", "retrain", "slices"), _rules),
    (("features",), _features),
    (("costs",), _costs),
)


def cross_problems(body: "Body", *, readable: set[str] | None = None) -> Iterator[str]:
    """Every contradiction between tables; ``readable`` names those that may be looked at (default: all)."""
    for needs, check in _CHECKS:
        if readable is None or readable.issuperset(needs):
            yield from check(body)
