"""Archives that try to run code, to read what is not theirs, or to fill the disk: none does."""

from __future__ import annotations

import pickle
from collections.abc import Callable
from copy import deepcopy
from pathlib import Path
from typing import Any

import pytest
from allennlp.common import Params
from allennlp.common.checks import ConfigurationError
from allennlp.data import DataLoader, Tokenizer
from allennlp.models import load_archive

from allennlp_saliency.compat.registry import NOT_YET_IMPORTED, shims_for
from tests.compat.archives import hostile_configurations, hostile_members
from tests.compat.archives.attempts import Attempt, Case

Pack = Callable[[Path, Path], Path]
CASES = hostile_configurations.CASES | hostile_members.CASES


@pytest.mark.parametrize("hostile", CASES.values(), ids=CASES.keys())
def test_hostile_archive_is_refused(
    attempt: Attempt,
    pack: Pack,
    tmp_path: Path,
    hostile: Case,
) -> None:
    hostile(attempt)
    attempt.finish()
    archive = pack(attempt.folder, tmp_path / "m.tar.gz")
    with pytest.raises(ConfigurationError) as caught:
        load_archive(archive)
    assert f"The archive {archive} was not loaded" in str(caught.value)
    assert str(tmp_path / "temporary") not in str(caught.value)
    assert "s3cret" not in str(caught.value)


@pytest.mark.parametrize("name", ["os.system", "the_vocabulary", "code_of_its_transformer"])
def test_hostile_folder_is_refused(attempt: Attempt, name: str) -> None:
    CASES[name](attempt)
    attempt.finish()
    with pytest.raises(ConfigurationError) as caught:
        load_archive(attempt.folder)
    assert str(caught.value).count("The archive") == 1
    assert f"The archive {attempt.folder} was not loaded: " in str(caught.value)


def test_a_users_own_configuration_is_as_free_as_ever(attempt: Attempt) -> None:
    """What is refused above runs here, so the cases are real; and nobody's training changes."""
    made = attempt.work / "made"
    Tokenizer.from_params(Params({"type": "os.mkdir", "path": str(made)}))
    assert made.is_dir()


def test_what_is_built_later_follows_the_rules(attempt: Attempt) -> None:
    attempt.config["data_loader"] = {"type": "evil_module.Evil"}
    attempt.config["validation_data_loader"] = "evil_module.Evil"
    attempt.config["trainer"] = {"callbacks": [{"inner": "evil_module.Evil"}]}
    attempt.parts(later={"type": "os.mkdir", "path": str(attempt.canary)})
    attempt.finish()
    archive = load_archive(attempt.folder)
    loader = archive.config.duplicate()["data_loader"]
    shorthand = archive.config.get("validation_data_loader")
    callback = archive.config["trainer"].pop("callbacks")[0]
    for build in (
        lambda: DataLoader.from_params(loader),
        lambda: DataLoader.from_params(params=shorthand, reader=1, data_path="x"),
        lambda: DataLoader.from_params(callback, reader=1, data_path="x"),
        lambda: deepcopy(archive.model.later).construct(),
        lambda: pickle.loads(pickle.dumps(archive.model.later)).construct(),
    ):
        with pytest.raises(ConfigurationError):
            build()


TAKEN: dict[str, Callable[[Params], Any]] = {
    "popped": lambda config: config.pop("extra"),
    "got": lambda config: config.get("extra"),
    "item": lambda config: config["extra"],
    "of items()": lambda config: dict(config.items())["extra"],
    "of a list": lambda config: config.pop("list")[0],
    "of a list in a list": lambda config: config["lists"][0][0],
    "of a part": lambda config: config["part"].pop("inner"),
    "of a duplicate": lambda config: config.duplicate().pop("extra"),
    "copied": lambda config: deepcopy(config["extra"]),
    "pickled": lambda config: pickle.loads(pickle.dumps(config["extra"])),
    "a choice": lambda config: config.pop_choice("extra", ["whitespace"]),
    "of other parameters": lambda config: Params({"type": config["extra"]}),
}


