"""Every payload in every place of the loop of hostile texts: it arrives as text in each target, and as nothing else."""

import ast
import csv
import html.parser
import io
import json
import re
import shutil
import subprocess
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest
from markdown_it import MarkdownIt

from tests.browser import lab
from tests.unit.report.hostile_outputs import Outputs, outputs
from tests.unit.report.hostile_world import PAIRS, text, token

TOKEN = re.compile(r"zq\d{4}q")
HIDDEN = re.compile(
    r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\u200b\u200e\u200f\u202a-\u202e\u2066-\u2069\u2028\u2029\ud800-\udfff]"
)
# Attributes that a reader hears or sees; anything else is an address, an identifier or an action.
SAID = {"alt", "title", "aria-label", "content"}
NEVER = {"script", "a", "link", "object", "embed", "iframe", "form", "input", "base", "foreignobject", "image", "video"}
_OUR_FIELD = re.compile(r" ?(?:PAGE|NUMPAGES|SEQ Figure|TOC)(?: [\\*A-Za-z \"]*)?")
_MARKDOWN = MarkdownIt("commonmark").enable(["table", "strikethrough"])
# Where Vega reads a text as an expression, a name or an address.
CODE = {
    *("expr", "signal", "filter", "calculate", "test", "field", "as", "groupby", "name", "href", "url", "param"),
    *("update", "bind", "format", "labelExpr"),
}


@pytest.fixture(scope="module")
def made() -> Outputs:
    return outputs()


class Reader(html.parser.HTMLParser):
    """What an HTML page makes of its text: the tokens that are text, and whatever else could do something."""

    def __init__(self, name: str, source: str) -> None:
        super().__init__(convert_charrefs=True)
        self.said: set[str] = set()
        self.bad: list[tuple[str, str, str | None]] = []
        self.name = name
        self.feed(source)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        # Links of our own documents stay inside them.
        if tag in NEVER and not (tag == "a" and all(str(dict(attrs).get("href")).startswith("#") for _ in (0,))):
            self.bad.append((tag, "", None))
        for name, value in attrs:
            said = str(value)
            if name in SAID:
                self.said |= set(TOKEN.findall(said))
                continue
            address = name in ("href", "src", "action", "srcdoc") and not said.startswith(("#", "data:image/"))
            if address or name.startswith("on") or TOKEN.search(said) or "javascript:" in said:
                self.bad.append((tag, name, value))

    def handle_data(self, data: str) -> None:
        self.said |= set(TOKEN.findall(data))

    def handle_decl(self, decl: str) -> None:
        if decl.lower() != "doctype html":
            self.bad.append(("!", decl, None))

    def handle_comment(self, data: str) -> None:
        self.bad.append(("!--", data, None))


def read_markdown(name: str, source: str) -> tuple[set[str], list[object]]:
    tokens = [child for block in _MARKDOWN.parse(source) for child in (block, *(block.children or ()))]
    strange = {"html_block", "html_inline", "link_open", "image", "fence", "code_block"}
    own = [item for item in tokens if item.type == "image" and str(item.attrGet("src")).startswith("figures/")]
    bad: list[object] = [
        (name, item.type, item.content[:80]) for item in tokens if item.type in strange and item not in own
    ]
    bad += [
        (name, "bare address", item.content[:80])
        for item in tokens
        if re.search(r"(?:://|www\.)\S*zq\d{4}q", _raw(source, item))
    ]
    return {found for item in tokens if item.type == "text" for found in TOKEN.findall(item.content)}, bad


def _raw(source: str, item: Any) -> str:
    """The written lines of a block, in which a renderer that links addresses would find one."""
    return "\n".join(source.splitlines()[slice(*item.map)]) if item.map and item.type == "inline" else ""


def read_svg(name: str, source: str) -> tuple[set[str], list[object]]:
    said: set[str] = set()
    bad: list[object] = []
    for node in ElementTree.fromstring(source).iter():
        tag = node.tag.rpartition("}")[2].lower()
        if tag in NEVER:
            bad.append((name, tag))
        said |= set(TOKEN.findall(node.text or ""))
        for key, value in node.attrib.items():
            spoken = key == "aria-label"
            if key.startswith("on") or key.endswith("href") or (not spoken and TOKEN.search(value)):
                bad.append((name, key, value))
            said |= set(TOKEN.findall(value)) if spoken else set()
    return said, bad


