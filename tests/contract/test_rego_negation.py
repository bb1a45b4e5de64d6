"""What stands under `not` binds no variable: such bodies are refused when they are loaded, as OPA refuses them."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest
from opa import opa_binary

from fairmesh.catalog.errors import ConfigError
from fairmesh.catalog.policyfiles import PolicySet
from fairmesh.catalog.rego import compile_policies

BODIES = {
    "not input.xs[_] > 5": False,
    "not input.xs[i] > 2": False,
    "not input.xs[i] > 2; i > 1": False,
    'not startswith(input.b[_], "q")': False,
    "not f(input.xs[_])": False,
    "not 3 in input.deep[_]": False,
    "not input.m[input.m[_]]": False,
    "not input.xs[_]": False,
    "not input.p == [_, 1]": False,
    "every y in input.xs { not y > input.k[_] }": False,
    "not input.a > 1": True,
    "not big": True,
    "some i in input.xs; not i > 2": True,
    "i := 3; not input.xs[i] > 2": True,
    "[a, b] = input.p; not a == b": True,
    "input.q[w] == 1; not input.r[w]": True,
    "not count([y | y := input.xs[_]]) > 2": True,
}
"""Bodies, one line each part, and whether they are safe."""


@pytest.mark.parametrize("body", BODIES)
def test_nothing_is_bound_under_not(body: str, tmp_path: Path) -> None:
    lines = body.replace("; ", "\n\t")
    text = f"package p\n\nf(v) if v > 1\n\nbig if input.xs[_] > 5\n\nx if {{\n\t{lines}\n}}\n"
    (tmp_path / "p.rego").write_text(text, "utf-8")
    opa = subprocess.run([opa_binary(), "check", str(tmp_path)], capture_output=True, text=True, check=False)
    assert (opa.returncode == 0) is BODIES[body], opa.stderr
    policies = PolicySet.from_files({"p.rego": text.encode()})
    if BODIES[body]:
        compile_policies(policies, ("p/x",))
    else:
        with pytest.raises(ConfigError, match="a value") as caught:
            compile_policies(policies, ("p/x",))
        assert caught.value.line in (8, 9)
