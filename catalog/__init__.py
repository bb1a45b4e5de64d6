"""The catalog of a data mesh: register, govern, authorize, read. Knows nothing of HTTP.

Names are loaded on first use: worker processes import single modules and need not pay for the rest.
"""

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from fairmesh.catalog.catalog import Catalog, Retirement, StillUsed
    from fairmesh.catalog.config import Settings
    from fairmesh.catalog.opening import Rebuilt, rebuild
    from fairmesh.catalog.sighted import Found
    from fairmesh.catalog.view import View

_HOMES = {"Settings": "config", "Found": "sighted", "View": "view", "Rebuilt": "opening", "rebuild": "opening"}

__all__ = ["Catalog", "Found", "Rebuilt", "Retirement", "Settings", "StillUsed", "View", "rebuild"]


def __getattr__(name: str) -> object:
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(import_module(f"{__name__}.{_HOMES.get(name, 'catalog')}"), name)
    globals()[name] = value
    return value
