"""A wrong command line, in words that name the option as it was typed and say what it takes.

The parser's classes of errors are private in typer, and its own words are those of a library ("Input should be a valid
integer, unable to parse string as an integer").
"""

import re
from pathlib import Path

from latchkey_tools.cli import show

_EXTRA = re.compile(r"Got unexpected extra arguments? ?(?:\(s\) )?\((.*)\)", re.S)
_COMMAND = re.compile(r"No such command '(.*?)'\.(?: Did you mean (.*)\?)?", re.S)


def lines(problem):
    """The lines for a TyperException: how the command is used, then what is wrong and what to do."""
    context = getattr(problem, "ctx", None)
    if type(problem).__name__ == "NoArgsIsHelpError":
        return problem.format_message().splitlines()
    head = [*context.get_usage().splitlines(), f"Help: {context.command_path} --help", ""] if context else []
    return [*head, *(f"{'' if number else 'latchkey: '}{line}" for number, line in enumerate(_words(problem, context)))]


def _words(problem, context):
    kind = type(problem).__name__
    if kind == "MissingParameter":
        return _of_missing(_missing(context))
    if kind == "NoSuchOption":
        nearest = f"did you mean {' or '.join(sorted(problem.possibilities))}?" if problem.possibilities else ""
        return [f"there is no option {show.plain(problem.option_name)}; {nearest or 'leave it out'}"]
    if kind == "BadOptionUsage":
        takes = "takes no value; write it alone" if "does not take" in problem.message else "needs a value after it"
        return [f"{problem.option_name} {takes}"]
    if kind == "BadParameter":
        return [_of_value(problem, context)]
    if extra := _EXTRA.fullmatch(problem.message):
        return [f"{extra[1]} is not expected here; leave it out, or write quotes around a text with blanks"]
    if command := _COMMAND.fullmatch(problem.message):
        nearest = command[2] and f"did you mean {command[2].replace(chr(39), '')}?"
        return [f"there is no command {command[1]}; {nearest or 'see the help'}"]
    return [problem.format_message()]


def _of_missing(missing):
    names = [_name(one) for one in missing]
    listed = " and ".join(filter(None, [", ".join(names[:-1]), names[-1]]))
    yield f"{listed} {'is' if len(names) == 1 else 'are'} missing"
    for one, name in zip(missing, names, strict=True):
        if one.help:
            yield " ".join(dict.fromkeys(filter(None, (name, one.metavar)))) + f": {one.help}"


def _missing(context):
    """The required options and arguments that were not given, in the order of the help."""
    missing = [one for one in context.command.params if one.required and not _given(one, context)]
    # Of `HOST... FILE` the last word counts as FILE, and one word alone may be either.
    return [_file_after(one, context) or one for one in missing]


def _given(parameter, context):
    return context.params.get(parameter.name) or parameter.value_from_envvar(context)


def _file_after(parameter, context):
    """The argument after ``parameter``, of several words, that got a word which does not name a file; or None."""
    if parameter.nargs != -1:
        return None
    named = ((one, context.params.get(one.name)) for one in context.command.params if one.nargs == 1)
    return next((one for one, value in named if isinstance(value, Path) and one.required and not value.exists()), None)


def _of_value(problem, context):
    """Of a value that is refused. The library alone gives it a cause: the check of the type."""
    if not problem.param:
        return problem.message
    name = _named(problem.param, context)
    if not problem.__cause__:
        return f"{name}: {problem.message}"
    return f"{name} {show.plain(problem.__cause__.errors()[0]['input'])}: {_form(problem.param)}"


def _form(parameter):
    """The values that an option of a type takes."""
    choices = parameter.type_descriptor.choices
    if choices:
        return f"write {' or '.join(map(str, choices))}"
    ends = [("from", parameter.min), ("to", parameter.max)]
    return " ".join(["write a whole number", *(f"{word} {end}" for word, end in ends if end is not None)])


def _named(parameter, context):
    """An option or argument as it was given: by the command line, or by a variable."""
    source = context.get_parameter_source(parameter.name) if context else None
    return parameter.envvar if source and source.name == "ENVIRONMENT" else _name(parameter)


def _name(parameter):
    return parameter.opts[0] if parameter.param_type_name == "option" else parameter.metavar or parameter.name.upper()
