"""Worker processes that run a model's packs: here, on other machines, or as actors of a Ray cluster."""
