"""A language model that scores and samples fast: weights and tokenizer of `transformers`, our passes.

Scoring packs many continuations of many prompts into token trees (tree.py); sampling lives in
sampling.py. Both are exact: the numbers are those of each text run alone.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, nullcontext
from functools import cached_property, partial
from itertools import groupby
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from transformers import PreTrainedModel
from transformers.tokenization_utils_base import PreTrainedTokenizerBase
from transformers.utils import logging as transformers_logging

from truing.models.engine.attention import NAME, AttentionPlan, following
from truing.models.engine.copies import Int8Copies
from truing.models.engine.decoder import Decoder
from truing.models.engine.long_rows import long_log_probs
from truing.models.engine.packing import PACK_TOKENS
from truing.models.engine.projection import (
    LogitRule,
    divergence_of_scores,
    divergences,
    frozen_token_log_probs,
    logits,
    softcapped,
    token_log_probs,
    token_log_probs_and_entropies,
)
from truing.models.engine.room import Room, fitting_rows, fitting_tokens
from truing.models.engine.sharding import shards_of
from truing.models.engine.threads import workers
from truing.models.engine.tree import (
    PromptWithContinuations,
    SharedPrefix,
    Tokens,
    TokenTree,
)
from truing.models.engine.trial import cache_agrees, shares_prompts
from truing.models.engine.unpacked import SENTENCE, UNCACHED, log_probs_alone, logits_alone
from truing.models.loading import read_tokenizer, read_weights
from truing.models.passes import Elsewhere
from truing.models.precision import exact_float32
from truing.models.scoring import Scored, prefix_run_once, score_each
from truing.models.templates.speech import Speech, text_of
from truing.types import Dtype, InputError

# Loading takes a second or two; a bar for it would be noise between the run's own.
transformers_logging.disable_progress_bar()


class LanguageModel:
    """Weights with a tokenizer. Holds no other state: every method's answer follows from its input (its
    `room` changes how many passes that takes).

    `model` is a causal language model of `transformers`, possibly with adapter layers injected. `dtype`
    is the precision of passes without gradients: that of the weights where it isn't given. A trial
    finds out whether packed passes give the model's own numbers; where they don't, the model is
    `unpacked`: everything works, each text by itself (unpacked.py). With `int8` our decoder's passes
    without gradients multiply in eight-bit integers. Raises InputError where it can't run.

    `elsewhere` is who runs its packs where they aren't run in this process; `most_rows` is how many answers
    are sampled side by side at most, None for as many as is usual.
    """

    elsewhere: Elsewhere | None = None
    most_rows: int | None = None

    def __init__(
        self,
        model: PreTrainedModel,
        tokenizer: PreTrainedTokenizerBase,
        dtype: torch.dtype | None = None,
        *,
        int8: bool = False,
    ) -> None:
        model.eval()
        exact_float32()
        self.model = model
        self.tokenizer = tokenizer
        self.dtype = dtype or model.dtype
        copies = Int8Copies() if int8 else None
        self.decoder = Decoder(model, self.dtype, copies) if Decoder.supports(model) else None
        self.room = Room(PACK_TOKENS)
        self._logits = LogitRule.of(model.config.get_text_config())
        self.unpacked = False
        if model.config._attn_implementation != NAME:  # else it was tried when plans were let in
            self.unpacked = not shares_prompts(model, self.continuation_log_probs)
        if self.unpacked:
            self.decoder = None
        self.context_length = int(getattr(model.config, "max_position_embeddings", 1 << 30))
        # The embedding of the padding token would get no gradient; here that token is the end token
        # as well, and nothing is padded.
        model.get_input_embeddings().padding_idx = None  # type: ignore[assignment]

    @cached_property
    def cached(self) -> bool:
        """Of an unpacked model: whether what it keeps of a text while it writes can be relied on."""
        return cache_agrees(self.model)

    @property
    def note(self) -> str:
        """What its user is told of how it runs; empty where there is nothing to tell."""
        if not self.unpacked:
            return ""
        return SENTENCE if self.cached else SENTENCE + UNCACHED

    @staticmethod
    def load(
        folder: Path, dtype: Dtype = "float32", *, to_share_out: bool = False
    ) -> LanguageModel:
        """Weights and tokenizer from a folder of safetensors; see `read_weights`."""
        weights = read_weights(folder, dtype, to_share_out=to_share_out)
        return LanguageModel(weights, read_tokenizer(folder))

    @staticmethod
    def load_tokenizer(folder: Path) -> PreTrainedTokenizerBase:
        """The tokenizer in a folder. Raises InputError where there is none."""
        return read_tokenizer(folder)

    @cached_property
    def speech(self) -> Speech:
        """How its chat template and its tokenizer begin and end an answer."""
        ends = self.model.generation_config.eos_token_id if self.model.generation_config else None
        return Speech.of(self.tokenizer, ends)

    @property
    def end_tokens(self) -> frozenset[int]:
        """Tokens that end an answer: the template's, the tokenizer's and the generation settings'."""
        return self.speech.end_tokens

    @property
    def end_token(self) -> int:
        """The token that training puts at the end of an answer: the one that the template writes."""
        if self.speech.end_token is None:
            raise InputError("model: its tokenizer names no end token (eos_token)")
        return self.speech.end_token

    @property
    def device(self) -> torch.device:
        """Where the weights are."""
        return self.model.device

    @property
    def workers(self) -> int:
        """How many passes to run at once; one where code isn't ours or weights are shared out."""
        return 1 if self.unpacked or shards_of(self.model) else workers(self.device)

    @property
    def pack_tokens(self) -> int:
        """Tokens of a pass without gradients at most."""
        most = min(PACK_TOKENS, self.room.tokens)
        here = self.device.type == "cpu"
        return most if here else min(most, fitting_tokens(self.model, self.dtype))

    def about(self) -> dict[str, Any]:
        """How many numbers its weights are, what `transformers` calls its kind, how it runs."""
        count = sum(parameter.numel() for parameter in self.model.parameters())
        kind = self.model.config.model_type
        scored = "alone" if self.unpacked else "tree"
        return {"parameters": count, "architecture": kind, "scored": scored}

    def fitting_rows(self, tokens: int) -> int:
        """Off the processor: rows of so many tokens that are sampled side by side at most."""
        return fitting_rows(self.model, self.dtype, tokens)

    def encode(self, text: str) -> list[int]:
        """Tokens of a text in which special tokens are already written out."""
        return list(self.tokenizer.encode(text, add_special_tokens=False))

    def decode(self, tokens: Sequence[int]) -> str:
        """The text of some tokens, special ones left out but for the tags around thoughts."""
        tags = self.speech.tags
        runs = groupby(tokens, key=tags.get) if tags else [(None, iter(tokens))]
        return "".join(
            tag * len(list(run)) if tag else text_of(self.tokenizer, run, special=False)
            for tag, run in runs
        )

    def hidden(
        self,
        tokens_N: Tensor,
        positions_N: Tensor,
        plan: AttentionPlan,
        only_M: Tensor | None = None,
    ) -> Tensor:
        """Hidden states (N, E) of the last layer, after its norm, of one packed row of tokens; those of
        the tokens `only_M` (M, E) where they alone are asked for.

        Not for an unpacked model, which has no packed rows.
        """
        assert not self.unpacked, "an unpacked model follows no plan"
        if self.decoder is not None:
            return self.decoder.hidden(tokens_N, positions_N, plan, only_M=only_M)
        with self.precision(), following(plan):
            output = self.model.base_model(
                input_ids=tokens_N[None],
                position_ids=positions_N[None],
                plan=plan,
                use_cache=False,
            )
        hidden_NE: Tensor = output.last_hidden_state[0]
        return hidden_NE if only_M is None else hidden_NE[only_M]

    def precision(self) -> AbstractContextManager[object]:
        """Of a pass without gradients through `transformers`."""
        if torch.is_grad_enabled() or self.dtype == self.model.dtype:
            return nullcontext()
        return torch.autocast(self.device.type, self.dtype)

    def continuation_log_probs(self, tree: TokenTree, temperature: float = 1.0) -> Tensor:
        """Log-probability of each continuation token (C,). Differentiable."""
        if self.unpacked:
            with self.precision():
                return log_probs_alone(self.model, tree.requests, temperature)[0]
        if len(tree.target_C) == 0:
            return torch.zeros(0, device=self.device)
        if not torch.is_grad_enabled():
            source_U, row_C = tree.source_C.unique(return_inverse=True)
            return frozen_token_log_probs(
                self.hidden(tree.tokens_N, tree.positions_N, tree, source_U),
                self._head,
                row_C,
                tree.target_C,
                softcap=self._logits.softcap,
                temperature=temperature,
            )
        hidden_NE = self.hidden(tree.tokens_N, tree.positions_N, tree)
        head = self.model.get_output_embeddings()
        return token_log_probs(
            hidden_NE.index_select(0, tree.source_C),
            head.weight,
            tree.target_C,
            bias_V=getattr(head, "bias", None),
            **self._logits.of_output_layer(temperature),
        )

    def log_probs_in_pieces(self, request: PromptWithContinuations) -> Iterator[Tensor]:
        """Log-probabilities (C,) of each continuation of a request whose texts are too long for one pass,
        without gradients."""
        return long_log_probs(
            self.hidden, self._head, self._logits.softcap, request, self.device, self.pack_tokens
        )

    def log_probs_and_entropies(
        self, tree: TokenTree, temperature: float = 1.0
    ) -> tuple[Tensor, Tensor]:
        """As `continuation_log_probs`, with the entropies (C,) of the distributions. Differentiable."""
        if self.unpacked:
            with self.precision():
                return log_probs_alone(self.model, tree.requests, temperature, entropies=True)
        hidden_NE = self.hidden(tree.tokens_N, tree.positions_N, tree)
        head = self.model.get_output_embeddings()
        return token_log_probs_and_entropies(
            hidden_NE.index_select(0, tree.source_C),
            head.weight,
            tree.target_C,
            bias_V=getattr(head, "bias", None),
            **self._logits.of_output_layer(temperature),
        )

    def log_probs_and_divergences(
        self,
        tree: TokenTree,
        held_C: Tensor,
        reference: LanguageModel,
        states_NE: Tensor,
        temperature: float = 1.0,
    ) -> tuple[Tensor, Tensor]:
        """As `continuation_log_probs` (C,), and KL(reference || model) (C,), nats. Differentiable.

        `held_C` is 0 where the first alone is asked for and 1 where the second alone is; the other is 0
        there. In between both are. `states_NE` are the reference's `states` where `held_C` is above 0.
        """
        states_CE = self.states(tree)
        likely_C, near_C = held_C < 1, held_C > 0
        target_N = tree.target_C[likely_C]
        wanted = partial(reference.output_scores, temperature=temperature)
        if self.unpacked:
            scores_CV = states_CE / temperature
            log_prob_N = scores_CV[likely_C].log_softmax(-1).gather(1, target_N[:, None])[:, 0]
            divergence_N = divergence_of_scores(scores_CV[near_C], wanted(states_NE))
        else:
            head = self.model.get_output_embeddings()
            bias_V, rule = getattr(head, "bias", None), self._logits.of_output_layer(temperature)
            log_prob_N = token_log_probs(
                states_CE[likely_C], head.weight, target_N, bias_V=bias_V, **rule
            )
            divergence_N = divergences(
                states_CE[near_C], head.weight, states_NE, wanted, bias_V=bias_V, **rule
            )
        nothing_C = torch.zeros(len(held_C), device=self.device)
        log_prob_C = nothing_C.masked_scatter(likely_C, log_prob_N)
        return log_prob_C, nothing_C.masked_scatter(near_C, divergence_N)

    def output_scores(self, states_NE: Tensor, temperature: float = 1.0) -> Tensor:
        """`next_token_scores` / temperature, differentiable and without copies of the weights."""
        if self.unpacked:
            return states_NE / temperature
        head, rule = self.model.get_output_embeddings(), self._logits.of_output_layer(temperature)
        states_NE, bias_V = states_NE.to(head.weight.dtype), getattr(head, "bias", None)
        return logits(states_NE, head.weight, bias_V, rule["softcap"]) / rule["temperature"]

    def states(self, tree: TokenTree) -> Tensor:
        """(C, E) what `next_token_scores` takes, before each continuation token. Differentiable.

        Hidden states, or of an unpacked model the logits themselves.
        """
        if self.unpacked:
            with self.precision():
                found = sorted(logits_alone(self.model, tree.requests), key=lambda item: item[0])
            return torch.cat([logits_CV for _, logits_CV in found])
        return self.hidden(tree.tokens_N, tree.positions_N, tree)[tree.source_C]

    def _head(self, hidden_NE: Tensor) -> Tensor:
        """Logits (N, V) before any softcap, without gradients."""
        if self.decoder is not None:
            return self._logits.scaled(self.decoder.head(hidden_NE))
        with self.precision():
            return self._logits.scaled(self.model.get_output_embeddings()(hidden_NE))

    def next_token_scores(self, hidden_NE: Tensor) -> Tensor:
        """Logits (N, V) in float32 of the token behind each state, without gradients; see `states`."""
        if self.unpacked:
            return hidden_NE
        return softcapped(self._head(hidden_NE).float(), self._logits.softcap)

    def next_token_scores_of_some(self, hidden_NE: Tensor, rows: int) -> Iterator[Tensor]:
        """The same of so many rows at a time; the product with the output layer is one for all."""
        if self.unpacked:
            yield from hidden_NE.split(rows)
            return
        for logits_NV in self._head(hidden_NE).split(rows):
            yield softcapped(logits_NV.float(), self._logits.softcap)

    def forget_copies(self, *, learning_only: bool = False) -> None:
        """Frees the copies of the weights that passes without gradients make, as large as these; the next
        makes them anew, in less than a pass. `learning_only`: of what a learning pass is to change."""
        if self.decoder is not None:
            self.decoder.forget(learning_only=learning_only)

    def check_length(self, tokens: int, what: str) -> None:
        """Raises InputError where a text is longer than the model's context."""
        if tokens > self.context_length:
            raise InputError(
                f"{what}: {tokens} tokens, but the model's context holds {self.context_length}; "
                "shorten it or use a model with a longer context"
            )

    @torch.inference_mode()
    def shared_prefix(self, prompts: Sequence[Tokens]) -> SharedPrefix | None:
        """What all prompts begin with, run once for all passes that score them; None where that is too
        short to be worth a pass of its own."""
        return prefix_run_once(self, prompts)

    @torch.inference_mode()
    def score(
        self, requests: Sequence[PromptWithContinuations], shared_prefix: SharedPrefix | None = None
    ) -> list[list[Scored]]:
        """Log-probabilities of every continuation of every prompt, in the order given.

        Equal, to rounding, to scoring each alone. `shared_prefix`: of these prompts and others that are
        scored as well; without one, of these. Raises InputError for a text beyond the context.
        """
        [(_, scored)] = score_each(self, [requests], lambda: shared_prefix)
        return scored
