"""Policies evaluated in process: Rego compiled to Python functions, run under a budget, in any thread.

    values    what Rego computes with           order    when each line of a body can run
    builtins  the functions a policy may call   link     rules of one name, put together
    syntax    text to tree                      code     tree to Python source
    names     what each name means              gate     what a policy file may not say
    program   compiled policies, asked          uses     what all files together may not

Native code has no part in it. What an evaluation may spend is counted, so that no policy can hang or fill the memory.
OPA is the measure: what is computed here is what OPA computes, and anything else is refused, when the policy is loaded
or by an error that denies.
"""

from fairmesh.catalog.rego.builtins import CONDITIONS, FUNCTIONS
from fairmesh.catalog.rego.program import Coverage, Program, Step, compile_policies
from fairmesh.catalog.rego.syntax import RegoSyntaxError, Rule, read
from fairmesh.catalog.rego.values import UNDEFINED, RegoError

__all__ = [
    "CONDITIONS", "FUNCTIONS", "UNDEFINED", "Coverage", "Program", "RegoError", "RegoSyntaxError", "Rule", "Step",
    "compile_policies", "read",
]  # fmt: skip
