"""The files of a rule set: what may stand in them, read and linted into rules.

A rule set is a folder with `core/`, and where wanted `org/<org>/` and `domains/<domain>/`, each with `shapes.ttl` and
`vocabulary.ttl`. A rule is one targeted `sh:NodeShape` with `fm:mode`. What cannot be honoured is refused by name.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from re import _constants as sre  # type: ignore[attr-defined]
from re import _parser as parser  # type: ignore[attr-defined]
from typing import Any

from fairmesh.catalog import rdf
from fairmesh.catalog.computed import PREDICATES, PREFIX, Index
from fairmesh.catalog.errors import InputError
from fairmesh.catalog.model import FM, Severity
from fairmesh.catalog.rdf import BlankNode, Literal, NamedNode, Triple

RULES = "https://w3id.org/fairmesh/rules/"
"""Rule IRIs begin with this; the rest is the rule's id (`core/06`, `domains/sales/frequency`)."""

_SH = rdf.PREFIXES["sh"]
_RDF = rdf.PREFIXES["rdf"]
_RDFS = rdf.PREFIXES["rdfs"]
_XSD = rdf.PREFIXES["xsd"]
_TYPE = _RDF + "type"

_Term = NamedNode | BlankNode | Literal


class Mode(StrEnum):
    """What a broken rule does: `gate` refuses, `gateWhenLive` refuses live products and warns others."""

    GATE = "gate"
    GATE_WHEN_LIVE = "gateWhenLive"
    WARN = "warn"
    ADVISE = "advise"

    def severity(self, *, live: bool) -> Severity:
        if self is Mode.GATE_WHEN_LIVE:
            return Severity.VIOLATION if live else Severity.WARNING
        return {Mode.GATE: Severity.VIOLATION, Mode.WARN: Severity.WARNING}.get(self, Severity.INFO)


class Scope(StrEnum):
    CORE = "CORE"
    ORGANISATION = "ORGANISATION"
    DOMAIN = "DOMAIN"


@dataclass(frozen=True, slots=True)
class Rule:
    """One targeted node shape. `targets` are class IRIs; `domain` is a key where scope is DOMAIN, else None.

    `messages` are (language tag or "", text) and say the remedy; `line` is where `file` starts to describe the rule.
    """

    id: str
    iri: str
    label: str
    comment: str
    messages: tuple[tuple[str, str], ...]
    mode: Mode
    owner: str | None
    scope: Scope
    domain: str | None
    targets: tuple[str, ...]
    needs_mesh: bool
    file: str
    line: int | None

    @property
    def message(self) -> str:
        return next((text for lang, text in self.messages if lang in ("", "en")), self.messages[0][1])


# -- reading ----------------------------------------------------------------------------------------------------------

FILE = re.compile(r"(?P<level>core|org/[^/]+|domains/(?P<domain>[^/]+))/(?P<kind>vocabulary|shapes)\.ttl")


@dataclass(frozen=True, slots=True)
class Level:
    """One folder of a rule set: `name` is `core`, `org/<org>` or `domains/<domain>`."""

    name: str
    scope: Scope
    domain: str | None
    shapes: tuple[Triple, ...]
    vocabulary: tuple[Triple, ...]


def digest_of(files: Mapping[str, bytes]) -> str:
    digest = hashlib.sha256()
    for name, data in sorted(files.items()):
        digest.update(f"{name}\0{len(data)}\0".encode())
        digest.update(data)
    return digest.hexdigest()


def refusal(file: str, what: str, remedy: str, *, line: int | None = None, iri: str | None = None) -> InputError:
    return InputError(f"{file}: {what}", remedy=remedy, line=line, iri=iri, code="rule-set")


def vocabulary_of(files: Mapping[str, bytes]) -> list[Triple]:
    """The vocabulary statements of a rule set that was in force once; its rules need not pass today's lint."""
    return [triple for level in read_levels(files) for triple in level.vocabulary]


