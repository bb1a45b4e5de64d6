"""Licences that are known everywhere, by their addresses, and the one name of each."""

from __future__ import annotations

import re

from fairmesh.catalog import spdx

LICENCES = (
    r"^https?://((www\.)?creativecommons\.org/(licenses/(by|by-sa|by-nc|by-nd|by-nc-sa|by-nc-nd)/[1-4]\.[015]"
    r"(/([a-z][a-z]|igo|scotland))?|publicdomain/(zero|mark)/1\.0)"
    r"(/|/rdf|/(deed|legalcode)(\.[a-z]{2,3}([_-][A-Za-z]{2,4})?)?)?|purl\.org/NET/rdflicense/(cc|odc)[a-z0-9.-]+)$",
    r"^https?://((www\.)?opend(atacommons|efinition)\.org/licenses/"
    r"(odbl|dbcl|by|pddl|odc-odbl|odc-by|odc-pddl|cc-by|cc-by-sa|cc-zero)(/|/1[.-]0/?|/summary/?)?"
    r"|(www\.)?cdla\.(dev|io)/(permissive-[12]-0|sharing-1-0)/?)$",
    r"^https?://((www\.)?spdx\.org/licenses/[A-Za-z0-9.+-]+/?|(www\.)?opensource\.org/licenses?/[A-Za-z0-9.-]+/?"
    r"|(www\.)?apache\.org/licenses/LICENSE-2\.0(\.html|\.txt)?|(www\.)?gnu\.org/(licenses|copyleft)/(old-licenses/)?"
    r"([al]?gpl|fdl)(-[123]\.[0-3])?(\.[a-z]{2}(-[a-z]{2})?)?(\.html|\.txt|\.md)?)$",
    r"^https?://(publications\.europa\.eu/resource/authority/licence/[A-Z0-9_.-]+"
    r"|(www\.)?nationalarchives\.gov\.uk/doc/(open|non-commercial)-government-licence(/version/[1-3])?/?"
    r"|data\.norge\.no/nlod/(no|nb|nn|en)(/[12]\.0)?/?|(www\.)?govdata\.de/dl-de/(by|zero)-2-0"
    r"|(www\.)?dcat-ap\.de/def/licenses/(dl-(by|by-nc|zero)-de/[12]\.0|cc-by(-sa|-nc|-nd)?((-de)?/3\.0|/4\.0)?|cc-zero"
    r"|ccpdm/1\.0|od(by|bl|cpddl)|geo[nN]utz/2013(0319|1001)|apache|bsd|gfdl|gpl/3\.0|mozilla|officialWork)/?"
    r"|open\.canada\.ca/(en|fr)/open-government-licence-canada"
    r"|(www\.)?etalab\.gouv\.fr/licence-ouverte-open-licence/?)$",
)
"""What addresses of licences that are known everywhere look like: the patterns of rule 15 of ontologies/core."""
_LICENCE = re.compile("|".join(LICENCES))
_MACHINE = re.compile(
    r"https?://((www\.)?(creativecommons|spdx)\.org|purl\.org/NET/rdflicense|publications\.europa\.eu)/"
)
"""Where those of them are that also answer with RDF or JSON-LD about what they permit."""
_SPDX = re.compile(
    r"https?://(www\.)?spdx\.org/licenses/(?P<id>[^/?#]*?)(\.(html|json|jsonld|rdf|ttl|txt|xml))?(/|[?#].*)?$", re.I
)
_OSI = re.compile(r"https?://(?:www\.)?opensource\.org/licenses?/(.+?)(?:\.php|-license|-license\.php|-php)?/?$", re.I)
_IDS = frozenset(name.lower() for name in spdx.IDS)  # SPDX compares ids in any case
_OSI_IDS = {name.replace(".", "-"): name for name in _IDS} | {name: name for name in _IDS}
_OSI_IDS |= {"agpl-v3": "agpl-3.0", "uoi-ncsa": "ncsa", "isc-license-txt": "isc"}
"""The ids of SPDX by how opensource.org writes them, and by names that are its own."""
_OSI_NAMES = _OSI_IDS.keys() | {"bsd"}  # which is any of several


def _forms(*rows: tuple[str, str]) -> tuple[tuple[re.Pattern[str], str], ...]:
    return tuple((re.compile(pattern), form) for pattern, form in rows)


