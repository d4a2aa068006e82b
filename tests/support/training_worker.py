"""Trainings in processes of their own.

`run_all` says `step N` after each step: several of them are what test_ranks.py compares with one.
test_checkpoint.py kills `run_in_child`.
"""

from __future__ import annotations

import ctypes
import os
import signal
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from multiprocessing.connection import Connection
from pathlib import Path

import torch
from torch import nn

from tiny import texts, tiny
from truing.cli.main import main
from truing.learn import OBJECTIVES, Objective, Ppo, Reinforce, Supervised
from truing.learn.checkpoint import Checkpoint
from truing.learn.loop import LogRow, Policy, Settings, Source, train
from truing.learn.objectives.baselines import LearnedValue, MovingAverage
from truing.learn.objectives.kl import KL
from truing.learn.objectives.pairwise import Pairwise
from truing.learn.objectives.values import LinearValue, TabularValue
from truing.learn.sources.demonstrations import Demonstrations
from truing.learn.sources.pairs import Comparisons, Pairs
from truing.learn.sources.samples import OnPolicySamples
from truing.learn.text_states import TextStates
from truing.models.engine.checkpointing import layers_of
from truing.models.engine.sharding import Absent, shard_layers
from truing.models.precision import sampling_products
from truing.policies.language import LanguagePolicy, PromptCompletion
from truing.policies.trajectories import Trajectories
from truing.prompts.rendering import Prompt, Renderer
from truing.rewards.reward import Answered
from truing.runs.ranks import Ranks
from truing.spec.compute import Checkpointing
from truing.spec.run import AdapterSpec, Correction, RlSpec
from truing.spec.sampler import Products
from truing.types import Case, Score
from worlds import TablePolicy, biased_sampler, slippery_grid

STEPS = 12


class TableApart(TablePolicy):
    """A table that is sampled from by another."""

    sampler_differs = True


class TextApart(LanguagePolicy):
    """A language model that says so, in whatever precision."""

    sampler_differs = True  # type: ignore[assignment]


class _GridSamples:
    """The table's own samples, a function of the step and the parameters."""

    def __init__(self, policy: TablePolicy) -> None:
        self.policy, self.world = policy, slippery_grid()
        differs = isinstance(policy, TableApart)
        self.bias = biased_sampler(self.world) - self.world.logits if differs else 0.0

    def batch(self, step: int) -> tuple[Trajectories, LogRow]:
        batch = self.world.draw(5, 4, step, self.policy.logits.detach() + self.bias)
        return batch, {"reward": float(batch.return_B.mean())}


def _vowels(answers: Sequence[Answered]) -> list[Score]:
    """Counts vowels; a very long answer is unscored."""
    return [
        None if len(a.answer) > 9 else sum(a.answer.count(v) for v in "aeiou") - 0.1 * len(a.answer)
        for a in answers
    ]  # type: ignore[return-value]


def _text_samples(policy: LanguagePolicy) -> OnPolicySamples:
    """A language model's own answers to three of five questions."""
    cases = [Case(f"who is {name}?") for name in ("ann", "bob", "cleo", "dan", "eve")]
    spec = RlSpec(prompts_per_step=3, samples_per_prompt=4, max_new_tokens=10, evaluate_every=4)
    renderer = Renderer(policy.reference)
    return OnPolicySamples(policy, renderer, Prompt(""), cases, _vowels, spec, seed=5)


def _language_policy(
    kind: str,
    policy: type[LanguagePolicy] = LanguagePolicy,
    *,
    family: str = "llama",
    shared_out: bool = False,
    sampler: Products = "same",
) -> LanguagePolicy:
    """Of a family that is written here, or of one whose forward pass is its own, which then computes its
    layers again in backward passes."""
    start = model = tiny(family, chat=True)
    if shared_out:
        Ranks().lend_weights()
        shard_layers(model.model, torch.device("cpu"))
        start = tiny(family, chat=True) if kind == "full" else model
    when: Checkpointing = "always" if family == "gpt2" else "auto"
    adapter = AdapterSpec(kind=kind, rank=2)
    return policy(model, start, adapter, "float32", seed=1, checkpointing=when, sampler=sampler)


