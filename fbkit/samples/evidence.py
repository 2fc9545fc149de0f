"""The same simulated loop with less evidence: logs and columns that a team does not have."""

from collections.abc import Iterable
from dataclasses import replace
from typing import Final

from fbkit.errors import ArgumentError
from fbkit.samples.config import FEATURES
from fbkit.samples.contract_text import contract_text
from fbkit.samples.simulate import Simulation
from fbkit.samples.stages import constants

PARTS: Final = ("actions", "arrival", "changes", "entities", "features", "ids", "propensity", "versions")


def without(simulation: Simulation, *parts: str) -> Simulation:
    """The simulation without some evidence; the contract no longer speaks of it.

    Parameters
    ----------
    parts
        `actions` and `changes`: those logs. `features`: the feature columns. `arrival`: when labels became known.
        `entities`: the accounts, in both logs. `versions`: which definition a label follows. `propensity`: how probable
        an action was, and whether it was an exploration. `ids`: the prediction ids of the outcomes, which are then
        joined by account and time where only one prediction can be meant (seldom, unless
        `accounts_per_daily_prediction` is large); the truth knows nothing of what this costs.

    Raises
    ------
    ArgumentError
        An unknown part, or `ids` where the outcomes carry no account either.

    Examples
    --------
    >>> from fbkit.samples import WorldConfig, simulate
    >>> bare = without(simulate(WorldConfig(per_day=50), seed=1), "arrival", "entities")
    >>> bare.outcomes.columns
    ['prediction_id', 'ts_event', 'label', 'source', 'label_version']
    """
    unknown = sorted(set(parts) - set(PARTS))
    if unknown:
        raise ArgumentError(
            "no such evidence to leave out", got=unknown, allowed=PARTS, next_step="name one of these parts"
        )
    lacking = {*parts, *_lacking(simulation)}
    if {"ids", "entities"} <= lacking or ("ids" in parts and "entity_id" not in simulation.outcomes.columns):
        raise ArgumentError(
            "outcomes without ids and without accounts belong to no prediction",
            got=sorted(lacking),
            allowed="one of both",
            next_step="keep ids or entities",
        )
    away = {
        "entities": ("entity_id",),
        "features": FEATURES,
        "ids": ("prediction_id",),
        "arrival": ("ts_arrival",),
        "versions": ("label_version",),
    }
    of_both = [column for part in ("entities", "features") if part in parts for column in away[part]]
    of_outcomes = [column for part in ("ids", "arrival", "versions") if part in parts for column in away[part]]
    actions = None if "actions" in lacking else simulation.actions
    if "propensity" in parts and actions is not None:
        actions = actions.drop("propensity", "explored", strict=False)
    return replace(
        simulation,
        predictions=simulation.predictions.drop(of_both, strict=False),
        outcomes=simulation.outcomes.drop(of_both + of_outcomes, strict=False),
        actions=actions,
        changes=None if "changes" in lacking else simulation.changes,
        contract_toml=contract_text(
            simulation.config,
            threshold=constants(simulation.config.expectation()).threshold,
            as_of=simulation.as_of,
            without=lacking,
        ),
    )


def _lacking(simulation: Simulation) -> Iterable[str]:
    """What the simulation has not got anyway."""
    predictions, outcomes = simulation.predictions.columns, simulation.outcomes.columns
    there = {
        "actions": simulation.actions is not None,
        "changes": simulation.changes is not None,
        "features": not set(FEATURES).isdisjoint(predictions),
        "entities": "entity_id" in predictions,
        "ids": "prediction_id" in outcomes,
    }
    return [part for part, known in there.items() if not known]
