"""mbsync: a mailbox and its copy on a disk, and a mailbox and its copy in another account, kept the same."""

import email
import email.policy

import lib
from lib import answer, contains, equal, mail, quoted, run, true


def store(server, name, account):
    """The sections of one account."""
    return f"""IMAPAccount {name}
Host localhost
Port {server.port["imaps"]}
User {account.email}
Pass {account.password}
SSLType IMAPS
SSLVersions TLSv1.3
CertificateFile {server.ca}

IMAPStore {name}
Account {name}

"""


def configure(folder, text):
    path = folder / "mbsyncrc"
    path.write_text(text)
    return path


def mirror(server, account, name):
    """A configuration that keeps a Maildir like the account, and the Maildir."""
    folder = server.folder(name)
    near = folder / "mail"
    near.mkdir()
    text = store(server, "far", account)
    text += f"""MaildirStore near
Path {near}/
Inbox {near}/INBOX
SubFolders Verbatim

Channel all
Far :far:
Near :near:
Patterns *
Create Both
Remove Both
Expunge Both
CopyArrivalDate yes
SyncState *
"""
    config = configure(folder, text)
    return near, lambda: run(["mbsync", "--config", config, "--all"], home=folder)


def files(near, mailbox="INBOX"):
    """The messages of a mailbox of the Maildir."""
    return sorted(path for part in ["cur", "new"] for path in (near / mailbox / part).iterdir())


def flag(path, flags):
    """Puts flags on a message of the Maildir."""
    name = path.name.partition(":2,")[0]
    target = path.parent.parent / "cur" / f"{name}:2,{flags}"
    path.rename(target)
    return target


def subject(text):
    return email.message_from_bytes(text, policy=email.policy.default)["Subject"]


def without_mark(path):
    """A copy's text without the line that mbsync puts into it, with the line ends of the wire."""
    text = path.read_bytes().replace(b"\r\n", b"\n")
    return b"\r\n".join(line for line in text.split(b"\n") if not line.startswith(b"X-TUID: "))


def check_full_sync(server):
    """a first sync takes every mailbox, with Korean names, and every message as it is"""
    ada = server.account("ada")
    ada.deliver(*(mail(f"number {number}", f"body {number}\r\n.\r\n한글 본문\r\n" * (number + 1)) for number in range(25)))
    names = ["Projects/2026", "&1UQ5XLgsuA0-", "with space"]
    with ada.imap() as client:
        for name in names:
            answer(client.create(quoted(name)))
            answer(client.append(quoted(name), r"(\Seen $Forwarded)", None, mail(f"in {name}")))
    near, sync = mirror(server, ada, "full")
    sync()
    wanted = ada.messages()
    copies = {without_mark(path) for path in files(near)}
    equal(len(copies), 25, "copies")
    true(copies == set(wanted.values()), "a copy is not the message")
    for name in names:
        (copy,) = files(near, name)
        equal(subject(copy.read_bytes()), f"in {name}", f"copy in {name}")
        true(copy.name.endswith(":2,PS") or copy.name.endswith(":2,S"), f"flags of {copy.name}")
    before = server.log().count("panicked")
    sync()
    equal(len(files(near)), 25, "copies after a second sync")
    equal(ada.messages(), wanted, "messages after a second sync")
    equal(before, 0, "panics")


def check_flags_both_ways(server):
    """flags set on either side arrive on the other"""
    ada = server.account("ada")
    ada.deliver(mail("one"), mail("two"), mail("three"))
    near, sync = mirror(server, ada, "flags")
    sync()
    by_subject = {subject(path.read_bytes()): path for path in files(near)}
    flag(by_subject["one"], "FS")
    flag(by_subject["two"], "R")
    with ada.imap() as client:
        answer(client.select("INBOX"))
        answer(client.uid("STORE", "3", "+FLAGS", r"(\Flagged \Draft)"))
    sync()
    equal(ada.flags(), {1: ["\\Flagged", "\\Seen"], 2: ["\\Answered"], 3: ["\\Draft", "\\Flagged"]}, "flags on the server")
    by_subject = {subject(path.read_bytes()): path for path in files(near)}
    true(by_subject["three"].name.endswith(":2,DF"), f"flags of {by_subject['three'].name}")
    flag(by_subject["one"], "")
    sync()
    equal(ada.flags()[1], [], "flags taken away")


