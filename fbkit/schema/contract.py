"""The one-page model contract that the kit executes: read, check, write."""

import hashlib
import json
import tomllib
from collections.abc import Mapping
from functools import cached_property
from pathlib import Path
from typing import Any, Self

from pydantic import ValidationError

from fbkit.errors import ArgumentError, ContractError, nearest
from fbkit.schema.contract_parts import Body, PrimaryLabelPart
from fbkit.schema.contract_problems import explain
from fbkit.schema.toml import dump_toml


class Contract(Body):
    """What the logs mean: columns, label window, join keys, slices, metrics, owners. Equal contracts have equal hashes.

    Read it with :meth:`load` or :meth:`from_toml`; both raise ContractError and name every unknown key and impossible
    value at once. Durations are ``timedelta``, instants UTC. ``docs/contract.md`` explains every key.

    Examples
    --------
    >>> text = '''
    ... [model]
    ... name = "demo"
    ... [predictions]
    ... path = "predictions.csv"
    ... [outcomes]
    ... path = "outcomes.csv"
    ... [label]
    ... window = "7d"
    ... '''
    >>> contract = Contract.from_toml(text)
    >>> contract.label.window.days, contract.join.keys
    (7, ('prediction_id',))
    >>> Contract.from_toml(contract.to_toml()) == contract
    True
    """

    @classmethod
    def load(cls, path: str | Path) -> Self:
        """Read ``contract.toml``; every problem of the file is reported at once."""
        file = Path(path)
        try:
            text = file.read_text(encoding="utf-8")
        except FileNotFoundError as error:
            raise ContractError(
                "there is no contract",
                got=file.name,
                next_step="write one, or let --predictions FILE --outcomes FILE --window 7d write a draft",
                allowed="a file in TOML",
            ) from error
        except (OSError, UnicodeDecodeError) as error:
            raise ContractError(
                "the contract could not be read",
                got=f"{file.name}: {error}",
                allowed="UTF-8 text in TOML",
                next_step="look whether it is a text file that you may read",
            ) from error
        return cls.from_toml(text, name=file.name)

    @classmethod
    def from_toml(cls, text: str, *, name: str = "contract.toml") -> Self:
        """Read a contract from TOML text."""
        try:
            raw = tomllib.loads(text)
        except tomllib.TOMLDecodeError as error:
            raise ContractError(
                f"{name} is not valid TOML",
                got=str(error),
                next_step="mend the line that is named",
                allowed="TOML: [tables], and key = value on lines of their own",
            ) from error
        return cls.from_dict(raw, name=name)

    @classmethod
    def from_dict(cls, content: Mapping[str, Any], *, name: str = "the contract") -> Self:
        """Check a contract given as nested dictionaries, with the same messages as for a file."""
        try:
            return cls.model_validate(content)
        except ValidationError as error:
            raise explain(content, error, name=name) from error

    def to_toml(self) -> str:
        """The contract as TOML; what equals its default is left out."""
        return dump_toml(self.model_dump(mode="python", exclude_defaults=True, round_trip=False))

    @property
    def label_names(self) -> tuple[str, ...]:
        """The label that counts, then the proxies."""
        return (self.label.name, *(proxy.name for proxy in self.label.also))

    def for_label(self, name: str) -> Self:
        """The contract as it reads for one of its labels; the primary's is the contract itself.

        What is promised of the primary label (its service levels and alerts) is not said of a proxy.

        Raises
        ------
        ArgumentError
            No label has this name.

        Examples
        --------
        >>> label = {"name": "purchase", "window": "7d", "also": [{"name": "click", "window": "1h"}]}
        >>> contract = Contract.from_dict({"model": {"name": "m"}, "predictions": {}, "outcomes": {}, "label": label})
        >>> contract.for_label("click").label.window_text
        '1h'
        """
        if name == self.label.name:
            return self
        for proxy in self.label.also:
            if proxy.name == name:
                label = PrimaryLabelPart.model_validate(dict(proxy))
                slo = self.slo.model_copy(update={"label_availability": None, "feed_completeness": None})
                made = self.model_copy(update={"label": label, "slo": slo, "alerts": ()})
                vars(made).pop("hash", None)  # a copy carries what was computed of the original
                return made
        close = nearest(str(name), list(self.label_names))
        raise ArgumentError(
            "the contract has no such label",
            got=name,
            allowed=", ".join(self.label_names),
            next_step=f"did you mean {close}?" if close else "add it under [[label.also]]",
        )

    @cached_property
    def hash(self) -> str:
        """SHA-256 of the canonical content (not of the file's bytes)."""
        canonical = json.dumps(self.model_dump(mode="json", exclude={"x"}), sort_keys=True, ensure_ascii=True)
        return hashlib.sha256(canonical.encode()).hexdigest()
