"""The page of one training: its curves, its held-out figures, samples of its answers, what to beware of."""
