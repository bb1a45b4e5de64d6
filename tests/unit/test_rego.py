"""Rego in process: the load gate, what is answered and what raises, the budget, traces and coverage."""

from __future__ import annotations

import json
import subprocess
import threading
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from opa import POLICIES, opa_binary

from fairmesh.catalog.errors import ConfigError
from fairmesh.catalog.policyfiles import PolicySet
from fairmesh.catalog.rego import CONDITIONS, FUNCTIONS, UNDEFINED, RegoError, Step, compile_policies
from fairmesh.catalog.rego.values import MAX_WEIGHT, Array, Object, Set, weight


def ask(text: str, given: object = None, rule: str = "x", *, seconds: float = 20.0) -> object:
    """The answer of a rule of a module of `package p`; as a test file, so that `with` may be said."""
    program = compile_policies(PolicySet.from_files({"p_test.rego": f"package p\n\n{text}\n".encode()}), (f"p/{rule}",))
    return program.evaluate(json.dumps(given), f"p/{rule}", seconds=seconds)


def refusal(files: Mapping[str, str], entries: tuple[str, ...] = ()) -> ConfigError:
    with pytest.raises(ConfigError) as refused:
        compile_policies(PolicySet.from_files({path: text.encode() for path, text in files.items()}), entries)
    assert refused.value.remedy
    return refused.value


# -- values --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("true == 1", False),
        ("1 == 1.0", True),
        ("{true, 1, 1.0, false, 0}", [False, True, 0, 1]),
        ("{1: 2}[1.0]", 2),
        ("[10, 20][1.0]", 20),
        ("null < false", True),
        ('sort([{1}, {"a": 1}, [1], "a", 1, true, null])', [None, True, 1, "a", [1], {"a": 1}, [1]]),
        ("1180591620717411303424 + 1", 2**70 + 1),
        ("0.1 == 0.10", True),
        ("(7 % 3) - (-7 % 3)", 2),
        ("[x | some x in {3, 1, 2}]", [1, 2, 3]),
        ('[k | some k, _ in {"b": 1, "a": 2}]', ["a", "b"]),
        ('lower("ÀÉ")', "àé"),
        ('trim_space("\\u00a0 a\\u001f ")', "a\x1f"),
        ('"a\\u0000b"', "a\0b"),
        ('`\\n"`', '\\n"'),
        ('split("abc", "")', ["a", "b", "c"]),
        ('format_int(-255, 16)', "-ff"),
        ('object.get({"a": {"b": 1}}, ["a", "c"], "d")', "d"),
        ("set()", []),
        ("{}", {}),
    ],
)  # fmt: skip
def test_values_are_regos(text: str, wanted: object) -> None:
    assert ask(f"x := {text}") == wanted
    assert type(ask(f"x := {text}")) is type(wanted)


@pytest.mark.parametrize(
    "text",
    [
        "1 / 0", "1 / 3", "0.1 + 0.2", "count(1)", 'to_number("0x10")', 'to_number("inf")', "format_int(1, 7)",
        'substring("a", -1, 1)', 'upper("ß")', "ceil(-0.5)", "{1: 2}", 'replace("a", "", "b")', "abs(1e30)",
        "{k: v | some k, v in [1, 2]} | {3}", "concat(1, [])",
    ],
)  # fmt: skip
def test_what_is_not_exact_or_of_the_wrong_type_raises(text: str) -> None:
    with pytest.raises(RegoError):
        ask(f"x := {text}")


def test_two_values_raise() -> None:
    rules = "x := 1 if input.a\n\nx := 2 if input.b"
    assert ask(rules, {"a": 1}) == 1
    with pytest.raises(RegoError, match="two values"):
        ask(rules, {"a": 1, "b": 1})
    with pytest.raises(RegoError, match="two values for one key"):
        ask('x := {"a": v | some v in input}', [1, 2])


def test_undefined_is_no_value() -> None:
    assert ask("x := input.a.b", {"a": {}}) is UNDEFINED
    assert ask("x if not input.a", {}) is True
    assert ask("x if not input.a == 1", {}) is True
    assert ask("x if not input.a > 1", {}) is UNDEFINED  # as in OPA: the operand is worked out before the negation


