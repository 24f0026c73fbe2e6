"""Tasks as iExec's worker runs them: what an app finds, what it must leave, and the digest of its result.

An app has no descriptor: one is made of what it is given, so that it is a bundle like any other, whose inputs
are files under the names that they have there. What is different is what an app must leave, see `result`.
"""

from localrun.platforms.iexec.order import IexecInputs, PreparedApp, parse_inputs, prepare
from localrun.platforms.iexec.result import RESULT_ZIP, collect

__all__ = ["RESULT_ZIP", "IexecInputs", "PreparedApp", "collect", "parse_inputs", "prepare"]
