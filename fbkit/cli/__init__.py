"""The command line: thin, readable by people, ``--json`` for machines; 0 fine, 1 something fired, 2 wrong input."""

# Importing a module of commands puts its commands into the group.
from fbkit.cli import contract, incident, join, ledger, loop, promote, recalibrate, simulate, slices, tools
from fbkit.cli.app import cli, main

__all__ = [
    "cli",
    "contract",
    "incident",
    "join",
    "ledger",
    "loop",
    "main",
    "promote",
    "recalibrate",
    "simulate",
    "slices",
    "tools",
]
