"""An engine without containers: programs are Python functions, images are names.

It serves tests of code that runs tasks, and dry runs. It follows the contract of `engines.base` and passes
the same tests as a real engine.

    engine = FakeEngine(lambda container: 0)
    engine = FakeEngine.script([Scripted(stdout="hello"), Scripted(exit_code=3)])
"""

from localrun.engines.fake.container import FakeContainer, Program
from localrun.engines.fake.engine import FakeEngine
from localrun.engines.fake.script import Scripted

__all__ = ["FakeContainer", "FakeEngine", "Program", "Scripted"]
