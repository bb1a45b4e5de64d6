"""Questions in JSON, read part by part: what is not expected is refused by name."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from fairmesh.catalog.errors import InputError
from fairmesh.catalog.model import Subject


def read_subject(value: object) -> Subject:
    """The subject that `{id, kind, roles, teams, domains, clearance, purpose}` describes; only id and kind are needed.

    Raises `InputError`.
    """
    lists = ("roles", "teams", "domains")
    fields = read_object(value, "subject", required=("id", "kind"), optional=(*lists, "clearance", "purpose"))
    roles, teams, domains = (
        tuple(sorted(set(read_texts(fields.get(name, []), f"{name} of subject")))) for name in lists
    )
    purpose = fields.get("purpose")
    return Subject(
        read_text(fields["id"], "id of subject"), read_text(fields["kind"], "kind of subject"), roles, teams, domains,
        read_text(fields.get("clearance", "public"), "clearance of subject"),
        None if purpose is None else read_text(purpose, "purpose of subject"),
    )  # fmt: skip


def read_object(value: object, where: str, *, required: Sequence[str], optional: Sequence[str]) -> dict[str, Any]:
    """An object with these fields and no others. Raises `InputError`, as do the others here."""
    if not isinstance(value, dict):
        raise wrong(where, "an object")
    for name in value:
        if name not in (*required, *optional):
            raise InputError(
                f"{where} has an unknown field {name[:80]!r}", remedy=f"Known: {', '.join((*required, *optional))}"
            )
    for name in required:
        if name not in value:
            raise InputError(f"{where} has no {name}", remedy="Add it")
    return value


def read_text(value: object, where: str) -> str:
    if not isinstance(value, str):
        raise wrong(where, "a text")
    return value


def read_texts(value: object, where: str) -> tuple[str, ...]:
    if not isinstance(value, list):
        raise wrong(where, "a list of texts")
    return tuple(read_text(item, where) for item in value)


def wrong(where: str, expected: str) -> InputError:
    return InputError(f"{where} is not {expected}", remedy="Correct it; docs/enforcement.md shows the form")
