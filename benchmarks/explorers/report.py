"""Figures as lines for people."""

from typing import Any

TITLES = {
    "moves": "key press to painted picture, ms (median, 95 %; median of the parts; ratio to the bare thin view)",
    "twelve": "twelve charts in one output",
    "first": "first picture after the cell runs, s",
    "linked": "linked page: one act to the last of four charts, ms",
    "memory": "memory, MB",
    "peers": "the incident document beside a peer's report",
}


def table(found: dict[str, Any]) -> str:
    """All parts, a line for each thing that was measured."""
    quick = " (quick: noisy)" if found["quick"] else ""
    lines = [f"{found['rows']:,} predictions{quick}"]
    for part, title in TITLES.items():
        if part in found:
            lines += ["", title, *(_line(name, figures) for name, figures in found[part].items())]
    errors, external = found["console errors"], found["external requests"]
    lines += ["", f"console errors {len(errors)}, external requests {len(external)}"]
    return "\n".join([*lines, *(f"  {text[:200]}" for text in [*errors, *external])])


def _line(name: str, figures: Any) -> str:
    if not isinstance(figures, dict):
        return f"  {name:<40} {figures}"
    return f"  {name:<40} " + "  ".join(f"{key} {value}" for key, value in figures.items() if value is not None)