_CC = "creativecommons.org/"
_PAGE = r"(?:/rdf|/(?:deed|legalcode)(?:\.[\w-]+)?)?(?:/?#.*)?"
_FORMS = _forms(
    (_CC + r"licenses/(by[a-z-]*)/(\d\.\d)(?:/([a-z]{2}|igo|scotland))?" + _PAGE, r"cc-\1-\2-\3"),
    (_CC + r"publicdomain/zero/1\.0" + _PAGE, "cc0-1.0"),
    (_CC + r"publicdomain/mark/1\.0" + _PAGE, "cc-pdm-1.0"),
    (r"purl\.org/net/rdflicense/cc-(by[a-z-]*?)(\d\.\d)([a-z]{2})?", r"cc-\1-\2-\3"),
    (r"opendatacommons\.org/licenses/(odbl|dbcl|pddl)(?:/1[.-]0|/summary)?", r"\1-1.0"),
    (r"opendatacommons\.org/licenses/by(?:/1[.-]0|/summary)?", "odc-by-1.0"),
    (r"opendefinition\.org/licenses/odc-(odbl|pddl)", r"\1-1.0"),
    (r"opendefinition\.org/licenses/odc-by", "odc-by-1.0"),
    (r"opendefinition\.org/licenses/cc-zero", "cc0-1.0"),
    (r"cdla\.(?:dev|io)/(permissive|sharing)-(\d)-0", r"cdla-\1-\2.0"),
    (r"apache\.org/licenses/license-2\.0(?:\.html|\.txt)?", "apache-2.0"),
    (
        r"gnu\.org/(?:licenses|copyleft)/(?:old-licenses/)?([al]?gpl|fdl)(-\d\.\d)?"
        r"(?:\.[a-z]{2}(?:-[a-z]{2})?)?(?:\.html|\.txt|\.md)?",
        r"gnu.org/\1\2",
    ),
    (r"nationalarchives\.gov\.uk/doc/open-government-licence/version/([1-3])", r"ogl-uk-\1.0"),
    (r"data\.norge\.no/nlod/[a-z]{2}/([12]\.0)", r"nlod-\1"),
    (r"govdata\.de/dl-de/(by|zero)-2-0", r"dl-de-\1-2.0"),
    (r"dcat-ap\.de/def/licenses/dl-(by|zero)-de/2\.0", r"dl-de-\1-2.0"),
    (r"dcat-ap\.de/def/licenses/cc-(by(?:-sa|-nc|-nd)?)/(\d\.\d)", r"cc-\1-\2"),
    (r"dcat-ap\.de/def/licenses/cc-(by(?:-sa|-nc|-nd)?)-de/3\.0", r"cc-\1-3.0-de"),
    (r"dcat-ap\.de/def/licenses/cc-zero", "cc0-1.0"),
    (r"dcat-ap\.de/def/licenses/ccpdm/1\.0", "cc-pdm-1.0"),
)
"""Addresses in lower case, without scheme, `www` and closing slash, and the ids of the licences behind them. Where an
address has no version, the licence may become another one: it is left as it is."""
_EU = re.compile(r"publications\.europa\.eu/resource/authority/licence/([a-z0-9_.-]+)")


def _code(name: str) -> str:
    return re.sub(r"[._-]", "", name)


_EU_IDS = {_code(name): name for name in _IDS} | {
    "cc0": "cc0-1.0", "odcbl": "odbl-1.0", "odcby": "odc-by-1.0", "odcpddl": "pddl-1.0", "ogl10": "ogl-uk-1.0",
    "ogl20": "ogl-uk-2.0", "ogl30": "ogl-uk-3.0",
}  # fmt: skip
"""Ids by the codes of the EU's authority table, which put their hyphens and dots elsewhere: CC_BYNCSA_4_0."""


def same_as(iri: str) -> str:
    """One normal form of all the addresses of a licence: its SPDX id in lower case, or what SPDX would call it.

    "cc-by-4.0" for the deed, the legal code and the RDF of Creative Commons in any language, the code of the EU's
    authority table, and the pages of spdx.org. Any other IRI comes back without scheme, `www` and closing slash.
    """
    if (found := _SPDX.match(iri)) and found["id"].lower() in _IDS:
        return found["id"].lower()
    if (found := _OSI.match(iri)) and found[1].lower() in _OSI_IDS:
        return _OSI_IDS[found[1].lower()]
    address = iri.split("://", 1)[-1].removeprefix("www.").rstrip("/")
    if (found := _EU.fullmatch(address.lower())) and _code(found[1]) in _EU_IDS:
        return _EU_IDS[_code(found[1])]
    for pattern, form in _FORMS:
        if found := pattern.fullmatch(address.lower()):
            return found.expand(form).rstrip("-")
    return address


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


def named(text: str) -> bool:
    """Whether a text is a licence's SPDX id, in any case, or its address as of `standard`."""
    return text.lower() in _IDS or standard(text)


def machine_readable(iri: str) -> bool:
    """Whether an address is that of a standard licence that also answers with RDF or JSON-LD about what it permits."""
    return standard(iri) and _MACHINE.match(iri) is not None
