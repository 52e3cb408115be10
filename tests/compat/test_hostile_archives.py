"""Archives that try to run code, to read what is not theirs, or to fill the disk: none does."""

import json
import os
import pickle
import shutil
import subprocess
import sys
import tarfile
import tempfile
from collections.abc import Callable, Iterator
from copy import deepcopy
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Optional

import pytest
import torch
from allennlp.common import Lazy, Params
from allennlp.common.checks import ConfigurationError
from allennlp.data import DataLoader, Tokenizer
from allennlp.models import BasicClassifier, Model, load_archive
from allennlp.nn import Initializer
from allennlp.training.metrics import Metric

from allennlp_saliency.compat.registry import NOT_YET_IMPORTED, shims_for

Pack = Callable[[Path, Path], Path]
PROGRAM = Path(sys.executable).parent / "allennlp"


@Model.register("test-parts")
class ModelOfParts(BasicClassifier):
    """A user's model with parts of every form that a configuration can describe."""

    def __init__(
        self,
        # AllenNLP does not know `X | None`.
        later: Optional[Lazy[Tokenizer]] = None,  # noqa: UP045
        many: Optional[list[Tokenizer]] = None,  # noqa: UP045
        named: Optional[dict[str, Tokenizer]] = None,  # noqa: UP045
        start: Optional[Initializer] = None,  # noqa: UP045
        score: Optional[Metric] = None,  # noqa: UP045
        **more: Any,
    ) -> None:
        super().__init__(**more)
        self.later = later


@dataclass
class Attempt:
    """One archive being made hostile."""

    folder: Path
    canary: Path
    config: dict[str, Any]
    work: Path
    transformer: Path

    @property
    def reader(self) -> dict[str, Any]:
        return self.config["dataset_reader"]

    @property
    def model(self) -> dict[str, Any]:
        return self.config["model"]

    def parts(self, **parts: Any) -> None:
        self.model.update(type="test-parts", **parts)

    def jsonnet(self, expression: str) -> None:
        """A configuration whose label is what the expression gives."""
        text = json.dumps(self.config)[:-1]
        (self.folder / "config.json").write_text(f'{text}, "stolen": {expression}}}')
        self.config = {}

    def with_code(self, folder: Path) -> str:
        """A transformer that brings Python files, in a folder."""

        shutil.copytree(self.transformer, folder)
        config = json.loads((folder / "config.json").read_text())
        config["model_type"] = "never-heard-of"
        config["auto_map"] = {"AutoConfig": "code.Config", "AutoModel": "code.Model"}
        (folder / "config.json").write_text(json.dumps(config))
        tokenizer = json.loads((folder / "tokenizer_config.json").read_text())
        tokenizer["tokenizer_class"] = "OwnTokenizer"
        tokenizer["auto_map"] = {"AutoTokenizer": ["code.Own", "code.Own"]}
        (folder / "tokenizer_config.json").write_text(json.dumps(tokenizer))
        (folder / "code.py").write_text(self.code())
        return folder.name

    def code(self) -> str:
        return f"import pathlib\npathlib.Path({str(self.canary)!r}).touch()\n"

    def payload(self) -> Any:
        return _Payload(self.canary)

    def embed(self, **settings: Any) -> None:
        self.model["text_field_embedder"]["token_embedders"]["tokens"] = {
            "type": "pretrained_transformer",
            **settings,
        }


class _Payload:
    """Touches a file when it is unpickled."""

    def __init__(self, target: Path) -> None:
        self.target = target

    def __reduce__(self) -> tuple[object, tuple[str]]:
        return os.mkdir, (str(self.target),)


CASES: dict[str, Callable[[Attempt], None]] = {}


def case(function: Callable[[Attempt], None]) -> Callable[[Attempt], None]:
    CASES[function.__name__.strip("_")] = function
    return function


def of_type(name: str, /, **arguments: str) -> Callable[[Attempt], None]:
    """A tokenizer of this type; `CANARY` among the arguments is the canary's path."""

    def make(attempt: Attempt) -> None:
        filled = {k: v.replace("CANARY", str(attempt.canary)) for k, v in arguments.items()}
        attempt.reader["tokenizer"] = {"type": name, **filled}

    return make


