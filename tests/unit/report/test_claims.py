"""Every number of every sentence is bound to a cell, and to the right one."""

import json
from collections.abc import Iterator

import numpy as np
import polars as pl
import pytest

import fbkit as fb
from fbkit.diagnose.onset import onset
from fbkit.report import facts
from fbkit.report.card import card_text
from fbkit.report.cells import Cell, Cells, value_at
from fbkit.report.claims import SCHEMA, bind, claims, names_of, said, topic
from fbkit.report.formats import FORMATS, KINDS, ways, written
from fbkit.report.tokens import blanked, tokens
from fbkit.samples.faults import JoinBreak, LabelLossNonrandom, MixShift, ThresholdChange, VersionRegression
from fbkit.samples.revenue import revenue
from fbkit.samples.simulate import WorldConfig, simulate
from fbkit.session import Diagnosis

STORM = fb.Comparison(reference="2013-05-20..2013-05-27", current="2013-05-27..2013-06-03")
YOUNG = fb.Comparison(reference="2026-08-31..2026-09-28", current="2026-09-28..2026-10-05")


def _diagnoses() -> Iterator[tuple[str, Diagnosis]]:
    for letter in "abc":
        joined = fb.open_loop(fb.samples.path("recall_drop") / f"variant_{letter}").join()
        yield f"variant {letter}", fb.triage(joined, draws=20)
        for metric in ("brier",) if letter == "a" else ():
            yield f"variant {letter}, {metric}", fb.triage(joined, draws=20, metric=metric)
    own = fb.Metric(name="loss_24h", needs="rows", fn=(pl.col("score") - pl.col("label")) ** 2, better="lower")
    yield "own metric", fb.triage(joined, draws=20, metric=own)
    early = fb.open_loop(fb.samples.path("recall_drop") / "variant_a").join(as_of="2026-10-08")
    yield "young labels", fb.triage(early, YOUNG, draws=20)
    flights = fb.open_loop(fb.samples.path("flights_2013")).join()
    yield "flights", fb.triage(flights, STORM, draws=20)


@pytest.fixture(scope="module")
def diagnoses(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Diagnosis]:
    found = dict(_diagnoses())
    config = WorldConfig(reference_weeks=4, per_day=1500)
    worlds = {
        "threshold": ThresholdChange(severity=0.5),
        "lost by outcome": LabelLossNonrandom(severity=0.5, where={"decision": "flagged"}),
        "join break": JoinBreak(severity=0.5),
        "a new version": VersionRegression(severity=2.5, share=0.4),
        "mix": MixShift(severity=0.6, where={"region": "EU"}),
    }
    for name, fault in worlds.items():
        folder = simulate(config, [fault], seed=3).write(tmp_path_factory.mktemp("world"))
        found[name] = fb.triage(fb.open_loop(folder).join(), draws=40)
    folder = revenue(seed=1).write(tmp_path_factory.mktemp("revenue"))
    found["regression"] = fb.triage(fb.open_loop(folder).join(), draws=20)
    return found


def _document(diagnosis: Diagnosis):
    frames = {**diagnosis.evidence, **onset(diagnosis.joined, diagnosis)}
    return facts.document(diagnosis, diagnosis.joined.contract, frames=frames)


def _claims(diagnosis: Diagnosis) -> pl.DataFrame:
    return claims(diagnosis, _document(diagnosis), contract=diagnosis.joined.contract)


def test_every_number_of_every_sentence_is_bound(diagnoses: dict[str, Diagnosis]) -> None:
    assert {"both", "labels", "quality", "undecided", "mix", "policy"} <= {item.verdict for item in diagnoses.values()}
    for name, diagnosis in diagnoses.items():
        found = _claims(diagnosis)
        assert found.schema == pl.Schema(SCHEMA)
        loose = found.filter(pl.col("frame").is_null()).select("key", "number", "sentence").rows()
        assert (name, loose) == (name, [])
        assert found.height > 40


def test_no_digit_of_a_sentence_is_left_out(diagnoses: dict[str, Diagnosis]) -> None:
    for diagnosis in diagnoses.values():
        found = _claims(diagnosis)
        names = names_of(diagnosis, diagnosis.joined.contract)
        for key, text in said(diagnosis, _document(diagnosis)):
            covered: set[int] = set()
            for number, start in found.filter(sentence=text).select("number", "position").iter_rows():
                assert text[start:].startswith(number.removesuffix(" %")), key
                covered |= set(range(start, start + len(number)))
            left = [sign for i, sign in enumerate(blanked(text, names=names)) if sign.isdigit() and i not in covered]
            assert (key, text, left) == (key, text, [])


