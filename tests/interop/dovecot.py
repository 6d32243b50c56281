"""A real Dovecot: what it kept comes in with all its numbers, and clients of both see the same."""

import contextlib
import grp
import imaplib
import json
import os
import poplib
import pwd
import re
import shutil
import socket
import subprocess
import time
from pathlib import Path

import lib
from lib import PATIENCE, Failed, answer, contains, equal, eventually, mail, quoted, true

PROGRAM = "/usr/sbin/dovecot"

CONFIG = """\
base_dir = {run}
state_dir = {run}
log_path = {log}
protocols = imap pop3
listen = 127.0.0.1
ssl = no
disable_plaintext_auth = no
auth_mechanisms = plain
mail_location = maildir:{mail}/%u
mail_uid = {owner}
mail_gid = {group}
first_valid_uid = 0
first_valid_gid = 0
mail_max_userip_connections = 50
passdb {{
  driver = static
  args = nopassword=y
}}
userdb {{
  driver = static
  args = uid={owner} gid={group} home={mail}/%u
}}
namespace inbox {{
  inbox = yes
}}
service imap-login {{
  inet_listener imap {{
    port = {imap}
  }}
  inet_listener imaps {{
    port = 0
  }}
}}
service pop3-login {{
  inet_listener pop3 {{
    port = {pop3}
  }}
  inet_listener pop3s {{
    port = 0
  }}
}}
"""

# Who is not root runs all of it as himself, without jails.
ALONE = """\
default_internal_user = {user}
default_login_user = {user}
default_internal_group = {group}
service anvil {{
  chroot =
}}
service imap-login {{
  chroot =
}}
service pop3-login {{
  chroot =
}}
service stats {{
  chroot =
}}
"""


def free_port():
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return listener.getsockname()[1]


class Dovecot:
    """Debian's, with one tree for each user name; any password is right."""

    def __init__(self, folder):
        if not Path(PROGRAM).exists():
            raise Failed("dovecot is missing: apt-get install --no-install-recommends dovecot-imapd dovecot-pop3d")
        self.dir = Path(folder)
        self.dir.parent.chmod(0o711)
        self.dir.mkdir()
        self.mail = self.dir / "mail"
        root = os.geteuid() == 0
        owner = pwd.getpwnam("mail") if root else pwd.getpwuid(os.geteuid())
        self.owner = (owner.pw_uid, owner.pw_gid)
        for it in (self.mail, self.dir / "run"):
            it.mkdir()
        os.chown(self.mail, *self.owner)
        self.imap_port, self.pop3_port = free_port(), free_port()
        text = CONFIG.format(run=self.dir / "run", log=self.dir / "dovecot.log", mail=self.mail, owner=owner.pw_uid,
                             group=owner.pw_gid, imap=self.imap_port, pop3=self.pop3_port)
        if not root:
            text += ALONE.format(user=owner.pw_name, group=grp.getgrgid(owner.pw_gid).gr_name)
        self.config = self.dir / "dovecot.conf"
        self.config.write_text(text)

    def __enter__(self):
        self.process = subprocess.Popen([PROGRAM, "-F", "-c", self.config], stdin=subprocess.DEVNULL,
                                        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)

        def ready():
            if self.process.poll() is not None:
                raise Failed(f"dovecot ended with {self.process.returncode}: {self.log()}")
            try:
                with socket.create_connection(("127.0.0.1", self.pop3_port), timeout=5) as peer:
                    return peer.recv(3) == b"+OK"
            except OSError:
                return False

        eventually(ready, "dovecot is ready", PATIENCE)
        return self

    def __exit__(self, *failure):
        self.process.terminate()
        try:
            self.process.wait(timeout=PATIENCE)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()

    def log(self):
        path = self.dir / "dovecot.log"
        return path.read_text(errors="replace")[-2000:] if path.exists() else ""

    def tree(self, user):
        return self.mail / user

    def put(self, user, name, octets):
        """Writes a file into a tree, as its owner."""
        path = self.tree(user) / name
        path.write_bytes(octets)
        os.chown(path, *self.owner)
        return path

    @contextlib.contextmanager
    def imap(self, user):
        client = imaplib.IMAP4("127.0.0.1", self.imap_port, timeout=PATIENCE)
        try:
            client.login(user, "any")
            yield client
        finally:
            with contextlib.suppress(imaplib.IMAP4.error, OSError):
                client.logout()

    @contextlib.contextmanager
    def pop3(self, user):
        client = poplib.POP3("127.0.0.1", self.pop3_port, timeout=PATIENCE)
        client.user(user)
        client.pass_("any")
        try:
            yield client
        finally:
            client.close()


