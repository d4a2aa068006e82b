"""The two-sample test and its interval, against oracles and under the null; grouping; what is read."""

from __future__ import annotations

import json
import math
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.sparse import csr_matrix
from scipy.stats import mannwhitneyu, norm
from sklearn.metrics import roc_auc_score

from truing.people import Store
from truing.people.exchange import import_files
from truing.people.vocabulary import USE_CASES
from truing.shift.coverage import cover
from truing.shift.distance import mmd
from truing.shift.features import make_features
from truing.shift.grouping import group_prompts, make_folds
from truing.shift.prompts import Asked, read_side
from truing.shift.remedy import clipped_weights, effective_sample_size, measuring_half
from truing.shift.two_sample import Auc, auc_with_interval, cross_fitted, noise_share
from truing.shift.use_cases import INSTRUCTGPT, describe, total_variation
from truing.shift.wording import telling_words, words_of
from truing.types import InputError


def asked(text: str, *links: str, user: str = "", template: str = "") -> Asked:
    messages = [{"role": "user", "content": text}]
    return Asked(messages, "f:1", links, user=user, template=template)


scores = st.lists(st.integers(0, 6).map(float), min_size=2, max_size=30)


@given(scores, scores)
def test_without_folds_the_auc_is_the_mann_whitney_statistic(
    a: list[float], b: list[float]
) -> None:
    score = np.array(a + b)
    target = np.arange(len(score)) < len(a)
    found = auc_with_interval(score, target, np.zeros(len(score), int), np.arange(len(score)))
    assert found.value == pytest.approx(roc_auc_score(target, score))
    assert found.value == pytest.approx(mannwhitneyu(a, b).statistic / (len(a) * len(b)))
    assert 0 <= found.low <= found.value <= found.high <= 1


def test_the_variance_is_that_of_delong() -> None:
    """DeLong et al. (1988), written out pair by pair; and its interval on the logit scale."""
    rng = np.random.default_rng(1)
    x, y = rng.normal(0.8, 1, 37), rng.normal(0, 1, 53)
    psi = (x[:, None] > y[None, :]) + 0.5 * (x[:, None] == y[None, :])
    variance = psi.mean(axis=1).var(ddof=1) / 37 + psi.mean(axis=0).var(ddof=1) / 53
    score, target = np.concatenate([x, y]), np.arange(90) < 37
    found = auc_with_interval(score, target, np.zeros(90, int), np.arange(90))
    value = psi.mean()
    from scipy.stats import t

    step = t.ppf(0.975, 36) * math.sqrt(variance) / (value * (1 - value))
    logit = math.log(value / (1 - value))
    assert found.value == pytest.approx(value)
    assert found.low == pytest.approx(1 / (1 + math.exp(step - logit)))
    assert found.high == pytest.approx(1 / (1 + math.exp(-step - logit)))


def test_weights_are_repetitions() -> None:
    rng = np.random.default_rng(2)
    score, target = rng.normal(size=40), np.arange(40) < 15
    weight = rng.integers(1, 4, 40).astype(float)
    again = np.repeat(np.arange(40), weight.astype(int))
    zeros = np.zeros(40, int)
    weighted = auc_with_interval(score, target, zeros, np.arange(40), weight)
    repeated = auc_with_interval(score[again], target[again], zeros[again], again)
    assert weighted.value == pytest.approx(repeated.value)
    assert (weighted.low, weighted.high) == pytest.approx((repeated.low, repeated.high))


def test_perfect_separation_leaves_an_interval() -> None:
    score, target = np.arange(40.0), np.arange(40) >= 20
    found = auc_with_interval(score, target, np.zeros(40, int), np.arange(40))
    assert found.value == found.high == 1 and found.low == pytest.approx(0.025 ** (1 / 20))


def gaussian(rng: np.random.Generator, n: int, shift: float, groups: int) -> tuple[Auc, float]:
    """Two clouds with a common random effect in each group, as one cross-validated test."""
    target = np.arange(2 * n) >= n
    group = rng.integers(0, groups, 2 * n) + groups * target
    effect = rng.normal(0, 0.8, (2 * groups, 3))
    points = rng.normal(size=(2 * n, 3)) + effect[group] + shift * target[:, None]
    fold = make_folds(group, target, 0)
    features = csr_matrix(points)
    noise = noise_share(features, target, fold)
    found = auc_with_interval(
        cross_fitted(features, target, fold), target, fold, group, noise=noise
    )
    return found, float(norm.cdf(math.sqrt(3) * shift / math.sqrt(2 * (1 + 0.8**2))))