def check_new_and_deleted_both_ways(server):
    """messages and mailboxes that are new or gone on either side are new or gone on the other"""
    ada = server.account("ada")
    ada.deliver(mail("stays"), mail("goes on the disk"), mail("goes on the server"))
    near, sync = mirror(server, ada, "changes")
    sync()
    by_subject = {subject(path.read_bytes()): path for path in files(near)}
    flag(by_subject["goes on the disk"], "T")
    with ada.imap() as client:
        answer(client.select("INBOX"))
        answer(client.uid("STORE", "3", "+FLAGS", r"(\Deleted)"))
        answer(client.expunge())
        answer(client.create("Far"))
        answer(client.append("Far", None, None, mail("made on the server")))
    new = near / "INBOX" / "new" / "1785585600.1.client"
    new.write_bytes(mail("written on the disk", "a line\r\n한글\r\n").replace(b"\r\n", b"\n"))
    for part in ["cur", "new", "tmp"]:
        (near / "Near" / part).mkdir(parents=True)
    (near / "Near" / "cur" / "1785585601.1.client:2,S").write_bytes(mail("in a new mailbox").replace(b"\r\n", b"\n"))
    sync()
    equal(sorted(map(subject, ada.messages().values())), ["stays", "written on the disk"], "INBOX on the server")
    equal(sorted(subject(path.read_bytes()) for path in files(near)), ["stays", "written on the disk"], "INBOX on the disk")
    (copy,) = files(near, "Far")
    equal(subject(copy.read_bytes()), "made on the server", "mailbox made on the server")
    equal(subject(ada.only_message("Near")), "in a new mailbox", "mailbox made on the disk")
    equal(ada.flags("Near"), {1: ["\\Seen"]}, "flags of what came with the mailbox")


def check_move_to_another_account(server):
    """a whole account goes over into another one, message by message, with flags and dates"""
    old, new = server.account("old"), server.account("new")
    with old.imap() as client:
        for number in range(12):
            flags = [None, r"(\Seen)", r"(\Seen \Flagged)", r"(\Answered)"][number % 4]
            date = f'"{number + 1:02}-Jul-2019 08:09:10 +0900"'
            answer(client.append("INBOX", flags, date, mail(f"number {number}")))
        answer(client.create("Archive/2019"))
        answer(client.append("Archive/2019", r"(\Seen)", '"01-Jan-2019 00:00:00 +0000"', mail("archived")))
    folder = server.folder("move")
    text = store(server, "from", old) + store(server, "to", new)
    text += f"""Channel all
Far :from:
Near :to:
Patterns *
Create Near
Sync Pull
CopyArrivalDate yes
SyncState {folder}/state-
"""
    run(["mbsync", "--config", configure(folder, text), "--all"], home=folder)
    true({subject(it) for it in new.messages().values()} == {f"number {number}" for number in range(12)}, "messages")
    for mailbox in ["INBOX", "Archive/2019"]:
        equal(described(new, mailbox), described(old, mailbox), f"subjects, dates and flags in {mailbox}")


def described(account, mailbox):
    """What a move must keep, in order."""
    with account.imap() as client:
        answer(client.select(quoted(mailbox), readonly=True))
        found = answer(client.fetch("1:*", "(INTERNALDATE FLAGS BODY.PEEK[HEADER.FIELDS (SUBJECT)])"))
    rows = []
    for head, subject_line in (it for it in found if isinstance(it, tuple)):
        date = head.partition(b'INTERNALDATE "')[2].partition(b'"')[0]
        flags = head.partition(b"FLAGS (")[2].partition(b")")[0].split()
        rows.append((subject_line.strip(), date, sorted(it for it in flags if it != b"\\Recent")))
    contains(str(len(rows)), "1", "rows")
    return sorted(rows)


if __name__ == "__main__":
    lib.main(__file__, globals())