@contextlib.contextmanager
def pop3(account):
    client = poplib.POP3_SSL("localhost", account.server.port["pop3s"], context=account.server.trust(), timeout=PATIENCE)
    client.user(account.email)
    client.pass_(account.password)
    try:
        yield client
    finally:
        client.close()


# --- What a client sees ---------------------------------------------------------------------------------------------


def names(client, verb="list"):
    """Mailboxes as they are named on the wire, by their levels."""
    found = {}
    for line in answer(getattr(client, verb)()):
        if not line:
            continue
        parts = re.fullmatch(rb'\(([^)]*)\) "(.)" "?(.*?)"?', line)
        if rb"\Noselect" not in parts[1] and rb"\NonExistent" not in parts[1]:
            name = parts[3].replace(b'\\"', b'"').decode()
            found[name.replace(parts[2].decode(), "/")] = name
    return found


def mailbox(client, name):
    """All that a mailbox is to a client."""
    client.untagged_responses.clear()
    answer(client.select(quoted(name), readonly=True))
    number = lambda what: int(client.response(what)[1][0])
    seen = {"uidvalidity": number("UIDVALIDITY"), "uidnext": number("UIDNEXT"), "messages": {}}
    _, found = client.uid("FETCH", "1:*", "(UID FLAGS INTERNALDATE RFC822.SIZE BODY.PEEK[])")
    for entry in found:
        if not isinstance(entry, tuple):
            continue
        head = entry[0].decode()
        uid = int(re.search(r"UID (\d+)", head)[1])
        flags = re.search(r"FLAGS \(([^)]*)\)", head)[1].split()
        seen["messages"][uid] = {
            "flags": sorted(it for it in flags if it != r"\Recent"),
            "date": time.mktime(imaplib.Internaldate2tuple(entry[0])),
            "size": int(re.search(r"RFC822.SIZE (\d+)", head)[1]),
            "body": entry[1],
        }
    return seen


def everything(client):
    return {name: mailbox(client, wire) for name, wire in names(client).items()}


def unique_ids(client):
    return [it.decode().split()[1] for it in client.uidl()[1]]


def same(ours, theirs, what):
    """Whether our account shows all that Dovecot's does."""
    for name, wanted in theirs.items():
        true(name in ours, f"{what}: there is no mailbox {name}, only {sorted(ours)}")
        got = ours[name]
        for key in ("uidvalidity", "uidnext"):
            equal(got[key], wanted[key], f"{what}: {key} of {name}")
        equal(sorted(got["messages"]), sorted(wanted["messages"]), f"{what}: UIDs of {name}")
        for uid, message in wanted["messages"].items():
            equal(got["messages"][uid], message, f"{what}: message {uid} of {name}")


def compare(server, dovecot, user, account, what):
    with dovecot.imap(user) as client:
        theirs, subscribed = everything(client), names(client, "lsub")
    with account.imap() as client:
        ours, ours_subscribed = everything(client), names(client, "lsub")
    same(ours, theirs, what)
    for name in subscribed:
        contains(sorted(ours_subscribed), name, f"{what}: subscriptions")
    with dovecot.pop3(user) as client:
        wanted = (unique_ids(client), client.stat())
    with pop3(account) as client:
        equal((unique_ids(client), client.stat()), wanted, f"{what}: POP3")
    return theirs


def letter(number, lines=3):
    return mail(f"number {number}", f"line of {number}\r\n" * lines)


