"""The read side on the terminal: a product's page, search, lineage. All of it is asked over GraphQL."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from fairmesh.api.client import Client, Refused
from fairmesh.api.wording import counts_text, finding_word, group_text, letters_text
from fairmesh.catalog.errors import NotFound

_SHOW = """
query Show($key: String, $iri: IRI) {
  dataProduct(key: $key, iri: $iri) {
    key iri label description version status license createdAt updatedAt
    domain { iri label } owner { iri label email } classification { label } terms { iri label }
    ports { key label direction endpoint mediaType physicalName }
    inputs: datasets(direction: INPUT) { iri }
    datasets { iri label description classification { label }
      columns(first: 200) { totalCount nodes { name datatype nullable description classification { label } } } }
    conformance {
      conforms counts { violation warning info }
      groups { rule severity path count fix waivedUntil shape { page } } failed { rule reason }
    }
    waivers { ruleId reason expiresAt }
    fair {
      score findable accessible interoperable reusable indicators { code title priority passed basis evidence fix }
    }
  }
}
"""
_SEARCH = """
query Search($text: String, $first: Int!) {
  search(text: $text, first: $first) {
    totalCount suggestions
    edges { score highlights { predicate { curie } fragment }
      node { iri label ... on DataProduct { key description domain { label } owner { label } status } } }
  }
}
"""
_FIND = """
query Find($iri: IRI!) { resource(iri: $iri) { id iri label } }
"""
_FIND_KEY = """
query FindKey($key: String!) { dataProduct(key: $key) { id iri label } }
"""
_LINEAGE = """
query Lineage($id: ID!, $input: LineageInput!) {
  lineage(id: $id, input: $input) {
    truncated summary { upstreamCount downstreamCount }
    nodes { distance moreUpstream moreDownstream
      resource { id iri label ... on DataProduct { key } ... on Dataset { dataProduct { key } } } }
    edges { from to predicate { iri } }
  }
}
"""
MAX_NODES = 1_000


def is_iri(text: str) -> bool:
    """Keys hold no colon, absolute IRIs do."""
    return ":" in text


def nothing(client: Client, name: str) -> NotFound:
    """What to raise for a product that is not there. Raises `Refused` itself for the key of one that is retired, which
    says when and why."""
    if not is_iri(name):
        try:
            client.document(name, "text/turtle")
        except Refused as error:
            if error.status == 410 or error.status >= 500:
                raise
    return NotFound(f"there is no {name} here for you", remedy="Check the name, and the token in FAIRMESH_TOKEN")


# -- a product --------------------------------------------------------------------------------------------------------


def product(client: Client, name: str) -> Mapping[str, Any]:
    """What there is to see of a product, by key or IRI, as GraphQL gives it.

    Raises `NotFound`, or `Refused` (410) for the key of one that is retired.
    """
    found = client.graphql(_SHOW, {"iri" if is_iri(name) else "key": name})["dataProduct"]
    if found is None:
        raise nothing(client, name)
    return dict(found)


def turtle(client: Client, name: str) -> str:
    """The product's visible statements. Raises as `product`."""
    return client.document(str(product(client, name)["key"]), "text/turtle").decode()


def product_lines(found: Mapping[str, Any]) -> Iterator[str]:
    yield f"{found['label']}  {found['key']}"
    if found["description"]:
        yield found["description"]
    owner = found["owner"]
    facts = {
        "iri": found["iri"],
        "version": found["version"],
        "status": found["status"].lower(),
        "domain": _label(found["domain"]),
        "owner": owner and owner["label"] + (f" <{owner['email']}>" if owner["email"] else ""),
        "classification": _label(found["classification"]),
        "terms": ", ".join(term["label"] for term in found["terms"]),
        "license": found["license"],
        "updated": found["updatedAt"],
    }
    yield from (f"  {name:<15} {value}" for name, value in facts.items() if value)
    yield from _conformance(found["conformance"])
    yield from _fair(found["fair"])
    for waiver in found["waivers"]:
        yield f"  waived          {waiver['ruleId']} until {waiver['expiresAt']}: {waiver['reason']}"
    for port in found["ports"]:
        parts = (port["label"], port["endpoint"], port["physicalName"], port["mediaType"])
        yield f"  {port['direction'].lower() + ' port':<15} " + "  ".join(part for part in parts if part)
    read = {dataset["iri"] for dataset in found["inputs"]}
    for dataset in found["datasets"]:
        if dataset["iri"] in read:
            yield f"  reads           {dataset['label']}  <{dataset['iri']}>"
            continue
        yield f"  dataset         {dataset['label']}  <{dataset['iri']}>"
        for column in dataset["columns"]["nodes"]:
            yield "    " + _column(column)
        left_out = dataset["columns"]["totalCount"] - len(dataset["columns"]["nodes"])
        if left_out:
            yield f"    and {left_out} more columns"


