"""The bundle for OPA servers: the policies in force, Rego for engines that read data, and the facts both need.

An OPA server that polls it answers `data.fairmesh.access.decisions` as the mesh does, and finds under
`data.fairmesh.catalog` and `data.fairmesh.subjects` what there is to decide about; docs/enforcement.md lists it. The
format is OPA's own (a signed tar.gz). The same facts and policies give the same bytes.
"""

from __future__ import annotations

import gzip
import hashlib
import io
import tarfile
import threading
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import orjson

from fairmesh.catalog.access import may_be_asked, subject_json
from fairmesh.catalog.locking import SharedLock
from fairmesh.catalog.model import CLASSIFICATIONS, AccessKey, Subject
from fairmesh.catalog.policyfiles import ENFORCEMENT, POLICIES, PolicySet
from fairmesh.catalog.registry import Product, Registry
from fairmesh.catalog.rego import read
from fairmesh.catalog.signing import SigningKey

KEY_ID = "fairmesh"
"""What OPA's configuration calls the public key."""
TRINO = "trino://"
"""Namespaces of tables that Trino reads begin with this."""
_KEY_FILE = "bundle-key.pem"
_PACKED = 6  # gzip: a level more costs more time than it saves bytes


@dataclass(frozen=True, slots=True)
class Bundle:
    """`content` is the signed tar.gz; `revision` the SHA-256 over all files in it but manifest and signature."""

    revision: str
    content: bytes


class Bundles:
    """The bundle of a mesh, made when asked for and kept until the mesh, the policies or the subjects change.

    Safe to call from any thread. Writers wait for no longer than it takes to list the products.
    """

    def __init__(self, registry: Registry, reading: SharedLock, folder: Path) -> None:
        self._registry = registry
        self._reading = reading
        self._key_file = folder / _KEY_FILE
        self._made_for: tuple[int, str, tuple[Subject, ...]] | None = None
        self._bundle: Bundle | None = None
        self._lock = threading.Lock()

    def current(self, policies: PolicySet, subjects: Sequence[Subject]) -> Bundle:
        """The bundle of the mesh as it is, with these policies; `subjects` are all that are known.

        Raises `ConfigError` or `StorageUnavailable` when the signing key cannot be used.
        """
        with self._lock:
            known = tuple(subjects)
            if self._bundle is not None and self._made_for == (self._registry.revision, policies.digest, known):
                return self._bundle
            with self._reading.shared():
                products = list(self._registry.live())
                made_for = (self._registry.revision, policies.digest, known)
            described = [(product, self._registry.keys[product.key_id]) for product in products]
            self._bundle = build(policies.files, described, subjects, SigningKey.open(self._key_file))
            self._made_for = made_for
            return self._bundle

    def public_pem(self) -> bytes:
        """The key that verifies the bundle, as PEM. Raises as `current` does for the signing key."""
        return SigningKey.open(self._key_file).public_pem


Described = tuple[Product, AccessKey]
"""A live product and its facts."""


def _product_facts(iri: str, key: AccessKey) -> orjson.Fragment:
    return _json({
        "iri": iri, "domain": key.domain, "classification": key.classification, "status": key.status,
        "tags": key.tags, "owner": key.owner, "members": key.members,
    })  # fmt: skip


def _json(value: object) -> orjson.Fragment:
    return orjson.Fragment(orjson.dumps(value, option=orjson.OPT_SORT_KEYS))


# -- putting it together ----------------------------------------------------------------------------------------------


def build(
    policies: Mapping[str, bytes], described: Iterable[Described], subjects: Iterable[Subject], key: SigningKey
) -> Bundle:
    """A signed bundle of these policies (path -> Rego that compiles) and facts, with the enforcement modules that
    ship."""
    enforcement = {
        path.relative_to(POLICIES).as_posix(): path.read_bytes()
        for path in sorted((POLICIES / ENFORCEMENT).glob("*.rego"))
        if not path.name.endswith("_test.rego")
    }
    modules = {f"policies/{path}": body for path, body in policies.items()}
    roots = _roots(policies)
    data = {"fairmesh": {"catalog": _catalog(described), "subjects": _subjects(subjects)}}
    files = {**enforcement, **modules, "data.json": _canonical(data)}
    revision = hashlib.sha256("".join(f"{name}\0{_sha256(files[name])}\n" for name in sorted(files)).encode())
    manifest = {"revision": revision.hexdigest(), "rego_version": 1, "roots": [*roots, "trino"]}
    files[".manifest"] = _canonical(manifest)
    listed = [{"name": name, "hash": _sha256(files[name]), "algorithm": "SHA-256"} for name in sorted(files)]
    signature = {"signatures": [key.sign({"files": listed}, key_id=KEY_ID)]}
    return Bundle(revision.hexdigest(), _archive({".signatures.json": _canonical(signature), **files}))


