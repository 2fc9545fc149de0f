"""Every error says what, got, allowed and the next step, in text and under fixed keys."""

import pytest

from fbkit import errors


def every_class() -> list[type[errors.FbkitError]]:
    return [errors.FbkitError, *errors.FbkitError.__subclasses__()]


@pytest.mark.parametrize("kind", every_class())
def test_an_error_has_four_parts_and_a_code(kind: type[errors.FbkitError]) -> None:
    error = kind("what", got=3, allowed="a, b", next_step="do it")
    assert str(error) == "what\n  got: 3\n  allowed: a, b\n  next step: do it"
    expected = {"code": kind.code, "what": "what", "got": "3", "allowed": "a, b", "next_step": "do it"}
    assert error.as_json() == {"error": expected}
    assert str(kind("alone")) == "alone"


def test_codes_tell_the_classes_apart() -> None:
    assert len({kind.code for kind in every_class()}) == len(every_class())


def test_long_values_are_cut_in_the_middle() -> None:
    text = errors.shorten("a" * 500 + "z", limit=50)
    assert (len(text), text[0], text[-1]) == (50, "a", "z")
    assert errors.shorten("short") == "short"
    assert len(errors.InputError("x", got="y" * 9999).got or "") == 400


def test_the_nearest_name_is_proposed_only_when_it_is_near() -> None:
    assert errors.nearest("windw", ["window", "grace"]) == "window"
    assert errors.nearest("zzz", ["window"]) is None
