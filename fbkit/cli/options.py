"""The options that commands share, and what they open."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import click

from fbkit.errors import ArgumentError
from fbkit.schema.period import Comparison
from fbkit.session import Joined, Loop, open_loop

LOOP_OPTIONS = (
    click.argument("loop", required=False, type=click.Path(path_type=Path)),
    click.option("--predictions", metavar="FILE", help="Prediction log, when there is no contract."),
    click.option("--outcomes", metavar="FILE", help="Outcome log, when there is no contract."),
    click.option("--actions", metavar="FILE", help="Action log (optional)."),
    click.option("--window", metavar="7d", help="Label window, when there is no contract."),
    click.option("--threshold", type=float, help="Flag if score >= threshold, when there is no contract."),
    click.option("--timezone", metavar="ZONE", help="Zone of times that carry none, when there is no contract."),
    click.option(
        "--draft", metavar="FILE", default="contract.draft.toml", show_default=True,
        help="Where the guessed contract is written, when there is none.",
    ),
    click.option("--skip-unreadable", is_flag=True, help="Leave out files that cannot be read; mark their periods."),
    click.option("--as-of", metavar="TIME", help="As known at this time (default: the newest arrival in the logs)."),
    click.option("--json", "as_json", is_flag=True, help="The same facts as JSON on standard output."),
    click.option("--quiet", is_flag=True, help="Only the result, no remarks."),
)  # fmt: skip
LABEL_OPTIONS = (
    click.option("--label", metavar="NAME", help="Which label: the primary (default), or a proxy by its name."),
    click.option(
        "--label-versions", type=click.Choice(["any", "current"]), default="any", show_default=True,
        help="current: only labels of the contract's definition version.",
    ),
)  # fmt: skip
COMPARISON_OPTIONS = (
    click.option("--metric", help="Metric to diagnose (default: the contract's primary)."),
    click.option("--reference", metavar="A..B", help="Reference period, half-open, UTC."),
    click.option("--current", metavar="A..B", help="Current period (default: the last 7 mature days)."),
    click.option("--last", metavar="7d", help="Current period as a duration, instead of --current."),
    click.option("--versus", metavar="30d", help="Reference period as a duration before the current one."),
    click.option(
        "--model", type=click.Path(path_type=Path), metavar="FILE.onnx", help="The served model, for the replay."
    ),
    click.option("--draws", type=click.IntRange(0), default=200, show_default=True, help="Draws; 0: no intervals."),
    click.option("--seed", type=click.IntRange(0), default=0, show_default=True, help="Seed of the draws."),
)  # fmt: skip


def with_options(*options: Callable[[Any], Any]) -> Callable[[Any], Any]:
    """Put several options on a command, in their order."""

    def decorate(function: Any) -> Any:
        for option in reversed(options):
            function = option(function)
        return function

    return decorate


def open_given(given: dict[str, Any]) -> Loop:
    """Open the loop that the options describe."""
    names = ("predictions", "outcomes", "actions", "window", "threshold", "timezone")
    options = {name: given[name] for name in names if given.get(name) is not None}
    if given.get("skip_unreadable"):
        options["skip_unreadable"] = True
    if given["loop"] is not None:
        idle = sorted(set(options) & {"window", "threshold", "timezone"})
        if idle:
            raise ArgumentError(
                f"--{idle[0]} belongs to a call without a contract",
                got=str(given["loop"]),
                next_step="set it in the contract",
                allowed="options of a loop that has a contract",
            )
        return open_loop(given["loop"], **options)
    return open_loop(**options)


def join_given(loop: Loop, given: dict[str, Any]) -> Joined:
    """Join as the options say."""
    return loop.join(as_of=given["as_of"], label=given["label"], label_versions=given["label_versions"])


def given_comparison(given: dict[str, Any]) -> Comparison:
    """The periods that the options describe."""
    if given["last"] is not None:
        if given["current"] is not None or given["reference"] is not None:
            raise ArgumentError(
                "--last stands in place of --current and --reference",
                got="both",
                next_step="give one of them",
                allowed="--last with --versus, or --current with --reference",
            )
        return Comparison.last(given["last"], versus=given["versus"])
    if given["versus"] is not None:
        return Comparison.last("7d", versus=given["versus"])
    return Comparison(reference=given["reference"], current=given["current"])


def listed(text: str | None) -> list[str]:
    """The parts of ``a,b``; nothing at all is none of them, a text without any part is a slip."""
    parts = [part.strip() for part in text.split(",") if part.strip()] if text is not None else []
    if text is not None and not parts:
        raise ArgumentError(
            "a list of names is empty",
            got=repr(text),
            allowed="names with commas between them",
            next_step="name at least one, or leave the option out",
        )
    return parts
