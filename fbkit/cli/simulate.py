"""The command that writes a loop of known truth: a scenario of the catalogue, or one cause of one's own."""

from dataclasses import replace
from difflib import get_close_matches
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

import click

from fbkit.cli.app import FINE, cli
from fbkit.cli.output import print_json
from fbkit.errors import ArgumentError, OutputError

if TYPE_CHECKING:
    from fbkit.samples.scenarios import Scenario

_SHAPES = ("per_day", "base_rate")
_OF_CAUSE = ("severity", "start", "end", "where", "gradual")


@cli.command()
@click.argument("out", required=False, type=click.Path(path_type=Path))
@click.option("--scenario", metavar="NAME", help="One of the catalogue (--list).")
@click.option("--cause", metavar="CAUSE", help="One cause alone, instead of a scenario (--list).")
@click.option("--severity", type=float, help="How strong the cause is; 0 is harmless (--list says the range).")
@click.option(
    "--where", multiple=True, metavar="region=EU", help="Limit the cause to a slice; several times: all hold."
)
@click.option("--start", type=float, help="First day of the cause within the current week (default: 0).")
@click.option("--end", type=float, help="Day on which the cause ends (default: it stays).")
@click.option("--gradual", is_flag=True, help="The cause grows from nothing at its start to its severity at its end.")
@click.option("--per-day", type=click.IntRange(1), help="Predictions a day.")
@click.option("--base-rate", type=click.FloatRange(0, 0.9, min_open=True), help="Share of positives.")
@click.option("--metric", help="Metric of the truth that is shown (default: the scenario's).")
@click.option("--seed", type=click.IntRange(0), default=0, show_default=True, help="Seed; the same, the same bytes.")
@click.option("--list", "as_list", is_flag=True, help="Show the scenarios and the causes, and write nothing.")
@click.option("--json", "as_json", is_flag=True, help="The same facts as JSON on standard output.")
def simulate(**given: Any) -> int:
    """Write a simulated loop into the folder OUT, and beside it, as OUT.truth.json, what really happened."""
    if given["as_list"]:
        _show_list(as_json=given["as_json"])
        return FINE
    folder, scenario = _folder(given["out"]), _wanted(given)
    truth = scenario.truth(metric=given["metric"]).as_dict()
    simulation = scenario(given["seed"])
    facts = {
        "scenario": scenario.name,
        "kind": scenario.kind,
        "seed": given["seed"],
        "reference": simulation.config.period("reference"),
        "current": simulation.config.period("current"),
        "as_of": simulation.as_of,
        "faults": [fault.as_dict() for fault in scenario.faults],
        "truth": truth,
    }
    written = _write(folder, simulation, facts)
    rows = {"predictions": len(simulation.predictions), "outcomes": len(simulation.outcomes)}
    if given["as_json"]:
        print_json({"folder": str(folder), "truth_file": str(written), **rows, **facts})
    else:
        _say(folder, written, rows, truth)
    return FINE


def _folder(out: Path | None) -> Path:
    if out is None:
        raise ArgumentError(
            "the folder of the loop is missing",
            got="nothing",
            allowed="fbkit simulate OUT, or --list",
            next_step="name a folder that is not there yet",
        )
    if out.exists() and not (out.is_dir() and not any(out.iterdir())):
        raise OutputError(
            "a simulated loop is not written over something else",
            got=out.name,
            allowed="a folder that is empty or not there yet",
            next_step="choose another folder",
        )
    return out


def _wanted(given: dict[str, Any]) -> "Scenario":
    from fbkit.samples.scenarios import SCENARIOS

    if given["scenario"] is not None and given["cause"] is not None:
        raise ArgumentError(
            "--cause stands in place of --scenario",
            got="both",
            allowed="one of them; neither is a healthy loop",
            next_step="leave one of them out",
        )
    idle = [name for name in _OF_CAUSE if given[name] not in (None, (), False)]
    if given["cause"] is None and idle:
        raise ArgumentError(
            f"--{idle[0]} says how a cause acts, and there is no --cause",
            got=given["scenario"] or "no cause",
            allowed="--cause together with it",
            next_step="name a cause, or leave the option out",
        )
    scenario = (
        _own(given) if given["cause"] is not None else SCENARIOS[_known(given["scenario"] or "healthy", SCENARIOS)]
    )
    shape = {name: given[name] for name in _SHAPES if given[name] is not None}
    if "base_rate" in shape and scenario.task != "binary":
        raise ArgumentError(
            "--base-rate belongs to loops whose outcome is yes or no",
            got=scenario.name,
            allowed="a scenario of a binary task",
            next_step="leave --base-rate out",
        )
    return replace(scenario, config=replace(scenario.config, **shape)) if shape else scenario


