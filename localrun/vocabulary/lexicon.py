"""All tables, one after the other."""

from __future__ import annotations

from localrun.vocabulary.app_engine import WORDS as APP_ENGINE
from localrun.vocabulary.enclave import WORDS as ENCLAVE
from localrun.vocabulary.iexec import WORDS as IEXEC
from localrun.vocabulary.iexec_causes import WORDS as IEXEC_CAUSES
from localrun.vocabulary.inductiva import WORDS as INDUCTIVA
from localrun.vocabulary.kubernetes import WORDS as KUBERNETES
from localrun.vocabulary.local import WORDS as LOCAL
from localrun.vocabulary.task_system import WORDS as TASK_SYSTEM

LEXICON = (
    *LOCAL,
    *APP_ENGINE,
    *KUBERNETES,
    *INDUCTIVA,
    *IEXEC,
    *IEXEC_CAUSES,
    *ENCLAVE,
    *TASK_SYSTEM,
)
