"""Where inputs come from, one class a kind: files of lines, tables, data sets, a dataset reader."""

from .item import Item as Item
from .source import Source as Source
