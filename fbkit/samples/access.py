"""Where the sample data are: inside the installed package, or beside it in a source checkout."""

from pathlib import Path

from fbkit.errors import ArgumentError

_PACKAGED = Path(__file__).parent / "data"
_CHECKOUT = Path(__file__).parents[2] / "data_samples"


def names() -> tuple[str, ...]:
    """Names of the samples at hand, sorted; each is a loop folder or a folder of loop folders."""
    found = {folder.name for root in (_PACKAGED, _CHECKOUT) for folder in _samples(root)}
    return tuple(sorted(found))


def path(name: str) -> Path:
    """The folder of a sample, for example `recall_drop` or one of its loops, `recall_drop/variant_a`.

    Raises ArgumentError if there is no such sample.
    """
    for root in (_PACKAGED, _CHECKOUT):
        folder = (root / name).resolve()
        if folder.is_dir() and any(folder.is_relative_to(sample.resolve()) for sample in _samples(root)):
            return folder
    raise ArgumentError("no such sample", got=name, allowed=names(), next_step="call fbkit.samples.names()")


def _samples(root: Path) -> list[Path]:
    return [entry.parent for entry in root.glob("*/PROVENANCE.toml")] if root.is_dir() else []
