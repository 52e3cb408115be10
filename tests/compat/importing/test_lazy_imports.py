"""What a prediction leaves alone is there, and right, for who uses it."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest

from allennlp_saliency.compat.importing.lazy_imports import DEFERRED, SWITCH
from allennlp_saliency.compat.importing.stand_ins import Source

ROOT = Path(__file__).resolve().parents[3]
NEVER_NEEDED = {
    *("boto3", "ftfy", "google.cloud.storage", "h5py", "lmdb", "nltk", "pandas", "rouge"),
    *("scipy", "sklearn", "spacy", "tensorboardX", "transformers.modeling_utils"),
}
PREDICT = """
import sys
import allennlp.predictors
from allennlp.common.plugins import import_plugins
from allennlp.models import load_archive
from allennlp.predictors import Predictor
import_plugins()
archive = load_archive("fixtures/topics/model.tar.gz")
predictor = Predictor.from_archive(archive, "saliency")
result = predictor.predict_json({"sentence": "the bonds of our lender"})
loaded = sorted(sys.modules)
"""
# Each line is a check; the last of them imports most.
USES = """
from importlib import import_module
import allennlp.common.util as util
from allennlp.common.util import sanitize, get_spacy_model, SpacyModelType
from allennlp.data.fields.text_field import TextField
from allennlp.data.tokenizers import SpacyTokenizer, Token
import torch, pickle, importlib.util

def check(name, value):
    checks[name] = bool(value)

checks = {}
absent = importlib.util.find_spec("spacy")
check("spec of what is absent", absent is not None and absent.origin.endswith("__init__.py"))
tokens = SpacyTokenizer(keep_spacy_tokens=True).tokenize("We aren't here.")
import spacy
check("spaCy tokens", [token.text for token in tokens] == ["We", "are", "n't", "here", "."])
check("spaCy sanitized", sanitize(tokens[0]) == "We")
check("spaCy tokens in a field", TextField(tokens, {}).tokens is tokens)
check("spaCy itself", util.spacy is spacy and SpacyModelType is spacy.language.Language)
check("blank model", isinstance(get_spacy_model("en_core_web_sm"), SpacyModelType))

from allennlp.training.metrics import Auc, EvalbBracketingScorer, SpearmanCorrelation
import allennlp.training.metrics.evalb_bracketing_scorer as scorer
auc = Auc()
auc(torch.tensor([0.1, 0.9, 0.4, 0.2]), torch.tensor([0, 1, 1, 0]))
check("AUC", auc.get_metric() == 1.0)
rank = SpearmanCorrelation()
rank(torch.tensor([1.0, 2.0, 3.0]), torch.tensor([1.0, 4.0, 9.0]))
check("Spearman", abs(rank.get_metric() - 1) < 1e-12)
import nltk, scipy.stats, sklearn.metrics
check("nltk", scorer.Tree is nltk.Tree)

from allennlp.fairness.fairness_metrics import Independence
independence = Independence(2, 2, dist_metric="wasserstein")
independence(torch.tensor([0, 1, 1, 0]), torch.tensor([0, 1, 0, 1]))
check("Wasserstein", 0 in independence.get_metric())
check("same after a copy", pickle.loads(pickle.dumps(independence))._dist_metric
      is scipy.stats.wasserstein_distance)
from allennlp.fairness.bias_direction import ClassificationNormalBiasDirection
direction = ClassificationNormalBiasDirection()(torch.eye(3), -torch.eye(3))
check("support vectors", direction.shape == (3,))

from allennlp.modules.transformer.activation_layer import ActivationLayer
check("activation", ActivationLayer(2, 2, "relu")(torch.zeros(1, 2)).shape == (1, 2))

import allennlp.common.file_utils as file_utils
import tempfile, os
with tempfile.TemporaryDirectory() as folder:
    cache = file_utils.TensorCache(os.path.join(folder, "cache"))
    cache["a"] = torch.ones(2)
    check("tensor cache", cache["a"].tolist() == [1.0, 1.0])
    del cache
import lmdb
check("lmdb", file_utils.lmdb is lmdb)

import cached_path.schemes.gs as gs, cached_path.schemes.s3 as s3, cached_path.schemes.r2 as r2
from google.api_core.exceptions import NotFound
client = gs.GsClient("gs://bucket/file")
import google.cloud.storage
check("gs", type(client.blob) is google.cloud.storage.Blob)
class Gone:
    def reload(self):
        raise NotFound("gone")
client.blob = Gone()
try:
    client.load()
except FileNotFoundError as error:
    check("gs error", isinstance(error.__cause__, NotFound))
client = s3.S3Client("s3://bucket/file")
import botocore.exceptions
check("s3", client.s3_object.bucket_name == "bucket")
class Missing:
    def load(self):
        raise botocore.exceptions.ClientError({"Error": {"Code": "404"}}, "HeadObject")
client.s3_object = Missing()
try:
    client.load()
except FileNotFoundError as error:
    check("s3 error", "gs" not in str(error))
try:
    r2.R2Client("r2://bucket/file")
except ValueError as error:
    check("r2 error", "R2_ENDPOINT_URL" in str(error))

