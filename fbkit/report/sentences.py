"""The verdict in three sentences, and the small phrases that card and document share."""

from fbkit.diagnose.settings import lower_is_better
from fbkit.report import numbers, words
from fbkit.report.escape import clean
from fbkit.schema.diagnosis import Contribution, Diagnosis


def status_sentences(diagnosis: Diagnosis) -> tuple[str, str, str]:
    """What happened, why, and what to do: three sentences for the incident channel, free of invisible characters."""
    return clean(what_happened(diagnosis)), clean(why(diagnosis)), clean(what_to_do(diagnosis))


def status_line(diagnosis: Diagnosis) -> str:
    """The three sentences as one paragraph of plain text."""
    return " ".join(status_sentences(diagnosis))


def question(diagnosis: Diagnosis) -> str:
    """What was asked: metric, both periods, as-of time."""
    periods = f"{diagnosis.current} against {diagnosis.reference}"
    return f"{diagnosis.metric}, {periods}, as of {numbers.instant(diagnosis.as_of)}{only(diagnosis)}"


def only(diagnosis: Diagnosis) -> str:
    """``, only region = EU`` where the question was about some predictions only; else empty."""
    pairs = diagnosis.method.get("narrowed")
    if not isinstance(pairs, list | tuple):
        return ""
    named = [f"{pair[0]} = {'(none)' if pair[1] is None else pair[1]}" for pair in pairs]
    return f", only {' and '.join(named)}"


def verdict(diagnosis: Diagnosis) -> str:
    """The verdict in words; a model whose metric improved did not get worse."""
    change = sum(item.value or 0.0 for item in material(diagnosis))
    improved = change < 0 if lower_is_better(diagnosis.metric) else change > 0
    if diagnosis.verdict == "quality" and improved:
        return "The model got better"
    return words.verdict(diagnosis.verdict)


def what_happened(diagnosis: Diagnosis) -> str:
    """The observed change with its interval, both periods and the as-of time."""
    observed, metric = diagnosis.observed, diagnosis.metric
    periods = f"{diagnosis.current} against {diagnosis.reference} (as of {numbers.instant(diagnosis.as_of)})"
    if numbers.finite(observed.change) is None:
        reason = diagnosis.reason or "too few labelled rows"
        return f"The change of {metric} is not estimable for {periods}: {_ended(reason)}"
    shown = numbers.change(observed.change, metric=metric)
    moved = "fell" if shown.startswith("-") else "rose" if shown.startswith("+") else "stayed"
    change = numbers.change_interval(observed.change, observed.lower, observed.upper, metric=metric)
    before, after = numbers.plain(observed.reference), numbers.plain(observed.current)
    levels = f"at {after}" if moved == "stayed" else f"from {before} to {after}"
    return f"Observed {metric} {moved} {levels}, {change}, {periods}."


def why(diagnosis: Diagnosis) -> str:
    """The verdict with the contributions that are material, largest first."""
    said = verdict(diagnosis)
    if diagnosis.verdict == "undecided":
        worlds = " or ".join(_world(world) for world in diagnosis.worlds)
        return f"{said}: {worlds} would look the same." if worlds else f"{said}."
    parts = [_part(item, metric=diagnosis.metric) for item in material(diagnosis)]
    if not parts:
        rest = diagnosis.minimum_detectable_change
        floor = (
            ""
            if numbers.finite(rest) is None
            else f"; a change below {numbers.change(rest, metric=diagnosis.metric).lstrip('+')} would not be seen"
        )
        return f"{said}{floor}."
    return f"{said}: {'; '.join(parts)}."


def what_to_do(diagnosis: Diagnosis) -> str:
    """What to do now, what not, and when the question is decidable."""
    do_now = diagnosis.do_now[0] if diagnosis.do_now else "nothing yet"
    text = f"Do now: {do_now.rstrip('.? ')}"
    if diagnosis.do_not:
        text += f"; {_lower_first(diagnosis.do_not[0].rstrip('. '))}"
    if diagnosis.decidable_at is not None:
        already = diagnosis.decidable_at <= diagnosis.as_of
        text += f"; decidable {'since' if already else 'from'} {numbers.instant(diagnosis.decidable_at)}"
    return text + "."


def material(diagnosis: Diagnosis) -> list[Contribution]:
    """The contributions that are claimed, largest first."""
    return sorted((item for item in diagnosis.contributions if item.material), key=lambda item: -abs(item.value or 0.0))


def by_size(diagnosis: Diagnosis) -> list[Contribution]:
    """Every contribution: the claimed ones first, each group by size; noise and what is not estimable last."""
    return sorted(
        diagnosis.contributions, key=lambda item: (not item.material, item.cause == "noise", -abs(item.value or 0.0))
    )


def _part(item: Contribution, *, metric: str) -> str:
    amount = numbers.change_interval(item.value, item.lower, item.upper, metric=metric)
    place = "" if item.where in ("", "everywhere") else f" in {item.where}"
    return f"{words.cause(item.cause)}{place} {amount} ({item.strength})"


def _world(world: object) -> str:
    causes = world.get("causes") if hasattr(world, "get") else None  # pyright: ignore[reportAttributeAccessIssue]
    if isinstance(causes, str):
        return words.cause(causes)
    if isinstance(causes, tuple | list):
        return " with ".join(words.cause(str(name)) for name in causes)
    return str(world)


def _ended(text: str) -> str:
    return text if text.endswith(".") else f"{text}."


def _lower_first(text: str) -> str:
    return text[:1].lower() + text[1:] if text[1:2].islower() or text[1:2] == " " else text
