"""What honest archives and their users do still works beside the rules for archives."""

import json
import pickle
import subprocess
import sys
import threading
from collections.abc import Callable
from copy import deepcopy
from pathlib import Path
from types import ModuleType
from typing import Any, Union

import pytest
import torch
from allennlp.common import FromParams, Params
from allennlp.common.checks import ConfigurationError
from allennlp.data import Tokenizer
from allennlp.data.tokenizers import WhitespaceTokenizer
from allennlp.models import load_archive
from allennlp.models.archival import Archive

from allennlp_saliency.compat import shims
from allennlp_saliency.compat.archives.source import current_source
from allennlp_saliency.compat.archives.unpacking import unpack

Pack = Callable[[Path, Path], Path]
Change = Callable[[dict[str, Any]], None]
FIXTURES = Path(__file__).parents[3] / "fixtures"
PROGRAM = Path(sys.executable).parent / "allennlp"
OWN = """
import allennlp.data.tokenizers as tokenizers

class Own(tokenizers.WhitespaceTokenizer):
    pass
"""


@pytest.fixture
def change(plain_archive: Path) -> Callable[[Change], Path]:
    """Change the archive's configuration."""

    def make(how: Change) -> Path:
        config = json.loads((plain_archive / "config.json").read_text())
        how(config)
        (plain_archive / "config.json").write_text(json.dumps(config))
        return plain_archive

    return make


def _tokenizer(kind: Any) -> Change:
    return lambda config: config["dataset_reader"].update(tokenizer=kind)


