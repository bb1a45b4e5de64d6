"""A rough scan of RDF text: where it mentions nodes and statements, and which blank nodes stand where."""

from __future__ import annotations

import json
import re
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from urllib.parse import urljoin
from xml.parsers import expat

from fairmesh.catalog.rdf import GENID, PREFIXES, SCHEME

RDF = PREFIXES["rdf"]
TYPE, FIRST, REST = (RDF + name for name in ("type", "first", "rest"))
ADDED = frozenset((FIRST, REST, PREFIXES["fm"] + "position"))
"""What reading a document takes from its nodes, or adds to them."""

QUOTED = (
    r'"""(?:[^"\\]|\\.|"(?!""))*+"""|\'\'\'(?:[^\'\\]|\\.|\'(?!\'\'))*+\'\'\'|"(?:[^"\\\r\n]|\\.)*+"'
    r"|'(?:[^'\\\r\n]|\\.)*+'"
)
IN_FULL, COMMENT = r"<[^<>\"{}|^`\s]*+>", r"#[^\r\n]*+"
_LEX = re.compile(
    rf"{QUOTED}|{IN_FULL}|{COMMENT}|@prefix\b|@base\b|(?i:\bprefix\b|\bbase\b)"
    r"|(?:[\w][\w.-]*)?:(?:[\w%:-]|\\.|\.(?=[\w%:-]))*|[+-]?\.?[0-9]+(?:\.[0-9]+)?(?:[eE][+-]?[0-9]+)?"
    r"|[\[\](){};,.]|\ba\b",
    re.DOTALL,
)
_JSON = re.compile(r'"(?:[^"\\]|\\.)*+"|[{}\[\]]|[^\s{}\[\]",:]++', re.DOTALL)
_ESCAPED = re.compile(r"\\(?:u(.{4})|U(.{8})|(.))", re.DOTALL)
_CONTROLS = {"t": "\t", "n": "\n", "r": "\r", "b": "\b", "f": "\f"}


def tail(word: str) -> str:
    """What follows the last `/`, `#` or `:`: much the same however an IRI is abbreviated."""
    return re.split(r"[/#:]", word)[-1]


def _unescaped(text: str) -> str:
    return _ESCAPED.sub(
        lambda m: chr(int(m[1] or m[2], 16)) if m[1] or m[2] else _CONTROLS.get(m[3], m[3]), text
    )  # fmt: skip


class Marks:
    """What a scan found, by node and by (node, predicate); places are offsets into `data` if `in_bytes`, else `text`.

    A node is called by its IRI or, without one, by its label or by where it begins.
    """

    in_bytes = False

    def __init__(self, data: bytes, iri_base: str) -> None:
        self.data, self.text, self.base = data, data.decode("utf-8", "replace"), iri_base
        self.nodes: dict[str, int] = {}
        self.statements: dict[tuple[str, str], int] = {}
        self.inner: dict[str, list[tuple[str, str]]] = defaultdict(list)
        """Predicates and the blank nodes they lead to, by the node that has them."""
        self.says: dict[str, set[tuple[str, str]]] = defaultdict(set)
        """The tails of predicates and values of each node."""
        self._cells: dict[str, dict[str, tuple[str, bool]]] = defaultdict(dict)
        """What is stated of the cells of lists, by predicate, and whether it is a blank node."""
        self._scan()
        self._open_lists()

    def _scan(self) -> None:
        raise NotImplementedError

    def predicate(self, iri: str) -> str:
        """What the scan calls this predicate."""
        return iri

    def _open_lists(self) -> None:
        """What a list that is stated cell by cell holds counts as led to by what leads to the list."""
        for holder, links in self.inner.items() if self._cells else ():
            opened, met = list[tuple[str, str]](), set[str]()
            left = [(word, node, True) for word, node in reversed(links)]
            while left:
                word, value, blank = left.pop()
                if blank and value in self._cells:
                    cell = self._cells[value].values() if value not in met else ()
                    left += [(word, *each) for each in cell]
                    met.add(value)
                elif blank:
                    opened.append((word, value))
                else:
                    self._say(holder, word, value)
            self.inner[holder] = opened

    def loose(self) -> list[str]:
        """Blank nodes that nothing leads to, in order, cells of lists left out."""
        led = {node for links in self.inner.values() for _, node in links}.union(self._cells)
        return [node for node in self.nodes if is_blank(node) and node not in led]

    def find(self, node: str, predicate: str | None) -> int:
        """The place of the statement, else of the node, else -1."""
        return self.statements.get((node, self.predicate(predicate or "")), self.nodes.get(node, -1))

    def _link(self, holder: str | None, predicate: str | None, blank: str) -> None:
        if holder is not None and predicate in (FIRST, REST):
            self._cells[holder][predicate] = blank, True
        elif holder is not None and predicate is not None:
            self.inner[holder].append((predicate, blank))

    def _say(self, holder: str | None, predicate: str | None, value: str) -> None:
        if holder is not None and predicate == FIRST:
            self._cells[holder][predicate] = value, False
        elif holder is not None and predicate is not None and predicate not in ADDED:
            self.says[holder].add((tail(predicate), tail(value)))

    def _refer(self, holder: str | None, predicate: str | None, node: str) -> None:
        self._link(holder, predicate, node) if is_blank(node) else self._say(holder, predicate, node)

    def _resolve(self, iri: str) -> str:
        iri = re.sub(r"\\(?:u(.{4})|U(.{8}))", lambda m: chr(int(m[1] or m[2], 16)), iri)
        if SCHEME.match(iri):
            return iri
        return urljoin(self.base, iri) if self.base.startswith("http") else self.base + iri


