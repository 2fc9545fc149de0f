"""Commands that explain a drop: the verdict and the incident bundle."""

from pathlib import Path
from typing import Any

import click

from fbkit.cli.app import FINE, cli
from fbkit.cli.options import COMPARISON_OPTIONS, LOOP_OPTIONS, given_comparison, open_given, with_options
from fbkit.cli.output import audit_rows, print_json, remark, sources_text, told
from fbkit.session import Diagnosis, Loop, triage


def _diagnose(given: dict[str, Any]) -> tuple[Loop, Diagnosis]:
    loop = open_given(given)
    joined = loop.join(as_of=given["as_of"])
    return loop, triage(
        joined, given_comparison(given), metric=given["metric"], draws=given["draws"], seed=given["seed"]
    )


@cli.command(name="triage")
@with_options(*LOOP_OPTIONS, *COMPARISON_OPTIONS)
@click.option("--status-line", is_flag=True, help="Three sentences for the incident channel.")
def triage_command(**given: Any) -> int:
    """Say why a metric moved; exit status 0 whenever a verdict is reached, undecided included."""
    loop, diagnosis = _diagnose(given)
    assumed = told(given, loop)
    if given["as_json"]:
        facts = diagnosis.to_dict()
        print_json({**facts, "audit": audit_rows(diagnosis.joined.audit), **assumed})
    elif given["status_line"]:
        click.echo(diagnosis.status_line())
    else:
        click.echo(str(diagnosis))
        remark(given, sources_text(diagnosis.joined))
    return FINE


@cli.group()
def incident() -> None:
    """The incident bundle."""


@incident.command(name="write")
@with_options(*LOOP_OPTIONS, *COMPARISON_OPTIONS)
@click.option("--out", required=True, type=click.Path(path_type=Path), help="Folder of the bundle.")
def incident_write(**given: Any) -> int:
    """Diagnose and write the bundle: Markdown, HTML, figures, data, manifest."""
    loop, diagnosis = _diagnose(given)
    folder = diagnosis.incident(given["out"])
    assumed = told(given, loop)
    if given["as_json"]:
        print_json({"folder": str(folder), "verdict": diagnosis.verdict, "headline": diagnosis.headline, **assumed})
    else:
        click.echo(f"{diagnosis.headline}\nwrote {folder}")
    return FINE
