import polars as pl
from hypothesis import given, settings
from hypothesis import strategies as st

from fbkit.schema.mask import MASKED, export_frame


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
