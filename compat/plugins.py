"""AllenNLP finds our plugin without a plugins file, as it finds its own."""

from __future__ import annotations

from typing import Any

from .registry import after

PLUGIN = "allennlp_saliency.plugin"


@after(
    "allennlp.common.plugins",
    why="the plugin that comes with these shims is found from any folder, without a plugins file",
)
def default_plugin(module: Any) -> bool:
    """Name our plugin among AllenNLP's default plugins."""
    if PLUGIN in module.DEFAULT_PLUGINS:
        return False
    module.DEFAULT_PLUGINS = (*module.DEFAULT_PLUGINS, PLUGIN)
    return True
