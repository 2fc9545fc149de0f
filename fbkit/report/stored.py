"""A document as plain JSON values and back: the text of a bundle, block by block, before any format."""

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any, Final, get_args

from fbkit.errors import InputError
from fbkit.report.document import Block, Document, Section

_KINDS: Final = {kind.__name__: kind for kind in get_args(Block)}
_MOST: Final = 20_000


def to_stored(document: Document, *, lead: Sequence[Block] = ()) -> dict[str, Any]:
    """The document as JSON values; a block names its kind. ``lead`` is what stands above the sections on paper."""
    return {
        "title": document.title,
        "subtitle": document.subtitle,
        "lead": [_block_to_stored(block) for block in lead],
        "sections": [section_to_stored(section) for section in document.sections],
    }


def section_to_stored(section: Section) -> dict[str, Any]:
    """One section as JSON values."""
    stored = [_block_to_stored(block) for block in section.blocks]
    return {"key": section.key, "title": section.title, "level": section.level, "blocks": stored}


def _block_to_stored(block: Block) -> dict[str, Any]:
    made: dict[str, Any] = {"block": type(block).__name__}
    for field in dataclasses.fields(block):
        value = getattr(block, field.name)
        if isinstance(value, frozenset):
            value = sorted(value)
        elif isinstance(value, tuple | list):
            value = [_item_to_stored(item) for item in value]
        made[field.name] = value
    return made


def _item_to_stored(item: Any) -> Any:
    if type(item).__name__ in _KINDS:
        return _block_to_stored(item)
    return list(item) if isinstance(item, tuple | list) else item


def from_stored(facts: object) -> Document:
    """The document again.

    Raises
    ------
    InputError
        The values are not those of a document: a wrong type, an unknown block, far too many of them.
    """
    known = _mapping(facts)
    sections = [section_from_stored(item) for item in _list(known.get("sections"))]
    return Document(title=_text(known.get("title")), subtitle=_text(known.get("subtitle")), sections=sections)


def lead_from_stored(facts: object) -> list[Block]:
    """What stands above the sections on paper; errors as in :func:`from_stored`."""
    return [_block_from_stored(item) for item in _list(_mapping(facts).get("lead", []))]


def section_from_stored(facts: object) -> Section:
    """One section again; errors as in :func:`from_stored`."""
    known = _mapping(facts)
    level = known.get("level")
    found = [_block_from_stored(item) for item in _list(known.get("blocks"))]
    if level not in (2, 3):
        raise _damaged(f"a heading of level {level!r}")
    return Section(key=_text(known.get("key")), title=_text(known.get("title")), blocks=found, level=level)


def _block_from_stored(facts: object) -> Any:
    known = _mapping(facts)
    kind = _KINDS.get(str(known.get("block")))
    if kind is None:
        raise _damaged(f"a block of the kind {str(known.get('block'))[:40]!r}")
    made: dict[str, Any] = {}
    for field in dataclasses.fields(kind):
        if field.name in known:
            made[field.name] = _field(str(field.type), field.name, known[field.name])
        elif field.default is dataclasses.MISSING and field.default_factory is dataclasses.MISSING:
            raise _damaged(f"a {kind.__name__} without {field.name}")
    return kind(**made)


def _field(annotation: str, name: str, value: object) -> Any:
    """One field of a block, by what it may hold."""
    if name == "blocks":
        return [_block_from_stored(item) for item in _list(value)]
    if name == "rows":
        return [[_text(cell) for cell in _list(row)] for row in _list(value)]
    if name == "numeric":
        return frozenset(number for number in _list(value) if isinstance(number, int))
    if name == "items" and "tuple" in annotation:
        pairs = [[_text(part) for part in _list(item)] for item in _list(value)]
        if any(len(pair) != 2 for pair in pairs):
            raise _damaged("a field that is not a name and a value")
        return [tuple(pair) for pair in pairs]
    if isinstance(value, list):
        return [_text(item) for item in _list(value)]
    return value if isinstance(value, bool | int) else _text(value)


def _mapping(value: object) -> Mapping[str, object]:
    if not isinstance(value, Mapping):
        raise _damaged(f"{type(value).__name__} where a mapping belongs")
    return value


def _list(value: object) -> list[object]:
    if not isinstance(value, list) or len(value) > _MOST:
        raise _damaged(f"{type(value).__name__} where a list of at most {_MOST:,} belongs")
    return value


def _text(value: object) -> str:
    if not isinstance(value, str):
        raise _damaged(f"{type(value).__name__} where a text belongs")
    return value


def _damaged(got: str) -> InputError:
    return InputError(
        "the stored document is damaged",
        got=got,
        allowed=f"the blocks {', '.join(sorted(_KINDS))} as this version writes them",
        next_step="write the bundle anew from the loop",
    )
