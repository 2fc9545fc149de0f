"""A command that counts a loop into a ledger: small tables without a row in them, that answer in milliseconds."""

from pathlib import Path
from typing import Any

import click

from fbkit.cli.app import FINE, cli
from fbkit.cli.options import LABEL_OPTIONS, LOOP_OPTIONS, join_given, listed, open_given, with_options
from fbkit.cli.output import print_json, remark, told, warned
from fbkit.errors import ArgumentError
from fbkit.schema.period import format_instant


@cli.command()
@with_options(*LOOP_OPTIONS, *LABEL_OPTIONS)
@click.option("--out", required=True, type=click.Path(path_type=Path), help="Folder of the ledger.")
@click.option("--slices", metavar="A,B", help="Slice columns (default: the contract's).")
@click.option("--pairs", metavar="A+B,A+C", help="Crossings of two slice columns.")
@click.option("--weights", metavar="COLUMN", help="Column of row weights.")
@click.option(
    "--update", is_flag=True, help="Bring the ledger that stands in --out up to now; count changed weeks only."
)
def ledger(**given: Any) -> int:
    """Count LOOP into additive tables by day, version, decision, label state, delay, score bin and slice."""
    from fbkit.ledger.ledger import Ledger

    loop = open_given(given)
    joined = join_given(loop, given)
    if given["update"]:
        idle = next((name for name in ("slices", "pairs", "weights") if given[name] is not None), None)
        if idle is not None:
            raise ArgumentError(
                f"--{idle} is fixed when a ledger is built",
                got="--update",
                allowed="--update alone",
                next_step="build the ledger again, without --update",
            )
        made = Ledger.open(given["out"]).updated(joined)
    else:
        slices = None if given["slices"] is None else listed(given["slices"])
        made = joined.ledger(slices=slices, pairs=_pairs(given["pairs"]), weights=given["weights"])
    folder = made.save(given["out"])
    lines = {f"{kind} by {', '.join(cut) or 'nothing'}": table.height for (kind, cut), table in made.tables.items()}
    facts = {"as_of": made.as_of, "rows": made.rows, "folder": str(folder), "lines": lines}
    facts |= {"slices": list(made.slices), "evaluation_key": made.evaluation_key} | told(given, loop)
    facts |= warned(given, joined)
    if given["as_json"]:
        print_json(facts)
    else:
        click.echo(f"{folder}: {made.rows:,} predictions in {sum(lines.values()):,} lines")
        for name, height in lines.items():
            remark(given, f"  {name:<30} {height:>9,} lines")
        remark(given, f"as of {format_instant(made.as_of)}; no row and no identifier in it")
    return FINE


def _pairs(text: str | None) -> list[tuple[str, str]]:
    made: list[tuple[str, str]] = []
    for pair in listed(text):
        first, plus, second = (part.strip() for part in pair.partition("+"))
        if not plus or not first or not second:
            raise ArgumentError(
                "a crossing of slices could not be read",
                got=pair,
                allowed="two columns with a plus between",
                next_step="write for example --pairs region+device",
            )
        made.append((first, second))
    return made
