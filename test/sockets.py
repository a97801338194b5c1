"""The network sockets that processes have open, as Linux lists them."""

import os
import socket
from collections.abc import Iterator
from pathlib import Path


def sockets_of(pid: int) -> Iterator[tuple[str, str]]:
    """Yield kind and local address of each Internet socket of a process that others may reach.

    Those are all of UDP, and of TCP those that listen or are connected.
    """
    opened = set()
    for descriptor in Path(f"/proc/{pid}/fd").iterdir():
        try:
            opened.add(os.readlink(descriptor))
        except FileNotFoundError:  # closed meanwhile
            continue
    for kind, family in (("tcp", 4), ("udp", 4), ("tcp6", 16), ("udp6", 16)):
        for line in Path(f"/proc/{pid}/net/{kind}").read_text().splitlines()[1:]:
            fields = line.split()
            if f"socket:[{fields[9]}]" in opened:
                yield kind, _address(fields[1].partition(":")[0], family)


def descendants(pid: int) -> Iterator[int]:
    """Yield a process and all that it started, and these started."""
    yield pid
    for task in Path(f"/proc/{pid}/task").iterdir():
        for child in (task / "children").read_text().split():
            yield from descendants(int(child))


def _address(text: str, size: int) -> str:
    """Return an address that /proc writes as 32-bit words of the machine's byte order, in hex."""
    words = [bytes.fromhex(text[start : start + 8])[::-1] for start in range(0, len(text), 8)]
    packed = b"".join(words)
    return socket.inet_ntop(socket.AF_INET if size == 4 else socket.AF_INET6, packed)