CASES |= {
    "os.system": of_type("os.system", command="touch CANARY"),
    "os.mkdir": of_type("os.mkdir", path="CANARY"),
    "os.popen": of_type("os.popen", cmd="touch CANARY"),
    "subprocess.Popen": of_type("subprocess.Popen", args="touch CANARY"),
    "subprocess.check_output": of_type("subprocess.check_output", args="touch CANARY"),
    "builtins.open": of_type("builtins.open", file="CANARY", mode="w"),
    "builtins.exec": of_type("builtins.exec", source="open('CANARY', 'w')"),
    "io.FileIO": of_type("io.FileIO", file="CANARY", mode="w"),
    "runpy.run_path": of_type("runpy.run_path", path_name="CANARY.py"),
    "importlib.import_module": of_type("importlib.import_module", name="evil_module"),
    "logging.FileHandler": of_type("logging.FileHandler", filename="CANARY"),
    "a module of the working directory": of_type("evil_module.Evil"),
    "a submodule of it": of_type("evil_package.part.Evil"),
    "a name through another module": of_type("tempfile._os.mkdir", path="CANARY"),
    "a blank behind": of_type("os.system ", command="touch CANARY"),
    "a blank before": of_type(" os.system", command="touch CANARY"),
    "a relative name": of_type(".evil_module.Evil"),
    "a full-width dot": of_type("os．system", command="touch CANARY"),
    "a function of AllenNLP": of_type(
        "allennlp.common.util.import_module_and_submodules", package_name="evil_module"
    ),
    "a class of another kind": of_type("allennlp.models.archival.Path", path="CANARY"),
    "the base of all": of_type("allennlp.common.registrable.Registrable"),
    "a lazy module": of_type("transformers.AutoModel"),
    "a command of AllenNLP": of_type("allennlp.commands.train.TrainModel"),
    "no name": of_type("."),
    "no module": of_type(".evil"),
    "no class": of_type("evil_module."),
    "two dots": of_type("evil_module..Evil"),
}


@case
def a_shorthand(attempt: Attempt) -> None:
    attempt.reader["tokenizer"] = "evil_module.Evil"


@case
def the_reader(attempt: Attempt) -> None:
    attempt.config["dataset_reader"] = {"type": "os.mkdir", "path": str(attempt.canary)}


@case
def the_validation_reader(attempt: Attempt) -> None:
    attempt.config["validation_dataset_reader"] = {"type": "evil_module.Evil"}


@case
def the_model(attempt: Attempt) -> None:
    attempt.config["model"] = {"type": "os.mkdir", "path": str(attempt.canary)}


@case
def the_model_as_a_shorthand(attempt: Attempt) -> None:
    attempt.config["model"] = "evil_module.Evil"


@case
def the_vocabulary(attempt: Attempt) -> None:
    attempt.config["vocabulary"] = {"type": "evil_module.Evil"}


@case
def the_vocabulary_as_a_shorthand(attempt: Attempt) -> None:
    attempt.config["vocabulary"] = "evil_module.Evil"


@case
def a_list_of_types(attempt: Attempt) -> None:
    attempt.reader["tokenizer"] = {"type": ["evil_module.Evil"]}


@case
def a_type_in_a_type(attempt: Attempt) -> None:
    attempt.reader["tokenizer"] = {"type": {"type": "evil_module.Evil"}}


@case
def the_secrets_of_the_process(attempt: Attempt) -> None:
    attempt.reader["tokenizer"] = {"type": "os.environ"}


@case
def an_indexer(attempt: Attempt) -> None:
    attempt.reader["token_indexers"] = {"tokens": {"type": "evil_module.Evil"}}


@case
def an_embedder(attempt: Attempt) -> None:
    attempt.embed(type="os.mkdir", path=str(attempt.canary))


@case
def in_a_list(attempt: Attempt) -> None:
    attempt.parts(many=["whitespace", {"type": "os.mkdir", "path": str(attempt.canary)}])


