"""What the resolvers of one operation share, and the opaque ids of nodes."""

from __future__ import annotations

import base64
import binascii
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from typing import Annotated, TypeVar

import strawberry

from fairmesh.api.schema.inputs import is_iri
from fairmesh.api.schema.limits import Limits
from fairmesh.catalog import Catalog, View, errors, model
from fairmesh.catalog.access import Access
from fairmesh.catalog.ruling import Ruling

T = TypeVar("T")
DomainId = Annotated[
    strawberry.ID | None, strawberry.argument(description="The id of one of `domains`: not its IRI, nor its key.")
]
"""An argument, see `Operation.domain`."""
CHANNEL = "graphql"
_LETTERS = frozenset("rospw")
"""What an id stands for: a resource, a port, a shape, a policy file, a waiver."""


class Operation:
    """What the resolvers of one operation share. The view is opened at first use and held until `close`.

    All of it is decided by one policy, which is named as `policy_revision`: the one in force when the operation first
    asked, or after its last write, whichever is later. `known` gives the subjects that have tokens, `extend` moves the
    operation's deadline by seconds.
    """

    def __init__(
        self,
        catalog: Catalog,
        subject: model.Subject,
        limits: Limits,
        schema_hash: str,
        known: Callable[[], Sequence[model.Subject]],
        extend: Callable[[float], None],
    ) -> None:
        self.catalog = catalog
        self.subject = subject
        self.limits = limits
        self.schema_hash = schema_hash
        self.known = known
        self._extend = extend
        self._access: Access | None = None
        self._ruling: Ruling | None = None
        self._open = ExitStack()
        self._view: View | None = None
        self._products: dict[str, model.ProductInfo] = {}

    @property
    def access(self) -> Access:
        if self._access is None:
            self._access = self.catalog.access
        return self._access

    @property
    def ruling(self) -> Ruling:
        """The rule set in force when the operation first asked, or the one its last write was judged by."""
        if self._ruling is None:
            self._ruling = self.catalog.rulings.current
        return self._ruling

    def judged(self, report: model.Report | None) -> None:
        """A write was judged: what is read from now on is by the same rules, so that one answer names one rule set."""
        if report is not None and report.ruleset != self.ruling.digest:
            self.close()
            self._ruling = None

    @property
    def policy_revision(self) -> str:
        return self.access.policy_digest

    @property
    def view(self) -> View:
        if self._view is None:
            self._view = self._open.enter_context(
                self.catalog.view(self.subject, channel=CHANNEL, access=self.access, ruling=self.ruling)
            )
        return self._view

    def govern(self) -> None:
        """Raise `Forbidden`, in the same words whatever was asked for, unless the caller may govern."""
        decision = self.access.govern(self.subject, channel=CHANNEL, now=self.catalog.clock())
        if not decision.allowed:
            raise errors.Forbidden("this needs the govern action", decision, remedy="Ask the mesh's stewards")

    @contextmanager
    def untimed(self) -> Iterator[None]:
        """What takes long by its nature does not count towards the operation's deadline."""
        start = time.monotonic()
        try:
            yield
        finally:
            self._extend(time.monotonic() - start)

    def close(self) -> None:
        """Let go of the view. The next read opens a fresh one."""
        self._view = None
        self._products.clear()
        self._open.close()

    def change(self) -> Catalog:
        """The catalog, for a write: no view is held meanwhile, and reads that follow see what was written, by the
        policy that is then in force, and the rules that were when it began; see `judged`."""
        self.close()
        self._access, self._ruling = None, self.catalog.rulings.current
        return self.catalog

    def decided(self, decision: model.Decision | None) -> None:
        """A write was decided: what is read from now on is by that policy, or by the one that came after it."""
        if decision is not None and decision.revision != self.policy_revision:
            self.change()

    def product(self, iri: str) -> model.ProductInfo:
        """A product's head data, read once. Raises `NotFound`."""
        found = self._products.get(iri) or self.find_product(None, iri)
        return there(found)

    def find_product(self, key: str | None, iri: str | None) -> model.ProductInfo | None:
        """A product by key or IRI, if the caller may see it."""
        found = self.view.product(key=key, iri=iri)
        if found is not None:
            self._products[found.iri] = found
        return found

    def id(self, letter: str, iri: str) -> strawberry.ID:
        """The opaque global id of a node; the same for good, whatever host, port and base the mesh is served at."""
        base = self.catalog.iri_base
        text = letter + iri.removeprefix(base) if iri.startswith(base) else letter.upper() + iri
        return strawberry.ID(base64.urlsafe_b64encode(text.encode()).decode().rstrip("="))

    def read_id(self, id: str) -> tuple[str, str] | None:
        """(letter, IRI) of a global id; None for anything fairmesh did not make."""
        try:
            text = base64.b64decode(id + "=" * (-len(id) % 4), altchars=b"-_", validate=True).decode()
        except (binascii.Error, UnicodeError, ValueError):
            return None
        letter, rest = text[:1], text[1:]
        iri = self.catalog.iri_base + rest if letter.islower() else rest
        if letter.lower() not in _LETTERS or not is_iri(iri) or self.id(letter.lower(), iri) != id:
            return None
        return letter.lower(), iri

    def iri(self, id: str, taken_from: str = "a node's `id` field") -> str:
        """The IRI of a resource's id in an argument. Raises `NotFound`: a bad id, a hidden and an absent node alike."""
        found = self.read_id(id)
        if found is None or self.view.resource(found[1]) is None:
            raise errors.NotFound("there is no node with this id", remedy=f"Take the id from {taken_from}")
        return found[1]

    def domain(self, id: str) -> str:
        """The IRI of a domain's id in an argument. Raises as `iri`, and `InputError` for the id of something else."""
        iri = self.iri(id, "`domains`; their IRIs and keys are no ids")
        if self.view.kind(iri) is not model.Kind.DOMAIN:
            raise errors.InputError(f"{iri} is no domain", remedy="Give the id of one of `domains`")
        return iri


Info = strawberry.Info[Operation, None]


def there(value: T | None) -> T:
    if value is None:
        raise errors.NotFound("this node is no longer here", remedy="Ask again")
    return value