def read_levels(files: Mapping[str, bytes]) -> tuple[Level, ...]:
    for name in files:
        if not FILE.fullmatch(name):
            raise refusal(
                name, "is not a file of a rule set", "Give core/, org/<org>/ and domains/<domain>/ files only"
            )
    if "core/shapes.ttl" not in files:
        raise refusal("core/shapes.ttl", "is missing", "A rule set has core rules at least")
    levels = []
    for name in sorted({name.rpartition("/")[0] for name in files}, key=lambda n: (n != "core", n[:3] != "org", n)):
        kind, _, key = name.partition("/")
        scope = {"core": Scope.CORE, "org": Scope.ORGANISATION, "domains": Scope.DOMAIN}[kind]
        shapes, vocabulary = (_read(f"{name}/{part}.ttl", files) for part in ("shapes", "vocabulary"))
        levels.append(Level(name, scope, key if scope is Scope.DOMAIN else None, shapes, vocabulary))
    return tuple(levels)


def _read(name: str, files: Mapping[str, bytes]) -> tuple[Triple, ...]:
    """The statements of one file, with blank nodes named by file and order, so that files never share one."""
    if name not in files:
        return ()
    try:
        quads = rdf.parse(files[name], rdf.TURTLE, iri_base=RULES + name.rpartition("/")[0] + "/").quads
    except InputError as error:
        raise refusal(name, error.message, error.remedy, line=error.line) from None
    names: dict[BlankNode, BlankNode] = {}
    prefix = re.sub(r"\W", "_", name.removesuffix(".ttl"))

    def renamed(term: Any) -> Any:
        return names.setdefault(term, BlankNode(f"{prefix}_{len(names)}")) if isinstance(term, BlankNode) else term

    return tuple(Triple(renamed(q.subject), q.predicate, renamed(q.object)) for q in quads)


# -- lint -------------------------------------------------------------------------------------------------------------

_TARGETS = tuple(_SH + name for name in ("targetClass", "targetNode", "targetSubjectsOf", "targetObjectsOf"))
_SHAPE_VALUED = tuple(_SH + name for name in ("property", "node", "not", "qualifiedValueShape"))
_SHAPE_LISTS = tuple(_SH + name for name in ("and", "or", "xone"))
_LISTS = frozenset((*_SHAPE_LISTS, _SH + "in", _SH + "languageIn", _SH + "ignoredProperties"))
_MAX_NESTING = 10

_KNOWN_SH = frozenset(
    _SH + name
    for name in (
        "targetClass", "targetNode", "targetSubjectsOf", "targetObjectsOf", "property", "node", "not", "and", "or",
        "xone", "qualifiedValueShape", "qualifiedMinCount", "qualifiedMaxCount", "qualifiedValueShapesDisjoint", "path",
        "inversePath", "alternativePath", "zeroOrMorePath", "oneOrMorePath", "zeroOrOnePath", "class", "datatype",
        "nodeKind", "minCount", "maxCount", "minExclusive", "minInclusive", "maxExclusive", "maxInclusive", "minLength",
        "maxLength", "pattern", "flags", "languageIn", "uniqueLang", "equals", "disjoint", "lessThan",
        "lessThanOrEquals",
        "closed", "ignoredProperties", "hasValue", "in", "message", "name", "description", "order", "group",
        "defaultValue", "NodeShape", "PropertyShape", "PropertyGroup", "IRI", "BlankNode", "Literal", "BlankNodeOrIRI",
        "BlankNodeOrLiteral", "IRIOrLiteral",
    )
)  # fmt: skip
_KNOWN_FM = frozenset(FM + name for name in ("mode", "needsMesh"))
_FLAGS = frozenset(_SH + name for name in ("uniqueLang", "closed", "qualifiedValueShapesDisjoint"))
_ON, _OFF = (Literal(word, datatype=NamedNode(_XSD + "boolean")) for word in ("true", "false"))
_REMEDIES = {
    _SH + "severity": "Remove it: fm:mode decides the severity",
    _SH + "deactivated": "Remove the rule, or set its mode to fm:advise",
    rdf.PREFIXES["owl"] + "imports": "Write the terms into vocabulary.ttl: nothing is ever fetched",
}


def lint(levels: Sequence[Level], files: Mapping[str, bytes]) -> list[Rule]:
    """The rules of all levels, after checking that every shape says only what can be honoured.

    Raises `InputError` (code `rule-set`) with file, line where known, and remedy.
    """
    rules: list[Rule] = []
    for number, level in enumerate(levels):
        above = [other for other in levels[:number] if other.domain is None]
        rules += _Linter(level, above, files).rules()
    return rules