@pytest.mark.parametrize("take", TAKEN.values(), ids=TAKEN.keys())
def test_a_mere_name_follows_the_rules(attempt: Attempt, take: Callable[[Params], Any]) -> None:
    name = "evil_module.Evil"
    attempt.config |= {"extra": name, "list": [name], "lists": [[name]], "part": {"inner": name}}
    attempt.finish()
    config = load_archive(attempt.folder).config
    with pytest.raises(ConfigurationError, match="no imported module 'evil_module'"):
        Tokenizer.from_params(take(config.duplicate()))
    found = take(config.duplicate())
    if isinstance(found, str):
        assert found == name
        with pytest.raises(ConfigurationError, match="no imported module 'evil_module'"):
            Tokenizer.by_name(found)


def test_a_shorthand_that_is_built_later_follows_the_rules(attempt: Attempt) -> None:
    attempt.parts(later="evil_module.Evil")
    attempt.finish()
    lazy = load_archive(attempt.folder).model.later
    with pytest.raises(ConfigurationError, match="no imported module 'evil_module'"):
        lazy.construct()


def test_files_that_come_along_do_nothing(attempt: Attempt, pack: Pack, tmp_path: Path) -> None:
    for name in ("evil_module.py", "__init__.py", "sitecustomize.py", "conftest.py", "setup.py"):
        (attempt.folder / name).write_text(attempt.code())
        (attempt.folder / "vocabulary" / f".{name}").write_text(attempt.code())
    (attempt.folder / ".allennlp_plugins").write_text("evil_module\n")
    load_archive(attempt.folder)
    load_archive(pack(attempt.folder, tmp_path / "m.tar.gz"))


def test_a_lock_that_links_elsewhere_empties_nothing(attempt: Attempt) -> None:
    precious = attempt.work / "precious"
    precious.write_text("mine")
    lock = attempt.folder / "vocabulary" / ".lock"
    lock.unlink(missing_ok=True)
    lock.symlink_to(precious)
    with pytest.raises(ConfigurationError, match=r"\.lock' is a link"):
        load_archive(attempt.folder)
    assert precious.read_text() == "mine"
    lock.unlink()
    lock.symlink_to(attempt.canary)
    with pytest.raises(ConfigurationError, match=r"\.lock' is a link"):
        load_archive(attempt.folder)


def test_links_as_in_the_cache_of_the_hub(attempt: Attempt) -> None:
    (attempt.folder / "vocabulary" / ".lock").unlink(missing_ok=True)
    for number, path in enumerate(sorted(attempt.folder.rglob("*"))):
        if path.is_file():
            path.replace(attempt.work / f"blob-{number}")
            path.symlink_to(attempt.work / f"blob-{number}")
    load_archive(attempt.folder)


def test_a_configuration_that_links_elsewhere_imports_nothing(attempt: Attempt) -> None:
    (attempt.work / "secret").write_text('"s3cret"')
    (attempt.folder / "part").symlink_to(attempt.work / "secret")
    attempt.jsonnet('import "part"')
    with pytest.raises(ConfigurationError, match="outside the archive"):
        load_archive(attempt.folder)


def test_a_script_that_scores_is_allennlp_models_own(attempt: Attempt) -> None:
    scorer = pytest.importorskip("allennlp_models.structured_prediction.metrics.srl_eval_scorer")
    shim = next(one for one in shims_for(scorer.__name__) if one.name == "srl-eval-script")
    if shim.state == NOT_YET_IMPORTED:
        shim.apply_after(scorer)
    path = attempt.work / "evil.pl"
    path.write_text(f"open(F, '>', '{attempt.canary}');")
    attempt.parts(score={"type": "srl_eval", "srl_eval_path": str(path), "ignore_classes": []})
    attempt.finish()
    with pytest.raises(ConfigurationError, match="srl_eval_path"):
        load_archive(attempt.folder)
    assert scorer.SrlEvalScorer(str(path), ignore_classes=[])
