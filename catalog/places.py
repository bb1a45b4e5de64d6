"""Where a submitted document says what it says: the line and column of a statement."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from contextlib import suppress
from urllib.parse import urljoin
from xml.parsers import expat

from fairmesh.catalog.rdf import GENID, JSON_LD, PREFIXES, RDF_XML, SCHEME

_LEX = re.compile(
    r'"""(?:[^"\\]|\\.|"(?!""))*+"""|\'\'\'(?:[^\'\\]|\\.|\'(?!\'\'))*+\'\'\'|"(?:[^"\\\r\n]|\\.)*+"'
    r"|'(?:[^'\\\r\n]|\\.)*+'|<[^<>\"{}|^`\s]*+>|#[^\r\n]*+|@prefix\b|@base\b|(?i:\bprefix\b|\bbase\b)"
    r"|(?:[\w][\w.-]*)?:(?:[\w%:-]|\\.|\.(?=[\w%:-]))*|[+-]?\.?[0-9]+(?:\.[0-9]+)?(?:[eE][+-]?[0-9]+)?"
    r"|[\[\](){};,.]|\ba\b",
    re.DOTALL,
)


class Positions:
    """Where a submitted document mentions a statement: line and column, both from 1.

    In JSON-LD the place is the first key after the node's `@id` that looks like the predicate, else the `@id`. What is
    said about a blank node is looked for inside brackets. Built on first use: only documents with findings pay for it.
    """

    def __init__(self, data: bytes, media_type: str, iri_base: str) -> None:
        self._data = data
        self._text = data.decode("utf-8", "replace")
        self._media_type = media_type
        self._base = self._now = iri_base
        self._subjects: dict[str, int] = {}
        self._statements: dict[tuple[str, str], int] = {}
        self._inside: dict[str, int] = {}
        self._read = False

    def find(self, subject: str, predicate: str | None = None) -> tuple[int, int] | None:
        """The place of the statement, else of the subject, else None."""
        if self._media_type == JSON_LD:
            at = self._in_json(subject, predicate)
        else:
            if not self._read:
                self._read = True
                self._scan_xml() if self._media_type == RDF_XML else self._scan()
            at = self._statements.get((subject, predicate or ""), -1)
            if at < 0:
                inside = self._inside.get(predicate or "", -1) if GENID in subject else -1
                at = self._subjects.get(subject, inside)
            if self._media_type == RDF_XML and at > 0:
                at = len(self._data[:at].decode("utf-8", "replace"))
        if at < 0:
            return None
        return self._text.count("\n", 0, at) + 1, at - self._text.rfind("\n", 0, at)

    def _in_json(self, subject: str, predicate: str | None) -> int:
        names = "|".join(
            re.escape(json.dumps(n, ensure_ascii=False)) for n in (subject, subject.removeprefix(self._base))
        )
        node = re.search(rf'"@id"\s*:\s*({names})\s*,', self._text) or re.search(rf"({names})", self._text)
        if node is None or predicate is None:
            return node.start(1) if node else -1
        local = re.escape(re.split(r"[/#]", predicate)[-1])
        known = (
            "@type|type" if predicate == PREFIXES["rdf"] + "type" else rf"{re.escape(predicate)}|(?:[\w-]+:)?{local}"
        )
        following = re.compile(r'"@id"\s*:\s*"[^"]*"\s*,').search(self._text, node.end())
        end = following.start() if following else len(self._text)
        key = re.compile(rf'"(?:{known})"\s*:').search(self._text, node.end(), end)
        return (key or node).start(0 if key else 1)

    def _scan_xml(self) -> None:
        """Places are in bytes. Node and property elements alternate (RDF/XML, 2.1): open ones lie on a stack."""
        rdf = PREFIXES["rdf"]
        open_nodes: list[str | None] = []
        reader = expat.ParserCreate("utf-8", " ")

        def start(name: str, attributes: Mapping[str, str]) -> None:
            word, at = name.replace(" ", ""), reader.CurrentByteIndex
            subject = open_nodes[-1] if open_nodes else None
            if subject is not None:
                self._statements.setdefault((subject, word), at)
                self._inside.setdefault(word, at)
                open_nodes.append("" if attributes.get(rdf + " parseType") == "Resource" else None)
            elif word == rdf + "RDF":
                open_nodes.append(None)
            else:
                about = attributes.get(rdf + " about")
                subject = "" if about is None else self._resolve(about)
                self._subjects.setdefault(subject, max(at, self._data.find((about or "<").encode(), at, at + 4096) - 1))
                for key in (rdf + "type", *(k.replace(" ", "") for k in attributes)):
                    self._statements.setdefault((subject, key), at)
                open_nodes.append(subject)

        reader.StartElementHandler = start
        reader.EndElementHandler = lambda name: open_nodes.pop()
        with suppress(expat.ExpatError):  # a document that was refused may break off
            reader.Parse(self._data, True)

    def _scan(self) -> None:
        prefixes: dict[str, str] = {}
        expect, directive, name = "subject", "", ""
        subject: str | None = None
        depth = 0
        for match in _LEX.finditer(self._text):
            token, at = match.group(), match.start()
            if token[0] in "#\"'+-0123456789" or (token[0] == "." and len(token) > 1):
                continue
            lowered = token.lower()
            if lowered in ("@prefix", "prefix", "@base", "base"):
                directive, name = lowered.removeprefix("@"), ""
            elif directive:
                if token.startswith("<"):
                    if directive == "prefix":
                        prefixes[name] = self._resolve(token[1:-1])
                    else:
                        self._now = self._resolve(token[1:-1])
                    directive, expect = "", "subject"
                else:
                    name = token.removesuffix(":")
            elif token in "[(":
                depth += 1
            elif token in "])":
                depth -= 1
            elif token in "{}":
                expect, subject = "subject", None
            elif depth:
                self._inside.setdefault(self._iri(token, prefixes), at)
            elif token == ".":
                expect, subject = "subject", None
            elif token == ";":
                expect = "predicate"
            elif token == ",":
                continue
            else:
                iri = self._iri(token, prefixes)
                if expect == "subject":
                    subject, expect = iri, "predicate"
                    self._subjects.setdefault(iri, at)
                elif expect == "predicate":
                    expect = "object"
                    if subject is not None:
                        self._statements.setdefault((subject, iri), at)

    def _iri(self, token: str, prefixes: Mapping[str, str]) -> str:
        if token == "a":
            return PREFIXES["rdf"] + "type"
        if token.startswith("<"):
            return self._resolve(token[1:-1])
        prefix, _, local = token.partition(":")
        return prefixes.get(prefix, prefix + ":") + re.sub(r"\\(.)", r"\1", local)

    def _resolve(self, iri: str) -> str:
        iri = re.sub(r"\\(?:u(.{4})|U(.{8}))", lambda m: chr(int(m[1] or m[2], 16)), iri)
        if SCHEME.match(iri):
            return iri
        return urljoin(self._now, iri) if self._now.startswith("http") else self._now + iri
