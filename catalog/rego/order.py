"""The order in which the parts of a Rego body can be worked out, so that every variable has a value when it is needed.

A body is first made flat: calls and references that stand inside something else become lines of their own. A line is
ready when what it needs is bound; it may bind more. Where no line is ready, a variable is unsafe, as OPA calls it.
"""

from __future__ import annotations

import heapq
import itertools
from collections.abc import Iterable
from dataclasses import replace

from fairmesh.catalog.rego.names import variables
from fairmesh.catalog.rego.syntax import (
    Body,
    Call,
    Comprehension,
    Declare,
    Each,
    Every,
    Items,
    Literal,
    Not,
    Pairs,
    Ref,
    RegoSyntaxError,
    Scalar,
    Term,
    Test,
    Unify,
    Var,
    With,
)
from fairmesh.catalog.rego.values import FALSE

MAX_LINES = 1000
"""Of one body, and variables in it: the lines that calls and references become are counted, too."""


class Flattener:
    """Gives the variables it adds names that no rule has."""

    def __init__(self) -> None:
        self.count = itertools.count()

    def body(self, body: Body) -> list[Literal]:
        out: list[Literal] = []
        for literal in body:
            self.literal(literal, out)
        return out

    def literal(self, literal: Literal, out: list[Literal]) -> None:
        match literal:
            case Test():
                out.append(replace(literal, term=self.outer(literal.term, out)))
            case Unify():
                self.unify(literal.left, literal.right, literal, out)
            case Declare():
                pass
            case Each():
                key = self.inner(literal.key, out) if literal.key else None
                domain, value = self.inner(literal.domain, out), self.inner(literal.value, out)
                out.append(replace(literal, key=key, value=value, domain=domain))
            case Every():
                out.append(replace(literal, domain=self.inner(literal.domain, out)))
            case Not():
                out.append(Not(tuple(self.negated(inner, out) for inner in literal.body), literal.place))
            case With():
                changes = tuple((path, self.inner(value, out)) for path, value in literal.changes)
                out.append(With(tuple(self.body(literal.body)), changes, literal.place))

    def unify(self, left: Term, right: Term, literal: Unify, out: list[Literal]) -> None:
        if isinstance(left, Items) and isinstance(right, Items) and left.kind == right.kind == "array":
            if len(left.items) != len(right.items):
                out.append(Test(Scalar(FALSE, literal.place), literal.place))
            for a, b in zip(left.items, right.items, strict=False):
                self.unify(a, b, literal, out)
            return
        if isinstance(left, Pairs) and isinstance(right, Pairs):
            one, other = _by_key(left), _by_key(right)
            if one is not None and other is not None:
                if one.keys() != other.keys():
                    out.append(Test(Scalar(FALSE, literal.place), literal.place))
                for key in sorted(one.keys() & other.keys()):
                    self.unify(one[key], other[key], literal, out)
                return
        out.append(Unify(self.outer(left, out), self.outer(right, out), False, literal.place))

    def negated(self, literal: Literal, out: list[Literal]) -> Literal:
        """What `not` applies to: as in OPA the outermost operation alone. Calls in its arguments come before the
        negation, undefined or not, and so do references, but for those that are the whole or a side of an equation."""
        match literal:
            case Test(term=Call(function="equal", args=(left, right))):
                return Test(Call("equal", self.sides(left, right, out), literal.place), literal.place)
            case Test():
                return replace(literal, term=self.references(self.calls(literal.term, out), out, fixed=True))
            case Unify():
                left, right = self.sides(literal.left, literal.right, out)
                return replace(literal, left=left, right=right)
        raise RegoSyntaxError("`not` before this", literal.place, "Give it a rule of its own.")

    def sides(self, left: Term, right: Term, out: list[Literal]) -> tuple[Term, Term]:
        """The sides of an equation under `not`."""
        one, other = self.no_call(left, out), self.no_call(right, out)
        return self.references(one, out, fixed=True), self.references(other, out, fixed=True)

    def outer(self, term: Term, out: list[Literal]) -> Term:
        """The term with only simple terms inside. As in OPA, the calls come first."""
        return self.references(self.calls(term, out), out)

    def inner(self, term: Term, out: list[Literal]) -> Term:
        """The term, or a variable for it that a line of its own gives its value."""
        return self.no_reference(self.no_call(term, out), out)

    def calls(self, term: Term, out: list[Literal]) -> Term:
        """The term without calls inside."""
        match term:
            case Call():
                return replace(term, args=tuple(self.no_call(arg, out) for arg in term.args))
            case Ref():
                head = self.no_call(term.head, out)
                return Ref(head, tuple(self.no_call(key, out) for key in term.path), term.place)
            case Items():
                return replace(term, items=tuple(self.no_call(item, out) for item in term.items))
            case Pairs():
                return replace(term, items=tuple((self.no_call(k, out), self.no_call(v, out)) for k, v in term.items))
        return term

    def no_call(self, term: Term, out: list[Literal]) -> Term:
        found = self.calls(term, out)
        return self.line(self.references(found, out), out) if isinstance(found, Call) else found

    def references(self, term: Term, out: list[Literal], *, fixed: bool = False) -> Term:
        """The term without references inside that have variables, or, when `fixed`, without any."""
        match term:
            case Call():
                return replace(term, args=tuple(self.no_reference(arg, out, fixed=fixed) for arg in term.args))
            case Ref():
                head = term.head if isinstance(term.head, Var) else self.no_reference(term.head, out, fixed=fixed)
                return Ref(head, tuple(self.no_reference(key, out, fixed=fixed) for key in term.path), term.place)
            case Items():
                return replace(term, items=tuple(self.no_reference(item, out, fixed=fixed) for item in term.items))
            case Pairs():
                both = ((self.no_reference(k, out, fixed=fixed), v) for k, v in term.items)
                return replace(term, items=tuple((k, self.no_reference(v, out, fixed=fixed)) for k, v in both))
        return term

    def no_reference(self, term: Term, out: list[Literal], *, fixed: bool = False) -> Term:
        found = self.references(term, out, fixed=fixed)
        if isinstance(found, Ref) and (fixed or any(not isinstance(key, Scalar) for key in found.path)):
            return self.line(found, out)
        return found

    def line(self, term: Term, out: list[Literal]) -> Var:
        var = Var(f"#{next(self.count)}", term.place)
        out.append(Unify(var, term, False, term.place))
        return var