class _Linter:
    """Checks one level's shapes against what rule sets may say, and yields its rules."""

    def __init__(self, level: Level, above: Sequence[Level], files: Mapping[str, bytes]) -> None:
        self.level = level
        self.file = f"{level.name}/shapes.ttl"
        self.text = files.get(self.file, b"").decode()
        self.index = Index(level.shapes)
        self.above = Index(triple for other in above for triple in other.shapes)

    def rules(self) -> Iterator[Rule]:
        self._check_terms()
        targeted = [s for s, facts in self.index.subjects.items() if any(target in facts for target in _TARGETS)]
        used: set[_Term] = set()
        for shape in sorted(targeted, key=str):
            rule = self._rule(shape)
            self._walk(shape, (), used, emits=True)
            yield rule
        for shape, facts in self.index.subjects.items():
            if NamedNode(_SH + "NodeShape") in facts.get(_TYPE, ()) and shape not in used:
                raise self.refusal(shape, "no rule uses this shape", "Give it sh:targetClass and fm:mode, or remove it")
            if FM + "mode" in facts and shape not in used:
                raise self.refusal(
                    shape, "fm:mode on something that is no rule", "Give it sh:targetClass, or remove it"
                )

    def refusal(self, at: object, what: str, remedy: str) -> InputError:
        iri = rdf.iri_of(at)
        name = "" if iri is None else f" {rdf.compact(iri) or f'<{iri}>'}"
        line = None if iri is None else _line_of(self.text, iri)
        return refusal(self.file, f"{what}{name}", remedy, line=line, iri=iri)

    def _check_terms(self) -> None:
        for triple in self.level.vocabulary:
            self._check_term(triple.predicate)
            self._check_term(triple.object)
        for triple in self.level.shapes:
            predicate, value = triple.predicate.value, triple.object
            self._check_term(triple.predicate)
            self._check_term(value)
            if predicate.startswith(FM) and predicate not in _KNOWN_FM:
                raise self.refusal(
                    triple.predicate, "an unknown term on a shape:", "Known are fm:mode and fm:needsMesh"
                )
            iri = rdf.iri_of(value) or ""
            if iri.startswith(PREFIX) and iri not in PREDICATES:
                known = ", ".join("fm:" + name.removeprefix(FM) for name in sorted(PREDICATES))
                raise self.refusal(value, "a computed term the engine does not know:", f"Known are {known}")
            if predicate in _FLAGS and value not in (_ON, _OFF):
                raise self.refusal(None, f"{rdf.compact(predicate)} is neither true nor false", "Write true or false")
            if predicate in _LISTS and not self._is_list(value):
                raise self.refusal(None, f"{rdf.compact(predicate)} has no well-formed list", "Write ( one two ... )")
            if predicate == _SH + "pattern":
                self._check_pattern(triple)

    def _is_list(self, head: Any) -> bool:
        seen = set()
        while head != NamedNode(_RDF + "nil"):
            first, rest = self.index.objects(head, _RDF + "first"), self.index.objects(head, _RDF + "rest")
            if head in seen or len(first) != 1 or len(rest) != 1:
                return False
            seen.add(head)
            head = rest[0]
        return True

    def _check_term(self, term: object) -> None:
        iri = rdf.iri_of(term) or ""
        if iri in _REMEDIES or (iri.startswith(_SH) and iri not in _KNOWN_SH):
            remedy = _REMEDIES.get(iri, "Use SHACL Core; SPARQL, JavaScript and custom components are not supported")
            raise self.refusal(term, "a term that rule sets may not use:", remedy)

    def _check_pattern(self, triple: Triple) -> None:
        text = triple.object.value if isinstance(triple.object, Literal) else ""
        flags = self.index.objects(triple.subject, _SH + "flags") if not isinstance(triple.subject, Triple) else ()
        wrong = check_pattern(text, ignore_case=any(isinstance(f, Literal) and "i" in f.value for f in flags))
        if wrong is not None:
            line = next((n for n, found in enumerate(self.text.splitlines(), 1) if _quoted(text) in found), None)
            raise refusal(self.file, f"the pattern {text!r} {wrong[0]}", wrong[1], line=line)

    def _one(self, shape: _Term, predicate: str, name: str, remedy: str) -> _Term:
        values = set(self.index.objects(shape, predicate))
        if len(values) != 1:
            raise self.refusal(shape, f"{'no' if not values else 'more than one'} {name} on the rule", remedy)
        return values.pop()

    def _rule(self, shape: _Term) -> Rule:
        prefix = f"{RULES}{self.level.name}/"
        iri = rdf.iri_of(shape)
        if iri is None or not iri.startswith(prefix) or iri == prefix:
            raise self.refusal(shape, "a rule outside its level's namespace", f"Name it <{prefix}...>")
        if shape in self.above.subjects:
            raise self.refusal(shape, "a rule of a higher level is described again", "A lower level only adds rules")
        if NamedNode(_SH + "NodeShape") not in self.index.objects(shape, _TYPE):
            raise self.refusal(
                shape, "a target on something that is no sh:NodeShape", "Put the target on a sh:NodeShape"
            )
        modes = ", ".join(f"fm:{mode}" for mode in Mode)
        mode = self._mode(self._one(shape, FM + "mode", "fm:mode", f"State one of {modes}"))
        if not self.index.objects(shape, _SH + "message"):
            raise self.refusal(shape, "no sh:message on the rule", "Say what to do to meet it")
        texts, messages = self._texts, messages_of(self.index, shape)
        return Rule(
            id=iri.removeprefix(RULES),
            iri=iri,
            label=texts(shape, _RDFS + "label", _SH + "name"),
            comment=texts(shape, _RDFS + "comment", _SH + "description"),
            messages=messages,
            mode=mode,
            owner=texts(shape, rdf.PREFIXES["dct"] + "creator") or None,
            scope=self.level.scope,
            domain=self.level.domain,
            targets=tuple(sorted(str(rdf.iri_of(t)) for t in self.index.objects(shape, _SH + "targetClass"))),
            needs_mesh=_ON in self.index.objects(shape, FM + "needsMesh"),
            file=self.file,
            line=_line_of(self.text, iri),
        )

    def _mode(self, term: _Term) -> Mode:
        word = (rdf.iri_of(term) or "").removeprefix(FM)
        if word not in list(Mode):
            raise self.refusal(term, "an unknown mode", f"Use one of {', '.join(f'fm:{mode}' for mode in Mode)}")
        return Mode(word)

    def _texts(self, shape: _Term, *predicates: str) -> str:
        values = [v for p in predicates for v in self.index.objects(shape, p)]
        values.sort(key=lambda v: (getattr(v, "language", None) not in (None, "en"), str(v)))
        return getattr(values[0], "value", "") if values else ""

    def _walk(self, shape: _Term, above: tuple[_Term, ...], used: set[_Term], *, emits: bool) -> None:
        """Visit what a rule's shape refers to: all there, no circle, modes only where results come from."""
        if shape in above:
            raise self.refusal(shape, "a shape that refers to itself", "Remove the circle")
        if len(above) > _MAX_NESTING:
            raise self.refusal(above[0], f"shapes nested more than {_MAX_NESTING} deep", "Split the rule")
        index = self.index if shape in self.index.subjects else self.above
        if shape not in index.subjects:
            raise self.refusal(
                above[-1], f"a reference to {shape}, which nothing describes", "Describe it, or remove it"
            )
        used.add(shape)
        modes = index.objects(shape, FM + "mode")
        if above and modes:
            if not emits and not any(target in index.subjects[shape] for target in _TARGETS):
                raise self.refusal(
                    above[0], "fm:mode on a shape inside sh:node, sh:not, sh:and, sh:or or sh:xone of",
                    "Put it on the property shape that reports, or on the rule",
                )  # fmt: skip
            self._mode(modes[0])
        for name, inner in references(index, shape):
            self._walk(inner, (*above, shape), used, emits=emits and name == _SH + "property")


