"""The benchmark's arithmetic on made-up runs: what counts as right, and what the figures make of it."""

import json
from math import exp, inf, log

import pytest

from benchmarks.triage import incidents, tables
from benchmarks.triage.run import TABLES, plain
from benchmarks.triage.score import KINDS, Case, Run, held, ratio_of, residual, tipping_right
from benchmarks.triage.tables import Share
from fbkit.samples.challenge import VARIANTS
from fbkit.samples.config import WorldConfig
from fbkit.samples.scenarios import SCENARIOS, Scenario

VARIED = (*incidents.ABLATIONS, *incidents.LOOPS, *incidents.METRICS)
CASE = Case(table="causes", scenario="s", seed=1)


def part(cause, value, *, material=True, strength="established"):
    return {"cause": cause, "value": value, "material": material, "strength": strength, "where": "everywhere"}


def said(
    *parts, top=None, verdict="quality", true=(-0.1, -0.15, -0.05), detectable=0.04, observed=(0.8, 0.7), ratio=None
):
    change = observed[1] - observed[0]
    return {
        "verdict": verdict,
        "top_cause": top or (parts[0]["cause"] if parts else "noise"),
        "minimum_detectable_change": detectable,
        "contributions": list(parts),
        "true_change": dict(zip(("value", "lower", "upper"), true, strict=True)),
        "observed": {
            "reference": observed[0], "current": observed[1], "change": change, "lower": -0.14, "upper": -0.06,
        },
        "tipping_ratio": ratio,
    }  # fmt: skip


def told_of(made):
    return {name: result for name, _, result in tables.figures(made)}


def truth(change=-0.1, background=0.0, **causes):
    top = max(causes, key=lambda name: abs(causes[name]), default="noise")
    return {
        "metric": "recall",
        "contributions": [{"cause": name, "value": value} for name, value in causes.items()],
        "background": background,
        "verdict": "quality",
        "top_cause": top,
        "observed": {"reference": 0.8, "current": 0.7, "change": -0.1},
        "true": {"reference": 0.8, "current": 0.8 + change, "change": change},
    }


def test_the_right_cause_is_right_whatever_its_size() -> None:
    run = held(CASE, said(part("concept_drift", -0.1)), truth(concept_drift=-0.1))
    assert (run.top_right, run.family_right, run.covered, run.below) == (True, True, True, False)
    assert run.missed_by == pytest.approx(0.0)
    assert held(CASE, said(part("concept_drift", -0.01)), truth(concept_drift=-0.004)).top_right


@pytest.mark.parametrize(
    ("verdict", "effect", "detectable", "right"),
    [
        ("noise", 0.03, 0.04, True),  # too small to be seen, and the diagnosis says so
        ("undecided", 0.03, 0.04, True),
        ("noise", 0.05, 0.04, False),  # it could have been seen
        ("noise", 0.03, None, False),  # no smallest change was told
        ("mix", 0.03, 0.04, False),  # another cause was claimed
    ],
)
def test_a_missed_cause_is_forgiven_only_below_the_smallest_change_that_was_told(
    verdict, effect, detectable, right
) -> None:
    told = said(part("mix_shift", -0.01), top="mix_shift", verdict=verdict, detectable=detectable)
    run = held(CASE, told, truth(concept_drift=-effect))
    assert run.top_right is right
    assert run.family_right is right


def test_noise_is_right_where_nothing_is_worth_a_claim() -> None:
    small = truth(concept_drift=-0.004)
    assert held(CASE, said(top="noise", verdict="noise", detectable=0.001), small).top_right
    assert not held(CASE, said(top="noise", verdict="noise", detectable=0.001), truth(concept_drift=-0.02)).top_right
    assert held(CASE, said(top="noise", verdict="noise"), truth()).cause == "noise"


def test_of_two_causes_within_a_point_either_is_the_largest() -> None:
    told = said(part("join_break", -0.1))
    assert held(CASE, told, truth(concept_drift=-0.1, join_break=-0.092)).top_right
    assert not held(CASE, told, truth(concept_drift=-0.1, join_break=-0.088)).top_right


def test_a_cause_of_the_same_family_is_half_the_truth() -> None:
    run = held(CASE, said(part("version_regression", -0.1)), truth(concept_drift=-0.1))
    assert (run.top_right, run.family_right) == (False, True)


def test_a_failure_counts_against_everything() -> None:
    run = held(CASE, None, truth(concept_drift=-0.1), error="ValueError: no")
    assert (run.top_right, run.family_right, run.covered, run.missed_by) == (False, False, False, None)
    assert run.attribution == pytest.approx(0.1)
    assert told_of([run])["failed"] == "1"


def test_an_undecided_change_owes_no_interval() -> None:
    open_ = said(part("concept_drift", -0.1), verdict="undecided", true=(None, None, None))
    assert held(CASE, open_, truth(concept_drift=-0.1)).covered is None
    sure = said(part("concept_drift", -0.1), true=(None, None, None))
    assert held(CASE, sure, truth(concept_drift=-0.1)).covered is False


