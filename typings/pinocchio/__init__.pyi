# Pinocchio is a compiled module without type stubs, in a folder that only its own .pth file adds to
# the path. This says that it exists, on every Python alike, and nothing of what is in it.
from typing import Any

def __getattr__(name: str) -> Any: ...
