"""Methods that look inside a transformer: its attention, and what that does."""

from .attention import Attention as Attention
from .attention_interpreter import AttentionInterpreter as AttentionInterpreter
from .attention_rollout import AttentionRollout as AttentionRollout
from .attention_x_gradient import AttentionXGradient as AttentionXGradient
from .value_zeroing import ValueZeroing as ValueZeroing
