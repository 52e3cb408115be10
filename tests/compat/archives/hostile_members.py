"""Members and models that bring code: Python files, pickles, programs, packages."""

from __future__ import annotations

import pickle
import shutil
import tarfile

import spacy
import torch

from tests.compat.archives.attempts import Attempt, Case

CASES: dict[str, Case] = {}


def case(function: Case) -> Case:
    CASES[function.__name__] = function
    return function


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
    spacy.blank("en").to_disk(attempt.work / "language")
    attempt.reader["tokenizer"] = {"type": "spacy", "language": "./language"}


@case
def a_vocabulary_that_is_unpacked(attempt: Attempt) -> None:
    shutil.rmtree(attempt.folder / "vocabulary")
    with tarfile.open(attempt.folder / "vocabulary", "w:gz") as tar:
        tar.add(attempt.folder / "weights.th", arcname="../../canary")