def is_blank(node: str) -> bool:
    """Whether a node of a scan or a document is, or was, a blank node."""
    return node.startswith(("_:", "[")) or GENID in node


@dataclass(slots=True)
class _Open:
    """A bracket that is open, or the text around all of them."""

    subject: str | None = None
    predicate: str | None = None
    expect: str = "subject"


class TurtleMarks(Marks):
    """Of Turtle, TriG, N-Triples and N-Quads. What stands in a list counts as led to by what leads to the list."""

    def _scan(self) -> None:
        self._prefixes: dict[str, str] = {}
        self._open = [_Open()]
        directive, name = "", ""
        for match in _LEX.finditer(self.text):
            token, at = match.group(), match.start()
            lowered = token.lower()
            if token[0] == "#":
                continue
            if lowered in ("@prefix", "prefix", "@base", "base"):
                directive, name = lowered.removeprefix("@"), ""
            elif not directive:
                self._take(token, at)
            elif not token.startswith("<"):
                name = token.removesuffix(":")
            else:
                if directive == "prefix":
                    self._prefixes[name] = self._resolve(token[1:-1])
                else:
                    self.base = self._resolve(token[1:-1])
                directive, self._open = "", [_Open()]

    def _take(self, token: str, at: int) -> None:
        here = self._open[-1]
        if token in ("{", "}") or (token == "." and len(self._open) == 1):
            self._open = [_Open()]
        elif token == "[":
            self._open.append(_Open(self._bracket(here, at), None, "predicate"))
        elif token == "(":
            self._open.append(_Open(here.subject, here.predicate, "object"))
        elif token in ("]", ")"):
            if len(self._open) > 1:
                self._open.pop()
            if self._open[-1].expect == "subject":  # a list may be one
                self._open[-1].expect = "predicate"
        elif token == ";":
            here.expect = "predicate"
        elif token in (",", "."):
            pass
        elif token[0] in "\"'+-0123456789" or token[0] == ".":
            if here.expect == "object":
                quote = token[:3] if token[:3] in ('"""', "'''") else token[:1]
                value = _unescaped(token.removeprefix(quote).removesuffix(quote)) if quote[0] in "\"'" else token
                self._say(here.subject, here.predicate, value)
        elif self.text[at - 2 : at] != "^^":
            self._term(here, self._iri(token), at)

    def _bracket(self, here: _Open, at: int) -> str:
        node = f"[{at}"
        self.nodes[node] = at
        if here.expect == "subject":
            here.subject, here.expect = node, "predicate"
        else:
            self._link(here.subject, here.predicate, node)
        return node

    def _term(self, here: _Open, iri: str, at: int) -> None:
        if here.expect == "subject":
            here.subject, here.expect = iri, "predicate"
            self.nodes.setdefault(iri, at)
        elif here.expect == "predicate":
            here.predicate, here.expect = iri, "object"
            if here.subject is not None:
                self.statements.setdefault((here.subject, iri), at)
        else:
            self._refer(here.subject, here.predicate, iri)

    def _iri(self, token: str) -> str:
        if token == "a":
            return TYPE
        if token.startswith("<"):
            return self._resolve(token[1:-1])
        prefix, _, local = token.partition(":")
        return self._prefixes.get(prefix, prefix + ":") + re.sub(r"\\(.)", r"\1", local)


