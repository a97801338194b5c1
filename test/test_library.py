"""The package as a library: its public names, and the lines of the README that use them."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

import carp_ros

README = Path(__file__).parents[1] / "README.md"


def test_the_lines_of_the_readme_run():
    (code,) = re.findall(r"```python\n(.*?)```", README.read_text(encoding="utf-8"), re.S)
    assert len(code.splitlines()) <= 12
    check = "\nimport numpy; assert numpy.isfinite(joints_rad).all() and len(chunk.times_ns) == 16"
    subprocess.run([sys.executable, "-c", code + check], check=True, timeout=120)


@pytest.mark.parametrize("name", carp_ros.__all__)
def test_a_public_name_is_there_and_documented(name):
    assert getattr(carp_ros, name).__doc__


def test_a_name_that_there_is_not_is_refused_with_those_that_there_are():
    with pytest.raises(AttributeError, match=r"carp_ros has no 'load_polcy'; it has .*load_policy"):
        carp_ros.load_polcy  # noqa: B018


def test_importing_the_package_imports_nothing_else():
    code = "import sys, carp_ros; print({m.split('.')[0] for m in sys.modules} & {'numpy', 'cv2'})"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "set()"
