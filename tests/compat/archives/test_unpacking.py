"""Archives are unpacked within limits, whole or not at all."""

from __future__ import annotations

import errno
import gzip
import io
import os
import tarfile
from collections.abc import Callable
from pathlib import Path

import pytest
from allennlp.common.checks import ConfigurationError
from allennlp.models import load_archive

from allennlp_saliency.compat.archives import unpacking
from allennlp_saliency.compat.archives.unpacking import GIB, MAX_GIB, MAX_MEMBERS, Limits, unpack

Pack = Callable[[Path, Path], Path]


class Zeros(io.RawIOBase):
    """So many zeros."""

    def __init__(self, size: int) -> None:
        self.left = size

    def read(self, size: int = -1) -> bytes:
        given = min(size, self.left)
        self.left -= given
        return bytes(given)


def tar(path: Path, *members: tuple[str, bytes | int | str]) -> Path:
    """A tar file of members: bytes, so many zeros, or a link to a name."""
    with tarfile.open(path, "w:gz", compresslevel=1) as made:
        for name, content in members:
            member = tarfile.TarInfo(name)
            if isinstance(content, str):
                member.type, member.linkname = tarfile.SYMTYPE, content
                made.addfile(member)
                continue
            member.size = content if isinstance(content, int) else len(content)
            made.addfile(
                member, Zeros(content) if isinstance(content, int) else io.BytesIO(content)
            )
    return path


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    made = tmp_path / "unpacked"
    made.mkdir()
    return made


def refused(archive: Path, folder: Path, limits: Limits | None = None) -> str:
    with pytest.raises(ConfigurationError) as caught:
        unpack(archive, folder, limits=limits)
    message = str(caught.value)
    assert message.startswith(f"The archive {archive} was not loaded: ")
    assert str(folder) not in message
    return message


def test_what_was_packed_is_unpacked(tmp_path: Path, folder: Path) -> None:
    large = os.urandom(3 * unpacking._CHUNK + 5)
    archive = tar(
        tmp_path / "m.tar.gz",
        ("a/large", large),
        ("a/empty", b""),
        ("./here", b"first"),
        ("here", b"second"),
        ("a/é" + "x" * 200, b"long"),
        ("before", "a/large"),
        ("a/link", "../here"),
    )
    unpack(archive, folder)
    assert (folder / "a" / "large").read_bytes() == large
    assert (folder / "before").read_bytes() == large
    assert (folder / "a" / "link").read_bytes() == b"second"
    assert (folder / "here").read_bytes() == b"second"
    assert (folder / "a" / ("é" + "x" * 200)).read_bytes() == b"long"
    assert not [path for path in folder.rglob("*") if path.is_symlink()]


def test_a_hard_link_is_one_more_name(tmp_path: Path, folder: Path) -> None:
    (tmp_path / "one").write_text("x")
    os.link(tmp_path / "one", tmp_path / "two")
    with tarfile.open(tmp_path / "m.tar.gz", "w:gz") as made:
        made.add(tmp_path / "one", arcname="deep/one")
        made.add(tmp_path / "two", arcname="deep/two")
    unpack(tmp_path / "m.tar.gz", folder)
    assert (folder / "deep" / "two").read_text() == "x"


def test_three_gibibytes_of_zeros_are_refused_unwritten(tmp_path: Path, folder: Path) -> None:
    # A header that claims them is enough: the refusal comes before the content.
    archive = tmp_path / "m.tar.gz"
    with gzip.open(archive, "wb") as made:
        member = tarfile.TarInfo("weights.th")
        member.size = 3 * GIB
        made.write(member.tobuf())
        made.write(bytes(2**20))
    message = refused(archive, folder)
    assert "its member 'weights.th' has 3.00 GiB" in message
    assert "the limit is 1.00 GiB" in message
    assert f"{MAX_GIB}=7" in message
    assert list(folder.iterdir()) == []


