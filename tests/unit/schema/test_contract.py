"""The contract: refuses what it does not know, tells all problems at once, and survives a round trip."""

import tomllib
from datetime import UTC, date, datetime, time, timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fbkit.errors import ContractError
from fbkit.schema.contract import Contract
from fbkit.schema.toml import dump_toml

BASE = '[model]\nname = "m"\n[predictions]\n[outcomes]\n[label]\nwindow = "7d"\n'
BARE: dict[str, Any] = {"model": {"name": "m"}, "predictions": {}, "outcomes": {}, "label": {"window": "7d"}}

names = st.text(st.characters(codec="utf-8"), min_size=1, max_size=12)
spans = st.timedeltas(timedelta(microseconds=1), timedelta(days=3650))
rules = st.fixed_dictionaries(
    {
        "metric": st.sampled_from(["recall", "ndcg@10"]),
        "condition": st.just("drop"),
        "by": st.sampled_from(["10%", "0.05"]),
    },
    optional={"every": spans, "slices": st.sampled_from(["all", [{"region": "EU"}]])},
)
scalars = names | st.integers(-(2**60), 2**60) | st.booleans() | st.floats(allow_nan=False) | st.dates() | st.times()
notes = st.recursive(
    scalars | st.datetimes(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(names, inner, max_size=3),
    max_leaves=6,
)
instants = st.datetimes(datetime(1950, 1, 1), datetime(2100, 1, 1), timezones=st.timezones())  # noqa: DTZ001 - zones follow
tables = st.fixed_dictionaries
mapped = {
    "columns": st.dictionaries(names, names, max_size=3),
    "where": st.dictionaries(names, st.lists(names), max_size=2),
}
told = {"grace": spans, "silence": st.sampled_from(["missing", "negative"]), "sources": st.lists(names)}


def with_columns(critical: list[dict[str, str]]) -> dict[str, Any]:
    return {"columns": sorted({"region", *(name for where in critical for name in where)}), "critical": critical}


contracts = tables(
    {
        "model": tables({"name": names}, optional={"owners": st.lists(names, max_size=2), "purpose": names}),
        "predictions": tables({}, optional=mapped),
        "outcomes": tables({}, optional={"complete_through": instants}),
        "label": tables({"window": spans}, optional=told),
        "slices": st.lists(st.dictionaries(names, names, min_size=1, max_size=2), max_size=2).map(with_columns),
    },
    optional={
        "alerts": st.dictionaries(names, rules, max_size=2).map(
            lambda named: [{"name": n, **r} for n, r in named.items()]
        ),
        "decision": tables({"threshold": st.floats(0, 1)}),
        "value": st.just({}),
        "x": st.dictionaries(names, notes, max_size=3),
    },
)


@given(contracts)
def test_a_round_trip_through_toml_is_the_identity(content: dict[str, Any]) -> None:
    contract = Contract.from_dict(content)
    again = Contract.from_toml(contract.to_toml())
    assert again == contract
    assert again.hash == contract.hash
    assert again.to_toml() == contract.to_toml()


def test_the_shipped_contracts_survive_a_round_trip(root: Path) -> None:
    found = sorted((root / "data_samples").rglob("contract.toml"))
    assert found
    for file in found:
        contract = Contract.load(file)
        assert Contract.from_toml(contract.to_toml()) == contract


def test_equal_contracts_have_equal_hashes_whatever_the_zone() -> None:
    stamps = ("2026-06-01T00:00:00Z", "2026-06-01T02:00:00+02:00")
    one, two = (Contract.from_dict(BARE | {"outcomes": {"complete_through": stamp}}) for stamp in stamps)
    assert one == two
    assert one.hash == two.hash != Contract.from_dict(BARE).hash
    assert Contract.from_dict(BARE | {"x": {"note": 1}}).hash == Contract.from_dict(BARE).hash


def test_local_times_in_a_teams_notes_stay_as_they_are() -> None:
    local = datetime(2024, 1, 1, 2, 3)  # noqa: DTZ001 - a time without a zone is the case
    content = {"a": local, "b": time(4, 5), "c": date(2024, 1, 1), "d": datetime(2024, 1, 1, tzinfo=UTC)}
    assert tomllib.loads(dump_toml(content)) == content


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ('[label]\nwindw = "7d"', "unknown key label.windw (did you mean window?)"),
        ("[label]\nx = 1", "unknown key label.x (known: also, changes"),
        ('[label]\nwindow = "7d"\n[outcomess]', "unknown key outcomess (did you mean outcomes?)"),
        ('[label]\nwindow = "7d"\n[[alerts]]\nnam = "x"', "unknown key alerts.0.nam (did you mean name?)"),
        ("[label]\nwindow = 7", 'label.window = 7: not a duration; write for example "7d"'),
        ('[label]\nwindow = "abc"', "label.window = 'abc': not a duration"),
        ('[label]\nwindow = "0d"', "window must be longer than zero"),
        ('[label]\nwindow = "99999999d"', "not a duration"),
        ('[label]\nwindow = "7d"\nstages = ["9d"]', "every stage must be shorter"),
        ('[label]\nwindow = "7d"\nstages = ["3d", "1d"]', "stages must grow"),
        ('[label]\nwindow = "7d"\nsilence = "no"', "label.silence = 'no': Input should be 'missing' or 'negative'"),
        ('[label]\nwindow = "7d"\n[decision]\nthreshold = nan', "decision.threshold = nan"),
        ('[label]\nwindow = "7d"\n[privacy]\nretention = "1d"', "privacy.retention is shorter than the label delay"),
        ('[label]\nwindow = "7d"\n[slo]\nlatency_ms = { p96 = 3 }', "slo.latency_ms.p96"),
        (
            '[label]\nwindow = "7d"\nsilence = "negative"\n[slo]\nlabel_availability = { at = "1d", minimum = 0.9 }',
            "can never fire",
        ),
        ('[label]\nwindow = "7d"\n[[alerts]]\nname = "a"\nmetric = "recall"\ncondition = "above"', "needs level"),
        ('[label]\nwindow = "7d"\n[[alerts]]\nname = "a"\nmetric = "recall"\ncondition = "drop"', "needs by"),
        (
            '[label]\nwindow = "7d"\n[slices]\ncolumns = ["user"]\n[privacy]\npersonal = ["user"]',
            "slices.columns names personal data (user)",
        ),
        (
            '[label]\nwindow = "7d"\n[changes]\npath = "c.csv"\nquery = "select"\nconnection_env = "DB"',
            "path or query, not",
        ),
    ],
)
def test_what_is_wrong_is_told_with_its_path(text: str, said: str) -> None:
    with pytest.raises(ContractError) as caught:
        Contract.from_toml('[model]\nname = "m"\n[predictions]\n[outcomes]\n' + text)
    assert said in str(caught.value.got)
    assert "has 1 problem" in caught.value.what or "windw" in text or "x = 1" in text or "alerts" in text


