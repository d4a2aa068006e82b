"""From a benchmark's rows to instructions and answers, by templates."""

from truing.data.conversion.convert import Converted, Settings, convert, convert_files
from truing.data.conversion.task_file import Task, built_in

__all__ = ["Converted", "Settings", "Task", "built_in", "convert", "convert_files"]
