"""Files in and out of the store, in the forms that the field uses."""

from truing.people.exchange.exporting import (
    EXPORT_FORMS,
    Exported,
    export_file,
    exported,
    write_export,
)
from truing.people.exchange.importing import Imported, import_files
from truing.people.exchange.programs import PROGRAMS, export_tasks

__all__ = [
    "EXPORT_FORMS",
    "PROGRAMS",
    "Exported",
    "Imported",
    "export_file",
    "export_tasks",
    "exported",
    "import_files",
    "write_export",
]