def test_attribution_is_the_sum_of_distances() -> None:
    told = said(part("concept_drift", -0.08), part("mix_shift", -0.03), part("noise", 0.01, material=False))
    run = held(CASE, told, truth(concept_drift=-0.1, join_break=0.02, background=0.004))
    assert run.attribution == pytest.approx(0.02 + 0.03 + 0.02)
    assert run.attribution_with_noise == pytest.approx(0.07 + 0.006)


def test_sums_are_checked_and_a_cause_without_a_value_never_sums() -> None:
    whole = said(part("concept_drift", -0.07), part("noise", -0.03))
    assert residual(whole) == pytest.approx(0.0)
    assert residual(said(part("concept_drift", -0.07))) == pytest.approx(0.03)
    assert residual(said(part("concept_drift", None))) == inf


def test_the_tipping_ratio_is_the_truths_within_what_the_labels_tell() -> None:
    expected = exp(log(0.7 / 0.3) - log(0.8 / 0.2))
    assert ratio_of({"reference": 0.8, "current": 0.7}) == pytest.approx(expected)
    assert ratio_of({"reference": 0.8, "current": 1.0}) is None
    half = 0.04 * 2.576 / 1.96 / 0.21
    for factor, right in ((1.0, True), (exp(0.99 * half), True), (exp(1.01 * half), False), (exp(-1.01 * half), False)):
        assert tipping_right(said(ratio=expected * factor), truth(concept_drift=-0.1)) is right
    assert tipping_right(said(ratio=None), truth()) is False
    assert tipping_right(said(ratio=0.5), truth() | {"metric": "brier"}) is None


def test_an_undecidable_case_is_left_open_or_answered_with_care() -> None:
    true = truth(label_loss_nonrandom=-0.1)
    for verdict, strength, right in (("undecided", "established", True), ("labels", "probable", True),
                                     ("labels", "established", False)):  # fmt: skip
        told = said(part("label_loss_nonrandom", -0.1, strength=strength), verdict=verdict)
        assert held(CASE, told, true).left_open_rightly is right
    told = said(part("concept_drift", -0.1, strength="probable"))
    assert held(CASE, told, true, audited={"top_cause": "label_loss_nonrandom"}).audit_right
    assert not held(CASE, told, true, audited={"top_cause": "noise"}).audit_right
    assert held(CASE, told, true).audit_right is None
    assert not held(CASE, told, true).left_open_rightly


def test_a_masked_drop_is_found_with_its_sign() -> None:
    true = truth(concept_drift=-0.1, label_slice_loss=0.12)
    good = said(part("label_slice_loss", 0.12), part("concept_drift", -0.09))
    assert held(CASE, good, true).masked_found
    assert not held(CASE, said(part("label_slice_loss", 0.12), part("concept_drift", 0.09)), true).masked_found
    assert not held(CASE, said(part("concept_drift", -0.09, material=False)), true).masked_found


def test_compounds_are_counted_by_cause() -> None:
    true = truth(concept_drift=-0.1, join_break=0.02, mix_shift=0.004)
    run = held(CASE, said(part("concept_drift", -0.1), part("mix_shift", 0.02)), true)
    assert set(run.material) == {"concept_drift", "join_break"}
    assert tables.claims([run, run]) == (Share(2, 4), Share(2, 4))


def test_what_is_material_follows_the_metric() -> None:
    small = truth(concept_drift=0.004)
    assert held(CASE, said(), small).material == ()
    assert held(Case(table="t", scenario="s", seed=1, metric="brier"), said(), small).material == ("concept_drift",)


def runs(kind, right, wrong, *, severity="severe") -> list[Run]:
    case = Case(table="t", scenario=kind, seed=1, kind=kind, severity=severity)
    true = truth(concept_drift=-0.1)
    good, bad = said(part("concept_drift", -0.1)), said(part("mix_shift", -0.1), verdict="mix")
    return [held(case, told, true) for told, times in ((good, right), (bad, wrong)) for _ in range(times)]


def test_figures_count_the_kinds_that_they_are_promised_for() -> None:
    made = told_of(runs("single", 19, 1) + runs("challenge", 3, 1))
    assert made["top cause right"].startswith("0.950 (19 of 20; 0.76 to 0.99)")
    assert made["mini challenge"].startswith("0.750 (3 of 4")
    assert made["false verdict on no-change weeks"] == tables.NONE
    assert made["mean absolute error of the true change"] == "0.0000"
    quiet = Case(table="t", scenario="h", seed=1, kind="healthy")
    healthy = [held(quiet, said(top="noise", verdict=v), truth()) for v in ("noise", "noise", "undecided", "quality")]
    made = told_of(healthy)
    assert made["false verdict on no-change weeks"].startswith("0.500 (2 of 4")


def test_mild_masked_drops_are_not_promised() -> None:
    made = told_of(runs("masked", 0, 3, severity="mild"))
    assert made["masked drops found"] == tables.NONE


