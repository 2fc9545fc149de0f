"""Commands that let a sceptic look into the join: one prediction, lost outcomes, other rules, other times."""

from pathlib import Path
from typing import Any

import click

from fbkit.cli.app import FINE, cli
from fbkit.cli.options import LABEL_OPTIONS, LOOP_OPTIONS, join_given, listed, open_given, with_options
from fbkit.cli.output import print_json, remark, told, warned
from fbkit.errors import ArgumentError
from fbkit.schema import results
from fbkit.schema.period import format_instant


@cli.command()
@with_options(*LOOP_OPTIONS, *LABEL_OPTIONS)
@click.argument("prediction_id", required=False)
@click.option("--personal", is_flag=True, help="Show columns that the contract names as personal, not their hashes.")
def receipt(**given: Any) -> int:
    """Everything known about one prediction of LOOP: what was seen, done, and came back, and by which rule."""
    if given["prediction_id"] is None and given["predictions"] is not None:
        given["loop"], given["prediction_id"] = None, None if given["loop"] is None else str(given["loop"])
    if given["prediction_id"] is None:
        raise ArgumentError(
            "which prediction?",
            got="no id",
            allowed="fbkit receipt LOOP ID",
            next_step="give an id from the prediction log after LOOP",
        )
    loop = open_given(given)
    joined = join_given(loop, given)
    found = joined.receipt(given["prediction_id"])
    assumed = told(given, loop) | warned(given, joined)
    if given["as_json"]:
        print_json({"as_of": joined.as_of, **found.to_dict(mask=not given["personal"]), **assumed})
    else:
        click.echo(found.to_text(mask=not given["personal"]), nl=False)
    return FINE


@cli.command()
@with_options(*LOOP_OPTIONS, *LABEL_OPTIONS)
def orphans(**given: Any) -> int:
    """Outcomes whose key matches no prediction: what their ids look like, and repairs that are only proposed."""
    from fbkit.report.escape import terminal

    loop = open_given(given)
    joined = join_given(loop, given)
    found = joined.orphans()
    assumed = told(given, loop) | warned(given, joined)
    if given["as_json"]:
        counts = {"orphans": found.n, "statements": found.n_statements}
        print_json({"as_of": joined.as_of, **counts, "profile": found.profile, "repairs": found.repairs, **assumed})
    else:
        for line in found.lines():
            click.echo(terminal(line))
        remark(given, f"as of {format_instant(joined.as_of)}")
    return FINE


@cli.command()
@with_options(*LOOP_OPTIONS)
@click.option("--metric", help="Metric (default: the contract's primary).")
@click.option("--period", metavar="A..B", help="Predictions of this period (default: the last 7 mature days).")
@click.option("--by", metavar="A,B", help="Slice columns.")
@click.option("--every", metavar="1d", help="Step between two looks.")
@click.option("--at", metavar="T,T", help="The times to look at, instead of --every.")
@click.option("--picture", type=click.Path(path_type=Path), help="Also draw it into this .svg or .png file.")
def revisions(**given: Any) -> int:
    """How a period's number moved from its first provisional value to its final one."""
    from fbkit.measure.revisions import revisions as measure

    _only_now(given)
    by = listed(given["by"])
    if given["picture"] is not None and by:
        raise ArgumentError(
            "a picture shows one slice",
            got=f"--by {given['by']}",
            next_step="leave out --by",
            allowed="one picture of all predictions",
        )
    loop = open_given(given)
    at = listed(given["at"]) or None
    how = {name: given[name] for name in ("metric", "period", "every")}
    frame = measure(loop, by=by or None, at=at, **how)
    assumed = told(given, loop)
    if given["picture"] is not None:
        assumed["picture"] = str(_draw(given["picture"], frame))
    if given["as_json"]:
        rows = [
            {"slice": {name: row[name] for name in by}, **{key: row[key] for key in row if key not in by}}
            for row in frame.iter_rows(named=True)
        ]
        print_json({"rows": rows, **assumed})
    else:
        from fbkit.report.terminal import table_text

        kept = [results.AS_OF, *by, results.VALUE, results.LOWER, results.UPPER, results.AVAILABILITY]
        kept += [results.N, results.N_LABELLED, results.STAGE, *results.REVISION_COUNTS, results.REASON]
        quiet = [name for name in kept if frame[name].null_count() == frame.height]
        name, start, end = frame.select(results.METRIC, results.PERIOD_START, results.PERIOD_END).row(0)
        click.echo(f"{name} of {start:%Y-%m-%d}..{end:%Y-%m-%d}, as known at each time")
        click.echo(table_text(frame.select(kept).drop(quiet)))
        if "picture" in assumed:
            remark(given, f"picture: {assumed['picture']}")
    return FINE


def _only_now(given: dict[str, Any]) -> None:
    if given["as_of"] is not None:
        raise ArgumentError(
            "revisions look at several times",
            got="--as-of",
            next_step="name the times with --at T,T",
            allowed="several times",
        )


def _draw(path: Path, frame: Any) -> Path:
    from fbkit.charts.render import to_png, to_svg
    from fbkit.charts.revisions import revision_chart
    from fbkit.report.files import write_file

    kinds = {".svg": lambda chart: to_svg(chart).encode(), ".png": to_png}
    if path.suffix.lower() not in kinds:
        raise ArgumentError(
            "a picture is an .svg or a .png file",
            got=path.name,
            allowed=".svg, .png",
            next_step="end the name of the file in one of them",
        )
    return write_file(path, kinds[path.suffix.lower()](revision_chart(frame)))


@cli.command()
@with_options(*LOOP_OPTIONS)
@click.option("--metric", help="Metric (default: the contract's primary).")
@click.option("--period", metavar="A..B", help="Only predictions of this period.")
@click.option("--stage", type=click.Choice(["final", "any"]), default="final", show_default=True)
def sensitivity(**given: Any) -> int:
    """How much a metric owes to the rules of the join: the same predictions under every rule one could defend."""
    from fbkit.measure.sensitivity import join_sensitivity
    from fbkit.report.escape import terminal

    loop = open_given(given)
    how = {name: given[name] for name in ("metric", "period", "as_of", "stage")}
    found = join_sensitivity(loop, **how)
    assumed = told(given, loop)
    if given["as_json"]:
        print_json(
            {"as_of": found.as_of, "metric": found.metric, "summary": found.summary, "rows": found.frame, **assumed}
        )
    else:
        for line in found.lines():
            click.echo(terminal(line))
    return FINE
