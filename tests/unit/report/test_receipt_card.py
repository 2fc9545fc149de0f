"""The receipt's card: every text of a log is text in it; what is said stands in it."""

import html.parser
from datetime import UTC, datetime, timedelta

import polars as pl
import pytest

import fbkit as fb
from fbkit.session import Receipt
from tests.unit.report.hostile import HOSTILE

T0 = datetime(2024, 5, 6, tzinfo=UTC)
ALLOWED = {"style", "div", "p", "span", "b", "h4", "dl", "dt", "dd", "table", "thead", "tbody", "tr", "th", "td"}


class Structure(html.parser.HTMLParser):
    """Elements, attributes and text of a fragment."""

    def __init__(self) -> None:
        super().__init__()
        self.tags: set[str] = set()
        self.attributes: set[str] = set()
        self.text: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        self.attributes |= {name for name, _ in attrs}

    def handle_data(self, data: str) -> None:
        self.text.append(data)


def receipt(text: str) -> Receipt:
    left = pl.DataFrame(
        {
            "prediction_id": [text, f"{text}2"],
            "ts_pred": [T0, T0],
            "score": [0.5, 0.6],
            "model_version": [text] * 2,
            "region": [text] * 2,
            "account": [text.strip() or "a"] * 2,
            "feature": [text] * 2,
        }
    )
    right = pl.DataFrame(
        {
            "account": [text.strip() or "a"],
            "ts_event": [T0 + timedelta(hours=1)],
            "label": [1.0],
            "source": [text],
            "label_version": [text],
        }
    )
    actions = pl.DataFrame({"prediction_id": [text], "action": [text], "propensity": [0.5], "policy_id": [text]})
    contract = fb.Contract.from_dict({
        "model": {"name": "m"}, "predictions": {"columns": {"entity_id": ["account"]}},
        "outcomes": {"columns": {"entity_id": ["account"]}}, "actions": {}, "label": {"window": "4h"},
        "join": {"fallback": {"entity": "account", "rule": "latest"}}, "slices": {"columns": ["region"]},
        "features": {"columns": ["feature"], "definitions": {"feature": {"version": text, "owner": text}}},
    })  # fmt: skip
    joined = fb.open_loop(contract=contract, predictions=left, outcomes=right, actions=actions).join()
    return joined.receipt(joined.frame["prediction_id"][0])


def _storable(text: str) -> bool:
    """A frame holds no lone surrogate, and an empty id is refused at load."""
    return bool(text.strip()) and not any("\ud800" <= sign <= "\udfff" for sign in text)


@pytest.mark.parametrize("text", [text for text in HOSTILE if _storable(text)])
def test_hostile_text_becomes_no_element_no_attribute_and_no_escape_sequence(text: str) -> None:
    found = receipt(text)
    page = Structure()
    page.feed(found._repr_html_())
    assert page.tags <= ALLOWED
    assert page.attributes <= {"class", "style", "scope"}
    for said in (str(found), found.to_text(), repr(found)):
        assert not any(ord(sign) < 32 and sign != "\n" for sign in said)


def test_the_card_says_state_rivals_rule_and_time() -> None:
    page = Structure()
    page.feed(receipt("p")._repr_html_())
    said = " ".join(page.text)
    expected = (
        "pending",
        "not chosen",
        "claims it: the latest",
        "What the model saw",
        "2024-05-06 00:00 UTC",
        "by fallback",
    )
    assert [words for words in expected if words not in said] == []
    assert "receipt, as known at 2024-05-06 01:00 UTC" in said
