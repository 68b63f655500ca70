from __future__ import annotations

import subprocess
import sys

import pytest

TRY = """
import sys
from kdcore.compress.tools.channels import torch_pruning
assert torch_pruning().importance.GroupMagnitudeImportance
assert "timm" not in sys.modules
import timm
assert timm.list_models("test_*")
"""


@pytest.mark.slow
def test_pruning_does_not_wait_for_timm_which_stays_usable():
    pytest.importorskip("timm", reason="timm is not installed")
    subprocess.run([sys.executable, "-c", TRY], check=True)