def test_a_bound_number_is_its_cell_written_again(diagnoses: dict[str, Diagnosis]) -> None:
    for diagnosis in diagnoses.values():
        for claim in _claims(diagnosis).iter_rows(named=True):
            row = json.loads(claim["row"])
            value = value_at(diagnosis.evidence[claim["frame"]], row, claim["column"])
            assert value == claim["value"]
            assert written(value, claim["format"], metric=diagnosis.metric) == claim["number"]


def test_the_same_sentence_is_bound_to_the_same_cells_whatever_the_numbers(diagnoses: dict[str, Diagnosis]) -> None:
    """A number that is bound by accident to a cell of equal digits goes astray as soon as the digits differ."""
    other = {
        name: fb.triage(item.joined, fb.Comparison(reference=item.reference, current=item.current), draws=25, seed=7)
        for name, item in diagnoses.items()
        if name in ("variant a", "variant b", "variant c", "flights", "threshold")
    }
    compared = 0
    for name, again in other.items():
        pairs = [_by_words(_claims(item)) for item in (diagnoses[name], again)]
        for words in pairs[0].keys() & pairs[1].keys():
            assert pairs[0][words] == pairs[1][words], words
            compared += 1
    assert compared > 60


def _by_words(found: pl.DataFrame) -> dict[tuple[str, str], list[tuple[str, str, str]]]:
    """The cells of each sentence, by its key and the words between its numbers."""
    made: dict[tuple[str, str], list[tuple[str, str, str]]] = {}
    for (key, text), part in found.group_by("key", "sentence", maintain_order=True):
        words = str(text)
        for number in part.sort("position", descending=True).iter_rows(named=True):
            end = number["position"] + len(number["number"])
            words = f"{words[: number['position']]}#{words[end:]}"
        made[str(key), words] = part.select("frame", "row", "column").rows()
    return made


def test_no_sentence_of_the_machine_needs_a_cell_that_it_does_not_speak_of(diagnoses: dict[str, Diagnosis]) -> None:
    for name, diagnosis in diagnoses.items():
        cells, names = Cells.of(diagnosis), names_of(diagnosis, diagnosis.joined.contract)
        for key, text in said(diagnosis, _document(diagnosis)):
            found = tokens(text, names=names)
            bound = bind(found, topic(cells, key), metric=diagnosis.metric)
            assert (name, text, None in bound) == (name, text, False)


def test_every_number_of_the_card_is_among_the_claims(diagnoses: dict[str, Diagnosis]) -> None:
    for diagnosis in diagnoses.values():
        known = {number.removesuffix(" %") for number in _claims(diagnosis)["number"]}
        lines = " ".join(card_text(diagnosis).split())
        said_ = [token.text for token in tokens(lines, names=names_of(diagnosis, diagnosis.joined.contract))]
        assert [number for number in said_ if number not in known and not number.isdigit()] == []


def test_a_slice_whose_name_is_a_number_is_no_claim(diagnoses: dict[str, Diagnosis]) -> None:
    from dataclasses import replace

    part = replace(diagnoses["variant b"].contributions[0], where="store=12 and store=14, flagged rows")
    named = replace(diagnoses["variant b"], contributions=(part,), do_now=(f"Mend the label feed: {part.where}.",))
    assert claims(named).filter(pl.col("number").is_in(["12", "14"])).is_empty()


CELLS = [
    Cell(frame="ladder", row={"cause": cause}, column=column, kind="change", value=value)
    for cause, column, value in (("a", "value", -0.064), ("a", "lower", -0.09), ("b", "value", -0.064))
]


def test_cells_that_are_written_alike_are_told_by_their_order() -> None:
    bound = bind(tokens("-6.4 from a, -6.4 from b"), CELLS, metric="recall")
    assert [pair[0].row["cause"] for pair in bound if pair] == ["a", "b"]
    assert [pair[1] for pair in bound if pair] == ["signed change", "signed change"]
    with_bound = bind(tokens("-6.4 [-9.0, 1] from a, 6.4 points from b"), CELLS, metric="recall")
    assert [None if pair is None else pair[0].row["cause"] for pair in with_bound] == ["a", "a", None, "b"]


