"""`postrider copy`: a whole server moves, is killed on the way, and clients notice nothing."""

import imaplib
import json
import re
from pathlib import Path

import lib
from lib import DOMAIN, Failed, answer, contains, equal, mail, run, true


def fill(server):
    """Accounts of all kinds, with mail that has gaps, flags, keywords, copies, and a hierarchy."""
    ada, bob, eve = server.account("ada"), server.account("bob", "--quota", "unlimited"), server.account("eve")
    ada.deliver(*(mail(f"number {number}", "a line\r\n" * 50) for number in range(40)))
    with ada.imap() as client:
        for name in ["Work", "Work/2026", "Gesendet", "Entw&APw-rfe"]:
            answer(client.create(f'"{name}"'))
        answer(client.delete("Sent"))
        answer(client.subscribe("nowhere"))
        answer(client.unsubscribe("Junk"))
        answer(client.select("INBOX"))
        answer(client.uid("STORE", "1:5", "+FLAGS", r"(\Seen $Forwarded)"))
        answer(client.uid("STORE", "4:8", "+FLAGS", r"(\Flagged own)"))
        answer(client.uid("COPY", "1:20", "Work/2026"))
        answer(client.uid("COPY", "3", "INBOX"))
        answer(client.uid("MOVE", "30:32", "Work"))
        answer(client.uid("STORE", "2,9", "+FLAGS", r"(\Deleted)"))
        answer(client.expunge())
        for _ in range(8):
            answer(client.uid("COPY", "1:41", "Archive"))
        # Deleted mail: of a mailbox that is there, and of two of one name that are not.
        answer(client.select("Archive"))
        answer(client.uid("STORE", "5:120", "+FLAGS", r"(\Deleted $Later)"))
        answer(client.expunge())
        for messages in ["1:3", "6:12"]:
            answer(client.create("Gone"))
            answer(client.select("INBOX"))
            answer(client.uid("COPY", messages, "Gone"))
            answer(client.select("Gone"))
            answer(client.uid("STORE", "1:2", "+FLAGS", "(only-there)"))
            answer(client.unselect())
            answer(client.delete("Gone"))
    bob.deliver(mail("to bob"))
    server.control("alias", "add", f"info@{DOMAIN}", ada.email)
    server.control("alias", "add", f"@{DOMAIN}", bob.email)
    server.control("user", "retention", bob.email, "30d")
    server.control("user", "disable", eve.email)
    server.control("domain", "add", "second.test")
    server.control("domain", "disable", "second.test")
    return ada, bob


def target(server, name):
    """The configuration of an empty server."""
    folder = server.folder(name)
    path = folder / "postrider.toml"
    path.write_text(f'hostname = "mail.{DOMAIN}"\ndata_dir = "{folder / "data"}"\n')
    return path


def tell(config, *arguments, code=0):
    return run([lib.binary(), "--config", config, *arguments], home=config.parent, code=code)


def copy(source, to, *options, code=0):
    return run([lib.binary(), "copy", "--from", source, "--to", to, *options], home=to.parent, code=code)


def seen(config, folder, accounts):
    """What there is of accounts: their Maildirs and what is said of them."""
    all_of_it = {}
    for it in accounts:
        tree = folder / it.email
        tell(config, "export", "maildir", it.email, tree)
        for path in sorted(tree.rglob("*")):
            if path.is_file():
                when = int(path.stat().st_mtime) if path.parent.name in ("cur", "new") else 0
                all_of_it[str(path.relative_to(folder))] = (path.read_bytes(), when)
        shown = json.loads(tell(config, "user", "show", it.email, "--json"))
        all_of_it[it.email] = json.dumps(shown, sort_keys=True)
        all_of_it[f"deleted mail of {it.email}"] = deleted(config, it)
    all_of_it["aliases"] = tell(config, "alias", "list", "--json")
    all_of_it["users"] = tell(config, "user", "list", "--json")
    domains = json.loads(tell(config, "domain", "list", "--json"))
    all_of_it["domains"] = json.dumps(domains, sort_keys=True)
    return all_of_it


