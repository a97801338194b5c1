"""Memory that is freed is there for the next image, without asking the kernel for it."""

import subprocess
import sys

import pytest

PROGRAM = """
import resource, sys
from carp_ros.processes.memory import keep_freed_memory
if sys.argv[1] == "kept" and not keep_freed_memory():
    sys.exit("not glibc")
image = b"x" * 921_600
for _ in range(10):
    [bytearray(image) for _ in range(4)]
before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
for _ in range(100):
    [bytearray(image) for _ in range(4)]
print(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
"""


def page_faults(how: str) -> int:
    command = [sys.executable, "-c", PROGRAM, how]
    ended = subprocess.run(command, capture_output=True, text=True, check=False)
    if "not glibc" in ended.stderr:
        pytest.skip("this C library has no mallopt")
    return int(ended.stdout)


def test_images_come_and_go_without_page_faults():
    assert page_faults("kept") < 1_000
    assert page_faults("given back") > 50_000  # 225 pages each
