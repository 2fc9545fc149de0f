"""Critical slices as TOML: the contract reads them back, and only what a contract can name is proposed."""

import tomllib

import polars as pl
import pytest

from fbkit.measure.slice_search import find_slices
from fbkit.measure.slicing.critical import critical_slices, critical_toml
from fbkit.schema.contract import Contract
from fbkit.testing.frames import CONTRACT, FakeJoined, make_joined

NASTY = ['quote " and \\', "line\nbreak", "# no remark", "]", "tab\t\x9b1m\u202e", "é ⚠", "ordinary"]


def contract(critical: str = "") -> Contract:
    return Contract.from_toml(CONTRACT.format(task="binary") + f'[slices]\ncolumns = ["a b", "c"]\n{critical}\n')


def joined(own: Contract) -> FakeJoined:
    n = 7 * 60
    frame = make_joined(
        scores=[0.9 if i % 7 % 2 else 0.1 for i in range(n)],
        labels=[1.0] * n,
        columns={
            "a b": [NASTY[i % 7] for i in range(n)],
            "c": [None if i % 3 else "x" for i in range(n)],
            "other": ["u" if i % 7 == 0 else "v" for i in range(n)],
            "x": [float(i % 7) for i in range(n)],
        },
    ).frame
    return FakeJoined(frame=frame, contract=own, as_of=make_joined(scores=[0.5], labels=[1.0]).as_of)


def found(own: Contract, columns: list[str]) -> pl.DataFrame:
    return find_slices(joined(own), metric="recall", columns=columns, keep_unclear=True, depth=1, k=20)


def test_the_contract_reads_what_was_proposed() -> None:
    own = contract()
    frame = found(own, ["a b", "c"])
    text = critical_toml(frame, own)
    again = Contract.from_toml(CONTRACT.format(task="binary") + text)
    assert [dict(where) for where in again.slices.critical] == tomllib.loads(text)["slices"]["critical"]
    assert again.slices.columns == own.slices.columns
    proposed = [where["a b"] for where in again.slices.critical]
    assert set(proposed) <= set(NASTY)
    assert len(proposed) == len(set(proposed)) >= 4


def test_nothing_in_it_moves_a_terminal() -> None:
    text = critical_toml(found(contract(), ["a b"]), contract(), most=7)
    assert "\\U0000009B1m\\U0000202E" in text
    assert not {"\x9b", "\u202e", "\t", "\x1b"} & set(text)


def test_remarks_hold_numbers_and_no_text_of_users() -> None:
    lines = critical_toml(found(contract(), ["a b"]), contract()).splitlines()
    remarks = [line.rsplit("  # ", 1)[1] for line in lines if "  # " in line]
    assert remarks
    assert all(remark.startswith("recall 0 (0 to ") and "predictions" in remark for remark in remarks)


@pytest.mark.parametrize("columns", [["other"], ["x"], ["c"]])
def test_other_columns_bins_and_null_are_not_for_a_contract(columns: list[str]) -> None:
    own = contract()
    frame = found(own, columns)
    plain = [row for row in critical_slices(frame, own) if row["conditions"][0]["value"] is None]
    assert plain == []
    if columns != ["c"]:
        assert critical_slices(frame, own) == []
        assert Contract.from_toml(CONTRACT.format(task="binary") + critical_toml(frame, own)).slices.critical == ()


def test_what_the_contract_has_stays_and_is_not_proposed_again() -> None:
    own = contract('critical = [{ "a b" = "ordinary" }]')
    text = critical_toml(found(own, ["a b"]), own, most=2)
    again = Contract.from_toml(CONTRACT.format(task="binary") + text).slices.critical
    assert again[0] == {"a b": "ordinary"}
    assert len(again) == 3
    assert "in the contract already" in text
    assert list(again).count({"a b": "ordinary"}) == 1


def test_a_search_without_a_result_proposes_nothing() -> None:
    own = contract()
    frame = find_slices(joined(own), metric="recall", columns=["c"])
    assert critical_slices(frame.filter(pl.col("slice").is_null()), own) == []
