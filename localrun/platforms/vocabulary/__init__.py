"""The statuses, causes and error codes of the supported platforms."""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from localrun.platforms.vocabulary.translation import translate

__all__ = ["translate"]

if not TYPE_CHECKING:  # imported on first use, because most commands translate nothing

    def __getattr__(name: str) -> Any:
        if name != "translate":
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        from localrun.platforms.vocabulary.translation import translate

        return translate
