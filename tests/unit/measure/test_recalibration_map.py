"""Maps against scikit-learn; as Polars, DuckDB and SQLite compute them; and files that are none."""

import json
import sqlite3
from collections.abc import Callable
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from fbkit.errors import ArgumentError, InputError, OutputError
from fbkit.measure.recalibration_map import RecalibrationMap, fit_isotonic, fit_platt

HOSTILE = 'sc"ore; drop table t --'


def sample(n: int = 3000, seed: int = 0, digits: int = 3) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    scores = np.round(rng.random(n), digits)
    return scores, (rng.random(n) < scores**1.8).astype(float)


def isotonic_map(**given: object) -> RecalibrationMap:
    return RecalibrationMap(method="isotonic", knots=fit_isotonic(*sample()), **given)  # pyright: ignore[reportArgumentType]


def platt_map() -> RecalibrationMap:
    line = fit_platt(*sample())
    return RecalibrationMap(method="platt", slope=line.slope, intercept=line.intercept)


MAPS: list[Callable[[], RecalibrationMap]] = [
    isotonic_map,
    platt_map,
    lambda: RecalibrationMap(method="isotonic", knots=((0.4, 0.3),)),
    lambda: RecalibrationMap(method="isotonic", knots=((0.0, 0.0), (1e-9, 1e-12), (1.0, 1.0))),
]
AT = np.concatenate([np.linspace(0, 1, 501), sample()[0][:200], [-0.5, 1.5, 1e-9, 1 - 1e-12]])


@pytest.mark.parametrize("weighted", [False, True])
def test_isotonic_equals_sklearn_between_the_knots_and_beyond(weighted: bool) -> None:
    from sklearn.isotonic import IsotonicRegression

    scores, labels = sample()
    weights = np.random.default_rng(1).integers(1, 5, len(scores)).astype(float) if weighted else None
    made = RecalibrationMap(method="isotonic", knots=fit_isotonic(scores, labels, weights=weights))
    other = IsotonicRegression(out_of_bounds="clip").fit(scores, labels, sample_weight=weights)
    np.testing.assert_allclose(made.apply(AT), other.predict(AT), rtol=0, atol=1e-12)
    assert (np.diff(made.apply(np.sort(AT))) >= 0).all()


def test_platt_equals_logistic_regression_on_the_log_odds() -> None:
    from sklearn.linear_model import LogisticRegression

    rng = np.random.default_rng(2)
    scores = rng.uniform(0.01, 0.99, 2000)
    labels = (rng.random(2000) < scores**1.8).astype(float)
    line = fit_platt(scores, labels)
    odds = np.log(scores / (1 - scores))[:, None]
    other = LogisticRegression(C=np.inf, tol=1e-12, max_iter=5000).fit(odds, labels)
    assert [line.slope, line.intercept] == pytest.approx([other.coef_[0, 0], other.intercept_[0]], rel=1e-4)
    made = RecalibrationMap(method="platt", slope=line.slope, intercept=line.intercept)
    np.testing.assert_allclose(made.apply(scores), other.predict_proba(odds)[:, 1], atol=1e-5)


@pytest.mark.parametrize("make", MAPS)
@pytest.mark.parametrize("column", ["score", HOSTILE])
def test_expression_duckdb_and_sqlite_agree(make: Callable[[], RecalibrationMap], column: str) -> None:
    import duckdb

    made = make()
    expected = made.apply(AT)
    frame = pl.DataFrame({column: pl.Series([*AT.tolist(), None], dtype=pl.Float64)})
    shown = frame.select(made.to_expr(column)).to_series()
    np.testing.assert_allclose(shown[:-1].to_numpy(), expected, rtol=0, atol=1e-12)
    database = sqlite3.connect(":memory:")
    quoted = column.replace('"', '""')
    database.execute(f'create table t ("{quoted}" double, row integer)')
    database.executemany("insert into t values (?, ?)", [(value, row) for row, value in enumerate(frame[column])])
    by_sqlite = [value for (value,) in database.execute(f"select {made.to_sql(column)} from t order by row")]
    with duckdb.connect() as other:
        other.register("t", frame.with_row_index("row").to_arrow())
        by_duckdb = [
            value for (value,) in other.execute(f"select {made.to_sql(column)} from t order by row").fetchall()
        ]
    for found in (by_sqlite, by_duckdb):
        np.testing.assert_allclose(np.array(found[:-1], dtype=float), expected, rtol=0, atol=1e-12)
    assert (shown[-1], by_sqlite[-1], by_duckdb[-1]) == (None, None, None)
    database.close()


