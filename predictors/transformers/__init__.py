"""Hugging Face models as AllenNLP predictors."""

from . import targets as targets
from .predictor import TransformersPredictor as TransformersPredictor
from .tasks import causal_lm as causal_lm
from .tasks import masked_lm as masked_lm
from .tasks import multiple_choice as multiple_choice
from .tasks import question_answering as question_answering
from .tasks import seq2seq as seq2seq
from .tasks import text_classification as text_classification
from .tasks import token_classification as token_classification
from .texts.reader import TransformersIndexer as TransformersIndexer
