"""Workers of Ray, with workers that explain nothing: who is lost, replaced, and what is said."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest
import torch
from allennlp.common.checks import ConfigurationError

from allennlp_saliency.jobs.engines.ray import RayEngine
from allennlp_saliency.jobs.errors import JobError
from allennlp_saliency.jobs.parts.part import Part

# Found, not imported: Ray reads what addresses it listens at when it is imported.
needs_ray = pytest.mark.skipif(
    not find_spec("ray"), reason="pip install 'allennlp-saliency[ray]' runs the tests of the engine"
)


class Numbers:
    """A worker whose parts are their numbers, the process, and what decides numbers there."""

    def __init__(self, folder: str) -> None:
        self.folder = Path(folder)

    def part(self, number: int) -> Part:
        about = {
            "process": os.getpid(),
            "threads": torch.get_num_threads(),
            "folder": os.getcwd(),
            "offline": os.environ.get("HF_HUB_OFFLINE"),
        }
        return Part([{"part": number}], [], about)


@dataclass(frozen=True)
class Making:
    """Makes such workers; sent to them by value, since tests are no package."""

    worker: Callable[[str], Any]
    folder: str

    def __call__(self) -> Any:
        return self.worker(self.folder)


class LosesOnce(Numbers):
    """Is killed by part 2, the first time."""

    def part(self, number: int) -> Part:
        seen = self.folder / "seen"
        if number == 2 and not seen.exists():
            seen.touch()
            os.kill(os.getpid(), signal.SIGKILL)
        return super().part(number)


class LosesAlways(Numbers):
    """Is killed by part 2."""

    def part(self, number: int) -> Part:
        with (self.folder / "tries").open("a") as file:
            file.write(f"{number}\n")
        if number == 2:
            os.kill(os.getpid(), signal.SIGKILL)
        return super().part(number)


class IsKilledAtOnce(Numbers):
    """Does not survive being made."""

    def __init__(self, folder: str) -> None:
        os.kill(os.getpid(), signal.SIGKILL)


class CannotBeMade(Numbers):
    """Raises while it is made."""

    def __init__(self, folder: str) -> None:
        (Path(folder) / f"made-{os.getpid()}").touch()
        raise ConfigurationError("the archive is broken")


class Fails(Numbers):
    """Raises what cannot be pickled."""

    def part(self, number: int) -> Part:
        class Odd(ValueError):
            def __init__(self, one: str, two: str) -> None:
                super().__init__(f"{one} {two}")

        raise Odd("no", "luck")


def test_ray_is_not_installed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "ray", None)
    with pytest.raises(ConfigurationError, match=r"pip install 'allennlp-saliency\[ray\]'"):
        RayEngine()


@needs_ray
@pytest.mark.parametrize("address", ["127.0.0.1:1", "ray://127.0.0.1:1", "nowhere"])
def test_a_cluster_that_is_not_there(address: str) -> None:
    begun = time.monotonic()
    handler = signal.getsignal(signal.SIGTERM)
    with pytest.raises(ConfigurationError, match=f"no Ray cluster can be reached at {address}: "):
        list(RayEngine(address).run(Making(Numbers, ""), [0]))
    assert time.monotonic() - begun < 60
    assert signal.getsignal(signal.SIGTERM) == handler


@needs_ray
@pytest.mark.parametrize(
    "settings", [{"workers": 0}, {"retries": -1}, {"gpus_per_worker": -1}, {"workers": 1.5}]
)
def test_settings_out_of_range(settings: dict[str, Any]) -> None:
    with pytest.raises(ConfigurationError, match=next(iter(settings))):
        RayEngine(**settings)


@pytest.fixture(scope="module")
def ray() -> Iterator[Any]:
    """Ray with two cores, once for these tests."""
    if not find_spec("ray"):
        pytest.skip("pip install 'allennlp-saliency[ray]' runs the tests of the engine")
    from allennlp_saliency.jobs.engines.ray_cluster import connected

    with connected(None, 2) as found:
        # Tests are no modules that a worker could import.
        found.cloudpickle.register_pickle_by_value(sys.modules[__name__])
        yield found


def _run(
    worker: Callable[[str], Any], folder: Path, parts: int = 6, **settings: Any
) -> dict[int, Part]:
    engine = RayEngine(**{"workers": 2, **settings})
    return dict(engine.run(Making(worker, str(folder)), range(parts)))


@pytest.mark.slow
def test_each_part_once_by_two_workers_like_this_process(ray: Any, tmp_path: Path) -> None:
    found = _run(Numbers, tmp_path, 12)
    assert {number: part.rows for number, part in found.items()} == {
        number: [{"part": number}] for number in range(12)
    }
    abouts = [part.statistics for part in found.values()]
    assert os.getpid() not in {about["process"] for about in abouts}
    assert {about["threads"] for about in abouts} == {torch.get_num_threads()}
    assert {about["folder"] for about in abouts} == {os.getcwd()}
    assert {about["offline"] for about in abouts} == {os.environ["HF_HUB_OFFLINE"]}
    assert not list(RayEngine(workers=2).run(Making(Numbers, ""), []))


@pytest.mark.slow
def test_a_lost_worker_is_replaced_and_its_part_done_again(ray: Any, tmp_path: Path) -> None:
    assert set(_run(LosesOnce, tmp_path)) == set(range(6))
    assert (tmp_path / "seen").exists()


@pytest.mark.slow
def test_a_part_that_no_worker_survives_is_named_and_the_others_are_done(
    ray: Any, tmp_path: Path
) -> None:
    found: list[int] = []
    engine = RayEngine(workers=1, retries=1)
    results = engine.run(Making(LosesAlways, str(tmp_path)), range(6))
    with pytest.raises(JobError, match=r"part 2 has ended 2 workers.*the same command goes on"):
        found.extend(number for number, _ in results)
    assert sorted(found) == [0, 1, 3, 4, 5]
    tries = (tmp_path / "tries").read_text().split()
    assert sorted(tries) == ["0", "1", "2", "2", "3", "4", "5"]


@pytest.mark.slow
def test_workers_that_are_lost_while_they_are_made(ray: Any, tmp_path: Path) -> None:
    with pytest.raises(JobError, match="2 workers one after another were lost while they loaded"):
        _run(IsKilledAtOnce, tmp_path, workers=1, retries=1)


@pytest.mark.slow
def test_a_worker_that_cannot_be_made_says_why_and_is_not_tried_again(
    ray: Any, tmp_path: Path
) -> None:
    with pytest.raises(ConfigurationError) as caught:
        _run(CannotBeMade, tmp_path)
    assert caught.value.message == "the archive is broken"
    assert 1 <= len(list(tmp_path.glob("made-*"))) <= 2


@pytest.mark.slow
def test_an_exception_that_cannot_be_sent_keeps_its_name_and_words(
    ray: Any, tmp_path: Path
) -> None:
    with pytest.raises(RuntimeError, match=r"^Odd: no luck$"):
        _run(Fails, tmp_path, workers=1)


@pytest.mark.slow
def test_who_stops_early_leaves_no_worker(ray: Any, tmp_path: Path) -> None:
    parts = RayEngine(workers=1).run(Making(Numbers, str(tmp_path)), range(50))
    _, part = next(parts)
    parts.close()
    _wait_until(lambda: not _runs(part.statistics["process"]))
    assert ray.is_initialized()  # it was there before


@pytest.mark.slow
def test_more_cores_than_there_are(ray: Any, tmp_path: Path) -> None:
    with pytest.raises(
        ConfigurationError, match="a worker takes 1 GPU, and there are 0: the CPU needs none"
    ):
        list(RayEngine(gpus_per_worker=1).run(Making(Numbers, ""), [0]))


@pytest.mark.slow
def test_a_job_that_cannot_be_sent(ray: Any) -> None:
    lock = threading.Lock()
    with pytest.raises(ConfigurationError, match="give the model and the inputs as paths"):
        list(RayEngine(workers=1).run(lambda: lock, [0]))  # type: ignore[arg-type, return-value]


@pytest.mark.slow
@needs_ray
def test_one_after_another_in_a_process(tmp_path: Path) -> None:
    script = tmp_path / "twice.py"
    script.write_text(TWICE)
    told = subprocess.run(
        [sys.executable, script], capture_output=True, text=True, check=False, timeout=500
    )
    assert told.stdout.split() == ["127.0.0.1", "[1]", "127.0.0.1", "[2]", "False"], told.stderr
    assert "listens to the network" not in told.stderr


TWICE = """
import os
import sys

from allennlp_saliency.jobs.engines.ray import RayEngine
from allennlp_saliency.jobs.parts.part import Part


class Says:
    def part(self, number):
        import ray

        return Part([], [], {"at": ray.util.get_node_ip_address()})


before = dict(os.environ)
for number in (1, 2):
    for done, part in RayEngine(workers=1).run(Says, [number]):
        print(part.statistics["at"], [done])
import ray
print(ray.is_initialized())
assert os.environ == before
"""


def _runs(process: int) -> bool:
    try:
        status = Path(f"/proc/{process}/stat").read_text()
    except OSError:
        return False
    return status.rpartition(")")[2].split()[0] != "Z"


def _wait_until(holds: Callable[[], bool], seconds: float = 60) -> None:
    end = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < end
        time.sleep(0.2)
