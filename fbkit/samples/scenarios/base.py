"""A named incident: a loop, what goes wrong in it, the metric that is asked about."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, Literal

from fbkit.samples.config import WorldConfig
from fbkit.samples.evidence import without
from fbkit.samples.faults import Injection
from fbkit.samples.ranking import RankingConfig, list_truth, simulate_lists
from fbkit.samples.regression import RegressionConfig, cost_truth, simulate_costs
from fbkit.samples.simulate import Simulation, simulate
from fbkit.samples.truth import Truth, truth

Kind = Literal["cause", "compound", "masked", "no_change", "undecidable", "ablation"]
Size = Literal["mild", "moderate", "severe"]
SIZES: Final[tuple[Size, ...]] = ("mild", "moderate", "severe")


@dataclass(frozen=True, slots=True, kw_only=True)
class Scenario:
    """An incident of known truth; called with a seed it gives the logs.

    `kind` says what the incident is there to try: one `cause`; a `compound` of several; a true drop `masked` by its
    labels; a week with `no_change` of the metric; an `undecidable` one, which these logs cannot tell from another
    world; an `ablation`, a cause in logs that lack some evidence, namely the parts `lacks`
    (:func:`fbkit.samples.evidence.without`). `size` is the effect that a single cause has.
    """

    name: str
    kind: Kind
    config: WorldConfig
    faults: tuple[Injection, ...]
    metric: str = "recall"
    size: Size | None = None
    lacks: tuple[str, ...] = ()

    def __call__(self, seed: int) -> Simulation:
        """The logs of one draw."""
        if isinstance(self.config, RegressionConfig):
            return simulate_costs(self.config, self.faults, seed=seed)
        if isinstance(self.config, RankingConfig):
            return simulate_lists(self.config, self.faults, seed=seed)
        whole = simulate(self.config, self.faults, seed=seed)
        return without(whole, *self.lacks) if self.lacks else whole

    @property
    def causes(self) -> tuple[str, ...]:
        """The causes that act, each once."""
        return tuple(dict.fromkeys(fault.cause for fault in self.faults))

    @property
    def task(self) -> Literal["binary", "regression", "ranking"]:
        """The task of the loop."""
        if isinstance(self.config, RegressionConfig):
            return "regression"
        return "ranking" if isinstance(self.config, RankingConfig) else "binary"

    def truth(self, *, metric: str | None = None) -> Truth:
        """What changed in expectation, of the scenario's metric or of another one."""
        f = {"regression": cost_truth, "ranking": list_truth}.get(self.task, truth)
        return f(self.config, self.faults, metric=metric or self.metric)


def by_size(
    name: str, make: Callable[[float], Injection], severities: tuple[float, ...], *, config: WorldConfig | None = None
) -> list[Scenario]:
    """One cause at its sizes; fewer than three severities: the cause cannot do more."""
    return [
        Scenario(
            name=f"{name}-{size}", kind="cause", config=config or WorldConfig(), faults=(make(severity),), size=size
        )
        for size, severity in zip(SIZES, severities, strict=False)
    ]
