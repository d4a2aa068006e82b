"""Who gets which work, what is left of it for whom, and until when it is to be done."""
