"""What a value function may know of a text so far: the frozen reference's hidden states.

The state of an action is the text before it, and its features are the last hidden state there, the one
that the next token is predicted from, scaled to a mean square of 1. They are the reference's, not the
policy's: they never change, so that what was learned from earlier batches stays true, and a checkpoint
needs no more than the regression. What the policy has learned since they can't tell.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn.utils.rnn import pad_sequence

from truing.models.engine.packing import HIDDEN_TOKENS, packs, smaller
from truing.models.engine.room import in_room
from truing.models.engine.tree import PromptWithContinuations
from truing.models.features import last_hidden
from truing.models.language_model import LanguageModel
from truing.policies.language import PromptCompletion, requests_of
from truing.policies.trajectories import Trajectories


class TextStates:
    """Features (B, T, E) of the states of trajectories of text. Remembers those of the last batch.

    A batch is known by its very actions, not by their content: an equal one of a later step is
    computed anew, as it would be after a resume, so that both give the same bits.
    """

    def __init__(self, reference: LanguageModel) -> None:
        self.reference = reference
        self._actions: tuple[PromptCompletion, ...] = ()
        self._places: dict[int, int] = {}
        self._features_DTE = torch.zeros(0, 0, self.size)

    @property
    def size(self) -> int:
        """E."""
        return int(self.reference.model.config.get_text_config().hidden_size)

    def __call__(self, trajectories: Trajectories) -> Tensor:
        """(B, T, E) in float32; 0 outside the mask."""
        actions: tuple[PromptCompletion, ...] = trajectories.data
        if not self._places.keys() >= set(map(id, actions)):
            places = {action: place for place, action in enumerate(dict.fromkeys(actions))}
            self._features_DTE = self._computed(list(places))
            self._actions = actions  # kept, so that no other action gets the name of one of these
            self._places = {id(action): places[action] for action in actions}
        places_B = torch.tensor([self._places[id(action)] for action in actions])
        return self._features_DTE[places_B, : trajectories.mask_BT.shape[1]]

    @torch.no_grad()
    def _computed(self, actions: list[PromptCompletion]) -> Tensor:
        rows: list[Tensor] = []
        size = min(HIDDEN_TOKENS, self.reference.pack_tokens)
        for pack in packs(requests_of(actions), size):
            for states in in_room(self._states, pack, self.reference.room, smaller):
                rows += states
        return pad_sequence(rows, batch_first=True)

    def _states(self, pack: list[PromptWithContinuations]) -> tuple[Tensor, ...]:
        """(T, E) of each continuation."""
        lengths = [len(c) for request in pack for c in request.continuations]
        hidden_CE = last_hidden(self.reference, pack).float()
        scale_C1 = hidden_CE.square().mean(1, keepdim=True).sqrt().clamp(min=1e-6)
        scaled_CE: Tensor = hidden_CE / scale_C1
        return tuple(scaled_CE.cpu().split(lengths))