def fill(dovecot, user):
    """Mail with gaps, flags, keywords, dates, folders, subscriptions; some of it new."""
    with dovecot.imap(user) as client:
        for number in range(1, 13):
            date = imaplib.Time2Internaldate(1_500_000_000 + 86_400 * number)
            answer(client.append("INBOX", r"(\Seen)" if number % 2 else None, date, letter(number)))
        for name in ["Entw&APw-rfe", "Projects.2026.Q1", "a &- b", "INBOX.sub", "empty", "Sent"]:
            answer(client.create(quoted(name)))
        for name in ["Entw&APw-rfe", "Projects.2026.Q1", "a &- b"]:
            answer(client.subscribe(quoted(name)))
        answer(client.select("INBOX"))
        answer(client.uid("STORE", "2,4", "+FLAGS", r"($Forwarded NonJunk)"))
        answer(client.uid("STORE", "4,5", "+FLAGS", r"(\Flagged \Answered own-keyword)"))
        answer(client.uid("STORE", "6", "+FLAGS", r"(\Draft \Deleted)"))
        answer(client.uid("COPY", "2:5", quoted("Entw&APw-rfe")))
        answer(client.uid("COPY", "8:10", quoted("Projects.2026.Q1")))
        answer(client.uid("COPY", "1", "Sent"))
        answer(client.uid("STORE", "3,7,12", "+FLAGS", r"(\Deleted)"))
        answer(client.uid("STORE", "6", "-FLAGS", r"(\Deleted)"))
        answer(client.expunge())
        answer(client.uid("STORE", "6", "+FLAGS", r"(\Deleted)"))
        answer(client.unselect())
        answer(client.append(quoted("INBOX.sub"), None, None, letter(20, 2000)))
        answer(client.append("INBOX", None, None, letter(21)))


def bring(server, tree, account, *options, code=0):
    """Imports; the report."""
    said = server.control("import", "maildir", tree, account.email, "--json", *options, code=code)
    return json.loads(said)


# --- Checks ---------------------------------------------------------------------------------------------------------


def check_import(server):
    """an import keeps UIDVALIDITY, UIDs, flags, keywords, dates, sizes, names, subscriptions and UIDL; later ones bring what came since"""
    account = server.account("ada")
    with Dovecot(server.dir / "dovecot-import") as dovecot:
        fill(dovecot, "ada")
        # An older server's unique-id, as a migration to Dovecot leaves it.
        with dovecot.pop3("ada") as client:
            client.stat()
        numbered = dovecot.tree("ada") / "dovecot-uidlist"
        text = re.sub(rb"\n2 ", b"\n2 Pof-courier-2 ", numbered.read_bytes())
        numbered.write_bytes(text)
        for it in dovecot.tree("ada").glob("dovecot.index*"):
            it.unlink()
        first = bring(server, dovecot.tree("ada"), account)
        theirs = compare(server, dovecot, "ada", account, "after the first import")
        equal(first["brought"], sum(len(it["messages"]) for it in theirs.values()), "messages brought")
        with dovecot.pop3("ada") as client:
            contains(unique_ids(client), "of-courier-2", "unique-ids")
        again = bring(server, dovecot.tree("ada"), account)
        equal((again["brought"], again["before"]), (0, first["brought"]), "a second import")
        # What was moved and deleted here stays so; what comes there comes.
        with account.imap() as client:
            answer(client.select("INBOX"))
            answer(client.uid("MOVE", "1", "Archive"))
            answer(client.uid("STORE", "2", "+FLAGS", r"(\Deleted)"))
            answer(client.expunge())
        with dovecot.imap("ada") as client:
            answer(client.append("INBOX", r"(\Seen own-keyword)", None, letter(30)))
            answer(client.create("later"))
            answer(client.append("later", None, None, letter(31)))
        third = bring(server, dovecot.tree("ada"), account)
        equal(third["brought"], 2, "what came since")
        eventually(lambda: 14 in account.flags(), "the running server sees it")
        with dovecot.imap("ada") as client:
            theirs = everything(client)
        with account.imap() as client:
            ours = everything(client)
        for uid in (1, 2, 6):
            theirs["INBOX"]["messages"].pop(uid, None)
        same(ours, theirs, "after the third import")
        equal(len(ours["Archive"]["messages"]), 1, "what was moved here")
        equal(bring(server, dovecot.tree("ada"), account)["brought"], 0, "a fourth import")
        flags_follow(server, dovecot, account, sorted(theirs["INBOX"]["messages"])[:4])