def test_tables_are_text_and_markdown() -> None:
    made = runs("single", 2, 1)
    text, page = (tables.report({"causes": made}, as_markdown=flag) for flag in (False, True))
    assert "== causes (3 incidents)" in text
    assert "| single | 2/3 | 2/3 | 0.67 / 0.67 | 2/2 |" in page
    assert "mix_shift 1" in text
    assert tables.markdown(("a",), [("x|y",)]).splitlines()[-1] == "| x\\|y |"
    assert [line[0] for line in tables.by_cause(made)] == ["concept_drift severe"]


@pytest.mark.parametrize(
    ("cause", "where", "fault", "right"),
    [
        ("concept_drift", "everywhere", {}, True),
        ("concept_drift", "region=EU", {}, False),
        ("concept_drift", "region=EU", {"where": {"region": ["EU"]}}, True),
        ("concept_drift", "region=EU and region=US", {"where": {"region": ["EU"]}}, False),
        ("label_slice_loss", "region=US and region=EU, flagged rows",
         {"where": {"region": ["EU", "US"], "decision": ["flagged"]}}, True),
        ("label_slice_loss", "flagged rows", {"where": {"region": ["EU"], "decision": ["flagged"]}}, False),
        ("mix_shift", "customer=new", {"where": {"customer": ["new"]}}, True),
        ("mix_shift", "customer=new", {}, True),
        ("serving_fallback", "score=0.5, 2026-09-30 to 2026-10-01", {"start_day": 2, "end_day": 4}, True),
        ("serving_fallback", "score=0.5", {"start_day": 2, "end_day": 4}, False),
    ],
)  # fmt: skip
def test_a_place_is_right_if_it_is_the_faults(cause, where, fault, right) -> None:
    told = said(part(cause, -0.1) | {"where": where})
    true = truth(**{cause: -0.1})
    true["contributions"][0]["faults"] = [fault]
    assert held(CASE, told, true).placed is right


def test_places_of_wrong_causes_are_not_judged() -> None:
    assert held(CASE, said(part("mix_shift", -0.1)), truth(concept_drift=-0.1)).placed is None
    assert held(CASE, said(part("mix_shift", -0.1, material=False)), truth(mix_shift=-0.1)).placed is None


def test_the_worst_cover_names_its_cause() -> None:
    wide = held(CASE, said(part("mix_shift", -0.1)), truth(mix_shift=-0.1))
    narrow = held(CASE, said(part("concept_drift", -0.1), true=(-0.3, -0.31, -0.29)), truth(concept_drift=-0.1))
    assert tables.worst_cover([wide, narrow, wide]).startswith("concept_drift: 0.000 (0 of 1")


def test_seeds_are_nobodys_choice() -> None:
    first, again = (incidents.seeds_for("causes", count=5, commit="abc") for _ in range(2))
    assert first == again
    assert len(set(first)) == 5
    assert first != incidents.seeds_for("healthy", count=5, commit="abc")
    assert first != incidents.seeds_for("causes", count=5, commit="abd")
    assert incidents.seeds_for("causes", count=3, commit=None) == [1, 2, 3]
    table = incidents.catalogue()["causes"]
    spread = incidents.numbered("causes", table, count=2, commit="abc")
    assert len({seed for mine in spread for seed in mine}) == 2 * len(table)


@pytest.mark.parametrize("lacks", [(), *incidents.ABLATIONS.values()])
def test_what_is_left_of_an_ablation_still_joins(lacks) -> None:
    config = WorldConfig(per_day=30, reference_weeks=2, actions=True)
    scenario = Scenario(name="s", kind="ablation", config=config, faults=(), lacks=lacks)
    joined = incidents.joined_of(incidents.counted(scenario).simulated(4))
    assert joined.frame["label"].count() > 300
    assert (not joined.contract.features.columns) is (lacks == ("features",))
    assert (joined.contract.actions is None) is (lacks == ("actions",))


def test_two_answers_are_compared_without_their_seconds() -> None:
    one, other = (json.dumps({"a": 1, "seconds": n, "checks": [{"seconds": n, "x": 2}]}) for n in (1, 2))
    assert plain(one) == plain(other)
    assert plain(one) != plain(other.replace('"x": 2', '"x": 3'))


def test_every_scenario_of_the_catalogue_stands_in_one_table() -> None:
    known = incidents.catalogue()
    names = [i.name for table in known if table not in VARIED for i in known[table]]
    assert sorted(names) == sorted([*SCENARIOS, *VARIANTS])
    assert {*TABLES, *VARIED} <= set(known)
    assert {i.kind for table in known.values() for i in table} <= set(KINDS)
    assert {i.metric for i in known["brier"]} == {"brier"}
    assert all("actions" in i.scenario.lacks for i in known["no actions"])
    assert all(i.kind == "healthy" for table in known.values() for i in table if not i.scenario.faults)
    assert {i.scenario.task for i in known["regression"]} == {"regression"}
