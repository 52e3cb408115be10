"""`allennlp-saliency enable`, `disable` and `doctor`, in an environment of their own."""

from __future__ import annotations

import json
from importlib.metadata import PackageNotFoundError
from pathlib import Path
from typing import Any

import pytest

from allennlp_saliency.compat import console, doctor, registry
from allennlp_saliency.compat import environment as written
from allennlp_saliency.compat.doctor import Finding
from allennlp_saliency.compat.plugins import PLUGIN
from allennlp_saliency.version import VERSION


def test_plain_allennlp_works_once_enabled_and_not_after(environment: Any) -> None:
    def plain() -> tuple[int, str]:
        done = environment.run("-m", "allennlp", "--help")
        return done.returncode, done.stdout + done.stderr

    status, text = plain()
    assert status == 1
    assert "HfFolder" in text or "torchvision" in text or "AdamW" in text

    # Enabled, the plugin is found without a plugins file and from any folder.
    assert environment.console("enable", "--no-plugins-file").returncode == 0
    assert list(environment.home.iterdir()) == []
    status, text = plain()
    assert status == 0, text
    assert "predict" in text
    assert f"Plugin {PLUGIN} available" in text

    assert environment.console("enable").returncode == 0
    assert (environment.packages / written.PTH_NAME).is_file()
    assert (environment.home / ".allennlp" / "plugins").read_text() == f"{PLUGIN}\n"
    assert environment.console("disable").returncode == 0
    assert not (environment.packages / written.PTH_NAME).exists()
    assert not (environment.home / ".allennlp" / "plugins").exists()
    assert plain()[0] == 1


def test_starting_python_loads_nothing_of_ours(environment: Any) -> None:
    assert environment.console("enable", "--no-plugins-file").returncode == 0
    done = environment.run(
        "-c",
        "import sys; print([n for n in sys.modules if n.partition('.')[0] in "
        "('allennlp_saliency', 'allennlp', 'torch', 'transformers')])",
    )
    assert done.stdout == "[]\n"
    assert done.stderr == ""


def test_python_starts_after_an_uninstall(environment: Any) -> None:
    assert environment.console("enable", "--no-plugins-file").returncode == 0
    environment.uninstall()
    done = environment.run("-c", "import json; print('fine')")
    assert (done.stdout, done.stderr) == ("fine\n", "")
    # AllenNLP is then what it is without us.
    done = environment.run("-W", "ignore", "-c", "import allennlp; print(allennlp.__version__)")
    assert done.stdout == "2.10.1\n"
    done = environment.run("-c", "import allennlp.predictors")
    assert done.returncode == 1
    assert "allennlp_saliency" not in done.stderr


def test_python_without_site_does_not_see_the_hook_and_the_doctor_would(
    environment: Any,
) -> None:
    code = f"import sys; print({written.HOOK_NAME!r} in [type(f).__name__ for f in sys.meta_path])"
    assert environment.console("enable", "--no-plugins-file").returncode == 0
    assert environment.run("-c", code).stdout == "True\n"
    assert environment.run("-S", "-c", code).stdout == "False\n"


def test_the_doctor_says_the_way_out(environment: Any) -> None:
    sick = environment.console("doctor")
    assert sick.returncode == 1
    assert "WRONG plain `allennlp`" in sick.stdout
    assert sick.stdout.rstrip().endswith("allennlp-saliency enable    (plain `allennlp`)")
    assert environment.console("enable", "--no-plugins-file").returncode == 0
    well = environment.console("doctor")
    assert well.returncode == 0, well.stdout
    assert "WRONG" not in well.stdout
    assert "\x1b" not in well.stdout
    for shown in ("torch ", "transformers ", "hub-placeholders", PLUGIN, "the default plugins"):
        assert shown in well.stdout
    assert list(environment.home.iterdir()) == []


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """This Python, with a home, a working folder and a site-packages of its own."""
    folder = tmp_path / "home"
    folder.mkdir()
    monkeypatch.setenv("HOME", str(folder))
    monkeypatch.setattr(written, "pth_file", lambda: tmp_path / written.PTH_NAME)
    monkeypatch.setattr(written, "pth_works", lambda: True)
    (tmp_path / "work").mkdir()
    monkeypatch.chdir(tmp_path / "work")
    return folder


@pytest.mark.parametrize("local", [False, True])
@pytest.mark.parametrize("before", ["", "mine\n", "mine", "# a note\n\nmine\n  other  \n"])
def test_enable_and_disable_leave_the_users_lines(home: Path, local: bool, before: str) -> None:
    path = Path(".allennlp_plugins") if local else home / ".allennlp" / "plugins"
    path.parent.mkdir(exist_ok=True)
    if before:
        path.write_text(before)
    option = ["--local"] if local else []
    assert console.main(["enable", *option]) == 0
    assert console.main(["enable", *option]) == 0
    lines = path.read_text().splitlines()
    assert lines == [*before.splitlines(), PLUGIN]
    assert console.main(["disable", *option]) == 0
    assert console.main(["disable", *option]) == 0
    if before:
        assert path.read_text().rstrip("\n") == before.rstrip("\n")
    else:
        assert not path.exists()
    other = home / ".allennlp" / "plugins" if local else Path(".allennlp_plugins")
    assert not other.exists()


