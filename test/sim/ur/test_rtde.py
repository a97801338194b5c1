"""The RTDE port's bytes, without sockets."""

import struct
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from carp_ros.robots import UR5E
from carp_ros.sim.plant import KinematicPlant
from carp_ros.sim.ur import rtde
from carp_ros.sim.ur.controller import Controller
from carp_ros.sim.ur.registers import Registers
from carp_ros.sim.ur.rtde import Output, RtdeConnection, RtdeError, RtdeMessageReader, encode
from carp_ros.sim.ur.state import output_variables

VERSION = (5, 12, 0, 1101319)
FORMATS = {"DOUBLE": "d", "INT32": "i", "UINT32": "I", "VECTOR3D": "3d", "VECTOR6D": "6d"}
NUMBERS = {
    "d": st.floats(allow_nan=False),
    "i": st.integers(-(2**31), 2**31 - 1),
    "I": st.integers(0, 2**32 - 1),
}
messages = st.lists(st.tuples(st.integers(0, 255), st.binary(max_size=40)), max_size=8)


def split(data: bytes, cuts: list[int]) -> list[bytes]:
    places = [0, *sorted(cut % (len(data) + 1) for cut in cuts), len(data)]
    return [data[a:b] for a, b in pairwise(places)]


@st.composite
def variables(draw):
    kinds = draw(st.lists(st.sampled_from(sorted(FORMATS)), min_size=1, max_size=6))
    values = []
    for kind in kinds:
        count, number = FORMATS[kind][:-1], NUMBERS[FORMATS[kind][-1]]
        size = int(count or 1)
        values.append(tuple(draw(st.lists(number, min_size=size, max_size=size))))
    return kinds, values


def connection(outputs=None, registers=None) -> RtdeConnection:
    return RtdeConnection(outputs or {}, registers or Registers(), VERSION)


def ask(link: RtdeConnection, kind: int, payload: bytes = b"") -> bytes:
    """Return the payload of the one answer, which must be of the same type."""
    ((answered, answer),) = RtdeMessageReader().feed(link.receive(encode(kind, payload)))
    assert answered == kind
    return answer


@given(messages, st.lists(st.integers(0, 400), max_size=10))
def test_any_split_of_the_stream_gives_the_same_messages(sent, cuts):
    stream = b"".join(encode(kind, payload) for kind, payload in sent)
    reader = RtdeMessageReader()
    assert [m for part in split(stream, cuts) for m in reader.feed(part)] == sent


@given(st.binary(max_size=60))
def test_garbage_is_answered_or_refused_but_never_breaks_the_controller(garbage):
    link = connection(output_variables(Controller(UR5E, KinematicPlant(np.zeros(6)))))
    try:
        link.receive(garbage)
        link.cycle()
    except RtdeError:
        pass


@given(variables())
def test_a_client_decodes_what_the_controller_reports(drawn):
    kinds, values = drawn
    outputs = {
        f"v{i}": Output(kind, lambda value=value: value)
        for i, (kind, value) in enumerate(zip(kinds, values))
    }
    link = connection(outputs)
    names = ",".join(outputs).encode() + b","  # ur-rtde ends its lists with a comma
    answer = ask(link, rtde.SETUP_OUTPUTS, struct.pack(">d", 500.0) + names)
    assert answer == b"\x01" + ",".join(kinds).encode()
    assert ask(link, rtde.START) == b"\x01"
    ((kind, payload),) = RtdeMessageReader().feed(link.cycle())
    layout = ">B" + "".join(FORMATS[kind] for kind in kinds)
    assert kind == rtde.DATA
    assert struct.unpack(layout, payload) == (1, *(x for value in values for x in value))


@given(st.integers(-(2**31), 2**31 - 1), st.lists(NUMBERS["d"], min_size=6, max_size=6))
def test_inputs_land_in_their_registers(command, numbers):
    registers = Registers()
    link = connection(registers=registers)
    names = "input_int_register_0," + "".join(f"input_double_register_{i}," for i in range(3, 9))
    assert ask(link, rtde.SETUP_INPUTS, names.encode()) == b"\x01INT32" + b",DOUBLE" * 6
    link.receive(encode(rtde.DATA, struct.pack(">Bi6d", 1, command, *numbers)))
    assert (registers.input_int[0], registers.input_double[3:9]) == (command, numbers)
    assert registers.command_count == 1


