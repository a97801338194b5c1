"""The errors of all views of a board, given where camera and board are: what hand-eye minimises.

Names are those of `hand_eye.py`: the camera is fixed to the *mount*, the board to the *carrier*.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from carp_ros.calibrated.board import Board
from carp_ros.calibration.board import BoardView
from carp_ros.calibration.least_squares import Fit, minimise
from carp_ros.calibration.projection import (
    camera_from_board,
    project,
    rms,
    view_error_px,
    with_lens,
)
from carp_ros.calibration.transforms import (
    distance,
    inverse,
    moved,
    nearest_rotation,
    rotvec_from_rotation,
    skew,
)
from carp_ros.types import Array, Intrinsics

_ROUNDS = 6
ARM_STD = np.array([0.0005] * 3 + [np.radians(0.05)] * 3)
"""Standard deviations of the arm's pose in [m] and [rad], up to a common scale, which is fitted."""
_SCALES = (0.02, 50.0)
_LEAST_NOISE_PX = 0.02
_AS_GIVEN = np.zeros(8)
_UNKNOWNS = 20  # six of the camera's pose, six of the board's, eight of the lens
_EXACT = 1e-9
_DISTORTION_STD = (0.05, 0.2, 0.005, 0.005)
_LENS_STDS = 3.0  # of what was measured before: perhaps from these same images


@dataclass(frozen=True)
class ViewResidual:
    """How far a view is from the result: in the image, and as a pose of the board."""

    px: float
    mm: float
    deg: float


class Constants(NamedTuple):
    """The unknowns: `mount_from_camera` and `carrier_from_board`, of shape (4, 4), and the lens.

    The `lens` is off from the given intrinsics by this, of shape (8,), as of `project`: with the
    arm's motion as a scale, a focal length is known better than from the images alone.
    """

    camera: Array
    board: Array
    lens: Array = _AS_GIVEN

    def camera_from_board(self, arm: Array) -> Array:
        """Return the predicted poses of the board in the camera, of shape (N, 4, 4)."""
        return inverse(self.camera) @ arm @ self.board


class WeightedFit(NamedTuple):
    """A fit: its constants, the scale of the arm's errors, and the information (20, 20)."""

    constants: Constants
    arm_scale: float
    information: Array