def walk(node: Any, path: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], str]]:
    if isinstance(node, dict):
        for key, value in node.items():
            yield (*path, "<key>"), str(key)
            yield from walk(value, (*path, str(key)))
    elif isinstance(node, list):
        for value in node:
            yield from walk(value, path)
    elif isinstance(node, str):
        yield path, node


def read_spec(name: str, spec: Any) -> tuple[set[str], list[object]]:
    said: set[str] = set()
    bad: list[object] = []
    for path, value in walk(spec):
        found = TOKEN.findall(value)
        said |= set(found)
        data = path[:2] == ("data", "values") or path[0] == "datasets"
        # In rows a name such as "name" is a column of data; a key is always ours.
        if found and (path[-1] == "<key>" or (not data and set(path) & CODE)):
            bad.append((name, path, value[:80]))
    return said, bad


def read_csv(name: str, source: str) -> tuple[set[str], list[object]]:
    cells = [cell for row in csv.reader(io.StringIO(source)) for cell in row]
    bad = [(name, cell) for cell in cells if cell.lstrip().startswith(("=", "@", "+", "＝", "＋", "－", "＠"))]
    bad += [
        (name, cell)
        for cell in cells
        if cell.startswith("-") and not re.fullmatch(r"-\d+(?:\.\d+)?(?:[eE][+-]?\d+)?|-inf", cell)
    ]
    return {found for cell in cells for found in TOKEN.findall(cell)}, bad


def read_code(name: str, source: str) -> tuple[set[str], list[object]]:
    tree = ast.parse(source)
    texts = [node.value for node in ast.walk(tree) if isinstance(node, ast.Constant) and isinstance(node.value, str)]
    names = [node.id for node in ast.walk(tree) if isinstance(node, ast.Name)]
    names += [node.attr for node in ast.walk(tree) if isinstance(node, ast.Attribute)]
    comments = [line for line in source.splitlines() if line.lstrip().startswith("#")]
    # Only imports, assignments and calls: a text that ended its quotes would have made something else.
    strange = [
        type(node).__name__
        for node in tree.body
        if not isinstance(node, ast.Import | ast.ImportFrom | ast.Assign | ast.Expr)
    ]
    bad: list[object] = [(name, said) for said in names if TOKEN.search(said)] + [(name, kind) for kind in strange]
    return {found for said in (*texts, *comments) for found in TOKEN.findall(said)}, bad


def read_docx(content: bytes) -> tuple[set[str], list[object]]:
    import docx

    document = docx.Document(io.BytesIO(content))
    assert len(document.paragraphs) > 20
    said: set[str] = set()
    bad: list[object] = []
    with zipfile.ZipFile(io.BytesIO(content)) as opened:
        for part in opened.namelist():
            if not part.endswith((".xml", ".rels")):
                continue
            for node in ElementTree.fromstring(opened.read(part)).iter():
                tag = node.tag.rpartition("}")[2]
                inside = "".join(node.itertext())
                # Our own fields number pages and figures and list the figures; our own links stay in the document.
                asked = {key.rpartition("}")[2]: value for key, value in node.attrib.items()}
                field = inside if tag == "instrText" else asked.get("instr", "")
                own = _OUR_FIELD.fullmatch(field) or (tag == "hyperlink" and set(asked) <= {"anchor", "history"})
                if tag in ("instrText", "fldSimple", "hyperlink", "object", "altChunk") and not own:
                    bad.append((part, tag, inside[:80]))
                if tag == "Relationship" and node.get("TargetMode") == "External":
                    bad.append((part, node.get("Target")))
                texts = [node.text or "", *(node.get(key) or "" for key in ("descr", "title"))]
                said |= {found for held in texts for found in TOKEN.findall(held)}
    return said, bad


