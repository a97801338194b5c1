"""No order of transitions and calls ends a managed node, or leaves anything behind."""

import os
import sys
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import rclpy
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from lifecycle_msgs.msg import State, Transition
from lifecycle_msgs.srv import ChangeState, GetState
from rcl_interfaces.msg import Parameter as ParameterMessage
from rcl_interfaces.msg import ParameterValue
from rcl_interfaces.srv import SetParameters
from rclpy.node import Node
from rclpy.parameter import Parameter
from std_srvs.srv import SetBool, Trigger

from carp_ros.errors import DeviceError
from carp_ros.nodes.control_node import ControlNode
from carp_ros.nodes.policy_node import PolicyNode
from carp_ros.nodes.recorder_node import RecorderNode
from carp_ros.ros.executor import CachedWaitSetExecutor
from carp_ros.ros.managed_node import ManagedNode
from carp_ros.share import share_folder

from ..patience import await_true

pytestmark = pytest.mark.realtime

RIG = share_folder() / "config" / "ur5e_sim.yaml"
FAKE_SERVO = (sys.executable, str(Path(__file__).parents[1] / "servo" / "fake_servo.py"))
UNCONFIGURED, INACTIVE, ACTIVE, FINALIZED = (
    State.PRIMARY_STATE_UNCONFIGURED,
    State.PRIMARY_STATE_INACTIVE,
    State.PRIMARY_STATE_ACTIVE,
    State.PRIMARY_STATE_FINALIZED,
)
LEADS = {
    (UNCONFIGURED, "configure"): INACTIVE,
    (INACTIVE, "activate"): ACTIVE,
    (ACTIVE, "deactivate"): INACTIVE,
    (INACTIVE, "cleanup"): UNCONFIGURED,
}
NUMBERS = {
    "configure": Transition.TRANSITION_CONFIGURE,
    "activate": Transition.TRANSITION_ACTIVATE,
    "deactivate": Transition.TRANSITION_DEACTIVATE,
    "cleanup": Transition.TRANSITION_CLEANUP,
}
ODD_NUMBERS = (0, 8, 10, 20, 42, 60, 99, 255)
SERVICES = {
    "control_node": {
        "control/enable": SetBool,
        "control/home": Trigger,
        "control/reset_fault": Trigger,
        "control/select_policy": Trigger,
    },
    "policy_node": {},
    "recorder_node": {
        "recorder/start": Trigger,
        "recorder/stop": Trigger,
        "recorder/discard": Trigger,
        "recorder/mark_success": SetBool,
    },
}


class Desk:
    """Some nodes that one thread spins, and a client of theirs."""

    def __init__(self, **nodes: Node) -> None:
        self.nodes = nodes
        self.client = Node("operator")
        self._clients: dict[str, Any] = {}
        self._executor = CachedWaitSetExecutor()
        for node in (*nodes.values(), self.client):
            self._executor.add_node(node)
        self.error: Exception | None = None
        self._thread = threading.Thread(target=self._spin)
        self._thread.start()

    def call(self, kind, name: str, request) -> Any:
        if name not in self._clients:
            self._clients[name] = self.client.create_client(kind, name)
            assert self._clients[name].wait_for_service(10.0), f"no service {name}"
        future = self._clients[name].call_async(request)
        await_true(lambda: future.done() or self.error, 20.0, f"an answer of {name}")
        assert self.error is None, repr(self.error)
        return future.result()

    def state(self, name: str) -> int:
        return self.call(GetState, f"{name}/get_state", GetState.Request()).current_state.id

    def change(self, name: str, number: int = 0, label: str = "") -> bool:
        request = ChangeState.Request(transition=Transition(id=number, label=label))
        return self.call(ChangeState, f"{name}/change_state", request).success

    def lead(self, name: str, *labels: str) -> None:
        for label in labels:
            await_true(lambda label=label: self.change(name, NUMBERS[label]), 15.0, label)

    def close(self) -> None:
        self._executor.shutdown()
        self._thread.join(5.0)
        assert not self._thread.is_alive()
        for node in (*self.nodes.values(), self.client):
            node.destroy_node()

    def _spin(self) -> None:
        try:
            self._executor.spin()
        except Exception as error:
            self.error = error


