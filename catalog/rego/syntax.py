"""Reads Rego (the language of OPA 1) into a tree. What it does not read it refuses by name, with row and column.

Left out, on purpose: template strings, rules with several bodies in a row, and what was Rego before version 1.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Never

from fairmesh.catalog.rego.values import FALSE, MAX_DEPTH, TRUE, RegoError, number

Place = tuple[int, int]
"""Row and column, both from 1."""


class RegoSyntaxError(Exception):
    """`message` says what, `place` where, `remedy` what to do."""

    def __init__(self, message: str, place: Place, remedy: str = "") -> None:
        super().__init__(message)
        self.message, self.place, self.remedy = message, place, remedy


# -- the tree --------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Scalar:
    value: Any
    place: Place


@dataclass(frozen=True, slots=True)
class Var:
    name: str
    place: Place


@dataclass(frozen=True, slots=True)
class Ref:
    """`head` followed by keys: `input.a[x]`."""

    head: Term
    path: tuple[Term, ...]
    place: Place


@dataclass(frozen=True, slots=True)
class Items:
    """An array or a set."""

    kind: str
    items: tuple[Term, ...]
    place: Place


@dataclass(frozen=True, slots=True)
class Pairs:
    """An object."""

    items: tuple[tuple[Term, Term], ...]
    place: Place


@dataclass(frozen=True, slots=True)
class Call:
    """`function` is the name with dots, or the path of a rule from `data` on once names are resolved."""

    function: str | tuple[str, ...]
    args: tuple[Term, ...]
    place: Place


@dataclass(frozen=True, slots=True)
class Comprehension:
    """`kind` is array, set or object; an object's has two heads."""

    kind: str
    heads: tuple[Term, ...]
    body: Body
    place: Place


Term = Scalar | Var | Ref | Items | Pairs | Call | Comprehension


@dataclass(frozen=True, slots=True)
class Test:
    """Holds when the term is defined and not false."""

    term: Term
    place: Place


@dataclass(frozen=True, slots=True)
class Unify:
    """`left = right`, or `left := right` when it declares."""

    left: Term
    right: Term
    declares: bool
    place: Place


@dataclass(frozen=True, slots=True)
class Declare:
    """`some x, y`."""

    names: tuple[Var, ...]
    place: Place


@dataclass(frozen=True, slots=True)
class Each:
    """`some key, value in domain`."""

    key: Term | None
    value: Term
    domain: Term
    place: Place


@dataclass(frozen=True, slots=True)
class Every:
    key: Var | None
    value: Var
    domain: Term
    body: Body
    place: Place


@dataclass(frozen=True, slots=True)
class Not:
    body: Body
    place: Place


@dataclass(frozen=True, slots=True)
class With:
    """The body under another input or other data: `changes` are paths, from `input` or `data` on once names are
    resolved, and values."""

    body: Body
    changes: tuple[tuple[tuple[str, ...], Term], ...]
    place: Place


Literal = Test | Unify | Declare | Each | Every | Not | With
Body = tuple[Literal, ...]


@dataclass(frozen=True, slots=True)
class Branch:
    """A value and the body under which it holds; an empty body always holds."""

    value: Term
    body: Body
    place: Place


@dataclass(frozen=True, slots=True)
class Rule:
    """`kind` is complete, set or function. `branches` are what `else` parts; `keys` follow the name in brackets."""

    kind: str
    name: tuple[str, ...]
    keys: tuple[Term, ...]
    args: tuple[Term, ...]
    branches: tuple[Branch, ...]
    default: bool
    place: Place


@dataclass(frozen=True, slots=True)
class Module:
    package: tuple[str, ...]
    imports: dict[str, tuple[tuple[str, ...], Place]]
    rules: tuple[Rule, ...]
    place: Place


# -- tokens ----------------------------------------------------------------------------------------------------------

_TOKEN = re.compile(
    r"""
    (?P<space>[ \t\r\n]+|\#[^\n]*)
    |(?P<number>(?:0|[1-9][0-9]*)(?:\.[0-9]+)?(?:[eE][+-]?[0-9]+)?(?![\w.]))
    |(?P<name>[A-Za-z_][A-Za-z0-9_]*)
    |(?P<text>"(?:[^"\\\n]|\\.)*"|`[^`]*`)
    |(?P<mark>:=|==|!=|<=|>=|[-+*/%&|<>=(){}\[\],;:.])
    """,
    re.VERBOSE,
)
KEYWORDS = frozenset({
    "package", "import", "as", "default", "else", "not", "some", "every", "with", "null", "true", "false", "if",
    "contains", "in",
})  # fmt: skip


@dataclass(frozen=True, slots=True)
class _Token:
    kind: str
    text: str
    place: Place
    glued: bool
    """Nothing stands between this token and the one before."""
    fresh: bool
    """A line ended between this token and the one before."""


