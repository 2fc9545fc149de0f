"""All that leaves the kit for the loop of hostile texts, by target: what a browser, a program or a person reads."""

import contextlib
import json
import tempfile
import warnings
from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from functools import cache
from pathlib import Path
from typing import Any

import ipywidgets

import fbkit as fb
from fbkit.charts import fonts, render
from fbkit.charts.export import export_chart, markdown_table
from fbkit.explorers import static
from fbkit.explorers.base import Explorer
from fbkit.explorers.page import LATER
from fbkit.explorers.rows_view import RowsView
from fbkit.explorers.view import LiveChart
from fbkit.ledger.snapshot import read_snapshot
from fbkit.report.bundle import Bundle
from fbkit.report.contract_page import ContractPage
from fbkit.report.diff import diff, diff_text
from fbkit.report.reopen import reopen
from fbkit.report.serial import to_csv
from fbkit.report.verify import verify, verify_text
from tests.unit.report.hostile_world import CLOCK, PAYLOADS, WEEKS, hostile_diagnosis, hostile_joined, text

# What of a widget's synchronised state its page shows as plain text.
_SHOWN = ("description", "tooltip", "value", "_options_labels", "titles", "label", "tip", "answer")
_PIXEL = b"\x89PNG\r\n\x1a\n" + b"\x00" * 20


class Outputs:
    """Texts and bytes by target and name."""

    def __init__(self) -> None:
        self.html: dict[str, str] = {}
        self.markdown: dict[str, str] = {}
        self.svg: dict[str, str] = {}
        self.spec: dict[str, Any] = {}
        self.csv: dict[str, str] = {}
        self.terminal: dict[str, str] = {}
        self.code: dict[str, str] = {}
        self.label: dict[str, str] = {}
        self.docx = b""
        self.pdf = b""
        self.snapshot = b""


@cache
def outputs() -> Outputs:
    """Made once for all tests of a process."""
    made = Outputs()
    joined = hostile_joined()
    diagnosis = hostile_diagnosis(joined)
    with tempfile.TemporaryDirectory() as name, warnings.catch_warnings():
        warnings.simplefilter("ignore", fonts.MissingGlyphWarning)
        folder = Path(name)
        _documents(made, joined, diagnosis, folder)
        page = fb.explore(joined, WEEKS)
        _page(made, page, "page", folder)
        made.snapshot = page.snapshot(folder / "page.snap").read_bytes()
        again = fb.explore(folder / "page.snap")
        _page(made, again, "reopened", folder)
        made.spec["snapshot facts"] = [dict(read_snapshot(folder / "page.snap").facts)]
    return made


def _documents(made: Outputs, joined: Any, diagnosis: Any, folder: Path) -> None:
    bundle = diagnosis.incident(folder / "incident", clock=CLOCK, pdf=True)
    for file in sorted(bundle.rglob("*")):
        name = file.relative_to(bundle).as_posix()
        targets = {".html": made.html, ".md": made.markdown, ".svg": made.svg, ".csv": made.csv}
        if file.suffix in targets:
            targets[file.suffix][name] = file.read_text(encoding="utf-8")
        elif name.endswith(".vl.json"):
            made.spec[name] = json.loads(file.read_text(encoding="utf-8"))
    _later(made, diagnosis, bundle)
    made.docx = (bundle / "incident.docx").read_bytes()
    made.pdf = (bundle / "incident.pdf").read_bytes()
    made.html["card"] = diagnosis._repr_html_()
    contract = ContractPage(contract=joined.contract)
    made.html["contract page"], made.markdown["contract page"] = contract.html(), contract.markdown()
    made.terminal |= {"card": str(diagnosis), "status line": diagnosis.status_line(), "repr": repr(diagnosis)}
    made.terminal["joined"] = f"{joined!r}\n{joined}"
    made.html["joined"] = joined._repr_html_()
    odd = joined.frame["prediction_id"].unique(maintain_order=True).str.contains("zq")
    for place, name in enumerate(joined.frame["prediction_id"].filter(odd).head(20)):
        receipt = joined.receipt(name)
        made.html[f"receipt {place}"] = receipt._repr_html_()
        made.terminal[f"receipt {place}"] = str(receipt)
    for by in ("region", "model_version"):
        frame = fb.metrics(joined, "recall", by=by)
        made.markdown[f"metrics by {by}"] = markdown_table(frame)
        made.csv[f"metrics by {by}"] = to_csv(frame).decode()


