"""Where inputs come from, one class a kind: files of lines, tables, data sets, a dataset reader."""

from .item import Item as Item
from .opening import FORMATS as FORMATS
from .opening import open_source as open_source
from .source import Source as Source
