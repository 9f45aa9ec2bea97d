"""``fastimap completion``: what a shell proposes when Tab is pressed."""

from __future__ import annotations

import argparse
import shlex

from . import exits

__all__ = ["add", "run"]

DESCRIPTION = (
    "Print what makes a shell complete commands, options and their values. For bash, into ~/.bashrc: "
    'eval "$(fastimap completion bash)". For zsh, into ~/.zshrc, after compinit: the same with zsh. For fish: '
    "fastimap completion fish > ~/.config/fish/completions/fastimap.fish"
)


def add(parser: argparse.ArgumentParser) -> None:
    """Add the arguments."""
    parser.add_argument("shell", choices=["bash", "zsh", "fish"], help="which shell: bash, zsh or fish")


def run(options: argparse.Namespace) -> int:
    """Print it."""
    print({"bash": _bash, "zsh": _zsh, "fish": _fish}[options.shell](), end="")
    return exits.DONE


def _commands() -> dict[str, list[argparse.Action]]:
    from . import COMMANDS, parser

    (made,) = (each for each in parser()._actions if isinstance(each, argparse._SubParsersAction))
    return {name: [each for each in made.choices[name]._actions if each.option_strings] for name in COMMANDS}


def _is_file(action: argparse.Action) -> bool:
    return action.metavar == "FILE"


def _bash() -> str:
    cases, values = [], []
    for name, actions in _commands().items():
        words = " ".join(option for each in actions for option in each.option_strings)
        cases.append(f"        {name}) words='{words}' ;;")
        for each in actions:
            if each.choices is not None:
                options = "|".join(f"{name}:{option}" for option in each.option_strings)
                values.append(f"        {options}) words='{' '.join(map(str, each.choices))}' ;;")
            elif each.nargs != 0 and not _is_file(each):
                options = "|".join(f"{name}:{option}" for option in each.option_strings)
                values.append(f"        {options}) return ;;")
            elif _is_file(each):
                options = "|".join(f"{name}:{option}" for option in each.option_strings)
                values.append(f'        {options}) COMPREPLY=($(compgen -f -- "$this")); return ;;')
    lines = [
        "_fastimap() {",
        '    local this="${COMP_WORDS[COMP_CWORD]}" before="${COMP_WORDS[COMP_CWORD-1]}" words=""',
        '    if [ "$COMP_CWORD" = 1 ]; then',
        f"        COMPREPLY=($(compgen -W '{' '.join(_commands())} --help --version' -- \"$this\"))",
        "        return",
        "    fi",
        '    case "${COMP_WORDS[1]}:$before" in',
        *values,
        "        completion:completion) words='bash zsh fish' ;;",
        "        *)",
        '            if [[ "$this" != -* ]]; then COMPREPLY=($(compgen -f -- "$this")); return; fi',
        "            ;;",
        "    esac",
        '    [ -n "$words" ] || case "${COMP_WORDS[1]}" in',
        *cases,
        "    esac",
        '    COMPREPLY=($(compgen -W "$words" -- "$this"))',
        "}",
        "complete -o filenames -F _fastimap fastimap",
    ]
    return "\n".join(lines) + "\n"


def _zsh() -> str:
    from . import COMMANDS

    commands = " ".join(shlex.quote(f"{name}:{text}") for name, text in COMMANDS.items())
    lines = ["_fastimap() {", "    local -a commands", f"    commands=({commands})"]
    lines += ["    if (( CURRENT == 2 )); then", "        _describe command commands; return", "    fi"]
    lines += ['    case "$words[2]" in']
    for name, actions in _commands().items():
        rows = []
        for each in actions:
            text = _plain(each).replace("[", "(").replace("]", ")").replace(":", "\\:")
            value = ""
            if each.choices is not None:
                value = f":value:({' '.join(map(str, each.choices))})"
            elif each.nargs != 0:
                value = ":file:_files" if _is_file(each) else f":{str(each.metavar).lower()}:"
            rows += [shlex.quote(f"{option}[{text}]{value}") for option in each.option_strings]
        lines.append(f"        {name}) _arguments {' '.join(rows)} '*:file:_files' ;;")
    lines += ["    esac", "}", "compdef _fastimap fastimap"]
    return "\n".join(lines) + "\n"


def _fish() -> str:
    from . import COMMANDS

    lines = ["complete -c fastimap -n __fish_use_subcommand -f"]
    for name, text in COMMANDS.items():
        lines.append(f"complete -c fastimap -n __fish_use_subcommand -a {name} -d {shlex.quote(text)}")
    for command, actions in _commands().items():
        for each in actions:
            parts = [f"complete -c fastimap -n '__fish_seen_subcommand_from {command}'"]
            parts += [f"-l {name[2:]}" if name.startswith("--") else f"-s {name[1:]}" for name in each.option_strings]
            if each.choices is not None:
                parts.append(f"-x -a '{' '.join(map(str, each.choices))}'")
            elif each.nargs != 0:
                parts.append("-r" if _is_file(each) else "-x")
            lines.append(" ".join([*parts, f"-d {shlex.quote(_plain(each))}"]))
    return "\n".join(lines) + "\n"


def _plain(action: argparse.Action) -> str:
    return (action.help or "").replace("%%", "%")
