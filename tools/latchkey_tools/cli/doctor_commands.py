"""`latchkey doctor`: which link between here and the cloud is broken, and what to do."""

import typer

from latchkey_tools.cli import show
from latchkey_tools.cli.device_commands import Ca, Host, TokenFile, TokenName
from latchkey_tools.cli.options import AsJson
from latchkey_tools.device import doctor

_COLOURS = {doctor.OK: "green", doctor.WEAK: "yellow", doctor.BROKEN: "red", doctor.UNSEEN: "dim"}


def run(host: Host, token_file: TokenFile = None, token: TokenName = None, ca: Ca = None, as_json: AsJson = False):
    """Check each link from here to the cloud; name the broken one.

    The links are: reachable, TLS, provisioned, clock, keys, token, roles, application, network, cloud link. The exit
    status is 1 if one is broken. A token that permits `configure` shows more of them. LATCHKEY_SOURCE names the address
    of this machine to call from.

    \b
    Example:
      latchkey doctor latchkey-792b6149.local
    """
    links = doctor.examine(host, ca, token_file, token)
    broken = [link for link in links if link.verdict == doctor.BROKEN]
    if as_json:
        show.data({"links": [link._asdict() for link in links], "local_calls_work": doctor.works(links)})
    else:
        _print(links, broken)
    if broken:
        raise typer.Exit(1)


def _print(links, broken):
    table = show.table("link", "", "what was seen")
    for link in links:
        colour = _COLOURS[link.verdict]
        table.add_row(link.name, f"[{colour}]{link.verdict}[/{colour}]", show.lines(link.seen.split("\n")))
    out = show.console()
    out.print(table)
    for todo in dict.fromkeys(link.todo for link in links if link.todo and link.verdict != doctor.OK):
        names = ", ".join(link.name for link in links if link.todo == todo and link.verdict != doctor.OK)
        out.print(f"[bold]{names}[/bold]: {show.clean(todo)}{'' if todo.endswith('?') else '.'}")
    works = "Local calls work" if doctor.works(links) else "Local calls do not work"
    unseen = [link.name for link in links if link.verdict == doctor.UNSEEN]
    out.print(f"{works}. {_verdict(broken, unseen)}")


def _verdict(broken, unseen):
    names = ", ".join(link.name for link in broken)
    if broken:
        return f"[red]Broken: {names}.[/red]"
    if unseen:
        count = f"{len(unseen)} link{'s' * (len(unseen) > 1)}"
        return f"[yellow]No link that was seen is broken; {count} could not be seen: {', '.join(unseen)}.[/yellow]"
    return "[green]No link is broken.[/green]"
