import pytest

from tests.sweeps.postgres import IS_MISSING, postgres_server


@pytest.fixture(scope="session")
def postgres():
    """A PostgreSQL server for all tests that ask for one."""
    if IS_MISSING:
        pytest.skip("needs the Debian package postgresql")
    with postgres_server() as server:
        yield server
