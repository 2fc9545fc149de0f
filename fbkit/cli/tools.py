"""Commands around the work: JupyterLab, the environment, the demonstration."""

from pathlib import Path

import click

from fbkit.cli.app import FINE, FIRED, cli
from fbkit.cli.output import print_json, sources_text
from fbkit.schema.period import Comparison
from fbkit.session import open_loop, triage


@cli.command()
@click.argument("loop", required=False, type=click.Path(path_type=Path))
@click.option("--print-only", is_flag=True, help="Write the notebook and print its path; do not start JupyterLab.")
@click.argument("lab_args", nargs=-1, type=click.UNPROCESSED)
def lab(loop: Path | None, print_only: bool, lab_args: tuple[str, ...]) -> int:
    """Open JupyterLab on the triage notebook, filled in for LOOP."""
    from fbkit.lab import prepare_notebook, start

    notebook = prepare_notebook(loop)
    click.echo(f"notebook: {notebook}")
    return FINE if print_only else start(notebook, lab_args)


@cli.command()
@click.option("--json", "as_json", is_flag=True, help="The same facts as JSON on standard output.")
def doctor(as_json: bool) -> int:
    """The environment, the optional parts, and what to install."""
    from fbkit.lab import environment

    facts = environment()
    if as_json:
        print_json(facts)
    else:
        for row in facts["parts"]:
            state = row["version"] or "missing"
            click.echo(
                f"{row['name']:<22} {state:<14} {row['for']}"
                + ("" if row["version"] else f"\n{'':<22} install: {row['install']}")
            )
    return FINE if all(row["version"] or not row["required"] for row in facts["parts"]) else FIRED


@cli.command()
@click.option(
    "--out", default="out/incident", show_default=True, type=click.Path(path_type=Path), help="Folder of the bundle."
)
def demo(out: Path) -> int:
    """The main job on the shipped loops: verdicts in the terminal, the incident bundle on disk."""
    from fbkit.samples.cases import CASES

    for number, case in enumerate(CASES):
        loop = open_loop(case.folder())
        diagnosis = triage(loop.join(), Comparison(reference=case.reference, current=case.current))
        click.echo(f"{'=' * 100}\n{case.title}\n{case.source}")
        click.echo(sources_text(diagnosis.joined))
        click.echo(str(diagnosis))
        if number == 0:
            click.echo(f"incident bundle: {diagnosis.incident(out)}\n")
    return FINE
