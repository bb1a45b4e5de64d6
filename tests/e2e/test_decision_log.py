"""The decision log of the whole service: all that was decided, nobody named, and nothing of it served."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from running import serving
from served import document, served

from fairmesh.catalog import Catalog, Settings
from fairmesh.catalog.decisionlog import RecordedDecisions
from fairmesh.catalog.model import Subject

ANN = Subject("ann@example.org", "user", roles=("analyst",), clearance="internal")


def test_what_the_service_decides_is_recorded_and_none_of_it_served(tmp_path: Path) -> None:
    with served(tmp_path) as mesh:
        revision = mesh.catalog.policy_digest
        answers = [
            json.dumps(mesh.ask('{ search(text: "table") { totalCount nodes { iri } } service { policyRevision } }')),
            mesh.put(document("finance.mine", "Mine"), "sales").text,
            mesh.client.get("/products/hr.salaries", headers=mesh.headers("analyst")).text,
        ]
        for name in ("decisions", "decisions/", "decisions/decisions-000001.jsonl", "data/decisions/key"):
            assert mesh.client.get(f"/{name}", headers=mesh.headers("steward")).status_code == 404
    folder = tmp_path / "decisions"
    reading = RecordedDecisions(folder)
    recorded = list(reading)
    assert (reading.lost, reading.unreadable) == (0, 0)
    assert {each.input["action"] for each in recorded} >= {"read_metadata", "discover", "register"}
    assert {each.revision for each in recorded} == {revision}
    denied = [each for each in recorded if each.input["action"] == "register" and each.result]
    assert ["not-your-domain"] in [each.result["k0"]["reasons"] for each in denied if each.result]
    assert all(len(each.subject.id) == 64 for each in recorded), "pseudonyms"
    events = [json.loads(line) for line in (folder / "decisions-000001.jsonl").read_bytes().splitlines()]
    secret = {event["decision_id"] for event in events} | {event["input"]["subject"]["id"] for event in events}
    assert not [word for word in secret for answer in answers if word in answer]


@pytest.mark.parametrize(("mode", "ids"), [("full", {ANN.id}), ("off", set())])
def test_the_setting_says_what_is_kept(tmp_path: Path, mode: str, ids: set[str]) -> None:
    settings = Settings.read({"data": tmp_path / "data", "workers": 1, "decision_log": mode}, environment={})
    catalog = Catalog.open(settings)
    try:
        catalog.access.govern(ANN, channel="http", now=catalog.clock())
    finally:
        catalog.close()
    folder = tmp_path / "data" / "decisions"
    assert {recorded.subject.id for recorded in RecordedDecisions(folder)} == ids
    assert folder.exists() is (mode != "off")
    assert not (folder / "key").exists()


def test_a_stopped_service_has_written_everything(tmp_path: Path) -> None:
    with serving(tmp_path / "data") as server:
        token = server.token("pat@example.org", "--role", "producer", "--domain", "sales", "--clearance", "internal")
        (tmp_path / "mine.ttl").write_text(document("sales.mine", "Mine"))
        assert server.run("register", tmp_path / "mine.ttl", token=token).code == 0
    reading = RecordedDecisions(tmp_path / "data" / "decisions")
    assert "register" in [recorded.input["action"] for recorded in reading]
    assert (reading.lost, reading.unreadable) == (0, 0)
    [file] = (tmp_path / "data" / "decisions").glob("decisions-*")
    assert "pat@example.org" not in file.read_text()
    assert "sales" in file.read_text()
