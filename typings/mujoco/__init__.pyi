# MuJoCo's classes live in compiled modules without type information: take them as they come.
from typing import Any

def __getattr__(name: str) -> Any: ...
