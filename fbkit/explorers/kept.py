"""A few answers that were computed before; the least recently used goes."""

from collections import OrderedDict
from collections.abc import Callable
from typing import Any


class Kept:
    """What was made under a key, for the newest ``most`` keys.

    >>> kept = Kept(1)
    >>> kept("a", lambda: 1), kept("a", lambda: 2), kept("b", lambda: 3), kept("a", lambda: 4)
    (1, 1, 3, 4)
    """

    def __init__(self, most: int) -> None:
        self._most = most
        self._made: OrderedDict[object, Any] = OrderedDict()

    def __call__(self, key: object, make: Callable[[], Any]) -> Any:
        """What was made under this key before, or is made now."""
        if key not in self._made:
            self._made[key] = make()
        self._made.move_to_end(key)
        if len(self._made) > self._most:
            self._made.popitem(last=False)
        return self._made[key]