@pytest.mark.parametrize(("shift", "least"), [(0.0, 43), (0.7, 42)])
def test_the_interval_covers_what_it_should(shift: float, least: int) -> None:
    """Grouped draws of known AUC. A true 95 % has fewer than 43 of 50 inside once in 300 times."""
    rng = np.random.default_rng(3)
    inside = 0
    for _ in range(50):
        found, truth = gaussian(rng, 60, shift, 25)
        inside += found.low <= truth <= found.high
    assert inside >= least


def test_halves_of_prompts_show_no_shift() -> None:
    """Random halves of made-up prompts, some of which are almost repeated, and some of one user."""
    rng = np.random.default_rng(4)
    words = [f"w{i}" for i in range(120)]
    inside = 0
    for trial in range(12):
        texts, users = [], []
        for number in range(90):
            text = " ".join(rng.choice(words, rng.integers(6, 14)))
            texts += [text, text + " please"] if number % 3 == 0 else [text]
            users += [f"u{number % 40}"] * (2 if number % 3 == 0 else 1)
        prompts = [asked(t, user=u) for t, u in zip(texts, users, strict=True)]
        target = rng.permutation(len(prompts)) < len(prompts) // 2
        features = make_features(texts)
        grouping = group_prompts(prompts, target, features.bag_NV)
        assert grouping.apart == ("near-duplicates and conversations", "users")
        fold = make_folds(grouping.group_N, target, trial)
        score = cross_fitted(features.all_NV, target, fold)
        noise = noise_share(features.all_NV, target, fold)
        found = auc_with_interval(score, target, fold, grouping.group_N, noise=noise)
        inside += found.low <= 0.5 <= found.high
    assert inside >= 9


def test_the_share_of_chance_is_1_where_nothing_is_there_and_0_where_all_is() -> None:
    rng = np.random.default_rng(7)
    target, fold = np.arange(200) % 2 == 0, np.arange(200) // 2 % 5
    nothing = [noise_share(csr_matrix(rng.normal(size=(200, 40))), target, fold) for _ in range(5)]
    assert np.mean(nothing) > 0.75
    shifted = rng.normal(size=(200, 2)) + 2 * target[:, None]
    assert noise_share(csr_matrix(shifted), target, fold) < 0.1
    assert noise_share(csr_matrix(shifted), target, fold % 2) == 1  # two folds can't be halved


def test_ungrouped_copies_would_push_the_auc_below_chance() -> None:
    """Why near-duplicates stay together: apart, a copy on the other side is taken for its twin."""
    rng = np.random.default_rng(5)
    words = [f"w{i}" for i in range(400)]
    texts = [" ".join(rng.choice(words, 10)) for _ in range(60)]
    both = texts + texts
    target = np.arange(120) >= 60
    features = make_features(both)
    alone = np.concatenate([np.arange(60), np.roll(np.arange(60), 1) + 60])
    fold = np.concatenate([np.arange(60) % 5, (np.arange(60) + 1) % 5])
    apart = auc_with_interval(cross_fitted(features.all_NV, target, fold), target, fold, alone)
    assert apart.high < 0.2
    grouping = group_prompts([asked(t) for t in both], target, features.bag_NV)
    fold = make_folds(grouping.group_N, target, 0)
    kept = auc_with_interval(
        cross_fitted(features.all_NV, target, fold), target, fold, grouping.group_N
    )
    assert kept.value == pytest.approx(0.5)


@given(
    st.lists(st.integers(0, 30), min_size=20, max_size=80),
    st.lists(st.booleans(), min_size=80, max_size=80),
    st.integers(0, 5),
)
def test_folds_keep_groups_whole_and_have_both_sides(
    groups: list[int], sides: list[bool], seed: int
) -> None:
    group, target = np.array(groups), np.array(sides[: len(groups)])
    if not target.any() or target.all():
        return
    try:
        fold = make_folds(group, target, seed)
    except InputError:
        assert min(len(set(group[target])), len(set(group[~target]))) < 3
        return
    assert all(len(set(fold[group == g])) == 1 for g in set(groups))
    assert all(len(set(target[fold == f])) == 2 for f in set(fold.tolist()))
    assert (make_folds(group, target, seed) == fold).all()


