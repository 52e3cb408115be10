"""The one way in which an interpretation fails."""

from __future__ import annotations


class InterpretationError(RuntimeError):
    """An input cannot be explained; the message names what is wrong and the way out."""


class SettingError(InterpretationError):
    """A setting does not fit the model, whatever the input: a label or a layer that it does not
    have, an output that it does not return."""


class NotApplicableError(SettingError):
    """The method cannot explain this kind of model, whatever the input; the message names another
    method that can."""
