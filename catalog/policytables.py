"""Golden tables: who does what to which product, and the answer a policy must give. YAML, one row a line.

    usual:
      subject: {kind: user, roles: [analyst], teams: [], domains: [], clearance: internal}
      product: {domain: sales, classification: internal, status: consume, tags: [], owner: "", members: []}
    subjects:
      visitor: {kind: anonymous, roles: [], clearance: public}
    products:
      open: {classification: public}
      policy-files: {type: policy, domain: ""}
    decisions:
      - {who: visitor, does: discover, what: open, answer: allow, because: [clearance-covers], masks: [restricted]}

Subjects and products say what differs from the `usual` ones. A product of `type: policy` or `type: ruleset` stands for
such files of its domain (those of all, when the domain is ""); one of `type: waiver` for waivers, given to products of
its domain, of the rule whose id is its tag. `masks`, `hides` and `filter` are the obligations of the
answer: classifications of masked columns, hidden fields, and the row filter; left out, there is none.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, cast

import yaml

from fairmesh.catalog.access import FILES, Access
from fairmesh.catalog.errors import InputError, ParseError
from fairmesh.catalog.model import AccessKey, Action, Decision, Obligations, Subject

_NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)
_SUBJECT = ("id", "kind", "roles", "teams", "domains", "clearance", "purpose")
_PRODUCT = ("type", "domain", "classification", "status", "tags", "owner", "members")
_KINDS = ("product", *FILES, "waiver")
_STATED = ("who", "does", "what", "answer", "because")
_ROW = (*_STATED, "masks", "hides", "filter")


@dataclass(frozen=True, slots=True)
class Row:
    """One line of a table. Facts may be of any type a table can hold: what cannot be asked is denied as malformed."""

    line: int
    name: str
    subject: Subject
    action: Action
    product: AccessKey
    kind: str
    """What the question is about: the product; files of its domain (one of `access.FILES`); or its waivers."""
    allow: bool
    because: tuple[str, ...]
    obligations: Obligations

    def failure(self, access: Access) -> str | None:
        """What the policy says instead; None when it says what the row does. Raises `PolicyUnavailable`."""
        found = self._ask(access)
        said = (found.allowed, found.reasons, found.obligations)
        expected = (self.allow, self.because, self.obligations)
        return None if said == expected else f"{_words(*said)} instead of {_words(*expected)}"

    def _ask(self, access: Access) -> Decision:
        who, does, domain = self.subject, self.action, self.product.domain
        if self.kind in FILES:
            return access.on_files(who, does, self.kind, domain, channel="http", now=_NOON)
        if self.kind == "waiver":
            about = [(domain, next(iter(self.product.tags), ""))]
            return access.on_waivers(who, does, about, channel="http", now=_NOON)[0]
        return access.decide(who, does, self.product, channel="http", now=_NOON)


def _words(allow: bool, because: Sequence[str], demanded: Obligations) -> str:
    lists = {"because": because, "masks": demanded.mask_columns, "hides": demanded.hide_fields}
    stated = "".join(f" {word} [{', '.join(found)}]" for word, found in lists.items() if found)
    rows = f" filter {demanded.row_filter!r}" if demanded.row_filter else ""
    return ("allow" if allow else "deny") + stated + rows


def read_table(data: bytes, name: str) -> list[Row]:
    """The rows of a golden table; `name` is the file's, for messages.

    Raises `ParseError` with line and column for what is not YAML, and `InputError` with the line for unknown or missing
    words, names that the table does not describe, and YAML anchors.
    """
    table = _read(data, name)
    _known(table, ("usual", "subjects", "products", "decisions"), name)
    usual = _mapping(table, "usual", name)
    _known(usual, ("subject", "product"), f"{name}: usual")
    subjects, products = _mapping(table, "subjects", name), _mapping(table, "products", name)
    rows = table.get("decisions")
    if not isinstance(rows, list):
        raise _error(f"{name} has no list of decisions", table, "Write `decisions:` and a row a line")
    common = (_mapping(usual, "subject", name), _mapping(usual, "product", name))
    return [_row(row, name, table, common, subjects, products) for row in rows]


class _Lined(dict[str, Any]):
    line = 1


class _Loader(yaml.SafeLoader):
    """YAML without anchors (they can multiply a small file) and without keys given twice."""

    def compose_node(self, parent: yaml.Node | None, index: int) -> yaml.Node | None:
        if self.check_event(yaml.AliasEvent):
            raise yaml.MarkedYAMLError(problem="an alias", problem_mark=self.get_mark())
        return super().compose_node(parent, index)


def _lined(loader: _Loader, node: yaml.MappingNode) -> _Lined:
    keys = [key.value for key, _ in node.value]
    if len(set(map(str, keys))) < len(keys):
        raise yaml.MarkedYAMLError(problem="a key given twice", problem_mark=node.start_mark)
    found = _Lined({str(key): value for key, value in loader.construct_mapping(node, deep=True).items()})
    found.line = node.start_mark.line + 1
    return found


_Loader.add_constructor("tag:yaml.org,2002:map", _lined)


def _read(data: bytes, name: str) -> _Lined:
    try:
        table = yaml.load(data.decode("utf-8"), Loader=_Loader)
    except UnicodeDecodeError:
        raise ParseError(f"{name} is not UTF-8", remedy="Save it as UTF-8") from None
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or yaml.Mark(name, 0, 0, 0, None, 0)
        raise ParseError(
            f"{name} is not a table in YAML: {error.problem}", line=mark.line + 1, column=mark.column + 1,
            remedy="Correct the file here",
        ) from None  # fmt: skip
    except (yaml.YAMLError, RecursionError, ValueError) as error:
        raise ParseError(f"{name} is not YAML: {str(error) or 'nested too deep'}", remedy="Correct the file") from None
    if not isinstance(table, _Lined):
        raise InputError(f"{name} is not a table", remedy="See policies/decisions/default.yaml for an example")
    return table


def _row(
    row: object, name: str, table: _Lined, common: tuple[_Lined, _Lined], subjects: _Lined, products: _Lined
) -> Row:
    if not isinstance(row, _Lined):
        raise _error(f"{name}: a decision is not a mapping", table, "Write {who: ..., does: ..., what: ..., ...}")
    _known(row, _ROW, name)
    for word in _STATED:
        if word not in row:
            raise _error(f"{name}: a decision says nothing of {word!r}", row, "Add it")
    who = {**common[0], **_named(subjects, row["who"], row, f"{name}: subject", _SUBJECT)}
    what = {**common[1], **_named(products, row["what"], row, f"{name}: product", _PRODUCT)}
    if row["answer"] not in ("allow", "deny"):
        raise _error(f"{name}: the answer {row['answer']!r}", row, "Write allow or deny")
    kind = what.get("type", "product")
    if kind not in _KINDS:
        raise _error(f"{name}: a product of type {kind!r}", row, f"Write {', '.join(_KINDS[:-1])} or {_KINDS[-1]}")
    return Row(
        row.line, f"{row['who']} {row['does']} {row['what']}", _subject(str(row["who"]), who, row, name),
        cast(Action, row["does"]), _key(what, row, name), kind, row["answer"] == "allow",
        _list(row, "because", row, name),
        Obligations(_list(row, "masks", row, name), _list(row, "hides", row, name), row.get("filter")),
    )  # fmt: skip


def _subject(name: str, facts: Mapping[str, Any], row: _Lined, file: str) -> Subject:
    roles, teams, domains = (_list(facts, word, row, file) for word in ("roles", "teams", "domains"))
    return Subject(
        facts.get("id", name), facts.get("kind", ""), roles, teams, domains, facts.get("clearance", ""),
        facts.get("purpose"),
    )  # fmt: skip


def _key(facts: Mapping[str, Any], row: _Lined, file: str) -> AccessKey:
    return AccessKey(
        facts.get("domain", ""), facts.get("classification", ""), facts.get("status", ""),
        _list(facts, "tags", row, file), facts.get("owner", ""), _list(facts, "members", row, file),
    )  # fmt: skip


def _named(described: _Lined, name: object, row: _Lined, what: str, words: Sequence[str]) -> _Lined:
    found = described.get(name) if isinstance(name, str) else None
    if not isinstance(found, _Lined):
        raise _error(f"{what} {name!r} is not described", row, "Describe it above, or correct the name")
    _known(found, words, what)
    return found


def _list(facts: Mapping[str, Any], word: str, row: _Lined, file: str) -> tuple[Any, ...]:
    found = facts.get(word, [])
    if not isinstance(found, list):
        raise _error(f"{file}: {word!r} is not a list", row, "Write [first, second]")
    return tuple(found)


def _mapping(facts: _Lined, word: str, name: str) -> _Lined:
    found = facts.get(word)
    if not isinstance(found, _Lined):
        raise _error(f"{name} has no mapping {word!r}", facts, "See policies/decisions/default.yaml for an example")
    return found


def _known(facts: _Lined, words: Sequence[str], what: str) -> None:
    for word in facts:
        if word not in words:
            raise _error(f"{what}: unknown word {word!r}", facts, f"Known: {', '.join(words)}")


def _error(message: str, place: _Lined, remedy: str) -> InputError:
    return InputError(message, line=place.line, remedy=remedy)
