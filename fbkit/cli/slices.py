"""The command that looks for the slices a loss or a drop comes from, and proposes critical ones."""

from pathlib import Path
from typing import Any

import click
import polars as pl

from fbkit.cli.app import FINE, cli
from fbkit.cli.options import (
    LABEL_OPTIONS,
    LOOP_OPTIONS,
    given_comparison,
    join_given,
    listed,
    open_given,
    with_options,
)
from fbkit.cli.output import print_json, remark, told, warned
from fbkit.errors import ArgumentError
from fbkit.schema.period import Comparison, format_instant


@cli.command()
@with_options(*LOOP_OPTIONS, *LABEL_OPTIONS)
@click.option("--metric", help="Metric (default: the contract's primary).")
@click.option("--by", metavar="A,B", help="Columns to search (default: the contract's slices and features).")
@click.option("--period", metavar="A..B", help="Where the metric is bad in this period (default: all predictions).")
@click.option("--reference", metavar="A..B", help="What a drop since this period comes from.")
@click.option("--current", metavar="A..B", help="Current period (default: the last 7 mature days).")
@click.option("--last", metavar="7d", help="Current period as a duration, instead of --current.")
@click.option("--versus", metavar="30d", help="Reference period as a duration before the current one.")
@click.option("--depth", type=click.IntRange(1, 3), default=3, show_default=True, help="Conditions per slice, at most.")
@click.option("--top", "k", type=click.IntRange(1), default=10, show_default=True, help="Slices to show, at most.")
@click.option("--stage", default="final", show_default=True, help="final, any, or provisional@30d.")
@click.option("--confirm", is_flag=True, help="Search on half of the entities, measure on the other half.")
@click.option("--picture", type=click.Path(path_type=Path), help="Also draw it into this .svg or .png file.")
def slices(**given: Any) -> int:
    """Which slices of LOOP a loss or a drop comes from, and critical slices for the contract as TOML."""
    from fbkit.measure.slice_search import find_slices
    from fbkit.measure.slicing.critical import critical_toml

    comparison = _comparison(given)
    loop = open_given(given)
    joined = join_given(loop, given)
    how: dict[str, Any] = {name: given[name] for name in ("metric", "period", "depth", "k", "stage", "confirm")}
    frame = find_slices(joined, comparison, columns=listed(given["by"]) or None, keep_unclear=True, **how)
    # A contract names values of its own slice columns, and what was found may be about others.
    own = list(joined.contract.slices.columns)
    how["k"] = 20
    fitting = find_slices(joined, comparison, columns=own, keep_unclear=True, **how) if own else frame
    proposed = critical_toml(fitting, joined.contract)
    standing = frame.filter(pl.col("stands_out").fill_null(value=True))
    assumed = told(given, loop) | warned(given, joined)
    if given["picture"] is not None:
        assumed["picture"] = str(_draw(given["picture"], standing))
    if given["as_json"]:
        print_json({"as_of": joined.as_of, "rows": frame.to_dicts(), "toml": proposed, **assumed})
        return FINE
    _show(standing)
    remark(given, "\nproposed for the contract:")
    click.echo(proposed, nl=False)
    remark(given, f"\nas of {format_instant(joined.as_of)}; {frame['method'][0]}")
    if "picture" in assumed:
        remark(given, f"picture: {assumed['picture']}")
    return FINE


def _comparison(given: dict[str, Any]) -> Comparison | None:
    asked = [name for name in ("reference", "current", "last", "versus") if given[name] is not None]
    if asked and given["period"] is not None:
        raise ArgumentError(
            "a drop has its own periods",
            got=f"--period and --{asked[0]}",
            allowed="--period alone, or --reference, --current, --last and --versus",
            next_step="leave out --period",
        )
    return given_comparison(given) if asked else None


def _show(frame: pl.DataFrame) -> None:
    from fbkit.report.escape import terminal
    from fbkit.report.terminal import table_text

    if frame["slice"][0] is None:
        click.echo(terminal(f"{frame['metric'][0]}: {frame['reason'][0]}"))
        return
    wanted = ["slice", "value", "lower", "upper", "reference", "rest", "contribution", "contribution_lower"]
    wanted += ["contribution_upper", "shrunken", "p_adjusted", "n", "n_labelled", "stage"]
    quiet = [name for name in wanted if frame[name].null_count() == frame.height]
    click.echo(f"{frame['metric'][0]}: slices that stand out, the most important first")
    click.echo(table_text(frame.select(wanted).drop(quiet)))


def _draw(path: Path, frame: pl.DataFrame) -> Path:
    from fbkit.charts.render import to_png, to_svg
    from fbkit.charts.slice_search import found_slices_chart
    from fbkit.report.files import write_file

    kinds = {".svg": lambda chart: to_svg(chart).encode(), ".png": to_png}
    if path.suffix.lower() not in kinds:
        raise ArgumentError(
            "a picture is an .svg or a .png file",
            got=path.name,
            allowed=".svg, .png",
            next_step="end the name of the file in one of them",
        )
    return write_file(path, kinds[path.suffix.lower()](found_slices_chart(frame)))
