import polars as pl
from hypothesis import given, settings
from hypothesis import strategies as st

from fbkit.schema.mask import MASKED, export_frame, export_result


def table(cells: dict[str, tuple[int, int]], *, window: str = "current") -> pl.DataFrame:
    rows = []
    for value, (flagged, rest) in cells.items():
        for part, n in (("flagged", flagged), ("not flagged", rest), ("all", flagged + rest)):
            rows.append(("region", value, window, part, n, n // 2, 0.5, 0.7))
    columns = ["column", "value", "window", "flagged", "n", "n_labelled", "availability", "ratio"]
    return pl.DataFrame(rows, schema=columns, orient="row")


def shown(frame: pl.DataFrame) -> set[tuple[str, str]]:
    return set(frame.filter(pl.col("n").is_not_null()).select("value", "flagged").iter_rows())


def test_a_thin_slice_is_shown_as_fewer_than_the_minimum() -> None:
    out = export_frame(table({"EU": (500, 900), "US": (400, 800), "Malta": (3, 9)}), minimum=20)
    words = out.filter((pl.col("value") == "Malta") & (pl.col("flagged") == "all"))[MASKED]
    assert words.to_list() == ["fewer than 20"]
    thin = out.filter(pl.col("value") == "Malta")
    assert thin.select("n", "n_labelled", "availability", "ratio").null_count().row(0) == (3, 3, 3, 3)


def test_a_total_does_not_give_the_thin_slice_away() -> None:
    out = export_frame(table({"EU": (500, 900), "US": (400, 800), "Malta": (3, 9)}), minimum=20)
    for part in ("flagged", "not flagged", "all"):
        hidden = out.filter((pl.col("flagged") == part) & pl.col("n").is_null())["value"].to_list()
        assert len(hidden) >= 2, part
    assert "hidden beside a thin slice" in out[MASKED].to_list()


def test_enough_rows_stay_as_they_are() -> None:
    frame = table({"EU": (500, 900), "US": (400, 800)})
    out = export_frame(frame, minimum=20)
    assert out.drop(MASKED).equals(frame)


def test_personal_columns_and_slices_by_them_are_dropped() -> None:
    frame = table({"EU": (500, 900), "US": (400, 800)}).with_columns(account_id=pl.lit("a-1"))
    by_person = frame.with_columns(column=pl.lit("account_id"))
    out = export_frame(pl.concat([frame, by_person]), minimum=20, personal=("account_id",))
    assert "account_id" not in out.columns
    assert out["column"].unique().to_list() == ["region"]


def test_frames_without_slices_are_left_alone() -> None:
    frame = pl.DataFrame({"week": [1, 2], "n": [3, 4]})
    assert export_frame(frame, minimum=20).equals(frame)


def test_thin_score_bins_are_masked_too() -> None:
    frame = pl.DataFrame(
        {"score_lower": [0.0, 0.5, 0.9], "score_upper": [0.5, 0.9, 1.0], "window": ["current"] * 3, "n": [900, 300, 4]}
    )
    out = export_frame(frame, minimum=20)
    assert out["n"].null_count() == 2
    assert out["score_lower"].null_count() == 0


COUNTS = st.tuples(st.integers(0, 60), st.integers(0, 60))


@settings(max_examples=60)
@given(st.dictionaries(st.sampled_from("abcdefgh"), COUNTS, min_size=2))
def test_no_masked_cell_is_the_difference_of_shown_ones(cells: dict[str, tuple[int, int]]) -> None:
    out = export_frame(table(cells), minimum=20)
    seen = shown(out)
    thin = set(table(cells).filter(pl.col("n") < 20).select("value", "flagged").iter_rows())
    assert not thin & seen
    lines = [[(value, part) for value in cells] for part in ("flagged", "not flagged", "all")]
    lines += [[(value, part) for part in ("flagged", "not flagged", "all")] for value in cells]
    for line in lines:
        assert sum(cell not in seen for cell in line) != 1


def test_what_people_said_leaves_the_machine_in_no_contract() -> None:
    frame = pl.DataFrame({"fate": ["linked"], "comment": ["my account is 4711"], "rater": ["bob"], "rating": [1.0]})
    assert export_frame(frame, minimum=20).columns == ["fate", "rating"]


def result(**sizes: int) -> pl.DataFrame:
    return pl.DataFrame(
        [
            {"region": None if name == "none" else name, "metric": metric, "value": 0.5, "n": n, "reason": None}
            for name, n in sizes.items()
            for metric in ("recall", "brier")
        ],
        schema_overrides={"region": pl.String, "reason": pl.String},
    )


def said(frame: pl.DataFrame) -> dict[str | None, str | None]:
    return dict(frame.filter(metric="recall").select("region", MASKED).iter_rows())


def test_a_result_by_slice_loses_the_numbers_of_thin_slices_and_of_the_one_beside_a_single_one() -> None:
    masked = export_result(result(EU=100, US=3, none=50), slices=["region"], minimum=20)
    assert said(masked) == {"EU": None, "US": "fewer than 20", None: "hidden beside a thin slice"}
    hidden = masked.filter(pl.col(MASKED).is_not_null())
    assert hidden.height == 4
    assert hidden["value"].null_count() == hidden["n"].null_count() == 4
    assert masked.filter(region="EU")["n"].to_list() == [100, 100]


def test_two_thin_slices_hide_each_other_and_a_slice_alone_has_nobody_beside_it() -> None:
    both = export_result(result(EU=100, US=3, UK=19), slices=["region"], minimum=20)
    assert said(both) == {"EU": None, "US": "fewer than 20", "UK": "fewer than 20"}
    assert said(export_result(result(US=3), slices=["region"], minimum=20)) == {"US": "fewer than 20"}


def test_results_without_slices_or_counts_stay_as_they_are() -> None:
    frame = result(EU=3)
    for same in (frame.drop("region"), frame.drop("n"), frame.with_columns(pl.lit("x").alias(MASKED))):
        assert export_result(same, slices=["region"], minimum=20).equals(same)
    assert said(export_result(result(EU=20, US=20), slices=["region"], minimum=20)) == {"EU": None, "US": None}


@settings(max_examples=60)
@given(
    st.lists(st.integers(0, 60), min_size=1, max_size=6),
    st.integers(0, 30),
)
def test_no_total_gives_a_masked_slice_away(sizes: list[int], minimum: int) -> None:
    frame = pl.DataFrame({"region": [f"r{i}" for i in range(len(sizes))], "n": sizes, "value": [1.0] * len(sizes)})
    masked = export_result(frame, slices=["region"], minimum=minimum)
    assert [n for n in masked["n"] if n is not None and n < minimum] == []
    hidden = masked["n"].null_count()
    assert hidden != 1 or len(sizes) == 1
    assert hidden <= sum(n < minimum for n in sizes) + 1
