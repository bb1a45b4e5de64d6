"""What is wrong with rules, before they are used: every finding of every file, with its place and remedy.

Two kinds of input are read. A rule set (see `rulefiles`) is held to the mesh's own demands: modes, owners, remedies,
examples. Any other SHACL file is held to SHACL alone, and what of it cannot be used can be left out (`usable`).
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from fairmesh.catalog import rdf
from fairmesh.catalog.computed import PREDICATES, PREFIX
from fairmesh.catalog.errors import InputError
from fairmesh.catalog.model import FM
from fairmesh.catalog.patterns import check_pattern
from fairmesh.catalog.rdf import BlankNode, Literal, NamedNode, Triple
from fairmesh.catalog.rulefiles import (
    EXAMPLE,
    FILE,
    RULES,
    TARGETS,
    Level,
    Mode,
    Rule,
    Scope,
    date_of,
    messages_of,
    read_levels,
    refusal,
    rules_of,
    shapes_graph_of,
)
from fairmesh.catalog.shacl import sparql, syntax
from fairmesh.catalog.shacl.results import Node, Term, Unsupported
from fairmesh.catalog.shacl.syntax import SH, Fault, name_of
from fairmesh.catalog.statementplaces import StatementPlaces
from fairmesh.catalog.triples import Index

_DCT, _RDFS = rdf.PREFIXES["dct"], rdf.PREFIXES["rdfs"]
_TYPE = rdf.PREFIXES["rdf"] + "type"
_MODES = ", ".join(f"fm:{mode}" for mode in Mode)


@dataclass(frozen=True, slots=True)
class Problem:
    """One finding about a file of rules. `line` and `column` count from 1 and are None where unknown.

    `rule` is the check that found it (`dangling`, `pattern`, `owner`, ...), None when no check of the lint did. An
    `error` refuses the rule set; anything else is a warning. `iri` is the shape or rule it is about, if that has one.
    """

    file: str
    line: int | None
    column: int | None
    rule: str | None
    what: str
    remedy: str
    error: bool
    iri: str | None = None


# -- any shapes graph -------------------------------------------------------------------------------------------------


class _Sources:
    """Which file says what, and where in it."""

    def __init__(self, files: Mapping[str, tuple[bytes, tuple[Triple, ...]]]) -> None:
        self._files = files
        self._places: dict[str, StatementPlaces] = {}
        self._file_of: dict[Triple, str] = {}
        self._subject_in: dict[object, str] = {}
        for name, (_, statements) in files.items():
            for triple in statements:
                self._file_of.setdefault(triple, name)
                self._subject_in.setdefault(triple.subject, name)

    def problem(self, fault: Fault) -> Problem:
        """The fault with its place: that of its statement, else of its node."""
        name = self._file_of.get(fault.statement) if fault.statement is not None else None
        name = name or self._subject_in.get(fault.node) or next(iter(self._files))
        line, column = self._place(name, fault)
        what = fault.what
        iri = rdf.iri_of(fault.node)
        if iri is not None and name_of(fault.node) not in what:
            what = f"{what}, in {_short(fault.node)}"
        return Problem(name, line, column, fault.kind, what, fault.remedy, fault.error, iri)

    def _place(self, name: str, fault: Fault) -> tuple[int | None, int | None]:
        if name not in self._places:
            self._places[name] = StatementPlaces(*self._files[name])
        line, column = self._places[name].find(fault.node, fault.statement) or (None, None)
        if isinstance(fault, _InText) and line is not None and fault.statement is not None:
            return (line + fault.line - 1, column if fault.line == 1 else fault.column)
        return line, column


def _short(term: object) -> str:
    """A name for a shape: what rules of the mesh are called, else as in a file."""
    iri = rdf.iri_of(term) or ""
    return iri.removeprefix(RULES) if iri.startswith(RULES) else name_of(term)


@dataclass(frozen=True, slots=True)
class _InText(Fault):
    """A fault inside a literal, at this line and column of it."""

    line: int = 1
    column: int = 1


def _shape_faults(index: Index, nodes: Collection[Term] | None = None) -> list[Fault]:
    """Everything wrong with a shapes graph as such: its syntax, its patterns and its queries.

    `nodes` are those whose syntax is looked at, as in a rule set, where verdicts are kept; None: all, once.
    """
    return [*syntax.faults(index, nodes), *_pattern_faults(index), *_query_faults(index, kept=nodes is not None)]


_LONG = 200
"""Characters of a pattern that a finding shows."""


def _pattern_faults(index: Index) -> Iterator[Fault]:
    for node, value in index.pairs[SH + "pattern"]:
        flags = "".join(flag.value for flag in index.objects(node, SH + "flags") if isinstance(flag, Literal))
        wrong = check_pattern(value.value, flags) if isinstance(value, Literal) else None
        if wrong is not None:
            at = Triple(node, NamedNode(SH + "pattern"), value)  # type: ignore[arg-type]
            shown = value.value if len(value.value) <= _LONG else value.value[: _LONG - 1] + "…"
            yield Fault("pattern", node, at, f"the pattern {shown!r} {wrong[0]}", wrong[1])


_UNNAMED = BlankNode("fairmesh-none")
"""A shape that nobody wrote."""


class _Statements:
    """An index as `sparql` reads a shapes graph. For `_UNNAMED` there is a value of each predicate in `posed`."""

    def __init__(self, index: Index, posed: Collection[NamedNode] = ()) -> None:
        self._index = index
        self._posed = posed

    def objects(self, subject: Node, predicate: NamedNode) -> Sequence[Term]:
        if subject == _UNNAMED:
            return [Literal("x")] if predicate in self._posed else []
        return self._index.objects(subject, predicate.value)

    def subjects(self, predicate: NamedNode, object: Term) -> Sequence[Node]:
        pairs = self._index.pairs[predicate.value]
        return [subject for subject, value in pairs if value == object and not isinstance(subject, Literal)]


def _query_faults(index: Index, *, kept: bool) -> Iterator[Fault]:
    """What is wrong with `sh:sparql` and components: their form, what queries may not do, and answers that change by
    themselves, an error where verdicts are `kept`."""
    statements = _Statements(index)
    for shape, node in index.pairs[SH + "sparql"]:
        if isinstance(shape, Literal) or isinstance(node, Literal):
            continue  # the syntax says so
        said = _only_text(index, [node])
        try:
            made = sparql.constraint(statements, shape, node, _PATH if index.objects(shape, SH + "path") else None)
        except (InputError, Unsupported) as error:
            yield _query_fault(shape, said, error)
        else:
            yield from _unsteady(shape, said, [made] if made else [], kept=kept)
    yield from _component_faults(index, statements, kept=kept)


_STEADIER = {
    "NOW": "Compare with a stated date; a rule asks for more from a day on with fm:nextMode and fm:nextModeFrom",
    "RAND": "Decide by what the data say",
}


def _unsteady(node: Term, said: Triple | None, made: Iterable[sparql.Constraint], *, kept: bool) -> Iterator[Fault]:
    """Functions that answer anew each time: a verdict that is kept has to be the same whenever it is found."""
    for word, line, column in (call for constraint in made for call in constraint.query.unsteady):
        remedy = _STEADIER.get(word, "Answer with a term of the data")
        what = f"{word}() in a query of a shape: the verdict on the same data changes by itself"
        yield _InText("sparql", node, said, what, remedy, error=kept, line=line, column=column)


def _component_faults(index: Index, statements: _Statements, *, kept: bool) -> Iterator[Fault]:
    try:
        declared = sparql.components(statements)
    except (InputError, Unsupported) as error:
        nodes = [node for node in index.subjects if rdf.iri_of(node) and (rdf.iri_of(node) or "") in str(error)]
        nodes += [node for node, kind in index.pairs[_TYPE] if rdf.iri_of(kind) == SH + "ConstraintComponent"]
        yield _query_fault((nodes or list(index.subjects))[0], None, error)
        return
    for iri, component in declared.items():
        used: list[Node] = [
            shape
            for parameter in component.parameters
            for shape, _ in index.pairs[parameter.path.value]
            if not isinstance(shape, Literal)
        ]
        for shape in dict.fromkeys((*used, _UNNAMED)):  # a component that no shape uses is tried on one made up
            said = _Statements(index, [parameter.path for parameter in component.parameters])
            paths = (None, _PATH) if shape == _UNNAMED else (_PATH if index.objects(shape, SH + "path") else None,)
            for path in paths:
                if not component.validators_at(path):
                    yield from _unchecked(index, component, shape, path, kept=kept)
                text = _only_text(index, component.validators_at(path))
                try:
                    made = sparql.uses(said, shape, {iri: component}, path)
                except (InputError, Unsupported) as error:
                    yield _query_fault(iri, text, error)
                else:
                    yield from _unsteady(iri, text, made, kept=kept)


def _unchecked(
    index: Index, component: sparql.Component, shape: Node, path: str | None, *, kept: bool
) -> Iterator[Fault]:
    """A component that a shape of this kind has no validator of is ignored there (SHACL, section 6.2.3)."""
    kind = "node" if path is None else "property"
    if not any(component.validators.values()):
        at = Triple(component.iri, NamedNode(_TYPE), index.objects(component.iri, _TYPE)[0])
        what = f"{name_of(component.iri)} has no validator: what uses it is not checked"
        yield Fault("idle", component.iri, at, what, "Give it sh:validator", whole=False, error=kept)
        return
    stated = [(one.path, index.objects(shape, one.path.value)) for one in component.parameters if not one.optional]
    if all(values for _, values in stated):
        said, values = stated[0]
        at = Triple(shape, said, values[0])
        what = f"{name_of(component.iri)} has no validator for {kind} shapes: {name_of(said)} checks nothing here"
        yield Fault("idle", shape, at, what, f"Give it sh:validator or sh:{kind}Validator", whole=False, error=kept)


_PATH = "urn:fairmesh:path"
"""Stands for the path of any shape: which it is makes no difference to what its queries may do."""


def _only_text(index: Index, nodes: Sequence[Term]) -> Triple | None:
    """The statement that holds the text of these queries, if there is one text."""
    found = [
        Triple(node, NamedNode(SH + name), text)  # type: ignore[arg-type]
        for node in nodes
        for name in ("select", "ask")
        for text in index.objects(node, SH + name)
    ]
    return found[0] if len(found) == 1 else None


def _query_fault(node: Term, said: Triple | None, error: InputError | Unsupported) -> Fault:
    if isinstance(error, Unsupported):
        return Fault("unsupported", node, said, f"{error.construct} is not supported", "Write it without")
    return _InText(
        "sparql", node, said, error.message, error.remedy, line=error.line or 1, column=error.column or 1
    )  # fmt: skip


# -- shapes graphs of others ------------------------------------------------------------------------------------------


def lint_shapes(files: Mapping[str, bytes]) -> list[Problem]:
    """What is wrong with SHACL files that are no rule set, taken together as one shapes graph.

    Modes, owners, remedies and examples are no matter of SHACL and not asked for.
    """
    return usable(files)[1]


def usable(files: Mapping[str, bytes]) -> tuple[list[Triple], list[Problem]]:
    """The statements of SHACL files, one shapes graph, without what cannot be used; and all that is wrong with them.

    Left out are statements that lead nowhere, shapes that are ill-formed or can never be met, and what rests on them:
    through `sh:property` the reference alone, since a shape without one of its demands asks for less; the referring
    shape itself where less asked for could mean more results (`sh:not`, `sh:xone`, counted shapes, `sh:closed`) or a
    part is missing (`sh:node`, `sh:and`, `sh:or`).
    """
    problems: list[Problem] = []
    read: dict[str, tuple[bytes, tuple[Triple, ...]]] = {}
    for name, data in files.items():
        try:
            read[name] = data, shapes_graph_of(name, data)
        except InputError as error:
            problems.append(_unread(name, error))
    triples = list(dict.fromkeys(triple for _, statements in read.values() for triple in statements))
    index = Index(triples)
    found = _shape_faults(index)
    sources = _Sources(read)
    problems += [sources.problem(fault) for fault in found]
    return _without(index, triples, [fault for fault in found if fault.error]), _ordered(problems, files)


def _unread(name: str, error: InputError) -> Problem:
    what = error.message.removeprefix(f"{name}: ")
    return Problem(name, error.line, error.column, "syntax", what, error.remedy, True)


def _ordered(problems: Iterable[Problem], files: Iterable[str]) -> list[Problem]:
    """By file, in the order given, then by place."""
    order = {name: number for number, name in enumerate(files)}
    return sorted(
        dict.fromkeys(problems),
        key=lambda p: (order.get(p.file, len(order)), p.line or 0, p.column or 0, p.rule or "", p.what),
    )


_FRAGILE = frozenset(SH + name for name in ("not", "xone", "qualifiedValueShape"))


def _without(index: Index, triples: Sequence[Triple], errors: Sequence[Fault]) -> list[Triple]:
    """The statements without the faulty ones, the faulty shapes, and what rests on them."""
    gone = {fault.statement for fault in errors if not fault.whole and fault.statement is not None}
    bad = {fault.node for fault in errors if fault.whole}
    weak = {fault.node for fault in errors if not fault.whole}
    users: dict[Term, list[tuple[str, Term]]] = defaultdict(list)
    for node in index.subjects:
        for predicate, inner in syntax.references(index, node):
            users[inner].append((predicate, node))
    for component in list(bad):
        for parameter in index.objects(component, SH + "parameter"):
            for path in index.objects(parameter, SH + "path"):
                bad.update(user for user, _ in index.pairs[rdf.iri_of(path) or ""])
    waiting = [*bad, *weak]
    while waiting:
        node = waiting.pop()
        if node in weak and node not in bad and _is_closed(index, node):
            bad.add(node)
        for predicate, user in users[node]:
            part_of = predicate == SH + "property"
            ruined = predicate in _FRAGILE or (node in bad and not part_of)
            known = bad if ruined else weak
            if user not in known and user not in bad:
                known.add(user)
                waiting.append(user)
    return [
        triple
        for triple in triples
        if triple not in gone
        and triple.subject not in bad
        and not (triple.predicate.value == SH + "property" and triple.object in bad)
    ]


def _is_closed(index: Index, node: Term) -> bool:
    return any(isinstance(value, Literal) and value.value == "true" for value in index.objects(node, SH + "closed"))


# -- rule sets --------------------------------------------------------------------------------------------------------


def lint(files: Mapping[str, bytes], examples: Mapping[str, bytes] | None = None) -> list[Problem]:
    """Everything wrong with a rule set: `files` by path, such as `core/shapes.ttl`, and its `examples` where they are
    to be looked at. Rules without examples are no error of the core that ships, unless it has some here.

    Whether an example does what its name says is not asked here.
    """
    problems = []
    sound = dict(files)
    unread: set[str] = set()
    for name, data in files.items():
        try:
            if not FILE.fullmatch(name):
                raise refusal(name, "is not a file of a rule set", "Give core/, org/<org>/ and domains/<domain>/ files")
            read_levels({"core/shapes.ttl": b"", name: data})
        except InputError as error:
            problems.append(_unread(name, error))
            sound[name] = b""
            unread.add(name.rpartition("/")[0])
    sound = {name: data for name, data in sound.items() if FILE.fullmatch(name)}
    if "core/shapes.ttl" not in sound:
        problems.append(Problem("core/shapes.ttl", None, None, "file", "is missing", "A rule set has core rules", True))
        sound["core/shapes.ttl"] = b""
    levels = read_levels(sound)
    problems += _lint_levels(levels, sound)
    if examples is not None:
        told = {name: data for name, data in examples.items() if name.partition("/examples/")[0] not in unread}
        problems += _lint_examples([level for level in levels if level.name not in unread], sound, told)
    return _ordered(problems, (*files, *(examples or ())))


def checked_rules(levels: Sequence[Level], files: Mapping[str, bytes]) -> list[Rule]:
    """The rules of all levels, if nothing is wrong with them.

    Raises `InputError` (code `rule-set`) for the first error, with file, place and remedy.
    """
    errors = [problem for problem in _ordered(_lint_levels(levels, files), files) if problem.error]
    if errors:
        first = errors[0]
        more = f" (and {len(errors) - 1} more)" if len(errors) > 1 else ""
        raise refusal(first.file, first.what + more, first.remedy, line=first.line, column=first.column, iri=first.iri)
    return [rule for level in levels for rule in rules_of(level, files)]


def _lint_levels(levels: Sequence[Level], files: Mapping[str, bytes]) -> list[Problem]:
    problems: list[Problem] = []
    for number, level in enumerate(levels):
        above = [other for other in levels[:number] if other.domain is None]
        problems += _LevelLint(level, above, files).problems()
    return problems


_HOUSE_TERMS = {
    SH + "severity": "Remove it: fm:mode decides the severity",
    SH + "deactivated": "Remove the rule, or set its mode to fm:advise",
}
_ON_SHAPES = frozenset(FM + name for name in ("mode", "nextMode", "nextModeFrom", "needsMesh"))
_FIXED = "A lower level only adds rules: change the rule where it stands, or write one of your own"


class _LevelLint:
    """Holds the shapes of one level, among those of the levels above it, to what rules of the mesh must be."""

    def __init__(self, level: Level, above: Sequence[Level], files: Mapping[str, bytes]) -> None:
        self._level = level
        self._files = files
        self._file = f"{level.name}/shapes.ttl"
        self._vocabulary_file = f"{level.name}/vocabulary.ttl"
        self._own = Index(level.shapes)
        self._above = Index(triple for other in above for triple in other.shapes)
        self._all = Index(triple for each in (*above, level) for triple in each.shapes)
        self._described = {triple.subject for each in (*above, level) for triple in (*each.vocabulary, *each.shapes)}
        self._rules = [node for node, facts in self._own.subjects.items() if any(t in facts for t in TARGETS)]

    def problems(self) -> list[Problem]:
        sources = _Sources({
            self._file: (self._files.get(self._file, b""), self._level.shapes),
            self._vocabulary_file: (self._files.get(self._vocabulary_file, b""), self._level.vocabulary),
        })  # fmt: skip
        return [sources.problem(fault) for fault in dict.fromkeys(self._faults())]

    def _faults(self) -> Iterator[Fault]:
        own = self._own.subjects
        yield from (fault for fault in _shape_faults(self._all, own) if fault.node in own)
        yield from self._terms()
        yield from self._levels()
        for rule in self._rules:
            yield from self._rule(rule)
        unused = list(self._uses())
        yield from unused
        if not self._rules and not unused and self._files.get(self._file, b"").strip():
            first = next(iter(self._level.shapes), None)
            yield Fault(
                "unused", _UNNAMED, first, "no rule in the file: nothing is checked by it",
                "State a rule (sh:targetClass and fm:mode), or remove the file", error=False,
            )  # fmt: skip

    def _at(self, node: Term, predicate: str) -> Triple | None:
        found = self._own.objects(node, predicate)
        return Triple(node, NamedNode(predicate), found[0]) if found else None  # type: ignore[arg-type]

    def _says(self, node: Term, predicate: str) -> bool:
        """Whether there is something to read: an IRI, or a text that is not white space alone."""
        return any(
            not isinstance(term, BlankNode) and term.value.strip() for term in self._own.objects(node, predicate)
        )

    # -- terms --

    def _terms(self) -> Iterator[Fault]:
        for triple in (*self._level.shapes, *self._level.vocabulary):
            if "\0" in triple.object.value:  # XML cannot hold it, and few other formats can
                yield Fault("ill-formed", triple.subject, triple, "the character U+0000 in a text", "Remove it")
            for term in (triple.predicate, triple.object):
                iri = rdf.iri_of(term) or ""
                if iri in _HOUSE_TERMS:
                    yield Fault(
                        "house", triple.subject, triple, f"{name_of(term)} may not be used here", _HOUSE_TERMS[iri]
                    )
        for triple in self._level.vocabulary:
            if triple.predicate.value == rdf.PREFIXES["owl"] + "imports":
                yield Fault(
                    "imports", triple.subject, triple, "owl:imports is not followed",
                    "Write the terms into vocabulary.ttl: nothing is ever fetched",
                )  # fmt: skip
        for triple in self._level.shapes:
            yield from self._own_terms(triple)
            if triple.predicate.value == SH + "message" and not triple.object.value.strip():
                yield Fault("message", triple.subject, triple, "an empty sh:message", "Say what to do to meet it")

    def _own_terms(self, triple: Triple) -> Iterator[Fault]:
        predicate, iri = triple.predicate.value, rdf.iri_of(triple.object) or ""
        if predicate.startswith(FM) and predicate not in _ON_SHAPES:
            known = ", ".join("fm:" + iri.removeprefix(FM) for iri in sorted(_ON_SHAPES))
            yield Fault(
                "unknown-term", triple.subject, triple, f"{name_of(triple.predicate)} says nothing on a shape",
                f"Known are {known}",
            )  # fmt: skip
        if iri.startswith(PREFIX) and iri not in PREDICATES:
            known = ", ".join("fm:" + name.removeprefix(FM) for name in sorted(PREDICATES))
            yield Fault(
                "unknown-term", triple.subject, triple,
                f"{name_of(triple.object)} is not among the terms the engine computes", f"Known are {known}",
            )  # fmt: skip

    # -- levels --

    def _levels(self) -> Iterator[Fault]:
        """What is said about shapes of other levels."""
        prefix = f"{RULES}{self._level.name}/"
        said = (*self._level.shapes, *self._level.vocabulary)
        for node, triple in {triple.subject: triple for triple in reversed(said)}.items():
            iri = rdf.iri_of(node) or ""
            if node in self._above.subjects:
                yield Fault("level", node, triple, f"{_short(node)} of a higher level is described again", _FIXED)
            elif iri.startswith(RULES) and not iri.startswith(prefix) and node not in self._rules:
                yield Fault("level", node, triple, f"{_short(node)} belongs to another level", _FIXED)

    # -- rules --

    def _rule(self, rule: Term) -> Iterator[Fault]:
        prefix = f"{RULES}{self._level.name}/"
        iri = rdf.iri_of(rule)
        if iri is None or not iri.startswith(prefix) or iri == prefix:
            yield Fault("level", rule, None, "a rule outside its level's namespace", f"Name it <{prefix}...>")
        if NamedNode(SH + "NodeShape") not in self._own.objects(rule, _TYPE):
            yield Fault(
                "ill-formed", rule, None, "a target on something that is no sh:NodeShape", "Put it on a sh:NodeShape"
            )
        modes = set(self._own.objects(rule, FM + "mode"))
        if len(modes) != 1:
            yield Fault(
                "mode", rule, self._at(rule, FM + "mode"), f"{'more than one' if modes else 'no'} fm:mode on the rule",
                f"State one of {_MODES}",
            )  # fmt: skip
        if not self._says(rule, _DCT + "creator"):
            yield Fault("owner", rule, None, "no owner", 'Name who answers for it: dct:creator "sales-data"')
        elif len(set(self._own.objects(rule, _DCT + "creator"))) > 1:
            yield Fault("owner", rule, self._at(rule, _DCT + "creator"), "more than one owner", "Leave one dct:creator")
        yield from self._since(rule)
        yield from self._words(rule)
        yield from self._targets(rule)
        if not self._own.objects(rule, SH + "message"):
            yield Fault("message", rule, None, "no sh:message on the rule", "Say what to do to meet it")
        yield from self._parts(rule, (), emits=True)

    def _since(self, rule: Term) -> Iterator[Fault]:
        issued = self._own.objects(rule, _DCT + "issued")
        if date_of(self._own, rule, _DCT + "issued") is None:
            yield Fault(
                "since", rule, self._at(rule, _DCT + "issued"),
                "dct:issued is no date" if issued else "no date since when it holds",
                'Add the day, such as dct:issued "2026-11-21"^^xsd:date', error=bool(issued),
            )  # fmt: skip

    def _words(self, rule: Term) -> Iterator[Fault]:
        for kind, names, what, remedy in _SAID:
            if not any(self._says(rule, name) for name in names):
                yield Fault(kind, rule, None, what, remedy, error=False)

    def _targets(self, rule: Term) -> Iterator[Fault]:
        for name in ("targetClass", "targetSubjectsOf", "targetObjectsOf"):
            for target in self._own.objects(rule, SH + name):
                if isinstance(target, NamedNode) and target not in self._described:
                    at = Triple(rule, NamedNode(SH + name), target)  # type: ignore[arg-type]
                    yield Fault(
                        "unknown-target", rule, at, f"no vocabulary describes the target {name_of(target)}",
                        f"Describe it in {self._vocabulary_file}, or correct it", error=False,
                    )  # fmt: skip

    def _parts(self, node: Term, above: tuple[Term, ...], *, emits: bool) -> Iterator[Fault]:
        """Modes and messages of a rule and of the shapes it leads to; `emits` when results come from this one."""
        if node in above or len(above) > syntax.MAX_NESTING:
            return  # the syntax says so
        stated = [name for name in ("mode", "nextMode", "nextModeFrom") if self._own.objects(node, FM + name)]
        if above and stated and not emits and not any(t in self._own.subjects[node] for t in TARGETS):
            yield Fault(
                "mode", node, self._at(node, FM + stated[0]),
                f"fm:{stated[0]} on a shape inside sh:node, sh:not, sh:and, sh:or or sh:xone of {_short(above[0])}",
                "Put it on the property shape that reports, or on the rule",
            )  # fmt: skip
        yield from self._schedule(node, above[0] if above else node)
        if emits:
            yield from self._messages(node)
        for predicate, inner in syntax.references(self._all, node):
            yield from self._parts(inner, (*above, node), emits=emits and predicate == SH + "property")

    def _schedule(self, node: Term, rule: Term) -> Iterator[Fault]:
        modes = self._own.objects(node, FM + "mode")
        following, start = (self._own.objects(node, FM + name) for name in ("nextMode", "nextModeFrom"))
        for name, values in (("mode", modes), ("nextMode", following)):
            for value in values:
                if (rdf.iri_of(value) or "").removeprefix(FM) not in list(Mode):
                    at = Triple(node, NamedNode(FM + name), value)  # type: ignore[arg-type]
                    yield Fault("mode", node, at, f"an unknown mode: {name_of(value)}", f"Use one of {_MODES}")
        if not following and not start:
            return

        def wrong(name: str, what: str, remedy: str) -> Fault:
            return Fault("schedule", node, self._at(node, FM + name), what, remedy)

        day = date_of(self._own, node, FM + "nextModeFrom")
        if not following:
            yield wrong("nextModeFrom", "fm:nextModeFrom without fm:nextMode", f"State one of {_MODES}")
        elif not start:
            yield wrong("nextMode", "fm:nextMode without a date", 'Add fm:nextModeFrom "2027-01-01"^^xsd:date')
        elif day is None:
            yield wrong("nextModeFrom", "fm:nextModeFrom is no date", 'Write a day, "2027-01-01"^^xsd:date')
        for name, values in (("nextMode", following), ("nextModeFrom", start)):
            if len(set(values)) > 1:
                yield wrong(name, f"more than one fm:{name}", "Leave one of them")
        if not modes:
            yield wrong("nextMode" if following else "nextModeFrom", "a next mode without a mode", "Add fm:mode")
        elif set(modes) & set(following):
            yield wrong("nextMode", "the next mode is the mode it has", "State another, or remove it")
        since = date_of(self._own, rule, _DCT + "issued")
        if day is not None and since is not None and day <= since:
            yield wrong("nextModeFrom", f"the next mode begins on {day}, and the rule on {since}", "State a later day")

    def _messages(self, node: Term) -> Iterator[Fault]:
        for language, text in messages_of(self._own, node):
            if text.strip() and not says_remedy(text, language):
                yield Fault(
                    "message", node, self._at(node, SH + "message"), f"the message {text!r} says nothing to do",
                    'Say what to write, with the predicate and an example: Add dct:title "Orders"@en.', error=False,
                )  # fmt: skip

    def _uses(self) -> Iterator[Fault]:
        """Shapes that no rule leads to, and modes on what is no rule."""
        used: set[Term] = set()
        waiting: list[Term] = list(self._rules)
        while waiting:
            node = waiting.pop()
            if node not in used:
                used.add(node)
                waiting += [inner for _, inner in syntax.references(self._all, node)]
        for node, facts in self._own.subjects.items():
            kinds = {rdf.iri_of(kind) for kind in facts.get(_TYPE, ())}
            if node in used:
                continue
            if FM + "mode" in facts:
                yield Fault(
                    "unused", node, self._at(node, FM + "mode"), "fm:mode on something that is no rule",
                    "Give it sh:targetClass, or remove it",
                )  # fmt: skip
            elif kinds & {SH + "NodeShape", SH + "PropertyShape"}:
                yield Fault(
                    "unused", node, None, f"no rule uses this shape: {_short(node)}",
                    "Give it sh:targetClass and fm:mode, or remove it",
                )  # fmt: skip


_SAID = (
    (
        "label", (_RDFS + "label", SH + "name"), "no name",
        'Call it what lists are to show: rdfs:label "Freshness"@en',
    ),
    (
        "reason", (_RDFS + "comment", SH + "description"), "no reason",
        'Say why it is asked: rdfs:comment "Depots have to know when the next data comes."@en',
    ),
)  # fmt: skip
"""What people read of a rule beside its remedy: the check, where it may stand, what is wrong without it, the remedy."""

_INSTRUCTIONS = re.compile(
    r"(?:add|agree|allow|answer|ask|assign|avoid|call|change|check|choose|classify|close|complete|convert|copy|correct"
    r"|create|declare|define|delete|deny|describe|document|drop|end|enter|explain|express|fill|fix|follow|give|group"
    r"|identify|keep|label|leave|let|limit|link|list|lower|make|map|mark|match|mend|merge|move|name|number|offer|open"
    r"|order|pick|place|point|provide|publish|put|raise|refer|register|remove|rename|repeat|replace|report|restrict"
    r"|reuse|review|rewrite|say|select|separate|set|shorten|show|sort|specify|spell|split|start|state|store|take|tag"
    r"|tell|translate|try|turn|type|update|use|wait|write)\b",
    re.IGNORECASE,
)
_SENTENCES = re.compile(r"[.:;,!?]\s+|\bor\b\s*")
_TO_WRITE = re.compile(r"\b[a-zA-Z][\w-]*:[A-Za-z_]\w*|<[^<>\s]+>|\"[^\"]+\"|https?://\S")


def says_remedy(text: str, language: str) -> bool:
    """Whether a message says what to do: it names something to write (a prefixed name, an IRI, a quoted text), or it
    is English, or of no language, and a sentence of it begins with an instruction."""
    if _TO_WRITE.search(text):
        return True
    if language.partition("-")[0].lower() not in ("", "en"):
        return False
    return any(_INSTRUCTIONS.match(sentence.lstrip()) for sentence in _SENTENCES.split(text))


# -- examples ---------------------------------------------------------------------------------------------------------


def rule_of_example(name: str, tails: Collection[str], word: str = "bad") -> str | None:
    """The rule, by the last part of its id, that an example file `bad-<rule>-<what>.ttl` is about: the longest that
    fits; None for any other file. `word` is what its name begins with, `bad` or `ok`."""
    stem = name.removesuffix(".ttl")
    fits = [tail for tail in tails if stem == f"{word}-{tail}" or stem.startswith(f"{word}-{tail}-")]
    return max(fits, key=len) if fits else None


def examples_of(rule: Rule, rules: Iterable[Rule], paths: Iterable[str]) -> tuple[list[str], list[str]]:
    """The examples, among the files of a set with these rules, that meet a rule and that break it.

    An ok example meets all rules of its level: a rule that none is named after has the level's first.
    """
    level, _, tail = rule.id.rpartition("/")
    tails = [other.id.rpartition("/")[2] for other in rules if other.id.rpartition("/")[0] == level]
    given = [path for path in sorted(paths) if path.startswith(f"{level}/examples/")]
    ok, bad = (
        [path for path in given if rule_of_example(path.rpartition("/")[2], tails, word) == tail]
        for word in ("ok", "bad")
    )
    return ok or [path for path in given if path.rpartition("/")[2].startswith("ok-")][:1], bad


def _lint_examples(
    levels: Sequence[Level], files: Mapping[str, bytes], examples: Mapping[str, bytes]
) -> Iterator[Problem]:
    """Names of examples, and rules without them."""
    names: dict[str, list[str]] = defaultdict(list)
    for path in examples:
        found = EXAMPLE.fullmatch(path)
        if found is None:
            yield Problem(path, None, None, "example", "is no example file", "Put it into examples/ of a level", True)
        else:
            names[found["level"]].append(found["name"])
    for level in levels:
        rules = {rule.id.rpartition("/")[2]: rule for rule in rules_of(level, files)}
        given = names.pop(level.name, [])
        if rules and (given or level.scope is not Scope.CORE):
            yield from _missing(level, rules, given)
        for name in given:
            if not name.startswith("ok-") and rule_of_example(name, rules) is None:
                yield Problem(
                    f"{level.name}/examples/{name}", None, None, "example", "is about no rule of this level",
                    "Call it ok-<what>.ttl or bad-<rule>-<what>.ttl", True,
                )  # fmt: skip
    for name, given in names.items():
        for each in given:
            yield Problem(f"{name}/examples/{each}", None, None, "example", f"there are no rules in {name}/",
                          "Move it, or add the rules", True)  # fmt: skip


def _missing(level: Level, rules: Mapping[str, Rule], given: Sequence[str]) -> Iterator[Problem]:
    shown = {rule_of_example(name, rules) for name in given}
    for tail, rule in rules.items():
        if tail not in shown:
            yield Problem(
                rule.file, rule.line, None, "example", f"no example that breaks {rule.id}",
                f"Add {level.name}/examples/bad-{tail}-<what>.ttl", True, rule.iri,
            )  # fmt: skip
    if not any(name.startswith("ok-") for name in given):
        yield Problem(
            f"{level.name}/shapes.ttl", None, None, "example", f"no example that {level.name} accepts",
            f"Add {level.name}/examples/ok-<what>.ttl", True,
        )  # fmt: skip