def references(index: Index, shape: _Term) -> Iterator[tuple[str, _Term]]:
    for name in _SHAPE_VALUED:
        yield from ((name, inner) for inner in index.objects(shape, name))
    for name in _SHAPE_LISTS:
        for head in index.objects(shape, name):
            yield from ((name, inner) for inner in index.items(head))


def messages_of(index: Index, shape: _Term) -> tuple[tuple[str, str], ...]:
    found = index.objects(shape, _SH + "message")
    return tuple(sorted((m.language or "", m.value) for m in found if isinstance(m, Literal)))


def _quoted(text: str) -> str:
    return text.replace("\\", "\\\\").replace('"', '\\"')


def _line_of(text: str, iri: str) -> int | None:
    """The line that begins with this IRI, else the first that has it, written in full or with a prefix."""
    forms = [re.escape(f"<{iri}>")]
    for prefix, namespace in re.findall(r"@?prefix\s+([\w.-]*:)\s*<([^>]*)>", text, re.IGNORECASE):
        if iri.startswith(namespace) and iri != namespace:
            forms.append(
                re.escape(prefix) + re.escape(iri.removeprefix(namespace)).replace("/", r"\\?/") + r"(?![\w/-])"
            )
    either = "|".join(forms)
    found = re.search(rf"^\s*(?:{either})", text, re.MULTILINE) or re.search(either, text)
    return None if found is None else text.count("\n", 0, found.end()) + 1


