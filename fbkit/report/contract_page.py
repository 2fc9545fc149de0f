"""The contract on one page, for people: what the model is for, what its label means, who is asked, what stops it."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Final

from fbkit.errors import ArgumentError, OutputError
from fbkit.report import html as _html
from fbkit.report import markdown as _markdown
from fbkit.report.contract_sentences import NOT_STATED, amount, each, listed, rule, source, span, stated, where
from fbkit.report.document import Block, Document, Fields, Paragraph, Section, Table
from fbkit.report.escape import html
from fbkit.report.files import write_file
from fbkit.schema.contract import Contract
from fbkit.schema.contract_parts import LabelPart, PrimaryLabelPart

TITLE: Final = "Model contract"
_FORMS: Final = {".md": "md", ".markdown": "md", ".html": "html", ".htm": "html"}
_SILENCE: Final = {
    "missing": "When the window closes without an event, the label is missing: nothing is concluded from silence.",
    "negative": "When the window closes without an event, the case is negative, once the feed is complete past that "
    "moment; only positives are ever reported.",
}
_RULES: Final = {
    "earliest": "the earliest",
    "latest": "the latest",
    "unique": "the only one, and none when there are several",
    "all": "every one",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class ContractPage:
    """The page in its forms: shown in a notebook, as text, and written to files."""

    contract: Contract

    def markdown(self) -> str:
        """The page as Markdown."""
        return _markdown.render(document(self.contract))

    def html(self) -> str:
        """The page as one HTML file: no network, no script."""
        return _html.render(document(self.contract), pictures={}, compact=True)

    def write(self, out: str | Path, *, form: str | None = None) -> tuple[Path, ...]:
        """Write ``contract.md`` and ``contract.html`` into a folder, or the one file whose name ends in .md or .html.

        An older page is replaced; another file is not.

        Raises
        ------
        ArgumentError
            The file's name ends otherwise, or does not fit ``form`` ("md" or "html").
        OutputError
            Something else stands there, or the folder cannot be written.
        """
        target = Path(out)
        if target.suffix and not target.is_dir():
            ending = _FORMS.get(target.suffix.lower())
            if ending is None or (form is not None and form != ending):
                raise ArgumentError(
                    "a contract page is written as Markdown or HTML",
                    got=f"{target.name}{f' with format {form}' if form else ''}",
                    allowed="a folder, or a name that ends in .md or .html",
                    next_step="name such a file, or a folder for both forms",
                )
            files = {target: ending}
        else:
            files = {target / f"contract.{ending}": ending for ending in (form,) * bool(form) or ("md", "html")}
        for file in files:
            _check_ours(file)
        return tuple(
            write_file(file, (self.html() if ending == "html" else self.markdown()).encode())
            for file, ending in files.items()
        )

    def __str__(self) -> str:
        return self.markdown()

    def _repr_html_(self) -> str:
        # A frame of its own: the page's style does not reach the notebook, and nothing inside it can run.
        page = self.html()
        return (
            f'<iframe title="{html(TITLE)}" sandbox="" srcdoc="{html(page, limit=len(page))}" '
            'style="width:100%;height:44rem;border:1px solid #8884;border-radius:6px"></iframe>'
        )


def _check_ours(file: Path) -> None:
    if file.is_symlink() or not file.exists():
        return
    if not file.is_file() or TITLE.encode() not in file.read_bytes()[:2000]:
        raise OutputError(
            "something else than a contract page stands there, and it is left alone",
            got=file.name,
            next_step="choose another name or folder",
            allowed="a name that is free, or a page that was written before",
        )


def document(contract: Contract) -> Document:
    """The page before anybody chose a format; what the contract leaves open says so."""
    sections: list[tuple[str, str, list[Block]]] = [
        ("purpose", "Purpose and owners", _purpose(contract)),
        ("label", "Label", _label(contract)),
        ("join", "Join and decision", _join(contract)),
        ("features", "Features", _features(contract)),
        ("metrics", "Metrics and slices", _metrics(contract)),
        ("promises", "Service levels", _promises(contract)),
        ("alerts", "Alerts and monitoring", _alerts(contract)),
        ("rollback", "Rollback triggers", _rollback(contract)),
        ("retrain", "Retraining", _retrain(contract)),
        ("money", "Costs and value", _money(contract)),
        ("logs", "Logs and privacy", _logs(contract)),
    ]
    return Document(
        title=f"{TITLE}: {contract.model.name}",
        subtitle=f"{contract.model.task} model, owned by {listed(contract.model.owners)}; hash {contract.hash[:12]}",
        sections=[Section(key=key, title=title, blocks=blocks) for key, title, blocks in sections],
    )


def _table(columns: Sequence[str], rows: Sequence[Sequence[str]], *, caption: str = "") -> Block:
    """A table, or the sentence that there is none; without a caption the heading above says what it is."""
    if rows:
        return Table(columns=columns, rows=rows, caption=caption)
    return Paragraph(text=f"{caption}: {NOT_STATED}." if caption else f"{NOT_STATED.capitalize()}.")


def _purpose(contract: Contract) -> list[Block]:
    model = contract.model
    return [
        Fields(
            items=[
                ("Purpose", stated(model.purpose)),
                ("Business metric", stated(model.business_metric)),
                ("Owners", listed(model.owners)),
                ("Runbook", stated(model.runbook)),
            ]
        )
    ]


def _label(contract: Contract) -> list[Block]:
    label = contract.label
    outcomes = contract.outcomes
    arrival = outcomes.columns.get("ts_arrival", "ts_arrival")
    changes = [(change.version, f"{change.date}", stated(change.note)) for change in label.changes]
    proxies = [
        (proxy.name, stated(proxy.version), span(proxy.window), listed([span(stage) for stage in proxy.stages]))
        for proxy in label.also
    ]
    return [
        Paragraph(text=f"{_meaning(label)} {_SILENCE[label.silence]} {_several(label)}"),
        Fields(
            items=[
                ("Name and version", f"{label.name}, version {stated(label.version)}"),
                ("Read from", f"{source(outcomes)}, column {outcomes.columns.get('label', 'label')}"),
                ("Known from", f"column {arrival}, the time a label became known"),
                ("Window", f"{span(label.window)} after the prediction, {_grace(label)}"),
                ("Provisional looks", listed([f"after {span(stage)}" for stage in label.stages])),
                ("Feed complete through", stated(outcomes.complete_through)),
                ("Sources preferred", listed(label.sources)),
            ]
        ),
        _table(("version", "in force from", "what changed"), changes, caption="Changes of the definition"),
        _table(("proxy label", "version", "window", "provisional looks"), proxies, caption="Proxy labels"),
    ]


def _meaning(label: PrimaryLabelPart) -> str:
    if isinstance(label.window, timedelta):
        return f"An event counts when it happens within {span(label.window)} after the prediction, both ends included."
    gap = span(label.session_gap)
    return f"An event counts until the session ends, {gap} after the session's last prediction."


def _grace(label: LabelPart) -> str:
    if not label.grace:
        return "final when it closes"
    return f"final {span(label.grace)} after it closes"


def _several(label: LabelPart) -> str:
    if label.combine != "one":
        return f"Several events for one prediction are separate events: {label.combine}."
    which = "latest known" if label.corrections == "latest" else "first"
    return f"Several statements are about one outcome: the {which} counts."


def _join(contract: Contract) -> list[Block]:
    fallback, decision = contract.join.fallback, contract.decision
    if fallback is None:
        without = "an outcome without it pairs with nothing"
    else:
        entity = listed(fallback.entity)
        without = f"among predictions of the same {entity} whose window holds the event: {_RULES[fallback.rule]}"
    threshold = NOT_STATED if decision.threshold is None else f"flag if score >= {decision.threshold:g}"
    return [
        Fields(
            items=[
                ("Key of an outcome", listed(contract.join.keys)),
                ("Without that key", without),
                ("Score", contract.predictions.score_kind),
                ("Decision", f"{threshold}; a logged threshold or decision wins"),
                ("Flagged decisions", listed(decision.positive)),
                ("Outcome hidden by", listed(contract.actions.blocked if contract.actions else ())),
            ]
        )
    ]


def _features(contract: Contract) -> list[Block]:
    known = contract.features.definitions
    rows = [
        (name, item.version, stated(item.owner), stated(item.definition), listed(item.acknowledged_by))
        for name, item in known.items()
    ]
    silent = [name for name in contract.features.columns if name not in known]
    blocks = [_table(("feature", "version", "owner", "definition", "acknowledged by"), rows)] if rows else []
    if silent or not rows:
        blocks.append(Paragraph(text=f"Served without a stated version, owner and definition: {listed(silent)}."))
    return blocks


def _metrics(contract: Contract) -> list[Block]:
    metrics, slices = contract.metrics, contract.slices
    return [
        Fields(
            items=[
                ("Primary metric", metrics.primary),
                ("Reported beside it", listed(metrics.report)),
                ("Level of intervals", f"{metrics.level:.0%}" if metrics.level * 100 % 1 == 0 else f"{metrics.level}"),
                ("Sliced by", listed(slices.columns)),
                ("Critical slices", listed([where(item) for item in slices.critical])),
                ("Thinnest slice shown", f"{slices.minimum} rows"),
            ]
        )
    ]


def _promises(contract: Contract) -> list[Block]:
    slo, budget = contract.slo, contract.budget
    rows: list[tuple[str, str]] = []
    for name, promise in (("labels available", slo.label_availability), ("feed complete", slo.feed_completeness)):
        if promise is not None:
            rows.append((name, f"at least {promise.minimum:.0%} after {span(promise.at)}"))
    rows += [(f"latency, {name}", f"at most {amount(limit)} ms") for name, limit in slo.latency_ms.items()]
    rows += [("cost per 1000 predictions", f"at most {amount(limit)}") for limit in slo.cost_per_1000.values()]
    rows += [
        (f"added latency, {name}", f"at most {amount(limit)} ms") for name, limit in budget.added_latency_ms.items()
    ]
    if budget.spend_share_of_revenue is not None:
        rows.append(("spend", f"at most {budget.spend_share_of_revenue:.1%} of revenue"))
    return [_table(("what", "limit"), rows)]


def _alerts(contract: Contract) -> list[Block]:
    rows = [
        (alert.name, rule(alert), each(alert.every), stated(alert.runbook or contract.model.runbook))
        for alert in contract.alerts
    ]
    return [_table(("alert", "fires when", "evaluated", "runbook"), rows)]


def _rollback(contract: Contract) -> list[Block]:
    rows = [(item.metric, item.max_drop) for item in contract.guardrails]
    when = "A version is not promoted, or is taken back, when in a critical slice a metric falls by more than this."
    return [*([Paragraph(text=when)] if rows else []), _table(("metric", "largest fall"), rows)]


def _retrain(contract: Contract) -> list[Block]:
    retrain = contract.retrain
    often = retrain.never_more_often_than
    return [
        Fields(
            items=[
                ("Retrain when", listed([rule(item) for item in retrain.rules], between="; or ")),
                ("Acted on within", NOT_STATED if retrain.within is None else span(retrain.within)),
                ("At most once in", NOT_STATED if often is None else span(often)),
            ]
        )
    ]


def _money(contract: Contract) -> list[Block]:
    costs = [(cost.component, amount(cost.per_call), amount(cost.per_month)) for cost in contract.costs]
    value = contract.value
    currency = (value.currency if value is not None else None) or ""
    worth = [] if value is None else [
        (name.replace("_", " "), f"{amount(getattr(value, name))} {currency}".strip())
        for name in ("true_positive", "false_positive", "false_negative", "true_negative")
    ]  # fmt: skip
    return [
        _table(("component", "per call", "per month"), costs, caption="Costs"),
        _table(("decision", "worth"), worth, caption="Value of a decision"),
    ]


def _logs(contract: Contract) -> list[Block]:
    rows = []
    for name in ("predictions", "outcomes", "actions", "feedback", "changes"):
        part = getattr(contract, name)
        if part is not None:
            rows.append((name, source(part), stated(part.timezone or contract.time.timezone)))
    kept = [f"{name} = {' or '.join(values)}" for name, values in contract.predictions.where.items()]
    privacy = contract.privacy
    return [
        _table(("log", "read from", "zone of times that carry none"), rows),
        Fields(
            items=[
                ("Predictions kept", listed(kept)),
                ("Personal columns", listed(privacy.personal)),
                ("Kept for", NOT_STATED if privacy.retention is None else span(privacy.retention)),
                ("Contract", f"format {contract.format}, hash {contract.hash}"),
            ]
        ),
    ]
