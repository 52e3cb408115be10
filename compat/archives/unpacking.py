"""Unpacking an archive: files and folders below one folder, no more of them than is sensible."""

from __future__ import annotations

import errno
import gzip
import os
import shutil
import tarfile
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import IO, Any

from .source import refusal

GIB = 2**30
MAX_GIB = "ALLENNLP_SALIENCY_MAX_UNPACKED_GIB"
MAX_MEMBERS = "ALLENNLP_SALIENCY_MAX_MEMBERS"
_CHUNK = 2**18
_LONGEST_HEADER = 2**20
_DEEPEST = 50  # Python removes folders recursively


@dataclass(frozen=True)
class Limits:
    """How much an archive may unpack to.

    Args:
        gib: All members together, in GiB.
        members: How many there may be.
        ratio: How many times its own size the archive may unpack to once that is more than a GiB;
            None for any. Weights shrink by a tenth; only zeros shrink to a hundredth.
    """

    gib: float = 20
    members: int = 10_000
    ratio: float | None = 100

    @classmethod
    def from_environment(cls) -> Limits:
        """The user's limits: who names a size means it, whatever the ratio.

        Raises:
            allennlp.common.checks.ConfigurationError: If a variable holds no positive number.
        """
        gib, members = _number(MAX_GIB), _number(MAX_MEMBERS)
        return cls(
            cls.gib if gib is None else gib,
            cls.members if members is None else int(members),
            cls.ratio if gib is None else None,
        )

    def most_bytes(self, packed: int) -> int:
        """How many bytes an archive of this size may unpack to."""
        most = self.gib * GIB
        return int(most if self.ratio is None else min(most, max(GIB, self.ratio * packed)))


def _number(variable: str) -> float | None:
    from allennlp.common.checks import ConfigurationError

    text = os.environ.get(variable)
    if not text:
        return None
    with suppress(ValueError):
        if 0 < float(text) < float("inf"):
            return float(text)
    raise ConfigurationError(f"The environment variable {variable} is no number: {text!r}.")


class _Unfit(Exception):
    """Why an archive is not unpacked."""


class _Counted:
    """A decompressed stream that ends with an error where the archive would grow too large."""

    def __init__(self, stream: gzip.GzipFile, most: int) -> None:
        self._stream = stream
        self.most = most

    def read(self, size: int = -1) -> bytes:
        if not 0 <= size <= _LONGEST_HEADER:
            raise _Unfit(f"a header of it claims {size:,} bytes")
        self.check(size)
        return self._stream.read(size)

    def seek(self, position: int, whence: int = os.SEEK_SET) -> int:
        if whence == os.SEEK_SET:
            self.check(position - self.tell())
        return self._stream.seek(position, whence)

    def tell(self) -> int:
        return self._stream.tell()

    def check(self, more: int) -> None:
        if self.tell() + more > self.most + _LONGEST_HEADER:
            raise _Unfit(too_large(self.tell() + more, self.most))


def too_large(size: int, most: int) -> str:
    """What to say about an archive that unpacks to more than the limit."""
    return (
        f"unpacked it is larger than {size / GIB:,.2f} GiB, and the limit is "
        f"{most / GIB:,.2f} GiB. If that is its right size, raise the limit: {MAX_GIB}="
        f"{int(size / GIB) * 2 + 1}"
    )


def unpack(
    archive: str | os.PathLike[str],
    folder: str | os.PathLike[str],
    name: str | None = None,
    limits: Limits | None = None,
) -> None:
    """Unpacks a `.tar.gz` archive.

    Only files and folders below `folder` are written. A link to a file of the archive becomes that
    file; every other link and every device is refused, so that no path leads out of the folder.
    What was written before an error stays: the folder is the caller's.

    Args:
        archive: The file.
        folder: An empty folder.
        name: What to call the archive in messages; its path by default.
        limits: How much it may unpack to; the user's environment's by default.

    Raises:
        allennlp.common.checks.ConfigurationError: If the archive is damaged, not safe or too
            large, or the disk is full.
    """
    limits = limits or Limits.from_environment()
    shown = name or os.fspath(archive)
    progress = _Unpacking(Path(folder), limits)
    try:
        progress.run(os.fspath(archive))
    except MemoryError:
        raise
    except Exception as error:
        reason = _reason(error, Path(archive), progress)
        reason = reason.replace(f"{os.fspath(folder)}/", "").replace(f"'{folder}'", "'.'")
        raise refusal(shown, f"{reason}.") from error


