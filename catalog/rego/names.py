"""What the names in Rego modules mean: each local name gets a name of its own, each global one its full path.

After this, a `Var` is a local variable (`x#3`), a global reference begins with the variable `input` or `data`, and a
call names a function of the allowed list or the path of a rule.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace

from fairmesh.catalog.rego.builtins import CONDITIONS, FUNCTIONS
from fairmesh.catalog.rego.syntax import (
    Body,
    Branch,
    Call,
    Comprehension,
    Declare,
    Each,
    Every,
    Items,
    Literal,
    Module,
    Not,
    Pairs,
    Place,
    Ref,
    RegoSyntaxError,
    Rule,
    Scalar,
    Term,
    Test,
    Unify,
    Var,
    With,
)

Path = tuple[str, ...]


def walk(part: Term | Literal, *, closures: bool = True) -> Iterator[Term]:
    """All terms in a term or literal, itself included; without `closures`, not those in bodies inside it."""
    match part:
        case Ref():
            yield part
            yield from _all((part.head, *part.path), closures)
        case Items() | Call():
            yield part
            yield from _all(part.items if isinstance(part, Items) else part.args, closures)
        case Pairs():
            yield part
            yield from _all(itertools.chain(*part.items), closures)
        case Comprehension():
            yield part
            if closures:
                yield from _all((*part.heads, *part.body), closures)
        case Scalar() | Var():
            yield part
        case Test():
            yield from walk(part.term, closures=closures)
        case Unify():
            yield from _all((part.left, part.right), closures)
        case Declare():
            yield from part.names
        case Each():
            yield from _all((part.key, part.value, part.domain) if part.key else (part.value, part.domain), closures)
        case Every():
            yield from walk(part.domain, closures=closures)
            if closures:
                yield from _all((*([part.key] if part.key else []), part.value, *part.body), closures)
        case Not():
            yield from _all(part.body, closures)
        case With():
            yield from _all((*(value for _, value in part.changes), *part.body), closures)


def _all(parts: Iterable[Term | Literal], closures: bool) -> Iterator[Term]:
    for part in parts:
        yield from walk(part, closures=closures)


def variables(parts: Iterable[Term | Literal], *, closures: bool = True) -> set[str]:
    """The local variables in resolved terms and literals."""
    return {term.name for term in _all(parts, closures) if isinstance(term, Var) and term.name not in ("input", "data")}


def all_literals(rule: Rule) -> Iterator[Literal]:
    """All literals of a rule, those of bodies inside bodies too; its heads are tests."""
    heads = tuple(Test(term, rule.place) for term in (*rule.keys, *rule.args))
    for branch in rule.branches:
        yield from _literals((*branch.body, Test(branch.value, branch.place), *heads))


def _literals(body: Body) -> Iterator[Literal]:
    for literal in body:
        yield literal
        if isinstance(literal, Every | Not | With):
            yield from _literals(literal.body)
        for term in walk(literal, closures=False):
            if isinstance(term, Comprehension):
                yield from _literals((*term.body, *(Test(head, term.place) for head in term.heads)))


def fixed_path(ref: Ref) -> Path:
    """The keys of a reference up to the first that is no constant text."""
    names: list[str] = []
    for key in ref.path:
        if not isinstance(key, Scalar) or type(key.value) is not str:
            break
        names.append(key.value)
    return tuple(names)


def inputs_of(rule: Rule) -> Iterator[Ref]:
    """The references into `input` of a resolved rule."""
    for literal in all_literals(rule):
        for term in walk(literal, closures=False):
            if isinstance(term, Ref) and isinstance(term.head, Var) and term.head.name == "input":
                yield term


@dataclass(slots=True)
class _Scope:
    parent: _Scope | None
    names: dict[str, str] = field(default_factory=dict)
    later: set[str] = field(default_factory=set)
    """Names this body declares further down."""

    def find(self, name: str) -> str | None:
        scope: _Scope | None = self
        while scope is not None:
            if name in scope.names:
                return scope.names[name]
            if name in scope.later:
                return ""
            scope = scope.parent
        return None


class Resolver:
    """Resolves the rules of one module. `rules` are the first names of the package's rules; `arity` says of a path how
    many arguments the function there takes, or None when there is none."""

    def __init__(self, module: Module, rules: frozenset[str], arity: Callable[[Path], int | None]) -> None:
        self.module = module
        self.rules = rules
        self.arity = arity
        self.imports: Mapping[str, tuple[Path, Place]] = module.imports
        self.count = itertools.count()

    def rule(self, rule: Rule) -> Rule:
        outer = _Scope(None)
        for arg in rule.args:
            for term in walk(arg, closures=False):
                if isinstance(term, Var) and term.name != "_" and term.name not in outer.names:
                    self.declare(outer, term)
        args = tuple(self.term(arg, outer) for arg in rule.args)
        branches, keys = [], rule.keys
        for branch in rule.branches:
            scope = _Scope(outer)
            body = self.body(branch.body, scope, (*rule.keys, branch.value))
            keys = tuple(self.term(key, scope) for key in rule.keys)
            branches.append(Branch(self.term(branch.value, scope), body, branch.place))
        return replace(rule, args=args, keys=keys, branches=tuple(branches))

    # names

    def fresh(self, name: str) -> str:
        return f"{name}#{next(self.count)}"

    def declare(self, scope: _Scope, var: Var) -> None:
        if var.name in ("input", "data"):
            raise RegoSyntaxError(f"{var.name} cannot be declared", var.place, "Choose another name.")
        if var.name in scope.names:
            raise RegoSyntaxError(f"{var.name} is declared or used above", var.place, "Choose another name.")
        scope.later.discard(var.name)
        scope.names[var.name] = self.fresh(var.name)

    def whole(self, name: str) -> Path | None:
        """The path of a global name."""
        if name in ("input", "data"):
            return (name,)
        if name in self.rules:
            return ("data", *self.module.package, name)
        return self.imports[name][0] if name in self.imports else None

    def declared(self, literal: Literal) -> list[Var]:
        """The variables a literal declares, in the order they stand."""
        match literal:
            case Declare():
                return list(literal.names)
            case Unify(declares=True):
                found = [term for term in walk(literal.left, closures=False) if isinstance(term, Var)]
            case Each():
                heads = [literal.key, literal.value] if literal.key else [literal.value]
                found = [term for head in heads for term in walk(head, closures=False) if isinstance(term, Var)]
            case With():
                found = [var for inner in literal.body for var in self.declared(inner)]
            case _:
                found = []
        return list({var.name: var for var in found if var.name != "_"}.values())

    def body(self, body: Body, scope: _Scope, heads: Iterable[Term] = ()) -> Body:
        scope.later = {var.name for literal in body for var in self.declared(literal)}
        for term in _all((*body, *heads), closures=False):
            if (
                isinstance(term, Var)
                and term.name != "_"
                and scope.find(term.name) is None
                and not self.whole(term.name)
            ):
                scope.names[term.name] = self.fresh(term.name)
        return tuple(self.literal(literal, scope) for literal in body)

    def literal(self, literal: Literal, scope: _Scope) -> Literal:
        match literal:
            case Test(term=Call()):
                return self.relation(literal, scope)
            case Test():
                return replace(literal, term=self.term(literal.term, scope))
            case Not(body=(Unify(declares=True) | With(), *_)):
                raise RegoSyntaxError("`:=` after `not`", literal.place, "Nothing would see the variable.")
            case Unify(declares=True):
                right = self.term(literal.right, scope)
                self.declare_all(literal, scope)
                return replace(literal, left=self.term(literal.left, scope), right=right)
            case Unify():
                return replace(literal, left=self.term(literal.left, scope), right=self.term(literal.right, scope))
            case Declare():
                self.declare_all(literal, scope)
                return replace(literal, names=tuple(Var(scope.names[var.name], var.place) for var in literal.names))
            case Each():
                domain = self.term(literal.domain, scope)
                self.declare_all(literal, scope)
                key = self.term(literal.key, scope) if literal.key else None
                return replace(literal, key=key, value=self.term(literal.value, scope), domain=domain)
            case Every():
                return self.every(literal, scope)
            case Not():
                (inner,) = literal.body
                found = self.literal(inner, scope)
                if isinstance(inner, Test) and isinstance(found, Unify):
                    raise RegoSyntaxError("`not` before a call that names its result", literal.place, "Use `==`.")
                return replace(literal, body=(found,))
            case With():
                changes = tuple(
                    (self.replaced(path, scope, literal.place), self.term(value, scope))
                    for path, value in literal.changes
                )
                return With(tuple(self.literal(inner, scope) for inner in literal.body), changes, literal.place)

    def replaced(self, path: Path, scope: _Scope, place: Place) -> Path:
        """The path that `with` gives another value."""
        whole = self.whole(path[0]) if scope.find(path[0]) is None else None
        full = (*(whole or ()), *path[1:])
        if whole is None or (full[0] == "data" and self.arity(full[1:]) is not None):
            raise RegoSyntaxError(
                f"`with` replaces {'.'.join(path)}, a function or nothing that is known",
                place,
                "Functions cannot be replaced here: replace the input or data that they read.",
            )
        return full

    def declare_all(self, literal: Literal, scope: _Scope) -> None:
        for var in self.declared(literal):
            self.declare(scope, var)

    def every(self, literal: Every, scope: _Scope) -> Every:
        domain = self.term(literal.domain, scope)
        inner = _Scope(scope)
        heads = [var for var in (literal.key, literal.value) if var is not None and var.name != "_"]
        for var in heads:
            self.declare(inner, var)
        key = self.term(literal.key, inner) if literal.key else None
        value = self.term(literal.value, inner)
        assert isinstance(value, Var)
        assert key is None or isinstance(key, Var)
        return replace(literal, domain=domain, key=key, value=value, body=self.body(literal.body, _Scope(inner)))

    def term(self, term: Term, scope: _Scope) -> Term:
        match term:
            case Scalar():
                return term
            case Var():
                return self.variable(term, scope)
            case Ref():
                return self.reference(term, scope)
            case Items():
                return replace(term, items=tuple(self.term(item, scope) for item in term.items))
            case Pairs():
                return replace(term, items=tuple((self.term(k, scope), self.term(v, scope)) for k, v in term.items))
            case Call():
                function, arity = self.function(term, scope)
                if len(term.args) != arity:
                    raise RegoSyntaxError(
                        f"{term.function} takes another number of arguments", term.place, f"It takes {arity}."
                    )
                return Call(function, tuple(self.term(arg, scope) for arg in term.args), term.place)
            case Comprehension():
                inner = _Scope(scope)
                body = self.body(term.body, inner, term.heads)
                return replace(term, body=body, heads=tuple(self.term(head, inner) for head in term.heads))

    def variable(self, var: Var, scope: _Scope) -> Term:
        if var.name == "_":
            return Var(self.fresh("_"), var.place)
        found = scope.find(var.name)
        if found == "":
            raise RegoSyntaxError(f"{var.name} is used before it is declared", var.place, "Move the line down.")
        if found is not None:
            return Var(found, var.place)
        path = self.whole(var.name)
        if path is None:  # names of heads are known by then; what is left stands where no body can give it a value
            raise RegoSyntaxError(f"nothing defines {var.name}", var.place, "Is it misspelt?")
        return Ref(Var(path[0], var.place), tuple(Scalar(key, var.place) for key in path[1:]), var.place)

    def reference(self, ref: Ref, scope: _Scope) -> Ref:
        head = self.term(ref.head, scope)
        path = tuple(self.term(key, scope) for key in ref.path)
        if isinstance(head, Ref):
            return Ref(head.head, (*head.path, *path), ref.place)
        return Ref(head, path, ref.place)

    def relation(self, literal: Test, scope: _Scope) -> Literal:
        """A call as a line of its own may have the result for its last argument."""
        call = literal.term
        assert isinstance(call, Call)
        _, arity = self.function(call, scope)
        if len(call.args) != arity + 1:
            return replace(literal, term=self.term(call, scope))
        found = self.term(replace(call, args=call.args[:-1]), scope)
        return Unify(self.term(call.args[-1], scope), found, False, literal.place)

    def function(self, call: Call, scope: _Scope) -> tuple[str | Path, int]:
        """What is called, and how many arguments it takes."""
        assert isinstance(call.function, str)
        parts = tuple(call.function.split("."))
        path = self.whole(parts[0]) if scope.find(parts[0]) is None else None
        if path is not None:
            below = (*path[1:], *parts[1:])
            if path[0] == "data" and (arity := self.arity(below)) is not None:
                return below, arity
        elif known := CONDITIONS.get(call.function) or FUNCTIONS.get(call.function):
            return call.function, known[1]
        raise RegoSyntaxError(
            f"the function {call.function} does not exist or is not allowed",
            call.place,
            "Use only the functions that policies/README.md lists.",
        )
