"""Files in and out of the store, in the forms that the field uses."""

from truing.people.exchange.exporting import (
    EXPORT_FORMS,
    PROGRAMS,
    Exported,
    export_file,
    export_tasks,
    exported,
    write_export,
)
from truing.people.exchange.importing import Imported, import_files

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
