"""The engines judged against each other: seeds, mutants of data and shapes, verdicts, and what is known to differ."""
