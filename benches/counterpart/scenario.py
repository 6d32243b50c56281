"""What is measured: scenarios, each on servers of its own that begin with empty mailboxes."""

import dataclasses

from . import process

RESTART = None  # stands for a restart of the server, its files kept

USER = ["--user", "user{n}@example.test", "--password", process.PASSWORD]
SHARED = 100    # accounts of a scenario that does not say otherwise
DELIVERED = 20  # accounts that mail is delivered to


@dataclasses.dataclass
class Step:
    """One load: the name of its figures, the service it is pointed at, its arguments.

    In arguments, `@service` stands for the address of a service, and `@visible` for where delivered mail is looked for.
    """

    name: str
    service: str
    arguments: list


@dataclasses.dataclass
class Scenario:
    steps: list
    users: int = SHARED


def _deliver(service, part):
    for sessions, messages in ((1, 300), (20, 2000), (100, 3000)):
        yield Step(f"{service}-{sessions}", service, [service, "--sessions", sessions, "--messages", messages // part,
                                                      "--users", DELIVERED, "--visible", "@visible"])


def _fill(messages):
    return Step("fill", "lmtp", ["lmtp", "--sessions", 20, "--messages", messages, "--users", DELIVERED, "--visible", "@visible"])


def _idle(name, service, clients):
    return Scenario([Step(name, service, ["idle", *USER, "--users", clients, "--clients", clients, "--rest", 10, "--limit", 230])], clients)


def scenarios(quick):
    """All of them by name. `quick` does a tenth of each: to see that it works, not to quote."""
    part = 10 if quick else 1
    seconds = 1 if quick else 6
    mixed = [Step(f"imap-{clients}", "imaps", ["imap", *USER, "--users", DELIVERED, "--clients", clients, "--seconds", seconds])
             for clients in (20, 100)]
    return {
        "lmtp": Scenario(list(_deliver("lmtp", part))),
        "smtp": Scenario(list(_deliver("smtp", part))),
        "large": Scenario([
            Step("one", "lmtp", ["lmtp", "--sessions", 20, "--messages", 10000 // part, "--to", "user1@example.test",
                                 "--shape", "multipart", "--visible", "@visible"]),
            RESTART,
            Step("list", "imaps", ["imap-list", *USER, "--rounds", 4]),
            Step("bodies-tls", "imaps", ["imap-bodies", *USER, "--rounds", 2]),
            Step("bodies-clear", "imap", ["imap-bodies", *USER, "--rounds", 2]),
            Step("bulk", "imaps", ["imap-bulk", *USER]),
        ]),
        "mixed": Scenario([_fill(4000 // part), *mixed]),
        "append": Scenario([Step("append", "imaps", ["imap-append", *USER, "--users", DELIVERED, "--clients", 20,
                                                     "--messages", 2000 // part])]),
        "pop3": Scenario([_fill(2000 // part), Step("pop3", "pop3s", ["pop3", *USER, "--users", 10, "--clients", 10, "--seconds", seconds])]),
        "login": Scenario([
            # The first logins of all accounts fill the caches and are not counted.
            Step("login-first", "imaps", ["login", *USER, "--users", SHARED, "--clients", 10, "--logins", SHARED]),
            Step("login", "imaps", ["login", *USER, "--users", SHARED, "--clients", 10, "--logins", 1000 // part]),
        ]),
        "notify": Scenario([Step("notify", "imaps", ["deliver-to-idle", *USER, "--messages", 100 // part, "--pause", 20, "--lmtp", "@lmtp"])]),
        "idle-tls": _idle("idle-tls", "imaps", 5000 // part),
        "idle-clear": _idle("idle-clear", "imap", 5000 // part),
    }
