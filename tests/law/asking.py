"""Requests out of a schema and a mesh: GraphQL operations of any field the schema serves, and HTTP requests.

Nothing here names a field of the schema but to draw better values for it. What is drawn is decided by a
`random.Random`, so that a number gives the same requests again; what earlier answers held (cursors, ids, ETags) is
drawn from too.
"""

from __future__ import annotations

import base64
import json
import re
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from random import Random
from typing import Any, TypeVar

from graphql import (
    GraphQLEnumType,
    GraphQLField,
    GraphQLInputObjectType,
    GraphQLInputType,
    GraphQLInterfaceType,
    GraphQLList,
    GraphQLNamedType,
    GraphQLNonNull,
    GraphQLObjectType,
    GraphQLSchema,
    GraphQLUnionType,
    get_named_type,
    is_composite_type,
    is_leaf_type,
    is_required_input_field,
)
from samples import BASE

from fairmesh.catalog.document import TYPE
from fairmesh.catalog.model import CLASSIFICATION, Action, Subject
from fairmesh.catalog.rdf import NamedNode, load
from law.meshes import KEYS, TITLES, Doc, Pair

T = TypeVar("T")
OPERATIONS = 180
"""Queries that are written; more when these leave out a field."""
DEPTH = 7
"""Composite fields inside each other, at most."""

PREFIXES = ("dcat", "dprod", "dct", "fm", "prov", "csvw", "skos")
FORMS = ("text/turtle", "text/html", "application/ld+json", "application/n-triples", "application/rdf+xml", "*/*")
INSIDE = ("", "/data", "/data", "/data/column/id", "/data/column/pay", "/file", "/port")
NOWHERE = "https://ext.example/Never"
OUTSIDE = ("https://ext.example/lake", "https://ext.example/never", "https://creativecommons.org/licenses/by/4.0/")
ABSENT = ("nowhere.x", "nowhere.x/data", "term/never", "domain/people", "team/people", "contact/people", "domain/web")
WORDS = ("pay", "orders", "people team", "o", "row", "ledger", "lake", "inner", "lowest", "said")
WORDS += ("custmer", "payrol", "ledgr", "visti", "poeple", "lowset", "warehosue", "retruns")


@dataclass(frozen=True)
class Request:
    """One HTTP request, without who makes it."""

    method: str
    path: str
    headers: tuple[tuple[str, str], ...] = ()
    body: bytes = b""
    template: Template | None = field(default=None, compare=False, repr=False)
    """What a GraphQL operation was made from."""

    @property
    def operation(self) -> dict[str, Any] | None:
        """The GraphQL request in the body."""
        found: dict[str, Any] | None = json.loads(self.body) if self.path == "/graphql" and self.body else None
        return found


# -- what to ask about ------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Focus:
    """What is drawn more often. Everything else is still drawn."""

    fields: tuple[str, ...] = ()
    """Of the schema: most queries are made of operations with all of them."""
    given: tuple[str, ...] = ()
    """Arguments and fields of inputs that are given whenever they can be."""
    kinds: tuple[str, ...] = ()
    """Of requests: see `law.trial`."""
    names: tuple[str, ...] = ()
    policies: tuple[str, ...] = ()
    traps: tuple[int, ...] = ()
    words: tuple[str, ...] = ()
    """To search for."""
    predicates: tuple[str, ...] = ()
    """To ask about."""


ANYTHING = Focus()


