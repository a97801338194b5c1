"""Two who command are refused; the ghost of one that died is none."""

from dataclasses import dataclass

import pytest

pytest.importorskip("rclpy", reason="nodes need rclpy: pip install 'carp_ros[ros]'")

from carp_ros.ros.duplicate_publishers import DuplicatePublishers

SECOND_NS = 1_000_000_000


@dataclass
class Endpoint:
    """A publisher as the graph shows it."""

    node_name: str
    node_namespace: str = "/"


class Graph:
    """A node that sees these publishers of `chunk`."""

    def __init__(self, *names: str) -> None:
        self.endpoints = [Endpoint(name) for name in names]

    def count_publishers(self, topic: str) -> int:
        return len(self.endpoints)

    def get_publishers_info_by_topic(self, topic: str) -> list[Endpoint]:
        return self.endpoints


@pytest.mark.parametrize(
    ("names", "before", "after"),
    [
        (("policy_node",), True, True),
        (("policy_node", "stranger"), False, False),
        (("policy_node", "policy_node"), False, True),
        (("policy_node", "policy_node", "stranger"), False, False),
    ],
)
def test_a_ghost_is_no_rival_while_its_death_is_fresh(names, before, after):
    rivals = DuplicatePublishers(Graph(*names), ("chunk",))  # type: ignore[arg-type]
    assert (rivals.find(100 * SECOND_NS) == "") is before
    rivals.take_death(100 * SECOND_NS)
    assert (rivals.find(120 * SECOND_NS) == "") is after
    assert (rivals.find(131 * SECOND_NS) == "") is before