@case
def under_a_name(attempt: Attempt) -> None:
    attempt.parts(named={"os.mkdir": "whitespace", "other": "evil_module.Evil"})


@case
def one_of_several_kinds(attempt: Attempt) -> None:
    attempt.model["feedforward"] = {
        "input_dim": 4,
        "num_layers": 1,
        "hidden_dims": 4,
        "activations": [{"type": "os.mkdir", "path": str(attempt.canary)}],
    }


@case
def a_regulariser(attempt: Attempt) -> None:
    attempt.model["regularizer"] = {"regexes": [[".*", {"type": "evil_module.Evil"}]]}


@case
def an_archive_that_it_names(attempt: Attempt) -> None:
    config = json.loads(json.dumps(attempt.config))
    config["dataset_reader"]["tokenizer"] = {"type": "os.mkdir", "path": str(attempt.canary)}
    (attempt.work / "inner").mkdir()
    (attempt.work / "inner" / "config.json").write_text(json.dumps(config))
    attempt.config["model"] = {"type": "from_archive", "archive_file": "inner"}


@case
def a_module_of_an_archive_that_it_names(attempt: Attempt) -> None:
    an_archive_that_it_names(attempt)
    attempt.config["model"] = {
        "type": "basic_classifier",
        "text_field_embedder": {"_pretrained": {"archive_file": "inner", "module_path": "x"}},
        "seq2vec_encoder": {"type": "bag_of_embeddings", "embedding_dim": 4},
    }


@case
def archives_without_an_end(attempt: Attempt) -> None:
    attempt.config["model"] = {"type": "from_archive", "archive_file": str(attempt.folder)}


@case
def a_file_of_the_machine(attempt: Attempt) -> None:
    attempt.jsonnet('importstr "/etc/passwd"')


@case
def a_file_beside_the_archive(attempt: Attempt) -> None:
    (attempt.work / "secret").write_text("s3cret")
    attempt.jsonnet('importstr "../secret"')


@case
def code_beside_the_archive(attempt: Attempt) -> None:
    (attempt.work / "secret.jsonnet").write_text("{}")
    attempt.jsonnet('import "x/../../secret.jsonnet"')


@case
def bytes_beside_the_archive(attempt: Attempt) -> None:
    attempt.jsonnet(f"importbin {json.dumps(sys.executable)}")


@case
def the_environment(attempt: Attempt) -> None:
    attempt.jsonnet('std.extVar("SECRET")')


@case
def code_of_its_tokenizer(attempt: Attempt) -> None:
    attempt.reader["tokenizer"] = {
        "type": "pretrained_transformer",
        "model_name": attempt.with_code(attempt.folder / "inside"),
        "tokenizer_kwargs": {"trust_remote_code": True},
    }


@case
def code_of_its_indexer(attempt: Attempt) -> None:
    attempt.reader["token_indexers"] = {
        "tokens": {
            "type": "pretrained_transformer",
            "model_name": attempt.with_code(attempt.folder / "inside"),
            "tokenizer_kwargs": {"trust_remote_code": "yes"},
        }
    }


@case
def code_of_its_transformer(attempt: Attempt) -> None:
    name = attempt.with_code(attempt.folder / "inside")
    attempt.embed(model_name=name, transformer_kwargs={"trust_remote_code": 1})


@case
def code_that_a_prompt_allows(attempt: Attempt) -> None:
    attempt.embed(model_name=attempt.with_code(attempt.folder / "inside"))


@case
def code_of_a_tokenizer_that_a_prompt_allows(attempt: Attempt) -> None:
    name = attempt.with_code(attempt.folder / "inside")
    attempt.reader["tokenizer"] = {"type": "pretrained_transformer", "model_name": name}


@case
def code_of_a_model_elsewhere(attempt: Attempt) -> None:
    name = attempt.with_code(attempt.work / "elsewhere")
    attempt.embed(model_name=name, transformer_kwargs={"trust_remote_code": True})


