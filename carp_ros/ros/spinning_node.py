"""A node for client programs with blocking calls; it spins on a separate thread."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, TypeVar

import rclpy
from rcl_interfaces.msg import Parameter, ParameterType, ParameterValue
from rcl_interfaces.srv import SetParameters
from rclpy.client import Client
from rclpy.executors import ExternalShutdownException
from rclpy.signals import SignalHandlerOptions
from std_srvs.srv import SetBool, Trigger

from carp_ros.errors import DeviceError
from carp_ros.refusal import in_words
from carp_ros.reports.control import StoppedError, why_from_text
from carp_ros.rig_devices import LONGEST_RECOVERY_S
from carp_ros.ros.executor import make_executor
from carp_ros.ros.guarded_node import GuardedNode

ANSWER_S = 10.0
# timeouts of services that answer only once the requested action is complete
_ANSWERS_S = {"control/reset_fault": LONGEST_RECOVERY_S + ANSWER_S}
_JOINED_S = 1.0

SomeNode = TypeVar("SomeNode", bound="SpinningNode")


@contextmanager
def taking_part(make_node: Callable[[], SomeNode]) -> Iterator[SomeNode]:
    """Join the ROS graph with a node while the block runs.

    Args:
        make_node: Returns the node; called once ROS is up.
    """
    # leave Ctrl-C to Python: the node must outlive it to stop what it started
    rclpy.init(signal_handler_options=SignalHandlerOptions.NO)
    node = make_node()
    node.start()
    try:
        yield node
    finally:
        node.stop()
        rclpy.shutdown()


class SpinningNode(GuardedNode):
    """Calls services of other nodes and waits for their messages.

    Args:
        name: Name of the node.
    """

    def __init__(self, name: str) -> None:
        super().__init__(name)
        self._service_clients: dict[str, Client] = {}
        self._executor = make_executor(self.get_logger().warning)
        self._executor.add_node(self)
        self._thread = threading.Thread(target=self._spin, daemon=True)
        self._deaf_because = ""
        self._stopping = False

    def start(self) -> None:
        """Start spinning, and return once other nodes have discovered this one.

        A service that answers before it has discovered its caller blocks its node's only thread for
        100 ms; that node may be one whose silence stops the arm.
        """
        self._thread.start()
        time.sleep(_JOINED_S)

    def stop(self) -> None:
        """Stop spinning."""
        self._stopping = True
        self._executor.shutdown()
        self._thread.join(2.0)

    def trigger(self, name: str) -> str:
        """Call a Trigger service; return its message.

        Raises:
            DeviceError: If it refuses or does not answer.
        """
        return self._accepted(name, self.call(Trigger, name, Trigger.Request()))

    def switch(self, name: str, on: bool) -> str:
        """Call a SetBool service; return its message.

        Raises:
            DeviceError: If it refuses or does not answer.
        """
        return self._accepted(name, self.call(SetBool, name, SetBool.Request(data=on)))

    def call(self, kind: Any, name: str, request: Any) -> Any:
        """Call a service and return its answer.

        Args:
            kind: Type of the service.
            name: Name of the service.
            request: Request of that type.

        Raises:
            DeviceError: If it does not answer.
        """
        self.require_listening()
        client = self._service_clients.get(name)
        if client is None:
            client = self._service_clients[name] = self.create_client(kind, name)
        if not client.wait_for_service(ANSWER_S):
            raise DeviceError(f"no service {name} within {ANSWER_S:.0f} s; is its node running?")
        future = client.call_async(request)
        self.wait_until(future.done, _ANSWERS_S.get(name, ANSWER_S), f"answer {name}")
        return future.result()

    def set_parameters_of(self, node: str, **values: str | int) -> None:
        """Set parameters of another node.

        Raises:
            DeviceError: If it refuses one or does not answer.
        """
        parameters = [Parameter(name=name, value=_value(value)) for name, value in values.items()]
        request = SetParameters.Request(parameters=parameters)
        answer = self.call(SetParameters, f"{node}/set_parameters", request)
        for parameter, result in zip(parameters, answer.results):
            if not result.successful:
                raise DeviceError(f"{node} refused {parameter.name}: {result.reason}")

    def wait_until(self, condition: Callable[[], bool], timeout_s: float, what: str) -> None:
        """Block until the condition holds.

        Raises:
            DeviceError: On timeout; the text says that the system did not do `what`.
        """
        deadline_s = time.monotonic() + timeout_s
        while not condition():
            self.require_listening()
            if time.monotonic() > deadline_s:
                raise self.error_of(
                    f"the system did not {what} within {timeout_s:.0f} s{self.explanation()}"
                )
            time.sleep(0.01)

    def require_listening(self) -> None:
        """Check that this node is still spinning.

        Raises:
            DeviceError: If the spinning thread has ended, so no message will arrive any more.
        """
        if self._deaf_because:
            raise DeviceError(f"{self.get_name()} no longer receives: {self._deaf_because}")

    def explanation(self) -> str:
        """Return the system's own explanation, which `wait_until` appends to its error text."""
        return ""

    def error_of(self, text: str) -> DeviceError:
        """Return an error with this text; subclasses may add the system's reason as a code."""
        return DeviceError(text)

    def _accepted(self, name: str, answer: Any) -> str:
        if not answer.success:
            text, why = f"{name} was refused: {answer.message}", why_from_text(answer.message)
            raise DeviceError(text) if why is None else StoppedError(text, why.code, why.fault)
        return answer.message

    def _spin(self) -> None:
        try:
            self._executor.spin()
        except ExternalShutdownException:
            self._deaf_because = "ROS was shut down"
        except Exception as error:
            if self._stopping:
                return  # its entities were destroyed while it was waiting
            self._deaf_because = f"its thread ended: {in_words(error)}"
            self.get_logger().error(f"{self.get_name()} no longer receives: {error!r}")


def _value(value: str | int) -> ParameterValue:
    if isinstance(value, str):
        return ParameterValue(type=ParameterType.PARAMETER_STRING, string_value=value)
    return ParameterValue(type=ParameterType.PARAMETER_INTEGER, integer_value=value)
