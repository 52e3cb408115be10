"""Explains a whole data set into a folder that goes on where it was. Knows no command line and no
view."""

from .dataset import interpret_dataset as interpret_dataset
from .explain_rows import ExplainRows as ExplainRows
from .sources import Item as Item
from .sources import open_source as open_source
