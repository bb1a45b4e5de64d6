"""Mutants of DCAT-AP 3.0.1 on real catalogues: both engines say the same, or the difference is listed."""

from __future__ import annotations

from pathlib import Path

from agreement import trials
from agreement.seeds import dcat_ap


def test_dcat_ap(shared: Path) -> None:
    tally = trials.run(dcat_ap(shared), number=trials.PARTS["DCAT-AP"])
    trials.check("DCAT-AP", tally)