def _on_pairs(name: str, policy: LanguagePolicy) -> tuple[Policy, Source, Objective, Settings]:
    """Five prompts with three answers each, two in a step."""
    prompts, *answers = texts(2, [3] * 5)[0:5], *texts(3, [4, 6, 2] * 5)
    found = [
        Comparisons(tuple(prompt), tuple(map(tuple, answers[3 * n : 3 * n + 3])), ((0, 1), (0, 2)))
        for n, prompt in enumerate(prompts)
    ]
    objective = OBJECTIVES[name](sft_weight=0.1)
    assert isinstance(objective, Pairwise)
    source = Pairs(policy, found, 2, seed=3, mismatched=objective.needs_mismatched)
    for _ in source.remember_reference(STEPS):
        pass
    return policy, source, objective, Settings(STEPS, 0.001, 1.0)


def made(what: str) -> tuple[Policy, Source, Objective, Settings]:
    """The training of this name; sharded-NAME is the same with its weights shared out over processes."""
    shared_out, name = what.startswith("sharded-"), what.removeprefix("sharded-")
    if shared_out or name.endswith(("-lora", "-full", "-gpt2")):
        what, _, kind = name.rpartition("-")
        family = "gpt2" if kind == "gpt2" else "llama"
        policy = _language_policy(
            "full" if kind == "full" else "lora", family=family, shared_out=shared_out
        )
        return _on_text(what, policy)
    if what == "grid-reinforce":
        table = TablePolicy(slippery_grid().logits, piece=3)
        objective: Objective = Reinforce(baseline=MovingAverage(rate=0.3), kl=KL(0.05))
        return table, _GridSamples(table), objective, Settings(STEPS, 0.1, 1.0, warmup=3)
    if what == "grid-ppo":
        table = TablePolicy(slippery_grid().logits, piece=3)
        value = LearnedValue(values=TabularValue(6, lambda t: t.data[..., 0]))
        objective = Ppo(
            baseline=value,
            gae_lambda=0.9,
            entropy_weight=0.01,
            epochs=2,
            minibatches=3,
            max_update_kl=0.5,
        )
        return table, _GridSamples(table), objective, Settings(STEPS, 0.05, 1.0)
    if what == "grid-corrected":
        table = TableApart(slippery_grid().logits, piece=3)
        settings = Settings(STEPS, 0.1, 1.0, correction="sequence")
        return table, _GridSamples(table), Reinforce(kl=KL(0.05)), settings
    if what == "text-sft":
        return _on_text(what, _language_policy("full"))
    if what in ("text-dpo", "text-kto"):
        return _on_text(what, _language_policy("lora"))
    apart = what in ("text-corrected", "text-int8")
    sampler = sampling_products("int8" if what == "text-int8" else "same", "float32")
    policy = _language_policy("lora", TextApart if apart else LanguagePolicy, sampler=sampler)
    return _on_text(what, policy)


def _on_text(what: str, policy: LanguagePolicy) -> tuple[Policy, Source, Objective, Settings]:
    """A language model's training of this name."""
    if what == "text-sft":
        actions = [PromptCompletion(tuple(t[:4]), tuple(t[4:])) for t in texts(1, [8, 6, 9, 5, 7])]
        source = Demonstrations(actions, batch_size=3, seed=0)
        return policy, source, Supervised(), Settings(STEPS, 0.01, 1.0)
    if what in ("text-dpo", "text-kto"):
        return _on_pairs(what.removeprefix("text-"), policy)
    samples = _text_samples(policy)
    if what == "text-ppo":
        states = TextStates(policy.reference)
        value = LearnedValue(values=LinearValue(states, states.size))
        objective = Ppo(baseline=value, gae_lambda=0.95, kl=KL(0.05), epochs=2, minibatches=2)
        return policy, samples, objective, Settings(STEPS, 0.003, 1.0)
    correction: Correction = "token" if isinstance(policy, TextApart) else "none"
    settings = Settings(STEPS, 0.005, 1.0, decay=False, correction=correction)
    return policy, samples, Reinforce(kl=KL(0.05)), settings


