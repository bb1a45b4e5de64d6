"""Mutants of our profile and of its examples: both engines say the same, or the difference is listed."""

from __future__ import annotations

from agreement import trials
from agreement.seeds import profile


def test_our_profile(shared: object) -> None:
    tally = trials.run(list(profile()), number=trials.PARTS["our profile"])
    trials.check("our profile", tally)
