"""Hugging Face models as AllenNLP predictors."""

from . import causal_lm as causal_lm
from . import masked_lm as masked_lm
from . import multiple_choice as multiple_choice
from . import question_answering as question_answering
from . import seq2seq as seq2seq
from . import targets as targets
from . import text_classification as text_classification
from . import token_classification as token_classification
from .predictor import TransformersPredictor as TransformersPredictor
from .token_indexer import TransformersIndexer as TransformersIndexer
