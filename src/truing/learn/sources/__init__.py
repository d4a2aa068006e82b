"""Where trajectories come from: the policy's own samples, demonstrations, or pairs of answers."""
