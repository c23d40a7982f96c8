"""The command `newsletter` without its start-up: forked from an interpreter that has imported everything already.

Imports are most of what a short command takes; whoever types dozens of them waits for nothing else. Arguments,
environment, folder and the three streams are the caller's, and a fresh process ends with its exit code. Only signals
do not reach it: what is about Ctrl-C starts the installed command.
"""

import gc
import json
import os
import pkgutil
import signal
import socket
import stat
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from importlib import import_module
from pathlib import Path

CLIENT = """#!{python} -ISs
import json, os, socket, sys
talk = socket.socket(socket.AF_UNIX)
talk.connect({address!r})
said = json.dumps([sys.argv, dict(os.environ), os.getcwd()]).encode()
socket.send_fds(talk, [len(said).to_bytes(8, "big")], [0, 1, 2])
talk.sendall(said)
sys.exit(int(talk.recv(8) or b"70"))
"""
"""`newsletter` as a shell finds it: hands all it has to the server, and ends as what that started did."""


@contextmanager
def ready_command(folder: Path) -> Iterator[Path]:
    """Yield a folder for PATH whose `newsletter` starts at once."""
    address = str(folder / "newsletter.socket")
    (folder / "bin").mkdir()
    command = folder / "bin" / "newsletter"
    command.write_text(CLIENT.format(python=sys.executable, address=address), encoding="utf-8")
    command.chmod(command.stat().st_mode | stat.S_IXUSR)
    server = subprocess.Popen([sys.executable, __file__, address])
    try:
        while not Path(address).exists():
            assert server.poll() is None, "the interpreter that commands are forked from did not start"
            time.sleep(0.02)
        yield command.parent
    finally:
        server.terminate()
        server.wait()


def import_all() -> None:
    """Import what any command may need; a module that needs a broker or a relay only asks for it later."""
    import newsletter  # noqa: PLC0415  only the server imports it, the tests have their own

    for module in pkgutil.walk_packages(newsletter.__path__, "newsletter."):
        if not module.name.endswith("__main__") and ".migrations" not in module.name:
            import_module(module.name)


def serve(address: str) -> None:
    """Fork a process for each caller; in it, return with the command's streams, folder and words in place."""
    listening = socket.socket(socket.AF_UNIX)
    listening.bind(f"{address}.new")
    listening.listen(8)
    Path(f"{address}.new").rename(address)  # there once it listens
    while True:
        talk, _ = listening.accept()
        if os.fork():
            talk.close()
            with suppress(ChildProcessError):
                while os.waitpid(-1, os.WNOHANG)[0]:
                    pass
            continue
        listening.close()
        _answer(talk)
        return


def _answer(talk: socket.socket) -> None:
    """Fork once more: one process runs the command, as any, to its end; this one tells how it ended."""
    size, streams, _, _ = socket.recv_fds(talk, 8, 3)
    wanted, said = int.from_bytes(size, "big"), b""
    while len(said) < wanted:
        said += talk.recv(1 << 20)
    if running := os.fork():
        _, status = os.waitpid(running, 0)
        talk.sendall(str(os.waitstatus_to_exitcode(status) % 256).encode())
        os._exit(0)
    talk.close()
    for number, stream in enumerate(streams):
        os.dup2(stream, number)
        os.close(stream)
    sys.argv[:], environment, folder = json.loads(said)
    os.environ.clear()
    os.environ.update(environment)
    os.chdir(folder)
    time.tzset()
    signal.signal(signal.SIGTERM, signal.SIG_DFL)


if __name__ == "__main__":
    import_all()
    gc.freeze()  # so that collecting garbage copies none of the pages that the commands share
    serve(sys.argv[1])
    from newsletter.cli.main import main

    main()
