from carp_ros.stream_meter import StreamMeter


def test_a_stream_that_begins_at_zero_has_a_span():
    meter = StreamMeter(10.0)
    for stamp_ns in (0, 100_000_000, 200_000_000):
        meter.add(stamp_ns)
    assert meter.span_ns == 200_000_000