from allennlp.training.callbacks import TensorBoardCallback
with tempfile.TemporaryDirectory() as folder:
    board = TensorBoardCallback(folder)
    import tensorboardX
    check("TensorBoard", type(board._train_log) is tensorboardX.SummaryWriter)
    board._train_log.close(); board._validation_log.close()
"""
MODELS = """
from allennlp_models.structured_prediction.predictors import constituency_parser, util as tags
from allennlp_models.rc.tools import narrativeqa
table = tags.TAG_MAP
import spacy.symbols
check("TAG_MAP", table["NN"] == {spacy.symbols.POS: spacy.symbols.NOUN, "Number": "sing"})
check("TAG_MAP again", constituency_parser.TAG_MAP is table)
check("links", constituency_parser.LINK_TO_LABEL == {tag: "pos" for tag in table})
check("evaluator not made yet", "rouge" not in sys.modules)
check("rouge", narrativeqa.rouge_l_evaluator.alpha == 0.5)
import rouge
check("evaluator", type(narrativeqa.rouge_l_evaluator) is rouge.Rouge)
check("bleu", narrativeqa.bleu_1("a b".split(), ["a b".split()]) == 1)
from allennlp_models.structured_prediction.models import srl_bert
from transformers import BertModel
# The mend of archives' own models stands around the class.
bert = vars(srl_bert.BertModel)["model_class"]
check("bert", bert.config_class is BertModel.config_class)
from allennlp_models.coref.metrics.conll_coref_scores import linear_sum_assignment
import scipy.optimize
check("assignment", linear_sum_assignment is scipy.optimize.linear_sum_assignment)
"""
QUIET = {
    "NO_GCE_CHECK": "true",
    "AWS_EC2_METADATA_DISABLED": "true",
    "AWS_ACCESS_KEY_ID": "",
    "PYTHONWARNINGS": "ignore",
}


def run(script: str, lazy: bool = True) -> Any:
    """The last line that a script prints, from a fresh process in the repository's folder."""
    done = subprocess.run(
        [sys.executable, "-c", f"import allennlp_saliency\n{script}"],
        cwd=ROOT,
        env={**os.environ, **QUIET, SWITCH: str(int(lazy))},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-4000:]
    return json.loads(done.stdout.splitlines()[-1])


@pytest.fixture(scope="module")
def used() -> dict[str, Any]:
    """A prediction, what was loaded after it, and then every lazy thing in use."""
    models = MODELS if find_spec("allennlp_models") else ""
    say = "\nimport json\nprint(json.dumps([result, loaded, checks]))"
    return dict(
        zip(("result", "loaded", "checks"), run(PREDICT + USES + models + say), strict=True)
    )


@pytest.mark.slow
def test_a_prediction_imports_none_of_them(used: dict[str, Any]) -> None:
    assert NEVER_NEEDED.isdisjoint(used["loaded"])
    assert "allennlp.fairness.bias_mitigators" in used["loaded"]


def test_methods_and_metrics_import_what_they_regress_with_when_they_run() -> None:
    script = (
        "import json, sys\n"
        "import allennlp_saliency.interpret.faithfulness\n"
        "import allennlp_saliency.commands.compare_interpreters\n"
        "print(json.dumps(sorted(sys.modules)))"
    )
    loaded = set(run(script))
    assert "allennlp_saliency.interpret.methods.perturbation.lime" in loaded
    assert loaded.isdisjoint({"sklearn", "scipy.stats", "scipy", "matplotlib", "shapiq"})
    assert loaded.isdisjoint({"transformers.modeling_utils", "boto3"})


@pytest.mark.slow
def test_each_is_the_real_thing_when_it_is_asked_for(used: dict[str, Any]) -> None:
    script = USES + (MODELS if find_spec("allennlp_models") else "")
    assert list(used["checks"]) == re.findall(r'check\("([^"]+)"', script)
    assert [name for name, right in used["checks"].items() if not right] == []


@pytest.mark.slow
def test_all_is_imported_at_once_where_the_environment_says_so(used: dict[str, Any]) -> None:
    result, loaded = run(PREDICT + "\nimport json\nprint(json.dumps([result, loaded]))", lazy=False)
    assert set(loaded) >= {"boto3", "google.cloud.storage", "nltk", "sklearn", "spacy"}
    assert result == used["result"]


@pytest.mark.slow
def test_who_imports_spacy_first_is_served() -> None:
    script = """
import json, spacy
import allennlp
import allennlp.common.util as util
from allennlp.data.tokenizers import spacy_tokenizer
print(json.dumps([vars(allennlp)["spacy"] is spacy, vars(util)["spacy"] is spacy,
    vars(util)["SpacyModelType"] is spacy.language.Language,
    vars(spacy_tokenizer)["Doc"] is spacy.tokens.Doc]))
"""
    assert run(script) == [True] * 4


@pytest.mark.parametrize("module", sorted(DEFERRED))
def test_a_class_says_that_it_is_of_the_library_that_it_is_imported_from(module: str) -> None:
    """`isinstance` asks a class for its module, to say no without an import."""
    for name in DEFERRED[module].imports:
        holder, _, attribute = name.rpartition(".")
        if attribute[:1].isupper() and find_spec(holder.partition(".")[0]):
            real = getattr(import_module(holder), attribute)
            if isinstance(real, type):
                assert Source(holder, attribute).may_have_made([real]), name
