"""OPA's own language cases as judges of the embedded engine: what it computes is what OPA computes.

The cases lie in the module cache of Go once OPA was installed from source. A case that the engine refuses, when it is
loaded or by an error, is no answer; an answer that is not OPA's fails.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
from collections import Counter
from collections.abc import Iterator, Mapping
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import yaml

from fairmesh.catalog.errors import ConfigError
from fairmesh.catalog.policyfiles import PolicySet
from fairmesh.catalog.rego import UNDEFINED, RegoError, compile_policies
from fairmesh.catalog.rego.program import _Budget
from fairmesh.catalog.rego.values import number, plain, value

MODULE = "github.com/open-policy-agent/opa@v1.22.0/v1/test/cases/testdata/v1"


class _Loader(getattr(yaml, "CSafeLoader", yaml.SafeLoader)):  # type: ignore[misc]
    """Reads `on` as a text, as YAML 1.2 does."""


_Loader.yaml_implicit_resolvers = {
    first: [(tag, pattern) for tag, pattern in listed if tag != "tag:yaml.org,2002:bool"]
    for first, listed in _Loader.yaml_implicit_resolvers.items()
}
_Loader.add_implicit_resolver("tag:yaml.org,2002:bool", re.compile("^(?:true|false)$"), list("tf"))


@cache
def folder() -> Path:
    """Where the cases are; without them the test is skipped, in CI it fails."""
    go = shutil.which("go")
    root = subprocess.run([go, "env", "GOMODCACHE"], capture_output=True, text=True, check=True).stdout if go else ""
    found = Path(root.strip()) / MODULE
    if not root or not found.is_dir():
        reason = "OPA's cases are not here: run `go install github.com/open-policy-agent/opa@v1.22.0`"
        if os.environ.get("CI"):
            pytest.fail(reason)
        pytest.skip(reason)
    return found


def cases() -> Iterator[dict[str, Any]]:
    for path in sorted(folder().rglob("*.yaml")):
        yield from (yaml.load(path.read_bytes(), _Loader) or {}).get("cases") or ()


def asked(case: Mapping[str, Any]) -> tuple[dict[str, bytes], str | None]:
    """The modules of a case, and the rule it asks for; None when it asks something else, which a rule stands for then:
    its set of bindings."""
    modules = {f"m{i}_test.rego": text.encode() for i, text in enumerate(case.get("modules") or ())}
    simple = re.fullmatch(r"data\.([\w.]+)(?: = x)?", case["query"].strip())
    packages = {
        match[1] for text in case.get("modules") or () if (match := re.search(r"(?m)^\s*package\s+(\S+)", text))
    }
    if simple and simple[1] not in packages:
        return modules, simple[1].replace(".", "/")
    names = sorted((case.get("want_result") or [{}])[0])
    head = ", ".join(f'"{name}": {name}' for name in names)
    text = f"package asked\n\nresult contains {{{head}}} if {{\n\t{case['query']}\n}}\n"
    return {**modules, "asked_test.rego": text.encode()}, None


def normal(found: Any, *, unordered: bool) -> Any:
    if isinstance(found, list):
        items = [normal(item, unordered=unordered) for item in found]
        return sorted(items, key=lambda item: json.dumps(item, sort_keys=True)) if unordered else items
    if isinstance(found, dict):
        return {str(key): normal(item, unordered=unordered) for key, item in found.items()}
    return int(found) if isinstance(found, float) and found == int(found) else found


def answer(case: Mapping[str, Any]) -> tuple[bool, Any]:
    """Whether the case asks for one rule, and what the engine answers. Raises `ConfigError` or `RegoError`."""
    modules, entry = asked(case)
    path = entry or "asked/result"
    if "input_term" in case:  # a term of Rego, which is more than JSON has
        modules["input_test.rego"] = f"package asked_input\n\nterm := {case['input_term']}\n".encode()
    compiled = compile_policies(PolicySet.from_files(modules), (path,))._compiled
    budget = _Budget(compiled, 20.0)
    data = value(json.loads(json.dumps(case.get("data") or {}), parse_float=number))
    if "input_term" in case:
        given = compiled.ask(budget, ("asked_input", "term"), UNDEFINED, data)
    else:
        given = value(json.loads(json.dumps(case["input"]), parse_float=number)) if "input" in case else UNDEFINED
    found = compiled.ask(budget, tuple(path.split("/")), given, data)
    return entry is not None, found if found is UNDEFINED else plain(found)


def is_right(case: Mapping[str, Any], single: bool, found: Any) -> bool:
    if case.get("want_error") or case.get("want_error_code"):
        return False
    unordered = bool(case.get("sort_bindings"))
    wanted = case.get("want_result")
    if single and wanted:
        wanted = next(iter(wanted[0].values()))
        return found is not UNDEFINED and normal(found, unordered=unordered) == normal(wanted, unordered=unordered)
    if single or wanted is None:
        defined = found is not UNDEFINED if single else bool(found)
        return defined == bool(case.get("want_defined", False))
    both = [
        [json.dumps(item, sort_keys=True) for item in normal(listed, unordered=unordered)] for listed in (found, wanted)
    ]
    return sorted(both[0]) == sorted(both[1])


def test_what_is_answered_is_what_opa_answers() -> None:
    seen: Counter[str] = Counter()
    wrong = []
    for case in cases():
        fails = bool(case.get("want_error") or case.get("want_error_code"))
        try:
            single, found = answer(case)
        except ConfigError:
            seen["refused when loaded"] += 1
        except RegoError:
            seen["refused by an error" if not fails else "the error OPA has"] += 1
        else:
            seen["answered"] += 1
            if not is_right(case, single, found):
                wrong.append((case["note"], found, case.get("want_result")))
    print(dict(seen))
    assert wrong == []
    assert seen["answered"] >= 850
    assert seen["the error OPA has"] >= 80
    assert seen["refused by an error"] <= 35
    assert seen.total() >= 2_300