@pytest.mark.parametrize(
    "given", ['{"a": NaN}', "", "{", "1e999", '"\\ud800"', '{"a": "\\uDFFF"}', "[" * 5000 + "]" * 5000]
)
def test_input_that_is_no_json_raises(given: str) -> None:
    program = compile_policies(PolicySet.from_files({"p.rego": b"package p\n\nx := 1\n"}), ("p/x",))
    with pytest.raises(RegoError):
        program.evaluate(given, "p/x")
    assert program.evaluate("{}", "p/x") == 1


# -- what it reads -------------------------------------------------------------------------------------------------

READS: dict[str, set[tuple[str, ...]]] = {
    "x := input.context.now_ns": {("context", "now_ns")},
    'x := input["context"]': {("context",)},
    "x := [input]": {()},
    "x := input[input.a]": {(), ("a",)},
    "x if { some k; input.context[k] == 1 }": {("context",)},
    "x := [y | y := input.resources[_].domain]": {("resources",)},
    'x if { q := "\\""; input.a > 1; q == "x" }': {("a",)},
    'x := `"` if { input.a > 1; input.b == `"` }': {("a",), ("b",)},
    "x if not input.a.b": {("a", "b")},
    "f(y) := y\n\nx := f(input.a) if every z in input.b { z == input.c }": {("a",), ("b",), ("c",)},
    'x := "input.a" # input.b': set(),
}


@pytest.mark.parametrize("text", READS)
def test_what_is_read_of_the_input(text: str) -> None:
    program = compile_policies(PolicySet.from_files({"p.rego": f"package p\n\n{text}\n".encode()}), ("p/x",))
    assert program.reads == READS[text]
    for path in READS[text]:
        assert program.may_read(*path)
        assert program.may_read(*path, "more")
        assert program.may_read(*path[:-1])
    assert program.may_read("z") is (() in READS[text])


def test_an_import_is_read() -> None:
    text = "package p\n\nimport input.context as c\n\nx := c.now_ns\n"
    assert compile_policies(PolicySet.from_files({"p.rego": text.encode()}), ()).reads == {("context", "now_ns")}
    assert not compile_policies(PolicySet.load()).may_read("context", "now_ns")


# -- the load gate -------------------------------------------------------------------------------------------------

