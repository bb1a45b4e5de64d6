"""Policies a mesh may be under: the ones that ship, and what an organisation or a domain takes away from them.

None hides a part of a product from who may update it: an update says whether the document is what is stored, to the
letter, and who has that right is to know.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from fairmesh.catalog.access import PolicySet
from fairmesh.catalog.model import FM

TAG, MEMBER = FM + "tag", "http://purl.org/dc/terms/contributor"
EMBARGO = "embargo"

_EMBARGO = f"""package fairmesh.org.embargo

deny contains {{"id": id, "reason": "embargo"}} if {{
	some id, r in input.resources
	"{EMBARGO}" in r.tags
	not r.domain in input.subject.domains
}}
"""

_DRAFTS = """package fairmesh.domains.people

deny contains {"id": id, "reason": "draft"} if {
	some id, r in input.resources
	r.status == "build"
	not r.is_owner
	not r.is_member
	not "people" in input.subject.domains
}
"""

_FIELDS = """package fairmesh.org.fields

unsaid := {"dct:description", "dcat:keyword", "dcat:theme", "dct:subject", "dprod:purpose", "fm:tag"}

hide contains {"id": id, "field": field} if {
	input.subject.clearance in {"public", "internal"}
	input.action == "read_metadata"
	some id, r in input.resources
	not r.domain in input.subject.domains
	some field in unsaid
}

hide contains {"id": id, "field": "dcat:contactPoint"} if {
	input.action == "discover"
	some id, _ in input.resources
}
"""

_LINKS = """package fairmesh.org.links

unsaid := {"dcat:contactPoint", "dct:contributor", "dct:relation", "dprod:inputDataset", "prov:wasDerivedFrom"}

hide contains {"id": id, "field": field} if {
	some id, r in input.resources
	not r.domain in input.subject.domains
	some field in unsaid
}

mask contains {"id": id, "classification": "internal"} if {
	some id, r in input.resources
	not r.domain in input.subject.domains
	r.status == "consume"
}
"""

_ROWS = """package fairmesh.domains.sales

rows contains {"id": id, "filter": "region = 'EU'"} if {
	some id, r in input.resources
	r.status == "consume"
}

mask contains {"id": id, "classification": "public"} if {
	some id, r in input.resources
	not r.domain in input.subject.domains
	r.classification == "public"
}

# looks at what else is asked about, which may be hidden: a rule is shown one resource at a time
hide contains {"id": id, "field": "dct:language"} if {
	some id, r in input.resources
	not r.domain in input.subject.domains
	some other in input.resources
	other.classification == "restricted"
}
"""

_HOURS = f"""package fairmesh.org.hours

deny contains {{"id": id, "reason": "not-yet"}} if {{
	some id, r in input.resources
	"{EMBARGO}" in r.tags
	input.context.now_ns < 1780272000000000000
	input.subject.purpose == ""
}}
"""
"""Until the first of June 2026."""


@dataclass(frozen=True)
class Policy:
    """One file beside the policies that ship. `reads`: statements it decides by, of the predicates it can also hide."""

    file: str
    text: str
    reads: frozenset[str] = frozenset()

    def write(self, folder: Path) -> PolicySet:
        """Put all of it into a folder, for an OPA server; and read it."""
        shipped = PolicySet.load().files
        for path, body in {**shipped, self.file: self.text.encode()}.items():
            if body:
                (folder / path).parent.mkdir(parents=True, exist_ok=True)
                (folder / path).write_bytes(body)
        return PolicySet.load(folder)


POOL: Mapping[str, Policy] = {
    "default": Policy("none.rego", ""),
    "embargo": Policy("org/embargo/rules.rego", _EMBARGO, frozenset({TAG})),
    "drafts": Policy("domains/people/rules.rego", _DRAFTS, frozenset({MEMBER})),
    "fields": Policy("org/fields/rules.rego", _FIELDS),
    "links": Policy("org/links/rules.rego", _LINKS),
    "rows": Policy("domains/sales/rules.rego", _ROWS),
    "hours": Policy("org/hours/rules.rego", _HOURS, frozenset({TAG})),
}
