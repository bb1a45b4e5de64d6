"""The catalog of a data mesh: register, govern, authorize, read. Knows nothing of HTTP."""

from fairmesh.catalog.catalog import Catalog, Rebuilt, Retirement, StillUsed, rebuild
from fairmesh.catalog.config import Settings
from fairmesh.catalog.view import Found, View

__all__ = ["Catalog", "Found", "Rebuilt", "Retirement", "Settings", "StillUsed", "View", "rebuild"]
