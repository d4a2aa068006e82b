"""Fast passes: packed, prefix-shared scoring and sampling."""