def _by_key(pairs: Pairs) -> dict[str, Term] | None:
    """The values by their keys, when all keys are texts that differ."""
    found = {key.value: value for key, value in pairs.items if isinstance(key, Scalar) and type(key.value) is str}
    return found if len(found) == len(pairs.items) else None


def ordered(body: Iterable[Literal], bound: set[str], outside: set[str]) -> list[Literal]:
    """The flat literals in an order in which they can run; `bound` is extended by the variables they bind.

    `outside` are variables of the bodies around this one. Raises `RegoSyntaxError` for an unsafe variable.
    """
    left = list(body)
    own = variables(left, closures=False)
    if max(len(left), len(own)) > MAX_LINES:
        raise RegoSyntaxError(
            f"a body of more than {MAX_LINES} lines or variables", left[0].place, "Give parts of it rules of their own."
        )
    visible = own | bound | outside
    found: list[Literal] = []
    waiting: dict[str, list[int]] = {}
    done: set[int] = set()
    next_ones = list(range(len(left)))
    while next_ones:
        index = heapq.heappop(next_ones)
        if index in done:
            continue
        given = gives(left[index], bound, visible)
        if given is None:  # until one of its variables has a value
            for name in (variables([left[index]]) & visible) - bound:
                waiting.setdefault(name, []).append(index)
            continue
        done.add(index)
        found.append(left[index])
        for name in given - bound:
            for ready in waiting.pop(name, ()):
                heapq.heappush(next_ones, ready)
        bound |= given
    if len(done) < len(left):
        _unsafe(next(literal for index, literal in enumerate(left) if index not in done), bound, visible)
    return found


