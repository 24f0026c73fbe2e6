"""`localrun completion`: scripts that complete commands, options, tasks and inputs in a shell."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import click

from localrun.cli.context import CliContext, pass_context
from localrun.console.display.sanitize import escape_control_chars
from localrun.console.streams import print_out
from localrun.errors import LocalrunError

if TYPE_CHECKING:
    from click.shell_completion import CompletionItem

# Each script calls `localrun completion SHELL --line LINE`, which prints lines of kind, value and help with
# tabs between them. A value that ends with `=`, `@` or `/` is incomplete: no space follows it.
_BASH = r"""
_localrun() {
    local line="${COMP_LINE:0:COMP_POINT}" kind value help breaks="" cut="" word
    for word in = @ :; do
        [[ $COMP_WORDBREAKS != *"$word"* ]] || breaks+=$word
    done
    word=${line##*[[:space:]]}
    # readline only replaces the part after the last of these, or from an @ on: remove the part before it
    [[ -z $breaks ]] || cut=${word%"${word##*["$breaks"]}"}
    cut=${cut%@}
    COMPREPLY=()
    while IFS=$'\t' read -r kind value help; do
        case $kind in
            file) compopt -o default ;;
            dir) compopt -o dirnames ;;
            plain)
                [[ $value != *[=@/] ]] || compopt -o nospace
                value=${value#"$cut"}
                COMPREPLY+=("${value// /\\ }")
                ;;
        esac
    done < <("$1" completion bash --line "$line" 2>/dev/null)
}
complete -o nosort -F _localrun localrun
"""
_ZSH = r"""
#compdef localrun
_localrun() {
    local kind value help
    local -a partial complete
    while IFS=$'\t' read -r kind value help; do
        case $kind in
            file) _files ;;
            dir) _files -/ ;;
            plain)
                if [[ $value == *[=@/] ]]; then
                    partial+=("${value//:/\\:}:$help")
                else
                    complete+=("${value//:/\\:}:$help")
                fi
                ;;
        esac
    done < <("${words[1]}" completion zsh --line "${(j: :)words[1,CURRENT]}" 2>/dev/null)
    (( ! ${#partial} )) || _describe -V partial partial -S ''
    (( ! ${#complete} )) || _describe -V complete complete
}
if [[ ${zsh_eval_context[-1]} == loadautofunc ]]; then
    _localrun "$@"
else
    (( ${+functions[compdef]} )) || { autoload -Uz compinit && compinit; }
    compdef _localrun localrun
fi
"""
_FISH = r"""
function __localrun
    set -l line (commandline -cp | string collect)
    localrun completion fish --line $line 2>/dev/null | while read -d \t -l kind value help
        switch $kind
            case file
                __fish_complete_path (commandline -ct)
            case dir
                __fish_complete_directories (commandline -ct)
            case plain
                printf '%s\t%s\n' $value $help
        end
    end
end
complete --no-files --command localrun --arguments '(__localrun)'
"""
_SCRIPTS = {"bash": _BASH, "zsh": _ZSH, "fish": _FISH}


@click.command()
@click.argument("shell", type=click.Choice(sorted(_SCRIPTS)), metavar="SHELL")
@click.option("--line", hidden=True, help="Print the completions of this line.")
@pass_context
def command(context: CliContext, shell: str, line: str | None) -> None:
    """Generate a script that completes commands, options, tasks and inputs in SHELL (bash, zsh or fish).

    \b
    bash, in ~/.bashrc:                   eval "$(localrun completion bash)"
    zsh, in ~/.zshrc:                     eval "$(localrun completion zsh)"
    fish, in ~/.config/fish/config.fish:  localrun completion fish | source
    """
    if line is None:
        print_out(_SCRIPTS[shell].strip())
        return
    for item in _following(context, line):
        print_out("\t".join(map(escape_control_chars, (item.type, item.value, item.help or ""))))


def _following(context: CliContext, line: str) -> Iterator[CompletionItem]:
    """Yield the completions at the end of the line; none for an invalid line."""
    from click.shell_completion import ShellComplete, split_arg_string

    from localrun.cli.entry import commands

    words = split_arg_string(line)[1:]
    incomplete = "" if line[-1:].isspace() or not words else words.pop()
    complete = ShellComplete(commands, {"obj": context}, "localrun", "")
    try:
        yield from complete.get_completions(words, incomplete)
    except (LocalrunError, OSError):
        return