def flags_follow(server, dovecot, account, uids):
    """Flags that change at Dovecot's follow, until somebody changes them here; what is deleted there stays."""
    followed, ours, deleted, untouched = uids
    before = account.flags()

    def both(uid, there, here=None):
        with dovecot.imap("ada") as client:
            answer(client.select("INBOX"))
            answer(client.uid("STORE", str(uid), "FLAGS", there))
        if here is not None:
            with account.imap() as client:
                answer(client.select("INBOX"))
                answer(client.uid("STORE", str(uid), "FLAGS", here))

    both(followed, r"(\Flagged \Answered new-keyword)")
    both(ours, r"(\Answered)", r"(\Draft mine)")
    with dovecot.imap("ada") as client:
        answer(client.select("INBOX"))
        answer(client.uid("STORE", str(deleted), "+FLAGS", r"(\Deleted)"))
        answer(client.expunge())
    wanted = before | {followed: sorted([r"\Flagged", r"\Answered", "new-keyword"]), ours: sorted([r"\Draft", "mine"])}
    inbox = lambda report: next(it for it in report["mailboxes"] if it["name"] == "INBOX")
    report = inbox(bring(server, dovecot.tree("ada"), account))
    equal((report["updated"], report["kept"], report["brought"]), (1, 1, 0), "flags that changed")
    true(report["gone"] >= 1, "what is gone there is counted")
    # The running server has the mailbox in memory, and looks for what others did.
    eventually(lambda: account.flags() == wanted, "flags follow, and our own stay")
    # Again and again, for as long as nobody here touches them.
    both(followed, r"(\Seen)")
    report = inbox(bring(server, dovecot.tree("ada"), account))
    equal((report["updated"], report["kept"]), (1, 1), "flags that changed again")
    wanted[followed] = [r"\Seen"]
    eventually(lambda: account.flags() == wanted, "they follow again")
    equal(inbox(bring(server, dovecot.tree("ada"), account))["updated"], 0, "nothing changed since")
    equal(account.flags()[untouched], before[untouched], "what nobody touched")


def check_killed(server):
    """an import that is killed again and again loses nothing and doubles nothing"""
    account = server.account("eve")
    with Dovecot(server.dir / "dovecot-killed") as dovecot:
        with dovecot.imap("eve") as client:
            for number in range(1, 4):
                answer(client.append("INBOX", None, None, letter(number)))
            answer(client.create("many"))
            answer(client.select("INBOX"))
            for _ in range(250):
                answer(client.uid("COPY", "1:3", "many"))
        command = [lib.binary(), "--config", server.config, "import", "maildir", dovecot.tree("eve"), account.email]
        lib.kill_until_done(command, lib.environment(server.dir), "import", 7)
        equal(bring(server, dovecot.tree("eve"), account)["brought"], 0, "an import more")
        compare(server, dovecot, "eve", account, "after the kills")
    contains(server.control("fsck"), "they agree", "fsck")


def files(tree):
    """Every file of a tree with its time and octets; not what tells whose export it is."""
    found = {}
    for path in sorted(Path(tree).rglob("*")):
        if path.is_file() and path.name != "postrider-export":
            found[str(path.relative_to(tree))] = (path.stat().st_mtime_ns if path.parent.name in ("cur", "new") else 0, path.read_bytes())
    return found