def _roots(policies: Mapping[str, bytes]) -> list[str]:
    """The paths of `data` that the policies take, by their first part, and the mesh's own."""
    return sorted({"fairmesh", *(read(body.decode()).package[0] for body in policies.values())})


def _catalog(described: Iterable[Described]) -> dict[str, object]:
    products: dict[str, orjson.Fragment] = {}
    tables: dict[str, dict[str, list[Product]]] = defaultdict(lambda: defaultdict(list))
    entries: dict[str, dict[str, list[orjson.Fragment]]] = defaultdict(lambda: defaultdict(list))
    for product, key in sorted(described, key=lambda pair: pair[0].key):
        if may_be_asked(key):
            products[product.key] = _product_facts(product.iri, key)
        for table in product.tables:
            tables[table.namespace][table.name].append(product)
            entries[table.namespace][table.name].append(orjson.Fragment(table.entry))
    return {
        "classifications": CLASSIFICATIONS, "products": products, "tables": entries, "trino": _trino(tables),
    }  # fmt: skip


def _trino(tables: Mapping[str, Mapping[str, Sequence[Product]]]) -> dict[str, object]:
    """Tables by Trino's three names, in lower case as Trino has them; a name of another form is not found there.

    `tables`: catalog, schema, table -> the (namespace, name) of each table it may be. `schemas`: catalog, schema -> the
    products of one table for all tables that are decided alike.
    """
    places: dict[tuple[str, str, str], list[tuple[str, str]]] = defaultdict(list)
    for namespace in sorted(name for name in tables if name.startswith(TRINO)):
        for name in sorted(tables[namespace]):
            parts = tuple(name.lower().split("."))
            if len(parts) == 3 and all(parts):
                places[parts].append((namespace, name))
    found: dict[str, dict[str, dict[str, object]]] = defaultdict(lambda: defaultdict(dict))
    groups: dict[str, dict[str, dict[frozenset[int], list[str]]]] = defaultdict(lambda: defaultdict(dict))
    for (catalog, schema, table), refs in places.items():
        found[catalog][schema][table] = refs
        products = [product for namespace, name in refs for product in tables[namespace][name]]
        alike = frozenset(product.key_id for product in products)
        groups[catalog][schema].setdefault(alike, sorted({product.key for product in products}))
    schemas = {
        catalog: {schema: sorted(found.values()) for schema, found in inside.items()}
        for catalog, inside in groups.items()
    }
    return {"tables": found, "schemas": schemas}


def _subjects(subjects: Iterable[Subject]) -> dict[str, list[orjson.Fragment]]:
    """Each id with the facts of each of its tokens; none when one of them must not reach a policy."""
    texts: dict[str, set[str | None]] = defaultdict(set)
    for subject in subjects:
        texts[subject.id].add(subject_json(subject))
    return {
        name: [] if None in known else [_json(orjson.loads(text)) for text in sorted(filter(None, known))]
        for name, known in texts.items()
    }


def _canonical(value: object) -> bytes:
    """JSON in the one form whose SHA-256 is OPA's digest of the value: keys in order, no space, escapes as Go's."""
    text = orjson.dumps(value, option=orjson.OPT_SORT_KEYS)
    return text.replace("\u2028".encode(), b"\\u2028").replace("\u2029".encode(), b"\\u2029")


def _sha256(body: bytes) -> str:
    return hashlib.sha256(body).hexdigest()


def _archive(files: Mapping[str, bytes]) -> bytes:
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w", format=tarfile.PAX_FORMAT) as archive:
        for name, body in files.items():
            member = tarfile.TarInfo(name)
            member.size, member.mode = len(body), 0o644
            archive.addfile(member, io.BytesIO(body))
    return gzip.compress(packed.getvalue(), _PACKED, mtime=0)
