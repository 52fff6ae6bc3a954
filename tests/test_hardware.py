"""What the machine is asked for."""

import platform
import subprocess
import sys

import pytest

FAULTS = """
import resource, torch
from ssgan_core.hardware import keep_freed_memory
torch.set_num_threads(1)
if {keep}:
    keep_freed_memory()
for _ in range(8):
    torch.ones(2**25)
before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
for _ in range(4):
    torch.ones(2**25)
print(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
"""


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="the setting is glibc's")
def test_freed_memory_is_used_again_without_asking_the_system() -> None:
    kept, returned = (
        int(subprocess.check_output([sys.executable, "-c", FAULTS.format(keep=keep)], text=True))
        for keep in (True, False)
    )
    assert kept < 100 < returned
