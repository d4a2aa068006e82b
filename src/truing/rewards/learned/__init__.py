"""A reward model from people's judgements: reading, splitting, fitting, measuring, keeping and using it."""
