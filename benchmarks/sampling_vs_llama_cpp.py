"""Sampling against llama.cpp, as xllamacpp's wheel has it: what whoever has only a processor would pick.

Both sides draw 33 tokens of each of 32 completions, 8 of each of 4 prompts, at temperature 1 from the
whole vocabulary, with no end token, on two threads. llama.cpp gets the default model as float32 and as
q8_0 (8 bits, a scale for every 32 weights), written here by `truing export`'s writer; all 32 rows are one
request, in as many slots, and nothing is kept from one request to the next, on neither side.

Before anything is timed, llama.cpp's greedy answers are read by our model: most of its tokens must be our
likeliest ones, and in float32 its log-probabilities ours, else the file isn't the model.

The wheel is built for processors with AVX2; one built for the machine it runs on may be faster.

pip install xllamacpp; python benchmarks/sampling_vs_llama_cpp.py [--case CASE] [--rounds N] [--json]
"""

from __future__ import annotations

import json
import os
import sys
import tempfile
from pathlib import Path
from typing import Any

import gguf

from _in_turn import Benchmark, Measured, main
from _work import model, prompts, sampler, timed, two_threads, without_end
from truing.models.language_model import LanguageModel
from truing.models.sampling import Sampling, sample
from truing.models.weights.gguf_writing import write_gguf
from truing.prompts.rendering import Renderer
from truing.serve.scoring import score_texts

PROMPTS, SAMPLES, NEW_TOKENS = 4, 8, 33
THREADS = 2
SLOT_TOKENS = 256
"""Of a slot's cache: a prompt and its completion, in the multiples of 256 that llama.cpp rounds to."""
REPEATS = 4
FOLDER = "TRUING_BENCHMARK_GGUF"
"""The variable that tells the sides, processes of their own, where the files are."""
AGREED = {"f32": 0.95, "q8_0": 0.9}
"""The share of greedy tokens that must be ours; near ties fall either way."""
NATS = 0.02
"""How far a log-probability may be from ours in float32; llama.cpp keeps keys and values in float16."""


def _quantized(source: Path, target: Path) -> None:
    """The file with its matrices in q8_0, as llama-quantize has them; norms stay float32."""
    reader, kind = gguf.GGUFReader(source), gguf.GGMLQuantizationType.Q8_0
    writer = gguf.GGUFWriter(target, reader.fields["general.architecture"].contents())
    for name, field in reader.fields.items():
        if name.startswith("GGUF.") or name == "general.architecture":
            continue  # the writer's own
        value = field.contents()
        if name == "general.file_type":
            value = int(gguf.LlamaFileType.MOSTLY_Q8_0)
        inner = field.types[-1] if field.types[0] == gguf.GGUFValueType.ARRAY else None
        writer.add_key_value(name, value, field.types[0], sub_type=inner)
    for tensor in reader.tensors:
        if len(tensor.shape) == 1:
            writer.add_tensor(tensor.name, tensor.data)
        else:
            writer.add_tensor(tensor.name, gguf.quants.quantize(tensor.data, kind), raw_dtype=kind)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


def _rows() -> list[list[int]]:
    """The prompts' tokens."""
    rows: list[list[int]] = json.loads((Path(os.environ[FOLDER]) / "rows.json").read_text())
    return rows


def _server(kind: str) -> Any:
    """llama.cpp with a slot for each row, and without what it keeps from request to request."""
    import xllamacpp

    settings = xllamacpp.CommonParams()
    settings.model.path = str(Path(os.environ[FOLDER]) / f"{kind}.gguf")
    settings.n_parallel = PROMPTS * SAMPLES
    settings.n_ctx = settings.n_parallel * SLOT_TOKENS
    settings.cpuparams.n_threads = settings.cpuparams_batch.n_threads = THREADS
    settings.cache_ram_mib, settings.slot_prompt_similarity = 0, 0.0
    settings.verbosity, settings.port = -1, 0
    return xllamacpp.Server(settings)


