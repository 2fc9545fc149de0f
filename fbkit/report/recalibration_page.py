"""Before and after a recalibration as a folder: the map, its SQL, and a page that says whether to deploy it."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any, Final

import polars as pl

from fbkit.report import html, markdown, numbers
from fbkit.report.document import Block, Document, Fields, Figure, Paragraph, Section, Table
from fbkit.report.figures import SCALE, Picture
from fbkit.report.files import MANIFEST, sha256, write_folder
from fbkit.report.serial import to_csv, to_json
from fbkit.schema import results
from fbkit.schema.contract import Contract

FORMAT: Final = "fbkit-recalibration-1"
NAMES: Final = {
    "brier": "Brier score",
    "mcb": "miscalibration (MCB)",
    "dsc": "discrimination (DSC)",
    "ece": "ECE, 10 bins",
    "smooth_ece": "smooth ECE",
    "log_loss": "log loss",
    "roc_auc": "ROC AUC",
}
_READING: Final = (
    "Brier score = miscalibration - discrimination + the variance of the label. Recalibrating can lower "
    "miscalibration; discrimination and ROC AUC it can at best keep. Miscalibration, discrimination and both ECE are "
    "given without their bias in small samples, so where nothing is wrong they lie about zero; the raw values are in "
    "data/table.csv."
)


def write(found: Any, folder: str | Path, *, contract: Contract, as_of: datetime) -> Path:
    """Write the folder and return it; it appears whole or not at all.

    ``found`` is a :class:`fbkit.measure.recalibrate.Recalibration`. Files: ``map.json`` (the map, versioned),
    ``map.sql`` (one expression of the column "score"), ``recalibration.html`` and ``.md``, ``figures/``,
    ``data/table.csv``, ``manifest.json`` (format and the hash of each file).

    Raises
    ------
    OutputError
        The folder holds other or edited files, or cannot be written.
    """
    return write_folder(folder, render(found, contract=contract, as_of=as_of))


def render(found: Any, *, contract: Contract, as_of: datetime) -> dict[str, bytes]:
    """The folder's files by name, without writing them."""
    picture = _picture(found, contract)
    document = _document(found, contract, as_of, picture)
    images = {} if picture is None else {picture.figure.key: picture.image()}
    files = {
        "map.json": found.map.to_json().encode(),
        "map.sql": (found.to_sql() + "\n").encode(),
        "recalibration.html": html.render(document, pictures=images).encode(),
        "recalibration.md": markdown.render(document).encode(),
        "data/table.csv": to_csv(found.table),
    }
    if picture is not None:
        files |= {"figures/reliability.svg": picture.svg, "figures/reliability.png": picture.png}
    listed = [{"name": name, "sha256": sha256(content), "bytes": len(content)} for name, content in files.items()]
    facts: dict[str, object] = {"format": FORMAT, "as_of": as_of, "evaluation_id": found.map.evaluation_id}
    facts |= {"contract": {"model": contract.model.name, "sha256": contract.hash}, "files": listed}
    return {**files, MANIFEST: to_json(facts).encode()}


def verdict(table: pl.DataFrame) -> str:
    """One sentence: is the recalibrated model better on the rows that it was not fitted on?"""
    line = table.filter(pl.col(results.METRIC) == "brier").row(0, named=True)
    if line["change"] is None:
        return f"Not estimable: {line[results.REASON]}."
    said = f"{_plain(line['before'])} to {_plain(line['after'])}, {_changed(line)}"
    if line["change_lower"] is None:
        return f"The Brier score goes from {said}; too few rows for an interval."
    if line["change_upper"] < 0:
        return f"Better: the Brier score falls from {said}."
    if line["change_lower"] > 0:
        return f"Worse: the Brier score rises from {said}. Do not deploy this map."
    return f"No difference beyond chance: the Brier score goes from {said}."


def unbiased(table: pl.DataFrame) -> pl.DataFrame:
    """The table with the debiased numbers in place of the raw ones, where there are such."""
    return table.with_columns(pl.coalesce(f"{side}_debiased", side).alias(side) for side in ("before", "after"))


