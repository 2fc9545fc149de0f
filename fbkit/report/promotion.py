"""Whether a version may go out, for people: one sentence, one table, and what to collect."""

import textwrap
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, Final

import polars as pl

from fbkit.errors import ArgumentError, OutputError
from fbkit.measure.guardrails import Decision, judge_promotion
from fbkit.measure.scope import Stage
from fbkit.measure.user import Metric
from fbkit.measure.versioning.guard_lines import BROKEN, CANNOT_TELL, OVERALL
from fbkit.measure.versioning.pairs import SAME_ROWS
from fbkit.report import html as _html
from fbkit.report import markdown as _markdown
from fbkit.report import numbers
from fbkit.report.document import Block, Bullets, Document, Fields, Paragraph, Section, Table
from fbkit.report.escape import html, terminal
from fbkit.report.files import write_file
from fbkit.report.promotion_words import measured, plain_value, said, subject
from fbkit.report.style import CARD
from fbkit.report.terminal import table_text
from fbkit.schema.period import Period, format_instant
from fbkit.schema.protocols import JoinedLike
from fbkit.schema.results import STAGE_FINAL

TITLE: Final = "Promotion"
_FORMS: Final = {".md": "md", ".markdown": "md", ".html": "html", ".htm": "html"}
_COLOURS: Final = {"out": "#009e73", "stays": "#d55e00", "undecided": "#e69f00"}
_STYLE: Final = """
.fbkit-promotion .scroll{overflow-x:auto}
.fbkit-promotion table{border-collapse:collapse;width:100%;font-size:13px;font-variant-numeric:tabular-nums}
.fbkit-promotion th,.fbkit-promotion td{text-align:left;vertical-align:top;padding:3px 12px 3px 0;
border-bottom:1px solid var(--line)}
"""
_HEAD: Final = ("status", "guardrail", "slice", "champion", "challenger", "measured", "allowed", "rows")