def _ask(server: Any, request: dict[str, Any]) -> list[dict[str, Any]]:
    """The choices of a request. Raises RuntimeError for a refusal."""
    fixed = {"max_tokens": NEW_TOKENS, "ignore_eos": True, "cache_prompt": False}
    answer = server.handle_completions({**fixed, **request})
    if "choices" not in answer:
        raise RuntimeError(str(answer))
    choices: list[dict[str, Any]] = answer["choices"]
    return choices


def check(kind: str, language_model: LanguageModel) -> None:
    """Ends the benchmark where the file isn't the model; says how near it is."""
    rows, server = _rows(), _server(kind)
    choices = _ask(server, {"prompt": rows, "temperature": 0.0, "logprobs": 1})
    del server
    same, apart, count = 0, 0.0, 0
    for row, choice in zip(rows, choices, strict=True):
        given = choice["logprobs"]["content"]
        [scored] = score_texts(language_model, [[*row, *(each["id"] for each in given)]], 1)
        for ours, theirs in zip(scored[len(row) :], given, strict=True):
            assert ours.log_prob is not None
            same += ours.likeliest[0][0] == theirs["id"]
            apart = max(apart, abs(ours.log_prob - theirs["logprob"]))
            count += 1
    found = (
        f"{kind}: {same} of {count} greedy tokens are ours, log-probabilities within {apart:.2g}"
    )
    print(f"{found} nats", file=sys.stderr, flush=True)
    if (
        count < PROMPTS * NEW_TOKENS
        or same < AGREED[kind] * count
        or (kind == "f32" and apart > NATS)
    ):
        raise SystemExit(f"{kind}.gguf isn't the model: {found} nats")


def write_files(directory: Path) -> None:
    """The prompts' tokens and both files, checked."""
    os.environ[FOLDER] = str(directory)
    language_model = model("float32")
    texts = prompts(Renderer(language_model), PROMPTS)
    (directory / "rows.json").write_text(json.dumps([language_model.encode(x) for x in texts]))
    write_gguf(language_model, None, directory / "f32.gguf", "float32")
    _quantized(directory / "f32.gguf", directory / "q8_0.gguf")
    for kind in AGREED:
        check(kind, language_model)


def ours(case: str) -> Measured:
    """Truing's sampler, in the precision that the case's second half names."""
    two_threads()
    language_model = without_end(sampler(case.split("-")[1]))
    rows, tokens = _rows(), 0

    def draw(seed: int) -> None:
        nonlocal tokens
        tokens = sample(language_model, rows, SAMPLES, Sampling(NEW_TOKENS, 1.0, seed)).tokens

    draw(0)
    seconds = [timed(lambda seed=seed: draw(seed)) for seed in range(1, REPEATS + 1)]  # type: ignore[misc]
    return Measured(seconds, {"tokens": tokens})


def theirs(case: str) -> Measured:
    """llama.cpp's server in this process, asked for tokens by tokens; the weights are the case's first."""
    rows, server = _rows(), _server(case.split("-")[0])
    whole = {
        "temperature": 1.0,
        "top_k": 0,
        "top_p": 1.0,
        "min_p": 0.0,
        "samplers": ["temperature"],
    }
    tokens = 0

    def draw(seed: int) -> None:
        nonlocal tokens
        choices = _ask(server, {**whole, "prompt": rows, "n": SAMPLES, "seed": seed})
        assert all(each["finish_reason"] == "length" for each in choices)
        tokens = len(choices) * NEW_TOKENS

    draw(0)
    seconds = [timed(lambda seed=seed: draw(seed)) for seed in range(1, REPEATS + 1)]  # type: ignore[misc]
    return Measured(seconds, {"tokens": tokens})


def run() -> None:
    """Files and their check first, then the sides in turn; a side's process finds the files written."""
    benchmark = Benchmark(
        title="sampling against llama.cpp",
        sides={"llama.cpp": theirs, "truing": ours},
        cases=["f32-float32", "q8_0-int8", "q8_0-float32", "q8_0-bfloat16"],
        settings={"model": "smollm2-135m", "new_tokens": NEW_TOKENS, "threads": THREADS},
        every_round=True,
        per_second="tokens",
    )
    if FOLDER in os.environ:
        return main(benchmark)
    with tempfile.TemporaryDirectory() as temporary:
        write_files(Path(temporary))
        return main(benchmark)


if __name__ == "__main__":
    run()