@pytest.fixture(scope="module")
def ros(tiny_bundle, tmp_path_factory) -> Iterator[None]:
    episodes = tmp_path_factory.mktemp("episodes")
    rclpy.init(
        args=[
            *("--ros-args", "-p", f"rig:={RIG}", "-p", f"bundle:={tiny_bundle}"),
            *("-p", f"folder:={episodes}", "-p", "buffer_mb:=20"),
        ]
    )
    yield
    rclpy.try_shutdown()


@pytest.fixture(scope="module")
def desk(ros) -> Iterator[Desk]:
    desk = Desk(
        control_node=ControlNode(FAKE_SERVO), policy_node=PolicyNode(), recorder_node=RecorderNode()
    )
    yield desk
    desk.close()


@dataclass(frozen=True)
class Holdings:
    """What a node, and the process that it is in, hold."""

    entities: tuple[int, ...]
    children: int
    shared: int
    threads: int
    descriptors: int


def holdings(node: ManagedNode) -> Holdings:
    pid = os.getpid()
    kinds = (node.timers, node.subscriptions, node.publishers, node.clients, node.services)
    # those of the thread that starts them
    children = "".join(p.read_text() for p in Path(f"/proc/{pid}/task").glob("*/children"))
    return Holdings(
        tuple(len(list(kind)) for kind in kinds),
        len(children.split()),
        len(list(Path("/dev/shm").glob(f"carp_{pid}_*"))),
        threading.active_count(),
        len(list(Path(f"/proc/{pid}/fd").iterdir())),
    )


def back_to_nothing(desk: Desk, name: str) -> None:
    state = desk.state(name)
    if state == ACTIVE:
        desk.lead(name, "deactivate", "cleanup")
    elif state == INACTIVE:
        desk.lead(name, "cleanup")
    assert desk.state(name) == UNCONFIGURED


OPERATIONS = st.one_of(
    st.sampled_from(tuple(NUMBERS)),
    st.sampled_from(tuple(NUMBERS)),
    st.sampled_from(ODD_NUMBERS),
    st.sampled_from(("service", "service", "label activate", "label nonsense", "label cleanup")),
)


@pytest.mark.parametrize("name", list(SERVICES))
@settings(max_examples=8, suppress_health_check=list(HealthCheck))
@given(operations=st.lists(OPERATIONS, min_size=4, max_size=16))
def test_whatever_the_order_a_node_is_where_its_lifecycle_says(desk, name, operations):
    back_to_nothing(desk, name)
    state = UNCONFIGURED
    for operation in operations:
        if operation == "service":
            for service, kind in SERVICES[name].items():
                answer = desk.call(kind, service, kind.Request())
                if state == UNCONFIGURED:
                    assert not answer.success
                    assert "is not configured" in answer.message
            continue
        if isinstance(operation, int):
            assert not desk.change(name, operation), operation
            continue
        label = operation.removeprefix("label ")
        number = 0 if operation.startswith("label") else NUMBERS[label]
        done = desk.change(name, number, label if operation.startswith("label") else "")
        leads_to = LEADS.get((state, label))
        if leads_to is None:
            assert not done
        elif name == "control_node" and label == "activate" and not done:
            pass  # the servo does not tick yet
        else:
            assert done, (state, operation)
            state = leads_to
        assert desk.state(name) == state


@pytest.mark.parametrize("name", list(SERVICES))
def test_configuring_again_and_again_leaks_nothing(desk, name):
    node = desk.nodes[name]
    back_to_nothing(desk, name)
    for round_number in range(4):
        desk.lead(name, "configure", "activate", "deactivate", "activate")
        if name == "recorder_node":
            desk.call(Trigger, "recorder/start", Trigger.Request())
        desk.lead(name, "deactivate", "cleanup")
        if round_number == 0:  # what is imported or made once is not leaked
            before = holdings(node)
    time.sleep(0.1)
    after = holdings(node)
    assert after.descriptors <= before.descriptors + 1
    assert (after.entities, after.children, after.shared) == (
        before.entities,
        before.children,
        before.shared,
    )
    assert after.threads <= before.threads
    assert after.shared == 0


