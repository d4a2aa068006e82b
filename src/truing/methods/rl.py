"""Reinforcement learning: let the model answer, and make what people would like more likely.

People's judgements reach the policy through a reward model fitted to the labelled answers of the
training split; the spec may name other rewards. In a comparison the policy is watched on training
questions that neither it nor the reward learns from: there, judges that the reward never saw grade
its answers every few steps, and the step whose answers they like best is the one that is kept. The
held-out split plays no part in that choice. Without judges the last step is kept.
"""

from __future__ import annotations

from collections.abc import Sequence

from truing.learn.best_checkpoint import BestCheckpoint
from truing.learn.from_spec import described as in_words
from truing.learn.from_spec import objective_of, stop_rules_of
from truing.learn.loop import LogRow, Settings, train
from truing.learn.sources.samples import OnPolicySamples
from truing.learn.text_states import TextStates
from truing.methods.asking import check_asking, check_people, judged_by_people
from truing.methods.common import (
    checkpoint_of,
    new_policy,
    save,
    say_constant_reward,
    say_samples,
    show_progress,
    trained_cost,
)
from truing.methods.contrast import rule_kept
from truing.methods.graders import Graders
from truing.methods.method import Method
from truing.methods.model_card import Made
from truing.methods.monitor import Monitor
from truing.methods.reward import check_pairs
from truing.methods.setup import Setup
from truing.rewards.mixture import ENDPOINT, check_reward
from truing.rewards.mixture import described as reward_in_words
from truing.rewards.reward import Reward
from truing.runs.costs import Cost
from truing.runs.folder import LOOKS
from truing.runs.run import Run
from truing.spec.run import BASE_START, Spec
from truing.types import Case

LOGGED_KEYS = {
    "reward": "reward",
    "kl": "KL",
    "entropy": "entropy",
    "length": "length",
    "clip_fraction": "clipped",
    "value_loss": "value loss",
    "gradient_norm": "gradient",
    "tokens_per_second": "tokens/s",
}
"""Figures behind the progress bar, with their names there."""


def describe(setup: Setup) -> str:
    """How it was made, for the model card."""
    spec = setup.spec.rl
    rewarded = reward_in_words(setup.spec.reward)
    if spec.contrast is not None:
        rewarded = "an exact program, rules kept under attack and permitted demands done,"
    start = setup.spec.rl_start
    begun = "" if start == BASE_START else f", beginning from the candidate of {start}"
    return f"Trained on {rewarded} by {in_words(spec)}{begun}."


def check(setup: Setup) -> None:
    """Raises InputError where the objective can't be or the reward's programs fail."""
    setup.spec.rl.objective.require_group(setup.spec.rl.samples_per_prompt)
    if (contrast := setup.spec.rl.contrast) is not None:
        rule_kept(setup, contrast, setup.spec.seeds[0])
        return
    check_pairs(setup)
    check_reward(
        setup.spec.reward,
        setup.rollout_prompts,
        setup.texts.task.graders,
        weights=setup.weights,
    )
    check_people(setup)
    _say_same_judge(setup)


def _say_same_judge(setup: Setup) -> None:
    """Warns where the model that rewards answers is the one that judges them."""
    for endpoint in rewarding_judges(setup.spec):
        setup.progress.note(
            f"Warning: {endpoint} is the reward and a judge of the answers: what it likes is learned, and "
            "it will like it; name another as judge"
        )


def rewarding_judges(spec: Spec) -> list[str]:
    """The models behind endpoints that reward answers and judge them, too."""
    task = spec.task
    checks = [*task.judges.values(), *(rule.check for rule in task.rules if rule.check)]
    judges = {spec.judge.endpoint, *(check.endpoint for check in checks)}
    rewards = [part.options.get("endpoint") for part in spec.reward.parts if part.name == ENDPOINT]
    return [each for each in dict.fromkeys(rewards) if each is not None and each in judges]


def make(run: Run, setup: Setup, graders: Graders, seed: int) -> None:
    """The spec's objective and reward, for one seed. In a comparison judges choose the step kept."""
    name = setup.named("rl")
    run.stage(
        f"{name}-seed{seed}",
        f"{'Reinforcement learning' if name == 'rl' else name}, seed {seed}",
        name,
        lambda cost: _reinforce(run, setup, graders, seed, cost),
        together=True,
    )


def _rewarded(setup: Setup, graders: Graders, seed: int) -> tuple[Sequence[Case], Reward]:
    """What is answered, and the reward of answers to it."""
    if (contrast := setup.spec.rl.contrast) is not None:
        return rule_kept(setup, contrast, seed)
    return setup.rollout_prompts, graders.reward


def _reinforce(run: Run, setup: Setup, graders: Graders, seed: int, cost: Cost) -> None:
    spec, name = setup.spec.rl, setup.named("rl")
    policy = new_policy(setup, spec.adapter, seed, spec.temperature)
    if (start := setup.spec.rl_start) != BASE_START:
        policy.set_parameters(checkpoint_of(run, setup, start, seed).parameters())
    cases, reward = _rewarded(setup, graders, seed)
    samples = OnPolicySamples(policy, setup.renderer, setup.base_prompt, cases, reward, spec, seed)
    objective = objective_of(spec, TextStates(policy.reference))
    settings = Settings(
        spec.steps,
        spec.learning_rate,
        spec.max_grad_norm,
        decay=False,
        schedule=objective.schedule(seed),
        correction=spec.correction,
    )
    checkpoint = checkpoint_of(run, setup, name, seed)
    best = BestCheckpoint(checkpoint.folder / "best.safetensors")
    judged = run.kind == "align" and spec.contrast is None  # whose last step is kept
    looks = run.folder / LOOKS / f"{name}-seed{seed}.jsonl"
    monitor = Monitor(setup, graders, policy, seed, looks) if judged else None
    if monitor:
        monitor.begin()
    with (
        judged_by_people(run, setup, seed, samples, checkpoint) as (source, note),
        show_progress(
            run.progress, "Samples and rewards", spec.steps, LOGGED_KEYS, checkpoint
        ) as after_step,
    ):

        def look_and_go_on(step: int, row: LogRow) -> bool:
            if monitor and (step % spec.evaluate_every == 0 or step == spec.steps):
                row |= monitor.look(step)
                judgement = row["monitor"][monitor.chosen_by]
                best.offer(step, judgement, policy.parameters)
            say_constant_reward(run.progress, step, row, checkpoint.rows)
            say_samples(run.progress, step, row)
            note(step, row)
            return after_step(step, row)

        stop = stop_rules_of(spec)
        train(policy, source, objective, settings, checkpoint, look_and_go_on, stop)
    last = int(checkpoint.rows[-1]["step"])
    kept = best.restore(policy.parameters) or last
    checkpoint.annotate(kept, chosen=True, stop_reason=checkpoint.stop or f"all {last} steps done")
    trained_cost(cost, checkpoint)
    cost.tokens_sampled = round(sum(row["length"] for row in checkpoint.rows) * samples.answers)
    facts = {
        "adapter": spec.adapter.kind,
        "steps": last,
        "step_kept": kept,
        "objective": spec.objective.name,
        "kl_weight": spec.kl_weight,
        "start": start,
    }
    save(run, setup, Made(name, seed, setup.base_prompt, describe(setup), policy, facts))
    for line in graders.note_served():
        run.progress.note(line)


RL = Method(
    name="rl",
    title="reinforcement learning on the reward",
    describe=describe,
    make=make,
    check=check,
    check_texts=check_asking,
    trained_on_reward=True,
    logged_keys=LOGGED_KEYS,
)
