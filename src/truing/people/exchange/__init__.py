"""Files in and out of the store, in the forms that the field uses."""

from truing.people.exchange.exporting import EXPORT_FORMS, PROGRAMS, export_file, export_tasks
from truing.people.exchange.importing import Imported, import_files

__all__ = [
    "EXPORT_FORMS",
    "PROGRAMS",
    "Imported",
    "export_file",
    "export_tasks",
    "import_files",
]