def test_templates_and_users_are_kept_apart_where_there_are_enough() -> None:
    def grouped(templates: int) -> tuple[tuple[str, ...], tuple[str, ...], int]:
        train = [asked(f"t{i} only{i}", template=f"t {i % templates}") for i in range(40)]
        target = [asked(f"q{i} other{i}") for i in range(40)]
        side = np.arange(80) >= 40
        prompts = train + target
        found = group_prompts(prompts, side, make_features([p.text for p in prompts]).bag_NV)
        return found.apart, found.notes, len(set(found.group_N[:40]))

    apart, notes, number = grouped(6)
    assert apart[-1] == "templates" and not notes and number == 6
    apart, notes, number = grouped(3)
    assert apart == ("near-duplicates and conversations",) and number == 40
    assert "3 template(s) are too few" in notes[0]


def test_conversations_and_near_duplicates_are_one_group() -> None:
    texts = ["how do I bake dark rye bread at home", "how do I bake dark rye bread at home ?",
             "thanks and now", "name three rivers", "quite another thing here"]  # fmt: skip
    prompts = [
        asked(texts[0], "c1"),
        asked(texts[1]),
        asked(texts[2], "c1"),
        asked(texts[3]),
        asked(texts[4]),
    ]
    found = group_prompts(prompts, np.array([0, 1, 1, 0, 1], bool), make_features(texts).bag_NV)
    g = found.group_N
    assert g[0] == g[1] == g[2] and len({g[0], g[3], g[4]}) == 3


