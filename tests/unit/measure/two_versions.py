"""Joined tables of two versions, made by hand: the same requests scored twice, or the traffic split."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import polars as pl

from fbkit.schema.contract import Contract
from fbkit.testing.frames import FakeJoined, make_joined


def two_versions(
    n: int = 600, *, seed: int = 0, shadow: bool = True, missing: float = 0.2, entities: int | None = None
) -> FakeJoined:
    """``n`` requests scored by "a" and "b" (shadow: labels on a's rows only) or shared out between them."""
    rng = np.random.default_rng(seed)
    truth = rng.beta(1.5, 2.5, n)
    label = (rng.random(n) < truth).astype(float)
    known = rng.random(n) >= missing
    region = rng.choice(["EU", "US"], n)
    entity = [f"r{i}" for i in range(n)] if entities is None else [f"e{code}" for code in rng.integers(0, entities, n)]
    ages = rng.uniform(10, 40, n)
    parts = []
    for version in ("a", "b"):
        score = np.round(np.clip(truth + rng.normal(0, 0.15, n), 0.001, 0.999), 3)
        mine = np.ones(n, dtype=bool) if shadow else (rng.random(n) < 0.5 if version == "a" else ~parts[0]["mine"])
        parts.append({"version": version, "score": score, "mine": mine})
    rows: dict[str, list[Any]] = {
        name: [] for name in ("score", "label", "entity", "age", "version", "request", "region")
    }
    for part in parts:
        for i in np.flatnonzero(part["mine"]).tolist():
            seen = known[i] and (part["version"] == "a" or not shadow)
            rows["score"].append(float(part["score"][i]))
            rows["label"].append(float(label[i]) if seen else None)
            rows["entity"].append(entity[i])
            rows["age"].append(float(ages[i]))
            rows["version"].append(part["version"])
            rows["request"].append(f"q{i:05d}")
            rows["region"].append(str(region[i]))
    return joined_of(rows)


def joined_of(rows: Mapping[str, Sequence[Any]], **columns: Sequence[Any]) -> FakeJoined:
    """A joined table from lists: score, label, entity, age (days), version, request, region, and further columns."""
    made = make_joined(
        scores=list(rows["score"]),
        labels=list(rows["label"]),
        entities=list(rows["entity"]),
        ages=list(rows["age"]),
        columns={"request_id": list(rows["request"]), "region": list(rows["region"]), **columns},
    )
    by_id = pl.DataFrame(
        {
            "prediction_id": [f"p-{i:06d}" for i in range(len(rows["score"]))],
            "model_version": pl.Series(list(rows["version"]), dtype=pl.String),
        }
    )
    frame = made.frame.drop("model_version").join(by_id, on="prediction_id", maintain_order="left")
    frame = frame.with_columns(pl.lit(value=False).alias("blocked"), pl.lit(None, dtype=pl.String).alias("action"))
    return replace(made, frame=frame)


def with_contract(joined: FakeJoined, **tables: Any) -> FakeJoined:
    """The same table under a contract with further tables."""
    raw = joined.contract.model_dump(mode="json", exclude_unset=True)
    return replace(joined, contract=Contract.from_dict(raw | tables))


def halves(joined: FakeJoined) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Labelled pairs by request: the rows of a and of b, both with a's label."""
    one, two = (joined.frame.filter(pl.col("model_version") == version).sort("request_id") for version in ("a", "b"))
    kept = one["label"].is_not_null()
    return one.filter(kept), two.with_columns(one["label"]).filter(kept)
