"""Python source for resolved Rego rules: one function for all rules of a name.

A rule becomes `name(m, i, d)`, a function `name(m, i, d, argument, ...)`: `i` is the input, `d` the data, `m` what one
evaluation holds: the budget in `m[0]`, then the values of rules that were worked out. `U` is returned where nothing is.
A body is a loop that runs once and is left where a line is undefined; what enumerates is a `for` around what follows.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from fairmesh.catalog.rego import values as rego
from fairmesh.catalog.rego.builtins import CONDITIONS, FUNCTIONS, collection
from fairmesh.catalog.rego.names import Path, variables
from fairmesh.catalog.rego.order import Flattener, check_negations, ordered
from fairmesh.catalog.rego.syntax import (
    Body,
    Branch,
    Call,
    Comprehension,
    Each,
    Every,
    Items,
    Literal,
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

MAX_NESTED = 18
"""Loops and bodies inside each other; Python itself ends at 20."""

MISSING = object()
"""Stands in `m` for a rule that was not worked out yet."""

_LIGHT = frozenset({
    "equal", "neq", "lt", "lte", "gt", "gte", "count", "type_name", "is_array", "is_boolean", "is_null", "is_number",
    "is_object", "is_set", "is_string", "plus", "minus", "abs", "round", "ceil", "floor", "format_int", "object.get",
    "startswith", "endswith",
})  # fmt: skip
_DEEP = frozenset({"equal", "neq", "lt", "lte", "gt", "gte", "object.get"})
"""Of those, the ones that go through arrays, objects and sets, and are charged for these alone."""
_SMALL = 8
"""Items of a composite whose room is not worth counting."""
_MAKING = frozenset(FUNCTIONS) - _LIGHT - {"type_name", "sum", "max", "min", "indexof", "crypto.sha256", "to_number"}
"""Functions whose result takes room."""
"""Functions whose time hardly depends on the size of what they get; the others are charged for it."""

_MAKERS = {"array": "Array()", "set": "Set()", "object": "Object()"}


@dataclass(frozen=True, slots=True)
class Group:
    """All rules of one name: `kind` is complete, function, set or object (whose rules have keys)."""

    kind: str
    path: Path
    rules: tuple[tuple[int, Rule], ...]
    """With the number of the file each stands in."""


@dataclass(slots=True)
class Node:
    """A name of the data tree: a group, or what lies below it."""

    children: dict[str, Node] = field(default_factory=dict)
    group: Group | None = None


class Code:
    """Source text, the constants it names, and which rules call which.

    `watched` code says before each line which row of which file it stands in, and what each rule gave.
    """

    def __init__(self, groups: Mapping[Path, Group], tree: Node, *, watched: bool = False) -> None:
        self.watched = watched
        self.groups, self.tree = groups, tree
        self.names = {path: f"f{index}" for index, path in enumerate(groups)}
        rules = [path for path, group in groups.items() if group.kind != "function"]
        self.slots = {path: index for index, path in enumerate(rules, 1)}
        self.constants: dict[str, Any] = {
            "M": MISSING, "U": rego.UNDEFINED, "TRUE": rego.TRUE, "FALSE": rego.FALSE, "Array": rego.Array,
            "Object": rego.Object, "Set": rego.Set, "Error": rego.RegoError, "dot": rego.dot, "pairs": rego.pairs,
            "values": rego.values, "ordered_pairs": rego.ordered_pairs, "ordered_values": rego.ordered_values,
            "insert_once": rego.insert_once, "make_object": rego.make_object, "overlay": rego.overlay,
            "length": rego.length, "put": rego.put, "H": rego.HOLDING,
            "put_member": rego.put_member, "collection": collection,
            "base": rego.base,
        }  # fmt: skip
        self.builtins: dict[str, str] = {}
        self.calls: dict[Path, dict[Path, tuple[int, Place]]] = {}
        self.reading: set[Path] = set()
        lines: list[str] = []
        for group in groups.values():
            lines += _Function(self, group).lines()
        self.source = "\n".join(lines) + "\n"

    def order(self) -> list[Path]:
        """All groups, each after those it calls. Raises `InFile` for one that calls itself."""
        done: dict[Path, None] = {}
        for start in self.calls:
            stack = [(start, iter(self.calls[start].items()))] if start not in done else []
            opened = [start]
            while stack:
                path, rest = stack[-1]
                callee, where = next(rest, (None, None))
                if callee is None or where is None:
                    done[path] = None
                    stack.pop()
                    opened.pop()
                elif callee in opened:
                    message = f"{'.'.join(callee)} calls itself"
                    raise InFile(where[0], RegoSyntaxError(message, where[1], "Rego has no recursion."))
                elif callee not in done:
                    opened.append(callee)
                    stack.append((callee, iter(self.calls[callee].items())))
        return list(done)

    def fixed(self) -> list[Path]:
        """The rules that give the same in every evaluation, each after those it calls."""
        changing = set(self.reading)
        found = []
        for path in self.order():
            if path in changing or self.calls[path].keys() & changing:
                changing.add(path)
            elif path in self.slots:
                found.append(path)
        return found

    def constant(self, value: Any) -> str:
        """The text that names a value which no evaluation changes."""
        if value is None:
            return "None"
        if value is rego.TRUE or value is rego.FALSE:
            return str(value).upper()
        if type(value) is str or (type(value) is int and abs(value) < 2**63):
            return repr(value)
        name = f"k{len(self.constants)}"
        self.constants[name] = value
        return name

    def builtin(self, name: str) -> str:
        if name not in self.builtins:
            self.builtins[name] = f"b{len(self.builtins)}"
            self.constants[self.builtins[name]] = (CONDITIONS.get(name) or FUNCTIONS[name])[0]
        return self.builtins[name]


class InFile(Exception):
    """A `RegoSyntaxError` with the number of the file it concerns."""

    def __init__(self, file: int, error: RegoSyntaxError) -> None:
        super().__init__(str(error))
        self.file, self.error = file, error


class _Function:
    """One group of rules on its way to source."""

    def __init__(self, code: Code, group: Group) -> None:
        self.code, self.group = code, group
        self.out: list[str] = []
        self.indent, self.nested, self.leave = 1, 0, "break"
        self.context = ("m", "i", "d")
        self.vars: dict[str, str] = {}
        self.count = 0
        self.file, self.place = 0, (1, 1)
        self.in_array = 0
        self.ends = False
        """Whether what is written stops at the first success: then it matters what comes first."""
        self.open: list[int] = []
        self.flat = Flattener()

    # -- rules

    def lines(self) -> list[str]:
        path, kind = self.group.path, self.group.kind
        width = len(self.group.rules[0][1].args)
        args = [f"a{index}" for index in range(width)]
        self.code.calls[path] = {}
        self.out.append(f"def {self.code.names[path]}({', '.join(['m', 'i', 'd', *args])}):")
        if kind == "function":
            self.spend("1")
        self.say("r = " + {"set": "Set()", "object": "Object()"}.get(kind, "U"))
        if kind == "object":
            self.say("made = {}")
        for file, rule in sorted(self.group.rules, key=lambda item: item[1].default):
            self.file = file
            try:
                (self.default if rule.default else self.rule)(rule, args)
            except RegoSyntaxError as error:
                raise InFile(file, error) from None
            except RecursionError:
                raise InFile(file, RegoSyntaxError("nested too deeply", rule.place)) from None
        if path in self.code.slots:
            self.say(f"m[{self.code.slots[path]}] = r")
        self.say("return r")
        return self.out

    def default(self, rule: Rule, args: Sequence[str]) -> None:
        """The value where no other rule gave one, whatever the arguments."""
        self.vars = {}
        self.say("if r is U:")
        self.indent += 1
        self.reached(rule.place)
        self.say(f"r = {self.evaluate(rule.branches[0].value)}")
        self.gave("r", rule.place)
        self.indent -= 1

    def rule(self, rule: Rule, args: Sequence[str]) -> None:
        if len(rule.branches) == 1:
            self.branch(rule, rule.branches[0], args, None)
            return
        found = self.new()
        self.say(f"{found} = U")
        for branch in rule.branches:
            self.say(f"if {found} is U:")
            self.indent += 1
            self.branch(rule, branch, args, found)
            self.indent -= 1
        self.say(f"if {found} is not U:")
        self.indent += 1
        self.once("r", found)
        self.indent -= 1

    def branch(self, rule: Rule, branch: Branch, args: Sequence[str], found: str | None) -> None:
        """One value and its body. `found` takes the value of a branch, else the rule itself does."""
        self.vars = {}
        fixed = rule.kind != "set" and not rule.keys and isinstance(branch.value, Scalar)
        flag = self.flag() if fixed and branch.body else None
        with self.block(flag):
            self.reached(branch.place)
            for arg, operand in zip(rule.args, args, strict=True):
                self.match(arg, operand)
            if self.code.watched and rule.keys and self.group.path[-1].startswith("test_"):
                *keys, value = self.cases(rule, branch)
            else:
                *keys, value = self.body(branch.body, set(self.vars), set(), heads=(*rule.keys, branch.value))
            if flag is not None:
                self.say(f"{flag} = True")
            else:
                self.give(rule, branch, keys, value, found)
        if flag is not None:
            self.say(f"if {flag}:")
            self.indent += 1
            self.give(rule, branch, [], self.evaluate(branch.value), found)
            self.indent -= 1

    def give(self, rule: Rule, branch: Branch, keys: Sequence[str], value: str, found: str | None) -> None:
        for operand in keys:
            self.charge_deep(operand)
        if rule.kind == "set" and not keys:
            self.charge_deep(value)
            self.say(f"r.add({value})")
        elif keys and (rule.kind == "set" or len(keys) > 1):
            self.charge_deep(value)
            self.say(f"{'put_member' if rule.kind == 'set' else 'put'}(r, made, ({', '.join(keys)},), {value})")
        elif keys:
            self.charge_deep(value, f" and {keys[0]} in r")
            self.say(f"insert_once(r, {keys[0]}, {value})")
        else:
            self.once(found or "r", value)
        self.gave(value, branch.place)

    def once(self, target: str, value: str) -> None:
        self.charge_deep(value, f" and {target} is not U")
        self.say(f"if {target} is U: {target} = {value}")
        message = f"{'.'.join(self.group.path)} has two values"
        self.say(f"elif {target} != {value}: raise Error({message!r})")

    def gave(self, value: str, place: Place) -> None:
        if self.code.watched:
            name = self.code.constant(".".join(self.group.path))
            self.say(f"m[0].gave({name}, {(self.file, place[0])}, {value})")

    # -- writing

    def say(self, text: str) -> None:
        self.out.append(" " * self.indent + text)

    def new(self) -> str:
        self.count += 1
        return f"v{self.count}"

    def flag(self) -> str:
        name = self.new()
        self.say(f"{name} = False")
        return name

    def spend(self, amount: str) -> None:
        self.say("b = m[0]")
        self.say(f"b.left -= {amount}")
        self.say("if b.left < 0: b.renew()")

    def charge_deep(self, operand: str, when: str = "") -> None:
        """Spend for a value that is hashed or compared, where it is a collection: for others that takes no time."""
        if operand.isidentifier() and operand not in ("None", "TRUE", "FALSE"):
            self.say(f"if type({operand}) in H{when}: m[0].charge({operand})")

    def reached(self, place: Place) -> None:
        self.place = place
        if self.code.watched:
            self.say(f"m[0].reached.add({(self.file, place[0])})")

    def undefined(self, value: str) -> None:
        self.say(f"if {value} is U: {self.leave}")

    def deeper(self) -> None:
        self.nested += 1
        if self.nested > MAX_NESTED:
            raise RegoSyntaxError(
                f"more than {MAX_NESTED} bodies and enumerations inside each other",
                self.place,
                "Give the inner part a rule or a function of its own.",
            )

    @contextmanager
    def block(self, flag: str | None = None) -> Iterator[None]:
        """What is written inside is left where it is undefined; once `flag` is set, its enumerations end."""
        before = (self.indent, self.nested, self.leave, self.open, self.vars, self.context, self.ends)
        self.ends = flag is not None
        self.say("while True:")
        self.deeper()
        self.indent, self.leave, self.open, self.vars = self.indent + 1, "break", [], dict(self.vars)
        inside = self.indent
        yield
        if flag is not None:
            for indent in reversed(self.open):
                self.indent = indent
                self.say(f"if {flag}: break")
        self.indent = inside
        self.say("break")
        self.indent, self.nested, self.leave, self.open, self.vars, self.context, self.ends = before

    def loop(self, head: str, source: str, *, sorts: bool) -> None:
        if sorts:
            self.charge_deep(source)
        self.say("b = m[0]")
        self.say(f"b.left -= 1 + length({source})")
        self.say("if b.left < 0: b.renew()")
        self.say(f"for {head}({source}):")
        self.deeper()
        self.indent += 1
        self.leave = "continue"
        self.open.append(self.indent)

    # -- bodies

    def body(self, body: Body, bound: set[str], outside: set[str], heads: Sequence[Term] = ()) -> list[str]:
        """Write a body; the operands of its heads. Calls and references in heads are lines of the body."""
        check_negations(body, bound, outside)
        flat = self.flat.body(body)
        simple = [self.flat.inner(head, flat) for head in heads]
        self.write(ordered(flat, bound, outside | variables(simple, closures=False)), outside | bound)
        return [self.evaluate(head) for head in simple]

    def cases(self, rule: Rule, branch: Branch) -> list[str]:
        """Write the body of a test that has cases; the operands of its heads. The watch hears of a case as soon as its
        keys are known, so that one that fails is known, too."""
        lines: list[Literal] = []
        keys = [self.flat.inner(key, lines) for key in rule.keys]  # first: nothing needs to hold for them
        check_negations(branch.body, set(), set())
        lines += self.flat.body(branch.body)
        heads = [*keys, self.flat.inner(branch.value, lines)]
        told = False
        for literal in (*ordered(lines, set(), variables(heads, closures=False)), None):
            if not told and variables(keys) <= self.vars.keys():
                self.say(f"m[0].meet({self.group.path!r}, ({', '.join(map(self.evaluate, keys))},))")
                told = True
            if literal is not None:
                self.write([literal], set())
        return [self.evaluate(head) for head in heads]

    def write(self, literals: Sequence[Literal], visible: set[str]) -> None:
        for literal in literals:
            self.reached(literal.place)
            match literal:
                case Test():
                    self.test(literal.term)
                case Unify():
                    self.unify(literal.left, literal.right)
                case Each():
                    self.each(literal)
                case Every():
                    self.every(literal, visible)
                case Not():
                    self.negated(literal, visible)
                case With():
                    self.under(literal, visible)

    def test(self, term: Term) -> None:
        if isinstance(term, Call) and term.function in CONDITIONS:
            self.say(f"if not ({self.condition(term)}): {self.leave}")
        else:
            self.say(f"if {self.named(self.evaluate(term))} is FALSE: {self.leave}")

    def unify(self, left: Term, right: Term) -> None:
        if self.ready(right):
            self.match(left, self.evaluate(right))
        else:
            self.match(right, self.evaluate(left))

    def ready(self, term: Term) -> bool:
        """Whether a term is no pattern with variables that have no value yet."""
        match term:
            case Var():
                return term.name in self.vars
            case Items():
                return all(map(self.ready, term.items))
            case Pairs():
                return all(self.ready(value) for _, value in term.items)
            case Call():
                return all(map(self.ready, term.args))
        return True

    def named(self, operand: str) -> str:
        """A name for the operand's value: it may be a literal, of which Python would say that it has no items."""
        if operand.isidentifier() and operand != "None":
            return operand
        found = self.new()
        self.say(f"{found} = {operand}")
        return found

    def match(self, pattern: Term, value: str) -> None:
        """Hold `value` against the pattern, and bind its variables."""
        if isinstance(pattern, Var) and pattern.name not in self.vars:
            self.vars[pattern.name] = value
        elif isinstance(pattern, Items) and pattern.kind == "array" and not self.ready(pattern):
            value = self.named(value)
            self.say(f"if type({value}) is not Array or len({value}) != {len(pattern.items)}: {self.leave}")
            for index, item in enumerate(pattern.items):
                self.match_part(item, f"{value}[{index}]")
        elif isinstance(pattern, Pairs) and not self.ready(pattern):
            value = self.named(value)
            self.say(f"if type({value}) is not Object or len({value}) != {len(pattern.items)}: {self.leave}")
            for key, item in pattern.items:
                found, wanted = self.new(), self.evaluate(key)
                self.charge_deep(wanted)
                self.say(f"{found} = {value}.get({wanted}, U)")
                self.undefined(found)
                self.match_part(item, found)
        else:
            wanted = self.evaluate(pattern)
            self.charge_deep(value)
            self.say(f"if {value} != {wanted}: {self.leave}")

    def match_part(self, pattern: Term, text: str) -> None:
        found = self.new()
        self.say(f"{found} = {text}")
        self.match(pattern, found)

    def each(self, literal: Each) -> None:
        source = self.evaluate(literal.domain)
        key, value = self.new(), self.new()
        self.enumerate(source, key if literal.key else None, value)
        if literal.key:
            self.match(literal.key, key)
        self.match(literal.value, value)

    def enumerate(self, source: str, key: str | None, value: str) -> None:
        order = "ordered_" if self.in_array or self.ends else ""
        if key is None:
            self.loop(f"{value} in {order}values", source, sorts=bool(order))
        else:
            self.loop(f"{key}, {value} in {order}pairs", source, sorts=bool(order))

    def every(self, literal: Every, visible: set[str]) -> None:
        source = self.evaluate(literal.domain)
        self.say(f"collection({source})")
        failed = self.flag()
        with self.block(failed):
            key, value = self.new(), self.new()
            self.enumerate(source, key if literal.key else None, value)
            if literal.key:
                self.vars[literal.key.name] = key
            self.vars[literal.value.name] = value
            held = self.flag()
            with self.block(held):
                self.body(literal.body, set(self.vars), visible)
                self.say(f"{held} = True")
            self.say(f"if {held}: continue")
            self.say(f"{failed} = True")
        self.say(f"if {failed}: {self.leave}")

    def negated(self, literal: Not, visible: set[str]) -> None:
        held = self.flag()
        with self.block(held):
            self.write(ordered(literal.body, set(self.vars), visible), visible)
            self.say(f"{held} = True")
        self.say(f"if {held}: {self.leave}")

    def under(self, literal: With, visible: set[str]) -> None:
        """Other input or data for the body; the lines after it have the old ones again."""
        self.code.reading.add(self.group.path)
        changes = [f"({path!r}, {self.evaluate(value)})" for path, value in literal.changes]
        m, i, d = self.context
        context = (self.new(), self.new(), self.new())
        self.say(f"{', '.join(context)} = m[0].under({m}, {i}, {d}, ({', '.join(changes)},))")
        before, self.context = self.context, context
        bound = set(self.vars)
        self.write(ordered(literal.body, bound, visible), visible)
        self.context = before

    # -- terms

    def evaluate(self, term: Term) -> str:
        """The operand that holds the term's value; the body is left when it has none."""
        match term:
            case Scalar():
                return self.code.constant(term.value)
            case Var():
                if term.name not in self.vars:
                    raise RegoSyntaxError(
                        f"nothing gives {term.name.partition('#')[0]} a value",
                        term.place,
                        "Bind the variable in the body, or mend its name.",
                    )
                return self.vars[term.name]
            case Ref():
                return self.reference(term)
            case Items() | Pairs():
                return self.composite(term)
            case Call():
                return self.call(term)
            case Comprehension():
                return self.comprehension(term)

    def composite(self, term: Items | Pairs) -> str:
        fixed = _fixed(term)
        if fixed is not rego.UNDEFINED:
            return self.code.constant(fixed)
        found = self.new()
        if len(term.items) > _SMALL:
            self.spend(str(4 * len(term.items)))
        if isinstance(term, Items):
            items = [self.evaluate(item) for item in term.items]
            for item in items if term.kind == "set" else ():
                self.charge_deep(item)
            self.say(f"{found} = {'Array' if term.kind == 'array' else 'Set'}(({', '.join(items)},))")
            return found
        pairs = [(self.evaluate(key), self.evaluate(value)) for key, value in term.items]
        fixed_keys = [key.value for key, _ in term.items if isinstance(key, Scalar)]
        if len(set(fixed_keys)) < len(fixed_keys):
            raise RegoSyntaxError("an object has one key twice", term.place, "Keep one.")
        plain = [key for key in fixed_keys if type(key) is str]
        if len(plain) == len(pairs):
            self.say(f"{found} = Object({{{', '.join(f'{key}: {value}' for key, value in pairs)}}})")
        else:
            for operand in itertools.chain(*pairs):
                self.charge_deep(operand)
            self.say(f"{found} = make_object(({', '.join(f'({key}, {value})' for key, value in pairs)},))")
        return found

    def comprehension(self, term: Comprehension) -> str:
        found = self.new()
        self.say(f"{found} = {_MAKERS[term.kind]}")
        before, self.in_array = self.in_array, self.in_array + (term.kind == "array")
        with self.block():
            bound = set(self.vars)
            heads = self.body(term.body, bound, set(bound), heads=term.heads)
            if term.kind != "array":
                self.charge_deep(heads[0])
            if term.kind == "object":
                self.charge_deep(heads[1], f" and {heads[0]} in {found}")
                self.say(f"insert_once({found}, {heads[0]}, {heads[1]})")
            else:
                self.say(f"{found}.{'append' if term.kind == 'array' else 'add'}({heads[0]})")
        self.in_array = before
        return found

    # calls

    def call(self, term: Call) -> str:
        if isinstance(term.function, tuple):
            return self.call_rule(term.function, [self.evaluate(arg) for arg in term.args])
        found = self.new()
        if term.function in CONDITIONS:
            self.say(f"{found} = TRUE if {self.condition(term)} else FALSE")
            return found
        args = [self.evaluate(arg) for arg in term.args]
        self.charge(term.function, args)
        self.say(f"{found} = {self.code.builtin(term.function)}({', '.join(args)})")
        if term.function in _MAKING:
            self.say(f"m[0].made({found})")
        if term.function in ("max", "min"):
            self.undefined(found)
        return found

    def charge(self, function: str, args: Sequence[str]) -> None:
        if function not in _LIGHT:
            self.say(f"m[0].charge({', '.join(args)})")
        for operand in args if function in _DEEP else ():
            self.charge_deep(operand)

    def condition(self, term: Call) -> str:
        assert isinstance(term.function, str)
        args = [self.evaluate(arg) for arg in term.args]
        if term.function in ("equal", "neq"):
            self.charge_deep(args[0])
            return f"{args[0]} {'==' if term.function == 'equal' else '!='} {args[1]}"
        if term.function == "internal.member_2" and (size := _size(term.args[1])) is not None and size <= 100:
            self.charge_deep(args[0])
            return f"{args[0]} in {args[1]}"
        self.charge(term.function, args)
        return f"{self.code.builtin(term.function)}({', '.join(args)})"

    def call_rule(self, path: Path, args: Sequence[str] = ()) -> str:
        self.code.calls[self.group.path].setdefault(path, (self.file, self.place))
        found, name, m = self.new(), self.code.names[path], self.context[0]
        call = f"{name}({', '.join([*self.context, *args])})"
        if path in self.code.slots:
            self.say(f"{found} = {m}[{self.code.slots[path]}]")
            self.say(f"if {found} is M: {found} = {call}")
        else:
            self.say(f"{found} = {call}")
        self.undefined(found)
        return found

    # references

    def reference(self, ref: Ref) -> str:
        path = list(ref.path)
        if isinstance(ref.head, Var) and ref.head.name == "data":
            operand, path = self.data(path)
        elif isinstance(ref.head, Var) and ref.head.name == "input":
            self.code.reading.add(self.group.path)
            operand = self.context[1]
            if self.context[1] != "i" or not path:
                self.undefined(operand)
        else:
            operand = self.evaluate(ref.head)
        for key in path:
            operand = self.step(operand, key)
        return operand

    def step(self, source: str, key: Term) -> str:
        source, found = self.named(source), self.new()
        if isinstance(key, Var) and key.name not in self.vars:
            name = self.new()
            self.enumerate(source, None if key.name.startswith("_#") else name, found)
            self.vars[key.name] = name
            return found
        operand = self.evaluate(key)
        if not isinstance(key, Scalar):
            self.charge_deep(operand)
        self.say(f"{found} = {source}.get({operand}, U) if type({source}) is Object else dot({source}, {operand})")
        self.undefined(found)
        return found

    def data(self, path: list[Term]) -> tuple[str, list[Term]]:
        """The operand for as much of a path into data as names rules, and the rest of the path."""
        node, names = self.code.tree, list[str]()
        while node.group is None and path and isinstance(path[0], Scalar) and path[0].value in node.children:
            names.append(path[0].value)
            node, path = node.children[path[0].value], path[1:]
        if node.group is not None:
            if node.group.kind == "function":
                raise RegoSyntaxError(f"{'.'.join(names)} is a function", self.place, "Call it with arguments.")
            return self.call_rule(node.group.path), path
        self.code.reading.add(self.group.path)
        if path and isinstance(path[0], Scalar):  # no rule has such a name
            fixed = next((i for i, key in enumerate(path) if not isinstance(key, Scalar)), len(path))
            keys = self.code.constant((*names, *(key.value for key in path[:fixed] if isinstance(key, Scalar))))
            found = self.new()
            self.say(f"{found} = base({self.context[2]}, {keys})")
            self.undefined(found)
            return found, path[fixed:]
        return self.document(node, names, path), path

    def document(self, node: Node, names: Sequence[str], path: Sequence[Term]) -> str:
        """An object of the rules below a name of the tree: those only that the rest of the path can reach."""
        found = self.new()
        self.say(f"{found} = Object()")
        wanted = path[0].value if path and isinstance(path[0], Scalar) else None
        chosen = self.vars.get(path[0].name) if path and isinstance(path[0], Var) else None
        for name, child in sorted(node.children.items()):
            if (wanted is not None and name != wanted) or (child.group and child.group.kind == "function"):
                continue
            with self.block():
                if chosen is not None:
                    self.say(f"if {chosen} != {name!r}: {self.leave}")
                if child.group is None:
                    value = self.document(child, [*names, name], path[1:])
                else:
                    value = self.call_rule(child.group.path)
                self.say(f"{found}[{name!r}] = {value}")
        d = self.context[2]
        self.say(f"if {d}: {found} = overlay({d}, {tuple(names)!r}, {found})")
        return found


def _fixed(term: Term) -> Any:
    """The value of a term without variables, calls and references; `UNDEFINED` for others."""
    match term:
        case Scalar():
            return term.value
        case Items():
            items = [_fixed(item) for item in term.items]
            if any(item is rego.UNDEFINED for item in items):
                return rego.UNDEFINED
            return rego.Array(items) if term.kind == "array" else rego.Set(items)
        case Pairs():
            pairs = [(_fixed(key), _fixed(value)) for key, value in term.items]
            if any(rego.UNDEFINED in (key, value) for key, value in pairs):
                return rego.UNDEFINED
            found = rego.Object(pairs)
            if len(found) < len(pairs):
                raise RegoSyntaxError("an object has one key twice", term.place, "Keep one.")
            return found
    return rego.UNDEFINED


def _size(term: Term) -> int | None:
    """How many items a fixed array or set has."""
    fixed = _fixed(term) if isinstance(term, Items) else None
    return len(fixed) if isinstance(fixed, rego.Array | rego.Set) else None
