"""The policy files: read and digested. `fairmesh.catalog.rego` checks and runs them."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from fairmesh.catalog.errors import ConfigError

ENTRY = "fairmesh/access/decisions"
RULE = "data." + ENTRY.replace("/", ".")
POLICIES = Path(__file__).parent.parent / "policies"
ENFORCEMENT = "enforcement/"
"""Below this a policy folder keeps Rego for engines that ask an OPA server; the mesh itself does not load it."""


@dataclass(frozen=True, slots=True)
class PolicySet:
    """The Rego modules of one folder, without their tests: bytes by path relative to the folder, sorted.

    `digest` is the SHA-256 over paths and bytes: the policy revision that decisions name.
    """

    files: Mapping[str, bytes]
    digest: str

    @classmethod
    def load(cls, folder: Path = POLICIES) -> PolicySet:
        """Read every `*.rego` below `folder` but `*_test.rego`. Raises `ConfigError` when there is none."""
        files = {path: body for path, body in read_modules(folder).items() if not path.endswith("_test.rego")}
        if not files:
            raise ConfigError(f"no policy in {folder}", remedy="Name a folder that holds *.rego files.")
        return cls.from_files(files)

    @classmethod
    def from_files(cls, files: Mapping[str, bytes]) -> PolicySet:
        """The set of these modules: bytes by path. Raises `ConfigError` for one that is not UTF-8."""
        digest = hashlib.sha256()
        for path, body in sorted(files.items()):
            try:
                body.decode("utf-8")
            except UnicodeDecodeError as error:
                raise ConfigError(f"cannot read the policy {path}: {error}", remedy="Rego files are UTF-8.") from None
            digest.update(f"{path}\0{len(body)}\0".encode() + body)
        return cls(dict(sorted(files.items())), digest.hexdigest())


def read_modules(folder: Path) -> dict[str, bytes]:
    """The Rego files below `folder`, tests too, by relative path in order; `ENFORCEMENT` is left out."""
    found = {}
    for path in sorted(folder.rglob("*.rego"), key=lambda path: path.relative_to(folder).as_posix()):
        if path.relative_to(folder).as_posix().startswith(ENFORCEMENT):
            continue
        try:
            body = path.read_bytes()
            body.decode("utf-8")
        except (OSError, UnicodeDecodeError) as error:
            raise ConfigError(f"cannot read the policy {path}: {error}", remedy="Rego files are UTF-8.") from error
        found[path.relative_to(folder).as_posix()] = body
    return found
