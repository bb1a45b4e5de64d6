"""Physical column types of many databases, as XSD datatypes."""

from __future__ import annotations

import re

from fairmesh.catalog import rdf
from fairmesh.catalog.rdf import NamedNode

_XSD = {
    "string": "text varchar nvarchar varchar2 nvarchar2 char nchar bpchar character string ntext clob nclob name citext"
    " charactervarying tinytext mediumtext longtext fixedstring uuid uniqueidentifier enum enum8 enum16 sysname",
    "integer": "int integer int4 int32 mediumint uint8 uint16 uint32 uint64 int128 int256 uint128 uint256 hugeint",
    "long": "bigint int64 long longint bigserial int8",
    "short": "smallint int2 int16 tinyint byteint smallserial short",
    "decimal": "numeric decimal number bignumeric bigdecimal dec money smallmoney decimal32 decimal64 decimal128",
    "double": "float float64 float8 double doubleprecision binary_double",
    "float": "real float4 float32 binary_float",
    "boolean": "bool boolean bit",
    "date": "date date32",
    "dateTime": "datetime datetime2 datetime64 smalldatetime timestamp timestamp_ntz timestampwithouttimezone",
    "dateTimeStamp": "timestamptz timestamp_tz timestamp_ltz timestampwithtimezone timestampwithlocaltimezone"
    " datetimeoffset",
    "time": "time timewithouttimezone timetz timewithtimezone",
    "duration": "interval",
    "gYear": "year",
    "hexBinary": "binary varbinary bytea bytes blob tinyblob mediumblob longblob image raw",
}
_BY_NAME = {name: local for local, names in _XSD.items() for name in names.split()}
_WRAPPED = re.compile(r"(?:nullable|lowcardinality)\((.*)\)", re.DOTALL)
_WHOLE = re.compile(r"(?:number|numeric|decimal|dec)\(\d+,0\)")
_BITS = re.compile(r"(?:bit\((?!1\))\d+\)|bit ?varying.*)")


def datatype(physical: str) -> NamedNode | None:
    """The XSD datatype of values in a column of this physical type, or None where there is none that is sure."""
    text = re.sub(r"\s*([(),])\s*", r"\1", physical.strip().lower())
    while wrapped := _WRAPPED.fullmatch(text):
        text = wrapped[1]
    if _WHOLE.fullmatch(text):
        return _xsd("integer")
    if _BITS.fullmatch(text) or text.endswith("[]") or "<" in text:
        return None
    local = _BY_NAME.get(re.sub(r"\([^()]*\)|\s+", "", text))
    return None if local is None else _xsd(local)


def _xsd(local: str) -> NamedNode:
    return NamedNode(rdf.PREFIXES["xsd"] + local)