class ArmProblem:
    """The reprojection errors of all views, for given constants.

    Args:
        arm: `mount_from_carrier` of each view, of shape (N, 4, 4).
        views: Of the board.
        board: The board.
        intrinsics: Of the camera.
        is_on_wrist: Whether the camera is.
        lens_std_px: Standard errors of the focal lengths and of the principal point; None if the
            intrinsics are exact.
    """

    def __init__(
        self,
        arm: Array,
        views: Sequence[BoardView],
        board: Board,
        intrinsics: Intrinsics,
        is_on_wrist: bool,
        lens_std_px: tuple[float, float] | None = None,
    ) -> None:
        self._arm, self._views, self._board = arm, views, board
        self._intrinsics, self._is_on_wrist = intrinsics, is_on_wrist
        self._lens_std = np.full(8, _EXACT)
        if lens_std_px is not None:
            focal_px, centre_px = (max(_EXACT, _LENS_STDS * std) for std in lens_std_px)
            self._lens_std = np.array([focal_px, focal_px, centre_px, centre_px, *_DISTORTION_STD])

    def lens_of(self, constants: Constants) -> Intrinsics:
        """Return the intrinsics that belong to constants."""
        return with_lens(self._intrinsics, constants.lens)

    def seen(self, lens: Intrinsics) -> Array:
        """Return `camera_from_board` of each view as the image alone gives it, (N, 4, 4)."""
        return np.array([camera_from_board(view, self._board, lens) for view in self._views])

    def noise_px(self, seen: Array) -> float:
        """Return the standard deviation of a corner's coordinate, from views fitted one by one."""
        stds = [
            rms(view_error_px(view, self._board, self._intrinsics, pose))
            * np.sqrt(len(view.ids) / (2 * len(view.ids) - 6))
            for view, pose in zip(self._views, seen)
        ]
        return max(_LEAST_NOISE_PX, float(np.median(stds)))

    def errors_px(self, constants: Constants) -> Array:
        """Return each view's RMS error in [px]; infinite if the board is behind the camera."""
        errors = []
        for view, pose in zip(self._views, constants.camera_from_board(self._arm)):
            depths = self._board.corners_m[view.ids] @ pose[2, :3] + pose[2, 3]
            error = view_error_px(view, self._board, self.lens_of(constants), pose)
            errors.append(rms(error) if (depths > 0.0).all() else np.inf)
        return np.array(errors)

    def residuals(self, constants: Constants) -> list[ViewResidual]:
        """Return each view's residuals, in mm and degrees against what the images alone give."""
        errors = self.errors_px(constants)
        predicted = constants.camera_from_board(self._arm)
        apart = [distance(a, b) for a, b in zip(predicted, self.seen(self.lens_of(constants)))]
        return [
            ViewResidual(float(px), 1e3 * metres, float(np.degrees(turn)))
            for px, (metres, turn) in zip(errors, apart)
        ]

    def fit(self, start: WeightedFit, chosen: npt.NDArray[np.intp], noise_px: float) -> WeightedFit:
        """Minimise the weighted reprojection error of chosen views, and fit the weights.

        Args:
            start: Near the result.
            chosen: Numbers of the views.
            noise_px: Standard deviation of a corner's coordinate.
        """
        for _ in range(_ROUNDS):
            covariances = self._covariances(start, chosen, noise_px)
            fit = self._refined(start.constants, covariances)
            errors = [self._arm_error(fit.state, n, c) for n, c in covariances.items()]
            ratio = 6.0 * float(np.square(errors).sum()) / (6 * len(chosen) - 12)
            scale = start.arm_scale * float(np.clip(np.sqrt(ratio), 0.1, 10.0))
            before, start = (
                start,
                WeightedFit(fit.state, float(np.clip(scale, *_SCALES)), fit.information),
            )
            if abs(start.arm_scale - before.arm_scale) < 0.1 * before.arm_scale:
                break
        return start

    def _covariances(
        self, weighted: WeightedFit, chosen: npt.NDArray[np.intp], noise_px: float
    ) -> dict[int, Array]:
        """Return the covariance of each view's errors, of shape (2N, 2N) in [px^2]."""
        covariances = {}
        for number in chosen:
            _, _, by_arm = self._linearised(weighted.constants, number)
            scaled = by_arm * (weighted.arm_scale * ARM_STD)
            covariances[number] = scaled @ scaled.T + noise_px**2 * np.eye(len(scaled))
        return covariances

    def arm_errors(self, weighted: WeightedFit, noise_px: float) -> Array:
        """Return how far off the arm was in each view, of shape (N,), in units of `ARM_STD`.

        Unlike the error in the image, it also shows a wrong pose that turns the board on the spot.
        It is the step from the arm's pose to the one at which the board would be seen as it is,
        weighed where the board is seen: so it holds for grossly wrong poses, too.
        """
        camera, board, _ = weighted.constants
        errors = []
        poses = self.seen(self.lens_of(weighted.constants))
        for number, (arm, seen) in enumerate(zip(self._arm, poses)):
            wanted = camera @ seen @ inverse(board)
            step = wanted @ inverse(arm) if self._is_on_wrist else inverse(arm) @ wanted
            off = np.concatenate(
                [step[:3, 3], rotvec_from_rotation(nearest_rotation(step[:3, :3]))]
            )
            _, _, by_arm = self._linearised(weighted.constants, number, wanted)
            by_image = noise_px**2 * np.linalg.pinv(by_arm.T @ by_arm)
            covariance = np.diag((weighted.arm_scale * ARM_STD) ** 2) + by_image
            errors.append(np.sqrt(off @ np.linalg.solve(covariance, off) / 6.0))
        return np.nan_to_num(weighted.arm_scale * np.array(errors), nan=np.inf)

    def _arm_error(self, constants: Constants, number: int, covariance: Array) -> float:
        """Return the RMS over six directions of what an error of the arm explains of a view's."""
        error, _, by_arm = self._linearised(constants, number)
        along = np.linalg.qr(by_arm)[0]
        part = along.T @ error
        return float(np.sqrt(part @ np.linalg.solve(along.T @ covariance @ along, part) / 6.0))

    def _refined(self, start: Constants, covariances: dict[int, Array]) -> Fit[Constants]:
        """Minimise with given weights."""
        factors = {number: _inverse_root(covariance) for number, covariance in covariances.items()}

        def residuals(constants: Constants) -> tuple[Array, Array]:
            errors, jacobians = [], []
            for number, factor in factors.items():
                error, by_step, _ = self._linearised(constants, number)
                errors.append(factor @ error)
                jacobians.append(factor @ by_step)
            errors.append(constants.lens / self._lens_std)
            jacobians.append(np.eye(_UNKNOWNS)[12:] / self._lens_std[:, None])
            return np.concatenate(errors), np.concatenate(jacobians)

        def stepped(constants: Constants, step: Array) -> Constants:
            return Constants(
                moved(constants.camera, step[:6]),
                moved(constants.board, step[6:12]),
                constants.lens + step[12:],
            )

        return minimise(start, residuals, stepped)

    def _linearised(
        self, constants: Constants, number: int, arm: Array | None = None
    ) -> tuple[Array, Array, Array]:
        """Return one view's errors (2N,) in [px], and their derivatives.

        These are by a step of the constants, of shape (2N, 20), and by one of the arm's flange in
        its own axes, (2N, 6).

        Args:
            constants: Where to linearise.
            number: Of the view.
            arm: Where the arm is assumed to be, (4, 4); default: where it says.
        """
        view = self._views[number]
        at: Array = self._arm[number] if arm is None else arm
        in_board = self._board.corners_m[view.ids]
        in_carrier = in_board @ constants.board[:3, :3].T + constants.board[:3, 3]
        in_mount = in_carrier @ at[:3, :3].T + at[:3, 3]
        camera_from_mount = constants.camera[:3, :3].T
        in_camera = (in_mount - constants.camera[:3, 3]) @ camera_from_mount.T
        places, by_point, by_lens = project(in_camera, self.lens_of(constants))
        camera_from_carrier = camera_from_mount @ at[:3, :3]
        by_step = [
            np.broadcast_to(-camera_from_mount, (len(in_camera), 3, 3)),
            skew(in_camera),
            np.broadcast_to(camera_from_carrier, (len(in_camera), 3, 3)),
            -camera_from_carrier @ constants.board[:3, :3] @ skew(in_board),
        ]
        # A flange that carries the camera moves the points the other way: a sign of no effect here.
        camera_from_flange = camera_from_mount if self._is_on_wrist else camera_from_carrier
        in_flange = in_mount if self._is_on_wrist else in_carrier
        by_arm = [
            np.broadcast_to(camera_from_flange, (len(in_camera), 3, 3)),
            -camera_from_flange @ skew(in_flange),
        ]
        return (
            (places - view.corners_px).ravel(),
            np.concatenate([by_point @ np.concatenate(by_step, axis=2), by_lens], axis=2).reshape(
                -1, _UNKNOWNS
            ),
            (by_point @ np.concatenate(by_arm, axis=2)).reshape(-1, 6),
        )


def _inverse_root(covariance: Array) -> Array:
    """Return the inverse of a covariance's root, of shape (N, N).

    Where an arm is grossly wrong, rounding makes the smallest eigenvalues negative.
    """
    values, vectors = np.linalg.eigh(covariance)
    least = np.finfo(float).eps * values[-1]
    return (vectors / np.sqrt(np.maximum(values, least))) @ vectors.T
