"""Golden tables and the tests that policies bring along: what they say, and what they must not hold."""

from __future__ import annotations

from collections.abc import Mapping

import pytest

from fairmesh.catalog import policytests
from fairmesh.catalog.access import Access, EmbeddedEngine, PolicySet
from fairmesh.catalog.errors import InputError, ParseError, TooLarge
from fairmesh.catalog.model import Obligations
from fairmesh.catalog.policing import read_folder
from fairmesh.catalog.policyfiles import POLICIES
from fairmesh.catalog.policytables import read_table
from fairmesh.catalog.policytests import TestRun, count_tests, run_tests

USUAL = """usual:
  subject: {kind: user, roles: [analyst], teams: [], domains: [], clearance: internal}
  product: {domain: sales, classification: internal, status: consume, tags: [], owner: "", members: []}
"""
HEAD = (
    USUAL
    + """subjects:
  ann: {}
  stu: {roles: [steward]}
products:
  orders: {}
  files: {type: policy, domain: ""}
decisions:
"""
)
ROWS = (
    "  - {who: ann, does: discover, what: orders, answer: allow, because: [clearance-covers],"
    " masks: [confidential, restricted]}\n",
    "  - {who: stu, does: govern, what: files, answer: allow, because: [role-steward]}\n",
    "  - {who: ann, does: govern, what: files, answer: deny, because: [role-may-not]}\n",
)
FIRST = HEAD.count("\n") + 1


@pytest.fixture(scope="module")
def access() -> Access:
    policies = PolicySet.load()
    return Access(EmbeddedEngine(policies), policies)


def run(access: Access, files: Mapping[str, str], seconds: float = 60.0) -> TestRun:
    return run_tests(access, {path: text.encode() for path, text in files.items()}, seconds=seconds)


# -- tables -----------------------------------------------------------------------------------------------------------


def test_a_table_is_read_row_by_row() -> None:
    rows = read_table((HEAD + "".join(ROWS)).encode(), "t.yaml")
    assert [(row.line, row.name) for row in rows] == [
        (FIRST, "ann discover orders"), (FIRST + 1, "stu govern files"), (FIRST + 2, "ann govern files"),
    ]  # fmt: skip
    assert rows[0].obligations == Obligations(("confidential", "restricted"))
    assert [row.kind for row in rows] == ["product", "policy", "policy"]


BAD_TABLES = {
    "not YAML": ("a: [", ParseError, 1, "not a table in YAML"),
    "a list": ("- a\n", InputError, None, "not a table"),
    "nothing": ("", InputError, None, "not a table"),
    "an unknown part": (USUAL + "people: {}\n", InputError, 1, "unknown word 'people'"),
    "no subjects": (USUAL + "decisions: []\n", InputError, 1, "no mapping 'subjects'"),
    "an unknown word": (HEAD + ROWS[0].replace("masks:", "mask:"), InputError, FIRST, "unknown word 'mask'"),
    "a word missing": (HEAD + "  - {who: ann, does: discover}\n", InputError, FIRST, "nothing of 'what'"),
    "an unknown subject": (HEAD + ROWS[0].replace("ann", "bob"), InputError, FIRST, "subject 'bob' is not described"),
    "an unknown product": (HEAD + ROWS[0].replace("orders", "x"), InputError, FIRST, "product 'x' is not described"),
    "an unknown answer": (HEAD + ROWS[1].replace("allow", "maybe"), InputError, FIRST, "the answer 'maybe'"),
    "reasons that are no list": (HEAD + ROWS[1].replace("[role-steward]", "x"), InputError, FIRST, "not a list"),
    "an unknown type": (HEAD.replace("type: policy", "type: rules") + ROWS[1], InputError, FIRST, "of type 'rules'"),
    "an unknown fact": (HEAD.replace("ann: {}", "ann: {age: 3}") + ROWS[0], InputError, 5, "unknown word 'age'"),
    "a key given twice": (HEAD + "  - {who: ann, who: stu}\n", ParseError, FIRST, "given twice"),
    "an alias": (HEAD.replace("ann: {}", "ann: &a {}").replace("stu: {roles: [steward]}", "stu: *a"), ParseError, 6,
                 "alias"),
    "deep nesting": ("a: " + "[" * 5000, ParseError, None, "YAML"),
    "another language's object": ("!!python/object/apply:os.system [ls]", ParseError, 1, "not a table in YAML"),
}  # fmt: skip