def check_negations(body: Body, bound: set[str], outside: set[str]) -> None:
    """Raise `RegoSyntaxError` where something under `not` gives a variable its value, as OPA does: "no element is"
    and "some element is not" would look the same."""
    negated = [literal for literal in body if isinstance(literal, Not)]
    named = [variables([literal], closures=False) for literal in negated]
    if any(names - bound for names in named):
        others = tuple(literal for literal in body if not isinstance(literal, Not))
        given = set(bound)
        ordered(Flattener().body(others), given, outside | set().union(*named))
        for literal, names in zip(negated, named, strict=True):
            if names - given:
                _unsafe(literal, given, names)


def _unsafe(literal: Literal, bound: set[str], visible: set[str]) -> None:
    missing = sorted((variables([literal]) & visible) - bound)
    shown = [name.partition("#")[0] for name in missing if not name.startswith("#")]
    raise RegoSyntaxError(
        f"nothing gives {shown[0] or '_'} a value" if shown else "a part of this line has no value",
        literal.place,
        "Bind the variable outside of `not`, functions and comparisons, as `some x in ...` does.",
    )


def gives(literal: Literal, bound: set[str], visible: set[str]) -> set[str] | None:
    """The variables a literal binds when these are bound already; None when it cannot run yet."""
    match literal:
        case Test():
            return _evaluated(literal.term, bound, visible)
        case Unify():
            return _matched(literal.left, literal.right, bound, visible)
        case Each():
            given = _evaluated(literal.domain, bound, visible)
            for pattern in (literal.key, literal.value):
                if given is not None and pattern is not None:
                    more = _pattern(pattern, bound | given, visible)
                    given = None if more is None else given | more
            return given
        case Every():
            given = _evaluated(literal.domain, bound, visible)
            return given if given is not None and variables(literal.body) & visible <= bound | given else None
        case Not():
            return set() if variables(literal.body) & visible <= bound else None
        case With():
            return _with(literal, bound, visible)
        case Declare():
            return set()


def _with(literal: With, bound: set[str], visible: set[str]) -> set[str] | None:
    for _, value in literal.changes:
        if _evaluated(value, bound, visible) != set():
            return None
    inner = set(bound)
    try:
        ordered(literal.body, inner, visible)
    except RegoSyntaxError:
        return None
    return inner - bound


def _evaluated(term: Term, bound: set[str], visible: set[str]) -> set[str] | None:
    """The variables that working out the term binds; None when it needs one that is not bound."""
    match term:
        case Scalar():
            return set()
        case Var():
            return set() if term.name in bound or term.name in ("input", "data") else None
        case Ref():
            given = _evaluated(term.head, bound, visible)
            for key in term.path:
                if given is None:
                    return None
                more = {key.name} - bound if isinstance(key, Var) else _evaluated(key, bound | given, visible)
                given = None if more is None else given | more
            return given
        case Items() | Call():
            return _every_part(term.items if isinstance(term, Items) else term.args, bound, visible)
        case Pairs():
            return _every_part(itertools.chain(*term.items), bound, visible)
        case Comprehension():
            return set() if variables([term]) & visible <= bound else None


def _every_part(parts: Iterable[Term], bound: set[str], visible: set[str]) -> set[str] | None:
    given: set[str] = set()
    for part in parts:
        more = _evaluated(part, bound | given, visible)
        if more is None:
            return None
        given |= more
    return given


def _matched(left: Term, right: Term, bound: set[str], visible: set[str]) -> set[str] | None:
    for source, target in ((right, left), (left, right)):
        given = _evaluated(source, bound, visible)
        if given is not None and (more := _pattern(target, bound | given, visible)) is not None:
            return given | more
    return None


def _pattern(term: Term, bound: set[str], visible: set[str]) -> set[str] | None:
    """The variables that a match against a value binds; None when the pattern needs one that is not bound."""
    match term:
        case Var():
            return {term.name} - bound
        case Items(kind="array"):
            parts: Iterable[Term] = term.items
        case Pairs():
            if _every_part((key for key, _ in term.items), bound, visible) is None:
                return None
            parts = (value for _, value in term.items)
        case _:
            return _evaluated(term, bound, visible)
    given: set[str] = set()
    for part in parts:
        more = _pattern(part, bound | given, visible)
        if more is None:
            return None
        given |= more
    return given
