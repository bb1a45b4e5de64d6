"""What a policy file may not say although it is Rego: `with`, a look into the packages of others, and entries that
would do nothing, silently. What takes all files to see is in `uses`."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence

from fairmesh.catalog.model import CLASSIFICATIONS, FIELD_NAMES
from fairmesh.catalog.rego.names import Path, all_literals, fixed_path, walk
from fairmesh.catalog.rego.syntax import (
    Call,
    Comprehension,
    Items,
    Literal,
    Module,
    Pairs,
    Place,
    Ref,
    RegoSyntaxError,
    Rule,
    Scalar,
    Term,
    Var,
    With,
)

_OWNED = ("domains", "org")
"""Folders, and packages below `fairmesh`, that belong to the domain or the part of the organisation named next."""


def check_module(path: str, module: Module) -> None:
    """Raise `RegoSyntaxError` for a module that does not belong at `path`, or uses what a policy may not.

    Files below `domains/<d>/` and `org/<o>/` are of `package fairmesh.domains.<d>`, `fairmesh.org.<o>` or one below it,
    and refer to no other package of either kind; no other file is of such a package.
    """
    owner = _placed(path.split("/")[:-1], module)
    for rule in module.rules:
        _free((*module.package, *rule.name), rule.place)
    _free(module.package, module.place)
    if owner:
        for rule in module.rules if len(module.package) == PARTS - 1 else ():
            _check_entries(rule)
        for name, place in module.imports.values():
            if name[0] == "data":
                _own(owner, name[1:], place)
    for literal in (literal for rule in module.rules for literal in all_literals(rule)):
        if isinstance(literal, With) and (owner or any(path[0] != "input" for path, _ in literal.changes)):
            raise RegoSyntaxError(
                "`with` outside of tests", literal.place,
                "Rules of *_test.rego may say it; files of everybody's packages `with input` too.",
            )  # fmt: skip
        for name, place in _referred(literal) if owner else ():
            _own(owner, name, place)


def _placed(folders: Sequence[str], module: Module) -> Path:
    """The owner of the package; empty when it is everybody's."""
    package = ".".join(module.package)
    folder = next((tuple(folders[i : i + 2]) for i, word in enumerate(folders) if word in _OWNED), ())
    named = module.package[1:3] if module.package[0] == "fairmesh" and module.package[1:2] in FIRSTS else ()
    if folder and folder != named:
        raise RegoSyntaxError(
            f"the package {package} in the folder {'/'.join(folder)}",
            module.place,
            f"Files there are of `package fairmesh.{'.'.join(folder)}`, or of one below it.",
        )
    if named and (not folder or len(named) < 2):
        raise RegoSyntaxError(
            f"the package {package} outside of its folder",
            module.place,
            f"Its files stand in the folder {'/'.join(named)}, named for the owner.",
        )
    return named


FIRSTS = tuple((word,) for word in _OWNED)


def _referred(literal: Literal) -> Iterator[tuple[Path, Place]]:
    """The paths into data that a literal names, up to the first part that is not fixed."""
    heads = {id(term.head) for term in walk(literal, closures=False) if isinstance(term, Ref)}
    for term in walk(literal, closures=False):
        if isinstance(term, Call) and isinstance(term.function, str) and term.function.startswith("data."):
            yield tuple(term.function.split(".")[1:]), term.place
        elif isinstance(term, Var) and term.name == "data" and id(term) not in heads:
            yield (), term.place
        elif isinstance(term, Ref) and isinstance(term.head, Var) and term.head.name == "data":
            yield fixed_path(term), term.place


def _own(owner: Path, name: Path, place: Place) -> None:
    whole = name in ((), ("fairmesh",))
    others = name[:1] == ("fairmesh",) and name[1:2] in FIRSTS and name[1:3] != owner
    if whole or others:
        raise RegoSyntaxError(
            f"data{''.join('.' + part for part in name)} is not of the package fairmesh.{'.'.join(owner)}",
            place,
            "A package of a domain or of the organisation refers to itself, and to what belongs to nobody.",
        )


# -- places that are taken -----------------------------------------------------------------------------------------

_TAKEN = (("trino",), ("fairmesh", "catalog"), ("fairmesh", "subjects"))


def _free(path: Path, place: Place) -> None:
    """The bundle for OPA servers fills some places itself."""
    for taken in _TAKEN:
        if path[: len(taken)] == taken:
            raise RegoSyntaxError(
                f"data.{'.'.join(taken)} is filled by the bundle for OPA servers", place, "Name the package otherwise."
            )


# -- entries -------------------------------------------------------------------------------------------------------

PARTS = 4
"""Of the path of a rule that narrows: fairmesh, org or domains, the owner, the rule."""
NARROWING: Mapping[str, tuple[str, frozenset[str] | None]] = {
    "deny": ("reason", None),
    "mask": ("classification", frozenset(CLASSIFICATIONS)),
    "hide": ("field", frozenset((*FIELD_NAMES, *FIELD_NAMES.values()))),
    "rows": ("filter", None),
}
"""By rule, the key of its entries beside `id`, and the words that it takes."""
_CODE = re.compile(r"[a-z][a-z0-9]*(-[a-z0-9]+)*")


def _check_entries(rule: Rule) -> None:
    """Raise for an entry, as far as it is written out, that says nothing that can be done."""
    if len(rule.name) > 1 or rule.name[0] not in NARROWING or rule.keys or rule.kind == "function":
        return
    key, words = NARROWING[rule.name[0]]
    for entry in (entry for branch in rule.branches for entry in _entries(rule, branch.value)):
        stated = {name.value: value for name, value in entry.items if isinstance(name, Scalar)}
        missing = [wanted for wanted in ("id", key) if wanted not in stated]
        if missing and len(stated) == len(entry.items):
            raise RegoSyntaxError(
                f"an entry of {rule.name[0]} without {missing[0]}", entry.place, f"Its keys are id and {key}."
            )
        word = stated.get(key)
        if isinstance(word, Scalar):
            _check_word(key, words, word)


def _entries(rule: Rule, value: Term) -> Iterator[Pairs]:
    """The objects that a rule's value is made of; none of those that a variable holds."""
    parts: Iterable[Term] = (value,) if rule.kind == "set" else ()
    if rule.kind != "set" and isinstance(value, Items):
        parts = value.items
    elif rule.kind != "set" and isinstance(value, Comprehension) and value.kind == "set":
        parts = value.heads
    for part in parts:
        if isinstance(part, Pairs):
            yield part


def _check_word(key: str, words: frozenset[str] | None, word: Scalar) -> None:
    found = word.value
    if type(found) is not str or not found or (words is not None and found not in words):
        known = f"One of {', '.join(sorted(words))}." if words else f"The {key} is a text."
        raise RegoSyntaxError(f"{_shown(found)} is no {key}", word.place, known)
    if key == "reason" and (len(found) > 64 or not _CODE.fullmatch(found)):
        raise RegoSyntaxError(f"{_shown(found)} is no reason", word.place, "Write a code: small-letters-and-hyphens.")


def _shown(value: object) -> str:
    return json.dumps(value, ensure_ascii=False) if isinstance(value, str) else repr(value)