def check_export(server):
    """an export is opened by Dovecot with all numbers; export, import, export makes the same tree; what changes is brought up to date"""
    account = server.account("mia")
    with Dovecot(server.dir / "dovecot-export") as dovecot:
        fill(dovecot, "mia")
        with dovecot.pop3("mia") as client:
            client.stat()
        numbered = dovecot.tree("mia") / "dovecot-uidlist"
        numbered.write_bytes(re.sub(rb"\n2 ", b"\n2 Pof-courier-2 ", numbered.read_bytes()))
        bring(server, dovecot.tree("mia"), account)
        first = server.dir / "export-1"
        server.control("export", "maildir", account.email, first)
        written = files(first)
        report = json.loads(server.control("export", "maildir", account.email, first, "--json"))
        equal((report["written"], report["removed"]), (0, 0), "a second export")
        equal(files(first), written, "the tree after it")
        second_account = server.account("mia")
        bring(server, first, second_account)
        second = server.dir / "export-2"
        server.control("export", "maildir", second_account.email, second)
        equal(sorted(files(second)), sorted(written), "names of the second tree")
        equal(files(second), written, "the second tree")
        # Dovecot serves it.
        tree = dovecot.tree("exported")
        shutil.copytree(first, tree)
        for path in [tree, *tree.rglob("*")]:
            os.chown(path, *dovecot.owner)
        compare(server, dovecot, "exported", account, "Dovecot over the export")
        with dovecot.imap("exported") as client:
            answer(client.append("INBOX", None, None, letter(50)))
        contains(server.control("export", "maildir", account.email, tree, code=1), "another program", "a tree in use")
        # What changes here changes there.
        with account.imap() as client:
            answer(client.select("INBOX"))
            answer(client.uid("STORE", "1", "+FLAGS", r"(\Flagged new-one)"))
            answer(client.uid("STORE", "2", "+FLAGS", r"(\Deleted)"))
            answer(client.expunge())
            answer(client.append("INBOX", None, None, letter(51)))
        report = json.loads(server.control("export", "maildir", account.email, first, "--json"))
        equal((report["written"], report["removed"]), (1, 2), "what changed")
        again = dovecot.tree("again")
        shutil.copytree(first, again)
        for path in [again, *again.rglob("*")]:
            os.chown(path, *dovecot.owner)
        compare(server, dovecot, "again", account, "Dovecot over the export of what changed")
    foreign = server.folder("foreign")
    (foreign / "precious").write_text("x")
    contains(server.control("export", "maildir", account.email, foreign, code=1), "not empty", "a foreign folder")
    equal([it.name for it in foreign.iterdir()], ["precious"], "a foreign folder")
    contains(server.control("export", "maildir", second_account.email, first, code=1), "another account", "another's export")


def check_export_killed(server):
    """an export that is killed again and again is the same in the end; more keywords than letters, and dots, are named"""
    account = server.account("kim")
    account.deliver(*(letter(number) for number in range(1, 4)))
    with account.imap() as client:
        answer(client.select("INBOX"))
        for _ in range(150):
            answer(client.uid("COPY", "1:3", "Archive"))
    whole = server.dir / "export-whole"
    server.control("export", "maildir", account.email, whole)
    tree = server.dir / "export-killed"
    command = [lib.binary(), "--config", server.config, "export", "maildir", account.email, tree]
    lib.kill_until_done(command, lib.environment(server.dir), "export", 3)
    server.control("export", "maildir", account.email, tree)
    equal(files(tree), files(whole), "the tree after the kills")
    with account.imap() as client:
        answer(client.create("v1.0"))
        answer(client.select("INBOX"))
        answer(client.uid("STORE", "1", "+FLAGS", "(" + " ".join(f"k{number}" for number in range(30)) + ")"))
    report = json.loads(server.control("export", "maildir", account.email, tree, "--json", code=1))
    equal(len(report["left_out"]), 5, "four keywords and a dot")


