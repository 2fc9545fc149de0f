"""From runs to figures with binomial intervals, as text and as Markdown."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from benchmarks.triage.score import REPLAYED, Run
from fbkit.measure.stats.intervals import wilson

NONE: Final = "-"
Runs = Sequence[Run]


@dataclass(frozen=True, slots=True)
class Share:
    """k of n with Wilson's 95 % interval (1927)."""

    k: int
    n: int

    @property
    def between(self) -> tuple[float, float]:
        if self.n == 0:
            return 0.0, 1.0
        low, high = wilson(self.k, self.n)
        return float(low), float(high)

    def __str__(self) -> str:
        if self.n == 0:
            return NONE
        low, high = self.between
        return f"{self.k / self.n:.3f} ({self.k} of {self.n}; {low:.2f} to {high:.2f})"


def share(runs: Iterable[Run], right: Callable[[Run], bool | None]) -> Share:
    """Of the runs to which the question applies (not None)."""
    found = [answer for answer in map(right, runs) if answer is not None]
    return Share(sum(found), len(found))


def mean(values: Iterable[float | None]) -> float | None:
    """Over what exists."""
    found = [value for value in values if value is not None]
    return sum(found) / len(found) if found else None


def number(value: float | None, *, digits: int = 4) -> str:
    return NONE if value is None else f"{value:.{digits}f}"


def claims(runs: Runs) -> tuple[Share, Share]:
    """Precision and recall of the set of material causes, all runs together."""
    both = sum(len(set(run.claimed) & set(run.material)) for run in runs)
    return Share(both, sum(len(set(run.claimed)) for run in runs)), Share(both, sum(len(run.material) for run in runs))


def of_kind(runs: Runs, *kinds: str) -> list[Run]:
    return [run for run in runs if run.case.kind in kinds]


def figures(runs: Runs) -> list[tuple[str, str, str]]:
    """Figure, goal and result, in the order in which they were promised."""
    named, mixed = of_kind(runs, "single"), of_kind(runs, "compound", "masked")
    above = [run for run in named if not run.below]
    precision, recall = claims(of_kind(runs, "compound"))
    challenge, healthy = of_kind(runs, "challenge"), of_kind(runs, "healthy")
    open_ = of_kind(runs, "undecidable")
    decided = of_kind(runs, "single", "masked", "compound", "challenge", "healthy")
    masked = [run for run in of_kind(runs, "masked") if run.case.severity != "mild"]
    drift = [run for run in named if run.cause == "concept_drift"]
    return [
        ("top cause right", ">= 0.95", str(share(named, lambda run: run.top_right))),
        ("- only effects that can be seen", "", str(share(above, lambda run: run.top in run.right_causes))),
        ("- concept drift", "", str(share(drift, lambda run: run.top_right))),
        ("- replayed causes", "", str(share((r for r in named if r.cause in REPLAYED), lambda run: run.top_right))),
        ("- the largest of several causes", "", str(share(mixed, lambda run: run.top_right))),
        ("family right", ">= 0.97", str(share(named, lambda run: run.family_right))),
        ("place of what is claimed right", "", str(share([*named, *mixed], lambda run: run.placed))),
        ("compounds: precision of the causes", ">= 0.95", str(precision)),
        ("compounds: recall of the causes", ">= 0.95", str(recall)),
        ("mini challenge", "all", str(share(challenge, lambda run: run.verdict_right))),
        ("95 % interval covers the true change", "0.93 to 0.97", str(share(decided, lambda run: run.covered))),
        ("- the worst cause", ">= 0.90", worst_cover(decided)),
        ("mean absolute error of the true change", "<= 0.0135", number(mean(run.missed_by for run in decided))),
        ("attribution error", "<= 0.025", number(mean(run.attribution for run in decided))),
        ("- with noise as a cause", "", number(mean(run.attribution_with_noise for run in decided))),
        ("false verdict on no-change weeks", "<= 0.05", str(share(healthy, lambda run: run.verdict != "noise"))),
        ("masked drops found", "all", str(share(masked, lambda run: run.masked_found))),
        ("undecidable: left open", ">= 0.95", str(share(open_, lambda run: run.left_open_rightly))),
        ("undecidable: tipping ratio", ">= 0.95", str(share(open_, lambda run: run.tipping_right))),
        ("undecidable: right after an audit", ">= 0.95", str(share(open_, lambda run: run.audit_right))),
        ("contributions sum to the change, at worst", "1e-9", _worst_sum(runs)),
        ("the same JSON twice", "all", str(share(runs, lambda run: run.identical))),
        ("failed", "0", str(sum(run.error is not None for run in runs))),
        ("seconds", "", number(mean(run.seconds for run in runs), digits=2)),
    ]


