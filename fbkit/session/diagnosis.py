"""Triage as a user asks for it, and the verdict as a user holds it."""

import json
from dataclasses import dataclass, field, fields, replace
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import polars as pl

from fbkit.join.definitions import definition_counts
from fbkit.join.periods import resolve
from fbkit.schema.diagnosis import Diagnosis as DiagnosisFacts
from fbkit.schema.incomplete import incomplete_warnings
from fbkit.schema.period import Comparison
from fbkit.session.joined import Joined

if TYPE_CHECKING:
    from fbkit.measure.user import Metric
    from fbkit.session.next_labels import NextLabels


@dataclass(frozen=True, slots=True, kw_only=True)
class Diagnosis(DiagnosisFacts):
    """The verdict as a user holds it: a card in the notebook, text in the terminal, a document on disk.

    Made by :func:`triage`. Metric values and changes are on the metric's own scale (0.1 of a rate is ten points);
    what could not be estimated is None beside a ``reason``. ``contributions`` sum to ``observed.change``; ``evidence``
    holds the small frames behind every number, ``method`` the thresholds, draws and seed.
    """

    joined: Joined = field(repr=False)
    call: str = field(default="", repr=False)

    @property
    def ladder(self) -> pl.DataFrame:
        """The contributions as a frame; their values sum to ``observed.change``."""
        return self.evidence["ladder"]

    def to_dict(self) -> dict[str, Any]:
        """The diagnosis under its documented JSON keys."""
        from fbkit.report.serial import diagnosis_facts

        return diagnosis_facts(self)

    def to_json(self) -> str:
        """The diagnosis as JSON with 10 significant digits."""
        from fbkit.report.serial import diagnosis_json

        return diagnosis_json(self)

    def status_line(self) -> str:
        """Three sentences to paste into the incident channel."""
        from fbkit.report.sentences import status_line

        return status_line(self)

    def annotate(
        self,
        text: str,
        *,
        author: str | None = None,
        disagrees_with: str | None = None,
        at: datetime | str | None = None,
    ) -> "Diagnosis":
        """The same diagnosis with a person's note, kept beside the verdict in the card, the JSON and every document.

        ``disagrees_with`` is "verdict", a cause of the ladder, or the key of a check; ``at`` is when it was said (UTC).
        A note never changes a number.

        Raises
        ------
        ArgumentError
            An empty text, a time without a zone, or nothing of that name to disagree with.

        Examples
        --------
        >>> import fbkit as fb
        >>> joined = fb.open_loop(fb.samples.path("recall_drop") / "variant_a").join()
        >>> noted = fb.triage(joined, draws=20).annotate("The feed's owner confirms the outage.", author="Ada")
        >>> noted.notes[0].author
        'Ada'
        """
        from fbkit.report.notes import annotated

        notes = annotated(self, text, author=author, disagrees_with=disagrees_with, at=at)
        return replace(self, notes=notes)

    def next_labels(self, budget: int = 800, *, seed: int = 0) -> "NextLabels":
        """Which rows of the current period to audit, what interval to expect from it, and how to bring them back.

        Written into an outcomes file with source ``audit`` and their ``audit_prob`` (``template`` has the columns), the
        audited rows are evidence of the next join: they say what the missing labels would be, and never set a label.

        Parameters
        ----------
        budget
            Rows that can be audited, at least 20.
        seed
            Another seed draws other rows.

        Returns
        -------
        ``strata``, ``rows``, ``template``, ``expected_error`` and ``half_width`` on the metric's own scale (None with a
        ``reason`` where they cannot be foreseen), ``size_for(half_width)``, and the ``exploration`` band for rows whose
        action hides the outcome.

        Raises
        ------
        ArgumentError
            A budget below 20, or a diagnosis of a metric of your own.

        Notes
        -----
        Strata by decision and score, allocated as by Neyman 1938: see ``docs/next_labels.md``.

        Examples
        --------
        >>> import fbkit as fb
        >>> joined = fb.open_loop(fb.samples.path("recall_drop") / "variant_a").join()
        >>> audit = fb.triage(joined, draws=20).next_labels(budget=200)
        >>> audit.rows.height, audit.strata["rows"].sum()
        (200, 200)
        """
        from fbkit.diagnose.next_labels import next_labels
        from fbkit.session.next_labels import NextLabels

        found = next_labels(self.joined, self, budget=budget, seed=seed)
        return NextLabels(**{item.name: getattr(found, item.name) for item in fields(found)})

    def incident(self, folder: str | Path, *, clock: datetime | None = None, pdf: bool = False) -> Path:
        """Write the incident bundle (Markdown, HTML, Word, figures, data, manifest) and return its folder.

        The folder appears whole or not at all; an earlier bundle is replaced only by a complete one.

        Parameters
        ----------
        folder
            New, empty, or an unedited older bundle.
        clock
            The time of writing; pin it and equal input gives equal bytes.
        pdf
            Write ``incident.pdf`` too; needs ``pip install "fbkit[pdf]"``.

        Raises
        ------
        OutputError
            The folder cannot be written, or holds something that is not a bundle.
        MissingPartError
            A PDF was asked for, and its package is not installed.
        """
        from fbkit.diagnose.onset import onset
        from fbkit.report.incident import write

        sources = tuple((source.name, source.sha256, source.rows) for source in self.joined.sources)
        return write(
            self,
            folder,
            contract=self.joined.contract,
            sources=sources,
            call=self.call,
            frames={"audit": self.joined.audit, **onset(self.joined, self)},
            clock=clock,
            pdf=pdf,
        )

    def __str__(self) -> str:
        from fbkit.report.card import card_text

        return card_text(self)

    def __repr__(self) -> str:
        from fbkit.report.escape import terminal

        return terminal(f"<Diagnosis {self.verdict}: {self.headline}>")

    def _repr_html_(self) -> str:
        from fbkit.report.card import card_html

        return card_html(self)


