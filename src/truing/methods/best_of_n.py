"""Best-of-n: train nothing, draw n answers, give the one that the reward likes best.

What reinforcement learning pays for once, in training, this pays for with every answer. It is the
yardstick for what the reward can do: how far it goes from the base is bounded by n alone.
"""

from __future__ import annotations

from truing.judges.programs import Program
from truing.methods.common import save
from truing.methods.graders import Graders
from truing.methods.method import Method
from truing.methods.model_card import Made
from truing.methods.reward import check_pairs
from truing.methods.setup import Setup
from truing.rewards.best_of_n import asked_alone, to_json
from truing.rewards.calling import columns_of
from truing.rewards.learned.saved import FILE
from truing.rewards.mixture import (
    ENDPOINT,
    JUDGE,
    PROBE_FOLDER,
    check_reward,
    needs_model,
    needs_pairs,
)
from truing.rewards.mixture import described as reward_in_words
from truing.rewards.program import REWARDS, built_in
from truing.rewards.rubrics.judge import ServedJudge
from truing.rewards.truth_probe import PROBE_FILE
from truing.runs.run import Run
from truing.statistics.best_of_n import kl_bound
from truing.types import InputError

KNOWN = {"answer", "prompt", "finished"}
"""What a program that chooses can ask for: references are there in training and measuring alone."""
_SAME = {"completion", "answers", "completions", "prompts"}
"""Other names for these."""


def describe(setup: Setup) -> str:
    """How it answers, for the model card."""
    n, reward = setup.spec.best_of_n.n, reward_in_words(setup.spec.reward)
    return f"The base model; of {n} answers drawn to a question, the best by {reward} is given."


def check(setup: Setup) -> None:
    """Raises InputError where the reward's programs fail, or can't do without references."""
    judges, why = setup.texts.task.graders, "best_of_n: answers are chosen by it"
    columns = columns_of(setup.rollout_prompts)
    for number, part in enumerate(setup.spec.reward.parts):
        is_judge = part.name.startswith(JUDGE)
        judge = judges.get(part.name.removeprefix(JUDGE)) if is_judge else None
        if part.name == ENDPOINT or isinstance(judge, ServedJudge):
            raise InputError(
                f"{why}, but {part.name} is behind an endpoint, which would be sent every prompt in use; "
                "name another under reward.parts"
            )
        if is_judge:
            asked = judge.asks_for.names if isinstance(judge, Program) else set()
            wanted = asked - KNOWN - _SAME
        elif part.name in REWARDS:
            built = built_in(part.name, part.options, f"reward.parts.{number}", columns)
            wanted = {built.asks_for} - {""}
        else:
            continue
        if wanted:
            raise InputError(
                f"{why}, but {part.name} asks for {', '.join(sorted(wanted))}, and only "
                f"{', '.join(sorted(KNOWN))} are known in use; name another under reward.parts"
            )
    prompts = [asked_alone(case) for case in setup.rollout_prompts]
    check_pairs(setup)
    check_reward(setup.spec.reward, prompts, judges, needed=why, weights=setup.weights)


def make(run: Run, setup: Setup, graders: Graders, seed: int) -> None:
    """A candidate of the base's weights and the reward, for one seed."""
    spec = setup.spec.best_of_n
    fitted = [PROBE_FILE] if needs_model(setup.spec.reward) else []
    fitted += [FILE] if needs_pairs(setup.spec.reward) else []
    facts = {
        "answers_drawn": spec.n,
        "temperature": spec.temperature,
        "kl_bound": f"{kl_bound(spec.n):.3f} nats to the distribution drawn from, at most",
        "cost_of_an_answer": f"{spec.n} times the tokens, and a reward for each of {spec.n} answers",
    }
    name = setup.named("best_of_n")
    made = Made(
        name,
        seed,
        setup.base_prompt,
        describe(setup),
        facts=facts,
        record={"best_of_n": to_json(spec, setup.spec.reward)},
        files={f"{PROBE_FOLDER}/{file}": run.folder / PROBE_FOLDER / file for file in fitted},
    )
    what = f"{'Best' if name == 'best_of_n' else f'{name}: best'} of {spec.n}, seed {seed}"
    run.stage(f"{name}-seed{seed}", what, name, lambda _: save(run, setup, made))


BEST_OF_N = Method(
    name="best_of_n",
    title="the best of n answers by the reward, weights unchanged",
    describe=describe,
    make=make,
    check=check,
    trained_on_reward=True,
)
