"""The wire: how much has left is known to the byte."""

import socket
import threading

import pytest

from newsletter.domain.replies import Silence
from newsletter.mail.steps import finish
from newsletter.mail.wire import IOV_MAX, Wire, WireError


@pytest.fixture
def ends():
    """Two ends of a connection of which the far one reads nothing by itself."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        near = socket.create_connection(listener.getsockname())
        far, _ = listener.accept()
    with near, far:
        yield Wire(near), far


def read_all(far, count):
    received = bytearray()
    while len(received) < count:
        received += far.recv(65536)
    return bytes(received)


def test_many_pieces_of_all_sizes_arrive_in_order(ends):
    """More of them than one system call takes, and more bytes than the buffers hold."""
    wire, far = ends
    pieces = [bytes([number % 256]) * (number % 5000) for number in range(3 * IOV_MAX)]
    received = []
    reading = threading.Thread(target=lambda: received.append(read_all(far, sum(map(len, pieces)))))
    reading.start()
    finish(wire.write(pieces, 5))
    reading.join(5)

    assert b"".join(pieces) == received[0]


def test_what_could_not_be_written_is_counted(ends):
    wire, far = ends
    with pytest.raises(WireError) as broken:
        finish(wire.write([b"x" * 1000] * 30_000, 0.05))
    wire.close()
    arrived = 0
    while received := far.recv(1 << 20):
        arrived += len(received)

    assert broken.value.silence is Silence.TIMEOUT
    assert 30_000_000 - broken.value.unwritten == arrived < 30_000_000


def test_a_broken_connection_is_lost_and_not_late(ends):
    wire, far = ends
    far.close()
    with pytest.raises(WireError) as broken:
        finish(wire.write([b"x" * 100_000] * 100, 1))

    assert broken.value.silence is Silence.LOST


def test_replies_are_read_one_by_one_however_they_arrive(ends):
    wire, far = ends
    far.sendall(b"250-one\r\n250 two\r\n354 thr")

    assert "one two" == finish(wire.read(1)).reply.text
    assert not wire.is_quiet
    far.sendall(b"ee\n")
    assert "three" == finish(wire.read(1)).reply.text
    assert wire.is_quiet


def test_an_end_of_the_connection_is_not_quiet(ends):
    wire, far = ends
    assert wire.is_quiet
    far.close()

    assert not wire.is_quiet
    with pytest.raises(WireError):
        finish(wire.read(1))


def test_a_reply_that_does_not_come_is_late(ends):
    wire, far = ends
    far.sendall(b"250-half a reply\r\n")
    with pytest.raises(WireError) as broken:
        finish(wire.read(0.05))

    assert broken.value.silence is Silence.TIMEOUT