def _later(made: Outputs, diagnosis: Any, bundle: Path) -> None:
    """What is said of a bundle when it is checked, compared with another, and opened again."""
    checked = verify(Bundle.open(bundle))
    made.terminal["verify"], made.csv["verify"] = verify_text(checked), to_csv(checked).decode()
    noted = diagnosis.annotate(text("note", "script"), author=text("note", "element"))
    another = noted.incident(bundle.with_name("another"), clock=CLOCK)
    changed = diff(Bundle.open(bundle), Bundle.open(another))
    made.terminal["diff"], made.csv["diff"] = diff_text(changed), to_csv(changed).decode()
    later = replace(diagnosis, as_of=diagnosis.as_of + timedelta(days=7))
    reopen(Bundle.open(another), later, call=text("note", "script"), clock=CLOCK)
    made.html["reopened bundle"] = (another / "incident.html").read_text(encoding="utf-8")
    made.markdown["reopened bundle"] = (another / "incident.md").read_text(encoding="utf-8")


def _page(made: Outputs, page: Any, name: str, folder: Path) -> None:
    for later in LATER if name == "page" else ("triage",):
        page.unfold(later)
        for part in _tree(page):
            work = getattr(part, "work", None)
            if work is not None and hasattr(work, "join"):
                work.join(60)
    made.code[name] = page.code()
    view = page.shared.view()
    for payload in PAYLOADS:
        if payload != "surrogate":
            focus = {text("column name", payload): text("slice value", payload)}
            made.code[f"{name} {payload}"] = replace(view, focus=focus, version=text("version", payload)).code()
    for place, part in enumerate(_tree(page)):
        _widget(made, part, f"{name} {place} {type(part).__name__}")
    for key, explorer in page.explorers.items():
        if isinstance(explorer, Explorer) and name == "page":
            _explorer(made, explorer, f"{name} {key}", folder)


def _explorer(made: Outputs, explorer: Explorer, name: str, folder: Path) -> None:
    made.html[f"{name} twin"] = static.static_html(_PIXEL, summary=explorer.summary)
    made.label[f"{name} text/plain"] = explorer.summary
    with contextlib.suppress(NotImplementedError):
        made.code[name] = explorer.code()
    made.markdown[f"{name} table"] = markdown_table(explorer.table())
    chart = explorer.chart()
    made.spec[f"{name} chart"] = render.to_spec(chart)
    file = folder / f"{name.replace(' ', '-')}.html"
    made.html[f"{name} exported"] = exported = export_chart(chart, file).read_text(encoding="utf-8")
    made.svg[f"{name} exported"] = exported[exported.index("<svg") : exported.index("</figure>")]


def _tree(widget: Any) -> Iterator[Any]:
    yield widget
    for child in getattr(widget, "children", ()):
        yield from _tree(child)


def _widget(made: Outputs, part: Any, name: str) -> None:
    """Each text of a widget where the page puts it: as markup, as a chart's drawing, as rows, or as plain text."""
    if isinstance(part, ipywidgets.HTML):
        made.html[name] = part.value
    elif isinstance(part, LiveChart):
        if part.drawing:
            made.spec[name] = {**json.loads(part.drawing["json"]), "data": {"values": part.frame["rows"]}}
            made.label[name] = "\n".join(part.frame["texts"].values())
    elif isinstance(part, RowsView):
        made.html[f"{name} receipt"] = part.shown_receipt.get("html", "")
        made.label[name] = json.dumps(part.content, ensure_ascii=False)
    else:
        state = part.get_state()
        made.label[name] = "\n".join(_texts([state.get(key) for key in _SHOWN]))


def _texts(node: Any) -> Iterator[str]:
    if isinstance(node, str):
        yield node
    elif isinstance(node, list | tuple | dict):
        for item in node.values() if isinstance(node, dict) else node:
            yield from _texts(item)
