"""Explains a whole data set into a folder that goes on where it was. Knows no command line and no
view."""

from .dataset import interpret_dataset as interpret_dataset
from .errors import JobError as JobError
from .explain_rows import ExplainRows as ExplainRows
from .job import Job as Job
from .job import read_yaml as read_yaml
from .run import run_job as run_job
from .run_folder import RunFolder as RunFolder
from .run_folder import merge_runs as merge_runs
from .sources import Item as Item
from .sources import open_source as open_source