@pytest.fixture
def own_module(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A user's module with a tokenizer, in the working directory."""
    folder = tmp_path / "work"
    folder.mkdir()
    (folder / "users_own.py").write_text(OWN)
    monkeypatch.chdir(folder)
    monkeypatch.syspath_prepend(str(folder))
    monkeypatch.delitem(sys.modules, "users_own", raising=False)
    return folder


def test_a_class_of_an_imported_module(
    change: Callable[[Change], Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    module: Any = ModuleType("users_imported")
    module.Own = type("Own", (WhitespaceTokenizer,), {})
    monkeypatch.setitem(sys.modules, "users_imported", module)
    archive = change(_tokenizer({"type": "users_imported.Own"}))
    assert type(load_archive(archive).dataset_reader._tokenizer) is module.Own


def test_a_class_by_its_full_name(change: Callable[[Change], Path]) -> None:
    def names(config: dict[str, Any]) -> None:
        config["model"]["type"] = "allennlp.models.basic_classifier.BasicClassifier"
        config["model"]["feedforward"] = {
            "input_dim": 4,
            "num_layers": 1,
            "hidden_dims": 4,
            # Registered as an activation, though torch's own class.
            "activations": "torch.nn.modules.activation.ReLU",
        }

    archive = change(names)
    with pytest.raises(RuntimeError, match=r"Missing keys: .*_feedforward"):
        load_archive(archive)  # it was built


def test_a_class_that_the_overrides_name(
    change: Callable[[Change], Path], own_module: Path
) -> None:
    archive = change(_tokenizer({"type": "users_own.Own"}))
    with pytest.raises(ConfigurationError, match="--include-package users_own"):
        load_archive(archive)
    overrides = {"dataset_reader.tokenizer.type": "users_own.Own"}
    for given in (overrides, json.dumps(overrides)):
        reader = load_archive(archive, overrides=given).dataset_reader
        assert type(reader._tokenizer).__name__ == "Own"


@pytest.mark.slow
def test_a_class_of_an_included_package(
    change: Callable[[Change], Path], own_module: Path, pack: Pack, tmp_path: Path
) -> None:
    archive = pack(change(_tokenizer({"type": "users_own.Own"})), tmp_path / "m.tar.gz")
    (own_module / "lines").write_text('{"sentence": "good"}\n')
    command = [PROGRAM, "predict", archive, "lines", "--predictor", "text_classifier", "--silent"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300)
    assert done.returncode != 0
    assert "--include-package users_own" in done.stderr
    done = subprocess.run([*command, "--include-package", "users_own"], timeout=300)
    assert done.returncode == 0


def _code(folder: Path) -> Path:
    """A transformer with its own configuration class, which leaves a mark."""
    config = json.loads((folder / "transformer" / "config.json").read_text())
    config |= {"model_type": "of-its-own", "auto_map": {"AutoConfig": "own.Own"}}
    (folder / "transformer" / "config.json").write_text(json.dumps(config))
    mark = folder.parent / "mark"
    (folder / "transformer" / "own.py").write_text(
        "import pathlib\n"
        f"pathlib.Path({str(mark)!r}).touch()\n"
        "from transformers import BertConfig\n"
        "class Own(BertConfig):\n    model_type = 'of-its-own'\n"
    )
    return mark


def test_code_of_a_model_that_the_user_trusts(make_archive: Callable[..., Path]) -> None:
    folder = make_archive()
    mark = _code(folder)
    config = json.loads((folder / "config.json").read_text())
    for part in (
        config["dataset_reader"]["tokenizer"],
        config["dataset_reader"]["token_indexers"]["tokens"],
    ):
        part["tokenizer_kwargs"] = {"trust_remote_code": True}
    (folder / "config.json").write_text(json.dumps(config))
    with pytest.raises(ConfigurationError, match="trust_remote_code' to true") as caught:
        load_archive(folder)
    assert not mark.exists()
    way_out = str(caught.value).partition("--overrides ")[2].strip("'")
    with pytest.raises(Exception) as later:  # noqa: PT011  the model has no class of its own
        load_archive(folder, overrides=way_out)
    assert mark.exists(), later.value


def test_the_users_word_is_no_part_of_the_configuration(plain_archive: Path) -> None:
    archive = load_archive(plain_archive, overrides={"trust_remote_code": True})
    assert "trust_remote_code" not in archive.config


def test_overrides_may_take_the_archives_word_back(
    change: Callable[[Change], Path], transformer_folder: Path
) -> None:
    tokenizer = {
        "type": "pretrained_transformer",
        "model_name": str(transformer_folder),
        "tokenizer_kwargs": {"trust_remote_code": True},
    }
    archive = change(_tokenizer(tokenizer))
    load_archive(
        archive, overrides={"dataset_reader.tokenizer.tokenizer_kwargs.trust_remote_code": False}
    )


def test_overrides_see_the_environment(
    plain_archive: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LENGTH", "7")
    overrides = '{"dataset_reader.max_sequence_length": std.parseInt(std.extVar("LENGTH"))}'
    assert load_archive(plain_archive, overrides=overrides).dataset_reader._max_sequence_length == 7


def test_jsonnet_imports_what_is_in_the_archive(
    plain_archive: Path, pack: Pack, tmp_path: Path
) -> None:
    config = json.loads((plain_archive / "config.json").read_text())
    (plain_archive / "parts").mkdir()
    (plain_archive / "parts" / "reader.jsonnet").write_text('{x: import "inner.json"}.x')
    (plain_archive / "parts" / "inner.json").write_text(json.dumps(config["dataset_reader"]))
    (plain_archive / "config.json").write_text(
        '{dataset_reader: import "parts/reader.jsonnet", '
        f'model: {json.dumps(config["model"])}, text: importstr "vocabulary/labels.txt"}}'
    )
    archive = load_archive(pack(plain_archive, tmp_path / "m.tar.gz"))
    assert archive.config["text"].split() == ["pos", "neg"]


def test_an_archive_within_an_archive(tmp_path: Path) -> None:
    inner = FIXTURES / "sentiment-lstm" / "model.tar.gz"
    unpack(inner, tmp_path)
    config = json.loads((tmp_path / "config.json").read_text())
    config["model"] = {"type": "from_archive", "archive_file": str(inner)}
    (tmp_path / "config.json").write_text(json.dumps(config))
    made, original = load_archive(tmp_path).model, load_archive(inner).model
    assert type(made) is type(original)
    for name, weight in original.state_dict().items():
        assert torch.equal(made.state_dict()[name], weight), name


def test_the_configuration_is_what_it_was(plain_archive: Path) -> None:
    archive = load_archive(plain_archive)
    expected = json.loads((plain_archive / "config.json").read_text())
    assert isinstance(archive, Archive)
    for config in (
        archive.config,
        archive.config.duplicate(),
        deepcopy(archive.config),
        pickle.loads(pickle.dumps(archive.config)),
    ):
        assert isinstance(config, Params)
        assert config.as_dict() == expected
        assert config["model"].pop("seq2vec_encoder").archive_source.name == str(plain_archive)
        assert config["model"].history == "model."


def test_a_users_own_configuration_sees_the_environment(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("KIND", "whitespace")
    (tmp_path / "secret").write_text("x")
    (tmp_path / "my.jsonnet").write_text('{type: std.extVar("KIND"), x: importstr "secret"}')
    params = Params.from_file(tmp_path / "my.jsonnet")
    assert params.as_dict() == {"type": "whitespace", "x": "x"}
    assert type(params) is Params


def test_another_thread_is_not_concerned(
    change: Callable[[Change], Path], own_module: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[Any] = []

    def build() -> None:
        seen.append(current_source())
        seen.append(type(Tokenizer.from_params(Params({"type": "users_own.Own"}))).__name__)

    class Slow(WhitespaceTokenizer):
        def __init__(self) -> None:
            assert current_source() is not None
            other = threading.Thread(target=build)
            other.start()
            other.join()

    module: Any = ModuleType("users_slow")
    module.Slow = Slow
    monkeypatch.setitem(sys.modules, "users_slow", module)
    load_archive(change(_tokenizer("users_slow.Slow")))
    assert seen == [None, "Own", None, "Own"]  # a training and a validation reader
    assert current_source() is None


def test_after_an_error_everything_is_as_before(
    change: Callable[[Change], Path], own_module: Path
) -> None:
    archive = change(_tokenizer({"type": "users_own.Own"}))
    with pytest.raises(ConfigurationError):
        load_archive(archive)
    assert current_source() is None
    assert type(Tokenizer.from_params(Params({"type": "users_own.Own"}))).__name__ == "Own"


class Node(FromParams):
    """Parts in parts, each copied on the way, as AllenNLP does where there are several kinds."""

    def __init__(self, inner: Union["Node", str] = "leaf") -> None:
        self.inner = inner


Node.__init__.__annotations__["inner"] = Union[Node, str]  # noqa: UP007


def test_parts_may_be_deep(change: Callable[[Change], Path]) -> None:
    deep: Any = {}
    for _ in range(30):
        deep = {"inner": deep}
    config = load_archive(change(lambda config: config.update(own=deep))).config
    depth, node = 0, Node.from_params(config["own"])
    while isinstance(node, Node):
        depth, node = depth + 1, node.inner
    assert depth == 31


def test_the_register_lists_the_rules() -> None:
    names = {shim.name for shim in shims()}
    assert {
        "archive-class-names",
        "archive-parameters",
        "archive-lazies",
        "archive-loading",
        "archive-extraction",
        "archived-code",
        "archived-spacy-models",
        "evalb-program",
        "srl-eval-script",
    } <= names


def test_texts_of_a_configuration_are_texts(change: Callable[[Change], Path]) -> None:
    def extra(config: dict[str, Any]) -> None:
        config["extra"] = {"file": "a.txt", "word": "good", "files": ["b.txt"]}

    config = load_archive(change(extra)).config["extra"]
    assert json.loads(json.dumps(dict(config.items()))) == config.as_dict()
    assert type(config["word"]) is str

    # Other parameters may be made of them.
    made = Named.from_params(Params({"file": config["file"], "files": config["files"]}))
    assert (made.file, made.files) == ("a.txt", ["b.txt"])
    assert type(made.file) is type(made.files[0]) is str
    # And what is the caller's own stays so.
    assert type(config.pop("absent", "own.Name")) is str
    assert type(config.get("absent", "own.Name")) is str


class Named(FromParams):
    """An object of the user's with texts for arguments."""

    def __init__(self, file: str, files: list[str]) -> None:
        self.file = file
        self.files = files
