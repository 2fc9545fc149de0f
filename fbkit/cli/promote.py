"""The gate of the deployment pipeline: may this version go out."""

from pathlib import Path
from typing import Any

import click

from fbkit.cli.app import FINE, FIRED, cli
from fbkit.cli.options import LOOP_OPTIONS, open_given, with_options
from fbkit.cli.output import audit_rows, print_json, remark, told, warned
from fbkit.errors import InputError
from fbkit.session import Joined, Loop


@cli.command()
@with_options(*LOOP_OPTIONS)
@click.option("--champion", required=True, metavar="VERSION", help="The version that serves.")
@click.option("--challenger", required=True, metavar="VERSION", help="The version that wants to.")
@click.option("--period", metavar="A..B", help="Only predictions of this period.")
@click.option("--stage", default="final", show_default=True, help="final, any, or provisional@30d.")
@click.option("--share", type=float, metavar="0.5", help="The challenger's intended share of split traffic.")
@click.option("--allow-undecided", is_flag=True, help="Exit status 0 also where a guardrail cannot be told yet.")
@click.option("--out", type=click.Path(path_type=Path), help="Write the decision to a .md or .html file.")
def promote(**given: Any) -> int:
    """Say which version may go out and why; exit status 1 when a guardrail is broken or cannot be told."""
    from fbkit.report.promotion import promote as judge

    loop = open_given(given)
    joined = loop.join(as_of=given["as_of"])
    proxies, silent = _proxies(loop, joined)
    names = ("champion", "challenger", "period", "stage", "share", "allow_undecided")
    decision = judge(joined, proxies=proxies, **{name: given[name] for name in names})
    assumed = told(given, loop) | warned(given, joined)
    written = None if given["out"] is None else decision.write(given["out"])
    if given["as_json"]:
        print_json({**decision.to_dict(), "audit": audit_rows(joined.audit), "proxies_unchecked": silent, **assumed})
    else:
        click.echo(decision.to_text(), nl=False)
        for name in silent:
            remark(given, f"Proxy {name}: the log holds no statement about it, so it was not checked")
        if written is not None:
            remark(given, f"wrote {written}")
    return FINE if decision.allowed else FIRED


def _proxies(loop: Loop, joined: Joined) -> tuple[dict[str, Joined], list[str]]:
    """The loop joined for every proxy label that the log speaks of, and the names of the others."""
    made: dict[str, Joined] = {}
    silent: list[str] = []
    for proxy in loop.contract.label.also:
        try:
            made[proxy.name] = loop.join(as_of=joined.as_of, label=proxy.name)
        except InputError:
            silent.append(proxy.name)
    return made, silent
