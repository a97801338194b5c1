"""The table of all kinds of policy that can be exported."""

from __future__ import annotations

from carp_ros.export.carp_graphs import CarpExport
from carp_ros.export.family import ExportFamily
from carp_ros.export.faster_graphs import FasterExport
from carp_ros.export.regression_graphs import RegressionExport

EXPORTS: dict[str, ExportFamily] = {
    "carp": CarpExport(),
    "regression": RegressionExport(),
    "faster": FasterExport(),
}
