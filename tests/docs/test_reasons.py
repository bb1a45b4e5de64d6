"""Every reason code that a decision can carry is explained in the policies' guide."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator

from conftest import ROOT

POLICIES = ROOT / "policies"
CODE = r"[a-z]+(?:-[a-z]+)*"


def of_the_policy() -> set[str]:
    """Words with a hyphen in the rules: no role, action or level has one."""
    files = [path for path in (POLICIES / "fairmesh").rglob("*.rego") if not path.name.endswith("_test.rego")]
    text = "".join(re.sub(r"#.*", "", path.read_text("utf-8")) for path in files)
    return {word for word in re.findall(rf'"({CODE})"', text) if "-" in word}


def of_the_engine() -> Iterator[str]:
    """What the Python around the policy decides by itself: literals within a function that builds a decision."""
    for folder in ("catalog", "api"):
        for path in (ROOT / folder).rglob("*.py"):
            tree = ast.parse(path.read_text("utf-8"))
            functions = [node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef)]
            for call in (node for node in ast.walk(tree) if isinstance(node, ast.Call)):
                if ast.unparse(call.func).rpartition(".")[2] not in ("Decision", "_Verdict"):
                    continue
                for reasons in (argument for argument in call.args if isinstance(argument, ast.Tuple)):
                    yield from _codes(reasons, functions, call)


def _codes(reasons: ast.Tuple, functions: list[ast.FunctionDef], call: ast.Call) -> Iterator[str]:
    for item in reasons.elts:
        values: list[ast.expr] = [item]
        if isinstance(item, ast.Name):
            (home,) = [it for it in functions if any(node is call for node in ast.walk(it))]
            values = [it.value for it in ast.walk(home) if isinstance(it, ast.Assign) and _is(it.targets[0], item)]
        for value in values:
            branches = [value.body, value.orelse] if isinstance(value, ast.IfExp) else [value]
            for branch in branches:
                assert isinstance(branch, ast.Constant), f"a reason this test cannot read: {ast.unparse(branch)}"
                yield str(branch.value)


def _is(target: ast.expr, name: ast.Name) -> bool:
    return isinstance(target, ast.Name) and target.id == name.id


def test_every_reason_code_is_explained() -> None:
    codes = of_the_policy() | set(of_the_engine())
    assert {"clearance-covers", "malformed-input", "undecided", "no-product", "visible"} <= codes, (
        "the search finds them"
    )
    page = (POLICIES / "README.md").read_text("utf-8")
    rows = re.findall(r"^\| (`.*?`) \|", page.partition("## Reasons")[2], re.MULTILINE)
    explained = [code for row in rows for code in re.findall(rf"`({CODE})`", row)]
    assert len(explained) == len(set(explained))
    assert set(explained) == codes
