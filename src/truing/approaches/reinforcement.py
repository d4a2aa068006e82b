"""Third way: let the model answer, and make what people would like more likely.

People's judgements reach the policy through a reward model fitted to the labelled answers of the
training split. The policy is watched on training questions that neither it nor the reward learns
from: there, judges that the reward never saw grade its answers every few steps, and the step whose
answers they like best is the one that is kept. The held-out split plays no part in that choice.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from truing.approaches.base import save
from truing.approaches.training import checkpoint_of, new_policy, show_progress, trained_cost
from truing.candidates import Candidate
from truing.costs import Cost
from truing.evaluate.answers import free_answers
from truing.instruments import Instruments
from truing.learn import Reinforce
from truing.learn.kl import KL
from truing.learn.loop import LogRow, Settings, train
from truing.learn.reinforced import Samples
from truing.learn.snapshot import Snapshot
from truing.learn.stopping import KlAbove
from truing.policies.language import LanguagePolicy
from truing.rewards.reward import Answered
from truing.rewards.reward_model import fit_reward_model, save_reward_model
from truing.types import Unscored
from truing.workshop import Workshop

SHOWN = 3  # sample answers kept with each look


def fit_reward(shop: Workshop, cost: Cost) -> None:
    """Fits the reward model to labelled answers and keeps it in the run."""
    with shop.progress.task("Labelled answers"):
        model = fit_reward_model(shop.renderer, shop.base_prompt, shop.practised, shop.spec.reward)
    save_reward_model(model, shop.folder / "reward_model")
    cost.labels = model.labels
    shop.note(reward_model={name: a.to_json() for name, a in model.agreement.items()})


def _mean(scores: list[Any]) -> float | None:
    known = [score for score in scores if not isinstance(score, Unscored)]
    return float(np.mean(known)) if known else None


class _Watch:
    """Looks at the policy's answers to the monitored questions every few steps."""

    def __init__(
        self, shop: Workshop, instruments: Instruments, policy: LanguagePolicy, seed: int
    ) -> None:
        self.shop = shop
        self.instruments = instruments
        self.policy = policy
        self.seed = seed
        self.cases = shop.monitored[: shop.spec.rl.monitored]
        instruments.judges.add_references(self.cases)

    def look(self) -> LogRow:
        """Means over the monitored questions: reward, judged figures; and a few answers."""
        now = Candidate("rl", self.seed, self.policy.trained, self.shop.base_prompt)
        questions = [case.prompt for case in self.cases]
        completions = free_answers(now, questions, self.shop.spec.rl.max_new_tokens)
        answers = [Answered.of(c, done) for c, done in zip(self.cases, completions, strict=True)]
        rewards = self.instruments.reward(answers)
        grades = self.instruments.judges.grade([(a.case, a.answer) for a in answers])
        both = [
            g.true * g.informative
            if not isinstance(g.true, Unscored) and not isinstance(g.informative, Unscored)
            else Unscored("empty answer")
            for g in grades
        ]
        return {
            "monitor": {
                "reward": _mean(list(rewards)),
                "true": _mean([g.true for g in grades]),
                "informative": _mean([g.informative for g in grades]),
                "true_and_informative": _mean(both),
                "n": len(answers),
            },
            "samples": [
                {
                    "prompt": a.case.prompt,
                    "answer": a.answer,
                    "reward": None if isinstance(r, Unscored) else r,
                }
                for a, r in list(zip(answers, rewards, strict=True))[:SHOWN]
            ],
        }


def reinforce(shop: Workshop, instruments: Instruments, seed: int) -> None:
    """REINFORCE with a leave-one-out baseline, for one seed."""
    shop.stage(
        f"rl-seed{seed}",
        f"Reinforcement learning, seed {seed}",
        "rl",
        lambda cost: _reinforce(shop, instruments, seed, cost),
    )


def _reinforce(shop: Workshop, instruments: Instruments, seed: int, cost: Cost) -> None:
    spec = shop.spec.rl
    policy = new_policy(shop, spec.adapter, seed, spec.temperature)
    if spec.start == "sft":
        policy.set_parameters(checkpoint_of(shop, "sft", seed).parameters())
    source = Samples(
        policy, shop.renderer, shop.base_prompt, shop.practised, instruments.reward, spec, seed
    )
    settings = Settings(spec.steps, spec.learning_rate, spec.max_grad_norm, decay=False)
    checkpoint = checkpoint_of(shop, "rl", seed)
    best = Snapshot(checkpoint.folder / "best.safetensors")
    watch = _Watch(shop, instruments, policy, seed)
    shown = ("reward", "kl", "entropy", "length")
    with show_progress(shop, "Samples and rewards", spec.steps, shown) as after_step:

        def look_and_go_on(step: int, row: LogRow) -> bool:
            if step % spec.evaluate_every == 0 or step == spec.steps:
                row |= watch.look()
                judged = row["monitor"]["true_and_informative"]
                best.offer(step, judged, policy.parameters)
            return after_step(step, row)

        objective = Reinforce(kl=KL(spec.kl_weight))
        stop = (KlAbove(spec.max_kl),)
        train(policy, source, objective, settings, checkpoint, look_and_go_on, stop)
    last = int(checkpoint.rows[-1]["step"])
    kept = best.restore(policy.parameters) or last
    checkpoint.annotate(kept, chosen=True, stop_reason=checkpoint.stop or f"all {last} steps done")
    trained_cost(cost, checkpoint)
    each = spec.prompts_per_step * spec.samples_per_prompt
    cost.tokens_sampled = round(sum(row["length"] * each for row in checkpoint.rows))
    facts = {
        "adapter": spec.adapter.kind,
        "steps": last,
        "step_kept": kept,
        "kl_weight": spec.kl_weight,
        "start": spec.start,
    }
    save(shop, "rl", seed, shop.base_prompt, policy, facts)
