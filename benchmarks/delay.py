"""A proxy that delays: `python -m benchmarks.delay PORT MILLISECONDS` prints its own port; PORT seems that far away.

Half the delay is added on each way, however much is under way at once, as a long cable would.
"""

import asyncio
import sys
from collections.abc import Awaitable
from contextlib import suppress

READ_BYTES = 256 * 1024


async def carry(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, seconds: float) -> None:
    """Pass on what comes, each piece *seconds* after it came."""
    loop = asyncio.get_running_loop()
    while data := await reader.read(READ_BYTES):
        loop.call_later(seconds, writer.write, data)
    loop.call_later(seconds, writer.close)


async def serve(port: int, seconds: float) -> None:
    """Listen for ever; print where."""

    async def pass_on(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        far_reader, far_writer = await asyncio.open_connection("127.0.0.1", port)
        ways: list[Awaitable[None]] = [carry(reader, far_writer, seconds / 2), carry(far_reader, writer, seconds / 2)]
        with suppress(ConnectionError):
            await asyncio.gather(*ways)

    server = await asyncio.start_server(pass_on, "127.0.0.1", 0)
    sys.stdout.write(f"{server.sockets[0].getsockname()[1]}\n")
    sys.stdout.flush()
    await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(serve(int(sys.argv[1]), float(sys.argv[2]) / 1000))