@case
def code_by_the_word_at_the_top(attempt: Attempt) -> None:
    code_that_a_prompt_allows(attempt)
    attempt.config["trust_remote_code"] = True


@case
def code_of_our_own_models(attempt: Attempt) -> None:
    name = attempt.with_code(attempt.folder / "inside")
    attempt.config["dataset_reader"] = {
        "type": "transformers-text-classification",
        "model_name": name,
    }


@case
def a_pickle_of_a_transformer(attempt: Attempt) -> None:

    shutil.copytree(attempt.transformer, attempt.work / "elsewhere")
    torch.save({"weight": attempt.payload()}, attempt.work / "elsewhere" / "pytorch_model.bin")
    attempt.embed(model_name="elsewhere", transformer_kwargs={"weights_only": False})


@case
def a_pickle_of_a_transformer_by_default(attempt: Attempt) -> None:
    a_pickle_of_a_transformer(attempt)
    attempt.embed(model_name="elsewhere")


@case
def pickled_weights_in_their_place(attempt: Attempt) -> None:

    shutil.copytree(attempt.transformer, attempt.folder / "inside")
    torch.save({"weight": attempt.payload()}, attempt.work / "other.bin")
    attempt.embed(model_name="inside", override_weights_file="other.bin")


@case
def pickled_weights_to_start_with(attempt: Attempt) -> None:
    torch.save({"weight": attempt.payload()}, attempt.work / "other.bin")
    attempt.parts(start={"type": "pretrained", "weights_file_path": "other.bin"})


@case
def a_program_that_scores(attempt: Attempt) -> None:
    attempt.parts(score={"type": "evalb", "evalb_directory_path": f"; touch {attempt.canary};"})


@case
def pickled_weights(attempt: Attempt) -> None:
    torch.save({"weight": attempt.payload()}, attempt.folder / "weights.th")


@case
def pickled_weights_of_old(attempt: Attempt) -> None:
    torch.save(
        {"weight": attempt.payload()},
        attempt.folder / "weights.th",
        _use_new_zipfile_serialization=False,
    )


@case
def a_bare_pickle(attempt: Attempt) -> None:
    (attempt.folder / "weights.th").write_bytes(pickle.dumps(attempt.payload()))


@case
def a_bare_pickle_of_old(attempt: Attempt) -> None:
    (attempt.folder / "weights.th").write_bytes(pickle.dumps(attempt.payload(), protocol=2))


@case
def pickled_weights_of_training(attempt: Attempt) -> None:
    (attempt.folder / "weights.th").unlink()
    torch.save({"weight": attempt.payload()}, attempt.folder / "best.th")


@case
def an_installed_package_as_a_spacy_model(attempt: Attempt) -> None:
    (attempt.work / "evil_module-1.0.dist-info").mkdir()
    (attempt.work / "evil_module-1.0.dist-info" / "METADATA").write_text(
        "Metadata-Version: 2.1\nName: evil_module\nVersion: 1.0\n"
    )
    attempt.reader["tokenizer"] = {"type": "spacy", "language": "evil_module"}


@case
def a_folder_as_a_spacy_model(attempt: Attempt) -> None:
    import spacy

    spacy.blank("en").to_disk(attempt.work / "language")
    attempt.reader["tokenizer"] = {"type": "spacy", "language": "./language"}


@case
def a_vocabulary_that_is_unpacked(attempt: Attempt) -> None:
    shutil.rmtree(attempt.folder / "vocabulary")
    with tarfile.open(attempt.folder / "vocabulary", "w:gz") as tar:
        tar.add(attempt.folder / "weights.th", arcname="../../canary")


