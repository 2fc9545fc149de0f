"""``fb.explore``: the explorers with what only the face of the house knows, exporters and receipts."""

from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from fbkit.errors import ArgumentError
from fbkit.ledger.ledger import Ledger
from fbkit.schema.period import Comparison
from fbkit.schema.protocols import check_joined
from fbkit.session.joined import Joined
from fbkit.session.loop import Loop
from fbkit.session.opening import open_loop
from fbkit.session.snapshots import open_page, save

if TYPE_CHECKING:
    from fbkit.explorers.page import Page
    from fbkit.explorers.source import Source
    from fbkit.explorers.state import View

SINGLE: Final = ("slices", "calibration", "availability", "drift", "thresholds", "predictions", "triage")


class Explore:
    """Explorers in the notebook: ``fb.explore(loop)`` is all of them on one linked page.

    ``fb.explore.slices``, ``.calibration``, ``.availability``, ``.drift``, ``.thresholds``, ``.predictions`` and
    ``.triage`` are the single ones; ``fb.explore.View`` is what they look at.
    """

    def __call__(
        self,
        thing: Any,
        comparison: Comparison | None = None,
        *,
        metric: str | None = None,
        by: str | None = None,
        view: "View | None" = None,
    ) -> "Page":
        """All explorers of a loop on one page, linked: what one of them picks, the others follow.

        Parameters
        ----------
        thing
            An open loop, a joined table, a ledger, the folder of a loop, or the file of a saved snapshot.
        comparison
            Two periods; by default the last mature week against what came before it.
        metric, by
            What to start with; by default the contract's primary metric and its first slice column.
        view
            A view to start with instead: ``fb.explore.View.open(path)``, or what "copy as code" gave.

        Raises
        ------
        ArgumentError
            Nothing that can be explored.
        InputError
            The snapshot is damaged or foreign.
        """
        from fbkit.explorers.page import Page
        from fbkit.explorers.source import Source

        if isinstance(thing, str | Path) and Path(thing).is_file() and Path(thing).suffix != ".toml":
            return open_page(Path(thing))
        opened = _opened(thing)
        source = Source.of(opened)
        start = view or source.view(comparison, metric=metric, by=by)
        if isinstance(opened, Joined):
            return _page_of_rows(opened, source, start)
        return Page(source, start, said="a ledger holds no logs to check", snapshot=_saved)

    def __getattr__(self, name: str) -> Any:
        # Imported when asked for: the command line and the analysis need no notebook.
        if name == "View":
            from fbkit.explorers.state import View

            return View
        if name not in SINGLE:
            raise AttributeError(f"fb.explore has no {name!r}; it has {', '.join((*SINGLE, 'View'))}")
        from fbkit import explorers

        return getattr(explorers, name)

    def __dir__(self) -> list[str]:
        return [*SINGLE, "View"]

    def __repr__(self) -> str:
        return f"<fb.explore: call it with a loop, or use one of {', '.join(SINGLE)}>"


def _opened(thing: Any) -> Any:
    if isinstance(thing, str | Path):
        thing = open_loop(thing)
    if isinstance(thing, Loop):
        return thing.join()
    if isinstance(thing, Ledger):
        return thing
    with suppress(ArgumentError):
        check_joined(thing)
        return thing
    raise ArgumentError(
        "this cannot be explored",
        got=type(thing).__name__,
        allowed="an open loop, a joined table, a ledger, or the file of a snapshot",
        next_step="fb.explore(fb.open_loop(folder))",
    )


def _page_of_rows(joined: Joined, source: "Source", view: "View") -> "Page":
    from fbkit.diagnose.strip import loop_strip
    from fbkit.explorers.page import Page
    from fbkit.explorers.triage_panel import TriagePanel
    from fbkit.session.diagnosis import triage

    def diagnose(asked: "View") -> Any:
        narrowed = joined.only(dict(asked.focus), version=asked.version)
        return triage(narrowed, Comparison(reference=asked.reference, current=asked.now), metric=asked.metric)

    return Page(
        source,
        view,
        strip=lambda: loop_strip(joined, current=view.current),
        further={"triage": lambda _, shared: TriagePanel(diagnose, shared)},
        snapshot=_saved,
    )


def _saved(page: "Page", path: Path) -> Path:
    card = getattr(page.explorers.get("triage"), "card", None)
    diagnosis = None if card is None else card.diagnosis
    return save(page.source, page.shared.view(), path, strip=page.strip.frame, diagnosis=diagnosis)


explore = Explore()
