"""Licences that are known everywhere, by their addresses."""

from __future__ import annotations

import re

from fairmesh.catalog import spdx

LICENCES = (
    r"^https?://(creativecommons\.org/(licenses/(by|by-sa|by-nc|by-nd|by-nc-sa|by-nc-nd)/[1-4]\.[05](/[a-z][a-z])?"
    r"|publicdomain/(zero|mark)/1\.0)(/|/deed(\.[a-z][a-z])?|/legalcode)?|purl\.org/NET/rdflicense/(cc|odc)[a-z0-9.-]+)$",
    r"^https?://(www\.)?opend(atacommons|efinition)\.org/licenses/"
    r"(odbl|by|pddl|odc-odbl|odc-by|odc-pddl|cc-by|cc-by-sa|cc-zero)(/|/1[.-]0/?|/summary/?)?$",
    r"^https?://(spdx\.org/licenses/[A-Za-z0-9.+-]+|(www\.)?opensource\.org/licenses?/[A-Za-z0-9.-]+"
    r"|www\.apache\.org/licenses/LICENSE-2\.0(\.html|\.txt)?)$",
    r"^https?://(publications\.europa\.eu/resource/authority/licence/[A-Z0-9_.-]+"
    r"|(www\.)?nationalarchives\.gov\.uk/doc/(open|non-commercial)-government-licence(/version/[1-3])?/?"
    r"|data\.norge\.no/nlod/(no|en)(/[12]\.0)?/?|(www\.)?govdata\.de/dl-de/(by|zero)-2-0"
    r"|open\.canada\.ca/(en|fr)/open-government-licence-canada"
    r"|(www\.)?etalab\.gouv\.fr/licence-ouverte-open-licence/?)$",
)
"""What addresses of licences that are known everywhere look like: the patterns of rule 15 of ontologies/core."""
_LICENCE = re.compile("|".join(LICENCES))
_MACHINE = re.compile(r"https?://(creativecommons\.org|purl\.org/NET/rdflicense|spdx\.org|publications\.europa\.eu)/")
"""Where those of them are that also answer with RDF or JSON-LD about what they permit."""
_SPDX = re.compile(
    r"https?://(www\.)?spdx\.org/licenses/(?P<id>[^/?#]*?)(\.(html|json|jsonld|rdf|ttl|txt|xml))?(/|[?#].*)?$", re.I
)
_OSI = re.compile(r"https?://(?:www\.)?opensource\.org/licenses?/(.+?)(?:\.php|-license|-license\.php|-php)?$", re.I)
_IDS = frozenset(name.lower() for name in spdx.IDS)  # SPDX compares ids in any case
_OSI_NAMES = {name.replace(".", "-") for name in _IDS} | _IDS | {"agpl-v3", "uoi-ncsa", "isc-license-txt", "bsd"}
"""How opensource.org writes the ids of SPDX, and names that are its own."""


def listed(iri: str) -> bool:
    """Whether an address, if it is one of the SPDX licence list, is one of a licence on it.

    No `LicenseRef-` is: SPDX keeps these ids for terms that are not on the list.
    """
    found = _SPDX.match(iri)
    return found is None or found["id"].lower() in _IDS


def standard(iri: str) -> bool:
    """Whether an address is that of a licence that is known everywhere; the ids of SPDX and OSI licences are known."""
    if not _LICENCE.match(iri) or not listed(iri):
        return False
    found = _OSI.match(iri)
    return found is None or found[1].lower() in _OSI_NAMES


def machine_readable(iri: str) -> bool:
    """Whether an address is that of a standard licence that also answers with RDF or JSON-LD about what it permits."""
    return standard(iri) and _MACHINE.match(iri) is not None
