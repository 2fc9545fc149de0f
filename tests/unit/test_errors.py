"""Every error of the kit names what is wrong, what was given, what is allowed, and what to do next."""

import ast
import importlib
import os
import pkgutil
import sys
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import polars as pl
import pytest

import fbkit as fb
from fbkit.cli import main
from fbkit.errors import FbkitError
from fbkit.load.loop import load_logs
from tests.fuzz.base import FRAMES, contract

PACKAGE = Path(fb.__file__).parent
PREDICTIONS, OUTCOMES = FRAMES["predictions"], FRAMES["outcomes"]


def classes() -> set[type[FbkitError]]:
    """Every kind of error, wherever in the kit it is defined."""
    for module in pkgutil.walk_packages(fb.__path__, "fbkit."):
        importlib.import_module(module.name)

    def below(kind: type[FbkitError]) -> set[type[FbkitError]]:
        return {kind}.union(*(below(each) for each in kind.__subclasses__()))

    return {each for each in below(FbkitError) - {FbkitError} if each.__module__.startswith("fbkit.")}


@dataclass(frozen=True, slots=True)
class Site:
    """A place in the kit that makes an error."""

    file: str
    first: int
    last: int
    kind: str
    given: frozenset[str]


def sites() -> list[Site]:
    names = {each.__name__ for each in classes()}
    found = []
    for path in sorted(PACKAGE.rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in names:
                given = frozenset(each.arg for each in node.keywords if each.arg)
                name = str(path.relative_to(PACKAGE))
                found.append(Site(name, node.lineno, node.end_lineno or node.lineno, node.func.id, given))
    return found


def test_every_place_that_makes_an_error_fills_in_all_four_parts() -> None:
    bare = [f"{site.file}:{site.first}" for site in sites() if not {"got", "allowed", "next_step"} <= site.given]
    assert bare == []
    assert len(sites()) > 100


def loop(changes: dict[str, Any] | None = None, **frames: Any) -> fb.Loop:
    made = {key: value for key, value in contract().items() if key not in ("actions", "changes")}
    for table, values in (changes or {}).items():
        made[table] = made.get(table, {}) | values
    given = {"predictions": PREDICTIONS, "outcomes": OUTCOMES} | frames
    return fb.open_loop(contract=fb.Contract.from_dict(made), **given)


def file(name: str, content: bytes) -> fb.Loop:
    Path(name).write_bytes(content)
    return loop(predictions=name)


def parts(one: pl.DataFrame, other: pl.DataFrame) -> fb.Loop:
    Path("parts").mkdir()
    one.write_parquet("parts/a.parquet")
    other.write_parquet("parts/b.parquet")
    return loop(predictions="parts")


def joined(**frames: Any) -> fb.Joined:
    return loop(**frames).join()


def without(package: str, call: Callable[[], object]) -> object:
    """The call as if a package were not installed."""
    before = {name: module for name, module in sys.modules.items() if name.split(".")[0] == package}
    for name in [*before, package]:
        sys.modules[name] = None  # type: ignore[assignment]  # what an import statement takes for missing
    try:
        return call()
    finally:
        del sys.modules[package]
        sys.modules.update(before)


def full(frame: pl.DataFrame, name: str, value: object) -> pl.DataFrame:
    return frame.with_columns(pl.lit(value).alias(name))


def delta() -> fb.Loop:
    Path("lake/_delta_log").mkdir(parents=True)
    return loop(predictions="lake")


def in_the_way() -> Path:
    Path("out").write_text("precious")
    return fb.triage(fb.open_loop(fb.samples.path("recall_drop") / "variant_a").join(), draws=0).incident("out")


def page_in_the_way() -> object:
    from fbkit.report.contract_page import ContractPage

    Path("page.md").write_text("my own notes")
    return ContractPage(contract=fb.Contract.from_dict(contract())).write("page.md")


def not_a_utf8_contract() -> fb.Contract:
    Path("contract.toml").write_bytes(b"\xff\xfe")
    return fb.Contract.load("contract.toml")


NOON = datetime(2024, 3, 4, 12, tzinfo=UTC)
TRIGGERS: dict[str, tuple[type[FbkitError], Callable[[], object]]] = {
    "no contract": (fb.ContractError, lambda: fb.Contract.load("nowhere.toml")),
    "contract in another encoding": (fb.ContractError, not_a_utf8_contract),
    "no TOML": (fb.ContractError, lambda: fb.Contract.from_toml("[model")),
    "unknown key": (fb.ContractError, lambda: loop({"label": {"windwo": "2d"}})),
    "unknown zone": (fb.ContractError, lambda: loop({"time": {"timezone": "Mars/Base"}}, predictions=naive())),
    "no loop": (fb.InputError, lambda: fb.open_loop("nowhere")),
    "no file": (fb.InputError, lambda: loop(predictions="nowhere.csv")),
    "no path": (fb.InputError, lambda: loop(predictions="x" * 300)),
    "unknown format": (fb.InputError, lambda: file("a.txt", b"a,b\n")),
    "damaged": (fb.InputError, lambda: file("a.parquet", b"PAR1")),
    "no header": (fb.InputError, lambda: file("a.csv", b"")),
    "semicolons": (fb.InputError, lambda: file("a.csv", b"a;b\n1;2\n")),
    "other columns": (fb.InputError, lambda: parts(PREDICTIONS, PREDICTIONS.drop("score"))),
    "other types": (fb.InputError, lambda: parts(PREDICTIONS, full(PREDICTIONS, "score", [1]))),
    "missing column": (fb.InputError, lambda: loop(predictions=PREDICTIONS.drop("score"))),
    "mapped to nothing": (fb.InputError, lambda: loop({"predictions": {"columns": {"score": "scroe"}}})),
    "two columns for one": (fb.InputError, lambda: loop({"predictions": {"columns": {"score": ["a", "amount"]}}})),
    "words for numbers": (fb.InputError, lambda: loop(predictions=full(PREDICTIONS, "score", "high"))),
    "lists for numbers": (fb.InputError, lambda: loop(predictions=full(PREDICTIONS, "score", [1]))),
    "float ids": (fb.InputError, lambda: loop(predictions=full(PREDICTIONS, "prediction_id", 1.5))),
    "epoch numbers": (fb.InputError, lambda: loop(predictions=full(PREDICTIONS, "ts_pred", 1_709_510_400))),
    "no zone": (fb.InputError, lambda: loop(predictions=naive())),
    "percent": (fb.InputError, lambda: loop(predictions=PREDICTIONS.with_columns(pl.col("score") * 100 + 5))),
    "missing slice": (fb.InputError, lambda: loop({"slices": {"columns": ["planet"], "critical": []}})),
    "slice of numbers": (fb.InputError, lambda: loop({"slices": {"columns": ["score"], "critical": []}})),
    "slice named as ours": (
        fb.InputError,
        lambda: loop({"slices": {"columns": ["state"], "critical": []}}, predictions=full(PREDICTIONS, "state", "CA")),
    ),
    "where without column": (fb.InputError, lambda: loop({"predictions": {"where": {"planet": ["earth"]}}})),
    "missing join key": (fb.InputError, lambda: loop({"join": {"keys": ["request_id"], "fallback": None}})),
    "missing entity": (
        fb.InputError,
        lambda: loop({"join": {"fallback": {"entity": ["planet"]}}}, outcomes=full(OUTCOMES, "planet", "x")).join(),
    ),
    "decision in words": (fb.InputError, lambda: joined(predictions=full(PREDICTIONS, "decision", "maybe"))),
    "no frame": (fb.InputError, lambda: loop(predictions=42)),
    "lazy frame that fails": (fb.InputError, lambda: loop(predictions=PREDICTIONS.lazy().select("nothing"))),
    "Python objects": (
        fb.InputError, lambda: loop(predictions=PREDICTIONS.with_columns(pl.Series("x", [object()] * 24)))
    ),
    "nothing to guess from": (fb.InputError, lambda: guess(PREDICTIONS.clear())),
    "no id to guess": (fb.InputError, lambda: guess(PREDICTIONS.drop("prediction_id", "account"))),
    "no score to guess": (fb.InputError, lambda: guess(PREDICTIONS.drop("score", "threshold"))),
    "no row left": (fb.InputError, lambda: joined(predictions=full(PREDICTIONS, "environment", "test"))),
    "before all": (fb.InputError, lambda: loop().join(as_of="2001-01-01")),
    "sessions without sessions": (fb.InputError, lambda: loop({"label": {"window": "session", "stages": []}}).join()),
    "no such log": (
        fb.InputError, lambda: load_logs(fb.Contract.from_dict(contract()), root=Path(), frames={"clicks": PREDICTIONS})
    ),
    "query without a name": (fb.InputError, lambda: loop({"predictions": QUERY}, predictions=None)),
    "Iceberg": (fb.InputError, lambda: loop({"predictions": {"path": "lake", "format": "iceberg"}}, predictions=None)),
    "feedback without its time": (fb.InputError, lambda: loop(feedback=pl.DataFrame({"prediction_id": ["00100"]}))),
    "no label of that name": (fb.InputError, lambda: loop(outcomes=full(OUTCOMES, "label_name", "other"))),
    "zero byte in a path": (fb.InputError, lambda: loop(predictions="a\0b")),
    "versions without a version": (
        fb.ArgumentError, lambda: loop({"label": {"version": None}}).join(label_versions="current")
    ),
    "personal id": (fb.ArgumentError, lambda: loop({"privacy": {"personal": ["prediction_id"]}}).join().receipt("x")),
    "unknown label": (fb.ArgumentError, lambda: loop().join(label="clicks")),
    "no mature week": (fb.ArgumentError, lambda: joined().compare(fb.Comparison.last("7d"))),
    "window of nothing": (fb.ContractError, lambda: loop({"label": {"window": "0d"}})),
    "not enough for a guess": (fb.ArgumentError, lambda: fb.open_loop(predictions=PREDICTIONS)),
    "no instant": (fb.ArgumentError, lambda: loop().join(as_of="soon")),
    "instant without zone": (fb.ArgumentError, lambda: loop().join(as_of="2024-03-08T12:00")),
    "instant too far": (fb.ArgumentError, lambda: loop().join(as_of="9999-12-31")),
    "no period": (fb.ArgumentError, lambda: fb.Period.parse("yesterday")),
    "period backwards": (fb.ArgumentError, lambda: fb.Period.parse("2024-03-08..2024-03-01")),
    "periods that overlap": (
        fb.ArgumentError, lambda: fb.Comparison(reference="2024-03-01..2024-03-08", current="2024-03-02..2024-03-09")
    ),
    "no duration": (fb.ArgumentError, lambda: fb.Comparison.last("a week")),
    "duration too long": (fb.ArgumentError, lambda: fb.Comparison.last("99999d")),
    "unknown id": (fb.ArgumentError, lambda: joined().receipt("nobody")),
    "id set aside": (fb.ArgumentError, lambda: joined(predictions=twice()).receipt("00100")),
    "no comparison": (fb.ArgumentError, lambda: fb.triage(joined(), "last week")),  # type: ignore[arg-type]  # the case
    "unknown metric": (fb.ArgumentError, lambda: fb.metrics(joined(), "recal")),
    "no metric": (fb.ArgumentError, lambda: fb.metrics(joined(), [])),
    "unknown stage": (fb.ArgumentError, lambda: fb.metrics(joined(), "recall", stage="old")),
    "unknown grain": (fb.ArgumentError, lambda: fb.metrics(joined(), "recall", every="1y")),
    "unknown slice": (fb.ArgumentError, lambda: fb.metrics(joined(), "recall", by="planet")),
    "level": (fb.ArgumentError, lambda: fb.metrics(joined(), "recall", level=95)),
    "unknown label versions": (fb.ArgumentError, lambda: loop().join(label_versions="newest")),
    "Delta without its package": (fb.MissingPartError, lambda: without("deltalake", delta)),
    "a file in the way": (fb.OutputError, in_the_way),
    "a page in the way": (fb.OutputError, page_in_the_way),
}  # fmt: skip


QUERY = {"query": "select 1", "connection_env": "FBKIT_NO_SUCH_VARIABLE"}


def naive() -> pl.DataFrame:
    return PREDICTIONS.with_columns(pl.col("ts_pred").dt.replace_time_zone(None))


def twice() -> pl.DataFrame:
    return pl.concat([PREDICTIONS, PREDICTIONS.head(1).with_columns(score=0.9)])


def guess(predictions: pl.DataFrame) -> fb.Loop:
    return fb.open_loop(predictions=predictions, outcomes=OUTCOMES.drop("account"), window="2d")


@pytest.fixture
def made(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> list[tuple[str, int]]:
    """Where in the kit errors were made, and a folder of its own to make them in."""
    monkeypatch.chdir(tmp_path)
    places: list[tuple[str, int]] = []
    plain = FbkitError.__init__

    def noted(self: FbkitError, *args: Any, **kwargs: Any) -> None:
        frame = sys._getframe(1)
        places.append((os.path.relpath(frame.f_code.co_filename, PACKAGE), frame.f_lineno))
        plain(self, *args, **kwargs)

    monkeypatch.setattr(FbkitError, "__init__", noted)
    return places


@pytest.mark.parametrize("case", TRIGGERS)
def test_what_people_get_wrong_is_told_in_four_parts(case: str, made: list[tuple[str, int]]) -> None:
    kind, call = TRIGGERS[case]
    with pytest.raises(FbkitError) as caught:
        call()
    error = caught.value
    assert type(error) is kind
    assert made, "the error comes from the kit"
    parts = {"what": error.what, "got": error.got, "allowed": error.allowed, "next step": error.next_step}
    assert {name: part for name, part in parts.items() if not part or not part.strip()} == {}
    text = str(error)
    assert text.startswith(error.what)
    assert [name for name in ("got", "allowed", "next step") if f"\n  {name}: {parts[name]}" not in text] == []
    facts: Any = error.as_json()["error"]
    assert list(facts) == ["code", "what", "got", "allowed", "next_step"]
    assert facts["code"] == kind.code


def test_an_empty_text_is_seen() -> None:
    with pytest.raises(fb.ArgumentError, match="got: ''"):
        loop().join(as_of="")


def test_every_class_of_error_is_met() -> None:
    assert {kind for kind, _ in TRIGGERS.values()} == classes()
    assert len({each.code for each in classes()}) == len(classes())


def test_most_places_in_the_lower_layers_are_met(made: list[tuple[str, int]]) -> None:
    for number, (_, call) in enumerate(TRIGGERS.values()):
        Path(str(number)).mkdir()
        os.chdir(str(number))
        with pytest.raises(FbkitError):
            call()
        os.chdir("..")
    lower = [site for site in sites() if site.file.split("/")[0] in ("schema", "load", "join", "session")]
    unmet = [s for s in lower if not any(f == s.file and s.first <= line <= s.last for f, line in made)]
    assert len(unmet) < len(lower) / 2, [f"{site.file}:{site.first}" for site in unmet]


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["metrics", "nowhere"], "there is no such loop"),
        (["metrics", ".", "--every", "1y"], "--every"),
        (["nonsense"], "No such command"),
        (["check", ".", "--window", "7d"], "--window belongs to a call without a contract"),
    ],
)
def test_the_command_line_tells_the_same_four_parts(
    arguments: list[str], said: str, made: list[tuple[str, int]], capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as caught:
        main(arguments)
    told = capsys.readouterr()
    assert (caught.value.code, told.out) == (2, "")
    assert said in told.err.splitlines()[0]
    assert all(f"\n  {part}: " in told.err for part in ("got", "allowed", "next step"))
