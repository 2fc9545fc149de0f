"""Exact Shapley values of causes that act together."""

from collections.abc import Collection
from itertools import combinations
from math import factorial
from typing import Protocol

import numpy as np

from fbkit.diagnose.bootstrap import Floats


class Game(Protocol):
    """Anything that has a value for every group of players."""

    def value(self, group: tuple[str, ...], /) -> Floats:
        """The value with these players in play, one per draw."""
        ...


def shapley(game: Game, active: Collection[str]) -> dict[str, Floats]:
    """Exact Shapley values of the active players, one per draw; they sum to value(all) - value(none)."""
    players = list(active)
    worth = {
        frozenset(group): game.value(group) for size in range(len(players) + 1) for group in combinations(players, size)
    }
    total = factorial(len(players))
    result: dict[str, Floats] = {}
    for player in players:
        others = [name for name in players if name != player]
        mean = np.zeros_like(worth[frozenset()])
        for size in range(len(others) + 1):
            weight = factorial(size) * factorial(len(others) - size) / total
            for group in combinations(others, size):
                before = frozenset(group)
                mean = mean + weight * (worth[before | {player}] - worth[before])
        result[player] = mean
    return result
