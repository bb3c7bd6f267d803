"""A Redis cluster, started once for the tests of this folder."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.brokers import Broker, cluster


@pytest.fixture(scope="session")
def cluster_nodes(tmp_path_factory: pytest.TempPathFactory) -> Iterator[list[Broker]]:
    """Three nodes of one cluster. Use unique stream ids; do not stop them."""
    with cluster(tmp_path_factory.mktemp("cluster")) as nodes:
        yield nodes