@pytest.fixture
def attempt(
    plain_archive: Path,
    transformer_folder: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> Iterator[Attempt]:
    """An archive to be made hostile, and a working folder with modules that touch the canary."""
    work = tmp_path / "work"
    (work / "evil_package").mkdir(parents=True)
    canary = tmp_path / "canary"
    made = Attempt(
        plain_archive,
        canary,
        json.loads((plain_archive / "config.json").read_text()),
        work,
        transformer_folder,
    )
    body = made.code() + "class Evil:\n    pass\n"
    (work / "evil_module.py").write_text(body)
    (work / "evil_package" / "__init__.py").write_text(body)
    (work / "evil_package" / "part.py").write_text(body)
    (tmp_path / "canary.py").write_text(body)
    monkeypatch.chdir(work)
    monkeypatch.syspath_prepend(str(work))
    monkeypatch.setenv("SECRET", "s3cret")
    monkeypatch.setenv("HF_MODULES_CACHE", str(tmp_path / "hf-modules"))
    monkeypatch.setattr("builtins.input", lambda *_: "y")
    folder = tmp_path / "temporary"
    folder.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(folder))
    yield made
    assert not canary.exists()
    assert "evil_module" not in sys.modules
    assert "evil_package" not in sys.modules
    assert list(folder.iterdir()) == []


def _finish(attempt: Attempt) -> None:
    if attempt.config:
        (attempt.folder / "config.json").write_text(json.dumps(attempt.config))


@pytest.mark.parametrize("hostile", CASES.values(), ids=CASES.keys())
def test_hostile_archive_is_refused(
    attempt: Attempt,
    pack: Pack,
    tmp_path: Path,
    hostile: Callable[[Attempt], None],
) -> None:
    hostile(attempt)
    _finish(attempt)
    archive = pack(attempt.folder, tmp_path / "m.tar.gz")
    with pytest.raises(ConfigurationError) as caught:
        load_archive(archive)
    assert f"The archive {archive} was not loaded" in str(caught.value)
    assert str(tmp_path / "temporary") not in str(caught.value)
    assert "s3cret" not in str(caught.value)


@pytest.mark.parametrize("name", ["os.system", "the_vocabulary", "code_of_its_transformer"])
def test_hostile_folder_is_refused(attempt: Attempt, name: str) -> None:
    CASES[name](attempt)
    _finish(attempt)
    with pytest.raises(ConfigurationError) as caught:
        load_archive(attempt.folder)
    assert str(caught.value).count("The archive") == 1
    assert f"The archive {attempt.folder} was not loaded: " in str(caught.value)


def test_there_are_forty() -> None:
    assert len(CASES) >= 40


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
    _finish(attempt)
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


def test_a_shorthand_that_is_built_later_follows_the_rules(attempt: Attempt) -> None:
    attempt.parts(later="evil_module.Evil")
    _finish(attempt)
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
    _finish(attempt)
    with pytest.raises(ConfigurationError, match="srl_eval_path"):
        load_archive(attempt.folder)
    assert scorer.SrlEvalScorer(str(path), ignore_classes=[])


@pytest.mark.slow
@pytest.mark.parametrize("command", ["predict", "evaluate"])
@pytest.mark.parametrize("hostile", ["os.system", "the_model", "code_of_its_transformer"])
def test_the_command_line_runs_nothing(attempt: Attempt, command: str, hostile: str) -> None:
    CASES[hostile](attempt)
    _finish(attempt)
    done = _allennlp(attempt, command, "text_classifier")
    assert done.returncode != 0
    assert f"The archive {attempt.folder} was not loaded" in done.stderr


@pytest.mark.slow
def test_the_command_line_evaluates_with_no_loader_of_theirs(attempt: Attempt) -> None:
    attempt.config["data_loader"] = "evil_module.Evil"
    _finish(attempt)
    done = _allennlp(attempt, "evaluate", "")
    assert done.returncode != 0
    assert "there is no imported module 'evil_module'" in done.stderr


def _allennlp(attempt: Attempt, command: str, predictor: str) -> subprocess.CompletedProcess[str]:
    lines = attempt.work / "lines.jsonl"
    lines.write_text('{"sentence": "good", "text": "good", "label": "pos"}\n')
    more = ["--predictor", predictor] if command == "predict" else []
    return subprocess.run(
        [PROGRAM, command, str(attempt.folder), str(lines), *more],
        capture_output=True,
        text=True,
        cwd=attempt.work,
        timeout=300,
    )