def _worst_sum(runs: Runs) -> str:
    return f"{max((run.residual for run in runs if run.error is None), default=0.0):.0e}"


def worst_cover(runs: Runs) -> str:
    """The cause whose intervals cover least."""
    found = {
        cause: share(mine, lambda run: run.covered) for cause, mine in grouped(runs, lambda run: run.cause).items()
    }
    rated = {cause: s for cause, s in found.items() if s.n}
    if not rated:
        return NONE
    worst = min(rated, key=lambda cause: (rated[cause].k / rated[cause].n, cause))
    return f"{worst}: {rated[worst]}"


def grouped(runs: Iterable[Run], key: Callable[[Run], Any]) -> dict[Any, list[Run]]:
    """Runs by key, in the order of their first appearance."""
    found: dict[Any, list[Run]] = {}
    for run in runs:
        found.setdefault(key(run), []).append(run)
    return found


COLUMNS: Final = ("top cause", "family", "causes found", "place", "covered", "error", "attribution", "told instead")


def row(runs: Runs) -> tuple[str, ...]:
    """What is told of one group of runs."""
    precision, recall = claims(runs)
    return (
        _short(share(runs, lambda run: run.top_right)),
        _short(share(runs, lambda run: run.family_right)),
        f"{_ratio(precision)} / {_ratio(recall)}",
        _short(share(runs, lambda run: run.placed)),
        _short(share(runs, lambda run: run.covered)),
        number(mean(run.missed_by for run in runs)),
        number(mean(run.attribution for run in runs)),
        _instead(runs),
    )


def _short(found: Share) -> str:
    return f"{found.k}/{found.n}"


def _ratio(found: Share) -> str:
    return f"{found.k / found.n:.2f}" if found.n else NONE


def _instead(runs: Runs) -> str:
    """What stood in the place of the right cause, the most frequent first."""
    wrong = grouped((run for run in runs if not run.top_right), _said)
    return ", ".join(f"{name} {len(wrong[name])}" for name in sorted(wrong, key=lambda name: (-len(wrong[name]), name)))


def _said(run: Run) -> str:
    if run.error is not None:
        return "error"
    return f"undecided ({run.top})" if run.verdict == "undecided" else run.top


def by_scenario(runs: Runs) -> list[tuple[str, ...]]:
    """One line per scenario."""
    return [(name, *row(mine)) for name, mine in grouped(runs, lambda run: run.case.scenario).items()]


def by_cause(runs: Runs) -> list[tuple[str, ...]]:
    """One line per true cause and severity."""
    found = grouped(runs, lambda run: (run.cause, run.case.severity))
    return [(" ".join(filter(None, key)), *row(found[key])) for key in sorted(found)]


def text_table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Columns as wide as their widest cell."""
    lines = [tuple(head), *map(tuple, rows)]
    width = [max(len(line[i]) for line in lines) for i in range(len(head))]
    return "\n".join("  ".join(cell.ljust(w) for cell, w in zip(line, width, strict=True)).rstrip() for line in lines)


def markdown(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """The same for a page; a bar inside a cell is escaped."""
    lines = [tuple(head), tuple("---" for _ in head), *map(tuple, rows)]
    return "\n".join("| " + " | ".join(cell.replace("|", "\\|") for cell in line) + " |" for line in lines)


def report(tables: Mapping[str, Runs], *, as_markdown: bool = False) -> str:
    """The promised figures of each table, then its scenarios."""
    draw = markdown if as_markdown else text_table
    said: list[str] = []
    for name, runs in tables.items():
        shown = [line for line in figures(runs) if line[2] != NONE]
        said += [f"### {name}" if as_markdown else f"== {name} ({len(runs)} incidents)", ""]
        said += [draw(("figure", "goal", "result"), shown), "", draw(("scenario", *COLUMNS), by_scenario(runs)), ""]
    return "\n".join(said)