def deleted(config, account):
    """What can be brought back of an account, in an order that says nothing of rows."""
    listed = json.loads(tell(config, "undelete", account.email, "--list", "--json"))["messages"]
    return sorted(json.dumps(it, sort_keys=True) for it in listed)


def brought_back(config, folder, account):
    """An account's files with all that was deleted; the numbers of a mailbox that is made again are new, and so are those of its keywords."""
    contains(tell(config, "undelete", account.email, "--all"), "made mailbox Gone again", "undelete")
    equal(deleted(config, account), [], "nothing is left to bring back")
    contains(tell(config, "fsck"), "they agree", "fsck of what was brought back")
    tree = folder / account.email
    tell(config, "export", "maildir", account.email, tree)
    words = dict(reversed(it.split()) for it in (tree / ".Gone/dovecot-keywords").read_text().splitlines())
    letters = {chr(ord("a") + int(number)): f"({word})" for word, number in words.items()}
    files = {}
    for path in tree.rglob("*"):
        name, _, flags = str(path.relative_to(tree)).partition(":2,")
        if name.startswith(".Gone/"):
            name = re.sub(r"V\d+\.", ".", name)
            flags = "".join(sorted(letters.get(it, it) for it in flags))
        if path.is_file() and not name.startswith(".Gone/dovecot-"):
            files[f"{name} {flags}"] = path.read_bytes()
    return files


def same(got, wanted, what):
    equal(sorted(got), sorted(wanted), what)
    for name, value in wanted.items():
        equal(got[name], value, f"{what}: {name}")


def check_copy(server):
    """a copy that is killed again and again loses and doubles nothing; there and back it is the same; a target in use is refused"""
    accounts = fill(server)
    server.stop()
    there = target(server, "there")
    command = [lib.binary(), "copy", "--from", server.config, "--to", there]
    lib.kill_until_done(command, lib.environment(server.dir), "copy", 5)
    # Whoever does not know that it has come to its end is told so.
    again = json.loads(copy(server.config, there, "--json"))
    equal((again["before"], again["octets"]), (again["messages"] + again["deleted"], 0), "the same copy once more")
    contains(copy(there, server.config, code=1), "holds other data", "a target of somebody else")
    contains(copy(there, there, code=1), "the same database", "onto itself")
    wanted = seen(server.config, server.folder("seen-first"), accounts)
    equal(len(deleted(server.config, accounts[0])), 1 + 116 + 2 + 7, "deleted messages")
    same(seen(there, server.folder("seen-there"), accounts), wanted, "what is there")
    contains(tell(there, "fsck"), "they agree", "fsck of the copy")
    back = target(server, "back")
    report = json.loads(copy(there, back, "--json"))
    equal((report["accounts"], report["before"], report["deleted"]), (3, 0, 126), "the way back")
    same(seen(back, server.folder("seen-back"), accounts), wanted, "what is back")
    # All that was deleted is brought back everywhere, and it is the same.
    sites = {"first": server.config, "there": there, "back": back}
    recovered = {name: brought_back(config, server.folder(f"brought-{name}"), accounts[0]) for name, config in sites.items()}
    same(recovered["there"], recovered["first"], "what was brought back there")
    same(recovered["back"], recovered["first"], "what was brought back at last")
    # The server goes on from what was copied.
    server.data.rename(server.dir / "old-data")
    (back.parent / "data").rename(server.data)
    certificates = server.dir / "old-data" / "tls"
    if not (server.data / "tls").exists():
        certificates.rename(server.data / "tls")
    server.start()
    ada = accounts[0]
    before = sorted(ada.messages())
    ada.deliver(mail("after the copy"))
    after = sorted(ada.messages())
    equal(after[:-1], before, "UIDs")
    true(after[-1] > before[-1], "the next UID")
    server.stop()
    contains(copy(there, server.config, code=1), "holds other data", "a target that has served since")
    server.start()


lib.main(__file__, globals())