@pytest.mark.parametrize("name", BAD_TABLES)
def test_what_a_table_must_not_hold(name: str) -> None:
    text, kind, line, words = BAD_TABLES[name]
    with pytest.raises(kind, match=words) as refused:
        read_table(text.encode(), "t.yaml")
    assert refused.value.message.startswith("t.yaml")
    assert refused.value.remedy
    if line is not None:
        assert refused.value.line == line


def test_text_that_is_not_utf8_is_no_table() -> None:
    with pytest.raises(ParseError, match="not UTF-8"):
        read_table(b"\xff", "t.yaml")


# -- running them -----------------------------------------------------------------------------------------------------


def test_the_tests_that_ship_pass(access: Access) -> None:
    files = {path: body.decode() for path, body in read_folder(POLICIES).items()}
    found = run(access, files)
    assert found.failures == ()
    assert found.passed > 130


def test_a_row_that_does_not_hold_is_named(access: Access) -> None:
    wrong = ROWS[0].replace(", masks: [confidential, restricted]", ", masks: [restricted]")
    found = run(access, {"decisions/t.yaml": HEAD + ROWS[1] + wrong})
    (failure,) = found.failures
    assert (found.passed, failure.file, failure.line) == (1, "decisions/t.yaml", FIRST + 1)
    assert failure.message == (
        "ann discover orders: allow because [clearance-covers] masks [confidential, restricted]"
        " instead of allow because [clearance-covers] masks [restricted]"
    )


REGO = """package fairmesh.own_test

import data.fairmesh.access

test_ranks if access.rank.public == 0

test_wrong if access.rank.public == 1

test_number := 1

cases := {
	"a steward governs": {"input": asked, "answer": yes},
	"nobody does": {"input": asked, "answer": {}},
	"no case": {"question": 1},
}

asked := {
	"v": 1, "action": "govern", "context": {"now_ns": 0, "channel": "http"},
	"resources": {"r": {
		"type": "ruleset", "domain": "", "classification": "restricted", "tags": [], "status": "",
		"is_owner": false, "is_member": false,
	}},
	"subject": {
		"id": "s", "kind": "user", "roles": ["steward"], "teams": [], "domains": [], "clearance": "public",
		"purpose": "",
	},
}

yes := {
	"allow": true, "reasons": ["role-steward"],
	"obligations": {"mask_columns": [], "hide_fields": [], "row_filter": null},
}
"""


def test_rules_and_cases_of_rego_files(access: Access) -> None:
    found = run(access, {"own_test.rego": REGO})
    assert found.passed == 2
    told = {(f.line, f.message.partition(":")[0]) for f in found.failures}
    assert told == {(7, "test_wrong"), (9, "test_number"), (11, "nobody does"), (11, "no case")}


SAID = """package fairmesh.org.acme_test

import data.fairmesh.access
import data.fairmesh.org.acme

words := {"public": 0, "internal": 1, "secret": 4, "dark": 5}

test_rank[word] if {
	some word, rank in words
	access.rank[word] == rank
}

test_computed[upper(word)] if {
	rank := words[word]
	rank < 4
}

test_pairs[word][rank] if {
	some word, rank in words
	access.rank[word] < 2
}

test_tables[case.name] if {
	some case in [{"name": "one", "left": 1}, {"name": "two", "left": 2}]
	case.left == 1
}

test_given[word] := rank > 0 if some word, rank in words

test_nothing[word] if {
	some word, rank in words
	rank > 9
	word == "none"
}

test_no_case[word] if some word in []

  test_indented if { access.rank.public == 9 }

test_without_input if not input

test_deny if {
	count(acme.deny) == 1 with input as {"resources": {"r": {}}}
	count(acme.deny) == 7 with acme.deny as numbers.range(1, 7)
}

test_twice if 1 == 1

test_twice if 1 == 2

default test_default := false

test_default if 1 == 1

test_function(x) if x

test_set contains 1

test_parts.one if 1 == 1
"""
DENY = 'package fairmesh.org.acme\n\ndeny contains {"id": id, "reason": "x"} if some id, _ in input.resources\n'