class XmlMarks(Marks):
    """Of RDF/XML. Node and property elements alternate (RDF/XML, 2.1): open ones lie on a stack."""

    in_bytes = True

    def _scan(self) -> None:
        self._reader = expat.ParserCreate("utf-8", " ")
        self._open: list[_Open] = []
        self._words: list[str] = []
        self._reader.StartElementHandler = self._start
        self._reader.EndElementHandler = self._end
        self._reader.CharacterDataHandler = self._words.append
        with suppress(expat.ExpatError):  # a document that was refused may break off
            self._reader.Parse(self.data, True)

    def _start(self, name: str, attributes: Mapping[str, str]) -> None:
        word, at = name.replace(" ", ""), self._reader.CurrentByteIndex
        known = {key.replace(" ", ""): value for key, value in attributes.items()}
        self._words.clear()
        above = self._open[-1] if self._open else None
        if above is not None and above.expect == "predicate":
            self._property(above, word, at, known)
        elif word == RDF + "RDF":
            self._open.append(_Open())
        else:
            self._node(above, word, at, known)

    def _node(self, above: _Open | None, kind: str, at: int, known: Mapping[str, str]) -> None:
        about, label = known.get(RDF + "about"), known.get(RDF + "nodeID")
        subject = f"[{at}" if about is None else self._resolve(about)
        subject = subject if label is None else f"_:{label}"
        start = at if about is None else max(at, self.data.find(about.encode(), at, at + 4096) - 1)
        self.nodes.setdefault(subject, start)
        if above is not None:
            self._refer(above.subject, above.predicate, subject)
            above.expect = "nothing more"
        self.statements.setdefault((subject, TYPE), at)
        if kind != RDF + "Description":
            self._say(subject, TYPE, kind)
        self._attributes(subject, at, known)
        self._open.append(_Open(subject, None, "predicate"))

    def _property(self, node: _Open, word: str, at: int, known: Mapping[str, str]) -> None:
        assert node.subject is not None
        self.statements.setdefault((node.subject, word), at)
        label, target = known.get(RDF + "nodeID"), known.get(RDF + "resource")
        said = {key: value for key, value in known.items() if not key.startswith((RDF, "http://www.w3.org/XML/"))}
        inside = _Open(node.subject, word, "object")
        if target is not None or label is not None:
            self._refer(node.subject, word, f"_:{label}" if target is None else self._resolve(target))
            inside.expect = "nothing more"
        elif said or known.get(RDF + "parseType") == "Resource":
            blank = f"[{at}"
            self.nodes[blank] = at
            self._link(node.subject, word, blank)
            self._attributes(blank, at, said)
            inside = _Open(blank, None, "predicate")
        self._open.append(inside)

    def _attributes(self, subject: str, at: int, known: Mapping[str, str]) -> None:
        for key, value in known.items():
            self.statements.setdefault((subject, key), at)
            if key == TYPE or not key.startswith((RDF, "http://www.w3.org/XML/")):
                self._say(subject, key, value)

    def _end(self, name: str) -> None:
        closed = self._open.pop()
        if closed.expect == "object":
            self._say(closed.subject, closed.predicate, "".join(self._words))
        self._words.clear()