@dataclass(frozen=True, slots=True, kw_only=True)
class Promotion:
    """The answer to "may the challenger go out": a card in the notebook, text, a Markdown or HTML page.

    ``table`` has one line per guardrail (see :class:`fbkit.measure.guardrails.Decision`), ``allowed`` is the answer,
    ``verdict`` says it in a sentence, ``collect`` what would settle what cannot be told yet.
    """

    decision: Decision
    as_of: datetime
    minimum: int = 20
    currency: str | None = None
    allow_undecided: bool = False

    @property
    def allowed(self) -> bool:
        """Whether the challenger may go out: nothing is broken, and nothing undecided unless that was allowed."""
        return not self.decision.failed and (self.allow_undecided or not self.decision.undecided)

    @property
    def table(self) -> pl.DataFrame:
        """One line per guardrail."""
        return self.decision.table

    @property
    def verdict(self) -> str:
        """Which version may go out, and why, in one sentence."""
        return self._sentence(mask=False)

    @property
    def collect(self) -> tuple[str, ...]:
        """What would settle each guardrail that cannot be told."""
        return self._wishes(mask=False)

    @property
    def compared(self) -> tuple[tuple[str, str], ...]:
        """How the versions were compared, as names and values."""
        found, ratio = self.decision.sides, self.decision.ratio
        window = found.limits
        if found.design == SAME_ROWS:
            left = f"{found.unpaired[0]:,} and {found.unpaired[1]:,} predictions without a partner left out"
            how = f"{found.champion.frame.height:,} requests scored by both ({found.rule}); {left}"
        else:
            sizes = [f"{side.frame.height:,}" for side in (found.champion, found.challenger)]
            how = f"split traffic, {sizes[0]} and {sizes[1]} predictions"
            how += "" if ratio is None else f" ({100 * ratio.observed:.1f} % of the {ratio.unit} units)"
        between = "-" if window is None else f"{numbers.instant(window.start)} to {numbers.instant(window.end)}"
        return (
            ("Compared", how),
            ("Predictions made", between),
            ("Labels", f"{self.decision.stage}, as of {format_instant(self.as_of)}"),
            ("Intervals", f"{100 * self.decision.level:g} %, every guardrail must hold (no adjustment)"),
            *(("Paid for a gain", price) for price in self._prices()),
        )

    def to_dict(self) -> dict[str, Any]:
        """The decision under fixed keys; a number that cannot be estimated is None beside a reason."""
        made, window = self.decision, self.decision.sides.limits
        return {
            "champion": made.champion,
            "challenger": made.challenger,
            "allowed": self.allowed,
            "verdict": self.verdict,
            "failed": made.failed,
            "undecided": made.undecided,
            "collect": list(self.collect),
            "design": made.sides.design,
            "unpaired": list(made.sides.unpaired) if made.sides.design == SAME_ROWS else None,
            "period": window,
            "stage": made.stage,
            "as_of": self.as_of,
            "level": made.level,
            "sample_ratio": None if made.ratio is None else made.ratio.checks,
            "rows": self.table,
        }

    def to_text(self, *, mask: bool = False) -> str:
        """The decision for a terminal; with ``mask`` slices thinner than the contract's minimum show no numbers."""
        rows = [self._cells(line, mask=mask) for line in self.table.iter_rows(named=True)]
        frame = pl.DataFrame(rows, schema=dict.fromkeys(_HEAD, pl.String), orient="row")
        lines = [terminal(part) for part in textwrap.wrap(self._sentence(mask=mask), 110)]
        lines += ["", table_text(frame)]
        wishes = self._wishes(mask=mask)
        if wishes:
            lines += ["", "to be told by", *(f"  - {terminal(item)}" for item in wishes)]
        lines += ["", *(f"{name}: {terminal(value)}" for name, value in self.compared)]
        return "\n".join(lines) + "\n"

    def markdown(self, *, mask: bool = True) -> str:
        """The decision as Markdown."""
        return _markdown.render(self._document(mask=mask))

    def html(self, *, mask: bool = True) -> str:
        """The decision as one HTML page: no network, no script."""
        return _html.render(self._document(mask=mask), pictures={})

    def write(self, out: str | Path) -> Path:
        """Write the decision to a file whose name ends in .md or .html; an older decision is replaced.

        Raises
        ------
        ArgumentError
            The file's name ends otherwise.
        OutputError
            Something else stands there, or the folder cannot be written.
        """
        target = Path(out)
        form = _FORMS.get(target.suffix.lower())
        if form is None:
            raise ArgumentError(
                "a decision is written as Markdown or HTML",
                got=target.name,
                allowed="a name that ends in .md or .html",
                next_step="name such a file",
            )
        ours = target.is_file() and TITLE.encode() in target.read_bytes()[:2000]
        if target.exists() and not target.is_symlink() and not ours:
            raise OutputError(
                "something else than a promotion decision stands there, and it is left alone",
                got=target.name,
                allowed="a name that is free, or a decision that was written before",
                next_step="choose another name or folder",
            )
        return write_file(target, (self.markdown() if form == "md" else self.html()).encode())

    def __str__(self) -> str:
        return self.to_text().rstrip("\n")

    def __repr__(self) -> str:
        return terminal(f"<Promotion: {self.verdict}>")

    def _repr_html_(self) -> str:
        mark = _COLOURS["out" if self.allowed else "stays" if self.decision.failed else "undecided"]
        rows = [self._cells(line, mask=False) for line in self.table.iter_rows(named=True)]
        head = "".join(f'<th scope="col">{html(name)}</th>' for name in _HEAD)
        body = "".join(f"<tr>{''.join(f'<td>{html(cell)}</td>' for cell in row)}</tr>" for row in rows)
        wanted = "".join(f"<li>{html(item)}</li>" for item in self.collect)
        foot = " · ".join(f"{name.lower()}: {value}" for name, value in self.compared)
        return (
            f'<style>{CARD}{_STYLE}</style><div class="fbkit-card fbkit-promotion" style="--mark:{mark}">'
            f'<p class="verdict">{html(self.verdict)}</p>'
            f'<div class="scroll"><table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table></div>'
            f"{f'<h4>To be told by</h4><ul>{wanted}</ul>' if wanted else ''}"
            f'<p class="foot">{html(foot)}</p></div>'
        )

    def _sentence(self, *, mask: bool) -> str:
        made = self.decision
        broken, open_ones = (self._lines(status) for status in (BROKEN, CANNOT_TELL))
        if broken:
            others = f", and {len(broken) - 1} more" if len(broken) > 1 else ""
            return (
                f"{made.challenger} may not go out, {made.champion} stays: {self._said(broken[0], mask=mask)}{others}."
            )
        if open_ones and not self.allow_undecided:
            return (
                f"{made.challenger} may not go out yet, {made.champion} stays: {len(open_ones)} of {self.table.height} "
                f"guardrails cannot be told, first of all {self._said(open_ones[0], mask=mask)}."
            )
        checked = f"{self.table.height} guardrails" if self.table.height > 1 else "1 guardrail"
        if open_ones:
            return f"{made.challenger} may go out: of {checked} none is broken; {len(open_ones)} cannot be told."
        every = "its guardrail" if self.table.height == 1 else f"every one of {checked}"
        return f"{made.challenger} may go out: {every} holds."

    def _said(self, line: Mapping[str, Any], *, mask: bool) -> str:
        return f"{subject(line)} (fewer than {self.minimum} rows)" if mask and self._thin(line) else said(line)

    def _wishes(self, *, mask: bool) -> tuple[str, ...]:
        return tuple(
            f"{subject(line)}: more rows than the fewer than {self.minimum} there are"
            if mask and self._thin(line)
            else self._wanted(line)
            for line in self._lines(CANNOT_TELL)
        )

    def _thin(self, line: Mapping[str, Any]) -> bool:
        """Whether a line is about a slice with so few rows that it may point at people."""
        return line["slice"] != OVERALL and (line["n_labelled"] or 0) < self.minimum

    def _prices(self) -> list[str]:
        """What 0.01 more of a metric costs, where the metric has gained."""
        said: list[str] = []
        for line in self.table.filter(pl.col("cost_per_gain").is_not_null()).iter_rows(named=True):
            ends = (line["cost_per_gain_lower"], line["cost_per_gain_upper"])
            price = numbers.interval(line["cost_per_gain"], *ends, places=4)
            currency = "" if self.currency is None else f" {self.currency}"
            said.append(f"{price}{currency} per 1,000 predictions for each 0.01 of {line['metric']}")
        return said

    def _lines(self, status: str) -> list[dict[str, Any]]:
        return list(self.table.filter(pl.col("status") == status).iter_rows(named=True))

    def _document(self, *, mask: bool) -> Document:
        rows = [self._cells(line, mask=mask) for line in self.table.iter_rows(named=True)]
        sentence, wishes = self._sentence(mask=mask), self._wishes(mask=mask)
        blocks: list[Block] = [Paragraph(text=sentence, strong=True), Table(columns=_HEAD, rows=rows)]
        sections = [Section(key="decision", title="Decision", blocks=blocks)]
        if wishes:
            sections.append(Section(key="collect", title="To be told by", blocks=[Bullets(items=wishes)]))
        notes = dict.fromkeys(f"{line['reason']}." for line in self.table.iter_rows(named=True) if line["reason"])
        if notes:
            sections.append(Section(key="notes", title="Notes", blocks=[Bullets(items=list(notes))]))
        sections.append(Section(key="how", title="How", blocks=[Fields(items=self.compared)]))
        made = self.decision
        return Document(
            title=f"{TITLE}: {made.challenger} in place of {made.champion}",
            subtitle=f"evaluation {self.table['evaluation_id'][0]}",
            sections=sections,
        )

    def _cells(self, line: Mapping[str, Any], *, mask: bool) -> list[str]:
        """The cells of a line; where a slice is masked, no slice shows its size, so that nothing can be subtracted."""
        thin = mask and any(self._thin(other) for other in self.table.iter_rows(named=True))
        metric, where = line["metric"], line["slice"]
        hidden = mask and self._thin(line)
        size = line["n_labelled"] if line["guard"] in ("metric", "proxy") else line["n"]
        rows = "-" if size is None or (thin and where != OVERALL) else numbers.count(size)
        values = [plain_value(line, name) for name in ("champion", "challenger")]
        if hidden:
            values, rows = ["-", "-"], f"fewer than {self.minimum}"
        name = (
            line["guard"] if metric is None else f"{'' if line['guard'] == 'metric' else line['guard'] + ', '}{metric}"
        )
        return [line["status"], name, where, *values, "-" if hidden else measured(line), line["rule"], rows]

    def _wanted(self, line: Mapping[str, Any]) -> str:
        if line["needed"] is not None:
            both = "" if self.decision.sides.design == SAME_ROWS else " (both versions together)"
            what = "labelled rows" if line["guard"] in ("metric", "proxy") else "predictions"
            return f"{subject(line)}: about {line['needed']:,} more {what}{both}"
        if line["measured"] is not None and line["upper"] is not None:
            return f"{subject(line)}: lies at the limit, and no number of rows will tell"
        return f"{subject(line)}: {line['reason'] or 'not estimable'}"


def promote(
    joined: JoinedLike,
    *,
    champion: str,
    challenger: str,
    metrics: Sequence[Metric] = (),
    proxies: Mapping[str, JoinedLike] | None = None,
    period: str | Period | None = None,
    stage: str | Stage = STAGE_FINAL,
    share: float | None = None,
    allow_undecided: bool = False,
) -> Promotion:
    """Hold the challenger against the contract: see :func:`fbkit.measure.guardrails.judge_promotion`."""
    decision = judge_promotion(
        joined,
        champion=champion,
        challenger=challenger,
        own=metrics,
        proxies=proxies,
        period=period,
        stage=stage,
        share=share,
    )
    value = joined.contract.value
    return Promotion(
        decision=decision,
        as_of=joined.as_of,
        minimum=joined.contract.slices.minimum,
        currency=None if value is None else value.currency,
        allow_undecided=allow_undecided,
    )
