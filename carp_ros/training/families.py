"""The table of all kinds of policy that can be trained."""

from __future__ import annotations

from carp_ros.training.carp import CarpFamily
from carp_ros.training.family import Family
from carp_ros.training.faster import FasterFamily
from carp_ros.training.kinds import kind_named
from carp_ros.training.regression import RegressionFamily

FAMILIES: dict[str, Family] = {
    family.kind: family for family in (CarpFamily(), RegressionFamily(), FasterFamily())
}


def family_named(kind: object, where: str) -> Family:
    """Look up a kind of policy.

    Raises:
        ValueError: If there is none with that name; begins with `where`.
    """
    return kind_named(FAMILIES, kind, "policy", where)