def test_a_percent_is_no_count_and_a_count_no_percent() -> None:
    cells = [
        Cell(frame="f", column="share", kind="share", value=0.5),
        Cell(frame="f", column="n", kind="count", value=50.0),
    ]
    bound = bind(tokens("50.0 % of them, and 50 of them, and 50 %"), cells, metric="recall")
    assert [None if pair is None else pair[0].column for pair in bound] == ["share", "n", "share"]


@pytest.mark.parametrize("kind", KINDS)
def test_every_way_of_writing_can_be_written_again(kind: str) -> None:
    for value in np.random.default_rng(1).normal(0, 0.4, 40):
        for metric in ("recall", "brier", "mae", "own"):
            for text, how in ways(float(value), kind, metric=metric).items():
                assert how in FORMATS
                assert written(float(value), how, metric=metric) == text


def test_what_has_no_value_is_written_in_no_way() -> None:
    assert ways(None, "change", metric="recall") == {}
    assert ways(float("nan"), "level", metric="recall") == {}
    assert written(0.5, "a format of tomorrow", metric="recall") is None


def test_a_diagnosis_without_frames_binds_nothing_and_says_so(make) -> None:
    found = claims(make.diagnosis(evidence={}))
    assert found.height
    assert found["frame"].null_count() == found.height


@pytest.mark.parametrize(
    ("frame", "row", "column", "value"),
    [
        (pl.DataFrame({"a": ["x", "y"], "n": [1, 2]}), {"a": "y"}, "n", 2.0),
        (pl.DataFrame({"a": ["x", "x"], "n": [1, 2]}), {"a": "x"}, "n", None),
        (pl.DataFrame({"a": ["x", "y"], "n": [1, 2]}), {}, "n", None),
        (pl.DataFrame({"n": ["1.5"]}), {}, "n", 1.5),
        (pl.DataFrame({"n": ["x"]}), {}, "n", None),
        (pl.DataFrame({"n": [True]}), {}, "n", None),
        (pl.DataFrame({"n": [float("inf")]}), {}, "n", None),
        (pl.DataFrame({"n": [1]}), {"gone": "x"}, "n", None),
        (pl.DataFrame({"n": [1]}), {}, "gone", None),
        (None, {}, "n", None),
    ],
)
def test_a_cell_is_found_in_one_row_or_not_at_all(frame, row, column, value) -> None:
    assert value_at(frame, row, column) == value


def test_labels_of_two_definitions_are_counted_in_cells(variant_b: fb.Loop) -> None:
    from fbkit.schema.contract import Contract

    folder = fb.samples.path("recall_drop") / "variant_b"
    facts = variant_b.contract.model_dump(mode="json", exclude_defaults=True)
    contract = Contract.from_dict({**facts, "label": {**facts["label"], "version": "2"}})
    outcomes = pl.read_parquet(folder / "outcomes/*.parquet")
    stated = pl.int_range(pl.len()) % 10
    mixed = outcomes.with_columns(
        label_version=pl.when(stated < 6).then(pl.lit("2")).when(stated < 9).then(pl.lit("1"))
    )
    diagnosis = fb.triage(fb.open_loop(folder, contract=contract, outcomes=mixed).join(), draws=0)
    said_ = [text for text in diagnosis.warnings if "version" in text]
    assert len(said_) == 3
    bound = claims(diagnosis, contract=contract).filter(pl.col("sentence").is_in(said_))
    assert bound["frame"].unique().to_list() == ["label_definitions"]
    assert [json.loads(row)["about"] for row in bound["row"]] == [
        "other definition",
        "labelled",
        "version 1",
        "not stated",
        "labelled",
        "set aside",
    ]


def test_a_personal_feature_is_neither_named_nor_missed(tmp_path) -> None:
    from fbkit.report.bundle import Bundle
    from fbkit.report.verify import holds, verify
    from fbkit.schema.contract import Contract

    folder = fb.samples.path("flights_2013")
    facts_ = fb.open_loop(folder).contract.model_dump(mode="json", exclude_defaults=True)
    contract = Contract.from_dict({**facts_, "privacy": {"personal": ["pressure"]}})
    diagnosis = fb.triage(fb.open_loop(folder, contract=contract).join(), STORM, draws=20)
    assert "pressure" in diagnosis.evidence["features_moved"]["column"].to_list()
    assert not any("pressure" in text for _, text in said(diagnosis, _document(diagnosis)))
    bundle = Bundle.open(diagnosis.incident(tmp_path / "incident"))
    assert holds(verify(bundle))
    assert b"pressure" not in bundle.need("incident.md")
