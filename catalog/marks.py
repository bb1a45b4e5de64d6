"""A rough scan of RDF text: where it mentions nodes and statements, and which blank nodes stand where."""

from __future__ import annotations

import json
import re
from collections import defaultdict
from collections.abc import Iterator, Mapping
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
        self._scan()

    def _scan(self) -> None:
        raise NotImplementedError

    def predicate(self, iri: str) -> str:
        """What the scan calls this predicate."""
        return iri

    def find(self, node: str, predicate: str | None) -> int:
        """The place of the statement, else of the node, else -1."""
        return self.statements.get((node, self.predicate(predicate or "")), self.nodes.get(node, -1))

    def _link(self, holder: str | None, predicate: str | None, blank: str) -> None:
        if holder is not None and predicate is not None:
            self.inner[holder].append((predicate, blank))

    def _say(self, holder: str | None, predicate: str | None, value: str) -> None:
        if holder is not None and predicate is not None and predicate not in ADDED:
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

    def text(self, key: str) -> str | None:
        return next((value for name, value, _ in self.said if name == key and value), None)


class JsonMarks(Marks):
    """Of JSON-LD. Predicates are known by their tails; contexts count where they only rename."""

    def _scan(self) -> None:
        found = list(self._objects())
        # what a term stands for: a text, or a nested object with an @id
        terms = {
            each.under: each.text("@id") or "" for each in found if each.holder and each.holder.under == "@context"
        }
        for each in found:
            if each.under == "@context":
                terms |= {key: value for key, value, _ in each.said if value}
        self._terms = {key: value for key, value in terms.items() if value and value[-1:] not in "/#:"}
        self._names: dict[int, str] = {}
        for each in found:
            if not self._in_context(each):
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

    def _term(self, key: str) -> str:
        known = self._terms.get(key, key)
        return known if known.startswith("@") else tail(known)

    def _in_context(self, each: _Object) -> bool:
        above: _Object | None = each
        while above is not None and above.under != "@context":
            above = above.holder
        return above is not None

    def _mark(self, each: _Object) -> None:
        said = [(self._term(key), value, at) for key, value, at in each.said]
        holder, under = self._led_by(each)
        values = [value for key, value, _ in said if key == "@value" and value]
        if values or any(key in ("@list", "@set") for key, _, _ in said):
            for value in values:
                self._say(holder, under, value)
            return
        named = next(((value, at) for key, value, at in said if key == "@id" and value), None)
        node = f"[{each.at}" if named is None else self._resolved(named[0])
        self._names[id(each)] = node
        if named is None or len({key for key, _, _ in said}) > 1:
            self.nodes.setdefault(node, each.at if named is None else named[1])
        self._refer(holder, under, node)
        for key, value, at in said:
            key = "type" if key == "@type" else key
            if not key.startswith("@"):
                self.statements.setdefault((node, key), at)
                if value.startswith("_:") or GENID in value:
                    self._link(node, key, value)
                elif value:
                    self._say(node, key, value)

    def _led_by(self, each: _Object) -> tuple[str | None, str | None]:
        holder, under = each.holder, self._term(each.under)
        while holder is not None and under in ("@list", "@set"):
            under, holder = self._term(holder.under), holder.holder
        if holder is None or under.startswith("@"):
            return None, None
        return self._names.get(id(holder)), under

    def _resolved(self, name: str) -> str:
        return name if name.startswith("_:") else self._resolve(name)
