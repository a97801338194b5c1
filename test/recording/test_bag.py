import dataclasses
import resource

import pytest
from mcap.reader import make_reader
from mcap.records import Chunk
from mcap.stream_reader import StreamReader
from rosbags.highlevel import AnyReader
from rosbags.rosbag2 import Reader
from rosbags.typesys import Stores, get_typestore

from carp_ros.errors import DeviceError, MessageError
from carp_ros.recording.bag import mcap_file, read_info, read_messages, write_info


def test_what_is_written_is_read(tmp_path, write_episode, content):
    final = write_episode(tmp_path / "a")
    assert list(read_messages(tmp_path / "a")) == content
    assert read_info(tmp_path / "a") == final


def test_what_is_flushed_is_read_while_it_is_recorded(tmp_path, begin, content, info):
    writer = begin(tmp_path / "a")
    assert read_info(tmp_path / "a") == info
    for message in content[:30]:
        writer.write(*message)
    writer.flush()
    for message in content[30:33]:
        writer.write(*message)
    assert list(read_messages(tmp_path / "a")) == content[:30]
    writer.discard()
    assert not (tmp_path / "a").exists()


def test_rosbags_reads_messages_types_and_custom_data(tmp_path, write_episode, content):
    write_episode(tmp_path / "a")
    with AnyReader([tmp_path / "a"]) as reader:
        images = [c for c in reader.connections if c.topic == "/wrist_cam/image_raw/compressed"]
        found = list(reader.messages())
        assert [(c.topic, stamp, bytes(data)) for c, stamp, data in found] == content
        _, _, data = next(reader.messages(images))
        message = reader.deserialize(data, images[0].msgtype)
        assert message.header.frame_id == "wrist_cam_optical_frame"
    store = get_typestore(Stores.ROS2_JAZZY)
    with Reader(tmp_path / "a") as reader:
        for connection in reader.connections:
            assert connection.digest == store.hash_rihs01(connection.msgtype)
            assert len(connection.ext.offered_qos_profiles) == 1


def test_the_mcap_tools_find_index_statistics_and_right_checksums(tmp_path, write_episode, content):
    write_episode(tmp_path / "a")
    with mcap_file(tmp_path / "a").open("rb") as file:
        reader = make_reader(file, validate_crcs=True)
        summary = reader.get_summary()
        assert summary is not None
        assert summary.statistics is not None
        assert summary.statistics.message_count == len(content)
        assert summary.statistics.chunk_count == len(summary.chunk_indexes) == 4
        assert {schema.encoding for schema in summary.schemas.values()} == {"ros2msg"}
        begin_ns, end_ns = content[90][1], content[180][1]
        found = [
            (channel.topic, message.log_time, message.data)
            for _, channel, message in reader.iter_messages(
                starting_at=begin_ns, ending_before=end_ns
            )
        ]
        assert sorted(found) == sorted(content[90:180])
        file.seek(0)
        chunks = [
            record
            for record in StreamReader(file, emit_chunks=True, validate_crcs=True).records
            if isinstance(record, Chunk)
        ]
        assert all(chunk.uncompressed_crc for chunk in chunks)
        for chunk, index in zip(chunks, summary.chunk_indexes):
            assert chunk.message_start_time == index.message_start_time
            assert len(chunk.data) == index.uncompressed_size


def test_a_relabelled_episode_differs_in_its_label_alone(tmp_path, write_episode, content):
    final = write_episode(tmp_path / "a")
    changed = dataclasses.replace(final, success=None, seed=None, operator="1e3", reasons=())
    write_info(tmp_path / "a", changed)
    assert read_info(tmp_path / "a") == changed
    with Reader(tmp_path / "a") as reader:
        assert reader.message_count == len(content)


def test_an_episode_never_takes_the_place_of_another(tmp_path, write_episode):
    write_episode(tmp_path / "a")
    with pytest.raises(ValueError, match="exists already; expected a new folder's name"):
        write_episode(tmp_path / "a")


def test_a_folder_that_is_no_episode_is_refused(tmp_path):
    with pytest.raises(ValueError, match=r"neither metadata\.yaml nor unfinished\.yaml"):
        read_info(tmp_path)
    with pytest.raises(ValueError, match="neither"):
        write_info(tmp_path, None)
    with pytest.raises(ValueError, match="has 0 MCAP files"):
        next(read_messages(tmp_path))


def test_a_foreign_bag_is_refused_by_name(tmp_path):
    (tmp_path / "metadata.yaml").write_text("rosbag2_bagfile_information: {custom_data: null}\n")
    with pytest.raises(ValueError, match="expected a bag that carp recorded"):
        read_info(tmp_path)


def test_a_disk_that_takes_no_more_is_said_once_and_for_all(tmp_path, begin, content):
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    writer = begin(tmp_path / "a")
    for message in content[:90]:
        writer.write(*message)
    writer.flush()
    resource.setrlimit(resource.RLIMIT_FSIZE, (mcap_file(tmp_path / "a").stat().st_size + 50, hard))
    try:
        for message in content[90:]:
            writer.write(*message)
        with pytest.raises(
            DeviceError, match=r"a: File too large .* MB free\); make room .*recover"
        ):
            writer.flush()
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    with pytest.raises(DeviceError, match="File too large"):
        writer.write(*content[0])
    assert list(read_messages(tmp_path / "a")) == content[:90]


def test_a_stamp_that_no_bag_holds_is_refused_and_the_next_message_is_written(
    tmp_path, begin, content, info
):
    writer = begin(tmp_path / "a")
    topic, _, cdr = content[0]
    for stamp_ns in (-1, 1 << 63):
        with pytest.raises(MessageError, match="expected nanoseconds since 1970"):
            writer.write(topic, stamp_ns, cdr)
    writer.write(*content[0])
    writer.finish(info)
    assert list(read_messages(tmp_path / "a")) == content[:1]
