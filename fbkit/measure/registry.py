"""Every measure by its name: the modules that define them, and how a name is looked up."""

import re
from collections.abc import Mapping, Sequence
from functools import cache
from itertools import chain
from typing import Final

from fbkit.errors import ArgumentError, nearest
from fbkit.measure.kernels import (
    binary,
    business,
    calibration_error,
    confusion,
    cost,
    gain,
    latencies,
    ranking_measures,
    rankings,
    regression,
)
from fbkit.measure.kinds import E0, E1, F, Family, FromContract, Measure, S, Total, W, Y
from fbkit.measure.user import Metric
from fbkit.schema.contract import Contract

__all__ = ["E0", "E1", "FAMILIES", "FROM_CONTRACT", "REGISTRY", "F", "Measure", "S", "Total", "W", "Y", "choose"]

# Each of these ends with MEASURES; FAMILIES are names with @k, FROM_CONTRACT measures need its prices or costs.
_MODULES: Final = (
    confusion,
    binary,
    ranking_measures,
    calibration_error,
    gain,
    regression,
    rankings,
    business,
    cost,
    latencies,
)
_LARGEST: Final = 10_000

REGISTRY: Final[Mapping[str, Measure]] = {
    measure.name: measure for measure in chain.from_iterable(module.MEASURES for module in _MODULES)
}
FAMILIES: Final[Mapping[str, Family]] = dict(
    chain.from_iterable(getattr(module, "FAMILIES", {}).items() for module in _MODULES)
)
FROM_CONTRACT: Final[Mapping[str, FromContract]] = dict(
    chain.from_iterable(getattr(module, "FROM_CONTRACT", {}).items() for module in _MODULES)
)
Asked = str | Metric


def choose(
    names: Asked | Sequence[Asked],
    *,
    task: str = "binary",
    allowed: Mapping[str, Measure] = REGISTRY,
    contract: Contract | None = None,
) -> tuple[Measure, ...]:
    """The measures of these names, in the order asked; an unknown or unfitting one is an ArgumentError.

    ``contract`` opens the measures that are made from it; ``name@k`` is the family's member for the first k.
    """
    asked = listed(names)
    if not asked:
        known = _known(task, allowed, contract)
        raise ArgumentError(
            "no metric was asked for", allowed=", ".join(known), got="no name", next_step="name at least one metric"
        )
    found = [_one(item, task, allowed, contract) for item in asked]
    return tuple({measure.name: measure for measure in found}.values())


def listed(names: Asked | Sequence[Asked]) -> list[Asked]:
    """One name or several, as a list."""
    return [names] if isinstance(names, str | Metric) else list(names)


def metric_names(*, task: str = "binary", contract: Contract | None = None) -> tuple[str, ...]:
    """Every name that :func:`choose` knows for a task; families as ``name@k``."""
    return tuple(_known(task, REGISTRY, contract))


def _one(item: Asked, task: str, allowed: Mapping[str, Measure], contract: Contract | None) -> Measure:
    if isinstance(item, Metric):
        return item.measure()
    measure = allowed.get(item)
    if measure is None and allowed is REGISTRY:
        measure = _member(item)
        if measure is None and contract is not None and item in FROM_CONTRACT:
            measure = FROM_CONTRACT[item](contract)
    if measure is None or task not in measure.tasks:
        known = _known(task, allowed, contract)
        close = nearest(str(item), known)
        raise ArgumentError(
            f"there is no metric {item!r} for a {task} model here",
            got=item,
            allowed=", ".join(known),
            next_step=f"did you mean {close!r}?" if close else "name one of these, or give an fb.Metric",
        )
    return measure


@cache
def _member(name: str) -> Measure | None:
    """The measure of a name such as ndcg@10."""
    found = re.fullmatch(r"([a-z][a-z0-9_]*)@([1-9][0-9]{0,4})", name)
    if found is None or found[1] not in FAMILIES or int(found[2]) > _LARGEST:
        return None
    return FAMILIES[found[1]](int(found[2]))


def _known(task: str, allowed: Mapping[str, Measure], contract: Contract | None) -> list[str]:
    known = [name for name, measure in allowed.items() if task in measure.tasks]
    if allowed is not REGISTRY:
        return known
    known += [f"{name}@k" for name, family in FAMILIES.items() if task in family(10).tasks]
    if contract is not None:
        known += [name for name, make in FROM_CONTRACT.items() if task in make(contract).tasks]
    return known
