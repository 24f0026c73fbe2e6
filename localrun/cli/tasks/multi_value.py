"""Options that take several values at once, as `--id A B`: click has one value for each option."""

from __future__ import annotations

import click


class MultiValueCommand(click.Command):
    """A command whose options of type `multiple` take all words up to the next option."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Write the option again before each of its words."""
        names = {
            spelling
            for parameter in self.params
            if isinstance(parameter, click.Option) and parameter.multiple
            for spelling in parameter.opts
        }
        return super().parse_args(ctx, _expanded(args, names))


def _expanded(args: list[str], names: set[str]) -> list[str]:
    found: list[str] = []
    option = ""
    fresh = False  # whether the option itself stands just before
    for index, word in enumerate(args):
        if word == "--":
            return found + args[index:]
        if word.startswith("-") and word != "-":
            option, fresh = (word, True) if word in names else ("", False)
        elif option and not fresh:
            found.append(option)
        else:
            fresh = False
        found.append(word)
    return found