REFUSED = {
    "no Rego": ("x := := 1", 3, "was expected"),
    "an unknown function": ("x := strings.foo(1)", 3, "does not exist or is not allowed"),
    "the network": ('x := http.send({"url": input.u})', 3, r"http\.send"),
    "an unknown function under not": ("x if not foo(1)", 3, "foo"),
    "an unknown name under not": ("x if not blockd", 3, "blockd"),
    "an unset variable": ("x := y if {\n\tinput.a\n\tnot y == z\n\ty := 1\n}", 5, "y is used before"),
    "a variable that only a negation has": ("x if {\n\tnot input.a[i] == 1\n}", 4, "nothing gives i"),
    "a head without a value": ("x := y if input.a", 3, "nothing gives y"),
    "another number of arguments": ("x := count(1, 2, 3)", 3, "another number"),
    "another number for a rule": ("f(a) := a\n\nx := f(1, 2, 3)", 5, "another number"),
    "recursion": ("x := y\n\ny if not x", 5, "calls itself"),
    "recursion by a package": ("x := count(data.p)", 3, "calls itself"),
    "two constants": ("x := 1\n\nx := 2", 5, "has two values"),
    "two defaults": ("default x := 1\n\ndefault x := 2", 5, "two defaults"),
    "a set and a value": ("x contains 1\n\nx := 2", 5, "defined as"),
    "a rule below a value": ("x := 1\n\nx.y := 2", 3, "a part of a rule"),
    "one key twice": ('x := {"a": input.a, "a": input.b}', 3, "one key twice"),
    "with": ("x if y with data.q.x as 1\n\ny if input", 3, "outside of tests"),
    "with in a comprehension": ("x := [y | y with data.q.x as 1]\n\ny if input", 3, "outside of tests"),
    "a value declared twice": ("x if {\n\ty := 1\n\ty := 2\n}", 5, "declared or used"),
    "input declared": ("x if input := 1", 3, "cannot be declared"),
    "a text of old Rego": ("x { input.a }", 3, "was expected"),
    "a template": ('x := $"{input.a}"', 3, "not understood"),
    "a deep nest": ("x if {\n" + "".join(f"\tsome a{i} in input\n" for i in range(30)) + "}", 21, "more than 18"),
    "deep brackets": ("x := " + "[" * 300 + "]" * 300, 3, "nested more than"),
    "a long chain": (f"x := {' + '.join('1' * 500)}", 3, "operators in a row"),
    "a long chain of in": (f"x := 1{' in {1}' * 500}", 3, "operators in a row"),
    "a long body": ("x if {\n" + "".join(f"\tinput.a > {i}\n" for i in range(1001)) + "}", 4, "more than 1000 lines"),
    "many variables": (f"x if [{', '.join(f'a{i}' for i in range(1001))}] = input.a", 3, "more than 1000 lines"),
    "a lone surrogate": ('x := "\\ud800"', 3, "not JSON"),
    "a long number": (f"x := {'9' * 2000}", 3, "digits"),
    "a fraction that is not exact": ("x := 0.12345678901234567890123", 3, "digits"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_the_gate_refuses_with_file_line_and_remedy(name: str) -> None:
    text, line, words = REFUSED[name]
    refused = refusal({"ok.rego": "package q\n\nx := 1\n", "bad.rego": f"package p\n\n{text}\n"})
    assert "bad.rego" in refused.message
    assert refused.line == line
    assert refused.column
    with pytest.raises(AssertionError, match=words):
        raise AssertionError(refused.message)


def test_chains_inside_of_each_other_are_refused() -> None:
    text = "package p\n\nx := " + "(" * 90 + "1" + (" + 1" * 90 + ")") * 90
    assert "bad.rego: nested too deeply" in refusal({"bad.rego": text}).message


ACME = "package fairmesh.org.acme\n\n"
IDLE = {
    "a misspelt rule": ('denies contains {"id": id, "reason": "x"} if some id, _ in input.resources', "`denies` is"),
    "a rule in a circle of its own": ("f(x) := x\n\ny := f(1)", "`f` is used by nothing"),
    "an unknown field": ('hide contains {"id": id, "field": "dct:titel"} if some id, _ in input.resources', "titel"),
    "an unknown level": (
        'mask contains {"id": id, "classification": "secret"} if some id, _ in input.resources', '"secret" is no'
    ),
    "no reason": ('deny contains {"id": id} if some id, _ in input.resources', "without reason"),
    "a reason that is no code": (
        'deny contains {"id": id, "reason": "No way"} if some id, _ in input.resources', '"No way" is no reason'
    ),
    "no id": ('rows := {{"filter": "a = 1"}}', "without id"),
    "no field": ('hide := {{"id": id} | some id, _ in input.resources}', "without field"),
    "no text": ('rows contains {"id": id, "filter": 1} if some id, _ in input.resources', "1 is no filter"),
    "a misspelt input": ('deny contains {"id": "k0", "reason": "x"} if input.subject.role', "input.subject.role"),
    "a field of no resource": ('deny contains {"id": id, "reason": "x"} if input.resources[id].owner', "owner"),
    "a field of a text": ('deny contains {"id": "k0", "reason": "x"} if input.action.name', "input.action.name"),
}  # fmt: skip


@pytest.mark.parametrize("name", IDLE)
def test_what_would_do_nothing_is_refused(name: str) -> None:
    text, words = IDLE[name]
    refused = refusal({"org/acme/bad.rego": ACME + text + "\n"})
    assert "org/acme/bad.rego" in refused.message
    assert words in refused.message
    assert refused.line == 3
    said = {"org/acme/x_test.rego": ACME + "test_x if input.subject.role\n\nunused := 1\n"}
    assert words in refusal({"org/acme/bad.rego": ACME + text + "\n", **said}).message


def test_rules_that_help_those_that_narrow_are_accepted() -> None:
    files = {
        "org/acme/a.rego": ACME
        + """import data.fairmesh.org.acme.names

deny contains entry if {
	some id, r in input.resources
	late(r.status)
	not input.resources[id].tags[0] in names.all
	entry := {"id": id, "reason": "late"}
}

hide contains {"id": id, "field": word} if {
	some id, _ in input.resources
	some word in ["dct:description", "http://purl.org/dc/terms/license"]
}

late(status) if status == word

word := "retired" if input.context[_] == "http"

default mask := set()
""",
        "org/acme/b.rego": 'package fairmesh.org.acme.names\n\nall contains shared\n\nshared := "x"\n',
        "org/acme/x_test.rego": ACME + "test_x if not deny with input as {}\n\nhelp := input.nothing\n",
        "lib.rego": "package lib\n\nx := data.fairmesh.org.acme.names.other\n",
        "org/acme/c.rego": "package fairmesh.org.acme.names\n\nother := 1\n",
    }
    compile_policies(PolicySet.from_files({path: text.encode() for path, text in files.items()}), ())


@pytest.mark.parametrize(
    "text",
    [
        "package trino\n\nx := 1", "package trino.more\n\nx := 1", "package fairmesh.catalog\n\nx := 1",
        'package fairmesh["catalog"]\n\nx := 1', "package fairmesh.subjects.x\n\nx := 1",
        "package fairmesh\n\ncatalog.x := 1", "package trino\n",
    ],
)  # fmt: skip
def test_what_the_bundle_fills_is_taken(text: str) -> None:
    refused = refusal({"x.rego": text})
    assert "x.rego: data." in refused.message
    assert refused.line in (1, 3)


PLACES = {
    "a domain's package elsewhere": {"x.rego": "package fairmesh.domains.hr\n"},
    "the package of all domains": {"x.rego": "package fairmesh.domains\n"},
    "another domain's folder": {"domains/sales/x.rego": "package fairmesh.domains.hr\n"},
    "a shared package in the folder": {"domains/sales/x.rego": "package fairmesh.access\n"},
    "no owner": {"org/x.rego": "package fairmesh.org.acme\n"},
    "the organisation for the domain": {"org/hr/x.rego": "package fairmesh.domains.hr\n"},
    "an import of another's": {
        "domains/hr/x.rego": "package fairmesh.domains.hr\n\nimport data.fairmesh.domains.sales\n"
    },
    "a look at another's": {
        "domains/hr/x.rego": "package fairmesh.domains.hr\n\nx := data.fairmesh.domains.sales.deny\n"
    },
    "a look at all": {"domains/hr/x.rego": "package fairmesh.domains.hr\n\nx := [d | d := data.fairmesh.domains[_]]\n"},
    "a look at everything": {"org/a/x.rego": "package fairmesh.org.a\n\nx := data\n"},
    "a function of another's": {
        "domains/hr/x.rego": "package fairmesh.domains.hr\n\nx := data.fairmesh.org.a.f(1)\n",
        "org/a/y.rego": "package fairmesh.org.a\n\nf(x) := x\n",
    },
}


@pytest.mark.parametrize("name", PLACES)
def test_a_package_stands_in_its_owners_folder_and_looks_at_no_other(name: str) -> None:
    refused = refusal(PLACES[name])
    assert refused.line
    assert next(iter(PLACES[name])) in refused.message


def test_packages_in_their_folders_are_accepted() -> None:
    files = {
        "domains/hr/x.rego": "package fairmesh.domains.hr.x\n\nimport data.lib\n\nx := lib.f(z)\n",
        "domains/hr/d.rego": "package fairmesh.domains.hr\n\nimport data.fairmesh.domains.hr\n\ndeny contains hr.x.x\n",
        "domains/hr/z.rego": "package fairmesh.domains.hr.x\n\nimport data.fairmesh.domains.hr\n\nz := hr.y\n",
        "domains/hr/y.rego": "package fairmesh.domains.hr\n\ny := 1\n",
        "deep/org/acme/z.rego": "package fairmesh.org.acme\n\nz := data.lib.one\n\nrows contains z\n",
        "lib.rego": "package lib\n\nf(x) := x + one\n\none := 1\n",
    }
    program = compile_policies(PolicySet.from_files({path: text.encode() for path, text in files.items()}), ())
    assert program.evaluate("{}", "fairmesh/domains/hr/x/x") == 2
    assert program.evaluate("{}", "fairmesh/org/acme/z") == 1


def test_names_cannot_become_code() -> None:
    odd = "a\"']; raise SystemExit #"
    word = json.dumps(odd)
    text = f"x[{word}] := input[{word}]\n\ny.z[{word}].w := 1\n\nboth := [x, y]"
    assert ask(text, {odd: 1}, rule="both") == [{odd: 1}, {"z": {odd: {"w": 1}}}]


def test_the_capabilities_file_is_the_list_and_opa_takes_it(tmp_path: Path) -> None:
    path = POLICIES / "capabilities.json"
    stated = {builtin["name"]: builtin["decl"] for builtin in json.loads(path.read_text("utf-8"))["builtins"]}
    arity = {name: width for name, (_, width) in {**CONDITIONS, **FUNCTIONS}.items()}
    assert {name: len(decl["args"]) for name, decl in stated.items()} == {**arity, "eq": 2, "assign": 2}
    command = [opa_binary(), "check", "--strict", "--capabilities", str(path)]
    done = subprocess.run([*command, str(POLICIES / "fairmesh")], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    for call in (
        "http.send({})",
        "opa.runtime()",
        'regex.match("a", "b")',
        'yaml.unmarshal("")',
        'net.lookup_ip_addr("a")',
    ):
        (tmp_path / "bad.rego").write_text(f"package p\n\nx := {call}\n", "utf-8")
        done = subprocess.run([*command, str(tmp_path)], capture_output=True, text=True, check=False)
        assert "undefined function" in done.stderr


# -- with ----------------------------------------------------------------------------------------------------------


def test_tests_may_replace_input_and_data() -> None:
    text = """
a := input.n

b := [a, data.q.r]

f(z) := [z, a]

x := z if z := [b, f(1)] with input.n as 7 with data.q.r as 8

y := [a, z] if {
	z := f(2) with input as {"n": 3}
}
"""
    assert ask(text, {"n": 1}) == [[7, 8], [1, 7]]
    assert ask(text, {"n": 1}, rule="y") == [1, [2, 3]]


def test_tests_may_replace_rules() -> None:
    text = "deny contains 1 if input.a\n\nall := count(deny)\n\nx := n if n := all with data.p.deny as {5, 6}\n\n"
    text += "y := n if n := all with data.p as {}\n"
    assert ask(text, {"a": 1}) == 2
    assert ask(text, {"a": 1}, rule="all") == 1
    assert ask(text, {"a": 1}, rule="y") is UNDEFINED
    with pytest.raises(RegoError, match="part of what a rule gives"):
        ask("a := {1: 2}\n\nx if a with data.p.a.b as 1")


# -- the budget ----------------------------------------------------------------------------------------------------


def nested(function: str, times: int, of: str) -> str:
    return f"x := {(function + '(') * times}{of}{')' * times}"


LOOPS = "".join(f"\tsome {name} in input.l\n" for name in "abcd")
RUNAWAY = {
    "loops": "x if {\n" + "".join(f"\tsome v{i} in input.l\n" for i in range(12)) + "\tv1 > 100\n}",
    "a set": f"x := count({{[a, b, c, d] |\n{LOOPS}}})",
    "a text": "f(t) := concat(t, [t, t, t, t, t, t, t, t])\n\n" + nested("f", 6, "input.t"),
    "an array": "f(a) := array.concat(a, a)\n\n" + nested("f", 20, "input.l"),
    "a number": "f(n) := n * n\n\n" + nested("f", 15, "input.n"),
    "a replacement": 'x := replace(replace(input.t, "a", input.t), "a", input.t)',
    "calls": "f0(n) := n\n\n"
    + "\n\n".join(f"f{i}(n) := [f{i - 1}(n), f{i - 1}([n])] != 0" for i in range(1, 40))
    + "\n\nx := f39(1)",
    "sets of one large value": "a := [b | some b in input.m]\n\nx := {[a | some b in input.m] | some c in input.m}",
    "nested values": "a := [b | some b in input.m]\n\nb := [a | some c in input.m]\n\nx := count({b, 1})",
    "comparisons": "f(z) := [b | some b in input.m; z]\n\nx if {\n\tsome b in input.m\n\tf(1) == f(1)\n\tb < 0\n}",
    "two values alike": "a := [b | some b in input.m]\n\nx := {1: [a, a] | some b in input.m; [a, a]}",
    "a large answer": "a := [b | some b in input.m]\n\nx := [a | some c in input.m]",
    "texts that are kept": "x := count([concat(input.g, [input.t, b]) | some b in input.s; some c in input.m])",
    "searches": f"x if {{\n{LOOPS}\tcontains(input.t, input.u)\n}}",
}


@pytest.mark.parametrize("name", RUNAWAY)
def test_a_runaway_policy_ends_with_an_error(name: str) -> None:
    given = {"l": list(range(60)), "t": "a" * 30_000, "n": 99, "u": "a" * 20_000 + "b", "g": "-"}
    given["m"], given["s"] = list(range(20_000)), [f"{i}" for i in range(60)]
    with pytest.raises(RegoError):
        ask(RUNAWAY[name], given, seconds=0.2)


def test_what_is_shared_is_counted_as_often_as_it_stands_there() -> None:
    inner = Array(["a" * 640, Set([1, 2]), Object({"k": Array()})])
    assert weight(inner) == 1 + 11 + 3 + 3
    assert weight(Array([inner, inner])) == 1 + 2 * weight(inner)
    value = inner
    for _ in range(200):
        value = Array([value, value])
        weight(value)
    assert weight(value) == MAX_WEIGHT


def test_lines_that_stand_in_the_wrong_order_are_found_soon() -> None:
    lines = [f"a{i} = a{i + 1}" for i in range(900)]
    assert ask("x := a0 if {\n\t" + "\n\t".join(lines) + "\n\ta900 = input.a\n}", {"a": 7}) == 7


def test_other_threads_go_on_beside_a_runaway_policy() -> None:
    text = RUNAWAY["loops"] + "\n\ny := input.l[0]\n"
    program = compile_policies(PolicySet.from_files({"p.rego": f"package p\n\n{text}".encode()}), ("p/x", "p/y"))
    given = json.dumps({"l": list(range(60))})
    running = threading.Event()

    def runaway() -> str:
        running.set()
        with pytest.raises(RegoError, match="out of time") as ended:
            program.evaluate(given, "p/x", seconds=1.0)
        return str(ended.value)

    with ThreadPoolExecutor(3) as pool:
        first, second = pool.submit(runaway), pool.submit(runaway)
        running.wait()
        others = [program.evaluate(given, "p/y") for _ in range(50)]
        assert not first.done()
        assert (first.result(), second.result()) == ("out of time", "out of time")
    assert others == [0] * 50
    assert program.evaluate(given, "p/y") == 0


# -- traces and coverage -------------------------------------------------------------------------------------------

TRACED = """package p

deny contains reason if {
	some word in input.words
	word == "bad"
	reason := "seen"
}

deny contains "late" if input.late

default allow := false

allow if count(deny) == 0

label := "small" if {
	input.size < 3
} else := "large"
"""


def test_a_trace_names_the_rules_that_gave_something() -> None:
    program = compile_policies(PolicySet.from_files({"a/b.rego": TRACED.encode()}), ("p/allow", "p/label"))
    answer, steps = program.trace('{"words": ["x", "bad"]}', "p/allow")
    assert answer is False
    assert steps == [Step("a/b.rego", 3, "data.p.deny", "seen")]
    assert program.trace('{"words": []}', "p/allow") == (True, [Step("a/b.rego", 13, "data.p.allow", True)])
    assert program.trace('{"size": 5}', "p/label") == ("large", [Step("a/b.rego", 17, "data.p.label", "large")])


def test_coverage_adds_up() -> None:
    program = compile_policies(PolicySet.from_files({"b.rego": TRACED.encode()}), ("p/allow", "p/label"))
    coverage = program.coverage()
    coverage.evaluate('{"words": ["x"]}', "p/allow")
    rows = coverage.rows()["b.rego"]
    assert [row for row, reached in rows.items() if not reached] == [6, 11, 15, 16, 17]
    coverage.evaluate('{"words": ["bad"]}', "p/allow")
    coverage.evaluate('{"size": 1}', "p/label")
    assert [row for row, reached in coverage.rows()["b.rego"].items() if not reached] == [17]
    assert list(rows) == [3, 4, 5, 6, 9, 11, 13, 15, 16, 17]


def test_threads_share_a_program() -> None:
    program = compile_policies(PolicySet.load())
    texts = [
        json.dumps({"v": 1, "resources": {f"k{i}": {}}, "subject": {"id": "x"}, "action": "discover"})
        for i in range(64)
    ]
    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(program.evaluate, texts))
    assert [list(answer) for answer in answers if isinstance(answer, dict)] == [[f"k{i}"] for i in range(64)]


def test_a_trace_shows_what_json_cannot_hold() -> None:
    text = 'package p\n\nm := {1: "x", true: [{2: 3}]}\n\nx if m[1] == "x"\n'
    program = compile_policies(PolicySet.from_files({"p.rego": text.encode()}), ("p/x",))
    answer, steps = program.trace("{}", "p/x")
    assert answer is True
    (shown,) = [step.value for step in steps if step.rule == "data.p.m"]
    assert sorted(shown, key=str) == [[1, "x"], [True, [[0, [[2, 3]]]]]]
