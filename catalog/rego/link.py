"""From Rego modules to the groups of rules that code is written for: names resolved, contradictions refused."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

from fairmesh.catalog.rego.code import Group, InFile, Node
from fairmesh.catalog.rego.names import Path, Resolver
from fairmesh.catalog.rego.syntax import Module, RegoSyntaxError, Rule, Scalar


@dataclass(frozen=True, slots=True)
class Linked:
    """Groups by their path (from below `data`), and the same as a tree."""

    groups: Mapping[Path, Group]
    tree: Node


def link(modules: list[Module]) -> Linked:
    """Raises `InFile` for names that mean nothing and rules that contradict each other."""
    found: dict[Path, list[tuple[int, Rule]]] = {}
    for file, module in enumerate(modules):
        for rule in module.rules:
            found.setdefault((*module.package, *rule.name), []).append((file, rule))
    found = _gathered(found)
    firsts: dict[Path, set[str]] = {}
    for module in modules:
        firsts.setdefault(module.package, set()).update(rule.name[0] for rule in module.rules)

    def arity(path: Path) -> int | None:
        there = found.get(path, ())
        return next((len(rule.args) for _, rule in there if rule.kind == "function"), None)

    resolvers = [Resolver(module, frozenset(firsts[module.package]), arity) for module in modules]
    groups = {}
    for path, rules in found.items():
        kind = _kind(path, rules)
        groups[path] = Group(kind, path, tuple((file, _resolved(resolvers[file], file, rule)) for file, rule in rules))
    return Linked(groups, _tree(groups, modules))


def _gathered(found: Mapping[Path, list[tuple[int, Rule]]]) -> dict[Path, list[tuple[int, Rule]]]:
    """Rules with keys are one object with those whose names go on below theirs."""
    keyed = {path for path, rules in found.items() if any(rule.keys for _, rule in rules)}
    gathered: dict[Path, list[tuple[int, Rule]]] = {}
    for path, rules in found.items():
        owner = next((path[:end] for end in range(1, len(path)) if path[:end] in keyed), path)
        for file, rule in rules:
            below = tuple(Scalar(name, rule.place) for name in path[len(owner) :])
            gathered.setdefault(owner, []).append((file, replace(rule, keys=(*below, *rule.keys))))
    return gathered


def _kind(path: Path, rules: list[tuple[int, Rule]]) -> str:
    """Refuses what cannot stand under one name."""
    name = ".".join(path)
    kinds = {"object" if rule.keys else rule.kind for _, rule in rules}
    file, last = rules[-1]
    if len(kinds) > 1:
        raise _refused(
            file, last, f"{name} is defined as {' and as '.join(sorted(kinds))}", "Name one of them otherwise."
        )
    defaults = [(file, rule) for file, rule in rules if rule.default]
    if len(defaults) > 1:
        raise _refused(*defaults[1], f"{name} has two defaults", "Keep one.")
    if len({len(rule.args) for _, rule in rules}) > 1:
        raise _refused(file, last, f"{name} takes different numbers of arguments", "Name one of them otherwise.")
    for file, rule in rules:
        if rule.keys and (len(rule.branches) > 1 or rule.default or rule.kind == "function"):
            raise _refused(file, rule, f"{name} has keys and `else`, `default` or arguments", "Use a function.")
    always = [
        (file, rule)
        for file, rule in rules
        if rule.kind == "complete" and not (rule.keys or rule.default or rule.branches[0].body)
    ]
    values = {repr(rule.branches[0].value.value) for _, rule in always if isinstance(rule.branches[0].value, Scalar)}
    if len(values) > 1:
        raise _refused(*always[-1], f"{name} has two values", "Keep one, or give each a condition.")
    return kinds.pop()


def _refused(file: int, rule: Rule, message: str, remedy: str) -> InFile:
    return InFile(file, RegoSyntaxError(message, rule.place, remedy))


def _resolved(resolver: Resolver, file: int, rule: Rule) -> Rule:
    try:
        return resolver.rule(rule)
    except RegoSyntaxError as error:
        raise InFile(file, error) from None
    except RecursionError:
        raise InFile(file, RegoSyntaxError("nested too deeply", rule.place)) from None


def _tree(groups: Mapping[Path, Group], modules: list[Module]) -> Node:
    root = Node()
    for module in modules:
        _node(root, module.package)
    for path, group in groups.items():
        node = _node(root, path)
        node.group = group
    for path, group in groups.items():
        node = root
        for name in path:
            if node.group is not None:
                break
            node = node.children[name]
        if node.group is not group or node.children:
            file, rule = group.rules[0]
            raise _refused(
                file, rule, f"{'.'.join(path)} has the name of a package or of a part of a rule", "Rename it."
            )
    return root


def _node(root: Node, path: Path) -> Node:
    for name in path:
        root = root.children.setdefault(name, Node())
    return root