@dataclass
class Known:
    """Values worth asking about: nodes that are seen, hidden, absent and outside, and what answers held."""

    shown: list[str]
    """Nodes of documents that the subject sees; drawn as often as all others together."""
    nodes: list[str]
    keys: list[str]
    """Of products that the subject sees."""
    own: tuple[str, ...]
    """Domains the subject may write in."""
    predicates: list[str]
    types: list[str]
    documents: list[Doc]
    cursors: list[str] = field(default_factory=list)
    ids: list[str] = field(default_factory=list)
    tags: list[str] = field(default_factory=list)

    @classmethod
    def of(cls, pair: Pair, subject: Subject) -> Known:
        shown, nodes = ({n for d in mesh.documents() for n in _nodes(d)} for mesh in (pair.less, pair.whole))
        said = [t for document in pair.whole.documents() for t in load(document)]
        return cls(
            sorted(shown) or [BASE], sorted(nodes | {*(BASE + path for path in (*KEYS, *ABSENT)), *OUTSIDE}),
            [p.key for p in pair.less.registry.live()], subject.domains,
            sorted({TYPE, *(t.predicate.value for t in said)}),
            sorted({NOWHERE, *(t.object.value for t in said if t.predicate.value == TYPE)}),
            [event for event in pair.case.history if isinstance(event, Doc)],
        )  # fmt: skip

    def node(self, random: Random) -> str:
        seen, any = (f"{BASE}{random.choice(keys)}{random.choice(INSIDE)}" for keys in (self.keys or KEYS, KEYS))
        return random.choice((seen, seen, seen, any, random.choice(self.shown), random.choice(self.nodes)))

    def learn(self, body: object) -> None:
        """Keep the cursors and ids of an answer."""
        if isinstance(body, dict):
            for name, value in body.items():
                plain = re.sub(r"_\d+$", "", name)
                if isinstance(value, str):
                    if plain in ("cursor", "startCursor", "endCursor"):
                        self.cursors.append(value)
                    elif plain == "id":
                        self.ids.append(value)
                else:
                    self.learn(value)
        elif isinstance(body, list):
            for value in body:
                self.learn(value)


def _nodes(document: bytes) -> Iterator[str]:
    for t in load(document):
        yield t.subject.value
        if isinstance(t.object, NamedNode) and t.predicate.value != TYPE:
            yield t.object.value


def opaque(letter: str, iri: str) -> str:
    """The global id of a node, as the service makes it."""
    text = letter + iri.removeprefix(BASE) if iri.startswith(BASE) else letter.upper() + iri
    return base64.urlsafe_b64encode(text.encode()).decode().rstrip("=")


# -- GraphQL ----------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class _Given:
    """An argument of which a variable stands in an operation."""

    variable: str
    place: int
    """Which field of the operation takes it."""
    name: str
    kind: GraphQLInputType


@dataclass(eq=False)
class Template:
    """An operation to be asked with any variables."""

    text: str
    given: tuple[_Given, ...]
    selects: frozenset[str]
    """Names of its fields."""
    asked: int = 0
    answers: set[bytes] = field(default_factory=set)

    @property
    def worth(self) -> float:
        """How much its answers differ from mesh to mesh; 1 when it was never asked."""
        return max(0.05, (1 + len(self.answers)) / (1 + self.asked))

    def note(self, answer: bytes) -> None:
        self.asked += 1
        self.answers.add(answer)

    def request(self, values: Values) -> Request:
        """With new variables; optional ones are often left out."""
        drawn: dict[str, Any] = {}
        places: dict[int, list[_Given]] = {}
        for one in self.given:
            places.setdefault(one.place, []).append(one)
        for candidates in places.values():
            for one in _compatible([c for c in candidates if values.wanted(c.name, c.kind)], values.random):
                drawn[one.variable] = values.draw(one.name, one.kind)
        body = json.dumps({"query": self.text, "variables": drawn}).encode()
        return Request("POST", "/graphql", (("content-type", "application/json"),), body, self)


def _compatible(given: Sequence[_Given], random: Random) -> Sequence[_Given]:
    for exclusive in EXCLUSIVE:
        both = [one for one in given if one.name in exclusive]
        if len(both) > 1 and random.random() < 0.98:
            kept = random.choice(both)
            given = [one for one in given if one not in both or one is kept]
    return given


def _worthy(templates: Sequence[Template], random: Random) -> Template:
    return random.choices(templates, [template.worth for template in templates])[0]