def _tokens(text: str) -> list[_Token]:
    found = []
    position, row, start, glued, fresh = 0, 1, 0, False, True
    while position < len(text):
        match = _TOKEN.match(text, position)
        place = (row, position - start + 1)
        if match is None:
            raise RegoSyntaxError(f"{text[position]!r} is not understood here", place)
        kind, token = str(match.lastgroup), match[0]
        if kind == "space":
            glued, fresh = False, fresh or "\n" in token
        else:
            found.append(_Token(kind if token not in KEYWORDS else "word", token, place, glued, fresh))
            glued, fresh = True, False
        if lines := token.count("\n"):
            row += lines
            start = position + token.rindex("\n") + 1
        position = match.end()
    found.append(_Token("end", "", (row, position - start + 1), False, True))
    return found


# -- the parser ------------------------------------------------------------------------------------------------------

_INFIX: tuple[dict[str, str], ...] = (
    {"==": "equal", "!=": "neq", "<": "lt", "<=": "lte", ">": "gt", ">=": "gte"},
    {"|": "or"},
    {"&": "and"},
    {"+": "plus", "-": "minus"},
    {"*": "mul", "/": "div", "%": "rem"},
)
_KNOWN_IMPORTS = {
    ("rego", "v1"),
    ("future", "keywords"),
    *(("future", "keywords", word) for word in ("contains", "every", "if", "in")),
}
"""What Rego 1 has anyway."""


def read(text: str) -> Module:
    """The module a text holds. Raises `RegoSyntaxError`."""
    try:
        return _Parser(text).module()
    except RecursionError:
        raise RegoSyntaxError("nested too deeply", (1, 1)) from None