def test_rules_that_say_with_or_have_cases(access: Access) -> None:
    policies = PolicySet.from_files({**access.policies.files, "org/acme/rules.rego": DENY.encode()})
    said = SAID.replace("numbers.range(1, 7)", "{1, 2, 3, 4, 5, 6, 7}")
    found = run(Access(EmbeddedEngine(policies), policies), {"org/acme/rules_test.rego": said})
    assert [f"{failure.line} {failure.message}" for failure in found.failures] == [
        "8 test_rank: it is not true for dark, secret",
        "13 test_computed: it is not true for DARK, SECRET",
        "18 test_pairs: it is not true for dark/5, secret/4",
        "23 test_tables: it is not true for two",
        "28 test_given: it is not true for public",
        "30 test_nothing: it is not true for dark, internal, public, secret",
        "36 test_no_case: it has no case",
        "38 test_indented: it is not true",
        "49 test_twice: another test has this name: give it one of its own",
        "55 test_function: it cannot be evaluated: no rule fairmesh.org.acme_test.test_function",
        "57 test_set: it is not true",
        "59 test_parts: it cannot be evaluated: no rule fairmesh.org.acme_test.test_parts",
    ]
    assert found.passed == 4  # test_without_input, test_deny, the first test_twice, test_default


def test_of_many_cases_that_fail_some_are_named(access: Access) -> None:
    text = "package fairmesh.x_test\n\ntest_many[n] if {\n\tsome n in [1, 2, 3, 4, 5, 6, 7, 8]\n\tn > 7\n}\n"
    (failure,) = run(access, {"x_test.rego": text}).failures
    assert failure.message == "test_many: it is not true for 1, 2, 3, 4, 5 and 2 more"


@pytest.mark.parametrize("replaced", ["access.covers", "data.fairmesh.access.covers", "count", "time.now_ns", "nobody"])
def test_replacing_a_function_is_refused_by_name(access: Access, replaced: str) -> None:
    text = f"package fairmesh.x_test\n\nimport data.fairmesh.access\n\ntest_a if access.rank with {replaced} as 1\n"
    more = b"package fairmesh.access\n\ncovers(x) := x\n"
    policies = PolicySet.from_files({**access.policies.files, "fairmesh/access/more.rego": more})
    with pytest.raises(InputError, match=rf"x_test\.rego: `with` replaces {replaced}, a function") as refused:
        run(Access(EmbeddedEngine(policies), policies), {"x_test.rego": text})
    assert refused.value.line == 5
    assert refused.value.remedy.startswith("Functions cannot be replaced here")


def test_tests_are_counted_by_name() -> None:
    assert count_tests(SAID.encode()) == 15
    assert count_tests(b"package p\n\ntest_a if\n") == 0


def test_a_test_file_that_does_not_compile_is_refused(access: Access) -> None:
    for text in ("package fairmesh.x_test\n\ntest_a if nothing(1)\n", "test_a if 1 == 1\n"):
        with pytest.raises(InputError, match=r"x_test\.rego"):
            run(access, {"x_test.rego": text})


def test_tests_have_their_time_and_no_more(access: Access) -> None:
    found = run(access, {"decisions/t.yaml": HEAD + "".join(ROWS)}, seconds=0)
    (failure,) = found.failures
    assert (found.passed, failure.line) == (0, FIRST)
    assert "not reached in time" in failure.message


def test_a_policy_that_cannot_be_evaluated_ends_its_tests_at_once() -> None:
    conflict = b"package fairmesh.org.acme\n\nx := 1 if input.v\n\nx := 2 if input.action\n\ndeny contains x\n"
    policies = PolicySet.from_files({**PolicySet.load().files, "org/acme/x.rego": conflict})
    found = run(Access(EmbeddedEngine(policies), policies), {"decisions/t.yaml": HEAD + "".join(ROWS)})
    (failure,) = found.failures
    assert (failure.line, "cannot be evaluated" in failure.message) == (FIRST, True)


def test_there_are_not_too_many_rows(access: Access, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(policytests, "MAX_ROWS", 5)
    table = HEAD + "".join(ROWS)
    assert run(access, {"decisions/a.yaml": table}).passed == 3
    with pytest.raises(TooLarge, match="rows"):
        run(access, {"decisions/a.yaml": table, "decisions/b.yaml": table})
