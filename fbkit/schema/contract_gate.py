"""The gate for changed meanings: nobody redefines a feature or the label under those who rely on it."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final

from fbkit.schema.contract import Contract
from fbkit.schema.contract_parts import LabelPart

# What a label means. Grace and stages say when it is looked at, not what it is.
_MEANING: Final = ("name", "window", "session_gap", "combine", "corrections", "silence", "sources")
_LABEL_COLUMNS: Final = ("label", "value", "ts_event", "label_name")


@dataclass(frozen=True, slots=True, kw_only=True)
class Violation:
    """A changed meaning that nobody announced: where, what it was and is, and what lets it through."""

    path: str
    before: Any
    after: Any
    fix: str


def gate(old: Contract, new: Contract) -> tuple[Violation, ...]:
    """Definitions that changed without a new version, or without the acknowledgement of every consumer.

    A *feature* may change when its version changes, or when ``acknowledged_by`` names every consumer, which are the
    new contract's ``model.owners``. A list that is the same in both contracts was given for the old definition and
    acknowledges nothing. The *label* (and each proxy) may change only with a new version that has its entry in
    ``changes``. Line breaks and repeated spaces in a definition are no change.

    Examples
    --------
    >>> tables = {"model": {"name": "m"}, "predictions": {}, "outcomes": {}}
    >>> old, new = (Contract.from_dict({**tables, "label": {"window": window}}) for window in ("90d", "60d"))
    >>> [(item.path, item.before, item.after) for item in gate(old, new)]
    [('label.window', '90d', '60d')]
    """
    return (*_labels(old, new), *_features(old, new))


def _labels(old: Contract, new: Contract) -> Iterator[Violation]:
    yield from _label("label", old.label, new.label, extra=_shared_meaning(old, new))
    before = {proxy.name: proxy for proxy in old.label.also}
    for proxy in new.label.also:
        if proxy.name in before:
            yield from _label(f"label.also.{proxy.name}", before[proxy.name], proxy, extra=[])


def _label(path: str, old: LabelPart, new: LabelPart, *, extra: list[tuple[str, Any, Any]]) -> Iterator[Violation]:
    left, right = (part.model_dump(mode="json") for part in (old, new))
    names = [name for name in _MEANING if name != "session_gap" or "session" in (old.window, new.window)]
    changed = [(f"{path}.{name}", left[name], right[name]) for name in names if left[name] != right[name]] + extra
    if old.version == new.version:
        fix = f"give {path}.version a new value and say under [[{path}.changes]] what changed"
        yield from (Violation(path=key, before=a, after=b, fix=fix) for key, a, b in changed)
    elif new.version is None:
        fix = f"give {path}.version a new value; without one old and new labels cannot be told apart"
        yield Violation(path=f"{path}.version", before=old.version, after=None, fix=fix)
    elif new.version not in {change.version for change in new.changes} and (changed or old.version is not None):
        fix = f'add [[{path}.changes]] with version = "{new.version}", its date, and a note'
        yield Violation(path=f"{path}.changes", before=old.version, after=new.version, fix=fix)


def _shared_meaning(old: Contract, new: Contract) -> list[tuple[str, Any, Any]]:
    """What the label means beyond its own table: the task, and which columns of the outcome log it is read from."""
    pairs = [("model.task", old.model.task, new.model.task)]
    pairs += [
        (f"outcomes.columns.{name}", old.outcomes.columns.get(name, name), new.outcomes.columns.get(name, name))
        for name in _LABEL_COLUMNS
    ]
    return [(path, before, after) for path, before, after in pairs if before != after]


def _features(old: Contract, new: Contract) -> Iterator[Violation]:
    for name in new.features.columns:
        if name in old.features.columns:
            yield from _feature(name, old, new)


def _feature(name: str, old: Contract, new: Contract) -> Iterator[Violation]:
    before, after = old.features.definitions.get(name), new.features.definitions.get(name)
    path = f"features.definitions.{name}"
    changed: list[tuple[str, Any, Any]] = []
    column, moved = (contract.predictions.columns.get(name, name) for contract in (old, new))
    if column != moved:
        changed.append((f"predictions.columns.{name}", column, moved))
    text, now = (_plain(item.definition) if item is not None else None for item in (before, after))
    if text is not None and text != now:
        changed.append((f"{path}.definition", before and before.definition, after and after.definition))
    renewed = after is not None and (before is None or before.version != after.version)
    if changed and not renewed and not _acknowledged(name, old, new):
        fix = _fix(name, new)
        yield from (Violation(path=key, before=a, after=b, fix=fix) for key, a, b in changed)


def _acknowledged(name: str, old: Contract, new: Contract) -> bool:
    before, after = old.features.definitions.get(name), new.features.definitions.get(name)
    if after is None or not new.model.owners:
        return False
    named = set(after.acknowledged_by)
    copied = before is not None and named == set(before.acknowledged_by)
    return not copied and named >= set(new.model.owners)


def _fix(name: str, new: Contract) -> str:
    path = f"features.definitions.{name}"
    definition = new.features.definitions.get(name)
    if definition is None:
        return f"keep [{path}] and give it a new version"
    consumers = ", ".join(new.model.owners)
    if not consumers:
        return f"give {path}.version a new value (model.owners names nobody who could acknowledge it)"
    missing = [owner for owner in new.model.owners if owner not in definition.acknowledged_by]
    renew = "" if missing else "; the list stood there before, for the old definition"
    return f"give {path}.version a new value, or let every consumer ({consumers}) acknowledge it{renew}"


def _plain(definition: str | None) -> str | None:
    return None if definition is None else " ".join(definition.split())
