"""A cheap SMTP sink: takes every mail, keeps none; `python -m benchmarks.sink` prints its port and serves until killed.

Written for being no bottleneck: one thread, epoll, all that a read brings is answered in one write. It offers
PIPELINING and understands what a sane client sends: EHLO, MAIL, RCPT, DATA, a body, RSET, NOOP, QUIT.
"""

import selectors
import socket
import sys

READ_BYTES = 1024 * 1024
END = b"\r\n.\r\n"
HELLO = b"250-sink\r\n250-PIPELINING\r\n250-8BITMIME\r\n250-SMTPUTF8\r\n250 SIZE 0\r\n"
OK = b"250 2.0.0 ok\r\n"


class Conversation:
    """One connection: *unread* is what came and is not answered yet."""

    def __init__(self, connection: socket.socket) -> None:
        self.connection = connection
        self.unread = bytearray()
        self.searched = 0
        self.is_body = False
        self.is_over = False

    def read(self) -> None:
        """Take what has come and answer it."""
        try:
            received = self.connection.recv(READ_BYTES)
        except ConnectionError:
            received = b""
        if not received:
            self.is_over = True
            return
        self.unread += received
        answers: list[bytes] = []
        while self._take(answers):
            pass
        if answers:
            self.connection.sendall(b"".join(answers))

    def _take(self, answers: list[bytes]) -> bool:
        """Answer one command or body; say whether there was a whole one."""
        if self.is_body:
            return self._take_body(answers)
        end = self.unread.find(b"\r\n")
        if end < 0:
            return False
        verb = bytes(self.unread[:4]).upper()
        del self.unread[: end + 2]
        if verb == b"DATA":
            self.unread[:0] = b"\r\n"  # so that a body that is a bare dot ends like any other
            self.is_body, self.searched = True, 0
            answers.append(b"354 go ahead\r\n")
        elif verb == b"EHLO":
            answers.append(HELLO)
        elif verb == b"QUIT":
            answers.append(b"221 2.0.0 bye\r\n")
            self.is_over = True
        else:
            answers.append(OK)
        return not self.is_over

    def _take_body(self, answers: list[bytes]) -> bool:
        end = self.unread.find(END, self.searched)
        if end < 0:
            self.searched = max(0, len(self.unread) - len(END))
            return False
        del self.unread[: end + len(END)]
        self.is_body = False
        answers.append(OK)
        return True


def serve(listening: socket.socket) -> None:
    """Take mail for ever."""
    ready = selectors.DefaultSelector()
    ready.register(listening, selectors.EVENT_READ)
    while True:
        for key, _ in ready.select():
            if key.data is None:
                connection, _ = listening.accept()
                connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                connection.sendall(b"220 sink ESMTP\r\n")
                ready.register(connection, selectors.EVENT_READ, Conversation(connection))
                continue
            key.data.read()
            if key.data.is_over:
                ready.unregister(key.fileobj)
                key.data.connection.close()


if __name__ == "__main__":
    with socket.create_server(("127.0.0.1", 0), backlog=100) as server:
        sys.stdout.write(f"{server.getsockname()[1]}\n")
        sys.stdout.flush()
        serve(server)