def _plain(value: float | None) -> str:
    return numbers.plain(value, places=4)


def _changed(line: Mapping[str, Any]) -> str:
    change, lower, upper = (line[name] for name in ("change", "change_lower", "change_upper"))
    if change is None:
        return numbers.NONE
    inside = "" if lower is None else f" [{lower:+.5f}, {upper:+.5f}]"
    return f"{change:+.5f}{inside}"


def _document(found: Any, contract: Contract, as_of: datetime, picture: Picture | None) -> Document:
    drawn: list[Block] = [] if picture is None else [picture.figure]
    sections = [
        Section(key="verdict", title="Is it better?", blocks=[Paragraph(text=verdict(found.table), strong=True)]),
        Section(key="table", title="Before and after", blocks=[_table(found.table), Paragraph(text=_READING), *drawn]),
        Section(key="map", title="The map", blocks=_map(found)),
        Section(key="provenance", title="What it rests on", blocks=[_provenance(found, contract, as_of)]),
    ]
    return Document(
        title=f"Recalibration: {contract.model.name}",
        subtitle=f"{found.map.method}, fitted on {found.fit}, judged on {found.judge}; "
        f"as of {numbers.instant(as_of)}, {found.map.stage} labels",
        sections=sections,
    )


def _table(table: pl.DataFrame) -> Table:
    rows = [
        (
            NAMES[line[results.METRIC]],
            *(
                numbers.interval(line[side], line[f"{side}_lower"], line[f"{side}_upper"], places=4)
                for side in ("before", "after")
            ),
            _changed(line),
            line[results.METHOD] or line[results.REASON] or "",
        )
        for line in unbiased(table).iter_rows(named=True)
    ]
    n, labelled = table.select(results.N, results.N_LABELLED).row(0)
    return Table(
        columns=("metric", "before", "after", "change", "method"),
        rows=rows,
        caption=f"On the judge period: {labelled:,} labelled of {n:,} predictions",
        numeric=frozenset({1, 2, 3}),
        note="Change: after less before on the same rows, with the interval of that difference.",
    )


def _map(found: Any) -> Sequence[Block]:
    made = found.map
    if made.method == "platt":
        shape = f"log odds of the probability = {made.slope:.6g} x log odds of the score {made.intercept:+.6g}"
    else:
        shape = f"straight lines between {len(made.knots):,} points, constant beyond them"
    return [
        Fields(
            items=[
                ("Method", made.method),
                ("Shape", shape),
                ("Fitted on", f"{made.n_labelled:,} labelled predictions of {made.fit_period}"),
                ("Files", "map.json, and map.sql: one SQL expression of the column score"),
            ]
        ),
        Paragraph(
            text="The map never falls as the score rises, so the order of the cases stays; a threshold on the score "
            "must be moved with it."
        ),
    ]


def _provenance(found: Any, contract: Contract, as_of: datetime) -> Fields:
    return Fields(
        items=[
            ("Model", contract.model.name),
            ("Contract", contract.hash[:12]),
            ("Logs as of", numbers.instant(as_of)),
            ("Evaluation", found.map.evaluation_id),
        ]
    )


def _picture(found: Any, contract: Contract) -> Picture | None:
    """The reliability of both; what rests on fewer rows than a slice may show is left out."""
    from fbkit.charts.recalibration import recalibration_chart
    from fbkit.charts.render import to_png, to_spec, to_svg

    if found.curves.is_empty():
        return None
    shown = found.curves.filter(pl.col(results.N) >= contract.slices.minimum)
    if shown.is_empty():
        return None
    spec = to_spec(recalibration_chart(shown, stage=found.map.stage))
    figure = Figure(
        key="reliability",
        title="Reliability before and after",
        alt=f"Share of positives against the score, before and after recalibration. {verdict(found.table)}",
    )
    return Picture(figure=figure, svg=to_svg(spec).encode(), png=to_png(spec, scale=SCALE))