def test_mmd_by_hand_and_under_the_null() -> None:
    rng = np.random.default_rng(6)
    points = rng.normal(size=(9, 2))
    target = np.arange(9) < 4
    found = mmd(points, target, np.arange(9), 0)
    squares = ((points[:, None] - points[None, :]) ** 2).sum(axis=-1)
    width = np.median([squares[i, j] for i in range(9) for j in range(i + 1, 9)])
    k = np.exp(-squares / width)
    a = sum(k[i, j] for i in range(4) for j in range(4) if i != j) / 12
    b = sum(k[i, j] for i in range(4, 9) for j in range(4, 9) if i != j) / 20
    c = sum(k[i, j] for i in range(4) for j in range(4, 9)) / 20
    assert found.mmd2 == pytest.approx(a + b - 2 * c)
    far = points + 10 * target[:, None]
    assert mmd(np.vstack([far] * 4), np.tile(target, 4), np.arange(36), 0).p_value == 1 / 500
    values = [
        mmd(rng.normal(size=(30, 2)), np.arange(30) < 12, np.arange(30) // 2, 0).p_value
        for _ in range(100)
    ]
    assert 0 <= sum(p <= 0.1 for p in values) <= 19  # 10 of 100 expected


def test_coverage_by_hand() -> None:
    rows = np.eye(6)[[0, 1, 0, 0, 1, 2, 3]]
    rows[3] = [0.6, 0.8, 0, 0, 0, 0]
    target = np.array([0, 0, 1, 1, 1, 1, 1], bool)
    found = cover(csr_matrix(rows), target, np.array([0, 1, 2, 3, 4, 5, 5]))
    assert found.to_train_M.tolist() == [1, 0.8, 1, 0, 0]
    assert found.nearest_M.tolist()[:3] == [0, 1, 1]
    assert found.within_M.tolist() == [0.6, 0.8, 0.8, 0, 0]
    assert found.threshold == 0 and found.uncovered == 0


@given(st.lists(st.floats(-40, 40), min_size=20, max_size=200))
def test_weights_have_mean_1_and_none_is_too_large(log_odds: list[float]) -> None:
    weight, clipped = clipped_weights(np.array(log_odds))
    assert weight.mean() == pytest.approx(1) and weight.max() <= 20 * (1 + 1e-6)
    assert 1 - 1e-9 <= effective_sample_size(weight) <= len(log_odds) * (1 + 1e-9)
    kept = np.argsort(log_odds)
    assert (np.diff(weight[kept]) >= -1e-9).all() and 0 <= clipped <= len(log_odds) / 20


def test_effective_sample_size_of_known_weights() -> None:
    assert effective_sample_size(np.array([2.0, 2.0, 0.0, 0.0])) == 2
    assert effective_sample_size(np.ones(7)) == pytest.approx(7)


def test_the_measuring_half_shares_no_group_with_the_choosing_one() -> None:
    group = np.array([0, 0, 0, 1, 1, 2, 3, 4, 5, 9, 9])
    target = np.arange(11) < 9
    half = measuring_half(target, group, 0)
    assert not half[9:].any() and 3 <= half.sum() <= 6
    assert not set(group[half]) & set(group[target & ~half])


def test_telling_words_come_from_their_side() -> None:
    train = [words_of("the premise says so")] * 20 + [words_of("the rest")] * 5
    target = [words_of("the poem please")] * 20
    first, second = telling_words(train, target)
    assert {"premise", "says", "so"} == {word for word, _ in first[:3]}
    assert {"poem", "please"} == {word for word, _ in second[:2]}
    assert all(z > 0 for _, z in first + second) and "the" not in dict(first[:3])


def test_use_cases_said_by_people_win_over_the_rules() -> None:
    said = Asked([{"role": "user", "content": "What is it?"}], "f:1", (), use_case="chat",
                 metadata={"ambiguous": "yes"})  # fmt: skip
    plain = asked("Write a poem about rye bread.")
    found = describe([said, plain])
    assert found.use_cases["chat"].value == found.use_cases["generation"].value == 0.5
    assert found.use_cases_said == found.metadata_said == 1
    ambiguous = found.metadata["ambiguous"]
    assert (ambiguous.value, ambiguous.n, ambiguous.unscored) == (1.0, 1, 1)
    assert describe([plain]).metadata["intent_unclear"].value is None
    assert set(INSTRUCTGPT) == set(USE_CASES) and sum(INSTRUCTGPT.values()) == pytest.approx(0.999)
    everything = {name: describe([plain]).use_cases[name] for name in USE_CASES}
    assert total_variation(everything, INSTRUCTGPT) == pytest.approx((0.544 + 0.543) / 2)


def test_every_form_is_read(tmp_path: Path, sqlite_store: Store) -> None:
    user = {"role": "user", "content": "And why?"}
    lines = [
        {"prompt": "Why?", "completion": "So.", "user": "u1", "template": "t", "task": "k", "group": "g"},
        {"messages": [{"role": "user", "content": "Hm"}, {"role": "assistant", "content": "?"}, user]},
        {"instruction": "Do", "instances": [{"input": "a", "output": "x"}, {"input": "b", "output": "y"}]},
        {"prompt": "Tell", "use_case": "chat", "metadata": {"ambiguous": "no", "x": 1}},
        {"prompt": "Odd", "use_case": "cooking"},
    ]  # fmt: skip
    path = tmp_path / "a.jsonl"
    path.write_text("".join(json.dumps(line) + "\n" for line in lines), encoding="utf-8")
    (tmp_path / "b.txt").write_text("\ufeffOne\n\n Two \n", encoding="utf-8")
    (tmp_path / "c.md").write_text("# not read", encoding="utf-8")
    bad: list[str] = []
    found = read_side(str(tmp_path), bad)
    assert [a.text for a in found] == [
        "Why?", "And why?", "Do\n\na", "Do\n\nb", "Tell", "Odd", "One", "Two"
    ]  # fmt: skip
    assert bad == [] and (found[0].user, found[0].template) == ("u1", "k t")
    assert "group g" in found[0].links and set(found[2].links) & set(found[3].links)
    assert found[2].record is None and found[6].record == {"prompt": "One"}
    assert [a.use_case for a in found[4:6]] == ["chat", ""] and found[4].metadata == {
        "ambiguous": "no"
    }
    import_files(sqlite_store, [path])
    stored = read_side(str(sqlite_store.url.database), bad)
    assert Counter(a.text for a in stored) == Counter(a.text for a in found[:6])
    assert stored[0].user == "u1"


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("x.jsonl", b'{"prompt": "a"}\n{"prompt": \n', "x.jsonl:2: not valid JSON"),
        ("x.jsonl", b'{"prompt": "\xff"}\n', "x.jsonl:1: not valid UTF-8"),
        ("x.jsonl", b'{"question": "a"}\n', "x.jsonl:1: no form that is known"),
        ("x.txt", b"a\n\xff\n", "x.txt:2: not UTF-8"),
        ("x.txt", b"a\n" + b"b" * 100_001, "x.txt:2: prompt: 100,001 characters"),
        ("x.txt", b"\n", "no prompt in it"),
        ("x.jsonl", b"", "no prompt in it"),
    ],
)
def test_what_cannot_be_read_is_named(tmp_path: Path, name: str, content: bytes, said: str) -> None:
    (tmp_path / name).write_bytes(content)
    bad: list[str] = []
    try:
        read_side(str(tmp_path / name), bad)
    except InputError as error:
        bad.append(str(error))
    assert said in bad[0]


@given(st.binary(max_size=80), st.sampled_from(["x.jsonl", "x.txt", "x.jsonl.gz", "x"]))
def test_any_bytes_are_read_or_named(
    tmp_path_factory: pytest.TempPathFactory, data: bytes, name: str
) -> None:
    path = tmp_path_factory.getbasetemp() / name
    path.write_bytes(data)
    bad: list[str] = []
    try:
        found = read_side(str(path), bad)
    except InputError as error:
        assert name in str(error)
    else:
        assert found or bad
