"""From returns to credit: baselines."""

from __future__ import annotations

import torch
from torch import Tensor


def leave_one_out(return_B: Tensor, group_B: Tensor) -> Tensor:
    """Each return minus the mean return of the others in its group: (B,).

    Kool et al. (2019), "Buy 4 REINFORCE samples, get a baseline for free"; Ahmadian et al. (2024),
    eq. 8. A trajectory with return NaN (unscored) gets 0 and is nobody's baseline; so does one whose
    group has no other scored trajectory, because nothing is known about how good it is.
    """
    scored_B = ~return_B.isnan()
    filled_B = torch.where(scored_B, return_B, torch.zeros_like(return_B))
    _, place_B = group_B.unique(return_inverse=True)
    groups = int(place_B.max()) + 1 if len(place_B) else 0
    total_G = filled_B.new_zeros(groups).index_add_(0, place_B, filled_B)
    count_G = filled_B.new_zeros(groups).index_add_(0, place_B, scored_B.to(filled_B.dtype))
    others_B = count_G[place_B] - 1
    baseline_B = (total_G[place_B] - filled_B) / others_B.clamp(min=1)
    usable_B = scored_B & (others_B >= 1)
    return torch.where(usable_B, filled_B - baseline_B, torch.zeros_like(filled_B))
