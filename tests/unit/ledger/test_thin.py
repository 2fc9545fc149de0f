"""What a ledger leaves at home: thin slices lose their names and keep their sums; no place of a log travels."""

from dataclasses import replace

import polars as pl
from hypothesis import given, settings
from hypothesis import strategies as st

from fbkit.ledger import columns as c
from fbkit.ledger.build import build
from fbkit.ledger.ledger import Ledger
from fbkit.ledger.thin import portable
from fbkit.measure.metrics import metrics
from fbkit.schema.contract import Contract
from fbkit.testing.frames import FakeJoined, make_joined, random_joined


def of_sizes(sizes: dict[str | None, int], *, minimum: int = 20, second: list[str] | None = None) -> Ledger:
    names = [name for name, n in sizes.items() for _ in range(n)]
    rows = len(names)
    joined = make_joined(
        scores=[(i % 10) / 10 for i in range(rows)],
        labels=[float(i % 2) for i in range(rows)],
        columns={"region": names, "device": second or ["x"] * rows},
    )
    contract = joined.contract.model_copy(
        update={"slices": joined.contract.slices.model_copy(update={"minimum": minimum, "columns": ("region",)})}
    )
    held = FakeJoined(frame=joined.frame, contract=contract, as_of=joined.as_of)
    return build(held, slices=["region", "device"], pairs=[("region", "device")])


def sizes_of(ledger: Ledger, *cut: str) -> dict[object, int]:
    found = ledger.table(*cut).group_by(cut).agg(pl.col("n").sum())
    return {(row[0] if len(cut) == 1 else row[:-1]): row[-1] for row in found.iter_rows()}


def test_two_thin_slices_are_told_together_and_their_names_go() -> None:
    made = portable(of_sizes({"EU": 100, "tiny-1": 15, "tiny-2": 9}))
    assert sizes_of(made.ledger, "region") == {"EU": 100, "(slices of fewer than 20)": 24}
    assert "tiny" not in repr(made.ledger.values)
    assert "2 slices of region" in made.notes[0]


def test_a_single_thin_slice_takes_the_smallest_other_with_it() -> None:
    made = portable(of_sizes({"EU": 100, "UK": 40, "tiny": 19}))
    assert sizes_of(made.ledger, "region") == {"EU": 100, "(slices of fewer than 20)": 59}


def test_two_that_are_too_few_even_together_take_one_more() -> None:
    made = portable(of_sizes({"EU": 100, "UK": 40, "a": 1, None: 2}))
    assert sizes_of(made.ledger, "region") == {"EU": 100, "(slices of fewer than 20)": 43}


def test_a_value_that_bears_the_name_already_stays_apart() -> None:
    made = portable(of_sizes({"EU": 100, "(slices of fewer than 20)": 50, "a": 10, "b": 11}))
    assert sizes_of(made.ledger, "region")["(slices of fewer than 20, 2)"] == 21


def test_without_thin_slices_the_ledger_is_the_same() -> None:
    ledger = of_sizes({"EU": 100, "UK": 40, None: 20})
    made = portable(ledger)
    assert made.ledger == ledger
    assert made.notes == ()


def test_a_crossing_with_a_thin_cell_is_left_out_whole() -> None:
    devices = ["x"] * 50 + ["y"] * 50 + ["x"] * 30 + ["y"] * 10
    made = portable(of_sizes({"EU": 100, "UK": 40}, second=devices))
    assert made.ledger.manifest.pairs == ()
    assert not [cut for _, cut in made.ledger.tables if len(cut) == 2]
    assert "region by device" in made.notes[0]
    fat = portable(of_sizes({"EU": 100, "UK": 40}, second=["x"] * 50 + ["y"] * 50 + ["x"] * 20 + ["y"] * 20))
    assert fat.ledger.manifest.pairs == (("region", "device"),)


@settings(max_examples=40, deadline=None)
@given(
    st.dictionaries(st.sampled_from(["a", "b", "c", "d", None]), st.integers(1, 45), min_size=1, max_size=5),
    st.integers(1, 30),
)
def test_sums_stay_and_no_slice_is_thin_unless_all_rows_are(sizes: dict[str | None, int], minimum: int) -> None:
    ledger = of_sizes(sizes, minimum=minimum)
    made = portable(ledger).ledger
    assert made.tables[c.CELLS, ()].equals(ledger.tables[c.CELLS, ()])
    for (kind, cut), table in made.tables.items():
        before = ledger.tables[kind, cut].select(c.sums_of(kind, extended=False)).sum()
        assert table.select(c.sums_of(kind, extended=False)).sum().equals(before), (kind, cut)
    found = sizes_of(made, "region")
    assert min(found.values()) >= minimum or len(found) == 1
    kept = {name: n for name, n in found.items() if not str(name).startswith("(slices")}
    assert kept.items() <= sizes.items()
    # One slice is never told alone under the other name, unless there is no other.
    assert len(sizes) - len(kept) != 1 or len(sizes) == 1


def test_the_numbers_of_slices_that_stay_are_those_of_the_rows() -> None:
    joined = random_joined(400, seed=4)
    ledger = portable(build(joined, slices=["region", "group"])).ledger
    for by in ("region", "group"):
        mine, rows = (metrics(data, ["recall", "brier"], by=by) for data in (ledger, joined))
        assert mine.select(by, "metric", "n").equals(rows.select(by, "metric", "n"))
        assert (mine["value"] - rows["value"]).abs().max() < 1e-9


def test_personal_columns_go_even_if_somebody_sliced_by_them() -> None:
    ledger = of_sizes({"EU": 100, "UK": 40})
    contract = ledger.contract.model_copy(
        update={"privacy": ledger.contract.privacy.model_copy(update={"personal": ("region",)})}
    )
    made = portable(replace(ledger, manifest=replace(ledger.manifest, contract=contract)))
    assert made.ledger.slices == ("device",)
    assert set(made.ledger.values) == {"device", c.VERSION}
    assert not [cut for _, cut in made.ledger.tables if "region" in cut]
    assert "personal" in made.notes[0]


def test_where_the_logs_lie_does_not_travel() -> None:
    ledger = of_sizes({"EU": 100})
    text = ledger.contract.to_toml()
    for place in ("/home/ann/p.csv", "s3://bucket/p.csv?token=x", "~/p.csv", "C:/p.csv"):
        contract = Contract.from_toml(text.replace('"predictions.csv"', f'"{place}"'))
        made = portable(replace(ledger, manifest=replace(ledger.manifest, contract=contract)))
        assert place not in made.ledger.contract.to_toml()
        assert Contract.from_toml(made.ledger.contract.to_toml()).hash == made.ledger.contract.hash
        assert made.ledger.contract.hash != contract.hash
        assert "predictions" in made.notes[0]
    asked = '[outcomes]\nquery = "select 1"\nconnection_env = "DB"'
    contract = Contract.from_toml(text.replace('[outcomes]\npath = "outcomes.csv"', asked))
    made = portable(replace(ledger, manifest=replace(ledger.manifest, contract=contract)))
    assert "select" not in made.ledger.contract.to_toml()
    assert portable(ledger).ledger.contract.hash == ledger.contract.hash