def _reason(error: Exception, archive: Path, progress: _Unpacking) -> str:
    at = f", at its member {progress.member!r}" if progress.member else ""
    if isinstance(error, _Unfit):
        return f"{error}{at}" if at and repr(progress.member) not in str(error) else str(error)
    if isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT):
        return (
            f"the disk that it is unpacked to, at {progress.folder.parent}, is full{at}. Make "
            "room, or set TMPDIR to a folder on another disk"
        )
    if isinstance(error, EOFError):
        return f"it is cut short{at}: get it again"
    if isinstance(error, gzip.BadGzipFile) and not progress.member:
        return f"it is no .tar.gz archive but {_kind(archive)}"
    if isinstance(error, FileNotFoundError | PermissionError) and not progress.member:
        return f"{error.strerror}"
    return f"it is damaged{at} ({type(error).__name__}: {error}): get it again"


def _kind(archive: Path) -> str:
    with archive.open("rb") as file:
        start = file.read(6)
    known = {b"PK": "a zip file", b"BZh": "a .bz2 file", b"\xfd7zXZ": "an .xz file"}
    if not start:
        return "an empty file"
    found = [kind for magic, kind in known.items() if start.startswith(magic)]
    if not found and tarfile.is_tarfile(archive):
        return "a tar file that is not compressed"
    return found[0] if found else f"a file that starts with {start!r}"


class _Unpacking:
    """One archive being unpacked, and which member it has got to."""

    def __init__(self, folder: Path, limits: Limits) -> None:
        self.folder = folder
        self.limits = limits
        self.member = ""

    def run(self, archive: str) -> None:
        packed = os.path.getsize(archive)
        if packed == 0:
            raise gzip.BadGzipFile("empty")
        with gzip.open(archive) as stream:
            counted: Any = _Counted(stream, self.limits.most_bytes(packed))
            with tarfile.open(fileobj=counted, mode="r:") as members:
                self._members(members, counted)
            # gzip compares its checksum where the stream ends.
            while counted.read(_CHUNK):
                pass

    def _members(self, members: tarfile.TarFile, counted: _Counted) -> None:
        links = []
        number = 0
        while (member := members.next()) is not None:
            number, self.member = number + 1, member.name
            if number > self.limits.members:
                raise _Unfit(
                    f"it has more than {self.limits.members:,} members. If that is right, raise "
                    f"the limit: {MAX_MEMBERS}={self.limits.members * 10}"
                )
            if member.size < 0:
                raise tarfile.ReadError("a size below 0")
            path = self._path(member.name)
            if member.isdir():
                path.mkdir(parents=True, exist_ok=True)
            elif member.issym() or member.islnk():
                links.append((path, member))
            elif member.isreg() and not member.issparse():
                self._check_size(member, counted)
                self._write(path, members.extractfile(member))
            else:
                raise _Unfit(
                    f"it is not safe to extract: its member {member.name!r} is neither a file, "
                    "nor a folder, nor a link"
                )
        for path, member in links:
            self.member = member.name
            self._link(path, member)

    def _path(self, name: str) -> Path:
        parts = PurePosixPath(name).parts
        if name.startswith("/") or ".." in parts or "\\" in name or "\0" in name:
            raise _Unfit(
                f"it is not safe to extract: its member {name!r} would be written outside the "
                "folder that it is unpacked to"
            )
        if len(parts) > _DEEPEST:
            raise _Unfit(f"its member {name!r:.100} is more than {_DEEPEST} folders deep")
        return self.folder.joinpath(*parts)

    def _check_size(self, member: tarfile.TarInfo, counted: _Counted) -> None:
        size = counted.tell() + member.size
        if size > counted.most:
            own = f"its member {member.name!r} has {member.size / GIB:,.2f} GiB"
            raise _Unfit(f"{own}; {too_large(size, counted.most)}")
        free = shutil.disk_usage(self.folder).free
        if member.size > free:
            raise OSError(errno.ENOSPC, f"{free:,} bytes are free")

    def _write(self, path: Path, source: IO[bytes] | None) -> None:
        with self._made(path).open("xb") as target:
            while source is not None and (chunk := source.read(_CHUNK)):
                target.write(chunk)

    def _made(self, path: Path) -> Path:
        """A path whose folder is there, and nothing in its place: of two members of one name the
        later one counts."""
        path.parent.mkdir(parents=True, exist_ok=True)
        path.unlink(missing_ok=True)
        return path

    def _link(self, path: Path, member: tarfile.TarInfo) -> None:
        """A link is one more name of a file that the archive has."""
        base = PurePosixPath(member.name).parent if member.issym() else PurePosixPath()
        joined = os.path.normpath(base / member.linkname)
        target = self.folder / joined
        if os.path.isabs(member.linkname) or joined.split("/")[0] == ".." or not target.is_file():
            raise _Unfit(
                f"it is not safe to extract: its member {member.name!r} is a link to "
                f"{member.linkname!r}, which is no file of the archive. Its author may pack the "
                "file itself, with `tar --dereference`"
            )
        os.link(target, self._made(path))
