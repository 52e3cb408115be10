"""Files as bytes, whatever they are compressed with, and their lines, however long."""

from __future__ import annotations

import bz2
import gzip
import io
import lzma
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import IO, Any, cast

from allennlp.common.checks import ConfigurationError

MOST_BYTES = 1 << 26
"""A line of more bytes than these 64 MiB is cut: it is an error, and must not fill the memory."""

_BOM = b"\xef\xbb\xbf"
_CHUNK = 1 << 20

FAILURES = (OSError, EOFError, zlib.error, lzma.LZMAError)
"""What the readers of compressed files raise."""


@dataclass(frozen=True)
class Line:
    """A line of a file.

    Attributes:
        offset: Where it begins, in bytes from the beginning of what is decompressed.
        number: Its number in the file, from 1.
        content: Its bytes, the end of the line included.
        cut: Whether it was longer, and the rest was left out.
    """

    offset: int
    number: int
    content: bytes
    cut: bool = False

    @property
    def text(self) -> str:
        """The line, bytes that are no UTF-8 as surrogates."""
        return self.content.decode("utf-8", "surrogateescape")


def _zstd(path: str) -> IO[bytes]:
    try:
        import zstandard
    except ModuleNotFoundError as error:
        raise ConfigurationError(
            f"{path} is compressed with zstd: pip install zstandard reads it, or unpack it (zstd "
            "-d)"
        ) from error
    file = open(path, "rb")  # noqa: SIM115  closed with its reader
    reader = zstandard.ZstdDecompressor().stream_reader(file, read_across_frames=True)
    return cast(IO[bytes], io.BufferedReader(_Zstd(reader, path)))


class _Zstd(io.RawIOBase):
    """The reader of zstandard, whose errors are those of files.

    Args:
        reader: The reader.
        path: The file, for messages.
    """

    def __init__(self, reader: Any, path: str) -> None:
        self._reader = reader
        self._path = path

    def readable(self) -> bool:
        """It is."""
        return True

    def readinto(self, buffer: Any) -> int:
        """As any raw stream.

        Raises:
            OSError: If the file is broken.
        """
        import zstandard

        try:
            return self._reader.readinto(buffer)
        except zstandard.ZstdError as error:
            raise OSError(f"{self._path} is no whole zstd file: {error}") from error

    def close(self) -> None:
        """Closes the file, too."""
        self._reader.close()
        super().close()


# By their first bytes, since names lie. All of them read bytes unless told otherwise.
_OPENERS: dict[bytes, Callable[[str], Any]] = {
    b"\x1f\x8b": gzip.open,
    b"BZh": bz2.open,
    b"\xfd7zXZ\x00": lzma.open,
    b"\x28\xb5\x2f\xfd": _zstd,
}

_NO_TEXT = {
    b"PAR1": "it is a Parquet file; say so: --format parquet",
    b"PK\x03\x04": "it is a zip archive or a workbook; unpack it, or save it as CSV",
    b"ARROW1": "it is an Arrow file; write it as Parquet, or name the folder of save_to_disk",
    b"\xff\xfe": "it is UTF-16; convert it: iconv -f UTF-16 -t UTF-8",
    b"\xfe\xff": "it is UTF-16; convert it: iconv -f UTF-16 -t UTF-8",
}


def is_compressed(path: str) -> bool:
    """Whether the file is compressed in a way that is known here."""
    with open(path, "rb") as file:
        first = file.read(8)
    return first.startswith(tuple(_OPENERS))


def opened(path: str) -> IO[bytes]:
    """The file's bytes, decompressed.

    Args:
        path: The file.

    Raises:
        ConfigurationError: If it needs a library that is not installed, or is no text at all.
        OSError: If it cannot be read.
    """
    with open(path, "rb") as file:
        first = file.read(8)
    for magic, what in _NO_TEXT.items():
        if first.startswith(magic):
            raise ConfigurationError(f"the input {path} is no text: {what}")
    for magic, opener in _OPENERS.items():
        if first.startswith(magic):
            return opener(path)
    return open(path, "rb")


def skip(file: IO[bytes], count: int) -> None:
    """Moves on by so many bytes, from the beginning: by reading where there is no seeking."""
    if isinstance(file, io.BufferedReader) and not isinstance(file.raw, _Zstd):
        file.seek(count)
        return
    while count > 0:
        read = len(file.read(min(count, _CHUNK)))
        if not read:
            return
        count -= read


def lines(
    file: IO[bytes],
    offset: int = 0,
    number: int = 1,
    most: int = MOST_BYTES,
    seen: Callable[[bytes], object] | None = None,
) -> Iterator[Line]:
    """The lines of a file from where it stands; blank ones, too.

    Args:
        file: The file.
        offset: Where it stands.
        number: The number of the line that begins there.
        most: How many bytes of a line are kept.
        seen: Gets all bytes, those that are cut included.
    """
    while content := file.readline(most + 1):
        length = len(content)
        if seen is not None:
            seen(content)
        cut = length > most
        if cut:
            kept, content = content[:most], content[-1:]
            while content and not content.endswith(b"\n"):
                content = file.readline(_CHUNK)
                length += len(content)
                if seen is not None:
                    seen(content)
            content = kept
        if offset == 0:
            content = content.removeprefix(_BOM)
        yield Line(offset, number, content, cut)
        offset += length
        number += 1