def _known(name: str, table: dict[str, Any]) -> str:
    if name not in table:
        near = get_close_matches(name, table, n=8, cutoff=0.4)
        raise ArgumentError(
            "no such scenario or cause",
            got=name,
            allowed=", ".join(near) if near else "what --list shows",
            next_step="fbkit simulate --list shows all of them",
        )
    return name


def _own(given: dict[str, Any]) -> "Scenario":
    """One cause as the options describe it."""
    from fbkit.samples.config import WorldConfig
    from fbkit.samples.faults import FAULTS
    from fbkit.samples.scenarios import Scenario

    cause = FAULTS[_known(given["cause"], FAULTS)]
    if given["severity"] is None:
        raise ArgumentError(
            f"how strong is {given['cause']}?",
            got="no --severity",
            allowed=f"{cause.lowest} to {cause.highest}",
            next_step="give --severity",
        )
    fault = cause(
        severity=given["severity"],
        where=dict(_pair(text) for text in given["where"]),
        start=given["start"] or 0.0,
        end=given["end"],
        ramp=given["gradual"],
    )
    return Scenario(name=given["cause"], kind="cause", config=WorldConfig(), faults=(fault,))


def _pair(text: str) -> tuple[str, tuple[str, ...]]:
    column, found, values = text.partition("=")
    if not (found and column and values):
        raise ArgumentError(
            "--where names a column and its values",
            got=text,
            allowed="region=EU, or region=EU,US",
            next_step="write column=value",
        )
    return column, tuple(values.split(","))


def _write(folder: Path, simulation: Any, facts: dict[str, Any]) -> Path:
    """The loop as one whole, and its truth outside of what the kit reads."""
    from fbkit.report.files import write_file, write_folder
    from fbkit.report.serial import to_json

    beside = folder.with_name(f"{folder.name}.truth.json")
    if beside.exists():
        raise OutputError(
            "the truth of another loop stands there",
            got=beside.name,
            allowed="a folder whose truth is not written yet",
            next_step="choose another folder",
        )
    with TemporaryDirectory() as scratch:
        root = simulation.write(Path(scratch) / "loop")
        files = {path.relative_to(root).as_posix(): path.read_bytes() for path in sorted(root.rglob("*.*"))}
    write_folder(folder, files)
    return write_file(beside, to_json(facts).encode())


def _say(folder: Path, written: Path, rows: dict[str, int], truth: dict[str, Any]) -> None:
    click.echo(f"{folder}: {rows['predictions']:,} predictions, {rows['outcomes']:,} outcomes")
    for name in ("observed", "true"):
        cell = truth[name]
        click.echo(
            f"{name:<9} {truth['metric']} {cell['reference']:.4f} to {cell['current']:.4f} ({cell['change']:+.4f})"
        )
    for part in truth["contributions"]:
        click.echo(f"  {part['cause']:<24} {part['value']:+.4f}, of the true change {part['true_value']:+.4f}")
    click.echo(f"verdict   {truth['verdict']} (in expectation; {written})")


def _show_list(*, as_json: bool) -> None:
    from fbkit.samples.faults import FAULTS
    from fbkit.samples.scenarios import SCENARIOS

    causes = [
        {"cause": name, "family": fault.family, "lowest": fault.lowest, "highest": fault.highest, "does": _does(fault)}
        for name, fault in FAULTS.items()
    ]
    if as_json:
        parts = ("name", "kind", "size", "metric", "causes")
        print_json({"scenarios": [{p: getattr(s, p) for p in parts} for s in SCENARIOS.values()], "causes": causes})
        return
    for scenario in SCENARIOS.values():
        click.echo(f"{scenario.name:<46} {scenario.kind:<12} {', '.join(scenario.causes) or 'nothing'}")
    for row in causes:
        click.echo(f"\n--cause {row['cause']} --severity {row['lowest']} to {row['highest']}\n  {row['does']}")


def _does(fault: type) -> str:
    return " ".join((fault.__doc__ or "").split("\n\n", maxsplit=1)[0].split())
