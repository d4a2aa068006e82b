"""Which groups can't be published because what they leave of others would be about few persons.

A group of fewer than five isn't published. That alone doesn't hide it: everybody's shares less those of all
other groups are its own. So what published groups of a dimension leave of any published group that holds
them (of everybody, of a wider group of another dimension) must be nobody or five people, too; until it is,
the smallest of them is withheld (complementary suppression; Willenborg and de Waal, 2001, Elements of
Statistical Disclosure Control, chapter 1).
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping

Group = tuple[str, str]
"""Dimension and value."""
Members = Mapping[Group, Collection[int]]


def withheld(members: Members, fewest: int) -> tuple[set[Group], set[Group]]:
    """The groups that are too small, and those that would give away a smaller one by difference."""
    small = {group for group, people in members.items() if len(people) < fewest}
    published = {group: frozenset(members[group]) for group in members.keys() - small}
    given_away: set[Group] = set()
    while (group := next(_telling(published, fewest), None)) is not None:
        given_away.add(group)
        del published[group]
    return small, given_away


def _telling(published: Mapping[Group, frozenset[int]], fewest: int) -> Iterator[Group]:
    """For each rest of one to `fewest` - 1 people the smallest group without which it is larger."""
    dimensions = sorted({dimension for dimension, _ in published})
    for outer in sorted(published):
        for dimension in dimensions:
            inside = [
                group
                for group, people in published.items()
                if group[0] == dimension != outer[0] and people <= published[outer]
            ]
            rest = published[outer].difference(*(published[group] for group in inside))
            if inside and 0 < len(rest) < fewest:
                yield min(inside, key=lambda group: (len(published[group]), group))
