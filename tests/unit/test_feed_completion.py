"""Options of an import, and the file that completes it."""

from __future__ import annotations

import pytest

from fairmesh.catalog.errors import InputError, ParseError
from fairmesh.catalog.feeds import Completion, ImportOptions
from fairmesh.catalog.feeds.completion import read_completions


def test_a_file_gives_completions_by_product() -> None:
    text = b"""
        '*': {owner: Everyone, version: 1.2.0}
        sales.orders:
          classification: confidential
          keywords: [orders, checkout]
        """
    assert read_completions(text, "c.yaml") == {
        "*": Completion(owner="Everyone", version="1.2.0"),
        "sales.orders": Completion(classification="confidential", keywords=("orders", "checkout")),
    }
    assert read_completions(b"# nothing yet\n", "c.yaml") == {}


@pytest.mark.parametrize(
    ("text", "line", "message"),
    [
        ("a.b:\n  ownr: x", 2, "c.yaml: a.b: 'ownr' is not a known key"),
        ("a.b:\n  owner: x\n  owner: y", 3, "c.yaml: a.b: 'owner' is given twice"),
        ("a.b: {}\na.b: {}", 2, "c.yaml: 'a.b' is given twice"),
        ("a.b: x", 1, "c.yaml: a.b is not a mapping"),
        ("- x", 1, "c.yaml is not a mapping"),
        ("a.b:\n  owner: [x]", 2, "c.yaml: a.b: owner has a value that is not a text"),
        ("a.b:\n  owner:", 2, "c.yaml: a.b: owner has a value that is not a text"),
        ("a.b:\n  keywords: x", 2, "c.yaml: a.b: keywords is not a list"),
        ("a.b:\n  status: retired", 2, "c.yaml: a.b: status 'retired' is not known"),
        ("a.b:\n  version: '1'", 2, "c.yaml: a.b: version '1' is not a semantic version"),
        ("a.b:\n  contact: nobody", 2, "c.yaml: a.b: contact 'nobody' reaches nobody"),
        ("a.b:\n  license: MIT", 2, "c.yaml: a.b: license 'MIT' is not an IRI"),
        ("a.b:\n  owner: ''", 2, "c.yaml: a.b: owner is empty"),
    ],
)
def test_what_is_wrong_is_named_with_its_line(text: str, line: int, message: str) -> None:
    with pytest.raises(InputError) as error:
        read_completions(text.encode(), "c.yaml")
    assert (error.value.message, error.value.line) == (message, line)
    assert error.value.remedy


@pytest.mark.parametrize("text", [b"a: [", b"a: \xff", b"a: *gone", b"[" * 5000, b"a: b\n---\nc: d"])
def test_what_is_not_yaml_is_refused(text: bytes) -> None:
    with pytest.raises(ParseError, match=r"c\.yaml"):
        read_completions(text, "c.yaml")


def test_aliases_do_not_swell() -> None:
    bomb = "a: &a {owner: x}\n" + "\n".join(f"k{n}: *a" for n in range(1000))
    assert len(read_completions(bomb.encode(), "c.yaml")) == 1001


def test_a_product_is_completed_by_its_key_then_by_all_then_by_options() -> None:
    completions = {"d.p": Completion(owner="One"), "*": Completion(owner="All", version="2.0.0")}
    options = ImportOptions("d", owner="Option", contact="a@b.test", completions=completions)
    assert options.defaults("d.p") == Completion(
        owner="One", version="2.0.0", contact="a@b.test", classification="internal", status="build"
    )
    assert options.defaults("d.q").owner == "All"
    assert options.unmatched(["d.q"]) == ["completed product d.p is not in this source"]


@pytest.mark.parametrize(
    "wrong",
    [
        {"domain": "Sales"}, {"domain": "a.b"}, {"domain": ""}, {"domain": "d", "status": "retired"},
        {"domain": "d", "classification": "secret"}, {"domain": "d", "owner": " "},
    ],
)  # fmt: skip
def test_options_that_cannot_be_used_are_refused(wrong: dict[str, str]) -> None:
    with pytest.raises(InputError) as error:
        ImportOptions(**wrong)
    assert error.value.remedy
