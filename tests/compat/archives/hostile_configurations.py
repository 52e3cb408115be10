"""Configurations that name what they should not: types, files of the machine, the environment."""

from __future__ import annotations

import json
import sys

from tests.compat.archives.attempts import Attempt, Case

CASES: dict[str, Case] = {}


def case(function: Case) -> Case:
    CASES[function.__name__] = function
    return function


def of_type(name: str, /, **arguments: str) -> Case:
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
