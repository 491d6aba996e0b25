"""The one table of commands. Keys, footer, help, `:` and keys.toml are all made from it.

Each command has a name, which is what is typed after `:` and what keys.toml calls it; the keys it is on
until somebody says otherwise; a word for the footer and a sentence for the help; and the place where it
works. A name means the same wherever it occurs.

No command changes anything: those that `mutate` open the dialog in which a person does.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple, TypeAlias

from sentinel.tui.look import Skin

Given: TypeAlias = tuple[str | int | bool, ...]
Overrides: TypeAlias = Mapping[str, tuple[str, ...]]  # command -> the keys it is on instead


class Command(NamedTuple):
    """Something that can be done in a place."""

    name: str
    keys: str  # comma-separated, as Textual names them; none where it can only be typed
    what: str  # in the footer
    more: str = ""  # in the help
    action: str = ""  # the method `action_...` that does it; empty: of the command's own name
    given: Given = ()  # what the method is given
    takes: str = ""  # the argument that may be typed after the name, as the help calls it
    shown: bool = True  # in the footer
    mutates: bool = False  # it leads to a change: its key must not come out of a broken sequence
    fixed: bool = False  # the key belongs to what has the cursor, and stays

    @property
    def does(self) -> str:
        """The name of the action."""
        return self.action or self.name.replace("-", "_")

    @property
    def help(self) -> str:
        """What it does, in a sentence."""
        return self.more or self.what

    @property
    def usage(self) -> str:
        """What is typed: `:filter [TERMS]`."""
        return f":{self.name} {self.takes}".rstrip()


C = Command

# The places; a screen names those it is made of, and the first one's keys win.
PAGE, LIST, APP, LINE = "page", "list", "everywhere", "line"

# Of one incident, and of those that are marked in the list.
ON_IT = C("acknowledge", "i", "on it", "say that you are on it; others see who is", mutates=True)
GIVE_BACK = C("release", "b", "give back", "say that nobody is on it any more", mutates=True)
# A dialog's text, while what has the cursor is a line to type in.
READ_ON = (
    C("up", "up", "up", "read on above", action="scroll", given=(-1,), shown=False, fixed=True),
    C(
        "down",
        "down",
        "down",
        "read on below",
        action="scroll",
        given=(1,),
        shown=False,
        fixed=True,
    ),
    C(
        "page-up",
        "pageup",
        "page up",
        "read on above by a page",
        action="page",
        given=(-1,),
        shown=False,
        fixed=True,
    ),
    C(
        "page-down",
        "pagedown",
        "page down",
        "read on below by a page",
        action="page",
        given=(1,),
        shown=False,
        fixed=True,
    ),
)

TABLE: dict[str, tuple[Command, ...]] = {
    "incidents": (
        C(
            "open",
            "enter",
            "open",
            "open the incident under the cursor, or ID",
            takes="[ID]",
            fixed=True,
        ),
        C(
            "filter",
            "slash",
            "filter",
            "host= kind= state= sev= verdict= who= text, !not",
            takes="[TERMS]",
        ),
        C("next", "n", "next", "to the next incident that needs you"),
        C("ended", "o", "ended", "show those that have ended as well, or not"),
        ON_IT,
        GIVE_BACK._replace(shown=False),
        C("mark", "space", "mark", "mark it: for copy, write, on it, give back", shown=False),
        C(
            "sort",
            "s",
            "sort",
            "by urgency, age, severity, host, kind, state",
            takes="[COLUMN]",
            shown=False,
        ),
        C("view", "", "view", "a filter that was saved", takes="NAME"),
        C("save", "", "save", "save this filter as a view", takes="NAME"),
        C("leave", "q", "quit", "leave sentinel-tui"),
        C("clear", "escape", "clear", "clear filter and marks", shown=False),
    ),
    "incident": (
        C(
            "look",
            "enter",
            "look",
            "the command or output under the cursor",
            "enter",
            fixed=True,
        ),
        C(
            "approve",
            "a",
            "approve",
            "approve the plan: opens what you would sign",
            mutates=True,
        ),
        C("reject", "r", "reject", "reject the plan with a reason", mutates=True),
        C("next", "n", "finding", "to the next command that is not allowed"),
        C(
            "edit",
            "e",
            "strike/edit",
            "strike or change commands: a new plan",
            action="revise",
            mutates=True,
        ),
        C(
            "replan",
            "p",
            "replan",
            "ask the engine for another plan",
            action="again",
            mutates=True,
        ),
        C(
            "take-over",
            "m",
            "take over",
            "take it over: no plan, a person does it",
            action="take",
            mutates=True,
        ),
        C("close", "c", "close", "close it with a note on what was done", mutates=True),
        ON_IT,
        GIVE_BACK,
        C(
            "stop",
            "x",
            "stop",
            "stop the plan after the command that runs",
            action="halt",
            mutates=True,
        ),
        C("log", "l", "its audit log", "the audit records of this incident", shown=False),
    ),
    "command": (
        C(
            "previous-command",
            "left_curly_bracket",
            "previous command",
            "the one before, of this plan",
            action="other",
            given=(-1,),
            shown=False,
        ),
        C(
            "next-command",
            "right_curly_bracket",
            "next command",
            "the one after, of this plan",
            action="other",
            given=(1,),
        ),
        C(
            "edit",
            "e",
            "strike/edit",
            "strike or change commands: a new plan",
            "revise",
            mutates=True,
        ),
    ),
    "tree": (
        C(
            "next",
            "n",
            "next finding",
            "go to the next part that is not allowed",
            action="find",
            given=(1,),
        ),
        C(
            "previous",
            "N",
            "previous finding",
            "go to the part before that is not allowed",
            action="find",
            given=(-1,),
            shown=False,
        ),
        C("unfold", "right,l", "unfold", "show what is inside", action="fold", given=(False,)),
        C("fold", "left,h", "fold", "hide what is inside", given=(True,)),
    ),
    "playground": (C("field", "tab", "tree/command", "go to the tree, or back to the command"),),
    "decide": (
        C(
            "decide",
            "enter",
            "decide",
            "decide, once the digits are typed",
            action="nothing",
            mutates=True,
            fixed=True,
        ),
        C("field", "tab", "reason", "go to the reason, or back"),
        C("mode", "t", "LIVE/dry-run", "change between rehearsing and doing it"),
        *READ_ON,
        C("back", "q,escape", "back", "leave; nothing is decided"),
    ),
    "act": (
        C(
            "decide",
            "enter",
            "do it",
            "do it, with the note",
            action="nothing",
            mutates=True,
            fixed=True,
        ),
        *READ_ON,
        C("back", "q,escape", "back", "leave; nothing is done"),
    ),
    "revise": (
        C("strike", "space", "strike", "strike the command, or take it back"),
        C(
            "change",
            "enter",
            "change",
            "change the command; Enter again keeps it",
            action="nothing",
            fixed=True,
        ),
        C(
            "send",
            "s",
            "send",
            "send the new revision: the hub judges it afresh",
            action="nothing",
            mutates=True,
            fixed=True,
        ),
        C("back", "q,escape", "back", "leave; the plan stays as it is"),
    ),
    "nodes": (
        C("look", "enter", "its incidents", "the open incidents of that host", "enter", fixed=True),
    ),
    "audit": (C("record", "enter", "record", "the record in full", "enter", fixed=True),),
    "rules": (C("look", "enter", "look", "the rule in full", "enter", fixed=True),),
    "search": (
        C(
            "search",
            "slash",
            "search",
            "show only what has these words; Esc shows all",
            takes="[WORDS]",
        ),
    ),
    "memory": (
        C(
            "look",
            "enter",
            "look",
            "it; of a kind, host or service: only those",
            "enter",
            fixed=True,
        ),
    ),
    "drills": (
        C("look", "enter", "look", "the incident; of a drill: fire it", "enter", fixed=True),
        C(
            "fire",
            "f",
            "fire",
            "fire the drill on THIS host: asks first",
            takes="[NAME]",
            mutates=True,
        ),
    ),
    PAGE: (
        C("copy", "y", "copy", "copy what is under the cursor"),
        C(
            "write",
            "w",
            "write",
            "write this screen, whole, to a new text file",
            takes="[DIR]",
            shown=False,
        ),
        C("back", "q,escape", "back", "leave this screen"),
        C(
            LINE,
            "colon",
            "command",
            "type a command by name; in a field Esc first",
        ),
        C("help", "question_mark", "help", "this help"),
    ),
    LIST: (
        C("down", "j,down", "down", "go down", action="step", given=(1,), shown=False),
        C("up", "k,up", "up", "go up", action="step", given=(-1,), shown=False),
        C(
            "page-down",
            "pagedown,ctrl+d",
            "page down",
            "a page down",
            action="page",
            given=(1,),
            shown=False,
        ),
        C(
            "page-up",
            "pageup,ctrl+u",
            "page up",
            "a page up",
            action="page",
            given=(-1,),
            shown=False,
        ),
        C("top", "g,home", "top", "to the top", action="edge", given=(-1,), shown=False),
        C("end", "G,end", "end", "to the end", action="edge", given=(1,), shown=False),
    ),
    APP: (
        C("incidents", "1,0", "incidents", "the incidents", "go", ("incidents",), shown=False),
        C("nodes", "2", "nodes", "the nodes", "go", ("nodes",), shown=False),
        C("audit", "3", "audit log", "the audit log", "go", ("audit",), shown=False),
        C(
            "policy",
            "4",
            "policy",
            "try a command against the policy",
            "go",
            ("policy",),
            shown=False,
        ),
        C(
            "memory",
            "5",
            "memory",
            "past incidents, how they ended",
            "go",
            ("memory",),
            shown=False,
        ),
        C("drills", "6", "drills", "real faults on this host", "go", ("drills",), shown=False),
        C("rules", "7", "rules", "the policy's rules, by pack", "go", ("rules",), shown=False),
        C("services", "", "services", "what runs where: in memory", "go", ("memory",), shown=False),
        C("runbooks", "", "runbooks", "the runbooks: in memory", "go", ("memory",), shown=False),
        C(
            "earlier",
            "left_square_bracket",
            "earlier",
            "the screen you were on before this one",
            action="travel",
            given=(-1,),
            shown=False,
        ),
        C(
            "later",
            "right_square_bracket",
            "later",
            "forward again, after going back",
            action="travel",
            given=(1,),
            shown=False,
        ),
        C("skin", "", "skin", f"other colours: {' '.join(Skin)}", takes="NAME", shown=False),
        C("redraw", "ctrl+l", "redraw", "draw the screen again", shown=False),
        C("quit", "ctrl+c", "quit", "leave sentinel-tui", shown=False, fixed=True),
    ),
}

# What each screen is made of, its own first. Everything else is in `page` and `everywhere`.
SCREENS: dict[str, tuple[str, ...]] = {
    "incidents": ("incidents", PAGE, LIST, APP),
    "incident": ("incident", PAGE, LIST, APP),
    "command": ("command", "tree", PAGE, LIST, APP),
    "playground": ("playground", "tree", PAGE, LIST, APP),
    "decide": ("decide", PAGE, APP),
    "act": ("act", PAGE, APP),
    "revise": ("revise", PAGE, LIST, APP),
    "nodes": ("nodes", PAGE, LIST, APP),
    "audit": ("audit", "search", PAGE, LIST, APP),
    "rules": ("rules", "search", PAGE, LIST, APP),
    "memory": ("memory", PAGE, LIST, APP),
    "drills": ("drills", PAGE, LIST, APP),
    "reading": (PAGE, LIST, APP),
}
HOME = "incidents"  # its commands can be typed on every screen: they go there first


def commands() -> list[Command]:
    """Return every command once; of those of one name the first whose keys can be changed."""
    known: dict[str, Command] = {}
    for table in TABLE.values():
        for command in table:
            if command.name not in known or known[command.name].fixed > command.fixed:
                known[command.name] = command
    return list(known.values())


def keys_of(command: Command, overrides: Overrides) -> tuple[str, ...]:
    """Return the keys that `command` is on."""
    if not command.fixed and command.name in overrides:
        return overrides[command.name]
    return tuple(command.keys.split(",")) if command.keys else ()


def bound(place: str, overrides: Overrides) -> list[tuple[Command, tuple[str, ...]]]:
    """Return the commands of one place with the keys they are on."""
    return [(command, keys_of(command, overrides)) for command in TABLE[place]]
