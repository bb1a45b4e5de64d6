from __future__ import annotations

from collections.abc import Iterator

import pytest
from served import Mesh, served


@pytest.fixture(scope="module")
def mesh(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Mesh]:
    """The service with a small mesh, shared by the tests of a module."""
    with served(tmp_path_factory.mktemp("mesh")) as made:
        yield made