@dataclass(slots=True)
class _Object:
    """A JSON object: where it begins, the key that is being read, and the object and key it is the value of."""

    at: int
    holder: _Object | None = None
    under: str = ""
    key: str | None = None
    said: list[tuple[str, str, int]] = field(default_factory=list)
    """Keys, values (empty: an object or a list) and where the keys stand."""


_Context = Mapping[str, Mapping[str, object]]
"""Terms and their definitions in full."""


def _extended(context: _Context, more: object) -> _Context:
    for each in more if isinstance(more, list) else [more]:
        if isinstance(each, dict):
            full = {key: value if isinstance(value, dict) else {"@id": value} for key, value in each.items()}
            context = {**context, **full}
    return context


def _term(context: _Context, key: str) -> str:
    """A keyword, or the tail of what a key or a type stands for."""
    known = context.get(key, {})
    name = known.get("@reverse") or known.get("@id")
    if not isinstance(name, str) or not name or name[-1] in "/#:":
        name = key
    return name if name.startswith("@") else tail(name)


class JsonMarks(Marks):
    """Of JSON-LD. Predicates are known by their tails; of contexts those in the document count, each where it holds."""

    def _scan(self) -> None:
        found = [each for each in self._objects() if not self._in_context(each.holder)]
        contexts: dict[int, list[object]] = defaultdict(list)
        for each in found:
            if each.under == "@context":
                with suppress(ValueError, RecursionError):
                    contexts[id(each.holder)].append(json.JSONDecoder().raw_decode(self.text, each.at)[0])
        self._active: dict[int, tuple[_Context, _Context]] = {}
        """By object, the context of its keys and the one that the objects in it begin with."""
        self._names: dict[int, str] = {}
        self._passed: dict[int, str] = {}
        """Objects that are no nodes of their own, but hold values of what leads to them, and what their keys are."""
        for each in found:
            if each.under != "@context":
                self._enter(each, contexts.get(id(each), []))
                self._mark(each)

    def predicate(self, iri: str) -> str:
        return "type" if iri == TYPE else tail(iri)

    def find(self, node: str, predicate: str | None) -> int:
        at = super().find(node, predicate)
        return self._mention(node) if at < 0 else at

    def _mention(self, node: str) -> int:
        names = "|".join(re.escape(json.dumps(n, ensure_ascii=False)) for n in (node, node.removeprefix(self.base)))
        found = re.search(names, self.text)
        return -1 if found is None else found.start()

    def _objects(self) -> Iterator[_Object]:
        open_ones: list[_Object | None] = [None]  # None: a list
        here: _Object | None = None
        for match in _JSON.finditer(self.text):
            token, at = match.group(), match.start()
            if token == "{":
                under = "" if here is None else here.key or ""
                here = _Object(at, here, under)
                if here.holder is not None:
                    here.holder.said.append((under, "", at))
                open_ones.append(here)
                yield here
            elif token == "[":
                open_ones.append(None)
            elif token in ("]", "}"):
                closed = open_ones.pop() if len(open_ones) > 1 else None
                here = here if closed is None else closed.holder
                if here is not None and open_ones[-1] is here:
                    here.key = None
            elif here is not None:
                self._word(here, token, at, in_list=open_ones[-1] is None)

    def _word(self, here: _Object, token: str, at: int, *, in_list: bool) -> None:
        value = "" if token in ("true", "false", "null") else token
        if token[0] == '"':
            with suppress(ValueError):
                value = str(json.loads(token))
        if here.key is None:
            here.key = value
            here.said.append((value, "", at))
        else:
            here.said.append((here.key, value, at))
            here.key = here.key if in_list else None

    def _in_context(self, each: _Object | None) -> bool:
        while each is not None and each.under != "@context":
            each = each.holder
        return each is not None

    def _enter(self, each: _Object, contexts: Sequence[object]) -> None:
        """The contexts in an object: a type's own holds for its keys only (JSON-LD 1.1, 4.1.8)."""
        own, kept = self._active[id(each.holder)] if each.holder else ({}, {})
        if self._under(each) not in ("@reverse", "@nest"):
            kept = _extended(_extended(kept, own.get(each.under, {}).get("@context")), contexts)
            own = kept
            for key, value, _ in each.said:
                if _term(kept, key) == "@type":
                    own = _extended(own, kept.get(value, {}).get("@context"))
        self._active[id(each)] = own, kept

    def _under(self, each: _Object) -> str:
        return _term(self._active[id(each.holder)][0], each.under) if each.holder else ""

    def _mark(self, each: _Object) -> None:
        context = self._active[id(each)][0]
        said = [(_term(context, key), value, at) for key, value, at in each.said]
        keys = {key for key, _, _ in said}
        holder, under, turned = self._led_by(each)
        wrapped = keys & {"@value", "@list", "@set"}
        if wrapped or self._is_map(each):
            self._passed.setdefault(id(each), "")
            for key, value, _ in said:
                if key in wrapped or not wrapped:
                    self._state(holder, under, value)
        elif self._under(each) in ("@reverse", "@nest"):
            self._names[id(each)] = self._names.get(id(each.holder), "")
            if self._under(each) == "@nest":
                self._mark_keys(self._names[id(each)], context, each)
        elif holder is not None or not keys or keys - {"@context", "@graph"}:
            node = self._node(each, said)
            if turned < 0:
                self._refer(holder, under, node)
            elif holder and under:
                self.statements.setdefault((node, under), turned)
                self._refer(node, under, holder)
            self._mark_keys(node, context, each)

    def _is_map(self, each: _Object) -> bool:
        """Whether an object is what its term's container makes a map (JSON-LD 1.1, 4.6)."""
        known = self._active[id(each.holder)][0].get(each.under, {}) if each.holder else {}
        container = known.get("@container")
        asked = container if isinstance(container, list) else [container]
        kinds = [kind for kind in ("@id", "@index", "@language", "@type") if kind in asked]
        if kinds:
            self._passed[id(each)] = kinds[0]
        return bool(kinds)

    def _node(self, each: _Object, said: Sequence[tuple[str, str, int]]) -> str:
        named = next(((value, at) for key, value, at in said if key == "@id" and value), None)
        kind = self._passed.get(id(each.holder), "") if each.under != "@none" else ""
        if named is None and kind == "@id":
            named = each.under, each.at
        node = self._names[id(each)] = f"[{each.at}" if named is None else self._resolved(named[0])
        if named is None or kind == "@id" or len({key for key, _, _ in said}) > 1:
            self.nodes.setdefault(node, each.at if named is None else named[1])
        if kind == "@type":
            self._say(node, "type", _term(self._active[id(each)][0], each.under))
        return node

    def _mark_keys(self, node: str, context: _Context, each: _Object) -> None:
        for name, value, at in each.said:
            key = _term(context, name)
            key = "type" if key == "@type" else key
            if not key.startswith("@") and "@reverse" not in context.get(name, {}):
                self.statements.setdefault((node, key), at)
                self._state(node, key, _term(context, value) if key == "type" else value)

    def _state(self, holder: str | None, predicate: str | None, value: str) -> None:
        """A text, which may be the name of a blank node."""
        if value.startswith("_:") or GENID in value:
            self._link(holder, predicate, value)
        elif value:
            self._say(holder, predicate, value)

    def _led_by(self, each: _Object) -> tuple[str | None, str | None, int]:
        """The node and the predicate that lead to an object; and where the predicate stands if it leads from the object
        to the node, else -1."""
        holder = each.holder
        while holder is not None and id(holder) in self._passed:
            each, holder = holder, holder.holder
        under = self._under(each)
        if holder is None or under.startswith("@"):
            return None, None, -1
        known = self._active[id(holder)][0].get(each.under, {})
        turned = "@reverse" in known or self._under(holder) == "@reverse"
        at = next(at for key, _, at in holder.said if key == each.under) if turned else -1
        return self._names.get(id(holder)), under, at

    def _resolved(self, name: str) -> str:
        return name if name.startswith("_:") else self._resolve(name)