def run(
    what: str, folder: Path, say: Callable[[int], object] = lambda step: None
) -> dict[str, nn.Parameter]:
    """Trains, going on from what is in the folder; returns the parameters."""
    policy, source, objective, settings = made(what)

    def after_step(step: int, row: LogRow) -> bool:
        say(step)
        return True

    identity = what.removeprefix("sharded-")
    checkpoint = Checkpoint(folder / "state", folder / "log.jsonl", every=2, identity=identity)
    train(policy, source, objective, settings, checkpoint, after_step)
    if what != identity and isinstance(policy, LanguagePolicy):
        (folder / f"held-{Ranks().index}").write_text(str(numbers_held(policy)))
    return policy.parameters


def saved_again(what: str, folder: Path) -> None:
    """Restores what is in the folder and saves it in `again`."""
    policy, _, objective, _ = made(what)
    parameters = policy.parameters
    optimizer = torch.optim.AdamW(parameters.values(), lr=0.0, weight_decay=0.0, fused=True)
    identity = what.removeprefix("sharded-")
    old = Checkpoint(folder / "state", folder / "log.jsonl", identity=identity)
    new = Checkpoint(folder / "again", folder / "again.jsonl", identity=identity)
    old.writes = new.writes = Ranks().leads
    step = old.restore(parameters, optimizer, objective)
    new.rows, new.times = old.rows, old.times
    new.save(step, parameters, optimizer, objective)


def numbers_held(policy: LanguagePolicy) -> int:
    """Of the matrices of a policy's layers, in this process."""
    return sum(
        matrix.rows.numel() if isinstance(matrix, Absent) else matrix.numel()
        for layer in layers_of(policy.trained.model) or ()
        for name, matrix in layer.named_parameters()
        if matrix.ndim > 1 and "lora" not in name
    )


def run_in_child(what: str, folder: Path, steps: Connection, fatal: int, after: float) -> None:
    """The same, sending each step's number. So many seconds after the fatal one the system kills this
    process, however late another that would do it were."""
    torch.set_num_threads(1)
    count_down = _timer_to_kill()

    def say(step: int) -> None:
        steps.send(step)
        if step == fatal:
            count_down(after)

    run(what, folder, say)


class _SignalEvent(ctypes.Structure):
    """Linux's sigevent: what a timer does when it ends."""

    _fields_ = (
        ("value", ctypes.c_void_p),
        ("signal", ctypes.c_int),
        ("notify", ctypes.c_int),  # 0: by a signal
        ("rest", ctypes.c_char * 48),
    )


def _timer_to_kill() -> Callable[[float], None]:
    """What has the system send SIGKILL so many seconds later; timer_create(2). Python's own timers send
    SIGALRM."""
    library, timer = ctypes.CDLL(None, use_errno=True), ctypes.c_void_p()
    kill = _SignalEvent(signal=signal.SIGKILL)
    made = library.timer_create(time.CLOCK_MONOTONIC, ctypes.byref(kill), ctypes.byref(timer))
    assert made == 0, os.strerror(ctypes.get_errno())

    def begin(seconds: float) -> None:
        never_again, moment = (0, 0), (int(seconds), max(1, int(seconds % 1 * 1e9)))
        times = (ctypes.c_long * 4)(*never_again, *moment)
        assert library.timer_settime(timer, 0, times, None) == 0

    return begin


def run_all(whats: Sequence[str], folder: Path, environment: Mapping[str, str], said: Path) -> None:
    """Trainings one after the other, each in its folder; `again:NAME` restores and saves that one. What
    is said goes to SAID.out and SAID.err."""
    _begin(environment, said)
    torch.set_num_threads(1)
    for name in whats:
        what = name.removeprefix("again:")
        if what != name:
            saved_again(what, folder / "again" / what)
        else:
            run(what, folder / what, lambda step: print(f"step {step}", flush=True))
    Ranks().wait()


def run_command(command: Sequence[str], environment: Mapping[str, str], said: Path) -> None:
    """A `truing` command in this process, in SAID's folder; the process ends with it. What it says goes to
    SAID.out and SAID.err."""
    _begin(environment, said)
    sys.argv = ["truing", *command]
    main()


def _begin(environment: Mapping[str, str], said: Path) -> None:
    os.environ.update(environment)
    os.chdir(said.parent)
    for stream, ending in ((1, ".out"), (2, ".err")):
        os.dup2(os.open(said.with_suffix(ending), os.O_CREAT | os.O_WRONLY | os.O_TRUNC), stream)
