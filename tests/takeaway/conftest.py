"""What leaves: the full workspace of the pages' tests, which no test here changes, and its small quickstart."""

from __future__ import annotations

import pytest

from kdcore.workspace.workspace import Workspace
from tests.pages.conftest import full_workspace


@pytest.fixture(scope="module")
def workspace():
    return Workspace(full_workspace())


@pytest.fixture(scope="module")
def run(workspace):
    """The small quickstart."""
    return workspace.run_ids()[0]
