"""Ways in which a contract goes wrong: values of other types and extremes, keys gone, unknown, or nested too deep."""

from collections.abc import Iterator
from datetime import UTC, date, datetime
from random import Random
from typing import Any

from tests.fuzz.base import Content

NAIVE = datetime(9999, 12, 31, 23)  # noqa: DTZ001 - a time without a zone is the case
VALUES: tuple[Any, ...] = (
    "", " ", "0d", "-1d", "1e9d", "36500d", "36501d", "0.5h", "1d 2h", "7 d", "session", 0, 1, -1, 7, 10**30, -(2**63),
    0.0, -0.0, 1e308, float("nan"), float("inf"), 0.5, True, False, [], {}, [[]], [{}], ["", ""], ["x"],
    ["prediction_id"] * 2, "x" * 100_000, "Mars/Olympus", "UTC", "+05:00", "../../etc/passwd", "/etc/localtime", "**",
    "[", "predictions/*.csv", "~", "\0", "\x7f", "a\nb", "\u202e", "2024-03-04", date(2024, 3, 4), NAIVE,
    datetime(1, 1, 1, tzinfo=UTC), datetime(9999, 12, 31, 23, tzinfo=UTC), "recall", "ndcg@5", "nonsense", "regression",
    "ranking", "negative", "all", "latest", "sum", "count", "any", "margin", ["account", "region"],
    ["request_id", "item_id", "position"], ["score"], ["amount"], ["label"], ["ts_pred"], ["state"],
    {"a": {"a": {"a": 1}}}, {"score": "amount"}, {"score": ["a", "b"]}, {"environment": ["test"]}, {"entity_id": []},
    {"prediction_id": "account"}, {"ts_pred": "ts_event"}, "delta", "csv", "50%", "1e5%", 1.0000000001,
)  # fmt: skip


def _places(content: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    items = content.items() if isinstance(content, dict) else enumerate(content) if isinstance(content, list) else ()
    for key, value in items:
        yield (*path, key)
        yield from _places(value, (*path, key))


def _parent(content: Content, path: tuple[Any, ...]) -> Any:
    inner: Any = content
    for key in path[:-1]:
        inner = inner[key]
    return inner


def _deep(random: Random) -> Any:
    value: Any = random.choice(VALUES)
    for _ in range(random.choice([3, 30])):
        value = {"a": value} if random.random() < 0.5 else [value]
    return value


def spoil(content: Content, random: Random) -> Content:
    """Change one place of the contract."""
    path = random.choice(list(_places(content)))
    inner, key = _parent(content, path), path[-1]
    what = random.random()
    if what < 0.7:
        inner[key] = random.choice(VALUES)
    elif what < 0.8:
        del inner[key]
    elif what < 0.9 and isinstance(inner, dict):
        inner[random.choice(["rules", "score", "columns", "tresholds", "x", "\x7f", "", str(key) + "s"])] = (
            random.choice(VALUES)
        )
    else:
        inner[key] = _deep(random)
    return content