class Writer:
    """Valid operations on a schema: together they select every field. They are written once and asked with many
    variables, because most of the time of a request goes into reading an operation, and services remember it.
    """

    def __init__(self, schema: GraphQLSchema) -> None:
        self.schema = schema
        self.asked: Counter[tuple[str, str]] = Counter()
        assert schema.query_type is not None
        assert schema.mutation_type is not None
        random = Random(0)
        self._queries = [self._template(random, schema.query_type, None) for _ in range(OPERATIONS)]
        self._mutations = {
            name: [self._template(random, schema.mutation_type, name) for _ in range(OPERATIONS // 12)]
            for name in schema.mutation_type.fields
        }
        while self.fields - set(self.asked) and len(self._queries) < 5 * OPERATIONS:
            self._queries.append(self._template(random, schema.query_type, None))

        self._names = sorted({name for template in self._queries for name in template.selects})

    def _template(self, random: Random, root: GraphQLObjectType, field: str | None) -> Template:
        return _Operation(self, random).write(root, field)

    def query(self, random: Random, known: Known, focus: Focus = ANYTHING) -> Request:
        fitting = [template for template in self._queries if template.selects.issuperset(focus.fields)]
        chosen = fitting if fitting and random.random() < 0.8 else self._queries
        return _worthy(chosen, random).request(Values(random, known, focus=focus))

    def any_field(self, random: Random) -> Focus:
        """A focus on one field, whatever its template."""
        return Focus((random.choice(self._names),))

    def mutation(self, random: Random, known: Known, field: str) -> Request:
        values = Values(random, known, writing=field == "register")
        return _worthy(self._mutations[field], random).request(values)

    @property
    def mutations(self) -> list[str]:
        return list(self._mutations)

    @property
    def fields(self) -> set[tuple[str, str]]:
        """Every field of the object types and interfaces that answers can hold."""
        return {
            (name, inner) for name, kind in self.schema.type_map.items()
            if isinstance(kind, GraphQLObjectType | GraphQLInterfaceType) and not name.startswith("__")
            for inner in kind.fields
        }  # fmt: skip

    def input_scalars(self) -> set[str]:
        """The scalars that arguments take."""
        found: set[str] = set()
        kinds: set[str] = set()
        waiting = [
            argument.type for kind in self.schema.type_map.values() if isinstance(kind, GraphQLObjectType)
            for one in kind.fields.values() for argument in one.args.values()
        ]  # fmt: skip
        while waiting:
            kind = get_named_type(waiting.pop())
            if isinstance(kind, GraphQLInputObjectType):
                if kind.name not in kinds:
                    kinds.add(kind.name)
                    waiting += [one.type for one in kind.fields.values()]
            elif is_leaf_type(kind) and not isinstance(kind, GraphQLEnumType):
                found.add(kind.name)
        return found


class _Operation:
    def __init__(self, writer: Writer, random: Random) -> None:
        self.writer, self.random = writer, random
        self.number = 0
        self.fragments: list[str] = []
        self.given: list[_Given] = []
        self.selects: set[str] = set()

    def write(self, root: GraphQLObjectType, only: str | None) -> Template:
        names = [only] if only else self.rare(root, 2 if self.random.random() < 0.2 else 1)
        fields = [self.field(root, name, 0, alias=len(names) > 1) for name in names]
        declared = ", ".join(f"${one.variable}: {one.kind}" for one in self.given)
        word = "mutation" if root is self.writer.schema.mutation_type else "query"
        text = f"{word} Q{f'({declared})' if declared else ''} {{ {' '.join(fields)} }} {' '.join(self.fragments)}"
        return Template(text, tuple(self.given), frozenset(self.selects))

    def rare(
        self, parent: GraphQLObjectType | GraphQLInterfaceType, count: int, among: Sequence[str] = ()
    ) -> list[str]:
        """`count` field names of a type, drawn so that those asked for seldom come more often."""
        names = list(among or parent.fields)
        asked = self.writer.asked
        found: list[str] = []
        while names and len(found) < count:
            weights = [1 / (1 + asked[parent.name, name]) ** 2 for name in names]
            name = self.random.choices(names, weights)[0]
            names.remove(name)
            found.append(name)
        return found

    def field(self, parent: Any, name: str, depth: int, *, alias: bool) -> str:
        self.writer.asked[parent.name, name] += 1
        self.selects.add(name)
        definition: GraphQLField = parent.fields[name]
        arguments = self.arguments(definition)
        selection = self.selection(get_named_type(definition.type), depth + 1)
        if alias or arguments:  # two fields of one name must agree in all but their own fields
            self.number += 1
            return f"{name}_{self.number}: {name}{arguments}{selection}"
        return f"{name}{selection}"

    def selection(self, kind: GraphQLNamedType, depth: int) -> str:
        if not is_composite_type(kind):
            return ""
        parts = ["__typename"] if isinstance(kind, GraphQLUnionType) or self.random.random() < 0.2 else []
        if isinstance(kind, GraphQLObjectType | GraphQLInterfaceType):
            parts += self.some(kind, depth, alias=False)
        if isinstance(kind, GraphQLInterfaceType | GraphQLUnionType):
            possible = sorted(self.writer.schema.get_possible_types(kind), key=lambda one: one.name)
            for one in self.random.sample(possible, min(2, len(possible))):
                parts.append(self.fragment(one, depth))
        return f" {{ {' '.join(parts or ['__typename'])} }}"

    def some(self, kind: GraphQLObjectType | GraphQLInterfaceType, depth: int, *, alias: bool) -> list[str]:
        """A selection of a type's fields: most of its leaves, and fewer of the others the deeper it goes."""
        leaves = [n for n, f in kind.fields.items() if is_leaf_type(get_named_type(f.type))]
        asked = self.writer.asked
        chosen = [name for name in leaves if self.random.random() < (0.5 if asked[kind.name, name] else 0.9)]
        inner = [name for name in kind.fields if name not in leaves]
        if inner and depth < DEPTH:
            thin = kind.name.endswith(("Connection", "Edge"))  # what they list is what they are for
            chosen += self.rare(kind, self.random.choice((1, 1, 2) if thin or depth < 3 else (0, 1, 1)), inner)
        elif not chosen and leaves:
            chosen = leaves[:1]
        parts = [self.field(kind, name, depth, alias=alias) for name in chosen]
        if chosen and self.random.random() < 0.05:  # the same again, with other arguments or fields
            parts.append(self.field(kind, self.random.choice(chosen), depth, alias=True))
        return parts

    def fragment(self, kind: GraphQLObjectType, depth: int) -> str:
        parts = self.some(kind, depth + 1, alias=True) or ["__typename"]
        if self.random.random() < 0.7:
            return f"... on {kind.name} {{ {' '.join(parts)} }}"
        name = f"F{len(self.fragments)}"
        self.fragments.append(f"fragment {name} on {kind.name} {{ {' '.join(parts)} }}")
        return f"...{name}"

    def arguments(self, definition: GraphQLField) -> str:
        """Every argument, as a variable."""
        self.number += 1
        given = []
        for name, argument in definition.args.items():
            self.given.append(_Given(f"v{len(self.given)}", self.number, name, argument.type))
            given.append(f"{name}: ${self.given[-1].variable}")
        return f"({', '.join(given)})" if given else ""


SIZES = ("first", "size", "last")
"""Arguments that are given always, or one of them: the defaults would make operations too costly."""

CURSORS = ("after", "before")

EXCLUSIVE = (("first", "last"), ("after", "last"), ("key", "iri"))
"""Arguments of which a field takes one: both are refused, which is worth asking now and then only."""


class Values:
    """Values of input types. By the type first, by the name of the argument where that says more."""

    SCALARS = ("IRI", "ID", "String", "Int", "Float", "Boolean", "DateTime", "LanguageTag", "JSON")

    def __init__(self, random: Random, known: Known, *, writing: bool = False, focus: Focus = ANYTHING) -> None:
        self.random, self.known, self.writing, self.focus = random, known, writing, focus

    def one(self, *choices: Sequence[T]) -> T:
        return self.random.choice(self.random.choice([c for c in choices if c]))

    def wanted(self, name: str, kind: GraphQLInputType) -> bool:
        """Whether to give an argument at all."""
        if name in CURSORS:
            return bool(self.known.cursors) and self.random.random() < 0.2
        likely = 0.8 if name == "text" else 0.2
        given = name in SIZES or name in self.focus.given
        return isinstance(kind, GraphQLNonNull) or given or self.random.random() < likely

    def draw(self, name: str, kind: GraphQLInputType, depth: int = 0) -> Any:
        """A value as JSON has it."""
        if isinstance(kind, GraphQLNonNull):
            return self.draw(name, kind.of_type, depth)
        if isinstance(kind, GraphQLList):
            return [self.draw(name, kind.of_type, depth + 1) for _ in range(self.random.choice((0, 1, 1, 1, 2, 3)))]
        if isinstance(kind, GraphQLInputObjectType):
            return self.object(kind, depth)
        if isinstance(kind, GraphQLEnumType):
            return self.random.choice(list(kind.values))
        assert kind.name in self.SCALARS, f"no values are known for the scalar {kind.name}: add them to law/asking.py"
        draw: Callable[[str], Any] = getattr(self, kind.name.lower())
        return draw(name)

    def object(self, kind: GraphQLInputObjectType, depth: int) -> dict[str, Any]:
        if kind.is_one_of:
            name = self.random.choice(list(kind.fields))
            return {name: self.draw(name, kind.fields[name].type, depth + 1)}
        sought = self.focus.given
        needed = [name for name, one in kind.fields.items() if is_required_input_field(one) or name in sought]
        others = [name for name in kind.fields if name not in needed]
        chosen = needed + self.random.sample(
            others, min(len(others), self.random.choice((0, 1, 1, 2) if depth < 2 else (0, 1)))
        )
        return {name: self.draw(name, kind.fields[name].type, depth + 1) for name in chosen}

    def iri(self, name: str) -> str:
        known = self.known
        if "predicate" in name:
            return self.one(self.focus.predicates or known.predicates, known.predicates)
        if "ypes" in name or name == "target":
            return self.one(known.types)
        if name in ("in", "descendantsOf"):
            return self.one([known.node(self.random)], [CLASSIFICATION + "restricted", CLASSIFICATION + "public"])
        return self.one([known.node(self.random)] * 3, known.types, known.predicates)

    def id(self, name: str) -> str:
        made = [opaque(self.random.choice("rrrrrrros"), self.known.node(self.random))]
        return "AAAA" if self.random.random() < 0.03 else self.one(made, made, self.known.ids)

    def string(self, name: str) -> str:
        known = self.known
        if name in CURSORS:
            return "AAAA" if self.random.random() < 0.05 else self.random.choice(known.cursors)
        if name == "key":
            return self.key()
        if name == "prefix":
            return self.one(PREFIXES, [BASE, "S", "people"])
        if name == "content":
            return self.document()
        return self.one(self.focus.words or (*WORDS, *WORDS, *TITLES, *KEYS))

    def key(self) -> str:
        return self.one(self.known.keys, self.known.keys, [*KEYS, "people.new", "nowhere.x"])

    def int(self, name: str) -> int:
        if name == "depth":
            return self.random.choice((0, 1, 2, 9, 100, 101))
        if name == "maxNodes":
            return self.random.choice((0, 1, 2, 3, 50, 200))
        if name == "ifRevision":
            return self.random.choice((0, 1, 2))
        return self.random.choice((0, 1, 2, 2, 3, 4, 9) if name in SIZES else (0, 1, 1, 2, 3))

    def float(self, name: str) -> float:
        return self.random.choice((-1.0, 0.0, 1.5, 7.0))

    def boolean(self, name: str) -> bool:
        return self.random.random() < 0.5

    def datetime(self, name: str) -> str:
        if name == "asOf":  # how products stood is known as of the mesh at a time: see test_consequences.py
            return self.one(
                ["2025-01-01T00:00:00Z", "2025-04-01T00:00:00Z", "2025-12-24T18:00:00+01:00", "2030-01-01T00:00:00Z"]
            )
        return self.one(
            ["2025-03-07T12:00:00Z", "2025-03-07T14:00:00Z", "2025-03-07T16:30:00+02:00", "2030-01-01T00:00:00Z"]
        )

    def json(self, name: str) -> Any:
        return self.random.choice((
            {"id": "reader-public", "kind": "service", "roles": ["steward"], "clearance": "restricted"},
            {"id": "somebody", "kind": "user", "roles": [], "teams": ["people"], "domains": ["people"]},
            {}, [], 2**70, "steward", True,
        ))  # fmt: skip

    def languagetag(self, name: str) -> str:
        return self.one(["en", "de", "fr", "de-AT"])

    def document(self) -> str:
        """A document to submit: one of the mesh, hidden ones too, or one that refers to anything.

        When it is to be stored, none of a product that the subject may change: see the law's docstring.
        """
        random = self.random
        if random.random() < 0.1:
            return self.one(["<x> a", "", "{}"])
        docs = [doc for doc in self.known.documents if not self._stored(doc.key)]
        if docs and random.random() < 0.3:
            return random.choice(docs).text().decode()
        allowed = [key for key in KEYS if key.split(".")[0] in self.known.own and not self._stored(key)]
        others = [key for key in (*KEYS, "web.new") if not self._stored(key)]
        key = self.one(others, *[[*allowed, *(f"{domain}.new" for domain in self.known.own)]] * 3)
        domain = key.split(".")[0]
        doc = Doc(
            key,
            random.choice(("public", "internal")),
            title=random.choice(TITLES),
            owner=random.choice((domain, "ops")),
        )
        return "\n".join([doc.text().decode(), *(self._reference(key) for _ in range(3))])

    def _stored(self, key: str) -> bool:
        return self.writing and key.split(".")[0] in self.known.own and key in KEYS

    def _reference(self, key: str) -> str:
        node = self.random.choice((self.known.node(self.random), f"{BASE}{self.random.choice(KEYS)}/data"))
        return self.random.choice((
            f"<{key}> <http://purl.org/dc/terms/relation> <{node}> .",
            f"<{key}> <http://purl.org/dc/terms/subject> <{node}> .",
            f"<{key}> <https://ekgf.github.io/dprod/inputDataset> <{node}> .",
            *[f"<{key}/data> <http://www.w3.org/ns/prov#wasDerivedFrom> <{node}> ."] * 3,
            f"<{key}/data/column/id> <http://www.w3.org/ns/prov#wasDerivedFrom> <{node}> .",
            f'<{node}> <http://purl.org/dc/terms/title> "mine" .',
        ))  # fmt: skip


# -- HTTP -------------------------------------------------------------------------------------------------------------


class Walker:
    """Draws requests for every path of the service but GraphQL."""

    def __init__(self, random: Random, known: Known) -> None:
        self.random, self.known = random, known
        self.values = Values(random, known)

    def read(self, kind: str = "read") -> Request:
        """A request of any kind that changes nothing (`read`), dry runs among them; or of one kind."""
        if kind != "read":
            request: Callable[[], Request] = getattr(self, kind)
            return request()
        return self.random.choice((
            self.product, self.product, self.product, self.node, self.node, self.vocabulary, self.other,
            self.register, self.register, self.batch, self.decide,
        ))()  # fmt: skip

    def write(self) -> Request:
        """A request that changes the mesh if the subject may."""
        self.values.writing = True
        try:
            drawn = self.random.choice((self.retire, self.register, self.batch))()
        finally:
            self.values.writing = False
        return replace(drawn, path=drawn.path.partition("?")[0])

    def headers(self) -> tuple[tuple[str, str], ...]:
        accept = ("accept", self.random.choice((*FORMS, "image/png", "text/html;q=0.5, text/turtle;q=0.4")))
        if self.random.random() < 0.5:
            return (accept,)
        return accept, ("if-none-match", self.values.one(self.known.tags, self.known.tags, ['"1-turtle-00"', "*"]))

    def product(self) -> Request:
        key = self.values.key() if self.random.random() < 0.9 else self.random.choice(("..", "%00", "people.b/data"))
        return Request("GET", f"/products/{key}", self.headers())

    def node(self) -> Request:
        inside = self.known.node(self.random).removeprefix(BASE)
        path = self.values.one([inside] * 3, [inside.replace("/", "%2F")], ["", "x y", "people.b#x"])
        return Request("GET", f"/id/{path}", self.headers())

    def vocabulary(self) -> Request:
        path = self.random.choice(("/ns", "/ns/tag", "/ns/classification", "/ns/nothing"))
        return Request("GET", path, self.headers())

    def other(self) -> Request:
        paths = (
            "/rules",
            "/rules/core/03",
            "/rules/org/law/team",
            "/rules/none",
            "/",
            "/livez",
            "/readyz",
            "/portal/style.css",
            "/graphql?query={__typename}",
            "/nothing",
        )
        paths += ("/bundles/access.tar.gz", "/sparql", "/catalog", "/metrics")
        return Request("GET", self.random.choice(paths))

    def decide(self) -> Request:
        """Questions as engines ask them: of one's own, mostly."""
        ids = [self.values.one([self.values.key()], [self.known.node(self.random)]) for _ in range(3)]
        asked: dict[str, Any] = {"v": 1, "action": self.random.choice(list(Action)), "resources": dict.fromkeys(ids)}
        if self.random.random() < 0.2:
            asked["subject"] = self.values.json("subject")
        body = json.dumps(asked).encode()
        return Request("POST", "/v1/decisions", (("content-type", "application/json"),), body)

    def register(self) -> Request:
        headers = [("content-type", "text/turtle")]
        if self.random.random() < 0.3:
            headers.append(("if-match", self.values.one(['"1"', "2"], self.known.tags)))
        elif self.random.random() < 0.2:
            headers.append(("if-none-match", "*"))
        return Request("POST", "/products?dry_run=true", tuple(headers), self.values.document().encode())

    def batch(self) -> Request:
        documents = [{"media_type": "text/turtle", "content": self.values.document()} for _ in range(3)]
        headers = (("content-type", "application/json"),)
        return Request("POST", "/products:batch?dry_run=true", headers, json.dumps(documents).encode())

    def retire(self) -> Request:
        headers = (("if-match", self.values.one(["*", '"1"'], self.known.tags)),)
        return Request("DELETE", f"/products/{self.values.key()}", headers)