# -- patterns ---------------------------------------------------------------------------------------------------------


def check_pattern(text: str, *, ignore_case: bool = False) -> tuple[str, str] | None:
    """What is wrong with a pattern and the remedy, or None: no regular expression, or `(a+)+`, which can take for ever.

    A repetition inside an unbounded repetition is fine when each round starts or ends with a character that the
    inner one cannot match, as in `[a-z]+(\\.[a-z]+)*`. Slow patterns of other kinds are not recognised.
    """
    try:
        parsed = parser.parse(text)
    except (re.error, RecursionError, OverflowError) as error:
        return f"is not a regular expression: {error}", "Correct it"
    if not _ambiguous(parsed, ignore_case):
        return None
    return (
        "repeats a repetition, which can take for ever on some texts",
        "Let each repetition start or end with a character that the one inside cannot match",
    )


def _ambiguous(pattern: Any, ignore_case: bool) -> bool:
    for operator, argument in pattern:
        if operator in (sre.MAX_REPEAT, sre.MIN_REPEAT) and argument[1] > 1:
            inner = list(_repeated(argument[2]))
            if inner and not _delimited(argument[2], inner, ignore_case):
                return True
        if any(_ambiguous(part, ignore_case) for part in _parts(argument)):
            return True
    return False


def _parts(argument: Any) -> Iterator[Any]:
    """The sub-patterns of a parsed element, however deep they lie in its arguments."""
    if isinstance(argument, parser.SubPattern):
        yield argument
    elif isinstance(argument, (list, tuple)):
        for part in argument:
            yield from _parts(part)


def _repeated(pattern: Any) -> Iterator[Any]:
    """The elements under unbounded repetitions inside `pattern`."""
    for operator, argument in pattern:
        if operator in (sre.MAX_REPEAT, sre.MIN_REPEAT) and argument[1] is sre.MAXREPEAT:
            yield from argument[2]
        for part in _parts(argument):
            yield from _repeated(part)


def _delimited(pattern: Any, inner: Sequence[Any], ignore_case: bool) -> bool:
    items = list(pattern)
    while len(items) == 1 and items[0][0] is sre.SUBPATTERN:
        items = list(items[0][1][3])
    return any(
        operator is sre.LITERAL and not (ignore_case and chr(argument).isalpha())
        and not any(_may_match(element, chr(argument)) for element in inner)
        for operator, argument in (items[0], items[-1])
    )  # fmt: skip


def _may_match(element: tuple[Any, Any], char: str) -> bool:
    """Whether a parsed single-character element matches `char`; anything else counts as yes."""
    operator, argument = element
    if operator is sre.LITERAL:
        return bool(argument == ord(char))
    if operator is sre.NOT_LITERAL:
        return bool(argument != ord(char))
    if operator is not sre.IN:
        return True
    hit = any(
        argument_ == ord(char) if kind is sre.LITERAL
        else argument_[0] <= ord(char) <= argument_[1] if kind is sre.RANGE
        else kind is sre.CATEGORY and _in_category(argument_, char)
        for kind, argument_ in argument
    )  # fmt: skip
    return hit is not (argument[0][0] is sre.NEGATE)


def _in_category(category: Any, char: str) -> bool:
    name = str(category).rpartition("_")[2]
    letter = {"DIGIT": "d", "SPACE": "s", "WORD": "w"}.get(name)
    return letter is None or bool(re.match("\\" + (letter.upper() if "NOT" in str(category) else letter), char))
