"""Numbers of a narrowed view are those of the rows it names, from rows and from ledgers, now and as known earlier."""

import polars as pl
import pytest

import fbkit as fb
from fbkit.errors import ArgumentError
from fbkit.explorers.source import Source, only_slice, only_version
from fbkit.schema.period import Period, parse_instant
from fbkit.testing.frames import make_joined

LOOP = fb.samples.path("recall_drop") / "variant_b"
NUMBERS = ["value", "lower", "upper", "n", "n_labelled"]


@pytest.fixture(scope="module")
def loop() -> fb.Loop:
    return fb.open_loop(LOOP)


@pytest.fixture(scope="module")
def joined(loop: fb.Loop) -> fb.Joined:
    return loop.join()


@pytest.fixture(scope="module")
def source(joined: fb.Joined) -> Source:
    return Source.of(joined)


def test_it_knows_the_columns_versions_and_changes_of_its_loop(source: Source, joined: fb.Joined) -> None:
    assert source.slices == ["region", "device", "customer"]
    assert set(source.versions) == set(joined.frame["model_version"].unique())
    assert source.changes is not None
    assert source.changes.height == joined.changes.height
    assert Source.of(source) is source
    with pytest.raises(ArgumentError):
        Source.of("a path")


def test_the_view_to_start_with_is_that_of_triage(source: Source, joined: fb.Joined) -> None:
    view = source.view()
    assert (view.reference, view.current) == joined.compare().periods()
    assert (view.metric, view.by, view.as_of) == ("recall", "region", joined.as_of)


@pytest.mark.parametrize("focus", [{}, {"region": "EU"}, {"region": "EU", "device": "web"}, {"device": None}])
@pytest.mark.parametrize("version", [None, "7.3"])
def test_a_narrowed_subject_counts_exactly_the_rows_of_its_filters(
    source: Source, joined: fb.Joined, focus: dict[str, str | None], version: str | None
) -> None:
    view = source.view().but(focus=focus, version=version)
    subject = source.subject(view, by="customer")
    assert subject.note == ""
    ours = fb.metrics(subject.data, ["recall", "brier"], by="customer", period=view.current, **subject.options)
    theirs = fb.metrics(joined.only(focus, version=version), ["recall", "brier"], by="customer", period=view.current)
    assert ours.height == theirs.height
    for name in ("value", "n", "n_labelled"):
        assert ours[name].to_list() == pytest.approx(theirs[name].to_list(), abs=1e-9), name


def test_an_earlier_time_is_what_joining_then_says(source: Source, loop: fb.Loop) -> None:
    moment = source.moments()[-9]
    view = source.view().but(as_of=moment, focus={"region": "EU"})
    subject = source.subject(view)
    assert subject.options == {"as_of": moment}
    ours = fb.availability(subject.data, every="1w", **subject.options)
    theirs = fb.availability(loop.join(as_of=moment).only({"region": "EU"}), every="1w")
    assert ours["n"].to_list() == theirs["n"].to_list()
    # One label that was known then has been withdrawn since: a ledger knows what stands today.
    assert (ours["n_labelled"] - theirs["n_labelled"]).abs().to_list() == [0, 0, 0, 0, 1]


def test_moments_are_midnights_from_the_second_day_to_the_newest_time(source: Source, joined: fb.Joined) -> None:
    moments = source.moments()
    assert moments[-1] == joined.as_of
    assert moments == sorted(set(moments))
    assert all((moment.hour, moment.minute) == (0, 0) for moment in moments[:-1])
    assert [moment > joined.frame["ts_pred"][0] for moment in moments[:1]] == [True]
    assert Source.of(joined.ledger()).moments() == moments


def test_what_cannot_be_counted_is_measured_from_rows() -> None:
    joined = make_joined(scores=[3.0, 20.0, 7.0], labels=[2.0, 21.0, None], task="regression")
    source = Source.of(joined)
    assert not source.counts
    assert source.moments() == [joined.as_of]
    week = Period.parse("2026-03-02..2026-06-01")
    view = source.view(fb.Comparison(reference="2026-01-05..2026-01-12", current=week), metric="mae")
    found = fb.metrics(source.subject(view).data, "mae", period=week)
    assert found["value"].item() == pytest.approx(1.0)
    moved = source.subject(view.but(as_of=parse_instant("2026-04-01")))
    assert "newest time" in moved.note


def test_periods_of_parts_of_days_are_measured_from_rows(source: Source, joined: fb.Joined) -> None:
    period = Period.parse("2026-09-14T06:00:00Z..2026-09-15")
    view = source.view().but(current=period)
    found = fb.metrics(source.subject(view).data, "recall", period=period)
    assert found["n"].item() == fb.metrics(joined, "recall", period=period)["n"].item()
    alone = Source.of(joined.ledger())
    with pytest.raises(ArgumentError, match="holds no rows"):
        alone.subject(view)


def test_a_ledger_alone_is_narrowed_by_version_always_and_by_slice_in_its_counts(joined: fb.Joined) -> None:
    ledger = joined.ledger(entities=False)
    source = Source.of(ledger)
    assert source.rows(source.view()) is None
    view = source.view().but(version="7.3")
    ours = fb.metrics(source.subject(view).data, ["recall", "roc_auc"], every="1w")
    theirs = fb.metrics(
        joined.only(version="7.3").ledger(edges=ledger.edges, entities=False), ["recall", "roc_auc"], every="1w"
    )
    assert ours.select(NUMBERS).equals(theirs.select(NUMBERS))
    view = source.view().but(focus={"region": "EU"})
    counted = source.subject(view, bins=False)
    assert counted.note == ""
    found = fb.metrics(counted.data, ["recall", "brier"], every="1d").select(NUMBERS)
    rows = fb.metrics(joined.only({"region": "EU"}).ledger(entities=False), ["recall", "brier"], every="1d").select(
        NUMBERS
    )
    for name in NUMBERS:
        assert found[name].to_list() == pytest.approx(rows[name].to_list(), abs=1e-12, nan_ok=True), name
    assert "score bins" in source.subject(view).note
    assert "device" in source.subject(view, by="device", bins=False).note
    assert "two columns" in source.subject(view.but(focus={"region": "EU", "device": "web"}), bins=False).note


def test_parts_of_a_ledger_add_up_to_it(joined: fb.Joined) -> None:
    ledger = joined.ledger(entities=False)
    versions = [only_version(ledger, version) for version in joined.frame["model_version"].unique()]
    assert sum(part.rows for part in versions) == ledger.rows
    regions = joined.frame["region"].unique().to_list()
    assert sum(only_slice(ledger, "region", region).rows for region in regions) == ledger.rows
    with pytest.raises(ArgumentError, match="not sliced"):
        only_slice(ledger, "colour", "red")


def test_what_is_asked_again_is_not_made_again_and_little_is_kept(source: Source) -> None:
    view = source.view()
    assert source.subject(view).data is source.subject(view).data
    kept = [source.subject(view.but(focus={"region": region})).data for region in ("EU", "US", "APAC")]
    assert source.subject(view.but(focus={"region": "APAC"})).data is kept[-1]
    for region in pl.Series(range(12)).cast(pl.String):
        source.subject(view.but(focus={"region": region}))
    assert len(source._made) <= 8  # pyright: ignore[reportPrivateUsage]