def test_a_query_needs_the_name_of_a_connection() -> None:
    with pytest.raises(ContractError, match="needs connection_env"):
        Contract.from_dict(BARE | {"predictions": {"path": None, "query": "select 1"}})


def test_all_problems_are_told_at_once_and_in_full() -> None:
    alerts = [{"name": f"a{i}", "metric": "recall", "condition": "drop", "by": "lots"} for i in range(12)]
    with pytest.raises(ContractError) as caught:
        Contract.from_dict(BARE | {"slices": {"minimum": 0, "column": []}, "alerts": alerts})
    assert "14 problems" in caught.value.what
    assert all(f"alerts.{i}.by" in str(caught.value.got) for i in range(12))


def test_an_unreadable_contract_names_the_file(tmp_path: Path) -> None:
    file = tmp_path / "contract.toml"
    with pytest.raises(ContractError, match="there is no contract"):
        Contract.load(file)
    file.write_bytes(b"\xff\xfe")
    with pytest.raises(ContractError, match=r"could not be read[\s\S]*contract\.toml"):
        Contract.load(file)
    file.write_text("a = = 1")
    with pytest.raises(ContractError, match="not valid TOML"):
        Contract.load(file)


def test_a_contract_is_frozen_and_one_name_may_stand_for_a_list() -> None:
    contract = Contract.from_toml(BASE + '[slices]\ncolumns = "region"\n')
    assert contract.slices.columns == ("region",)
    with pytest.raises(ValueError, match="frozen"):
        contract.label.window = timedelta(days=1)  # pyright: ignore[reportAttributeAccessIssue] - that is the point
