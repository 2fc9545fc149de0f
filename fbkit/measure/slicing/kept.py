"""Answers that were made before, as many as asked for; the one that was longest not asked for goes first."""

from collections import OrderedDict
from collections.abc import Callable, Hashable
from typing import Any


class Kept:
    """Calls a maker only for keys that are not held.

    >>> kept = Kept(2)
    >>> [kept(key, lambda key=key: key.upper()) for key in "abac"], sorted(kept.held)
    (['A', 'B', 'A', 'C'], ['a', 'c'])
    """

    def __init__(self, most: int) -> None:
        self.most = most
        self.held: OrderedDict[Hashable, Any] = OrderedDict()

    def __call__(self, key: Hashable, make: Callable[[], Any]) -> Any:
        if key not in self.held:
            self.held[key] = make()
        self.held.move_to_end(key)
        if len(self.held) > self.most:
            self.held.popitem(last=False)
        return self.held[key]
