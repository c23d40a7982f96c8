"""Documents packed for the wire, when somebody asks for them so, and fragments for the database."""

import zlib

import brotli

GZIP_LEVEL = 1
BROTLI_QUALITY = 4
"""Level 6 of gzip takes 4 times as long as 1 for a fifth fewer bytes; whoever cares for bytes takes Brotli."""

_HEAD = b"\x1f\x8b\x08\x00\x00\x00\x00\x00\x00\xff"  # RFC 1952: no time, no name, no system


def pack_gzip(body: bytes) -> bytes:
    """Return *body* by gzip; the same bytes for the same body, on any machine and at any time."""
    packer = zlib.compressobj(GZIP_LEVEL, zlib.DEFLATED, -zlib.MAX_WBITS, zlib.DEF_MEM_LEVEL)
    end = zlib.crc32(body).to_bytes(4, "little") + (len(body) & 0xFFFFFFFF).to_bytes(4, "little")
    return b"".join((_HEAD, packer.compress(body), packer.flush(), end))


def pack_brotli(body: bytes) -> bytes:
    """Return *body* by Brotli (RFC 7932)."""
    packed: bytes = brotli.compress(body, mode=brotli.MODE_TEXT, quality=BROTLI_QUALITY)
    return packed


def unpack_brotli(packed: bytes) -> bytes:
    """Return the bytes that were packed by Brotli."""
    body: bytes = brotli.decompress(packed)
    return body