def test_plugins_files_that_are_links_stay_links(home: Path, tmp_path: Path) -> None:
    real = tmp_path / "dotfiles"
    real.write_text("mine\n")
    (home / ".allennlp").mkdir()
    (home / ".allennlp" / "plugins").symlink_to(real)
    assert console.main(["enable"]) == 0
    assert (home / ".allennlp" / "plugins").is_symlink()
    assert real.read_text() == f"mine\n{PLUGIN}\n"


def test_an_environment_of_somebody_else(
    home: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(written, "pth_file", lambda: Path("/proc/version/allennlp_saliency.pth"))
    assert console.main(["enable"]) == 1
    assert "Use a virtual environment of your own" in capsys.readouterr().out


def _findings() -> dict[str, Finding]:
    return {finding.what: finding for finding in doctor.examine()}


def test_the_doctor_names_missing_and_unfit_packages(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = doctor.version
    versions = {"torch": "1.12.1", "allennlp": "2.9.0"}

    def version(name: str) -> str:
        if name == "lmdb":
            raise PackageNotFoundError(name)
        return versions.get(name) or real(name)

    monkeypatch.setattr(doctor, "version", version)
    found = _findings()
    assert not found["torch"].ok
    assert found["torch"].detail == "1.12.1 (>=2.6 needed)"
    assert found["torch"].advice == 'pip install "torch>=2.6"'
    assert found["lmdb"].detail.startswith("not installed")
    assert found["allennlp"].advice == "pip install --no-deps allennlp==2.10.1"
    assert not found["allennlp"].ok
    assert found["transformers"].ok


def test_the_doctor_stops_where_allennlp_is_missing(
    home: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    real = doctor.version

    def version(name: str) -> str:
        if name == "allennlp":
            raise PackageNotFoundError(name)
        return real(name)

    monkeypatch.setattr(doctor, "version", version)
    assert console.main(["doctor"]) == 1
    assert "pip install --no-deps allennlp==2.10.1    (allennlp)" in capsys.readouterr().out


def test_the_doctor_shows_failed_shims_and_old_hooks(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shim = registry.Shim("broken", "allennlp.version", "because", state=registry.FAILED, error="x")
    monkeypatch.setattr(doctor, "shims", lambda: (shim,))
    written.pth_file().write_text("import sys\n")
    found = _findings()
    assert not found["broken"].ok
    assert found["plain `allennlp`"].detail.endswith("is of another version")
    assert found["plain `allennlp`"].advice == "allennlp-saliency enable"


@pytest.mark.parametrize("arguments", [["--help"], ["enable", "--help"], ["doctor", "--help"]])
def test_help_has_examples(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as stop:
        console.main(arguments)
    assert stop.value.code == 0
    text = capsys.readouterr().out
    assert "examples:\n  allennlp-saliency " in text


def test_version(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as stop:
        console.main(["--version"])
    assert stop.value.code == 0
    assert capsys.readouterr().out == f"allennlp-saliency {VERSION}\n"


SPAWNING = """
import json, pathlib, sys
import allennlp_saliency
from allennlp.data import Vocabulary
from allennlp.data.data_loaders import MultiProcessDataLoader
from allennlp.data.dataset_readers import TextClassificationJsonReader
from allennlp.data.tokenizers import WhitespaceTokenizer

path = pathlib.Path("data.jsonl")
path.write_text(json.dumps({"text": "a good film", "label": "positive"}) + "\\n")
loader = MultiProcessDataLoader(
    TextClassificationJsonReader(tokenizer=WhitespaceTokenizer()),
    str(path), batch_size=1, num_workers=1, start_method="spawn",
)
print(len(list(loader.iter_instances())))
"""


@pytest.mark.slow
def test_spawned_workers_of_an_environment_that_is_not_enabled(environment: Any) -> None:
    done = environment.run("-W", "ignore", "-c", SPAWNING)
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[-1] == "1"


REGISTERED = """
import json, sys
import allennlp_saliency
from allennlp.common.util import import_module_and_submodules
{load}
from allennlp.interpret.saliency_interpreters import SaliencyInterpreter
from allennlp.predictors import Predictor
print(json.dumps([Predictor.list_available(), SaliencyInterpreter.list_available()]))
"""


@pytest.mark.parametrize(
    "load",
    ["import_module_and_submodules('allennlp_saliency')", "import allennlp_saliency.plugin"],
    ids=["include-package", "plugin"],
)
def test_everything_is_registered(environment: Any, load: str) -> None:
    done = environment.run("-W", "ignore", "-c", REGISTERED.format(load=load))
    assert done.returncode == 0, done.stderr
    predictors, interpreters = json.loads(done.stdout.splitlines()[-1])
    assert "saliency" in predictors
    assert {
        "gradient",
        "gradient-norm",
        "input-x-gradient",
        "integrated-gradients",
        "smooth-gradients",
        "random",
    } <= set(interpreters)