@given(st.lists(st.integers(-100, 100), min_size=1, max_size=8), st.integers(1, 3))
def test_commands_that_came_while_nobody_listened_are_taken_one_cycle_after_the_other(sent, most):
    registers = Registers()
    link = connection(registers=registers)
    ask(link, rtde.SETUP_INPUTS, b"input_int_register_0")
    came = b"".join(encode(rtde.DATA, struct.pack(">Bi", 1, number)) for number in sent)
    assert link.receive(came, 0) == b""
    taken = []
    while link.waiting:
        before = registers.command_count
        link.receive(b"", most)
        assert 1 <= registers.command_count - before <= most
        taken.append(registers.input_int[0])
    assert taken == sent[most - 1 :: most] + ([sent[-1]] if len(sent) % most else [])


def test_recipes_are_numbered_from_one_on_every_connection():
    registers = Registers()
    first, second = connection(registers=registers), connection(registers=registers)
    assert ask(first, rtde.SETUP_INPUTS, b"input_int_register_0")[0] == 1
    assert ask(first, rtde.SETUP_INPUTS, b"input_int_register_0,input_int_register_1")[0] == 2
    assert ask(second, rtde.SETUP_INPUTS, b"input_int_register_9")[0] == 1


def test_an_input_belongs_to_one_client_until_it_leaves():
    registers = Registers()
    first, second = connection(registers=registers), connection(registers=registers)
    ask(first, rtde.SETUP_INPUTS, b"input_int_register_0")
    assert ask(second, rtde.SETUP_INPUTS, b"input_int_register_0") == b"\x00IN_USE"
    first.close()
    assert ask(second, rtde.SETUP_INPUTS, b"input_int_register_0") == b"\x01INT32"


def test_unknown_variables_are_named_not_found():
    link = connection({"timestamp": Output("DOUBLE", lambda: (0.0,))})
    names = struct.pack(">d", 500.0) + b"timestamp,nonsense"
    assert ask(link, rtde.SETUP_OUTPUTS, names) == b"\x00DOUBLE,NOT_FOUND"
    assert ask(link, rtde.SETUP_INPUTS, b"nonsense") == b"\x00NOT_FOUND"
    assert ask(link, rtde.START) == b"\x00"


def test_data_of_the_wrong_size_changes_nothing_and_says_so():
    registers = Registers()
    link = connection(registers=registers)
    ask(link, rtde.SETUP_INPUTS, b"input_int_register_0")
    ((kind, text),) = RtdeMessageReader().feed(
        link.receive(encode(rtde.DATA, struct.pack(">Bid", 1, 7, 1.0)))
    )
    assert kind == rtde.TEXT
    assert b"fit no recipe" in text
    assert registers.input_int[0] == 0


def test_a_client_gets_the_rate_it_asked_for():
    link = connection({"timestamp": Output("DOUBLE", lambda: (0.0,))})
    ask(link, rtde.SETUP_OUTPUTS, struct.pack(">d", 125.0) + b"timestamp")
    ask(link, rtde.START)
    assert [bool(link.cycle()) for _ in range(8)] == [False, False, False, True] * 2
    ask(link, rtde.PAUSE)
    assert not any(link.cycle() for _ in range(8))


def test_only_protocol_version_two_is_spoken():
    assert ask(connection(), rtde.REQUEST_VERSION, b"\x00\x02") == b"\x01"
    assert ask(connection(), rtde.REQUEST_VERSION, b"\x00\x01") == b"\x00"
    assert struct.unpack(">4I", ask(connection(), rtde.CONTROLLER_VERSION)) == VERSION


def test_a_message_shorter_than_its_header_is_refused():
    with pytest.raises(RtdeError, match="2 bytes"):
        connection().receive(b"\x00\x02V")