@pytest.mark.parametrize("make", MAPS)
def test_the_expression_is_lazy_and_takes_empty_and_undefined_scores(make: Callable[[], RecalibrationMap]) -> None:
    frame = pl.DataFrame({"score": [0.1, None, float("nan"), 0.7]})
    expected = frame.select(make().to_expr())
    assert frame.lazy().select(make().to_expr()).collect(engine="streaming").equals(expected)
    assert expected["score"].null_count() == 2
    assert frame.clear().select(make().to_expr()).height == 0
    assert frame.clear().with_columns(make().to_expr().alias("q")).schema["q"] == pl.Float64


@pytest.mark.parametrize("make", MAPS)
def test_a_saved_map_is_the_same_map(make: Callable[[], RecalibrationMap], tmp_path: Path) -> None:
    made = make()
    assert RecalibrationMap.open(made.save(tmp_path / "deep" / "map.json")) == made
    assert [path.name for path in (tmp_path / "deep").iterdir()] == ["map.json"]


def test_the_file_says_what_the_map_rests_on(tmp_path: Path) -> None:
    made = isotonic_map(fit_period="2026-01-01..2026-02-01", n_labelled=3000, stage="final", contract="c" * 64)
    said = json.loads(made.save(tmp_path / "map.json").read_text())
    assert (said["format"], said["method"], said["fit_period"]) == (1, "isotonic", "2026-01-01..2026-02-01")
    assert (said["n_labelled"], said["stage"], said["contract"]) == (3000, "final", "c" * 64)


def broken(**change: object) -> str:
    return json.dumps(json.loads(isotonic_map().to_json()) | change)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "{",
        "[]",
        "null",
        '"fbkit recalibration map"',
        "[" * 100_000,
        isotonic_map().to_json()[:-40],
        broken(kind="something else"),
        broken(method="pickle"),
        broken(extra=1),
        broken(knots=[]),
        broken(knots=None),
        broken(knots=[[0.1, 0.2], [0.1, 0.3]]),
        broken(knots=[[0.1, 0.4], [0.2, 0.3]]),
        broken(knots=[[0.1, 0.4], [0.2, 1.3]]),
        broken(knots=[[0.1, 0.4, 0.5]]),
        broken(knots=[["0.1", 0.4]]),
        broken(knots=[[True, 0.4]]),
        broken(knots=[0.1, 0.4]),
        broken(n_labelled=-1),
        broken(n_labelled=True),
        broken(contract=3),
        broken().replace("[[", "[[NaN, 0.0], [", 1),
        broken().replace("[[", "[[-Infinity, 0.0], [", 1),
        json.dumps(json.loads(platt_map().to_json()) | {"slope": -1.0}),
        json.dumps(json.loads(platt_map().to_json()) | {"clip": 0.7}),
        json.dumps(json.loads(platt_map().to_json()) | {"slope": "1"}),
        json.dumps(json.loads(platt_map().to_json())).replace('"slope": ', '"slope": 1e999, "was": '),
    ],
)
def test_what_is_no_map_is_refused_in_words(text: str, tmp_path: Path) -> None:
    (tmp_path / "map.json").write_text(text)
    with pytest.raises(InputError) as told:
        RecalibrationMap.open(tmp_path / "map.json")
    assert told.value.got
    assert told.value.allowed
    assert told.value.next_step


def test_a_newer_format_a_missing_file_and_bytes_are_told(tmp_path: Path) -> None:
    (tmp_path / "new.json").write_text(broken(format=2))
    with pytest.raises(InputError, match="cannot read"):
        RecalibrationMap.open(tmp_path / "new.json")
    with pytest.raises(InputError, match="No such file"):
        RecalibrationMap.open(tmp_path / "none.json")
    (tmp_path / "bytes.json").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(InputError, match="not UTF-8"):
        RecalibrationMap.open(tmp_path / "bytes.json")
    with pytest.raises(InputError):
        RecalibrationMap.open(tmp_path)


def test_a_map_that_cannot_be_written_leaves_the_old_one(tmp_path: Path) -> None:
    target = tmp_path / "file" / "map.json"
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(OutputError, match="could not write"):
        isotonic_map().save(target)
    assert (tmp_path / "file").read_text() == "in the way"


def test_a_line_that_does_not_rise_is_refused() -> None:
    scores, labels = sample()
    with pytest.raises(ArgumentError, match="no rising line") as told:
        fit_platt(scores, 1 - labels)
    assert "slope -" in str(told.value)
    with pytest.raises(ArgumentError, match="separates in full"):
        fit_platt(np.array([0.1, 0.2, 0.8, 0.9]), np.array([0.0, 0.0, 1.0, 1.0]))


@pytest.mark.parametrize("column", ["", "a\0b"])
def test_a_name_that_sql_cannot_hold_is_refused(column: str) -> None:
    with pytest.raises(ArgumentError, match="cannot be written in SQL"):
        isotonic_map().to_sql(column)