def test_an_episode_that_runs_when_the_recorder_is_switched_off_is_kept(desk):
    desk.lead("recorder_node", "configure", "activate")
    answer = desk.call(Trigger, "recorder/start", Trigger.Request())
    assert answer.success, answer.message
    time.sleep(0.3)
    desk.lead("recorder_node", "deactivate", "cleanup")
    folder = Path(answer.message)
    await_true(lambda: (folder / "metadata.yaml").exists(), 5.0, "a finished episode")


class Odd(ManagedNode):
    """Fails where it is told to."""

    def __init__(self) -> None:
        super().__init__("odd_node")
        self.fails: dict[str, Exception] = {}
        self.steps: list[str] = []
        self.offer(Trigger, "odd/ask", self._on_ask)

    def configure(self) -> None:
        self.create_timer(10.0, lambda: None)
        self._step_of("configure")

    def activate(self) -> None:
        self.create_timer(10.0, lambda: None)
        self._step_of("activate")

    def deactivate(self) -> None:
        self._step_of("deactivate")

    def cleanup(self) -> None:
        self._step_of("cleanup")

    def _step_of(self, step: str) -> None:
        self.steps.append(step)
        if step in self.fails:
            raise self.fails[step]

    def _on_ask(self, request, response):
        if "ask" in self.fails:
            raise self.fails["ask"]
        response.success = True
        return response


@pytest.fixture
def odd(ros) -> Iterator[Desk]:
    desk = Desk(odd_node=Odd())
    yield desk
    desk.nodes["odd_node"].fails.clear()
    desk.close()


def test_a_step_that_is_not_possible_yet_leaves_the_node_as_it_was(odd):
    node = odd.nodes["odd_node"]
    node.fails["configure"] = DeviceError("not there yet")
    assert not odd.change("odd_node", NUMBERS["configure"])
    assert odd.state("odd_node") == UNCONFIGURED
    assert list(node.timers) == []
    node.fails = {"activate": DeviceError("not there yet")}
    assert odd.change("odd_node", NUMBERS["configure"])
    assert not odd.change("odd_node", NUMBERS["activate"])
    assert odd.state("odd_node") == INACTIVE
    assert len(list(node.timers)) == 1
    node.fails.clear()
    assert odd.change("odd_node", NUMBERS["activate"])


@pytest.mark.parametrize("step", ["configure", "activate", "deactivate", "cleanup"])
def test_a_step_that_raises_leads_to_a_node_that_can_be_configured_anew(odd, step):
    node = odd.nodes["odd_node"]
    node.fails[step] = ZeroDivisionError("a bug")
    for label in NUMBERS:
        done = odd.change("odd_node", NUMBERS[label])
        if label == step:
            assert not done
            break
        assert done
    assert odd.state("odd_node") == UNCONFIGURED
    assert list(node.timers) == []
    assert node.callback_guard.counts.total() >= 1
    node.fails.clear()
    odd.lead("odd_node", "configure", "activate")
    assert odd.state("odd_node") == ACTIVE


def test_what_ends_an_active_node_holds_it_first(odd):
    node = odd.nodes["odd_node"]
    odd.lead("odd_node", "configure", "activate")
    assert odd.change("odd_node", Transition.TRANSITION_ACTIVE_SHUTDOWN)
    assert node.steps == ["configure", "activate", "deactivate", "cleanup"]
    assert odd.state("odd_node") == FINALIZED
    for number in range(12):
        assert not odd.change("odd_node", number)
    assert not odd.call(Trigger, "odd/ask", Trigger.Request()).success


def test_a_service_that_raises_is_answered_with_the_reason(odd):
    node = odd.nodes["odd_node"]
    odd.lead("odd_node", "configure")
    node.fails["ask"] = KeyError("uid")
    answer = odd.call(Trigger, "odd/ask", Trigger.Request())
    assert not answer.success
    assert "KeyError: 'uid'" in answer.message
    node.fails.clear()
    assert odd.call(Trigger, "odd/ask", Trigger.Request()).success


def test_a_parameter_of_no_kind_is_refused(odd):
    odd_value = ParameterMessage(name="use_sim_time", value=ParameterValue(type=77))
    sim_time = Parameter("use_sim_time", Parameter.Type.BOOL, True).to_parameter_msg()
    for parameter in (odd_value, sim_time):
        request = SetParameters.Request(parameters=[parameter])
        answer = odd.call(SetParameters, "odd_node/set_parameters", request)
        assert not answer.results[0].successful
        assert answer.results[0].reason