def test_the_limit_is_the_users(
    tmp_path: Path, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    archive = tar(tmp_path / "m.tar.gz", ("a", 3 * 2**20), ("b", 3 * 2**20))
    monkeypatch.setenv(MAX_GIB, str(4 / 1024))
    message = refused(archive, folder)
    assert "its member 'b'" in message
    assert MAX_GIB in message
    (folder / "a").unlink()
    monkeypatch.setenv(MAX_GIB, "1")
    unpack(archive, folder)
    assert (folder / "b").stat().st_size == 3 * 2**20


@pytest.mark.parametrize("value", ["many", "0", "-1", "nan", "inf"])
def test_a_limit_is_a_number(
    tmp_path: Path, folder: Path, monkeypatch: pytest.MonkeyPatch, value: str
) -> None:
    monkeypatch.setenv(MAX_GIB, value)
    with pytest.raises(ConfigurationError, match=f"{MAX_GIB} is no number: '{value}'"):
        unpack(tar(tmp_path / "m.tar.gz", ("a", b"x")), folder)


def test_only_zeros_shrink_to_a_hundredth() -> None:
    limits = Limits()
    assert limits.most_bytes(3 * 2**20) == GIB
    assert limits.most_bytes(GIB // 16) == 100 * (GIB // 16)
    assert limits.most_bytes(15 * GIB) == 20 * GIB
    assert Limits(gib=50, ratio=None).most_bytes(1) == 50 * GIB


def test_the_number_of_members_is_limited(
    tmp_path: Path, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    archive = tar(tmp_path / "m.tar.gz", *((f"{number}", b"") for number in range(12)))
    monkeypatch.setenv(MAX_MEMBERS, "10")
    assert f"more than 10 members. If that is right, raise the limit: {MAX_MEMBERS}=100" in refused(
        archive, folder
    )
    monkeypatch.setenv(MAX_MEMBERS, "12")
    unpack(archive, folder)


@pytest.mark.parametrize("kind", [tarfile.XHDTYPE, tarfile.GNUTYPE_LONGNAME, tarfile.XGLTYPE])
def test_a_header_does_not_fill_the_memory(tmp_path: Path, folder: Path, kind: bytes) -> None:
    archive = tmp_path / "m.tar.gz"
    with gzip.open(archive, "wb") as made:
        member = tarfile.TarInfo("x")
        member.type, member.size = kind, 2**28
        made.write(member.tobuf())
        made.write(bytes(2**20))
    assert "a header of it claims 268,435,456 bytes" in refused(archive, folder)


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (b"", "it is no .tar.gz archive but an empty file"),
        (b"PK\x03\x04 and so on", "it is no .tar.gz archive but a zip file"),
        (b"BZh9 and so on", "it is no .tar.gz archive but a .bz2 file"),
        (b"\xfd7zXZ\x00 and so on", "it is no .tar.gz archive but an .xz file"),
        (b"version https://git-lfs", "it is no .tar.gz archive but a file that starts with"),
        (gzip.compress(b"", mtime=0), "it is damaged (ReadError: empty file)"),
        (gzip.compress(b"no tar at all" * 100, mtime=0), "it is damaged (ReadError: "),
        (gzip.compress(b"x" * 10_000, mtime=0)[:20], "it is cut short"),
    ],
    # A name that does not depend on the content: workers that collect at another second, or with
    # another zlib, must find the same tests.
    ids=["empty", "zip", "bzip2", "xz", "git-lfs", "empty-gzip", "no-tar", "cut-short"],
)
def test_what_is_no_archive_is_named(
    tmp_path: Path, folder: Path, content: bytes, says: str
) -> None:
    (tmp_path / "m.tar.gz").write_bytes(content)
    assert says in refused(tmp_path / "m.tar.gz", folder)


def test_a_tar_file_that_is_not_compressed(tmp_path: Path, folder: Path) -> None:
    with tarfile.open(tmp_path / "m.tar.gz", "w") as made:
        made.add(__file__, arcname="x")
    assert "a tar file that is not compressed" in refused(tmp_path / "m.tar.gz", folder)


def test_an_archive_that_is_cut_short(tmp_path: Path, folder: Path) -> None:
    archive = tar(tmp_path / "m.tar.gz", ("first", b"x"), ("weights.th", os.urandom(2**20)))
    whole = archive.read_bytes()
    for length in (10, 15, len(whole) // 2, len(whole) - 1):
        archive.write_bytes(whole[:length])
        message = refused(archive, folder)
        assert "it is cut short" in message
        assert length < 100 or "at its member 'weights.th'" in message


@pytest.mark.parametrize("at", [0.3, 0.6, 0.9])
def test_a_flipped_bit_is_noticed(tmp_path: Path, folder: Path, at: float) -> None:
    archive = tar(tmp_path / "m.tar.gz", ("first", b"x"), ("weights.th", os.urandom(2**20)))
    content = bytearray(archive.read_bytes())
    content[int(at * len(content))] ^= 1
    archive.write_bytes(content)
    assert "it is damaged, at its member 'weights.th'" in refused(archive, folder)


@pytest.mark.parametrize("names", [("a", "a/b"), ("a/b", "a"), (".",), ("a" * 300,)])
def test_a_member_in_an_impossible_place(
    tmp_path: Path, folder: Path, names: tuple[str, ...]
) -> None:
    archive = tar(tmp_path / "m.tar.gz", *((name, b"x") for name in names))
    assert f"it is damaged, at its member '{names[-1]}'" in refused(archive, folder)


@pytest.mark.parametrize(
    ("name", "target"),
    [("a", "b"), ("a", "a"), ("a", "/etc/passwd"), ("a/b", "../../x"), ("a", "."), ("a", "d")],
)
def test_a_link_is_to_a_file_of_the_archive(
    tmp_path: Path, folder: Path, name: str, target: str
) -> None:
    (tmp_path / "x").write_text("mine")
    archive = tar(tmp_path / "m.tar.gz", ("d/file", b"x"), (name, target))
    assert "not safe to extract" in refused(archive, folder)


def test_a_size_below_zero(tmp_path: Path, folder: Path) -> None:
    archive = tmp_path / "m.tar.gz"
    with gzip.open(archive, "wb") as made:
        member = tarfile.TarInfo("x")
        block = bytearray(member.tobuf())
        block[124:136] = (-512).to_bytes(12, "big", signed=True)
        block[148:156] = b"        "
        block[148:156] = b"%06o\0 " % sum(block)
        made.write(bytes(block) + bytes(2**16))
    assert "it is damaged, at its member 'x'" in refused(archive, folder)


def test_no_folder_is_too_deep_to_be_removed(tmp_path: Path, folder: Path) -> None:
    archive = tar(tmp_path / "m.tar.gz", ("a/" * 1500 + "x", b"x"))
    assert "more than 50 folders deep" in refused(archive, folder)


def test_a_name_does_not_write_to_the_terminal(tmp_path: Path, folder: Path) -> None:
    archive = tar(tmp_path / "m.tar.gz", ("../\x1b[2J", b"x"))
    assert "\x1b" not in refused(archive, folder)


def test_a_full_disk_leaves_nothing(
    plain_archive: Path,
    pack: Pack,
    tmp_path: Path,
    temporary: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    archive = pack(plain_archive, tmp_path / "m.tar.gz")
    write = unpacking._Unpacking._write

    def full(self: unpacking._Unpacking, path: Path, source: io.BytesIO) -> None:
        if path.name == "weights.th":
            path.write_bytes(b"some")
            raise OSError(errno.ENOSPC, "No space left on device")
        write(self, path, source)

    monkeypatch.setattr(unpacking._Unpacking, "_write", full)
    with pytest.raises(ConfigurationError) as caught:
        load_archive(archive)
    assert f"m.tar.gz was not loaded: the disk that it is unpacked to, at {temporary}" in str(
        caught.value
    )
    assert "at its member 'weights.th'. Make room, or set TMPDIR" in str(caught.value)


def test_a_disk_that_will_be_full_is_not_filled(
    tmp_path: Path, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    archive = tar(tmp_path / "m.tar.gz", ("large", 2**20))
    usage = type("Usage", (), {"free": 2**19})
    monkeypatch.setattr(unpacking.shutil, "disk_usage", lambda _: usage)
    assert "is full, at its member 'large'" in refused(archive, folder)
    assert list(folder.iterdir()) == []


def test_an_interrupt_leaves_nothing(
    plain_archive: Path,
    pack: Pack,
    tmp_path: Path,
    temporary: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    archive = pack(plain_archive, tmp_path / "m.tar.gz")

    def stop(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(unpacking._Unpacking, "_write", stop)
    with pytest.raises(KeyboardInterrupt):
        load_archive(archive)
