"""What a policy file may not say although it is Rego: `with`, a look into the packages of others, and what would do
nothing, silently: rules that nothing uses, words that do not exist, input that there never is."""

from __future__ import annotations

import functools
import json
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from fairmesh.catalog.model import CLASSIFICATIONS, FIELD_NAMES
from fairmesh.catalog.policyfiles import POLICIES
from fairmesh.catalog.rego.code import Group, InFile
from fairmesh.catalog.rego.link import Linked
from fairmesh.catalog.rego.names import Path, all_literals, fixed_path, inputs_of, walk
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
        for rule in module.rules if len(module.package) == _PARTS - 1 else ():
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
    named = module.package[1:3] if module.package[0] == "fairmesh" and module.package[1:2] in _FIRSTS else ()
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


_FIRSTS = tuple((word,) for word in _OWNED)


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
    others = name[:1] == ("fairmesh",) and name[1:2] in _FIRSTS and name[1:3] != owner
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

_PARTS = 4  # of the path of a rule that narrows: fairmesh, org or domains, the owner, the rule
_WORDS: Mapping[str, tuple[str, frozenset[str] | None]] = {
    "deny": ("reason", None),
    "mask": ("classification", frozenset(CLASSIFICATIONS)),
    "hide": ("field", frozenset((*FIELD_NAMES, *FIELD_NAMES.values()))),
    "rows": ("filter", None),
}
"""By rule, the key of its entries beside `id`, and the words that it takes."""
_CODE = re.compile(r"[a-z][a-z0-9]*(-[a-z0-9]+)*")


def _check_entries(rule: Rule) -> None:
    """Raise for an entry, as far as it is written out, that says nothing that can be done."""
    if rule.name not in ((name,) for name in _WORDS) or rule.keys or rule.kind == "function":
        return
    key, words = _WORDS[rule.name[0]]
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


# -- the whole of it -----------------------------------------------------------------------------------------------


def check_linked(linked: Linked, files: Sequence[str]) -> None:
    """Raise `InFile` for a rule of the organisation or a domain that nothing uses, and for a look at what the input
    never has. Files of tests are not looked at."""
    for path, group in linked.groups.items():
        if path[0] == "fairmesh":
            for file, rule in _of_policy(group, files):
                for ref in inputs_of(rule):
                    _in_schema(ref, file)
    _check_used(linked, files)


def _of_policy(group: Group, files: Sequence[str]) -> list[tuple[int, Rule]]:
    return [(file, rule) for file, rule in group.rules if not files[file].endswith("_test.rego")]


def _owned(path: Path) -> bool:
    return path[0] == "fairmesh" and path[1:2] in _FIRSTS


def _check_used(linked: Linked, files: Sequence[str]) -> None:
    owned = {path: group for path, group in linked.groups.items() if _owned(path) and _of_policy(group, files)}
    used = {path for path in owned if len(path) >= _PARTS and path[_PARTS - 1] in _WORDS}
    for path, group in linked.groups.items():
        if not _owned(path):  # what belongs to everybody may name a rule of one owner
            used |= _uses(_of_policy(group, files), owned, whole=False)
    left = list(used)
    while left:
        new = _uses(_of_policy(owned[left.pop()], files), owned, whole=True) - used
        used |= new
        left += new
    for path, group in owned.items():
        if path not in used:
            file, rule = _of_policy(group, files)[0]
            message = (
                f"`{'.'.join(path[_PARTS - 1 :])}` is used by nothing; the rules that narrow are {', '.join(_WORDS)}"
            )
            remedy = "Mend its name, use it, or remove it. Only rules of `package fairmesh.{}` itself narrow."
            raise InFile(file, RegoSyntaxError(message, rule.place, remedy.format(".".join(path[1 : _PARTS - 1]))))


def _uses(rules: Iterable[tuple[int, Rule]], groups: Mapping[Path, Group], *, whole: bool) -> set[Path]:
    """The groups that rules refer to; those below a package that is referred to only when `whole`."""
    found: set[Path] = set()
    for named in {name for _, rule in rules for name in _named(rule)}:
        found |= {named[:end] for end in range(1, len(named) + 1) if named[:end] in groups}
        if whole:
            found |= {path for path in groups if path[: len(named)] == named}
    return found


def _named(rule: Rule) -> Iterator[Path]:
    """The paths into data that a resolved rule names."""
    for literal in all_literals(rule):
        for term in walk(literal, closures=False):
            if isinstance(term, Call) and isinstance(term.function, tuple):
                yield term.function
            elif isinstance(term, Ref) and isinstance(term.head, Var) and term.head.name == "data":
                yield fixed_path(term)


@functools.cache
def _schema() -> Mapping[str, Any]:
    found: dict[str, Any] = json.loads((POLICIES / "schemas" / "input.json").read_text("utf-8"))
    return found


def _in_schema(ref: Ref, file: int) -> None:
    """Raise for a path that no input has. What a variable chooses among fields is not known."""
    node, shown = _schema(), "input"
    for key in ref.path:
        text = key.value if isinstance(key, Scalar) and type(key.value) is str else None
        shown += f".{text}" if text is not None else "[_]"
        fields = node.get("properties")
        if fields is not None and text is None:
            return
        inner = fields.get(text) if fields is not None else node.get("additionalProperties") or node.get("items")
        if inner is None or (text is not None and node["type"] == "array"):
            known = f"There are: {', '.join(sorted(fields))}. " if fields else ""
            remedy = f"{known}policies/schemas/input.json lists what an input has."
            raise InFile(file, RegoSyntaxError(f"no input has {shown}", key.place, remedy))
        node = inner
