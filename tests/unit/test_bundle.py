"""The bundle for OPA servers: what is in it, that it is the same for the same mesh, and the key that signs it."""

from __future__ import annotations

import base64
import gzip
import io
import json
import os
import stat
import subprocess
import tarfile
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any

import orjson
import pytest
from conftest import ROOT
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, utils
from hypothesis import given, settings
from hypothesis import strategies as st
from meshes import NOW, Mesh, open_access
from opa import opa_binary, opa_says_of
from samples import BASE, product

from fairmesh.catalog import bundle
from fairmesh.catalog.access import Access, OpaEngine, PolicySet
from fairmesh.catalog.bundle import Bundle, Bundles
from fairmesh.catalog.errors import ConfigError, PolicyUnavailable, StorageUnavailable
from fairmesh.catalog.model import ANONYMOUS, Subject
from fairmesh.catalog.signing import SigningKey
from fairmesh.catalog.tables import Table

SHIPPED = PolicySet.load()
ANN = Subject("ann", "service", ("analyst",), clearance="internal")


@pytest.fixture(scope="module")
def access() -> Iterator[Access]:
    opened = open_access()
    yield opened
    opened.close()


@pytest.fixture(scope="module")
def keys(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a signing key."""
    folder = tmp_path_factory.mktemp("keys")
    SigningKey.open(folder / "bundle-key.pem")
    return folder


def table(key: str, namespace: str = "trino://lake", name: str = "", extra: str = "", **facts: Any) -> bytes:
    """A product with a table of that name in that namespace."""
    return product(key, **facts, extra=f"""
        <{key}/data> dcat:distribution <{key}/table> . <{key}> dprod:outputPort <{key}/sql> .
        <{key}/table> a dcat:Distribution ; dcat:accessService <{key}/sql> ; fm:physicalName "{name or f"lake.{key}"}" .
        <{key}/sql> a dcat:DataService ; dct:title "SQL"@en ; fm:namespace "{namespace}" .
        {extra}
    """)  # fmt: skip


def bundles(mesh: Mesh, keys: Path) -> Bundles:
    return Bundles(mesh.registry, mesh.storage.reading, keys)


def files(made: Bundle) -> dict[str, bytes]:
    with tarfile.open(fileobj=io.BytesIO(gzip.decompress(made.content))) as archive:
        return {member.name: archive.extractfile(member).read() for member in archive}  # type: ignore[union-attr]


def catalog_of(made: Bundle) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(files(made)["data.json"])["fairmesh"]["catalog"]
    return found


def columns(made: Bundle, name: str, namespace: str = "trino://lake") -> list[dict[str, list[str]]]:
    return [entry["columns"] for entry in catalog_of(made)["tables"][namespace][name]]


# -- what is in it ----------------------------------------------------------------------------------------------------


def test_products_and_tables(access: Access, keys: Path) -> None:
    mesh = Mesh(access)
    mesh.load([table("sales.orders", masked=("card",), extra="<sales.orders> fm:tag 'pii' ."), product("hr.pay")])
    found = catalog_of(bundles(mesh, keys).current(SHIPPED, [ANN]))
    assert found["products"]["sales.orders"] == {
        "iri": BASE + "sales.orders", "domain": "sales", "classification": "internal", "status": "build",
        "tags": ["pii"], "owner": BASE + "team/sales", "members": [],
    }  # fmt: skip
    entry: dict[str, Any] = {"product": "sales.orders", "dataset": BASE + "sales.orders/data"}
    entry["columns"] = {"id": [], "card": ["restricted"]}
    assert found["tables"] == {"trino://lake": {"lake.sales.orders": [entry]}}
    assert set(found["products"]) == {"sales.orders", "hr.pay"}
    assert found["classifications"] == ["public", "internal", "confidential", "restricted"]


def test_every_description_of_a_table_is_listed(access: Access, keys: Path) -> None:
    mesh = Mesh(access)
    mesh.load([table("sales.orders", name="lake.s.t"), table("finance.copy", name="lake.s.t", masked=("id2",))])
    found = catalog_of(bundles(mesh, keys).current(SHIPPED, []))
    entries = found["tables"]["trino://lake"]["lake.s.t"]
    assert [entry["product"] for entry in entries] == ["finance.copy", "sales.orders"]
    assert found["trino"]["schemas"] == {"lake": {"s": [["finance.copy", "sales.orders"]]}}


def test_physical_names_of_columns_and_what_is_nested(access: Access, keys: Path) -> None:
    column = "sales.orders/data/column/"
    nested = f"""
        <sales.orders/data/schema> csvw:column <{column}address> , <{column}street> , <{column}zip> .
        <{column}address> a csvw:Column ; csvw:name "address" ; fm:physicalName "ADDR" ; csvw:datatype xsd:string .
        <{column}street> a csvw:Column ; csvw:name "street" ; dct:isPartOf <{column}address> .
        <{column}street> fm:classification c:restricted .
        <{column}zip> a csvw:Column ; csvw:name "zip" ; dct:isPartOf <{column}street> ; fm:classification c:internal .
    """
    mesh = Mesh(access)
    mesh.load([table("sales.orders", extra=nested)])
    found = columns(bundles(mesh, keys).current(SHIPPED, []), "lake.sales.orders")
    assert found == [{"id": [], "ADDR": ["internal", "restricted"]}]


def test_trino_names_are_folded_and_others_left_out(access: Access, keys: Path) -> None:
    mesh = Mesh(access)
    mesh.load([
        table("sales.a", name="Lake.Sales.A"), table("sales.b", "trino://other", "LAKE.sales.a"),
        table("sales.c", name="lake.c"), table("sales.d", name="lake.x.y.z"), table("sales.e", name="lake..e"),
        table("sales.f", "snowflake://x", "lake.sales.f"), table("sales.h", name="lake.sales.h"),
        table("hr.g", name="lake.sales.g", classification="restricted"),
    ])  # fmt: skip
    found = catalog_of(bundles(mesh, keys).current(SHIPPED, []))["trino"]
    assert found["tables"] == {"lake": {"sales": {
        "a": [["trino://lake", "Lake.Sales.A"], ["trino://other", "LAKE.sales.a"]],
        "g": [["trino://lake", "lake.sales.g"]], "h": [["trino://lake", "lake.sales.h"]],
    }}}  # fmt: skip
    # one table stands for all that are decided alike: `sales.h` is as `sales.a` and `sales.b` are
    assert found["schemas"] == {"lake": {"sales": [["hr.g"], ["sales.a", "sales.b"]]}}


def test_what_is_retired_or_never_asked_about(access: Access, keys: Path) -> None:
    mesh = Mesh(access)
    mesh.load([table("sales.gone"), table("sales.odd", extra='<sales.odd> fm:tag "a\\u0007b" .')])
    mesh.retire(BASE + "sales.gone")
    found = catalog_of(bundles(mesh, keys).current(SHIPPED, []))
    assert found["products"] == {}, "policy is not asked about what it could not read"
    assert set(found["tables"]["trino://lake"]) == {"lake.sales.odd"}, "so who asks for the table is refused"


def test_subjects_with_several_tokens_and_ones_no_policy_may_see(access: Access, keys: Path) -> None:
    other = Subject("ann", "service", ("producer",), domains=("sales",), clearance="public")
    many = Subject("many", "service", domains=tuple(f"d{i}" for i in range(300)))
    made = bundles(Mesh(access), keys).current(SHIPPED, [ANN, other, many])
    subjects = json.loads(files(made)["data.json"])["fairmesh"]["subjects"]
    assert [(s["roles"], s["domains"]) for s in subjects["ann"]] == [(["analyst"], []), (["producer"], ["sales"])]
    assert subjects["many"] == []


def test_the_policies_in_force_and_where_they_may_write(access: Access, keys: Path) -> None:
    extra = {"org/acme/hold.rego": b"package fairmesh.org.acme\n\ndeny := set()\n", "lib.rego": b"package acme.lib\n"}
    made = files(bundles(Mesh(access), keys).current(PolicySet.from_files({**SHIPPED.files, **extra}), []))
    assert json.loads(made[".manifest"])["roots"] == ["acme", "fairmesh", "trino"]
    assert {name: made[f"policies/{name}"] for name in SHIPPED.files} == SHIPPED.files
    assert made["enforcement/trino.rego"] == (ROOT / "policies" / "enforcement" / "trino.rego").read_bytes()
    assert not any(name.endswith("_test.rego") for name in made)


def test_who_may_have_it_is_decided_in_process(keys: Path) -> None:
    away = OpaEngine("http://127.0.0.1:1", SHIPPED)
    access = Access(away, SHIPPED)
    steward = Subject("stu", "service", ("steward",), clearance="internal")
    assert access.bundle(steward, now=NOW).allowed
    assert [access.bundle(who, now=NOW).reasons for who in (ANN, ANONYMOUS)] == [("not-cleared",)] * 2
    with pytest.raises(PolicyUnavailable):
        access.govern(steward, channel="http", now=NOW)
    access.close()


# -- the same for the same mesh ---------------------------------------------------------------------------------------


def test_the_same_mesh_gives_the_same_bytes(access: Access, keys: Path) -> None:
    documents = [table("sales.a"), table("hr.b", masked=("x",)), table("ops.c", "trino://two")]
    one, two = Mesh(access), Mesh(access)
    one.load(documents)
    two.load(documents[::-1])
    first = bundles(one, keys).current(SHIPPED, [ANN])
    assert bundles(two, keys).current(SHIPPED, [ANN]) == first
    assert bundles(two, keys).current(SHIPPED, []).revision != first.revision


def test_it_is_made_anew_only_when_something_changed(access: Access, keys: Path) -> None:
    mesh = Mesh(access)
    mesh.load([table("sales.a")])
    made = bundles(mesh, keys)
    first = made.current(SHIPPED, [ANN])
    with mesh.storage.reading.shared(), ThreadPoolExecutor(1) as pool:  # nothing to list: no writer keeps it waiting
        assert pool.submit(made.current, SHIPPED, [ANN]).result() is first
    assert made.current(SHIPPED, []) is not first
    mesh.load([table("sales.b")])
    assert made.current(SHIPPED, [ANN]).revision != first.revision
    mesh.retire(BASE + "sales.b")
    assert made.current(SHIPPED, [ANN]) == first


KEYS = ("sales.a", "sales.b", "hr.c")
STEPS = st.one_of(
    st.tuples(
        st.just("load"), st.sampled_from(KEYS), st.sampled_from(["public", "restricted"]), st.sampled_from(["", "x"])
    ),
    st.tuples(st.just("retire"), st.sampled_from(KEYS)),
    st.tuples(st.just("ask")),
)  # fmt: skip


@settings(max_examples=40, deadline=None)
@given(steps=st.lists(STEPS, max_size=12))
def test_keeping_up_equals_starting_over(access: Access, keys: Path, steps: list[tuple[str, ...]]) -> None:
    mesh = Mesh(access)
    kept = bundles(mesh, keys)
    for kind, *what in steps:
        if kind == "load":
            name = "lake.s.t" if what[2] else ""
            mesh.load([table(what[0], classification=what[1], name=name)])
        elif kind == "retire" and (known := mesh.registry.by_key.get(what[0])) and not known.retired:
            mesh.retire(known.iri)
        else:
            kept.current(SHIPPED, [ANN])
    assert kept.current(SHIPPED, [ANN]) == bundles(mesh, keys).current(SHIPPED, [ANN])


# -- what OPA makes of it ---------------------------------------------------------------------------------------------


def test_opa_agrees_on_the_digest_of_any_text(access: Access, keys: Path, tmp_path: Path) -> None:
    odd = "".join(map(chr, range(32))) + "\x7f\x80\u2028\u2029\ufeff\ufffd\uffff\U0001f600<>&'\"\\/é e\u0301 漢"
    entry = orjson.dumps({odd: odd, "\ue000": 1, "\U00010000": 2}, option=orjson.OPT_SORT_KEYS)
    key = SigningKey.open(keys / "bundle-key.pem")
    mesh = Mesh(access)
    mesh.load([product("sales.orders")])
    described = replace(mesh.registry.by_key["sales.orders"], tables=(Table(odd, odd, entry),))
    made = bundle.build(SHIPPED.files, [(described, mesh.registry.keys[0])], [], key)
    assert opa_says_of(tmp_path, made.content, key.public_pem) == ""


def test_the_rules_for_trino_pass_their_tests() -> None:
    folders = [str(ROOT / "policies" / name) for name in ("fairmesh", "enforcement")]
    for command in (["check", "--strict"], ["test"]):
        done = subprocess.run([opa_binary(), *command, *folders], capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stdout + done.stderr


# -- the key ----------------------------------------------------------------------------------------------------------


def test_a_key_is_made_once_and_for_its_owner_alone(tmp_path: Path) -> None:
    path = tmp_path / "key.pem"
    with ThreadPoolExecutor(8) as pool:
        made = list(pool.map(lambda _: SigningKey.open(path).public_pem, range(16)))
    assert len(set(made)) == 1
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert [entry.name for entry in tmp_path.iterdir()] == ["key.pem"]
    assert b"PRIVATE" not in made[0]


def test_signatures_verify_and_repeat(tmp_path: Path) -> None:
    key = SigningKey.open(tmp_path / "key.pem")
    signed = key.sign({"files": [1]}, key_id="k")
    assert signed == key.sign({"files": [1]}, key_id="k")
    parts = [base64.urlsafe_b64decode(part + "==") for part in signed.split(".")]
    assert json.loads(parts[0]) == {"alg": "ES256", "kid": "k", "typ": "JWT"}
    assert json.loads(parts[1]) == {"files": [1]}
    public = serialization.load_pem_public_key(key.public_pem)
    assert isinstance(public, ec.EllipticCurvePublicKey)
    der = utils.encode_dss_signature(int.from_bytes(parts[2][:32]), int.from_bytes(parts[2][32:]))
    public.verify(der, signed.rpartition(".")[0].encode(), ec.ECDSA(hashes.SHA256()))


def test_keys_that_cannot_be_used(tmp_path: Path) -> None:
    path = tmp_path / "key.pem"
    SigningKey.open(path)
    path.chmod(0o640)
    with pytest.raises(ConfigError, match="read by others"):
        SigningKey.open(path)
    other = ec.generate_private_key(ec.SECP384R1()).private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    for text in (b"", b"key", other):
        path.write_bytes(text)
        path.chmod(0o600)
        with pytest.raises(ConfigError, match="no private key"):
            SigningKey.open(path)
    path.unlink()
    os.mkdir(path)
    with pytest.raises(StorageUnavailable):
        SigningKey.open(path)
    with pytest.raises(StorageUnavailable):
        SigningKey.open(tmp_path / "no" / "such" / "folder.pem")
