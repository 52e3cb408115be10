"""A disk that is full: what is said, what is kept, and that the run goes on."""

from __future__ import annotations

import errno
import os
import resource
import signal
import subprocess
from pathlib import Path

import pytest

from allennlp_saliency.jobs import JobError, RunFolder
from tests.jobs.conftest import contents, in_child

from .canned import config, part, write_all


@pytest.mark.parametrize("code", [errno.ENOSPC, errno.EDQUOT])
@pytest.mark.parametrize("at", ["rows", "state", "rename"])
def test_a_full_disk_is_said_and_what_is_complete_is_kept(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, code: int, at: str
) -> None:
    write_all(tmp_path / "whole")
    path = tmp_path / "run"
    fsync, replace = os.fsync, Path.replace
    count = iter(range(100))

    def full(number: int) -> None:
        name = os.readlink(f"/proc/self/fd/{number}")
        wanted = "part-00001-of" if at == "rows" else "part-00001.json"
        if at != "rename" and wanted in name:
            raise OSError(code, os.strerror(code))
        fsync(number)

    def renamed(one: Path, other: Path) -> Path:
        if at == "rename" and "part-00001" in other.name:
            next(count)
            raise OSError(code, os.strerror(code))
        return replace(one, other)

    with monkeypatch.context() as patched:
        patched.setattr(os, "fsync", full)
        patched.setattr(Path, "replace", renamed)
        with pytest.raises(JobError) as caught:
            write_all(path)
    message = str(caught.value)
    assert str(path) in message
    assert os.strerror(code) in message
    assert " free)" in message
    assert "the same command goes on" in message
    assert list(RunFolder(path).done()) == [0]
    assert not list(path.rglob("*writing"))
    write_all(path)
    assert contents(path) == contents(tmp_path / "whole")


def test_a_file_that_outgrows_its_limit(tmp_path: Path) -> None:
    """The system itself refuses: a file of more than 600 bytes."""

    def do() -> None:
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        folder, _ = RunFolder.make(tmp_path / "run", config())
        resource.setrlimit(resource.RLIMIT_FSIZE, (600, 600))
        try:
            folder.write(0, part(0))
        except JobError as error:
            os._exit(7 if "File too large" in str(error) else 8)

    assert in_child(do) == 7
    assert not list((tmp_path / "run").rglob("part-*"))
    write_all(tmp_path / "whole")
    write_all(tmp_path / "run")
    assert contents(tmp_path / "run") == contents(tmp_path / "whole")


@pytest.mark.skipif(os.geteuid() != 0, reason="only root may mount a small disk")
def test_a_small_disk_that_is_full(tmp_path: Path) -> None:
    disk = tmp_path / "disk"
    disk.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=64k", "tmpfs", str(disk)]
    if subprocess.run(mount, capture_output=True, check=False).returncode:
        pytest.skip("no disk can be mounted here")
    try:
        filler = disk / "filler"
        folder, _ = RunFolder.make(disk / "run", config())
        folder.write(0, part(0))
        with pytest.raises(OSError, match="No space"):
            filler.write_bytes(bytes(128_000))
        with pytest.raises(JobError, match=r"No space left on device .* free"):
            folder.write(1, part(1))
        filler.unlink()
        write_all(disk / "run")
        write_all(tmp_path / "whole")
        assert contents(disk / "run") == contents(tmp_path / "whole")
    finally:
        subprocess.run(["umount", str(disk)], check=True)
