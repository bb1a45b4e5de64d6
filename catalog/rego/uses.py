"""What only all policy files together show: rules that nothing uses, and looks at what no input has."""

from __future__ import annotations

import functools
import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from fairmesh.catalog.policyfiles import POLICIES
from fairmesh.catalog.rego.code import Group, InFile
from fairmesh.catalog.rego.gate import FIRSTS, NARROWING, PARTS
from fairmesh.catalog.rego.link import Linked
from fairmesh.catalog.rego.names import Path, all_literals, fixed_path, inputs_of, walk
from fairmesh.catalog.rego.syntax import Call, Ref, RegoSyntaxError, Rule, Scalar, Var


def check_linked(linked: Linked, files: Sequence[str]) -> None:
    """Raise `InFile` for a rule of the organisation or a domain that nothing uses, and for a look at what the input
    never has. Files of tests are not looked at."""
    for path, group in linked.groups.items():
        if path[0] == "fairmesh":
            for file, rule in _of_policy(group, files):
                for ref in inputs_of(rule):
                    _in_schema(ref, file)
                    if path[1:2] == ("domains",):
                        _of_no_person(ref, file)
    _check_used(linked, files)


def _of_policy(group: Group, files: Sequence[str]) -> list[tuple[int, Rule]]:
    return [(file, rule) for file, rule in group.rules if not files[file].endswith("_test.rego")]


def _of_no_person(ref: Ref, file: int) -> None:
    """What a domain proposes is answered with what it would change: by ids it could ask who there is."""
    looked_at = fixed_path(ref)
    if looked_at[:2] in ((), ("subject",), ("subject", "id")):
        raise InFile(file, RegoSyntaxError(
            "a domain's policy looks at who asks by id", ref.place, "Look at roles, teams, domains or clearance alone.",
        ))  # fmt: skip


def _owned(path: Path) -> bool:
    return path[0] == "fairmesh" and path[1:2] in FIRSTS


def _check_used(linked: Linked, files: Sequence[str]) -> None:
    owned = {path: group for path, group in linked.groups.items() if _owned(path) and _of_policy(group, files)}
    used = {path for path in owned if len(path) >= PARTS and path[PARTS - 1] in NARROWING}
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
                f"`{'.'.join(path[PARTS - 1 :])}` is used by nothing; the rules that narrow are {', '.join(NARROWING)}"
            )
            remedy = "Mend its name, use it, or remove it. Only rules of `package fairmesh.{}` itself narrow."
            raise InFile(file, RegoSyntaxError(message, rule.place, remedy.format(".".join(path[1 : PARTS - 1]))))


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
