"""Commands that look at a loop: is it fit for a verdict, and what do its metrics say."""

from typing import Any

import click
import polars as pl

from fbkit.cli.app import FINE, FIRED, cli
from fbkit.cli.options import LABEL_OPTIONS, LOOP_OPTIONS, join_given, listed, open_given, with_options
from fbkit.cli.output import audit_rows, print_json, remark, told, warned
from fbkit.schema.period import format_instant
from fbkit.schema.results import ESTIMATE_COLUMNS, PERIOD_END, PERIOD_START
from fbkit.session import Joined


@cli.command()
@with_options(*LOOP_OPTIONS, *LABEL_OPTIONS)
def check(**given: Any) -> int:
    """Ask the pre-flight questions of a loop; exit status 1 when one fails."""
    loop = open_given(given)
    joined = join_given(loop, given)
    from fbkit.diagnose.preflight import FAILED, preflight

    items = preflight(joined)
    assumed = told(given, loop) | warned(given, joined)
    if given["as_json"]:
        print_json({"as_of": joined.as_of, "items": items.to_dicts(), "audit": audit_rows(joined.audit), **assumed})
    else:
        from fbkit.report.terminal import table_text

        for row in items.iter_rows(named=True):
            click.echo(f"{row['status']:<14} {row['question']}\n{'':<14} {row['evidence']}")
            if row["fix"]:
                click.echo(f"{'':<14} fix: {row['fix']}")
            if row["id"] == "traceable" and not given["quiet"]:
                _show_traced(joined)
        remark(given, f"\nas of {format_instant(joined.as_of)}; every row accounted for:")
        remark(given, table_text(joined.audit))
    return FIRED if FAILED in items["status"] else FINE


def _show_traced(joined: Joined) -> None:
    """The predictions behind the last question, to be followed by hand with ``fbkit receipt``."""
    from fbkit.report.terminal import table_text

    rows = joined.trace()
    hidden = [name for name in ("prediction_id",) if name in joined.contract.privacy.personal]
    shown = rows.select("prediction_id", "state", "rule", "source", "ts_arrival", "n_rivals", "why").drop(hidden)
    if rows.height:
        click.echo("\n".join(f"{'':<14} {line}" for line in table_text(shown).splitlines()))


@cli.command()
@with_options(*LOOP_OPTIONS, *LABEL_OPTIONS)
@click.option("--metrics", "names", metavar="A,B", help="Metrics (default: the contract's report).")
@click.option("--by", metavar="A,B", help="Slice columns.")
@click.option("--every", type=click.Choice(["1h", "1d", "1w", "1mo"]), help="Time grain.")
@click.option("--period", metavar="A..B", help="Only predictions of this period.")
@click.option("--stage", default="final", show_default=True, help="final, any, or provisional@30d.")
@click.option("--weights", metavar="COLUMN", help="Column of row weights.")
@click.option(
    "--interval", metavar="NAME", help='"block_bootstrap" or "block_bootstrap@7d" instead of each metric\'s own.'
)
@click.option("--sentence", is_flag=True, help="Each number as a sentence to paste, instead of a table.")
def metrics(**given: Any) -> int:
    """Metrics with intervals, worst-case bounds and counts, by slice and time."""
    from fbkit.measure.metrics import metrics as measure

    loop = open_given(given)
    joined = join_given(loop, given)
    names = listed(given["names"]) or list(joined.contract.metrics.report)
    by = listed(given["by"])
    how = {name: given[name] for name in ("every", "period", "stage", "weights", "interval")}
    frame = measure(joined, names, by=by or None, **how)
    assumed = told(given, loop) | warned(given, joined)
    if given["as_json"]:
        columns = [name for name in ESTIMATE_COLUMNS if name in frame.columns]
        rows = [
            {"slice": {name: row[name] for name in by}, **{name: row[name] for name in columns}}
            for row in frame.iter_rows(named=True)
        ]
        print_json({"as_of": joined.as_of, "rows": rows, "audit": audit_rows(joined.audit), **assumed})
    elif given["sentence"]:
        _say(frame, joined)
    else:
        from fbkit.report.terminal import table_text

        shown = frame if given["every"] else frame.drop(PERIOD_START, PERIOD_END, strict=False)
        click.echo(table_text(shown.drop("evaluation_id", strict=False)))
        remark(given, f"as of {format_instant(joined.as_of)}")
    return FINE


def _say(frame: pl.DataFrame, joined: Joined) -> None:
    """Each row as a sentence, harmless in a terminal whatever stands in a slice; what was set aside is said once."""
    from fbkit.report.escape import terminal
    from fbkit.report.number import sentence, set_aside

    alone = frame.height == 1
    for row in frame.iter_rows(named=True):
        click.echo(terminal(sentence(row, audit=joined.audit if alone else None)))
    if not alone:
        click.echo(f"All of them: {set_aside(joined.audit)}.")