def _label(node: Mapping[str, Any] | None) -> str | None:
    return node["label"] if node else None


def _conformance(report: Mapping[str, Any]) -> Iterator[str]:
    """How it stands, then each rule that found something, with its remedy. Nothing where nothing was judged: the caller
    may not read the product."""
    counts, groups = report["counts"], report["groups"]
    if not (report["conforms"] or counts["violation"]):
        return
    waived = sum(group["count"] for group in groups if group["waivedUntil"])
    said = counts_text(counts["violation"] - waived, counts["warning"], counts["info"], waived)
    yield f"  conformance     {said}"
    for group in groups:
        text = group_text(group["fix"], group["path"], group["count"], group["waivedUntil"])
        yield f"    {finding_word(group['severity'], group['waivedUntil'])} [{group['rule']}] {text}"
    for each in report["failed"]:
        yield f"    could not be evaluated [{each['rule']}] {each['reason']} (it refuses nothing)"


def _fair(fair: Mapping[str, Any]) -> Iterator[str]:
    """Nothing where nothing was assessed."""
    if any(indicator["passed"] is not None for indicator in fair["indicators"]):
        letters = letters_text(*(fair[name] for name in ("findable", "accessible", "interoperable", "reusable")))
        yield f"  FAIR            {fair['score']:.2f} ({letters}); every indicator: --format json"


def _column(column: Mapping[str, Any]) -> str:
    kind = (column["datatype"] or "").rpartition("#")[2]
    parts = [f"{column['name']:<24} {kind:<10}"]
    if column["classification"]:
        parts.append(f"[{column['classification']['label']}]")
    if column["description"]:
        parts.append(column["description"])
    return "  ".join(parts).rstrip()


# -- search -----------------------------------------------------------------------------------------------------------


def search(client: Client, text: str | None, first: int) -> Mapping[str, Any]:
    """The first hits of a search, as GraphQL gives them; of all products when there is no text."""
    return dict(client.graphql(_SEARCH, {"text": text, "first": first})["search"])


def search_lines(found: Mapping[str, Any]) -> Iterator[str]:
    edges = found["edges"]
    for edge in edges:
        node = edge["node"]
        where = " | ".join(part for part in (_label(node.get("domain")), _label(node.get("owner"))) if part)
        yield f"{node.get('key') or node['iri']}  {node['label']}" + (f"  ({where})" if where else "")
        for highlight in edge["highlights"][:2]:
            yield f"    {highlight['predicate']['curie']}: {highlight['fragment']}"
    yield f"{found['totalCount']} found" + (f", {len(edges)} shown" if len(edges) < found["totalCount"] else "")
    if found["suggestions"]:
        yield "did you mean: " + ", ".join(found["suggestions"])


# -- lineage ----------------------------------------------------------------------------------------------------------


def lineage(client: Client, name: str, directions: Sequence[str], depth: int) -> dict[str, Any]:
    """`{start, UPSTREAM?, DOWNSTREAM?}`: the lineage of a product (by key) or of any node (by IRI), each way asked."""
    if is_iri(name):
        start = client.graphql(_FIND, {"iri": name})["resource"]
    else:
        start = client.graphql(_FIND_KEY, {"key": name})["dataProduct"]
    if start is None:
        raise nothing(client, name)
    found: dict[str, Any] = {"start": start}
    for direction in directions:
        asked = {"direction": direction, "depth": depth, "maxNodes": MAX_NODES}
        found[direction] = client.graphql(_LINEAGE, {"id": start["id"], "input": asked})["lineage"]
    return found


def lineage_lines(found: Mapping[str, Any]) -> Iterator[str]:
    start = found["start"]
    yield f"{start['label']}  <{start['iri']}>"
    for direction in ("UPSTREAM", "DOWNSTREAM"):
        if direction in found:
            yield from _one_way(direction, found[direction])


def _one_way(direction: str, found: Mapping[str, Any]) -> Iterator[str]:
    nodes = [node for node in found["nodes"] if node["distance"] > 0]
    yield f"{direction.lower()}: {len(nodes)} nodes, {len(found['edges'])} edges"
    for node in sorted(nodes, key=lambda node: (node["distance"], node["resource"]["iri"])):
        resource = node["resource"]
        key = resource.get("key") or (resource.get("dataProduct") or {}).get("key")
        yield f"  {node['distance']:>3}  {resource['label']}  <{resource['iri']}>" + (f"  in {key}" if key else "")
    if found["truncated"]:
        left = sum(node["moreUpstream" if direction == "UPSTREAM" else "moreDownstream"] for node in found["nodes"])
        yield f"  cut: {left} more next to these (raise --depth, at most {MAX_NODES} nodes)"