def read_pdf(content: bytes) -> tuple[set[str], list[object]]:
    bad = [mark for mark in (b"/URI", b"/JavaScript", b"/JS", b"/Launch", b"/SubmitForm") if mark in content]
    if shutil.which("pdftotext") is None:
        return set(), list(bad)
    words = subprocess.run(["pdftotext", "-raw", "-", "-"], input=content, capture_output=True, check=True).stdout
    return set(TOKEN.findall(words.decode().replace("\n", ""))), list(bad)


@pytest.fixture(scope="module")
def read(made: Outputs) -> dict[str, tuple[set[str], list[object]]]:
    """By target: the tokens that arrived as text, and what could do something."""
    readers: dict[str, Callable[[str, Any], tuple[set[str], list[object]]]] = {
        "html": lambda name, source: (Reader(name, source).said, [(name, *item) for item in Reader(name, source).bad]),
        "markdown": read_markdown,
        "svg": read_svg,
        "spec": read_spec,
        "csv": read_csv,
        "code": read_code,
        "terminal": lambda name, source: (set(TOKEN.findall(source)), []),
        "label": lambda name, source: (set(TOKEN.findall(source)), []),
    }
    found: dict[str, tuple[set[str], list[object]]] = {}
    for target, reader in readers.items():
        each = [reader(name, source) for name, source in getattr(made, target).items()]
        found[target] = (set().union(*(said for said, _ in each)), [item for _, bad in each for item in bad])
    found["docx"], found["pdf"] = read_docx(made.docx), read_pdf(made.pdf)
    return found


@pytest.mark.parametrize("target", ["html", "markdown", "svg", "spec", "csv", "code", "docx", "pdf"])
def test_nothing_but_text_comes_of_a_text(read: dict[str, tuple[set[str], list[object]]], target: str) -> None:
    assert read[target][1] == []


@pytest.mark.parametrize(
    ("reader", "source"),
    [
        (lambda source: Reader("x", source).bad, text("change", "element")),
        (lambda source: Reader("x", source).bad, text("change", "script")),
        (lambda source: Reader("x", f'<p title="{source}">').bad, text("change", "attribute")),
        (lambda source: Reader("x", f"<a href='{source}'>").bad, "javascript:alert(1)"),
        (lambda source: read_markdown("x", source)[1], text("change", "markdown")),
        (lambda source: read_markdown("x", source)[1], text("change", "address")),
        (lambda source: read_markdown("x", source)[1], text("change", "script")),
        (lambda source: read_svg("x", f"<svg><text>{source}</text></svg>")[1], "<script/>"),
        (lambda source: read_svg("x", f"<svg {source}/>")[1], 'onload="alert(1)"'),
        (lambda source: read_spec("x", {"transform": [{"filter": source}]})[1], text("change", "vega")),
        (lambda source: read_spec("x", {"encoding": {"x": {"field": source}}})[1], text("change", "vega")),
        (lambda source: read_spec("x", {"data": {"values": [{source: 1}]}})[1], text("change", "vega")),
        (lambda source: read_csv("x", source)[1], "a,=1+1"),
        (lambda source: read_csv("x", source)[1], "a,-2+3"),
        (lambda source: read_code("x", source)[1], "x = 1\nfor zq0000q in []: pass"),
        (lambda source: read_code("x", source)[1], "f(zq0000q)"),
    ],
)
def test_the_readers_see_what_they_look_for(reader: Callable[[str], list[object]], source: str) -> None:
    assert reader(source)


# What a place must reach, for most of its payloads; a place that reaches nothing would make its tests say nothing.
REACHES = {
    "slice value": {"html", "markdown", "svg", "spec", "csv", "docx", "label", "code"},
    "column name": {"html", "markdown", "csv", "label", "code"},
    "model name": {"html", "markdown", "svg"},
    "note": {"html", "markdown", "terminal", "docx"},
    "version": {"markdown", "csv", "label", "code"},
    "prediction id": {"html", "terminal"},
    "change": {"html", "markdown", "csv", "docx", "spec"},
    "runbook": {"html", "markdown"},
    "feature name": {"html", "markdown", "svg", "spec", "csv"},
}


