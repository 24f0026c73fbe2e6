"""All tables, one after the other."""

from __future__ import annotations

from localrun.platforms.vocabulary.app_engine import TERMS as APP_ENGINE
from localrun.platforms.vocabulary.enclave import TERMS as ENCLAVE
from localrun.platforms.vocabulary.iexec import TERMS as IEXEC
from localrun.platforms.vocabulary.iexec_causes import TERMS as IEXEC_CAUSES
from localrun.platforms.vocabulary.inductiva import TERMS as INDUCTIVA
from localrun.platforms.vocabulary.kubernetes import TERMS as KUBERNETES
from localrun.platforms.vocabulary.local import TERMS as LOCAL
from localrun.platforms.vocabulary.task_system import TERMS as TASK_SYSTEM

ALL_TERMS = (
    *LOCAL,
    *APP_ENGINE,
    *KUBERNETES,
    *INDUCTIVA,
    *IEXEC,
    *IEXEC_CAUSES,
    *ENCLAVE,
    *TASK_SYSTEM,
)