class _Parser:
    def __init__(self, text: str) -> None:
        self.tokens = _tokens(text)
        self.position = 0
        self.depth = 0

    # reading tokens

    @property
    def token(self) -> _Token:
        return self.tokens[self.position]

    def at(self, *texts: str) -> bool:
        return self.token.kind in ("mark", "word") and self.token.text in texts

    def take(self, *texts: str) -> bool:
        if not self.at(*texts):
            return False
        self.position += 1
        return True

    def need(self, text: str) -> _Token:
        token = self.token
        if not self.take(text):
            self.fail(f"{text!r} was expected")
        return token

    def fail(self, message: str, remedy: str = "") -> Never:
        token = self.token
        shown = "the end" if token.kind == "end" else repr(token.text[:40])
        raise RegoSyntaxError(f"{message}, not {shown}", token.place, remedy)

    def name(self) -> _Token:
        token = self.token
        if token.kind != "name":
            self.fail("a name was expected")
        self.position += 1
        return token

    # modules

    def module(self) -> Module:
        place = self.token.place
        if not self.take("package"):
            self.fail("a module begins with `package`")
        package = self.dotted()
        imports: dict[str, tuple[tuple[str, ...], Place]] = {}
        rules = []
        while self.token.kind != "end":
            if self.take("import"):
                self.imported(imports)
            else:
                rules.append(self.rule())
        return Module(package, imports, tuple(rules), place)

    def dotted(self) -> tuple[str, ...]:
        parts = [self.name().text]
        while self.token.glued and self.at(".", "["):
            parts.append(self.step())
        return tuple(parts)

    def step(self) -> str:
        """`.name` or `["name"]`."""
        if self.take("."):
            token = self.token
            if token.kind not in ("name", "word"):
                self.fail("a name was expected")
            self.position += 1
            return token.text
        self.need("[")
        token = self.token
        if token.kind != "text":
            self.fail("a text was expected")
        self.position += 1
        self.need("]")
        return _text(token)

    def imported(self, imports: dict[str, tuple[tuple[str, ...], Place]]) -> None:
        place = self.token.place
        path = self.dotted()
        alias = self.name().text if self.take("as") else path[-1]
        if path in _KNOWN_IMPORTS:
            return
        if path[0] not in ("input", "data"):
            raise RegoSyntaxError(f"import of {'.'.join(path)}", place, "Imports begin with `data` or `input`.")
        if alias in imports:
            raise RegoSyntaxError(f"{alias} is imported twice", place, "Name one of them with `as`.")
        imports[alias] = (path, place)

    # rules

    def rule(self) -> Rule:
        place = self.token.place
        default = self.take("default")
        name, keys = self.rule_name()
        args: tuple[Term, ...] = ()
        kind = "complete"
        if self.token.glued and self.take("("):
            kind, args = "function", tuple(self.listed(")"))
            if not args:
                raise RegoSyntaxError("a function without arguments", place, "Write a rule.")
            if keys:
                raise RegoSyntaxError("a function whose name has variables", place)
        if self.take("contains"):
            kind, value = "set", self.term()
            branches = [Branch(value, self.rule_body(), place)]
        else:
            branches = self.branches(place, default, kind)
        if default and (kind == "set" or keys or len(branches) > 1 or branches[0].body):
            raise RegoSyntaxError("a default has one value and no condition", place)
        return Rule(kind, name, keys, args, tuple(branches), default, place)

    def rule_name(self) -> tuple[tuple[str, ...], tuple[Term, ...]]:
        if self.token.kind != "name":
            self.fail("a rule was expected")
        name = [self.name().text]
        keys: list[Term] = []
        while self.token.glued and self.at(".", "["):
            place = self.token.place
            if self.at("."):
                key: Term = Scalar(self.step(), place)
            else:
                self.position += 1
                key = self.term()
                self.need("]")
            if keys or not (isinstance(key, Scalar) and type(key.value) is str):
                keys.append(key)
            else:
                name.append(key.value)
        return tuple(name), tuple(keys)

    def branches(self, place: Place, default: bool, kind: str) -> list[Branch]:
        stated = self.take(":=", "=")
        value = self.term() if stated else Scalar(TRUE, place)
        if not stated and not self.at("if") and kind != "function":
            self.fail("`:=`, `contains` or `if` was expected", "Rules have a value or a condition.")
        found = [Branch(value, self.rule_body(), place)]
        while self.at("else") and not default:
            there = self.token.place
            self.position += 1
            value = self.term() if self.take(":=", "=") else Scalar(TRUE, there)
            found.append(Branch(value, self.rule_body(), there))
        return found

    def rule_body(self) -> Body:
        if not self.take("if"):
            if self.at("{"):
                self.fail("`if` was expected before a body")
            return ()
        body = self.body("}") if self.take("{") else (self.literal(),)
        if self.at("{"):
            self.fail("a rule has one body", "Write a rule for each.")
        return body

    def body(self, closer: str) -> Body:
        found = [self.literal()]
        while not self.take(closer):
            if not self.take(";") and not self.token.fresh:
                self.fail("a line's end or `;` was expected")
            if self.take(closer):
                break
            found.append(self.literal())
        return tuple(found)

    # literals

    def literal(self) -> Literal:
        place = self.token.place
        if self.take("some"):
            found = self.some(place)
        elif self.take("not"):
            if self.at("{"):
                self.fail("`not` before a body or set", "Give the body a rule of its own.")
            found = Not((self.expression(self.token.place),), place)
        elif self.at("every") and self.tokens[self.position + 1].text != "(":
            self.position += 1
            found = self.every(place)
        else:
            found = self.expression(place)
        changes = []
        while self.take("with"):
            changes.append(self.change())
        if changes and isinstance(found, Declare):
            raise RegoSyntaxError("`with` after `some x`", place)
        return With((found,), tuple(changes), place) if changes else found

    def change(self) -> tuple[tuple[str, ...], Term]:
        path = self.dotted()
        self.need("as")
        return path, self.term()

    def some(self, place: Place) -> Literal:
        listed = [self.infix(0)]
        while self.take(","):
            listed.append(self.infix(0))
        if self.take("in"):
            if len(listed) > 2:
                self.fail("`some key, value in` was expected")
            return Each(listed[0] if len(listed) == 2 else None, listed[-1], self.term(), place)
        names = tuple(item for item in listed if isinstance(item, Var))
        if len(names) != len(listed):
            self.fail("names were expected after `some`")
        return Declare(names, place)

    def every(self, place: Place) -> Literal:
        first = self.variable()
        key, value = (first, self.variable()) if self.take(",") else (None, first)
        self.need("in")
        domain = self.term()
        self.need("{")
        return Every(key, value, domain, self.body("}"), place)

    def variable(self) -> Var:
        token = self.name()
        return Var(token.text, token.place)

    def expression(self, place: Place) -> Literal:
        left = self.membership()
        if self.take(":="):
            return Unify(left, self.membership(), True, place)
        if self.take("="):
            return Unify(left, self.membership(), False, place)
        return Test(left, place)

    # terms

    def membership(self) -> Term:
        """A term, or `key, value in collection`."""
        left = self.term()
        if not self.at(","):
            return left
        place = self.token.place
        self.position += 1
        value = self.infix(0)
        self.need("in")
        return Call("internal.member_3", (left, value, self.infix(0)), place)

    def term(self, first: Term | None = None) -> Term:
        """A term; `first` is what was read of it already."""
        left, length = self.infix(0, first), 0
        while self.at("in"):
            place, length = self.token.place, self.chained(length)
            self.position += 1
            left = Call("internal.member_2", (left, self.infix(0)), place)
        return left

    def infix(self, level: int, first: Term | None = None) -> Term:
        if level == len(_INFIX):
            return first or self.primary()
        left, length = self.infix(level + 1, first), 0
        while self.token.kind == "mark" and (function := _INFIX[level].get(self.token.text)):
            place, length = self.token.place, self.chained(length)
            self.position += 1
            left = Call(function, (left, self.infix(level + 1)), place)
        return left

    def chained(self, length: int) -> int:
        """One operator more in a row: each nests what stands before it."""
        if length == MAX_DEPTH:
            self.fail(f"more than {MAX_DEPTH} operators in a row", "Use a collection: sum(...), or `in {...}`.")
        return length + 1

    def primary(self) -> Term:
        self.depth += 1
        if self.depth > MAX_DEPTH:
            self.fail(f"nested more than {MAX_DEPTH} deep")
        found = self.start()
        while self.token.glued and self.at(".", "[") and not isinstance(found, Scalar):
            found = self.referred(found)
        self.depth -= 1
        return found

    def start(self) -> Term:
        token = self.token
        reader: Callable[[], Term] | None = {
            "[": self.array, "{": self.braces, "(": self.parenthesis, "-": self.negative,
        }.get(token.text) if token.kind == "mark" else None  # fmt: skip
        if reader is not None:
            return reader()
        if token.kind == "word":
            if token.text in _CONSTANTS:
                self.position += 1
                return Scalar(_CONSTANTS[token.text], token.place)
            if token.text == "contains" and self.tokens[self.position + 1].text == "(":
                self.position += 1
                return self.called(("contains",), token.place)
        if token.kind == "number":
            self.position += 1
            return Scalar(_number(token, ""), token.place)
        if token.kind == "text":
            self.position += 1
            return Scalar(_text(token), token.place)
        if token.kind != "name":
            self.fail("a value was expected")
        return self.named()

    def negative(self) -> Term:
        place = self.need("-").place
        token = self.token
        if token.kind != "number" or not token.glued:
            self.fail("a number was expected after `-`")
        self.position += 1
        return Scalar(_number(token, "-"), place)

    def named(self) -> Term:
        token = self.name()
        parts, position = [token.text], self.position
        while self.token.glued and self.at("."):
            parts.append(self.step())
        if self.token.glued and self.at("("):
            return self.called(tuple(parts), token.place)
        self.position = position
        return Var(token.text, token.place)

    def called(self, name: tuple[str, ...], place: Place) -> Term:
        self.need("(")
        args = self.listed(")")
        if name == ("set",) and not args:
            return Items("set", (), place)
        return Call(".".join(name), tuple(args), place)

    def referred(self, head: Term) -> Term:
        place = self.token.place
        if self.at("."):
            step: Term = Scalar(self.step(), place)
        else:
            self.position += 1
            step = self.term()
            self.need("]")
        if isinstance(head, Ref):
            return Ref(head.head, (*head.path, step), head.place)
        return Ref(head, (step,), head.place)

    def listed(self, closer: str, first: Term | None = None) -> list[Term]:
        """Terms between commas, up to the closing bracket; `first` was read already."""
        found = [] if first is None else [first]
        if found and not self.at(closer):
            self.need(",")
        while not self.take(closer):
            found.append(self.term())
            if not self.at(closer):
                self.need(",")
        return found

    def parenthesis(self) -> Term:
        self.need("(")
        found = self.membership()
        self.need(")")
        return found

    def array(self) -> Term:
        place = self.need("[").place
        if self.take("]"):
            return Items("array", (), place)
        first = self.primary()
        if self.take("|"):
            return Comprehension("array", (first,), self.body("]"), place)
        return Items("array", tuple(self.listed("]", self.term(first))), place)

    def braces(self) -> Term:
        place = self.need("{").place
        if self.take("}"):
            return Pairs((), place)
        first = self.primary()
        if self.take("|"):
            return Comprehension("set", (first,), self.body("}"), place)
        first = self.term(first)
        if self.take(":"):
            return self.object(first, place)
        return Items("set", tuple(self.listed("}", first)), place)

    def object(self, key: Term, place: Place) -> Term:
        value = self.primary()
        if self.take("|"):
            return Comprehension("object", (key, value), self.body("}"), place)
        pairs = [(key, self.term(value))]
        while not self.take("}"):
            self.need(",")
            if self.take("}"):
                break
            key = self.term()
            self.need(":")
            pairs.append((key, self.term()))
        return Pairs(tuple(pairs), place)


_CONSTANTS: dict[str, Any] = {"null": None, "true": TRUE, "false": FALSE}


def _number(token: _Token, sign: str) -> Any:
    try:
        return number(sign + token.text)
    except RegoError as error:
        raise RegoSyntaxError(str(error), token.place) from None


def _text(token: _Token) -> str:
    if token.text.startswith("`"):
        return token.text[1:-1].replace("\r", "")
    try:
        found = str(json.loads(token.text))
        found.encode()
    except ValueError as error:
        raise RegoSyntaxError(f"a text that is not JSON's: {error}", token.place) from None
    return found
