"""Run apps like iExec's worker: inputs, environment, result and digest.

An app has no descriptor, so one is generated from its inputs. From then on an app is a bundle like any other,
except for its outputs, see `result`.
"""

from localrun.platforms.iexec.inputs import IexecInputs, PreparedApp, parse_inputs, prepare
from localrun.platforms.iexec.layout import dataset_remedy
from localrun.platforms.iexec.result import RESULT_ZIP, collect

__all__ = ["RESULT_ZIP", "IexecInputs", "PreparedApp", "collect", "dataset_remedy", "parse_inputs", "prepare"]
