"""Semantic Versioning 2.0.0 (semver.org): reading versions, their precedence, and how far one moved from another."""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import StrEnum

_NUMBER = "(0|[1-9][0-9]*)"
_PRE = "(?:0|[1-9][0-9]*|[0-9]*[A-Za-z-][0-9A-Za-z-]*)"
_VERSION = re.compile(
    rf"{_NUMBER}\.{_NUMBER}\.{_NUMBER}(?:-({_PRE}(?:\.{_PRE})*))?(?:\+[0-9A-Za-z-]+(?:\.[0-9A-Za-z-]+)*)?"
)
MAX_LENGTH = 200


class Step(StrEnum):
    """How far a version moved. UNKNOWN: one of the two is no version; BACK: to one of lower precedence."""

    UNKNOWN = "unknown"
    BACK = "back"
    NONE = "none"
    PATCH = "patch"
    MINOR = "minor"
    MAJOR = "major"

    def reaches(self, required: Step) -> bool:
        """Whether this step is at least the required one, which is NONE, PATCH, MINOR or MAJOR."""
        order = list(Step)
        return order.index(self) >= order.index(required)


@dataclass(frozen=True, slots=True)
class Version:
    """`core` is (major, minor, patch); `pre` the pre-release identifiers. Builds do not differ (clause 10)."""

    core: tuple[int, int, int]
    pre: tuple[str, ...] = ()

    @property
    def order(self) -> tuple[object, ...]:
        """Sorts by precedence (clause 11): a release after its pre-releases, numbers before words."""
        words = tuple((0, int(word), "") if word.isdigit() else (1, 0, word) for word in self.pre)
        return (self.core, not self.pre, words)

    @property
    def step(self) -> Step:
        """What a release with these numbers is: 2.0.0 a major one, 2.1.0 a minor one, 2.1.3 a patch."""
        _, minor, patch = self.core
        return Step.PATCH if patch else Step.MINOR if minor else Step.MAJOR

    def after(self, step: Step) -> str:
        """The lowest release that is this step beyond: 1.2.3 and MINOR give 1.3.0."""
        major, minor, patch = self.core
        if self.pre and self.step.reaches(step):
            return f"{major}.{minor}.{patch}"
        if step is Step.MAJOR:
            return f"{major + 1}.0.0"
        return f"{major}.{minor + 1}.0" if step is Step.MINOR else f"{major}.{minor}.{patch + 1}"


def read(text: str | None) -> Version | None:
    """The version, or None for what is none."""
    found = _VERSION.fullmatch(text) if text is not None and len(text) <= MAX_LENGTH else None
    if found is None:
        return None
    core = (int(found[1]), int(found[2]), int(found[3]))
    return Version(core, tuple(found[4].split(".")) if found[4] else ())


def moved(before: Version | None, after: Version | None) -> Step:
    """How far it is from one version to the other.

    A pre-release stands for the release it prepares: from 2.0.0-rc.1 to 2.0.0-rc.2 or 2.0.0 the step is MAJOR still,
    from 1.3.0-beta to 1.3.0 it is MINOR. Between builds of one version it is NONE.
    """
    if before is None or after is None:
        return Step.UNKNOWN
    if after.order == before.order:
        return Step.NONE
    if after.order < before.order:
        return Step.BACK
    pairs = zip(before.core, after.core, (Step.MAJOR, Step.MINOR, Step.PATCH), strict=True)
    first = next((step for old, new, step in pairs if old != new), Step.PATCH)
    return before.step if before.pre and before.step.reaches(first) else first
