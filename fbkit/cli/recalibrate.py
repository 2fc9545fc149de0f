"""The command that fits a recalibration on one period, judges it on another, and writes the map to deploy."""

from pathlib import Path
from typing import Any

import click

from fbkit.cli.app import FINE, FIRED, cli
from fbkit.cli.options import LABEL_OPTIONS, LOOP_OPTIONS, join_given, open_given, with_options
from fbkit.cli.output import print_json, remark, told, warned
from fbkit.schema.period import format_instant


@cli.command()
@with_options(*LOOP_OPTIONS, *LABEL_OPTIONS)
@click.option("--fit", required=True, metavar="A..B", help="Fit on predictions of this period.")
@click.option("--judge", required=True, metavar="C..D", help="Judge on predictions of this one; it must not overlap.")
@click.option("--method", type=click.Choice(["isotonic", "platt"]), default="isotonic", show_default=True)
@click.option("--out", required=True, type=click.Path(path_type=Path), help="Folder of the map and the page.")
def recalibrate(**given: Any) -> int:
    """Fit a map from score to probability for LOOP; exit status 1 if the model is worse with it."""
    from fbkit.measure.recalibrate import recalibrate as measure
    from fbkit.report.recalibration_page import unbiased, verdict, write
    from fbkit.report.terminal import table_text

    loop = open_given(given)
    joined = join_given(loop, given)
    found = measure(joined, fit=given["fit"], judge=given["judge"], method=given["method"])
    folder = write(found, given["out"], contract=joined.contract, as_of=joined.as_of)
    assumed = told(given, loop) | warned(given, joined)
    if given["as_json"]:
        facts = {"as_of": joined.as_of, "method": found.map.method, "fit": str(found.fit), "judge": str(found.judge)}
        facts |= {"worse": found.worse, "verdict": verdict(found.table), "folder": str(folder)}
        facts |= {"evaluation_id": found.map.evaluation_id, "rows": found.table}
        print_json({**facts, "sql": found.to_sql(), **assumed})
    else:
        shown = ("metric", "before", "after", "change", "change_lower", "change_upper", "n_labelled", "reason")
        table = unbiased(found.table).select(shown)
        click.echo(table_text(table.drop("reason") if table["reason"].null_count() == table.height else table))
        click.echo(verdict(found.table))
        remark(given, f"fitted on {found.fit}, judged on {found.judge}, as of {format_instant(joined.as_of)}")
        remark(given, f"wrote {folder}: map.json, map.sql, recalibration.html, recalibration.md")
    return FIRED if found.worse else FINE
