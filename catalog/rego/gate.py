"""What a policy file may not say although it is Rego: `with`, and a look into the packages of others."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from fairmesh.catalog.rego.names import Path, all_literals, walk
from fairmesh.catalog.rego.syntax import Call, Literal, Module, Place, Ref, RegoSyntaxError, Scalar, Var, With

_OWNED = ("domains", "org")
"""Folders, and packages below `fairmesh`, that belong to the domain or the part of the organisation named next."""


def check_module(path: str, module: Module) -> None:
    """Raise `RegoSyntaxError` for a module that does not belong at `path`, or uses what a policy may not.

    Files below `domains/<d>/` and `org/<o>/` are of `package fairmesh.domains.<d>`, `fairmesh.org.<o>` or one below it,
    and refer to no other package of either kind; no other file is of such a package.
    """
    owner = _placed(path.split("/")[:-1], module)
    if owner:
        for name, place in module.imports.values():
            if name[0] == "data":
                _own(owner, name[1:], place)
    for literal in (literal for rule in module.rules for literal in all_literals(rule)):
        if isinstance(literal, With):
            raise RegoSyntaxError("`with` outside of tests", literal.place, "Rules of *_test.rego may say it.")
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
            yield _fixed(term), term.place


def _fixed(ref: Ref) -> Path:
    names: list[str] = []
    for key in ref.path:
        if not isinstance(key, Scalar) or type(key.value) is not str:
            break
        names.append(key.value)
    return tuple(names)


def _own(owner: Path, name: Path, place: Place) -> None:
    whole = name in ((), ("fairmesh",))
    others = name[:1] == ("fairmesh",) and name[1:2] in _FIRSTS and name[1:3] != owner
    if whole or others:
        raise RegoSyntaxError(
            f"data{''.join('.' + part for part in name)} is not of the package fairmesh.{'.'.join(owner)}",
            place,
            "A package of a domain or of the organisation refers to itself, and to what belongs to nobody.",
        )
