"""Files in and out of the store, in the forms that the field uses."""

from truing.people.exchange.exporting import EXPORT_FORMS, export_file
from truing.people.exchange.importing import Imported, import_files

__all__ = ["EXPORT_FORMS", "Imported", "export_file", "import_files"]