@pytest.mark.parametrize("place", REACHES)
def test_each_place_reaches_its_targets(read: dict[str, tuple[set[str], list[object]]], place: str) -> None:
    for target in REACHES[place]:
        assert {token(place, payload) for where, payload in PAIRS if where == place} & read[target][0], target


@pytest.mark.parametrize(("place", "payload"), PAIRS)
def test_a_payload_arrives_as_text_and_never_as_it_was_written(
    made: Outputs, read: dict[str, tuple[set[str], list[object]]], place: str, payload: str
) -> None:
    mark, raw = token(place, payload), text(place, payload)
    if (place, payload) != ("note", "long"):  # a note of 100,000 characters is refused when it is made
        assert [target for target, (said, _) in read.items() if mark in said]
    dangerous = payload in ("element", "script", "svg", "terminal", "direction", "null", "long", "surrogate")
    for target in ("html", "markdown", "svg", "csv", "terminal", "label"):
        for name, source in getattr(made, target).items():
            if mark not in source:
                continue
            assert not HIDDEN.search(source), (target, name)
            if dangerous and target not in ("label", "csv", "terminal"):
                assert raw not in source, (target, name)
            if payload == "long":
                assert "a" * 4200 not in source, (target, name)


def test_a_terminal_sees_no_control_sign_and_rows_of_a_page_travel_as_json(made: Outputs) -> None:
    for source in made.terminal.values():
        assert not HIDDEN.search(source)
    for spec in made.spec.values():
        said = json.dumps(spec, ensure_ascii=False, allow_nan=False)
        said.encode("utf-8")
        assert len(said) < 3_000_000


def test_the_snapshot_gives_the_texts_back_unread(made: Outputs) -> None:
    with zipfile.ZipFile(io.BytesIO(made.snapshot)) as opened:
        names = opened.namelist()
    assert not [name for name in names if TOKEN.search(name) or ".." in name]
    assert len(made.snapshot) < 4_000_000


_PROBE = """() => {
  const all = [...document.querySelectorAll('*')];
  const acts = all.flatMap(e => e.getAttributeNames().filter(n => n.startsWith('on')).map(n => `${e.tagName} ${n}`));
  const strange = [...document.querySelectorAll('script, iframe, object, embed, form, base, foreignObject')];
  const address = e => e.getAttribute('href') ?? e.getAttribute('src');
  const links = [...document.querySelectorAll('[href], [src]')].map(address);
  for (const type of ['mouseover', 'focus', 'click', 'load', 'error'])
    for (const e of all) e.dispatchEvent(new Event(type));
  return [acts, strange.map(e => e.tagName), links.filter(a => !a.startsWith('#') && !a.startsWith('data:image/'))];
}"""


@pytest.mark.browser
def test_pages_and_notebook_outputs_do_nothing_in_a_browser(
    made: Outputs, tmp_path: Path, require_tool: Callable[[str], str]
) -> None:
    """Every page and every output, without the policy that pages carry: nothing but the escaping protects."""
    require_tool("playwright")
    bare = [re.sub(r'<meta http-equiv="Content-Security-Policy"[^>]*>', "", source) for source in made.html.values()]
    pages = [source for source in bare if "<html" in source]
    outs = "".join(f'<div class="jp-OutputArea-output">{source}</div>' for source in bare if "<html" not in source)
    pages.append(f"<!doctype html><meta charset=utf-8><body>{outs}")
    pages.extend(made.svg.values())
    with lab.chromium(require_tool("chromium")) as (page, watch):
        dialogs: list[str] = []
        page.on("dialog", lambda dialog: (dialogs.append(dialog.message), dialog.dismiss()))
        for place, source in enumerate(pages):
            file = tmp_path / f"{place}.{'svg' if source.startswith('<svg') else 'html'}"
            file.write_text(source, encoding="utf-8")
            page.goto(file.as_uri())
            assert page.evaluate(_PROBE) == [[], [], []], file.name
        page.wait_for_timeout(200)
        assert (dialogs, watch.external, watch.errors) == ([], [], [])