def check_nasty(server):
    """what cannot be taken is named, and all else comes"""
    account = server.account("bob")
    tree = server.folder("nasty")
    for name in ["cur", "new", "tmp", ".Sent/cur", ".INBOX/cur", ".a\x01b/cur", "." + "x" * 250 + "/cur", ".Broken/cur", "Other/cur", ".Gone"]:
        (tree / name).mkdir(parents=True)
    put = lambda name, octets=letter(1): (tree / name).write_bytes(octets)
    put("cur/1.a:2,Sab")
    put("cur/2.b:2,ZZ?S")
    put("new/1.a", letter(2))
    put("new/3.c", b"no header\nat all\0")
    put("cur/4.d", b"\x1f\x8b\x08compressed")
    put("cur/5.e,S=99999:2,", b"Subject: short\n\nx\n")
    put("cur/6.f", b"")
    (tree / "cur/7.link").symlink_to("1.a:2,Sab")
    (tree / ".link").symlink_to(".Sent")
    (tree / "cur/8.folder").mkdir()
    os.mkfifo(tree / "cur/9.fifo")
    for folder in [".Sent", ".INBOX", ".a\x01b", "." + "x" * 250, ".Broken", "Other"]:
        put(f"{folder}/cur/1.m", letter(folder[:5]))
    put("dovecot-uidlist", b"3 V77 N3\n5 :1.a\n4 :2.b\nrubbish\n9 :absent\n12 :6.f\n")
    put("dovecot-keywords", b"0 good\n1 (bad\n")
    put(".Broken/dovecot-uidlist", b"no header\n1 :1.m\n")
    put("subscriptions", b"V\t2\n\nSent\nnowhere\n")
    report = bring(server, tree, account, code=1)
    left = {Path(it["path"]).name for it in report["left_out"]}
    equal(left, {"4.d", "7.link", ".link", "8.folder", "9.fifo", "Other"}, "what is left out")
    with account.imap() as client:
        seen, subscribed = everything(client), names(client, "lsub")
    inbox = seen["INBOX"]
    equal(inbox["uidvalidity"], 77, "UIDVALIDITY")
    equal(inbox["messages"][5]["flags"], ["\\Seen", "good"], "flags of message 5")
    equal(sorted(inbox["messages"]), [5, 12, 13, 14, 15, 16], "UIDs: those of the list, and others above")
    equal(inbox["messages"][12]["size"], 0, "an empty message")
    contains([it["body"] for it in inbox["messages"].values()], b"no header\r\nat all\x80", "a NUL cannot be sent")
    equal(len(seen["Sent"]["messages"]), 1, "Sent")
    made_up = [name for name in seen if name.startswith("Imported/")]
    equal(len(made_up), 2, f"mailboxes that got other names: {sorted(seen)}")
    contains(sorted(subscribed), "nowhere", "subscriptions")
    again = bring(server, tree, account, code=1)
    equal(again["brought"], 0, "a second import")
    # Once it can be read it comes, though its number is gone.
    put("cur/4.d", letter("plain"))
    equal(bring(server, tree, account, code=1)["brought"], 1, "what was mended")


def check_occupied(server):
    """a mailbox that has mail of its own is not touched unless --merge says so; the quota refuses nothing"""
    account = server.account("joe", "--quota", "1KiB")
    tree = server.folder("occupied")
    for name in ["cur", "new", "tmp", ".Work/cur"]:
        (tree / name).mkdir(parents=True)
    (tree / "cur/1.a:2,S").write_bytes(letter(1, 200))
    (tree / ".Work/cur/1.b").write_bytes(letter(2))
    (tree / "dovecot-uidlist").write_bytes(b"3 V77 N3\n2 :1.a\n")
    account.deliver(letter(0, 1))
    said = server.control("import", "maildir", tree, account.email, code=1)
    contains(said, "INBOX", "what is occupied")
    contains(said, "--merge", "the hint")
    equal(list(account.messages()), [1], "nothing came")
    equal(bring(server, tree, account, "--merge")["brought"], 2, "with --merge")
    # The server has the mailbox in memory, and looks for what others did a few times a second.
    eventually(lambda: list(account.messages()) == [1, 2], "the message with a new UID")
    equal(bring(server, tree, account, "--merge")["brought"], 0, "a second time")
    contains(server.control("import", "maildir", tree, "nobody@interop.test", code=1), "does not exist", "nobody")
    contains(server.control("import", "maildir", server.dir, account.email, code=1), "is no Maildir", "no Maildir")


lib.main(__file__, globals())
