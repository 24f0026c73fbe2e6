"""All tables, one after the other."""

from __future__ import annotations

from localrun.platforms.vocabulary.app_engine import WORDS as APP_ENGINE
from localrun.platforms.vocabulary.enclave import WORDS as ENCLAVE
from localrun.platforms.vocabulary.iexec import WORDS as IEXEC
from localrun.platforms.vocabulary.iexec_causes import WORDS as IEXEC_CAUSES
from localrun.platforms.vocabulary.inductiva import WORDS as INDUCTIVA
from localrun.platforms.vocabulary.kubernetes import WORDS as KUBERNETES
from localrun.platforms.vocabulary.local import WORDS as LOCAL
from localrun.platforms.vocabulary.task_system import WORDS as TASK_SYSTEM

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
