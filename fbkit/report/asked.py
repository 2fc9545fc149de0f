"""The question that a bundle answers: what it takes to put it again."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from fbkit.schema.period import Period, parse_instant

_MOST_DRAWS: Final = 10_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """The question that a bundle answers, as it was put."""

    metric: str
    reference: Period
    current: Period
    as_of: datetime
    draws: int
    seed: int
    contract: str
    sources: Mapping[str, str]
    versions: Mapping[str, str]
    label_versions: str = "any"
    narrowed: tuple[tuple[str, str | None], ...] = ()


def asked_of(facts: Mapping[str, Any], manifest: Mapping[str, Any]) -> Asked:
    """The question of a bundle, from its diagnosis and its manifest.

    Raises
    ------
    KeyError, TypeError, ValueError, AttributeError, ArgumentError
        A value is missing, or of another kind.
    """
    method, sources, versions = facts["method"], manifest.get("sources") or [], manifest.get("versions") or {}
    draws, seed = int(method["draws"]), int(method["seed"])
    # Somebody else's number: it must not be able to fill this machine's memory.
    if not 0 <= draws <= _MOST_DRAWS or seed < 0:
        raise ValueError(f"{draws} draws, seed {seed}")
    return Asked(
        metric=str(facts["metric"]),
        reference=Period.parse(str(facts["reference"])),
        current=Period.parse(str(facts["current"])),
        as_of=parse_instant(str(facts["as_of"])),
        draws=draws,
        seed=seed,
        contract=str(manifest["contract"]["sha256"]),
        sources={str(item["name"]): str(item["sha256"]) for item in sources},
        versions={str(name): str(number) for name, number in versions.items()},
        label_versions=str(method.get("label_versions", "any")),
        narrowed=tuple(
            (str(name), None if value is None else str(value)) for name, value in method.get("narrowed", [])
        ),
    )