def triage(
    joined: Joined,
    comparison: Comparison | None = None,
    *,
    metric: "str | Metric | None" = None,
    model: object | None = None,
    draws: int = 200,
    seed: int = 0,
) -> Diagnosis:
    """Say why the metric moved: the model, the labels, both, or undecidable from these logs.

    Labels that are missing are never dropped in silence: the ladder says what they do. The method, its assumptions
    and its references (Begg and Greenes 1983, Manski 2003, Shapley 1953) stand in ``docs/method.md``.

    Parameters
    ----------
    joined
        From :meth:`Loop.join`.
    comparison
        Reference and current period; by default the last seven mature days against the eight weeks before.
    metric
        A metric name, or an :class:`fbkit.Metric` that is a mean over labelled rows; the contract's primary by default.
    model
        The served model, to score the reference's rows again where a version, a feature or a threshold changed:
        scikit-learn-like, the path of an ONNX file, or a function of a Polars frame of the logged features. Without
        it a surrogate of the score is fitted where one is needed, and its R2 gates what is claimed.
    draws, seed
        Bootstrap draws for the intervals (at least 20; 0 leaves out intervals and claims), and their seed.

    Returns
    -------
    A verdict whose contributions sum to the observed change. What cannot be estimated is None with a reason.

    Raises
    ------
    ArgumentError
        An unknown metric, overlapping periods, 1 to 19 draws, or a model that cannot be called.
    InputError
        A period without predictions.
    MissingPartError
        An ONNX file without onnxruntime.

    Examples
    --------
    >>> import fbkit as fb
    >>> joined = fb.open_loop(fb.samples.path("recall_drop") / "variant_a").join()
    >>> diagnosis = fb.triage(joined, draws=20)
    >>> total = sum(row.value for row in diagnosis.contributions)
    >>> abs(total - diagnosis.observed.change) < 1e-9
    True
    """
    from fbkit.diagnose.triage import triage as diagnose

    fixed = resolve(joined, comparison)
    facts = diagnose(joined, fixed, metric=metric, model=model, draws=draws, seed=seed)
    incomplete = (*incomplete_warnings(joined, within=fixed.periods()), *joined.definition_warnings)
    if facts.warnings and (comparison is None or comparison.current is None):
        instead = "No full period of that length is mature at the as-of time, so the newest full days stand in for it."
        facts = replace(facts, warnings=(instead, *facts.warnings))
    facts = replace(facts, warnings=(*incomplete, *facts.warnings))
    facts = replace(facts, method={**facts.method, **_rows_asked(joined)})
    if joined.definition_warnings:
        counts = definition_counts(joined.rows.lazy(), audit=joined.audit, contract=joined.contract)
        facts = replace(facts, evidence={**facts.evidence, "label_definitions": counts})
    given = "" if model is None else "model=model, "
    call = (
        f'fb.triage(loop.join({_join_call(joined)}, fb.Comparison(reference="{fixed.reference}", '
        f'current="{fixed.current}"), metric="{facts.metric}", {given}draws={draws}, seed={seed})'
    )
    return Diagnosis(**{item.name: getattr(facts, item.name) for item in fields(facts)}, joined=joined, call=call)


def _rows_asked(joined: Joined) -> dict[str, object]:
    """Which rows were asked about, where it is not all of them."""
    asked: dict[str, object] = {}
    if joined.label_versions != "any":
        asked["label_versions"] = joined.label_versions
    if joined.narrowed:
        asked["narrowed"] = json.loads(joined.narrowed)
    return asked


def _join_call(joined: Joined) -> str:
    asked = _rows_asked(joined)
    versions = f', label_versions="{asked["label_versions"]}"' if "label_versions" in asked else ""
    narrowed = "".join(f".only({json.dumps({name: value})})" for name, value in json.loads(joined.narrowed or "[]"))
    return f'as_of="{joined.as_of.isoformat()}"{versions}){narrowed}'.replace(": null}", ": None}")
