"""One world for the session: what it has measured and expanded is measured and expanded once."""

import pytest

from llmlib.world import World


@pytest.fixture(scope="session")
def world() -> World:
    return World()
