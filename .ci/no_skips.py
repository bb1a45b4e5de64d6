"""A pytest plugin for CI: a test that was skipped, or expected to fail, counts as a failure there."""

from __future__ import annotations

import pytest

LEFT_OUT = ("skipped", "xfailed")


def left_out(config: pytest.Config) -> list[str]:
    reporter = config.pluginmanager.get_plugin("terminalreporter")
    assert reporter is not None
    reports = [report for outcome in LEFT_OUT for report in reporter.stats.get(outcome, ())]
    return sorted(str(report.nodeid) for report in reports)


@pytest.hookimpl(tryfirst=True)
def pytest_sessionfinish(session: pytest.Session) -> None:
    if left_out(session.config) and session.exitstatus == pytest.ExitCode.OK:
        session.exitstatus = pytest.ExitCode.TESTS_FAILED


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    names = left_out(terminalreporter.config)
    if names:
        terminalreporter.section("not run, which CI does not accept", red=True, bold=True)
        for name in names:
            terminalreporter.line(name)
