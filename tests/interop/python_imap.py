"""Python's imaplib: what lies deeper in IMAP than most clients go, looked at answer by answer."""

import base64
import contextlib
import imaplib
import re
import socket
import ssl
import threading
import time

import lib
from lib import PATIENCE, answer, contains, equal, eventually, lacks, mail, true


class Raw:
    """A connection over TLS on which lines are written and read as they are."""

    def __init__(self, account, *, login=True):
        server = account.server
        plain = socket.create_connection(("localhost", server.port["imaps"]), timeout=PATIENCE)
        self.socket = server.trust().wrap_socket(plain, server_hostname="localhost")
        self.file = self.socket.makefile("rb")
        self.greeting = self.line()
        self.count = 0
        if login:
            token = base64.b64encode(f"\0{account.email}\0{account.password}".encode()).decode()
            self.ok(f"AUTHENTICATE PLAIN {token}")

    def __enter__(self):
        return self

    def __exit__(self, *failure):
        self.file.close()
        self.socket.close()

    def line(self):
        """The next line, without its end; literals stay where they are."""
        whole = b""
        while True:
            line = self.file.readline()
            if not line.endswith(b"\r\n"):
                raise lib.Failed(f"the connection ended in {whole + line}")
            whole += line[:-2]
            literal = re.search(rb"\{(\d+)\}$", line[:-2])
            if not literal:
                return whole.decode(errors="surrogateescape")
            whole += b"\r\n" + self.file.read(int(literal[1]))

    def send(self, octets):
        self.socket.sendall(octets if isinstance(octets, bytes) else octets.encode())

    def command(self, text):
        """The untagged lines and the tagged one that answer a command."""
        self.count += 1
        tag = f"t{self.count}"
        self.send(f"{tag} {text}\r\n")
        return self.until(tag)

    def until(self, tag):
        untagged = []
        while True:
            line = self.line()
            if line.startswith(f"{tag} "):
                return untagged, line.removeprefix(f"{tag} ")
            untagged.append(line)

    def ok(self, text):
        """The untagged lines of a command that must be OK."""
        untagged, tagged = self.command(text)
        true(tagged.startswith("OK"), f"{text} answered {tagged}")
        return untagged

    def no(self, text, code=""):
        """The tagged line of a command that must be NO."""
        _, tagged = self.command(text)
        true(tagged.startswith(f"NO {code}"), f"{text} answered {tagged}")
        return tagged


def one(lines, start):
    """The one line that begins so."""
    found = [line for line in lines if line.startswith(start)]
    equal(len(found), 1, f"lines that begin with {start} in {lines}: how many")
    return found[0]


def numbers(ranges):
    """`1:3,5` as a list."""
    found = []
    for part in ranges.split(","):
        first, _, last = part.partition(":")
        found += range(int(first), int(last or first) + 1)
    return found


def check_capabilities(server):
    """what is announced before and after login, and that login comes with it"""
    ada = server.account("ada")
    with Raw(ada, login=False) as client:
        before = set(client.greeting.partition("[CAPABILITY ")[2].partition("]")[0].split()) or set(
            one(client.ok("CAPABILITY"), "* CAPABILITY").split()[2:]
        )
        contains(before, "IMAP4rev1", "capabilities")
        contains(before, "AUTH=PLAIN", "capabilities inside TLS")
        lacks(before, "LOGINDISABLED", "capabilities inside TLS")
    with Raw(ada) as client:
        after = set(one(client.ok("CAPABILITY"), "* CAPABILITY").split()[2:])
    for capability in [
        "IMAP4rev2", "IMAP4rev1", "LITERAL+", "ENABLE", "ID", "IDLE", "MOVE", "UIDPLUS", "ESEARCH", "SEARCHRES", "LIST-EXTENDED",
        "LIST-STATUS", "SPECIAL-USE", "QUOTA", "NAMESPACE", "UNSELECT", "BINARY", "STATUS=SIZE", "CHILDREN",
    ]:
        contains(after, capability, "capabilities after login")


def check_idle(server):
    """IDLE sees a delivery, a flag of another session and an expunge"""
    ada = server.account("ada")
    ada.deliver(mail("already here"))
    with Raw(ada) as client, ada.imap() as other:
        client.ok("SELECT INBOX")
        client.send("i IDLE\r\n")
        true(client.line().startswith("+"), "no continuation")
        start = time.monotonic()
        ada.deliver(mail("seen while idle"))
        seen = client.line()
        while seen != "* 2 EXISTS":
            contains(seen, "RECENT", "untagged line before EXISTS")
            seen = client.line()
        true(time.monotonic() - start < 5, f"EXISTS came after {time.monotonic() - start:.1f} s")
        answer(other.select("INBOX"))
        answer(other.store("1", "+FLAGS", r"(\Flagged)"))
        line = client.line()
        while "FETCH" not in line:
            line = client.line()
        true(line.startswith("* 1 FETCH") and "\\Flagged" in line, f"flag: {line}")
        answer(other.store("1", "+FLAGS", r"(\Deleted)"))
        answer(other.expunge())
        while line != "* 1 EXPUNGE":
            line = client.line()
        client.send("DONE\r\n")
        _, tagged = client.until("i")
        true(tagged.startswith("OK"), f"DONE answered {tagged}")
        status = client.ok("UID SEARCH ALL")
        equal(one(status, "* SEARCH"), "* SEARCH 2", "UIDs left")


def check_uidplus(server):
    """UIDPLUS: APPENDUID, COPYUID, UID EXPUNGE of some and not of others"""
    ada = server.account("ada")
    with Raw(ada) as client:
        validity = one(client.ok("STATUS INBOX (UIDVALIDITY)"), "* STATUS").partition("UIDVALIDITY ")[2].rstrip(")")
        for uid in [1, 2, 3]:
            message = mail(f"number {uid}").decode()
            client.count += 1
            tag = f"t{client.count}"
            client.send(f"{tag} APPEND INBOX (\\Deleted) {{{len(message)}+}}\r\n{message}\r\n")
            _, tagged = client.until(tag)
            contains(tagged, f"[APPENDUID {validity} {uid}]", "APPEND")
        client.ok("CREATE Copies")
        client.ok("SELECT INBOX")
        _, tagged = client.command("UID COPY 1:2 Copies")
        copied = re.search(r"\[COPYUID (\d+) (\S+) (\S+)\]", tagged)
        true(copied, f"COPY answered {tagged}")
        equal((numbers(copied[2]), numbers(copied[3])), ([1, 2], [1, 2]), "COPYUID")
        gone = [line for line in client.ok("UID EXPUNGE 2:4294967295") if "EXPUNGE" in line]
        # From the front or from the back.
        true(gone in [["* 2 EXPUNGE", "* 2 EXPUNGE"], ["* 3 EXPUNGE", "* 2 EXPUNGE"]], f"UID EXPUNGE told {gone}")
        equal(one(client.ok("UID SEARCH ALL"), "* SEARCH"), "* SEARCH 1", "what is left")
        client.no("COPY 1 Nowhere", "[TRYCREATE]")


def check_move(server):
    """MOVE: COPYUID before the expunges, the message goes and comes with its flags and date, UIDs only rise"""
    ada = server.account("ada")
    with Raw(ada) as client:
        client.ok("CREATE Elsewhere")
        message = mail("to be moved").decode()
        date = '"01-Feb-2020 03:04:05 +0900"'
        client.ok(f'APPEND INBOX (\\Seen $label) {date} {{{len(message)}+}}\r\n{message}')
        client.ok("SELECT INBOX")
        lines = client.ok("UID MOVE 1 Elsewhere")
        copied = one(lines, "* OK [COPYUID")
        true(lines.index(copied) < lines.index("* 1 EXPUNGE"), f"order of {lines}")
        equal(one(client.ok("UID SEARCH ALL"), "* SEARCH"), "* SEARCH", "what is left")
        client.ok("SELECT Elsewhere")
        fetched = one(client.ok("FETCH 1 (UID FLAGS INTERNALDATE)"), "* 1 FETCH")
        for part in ["UID 1", "\\Seen", "$label"]:
            contains(fetched, part, "the moved message")
        true(same_moment(fetched, "01-Feb-2020 03:04:05 +0900"), f"date: {fetched}")
        client.ok("MOVE 1 INBOX")
        contains(one(client.ok("STATUS INBOX (UIDNEXT MESSAGES)"), "* STATUS"), "UIDNEXT 3", "INBOX after the way back")


def same_moment(fetched, date):
    """Whether INTERNALDATE is this moment, in whatever zone."""
    written = f'INTERNALDATE "{date}"'.encode()
    given = fetched[fetched.index("INTERNALDATE") :].encode()
    return imaplib.Internaldate2tuple(b"1 (" + given + b")") == imaplib.Internaldate2tuple(b"1 (" + written + b")")


def check_list_status(server):
    """LIST-EXTENDED and LIST-STATUS: subscriptions, children, counts with the names"""
    ada = server.account("ada")
    ada.deliver(mail("one"), mail("two"))
    with Raw(ada) as client:
        client.ok("CREATE Work/2026/August")
        client.ok("SUBSCRIBE Work/2026/August")
        client.ok("SUBSCRIBE Gone/Away")
        lines = client.ok('LIST "" "*" RETURN (STATUS (MESSAGES UIDNEXT UNSEEN SIZE) CHILDREN SUBSCRIBED)')
        status = one(lines, "* STATUS INBOX")
        for part in ["MESSAGES 2", "UIDNEXT 3", "UNSEEN 2", "SIZE "]:
            contains(status, part, "STATUS of INBOX")
        contains(one([it for it in lines if it.endswith(" Work/2026")], "* LIST"), "\\HasChildren", "parent")
        leaf = one([it for it in lines if it.endswith(" Work/2026/August")], "* LIST")
        for attribute in ["\\HasNoChildren", "\\Subscribed"]:
            contains(leaf, attribute, "leaf")
        lines = client.ok('LIST (SUBSCRIBED) "" "*"')
        contains(one([it for it in lines if it.endswith("Gone/Away")], "* LIST"), "\\NonExistent", "subscribed, and not there")
        names = [it.rpartition(" ")[2] for it in client.ok('LIST "" (INBOX "Work/%")')]
        equal(names, ["INBOX", "Work/2026"], "two patterns")
        lines = client.ok('LSUB "" "*"')
        contains([it.rpartition(" ")[2] for it in lines], "Work/2026/August", "LSUB")


def check_special_use(server):
    """SPECIAL-USE: each account has its Sent, Drafts, Trash, Junk and Archive, and can make another one of those"""
    ada = server.account("ada")
    with Raw(ada) as client:
        lines = client.ok('LIST (SPECIAL-USE) "" "*"')
        for use in ["\\Sent", "\\Drafts", "\\Trash", "\\Junk", "\\Archive"]:
            equal(len([it for it in lines if use in it]), 1, f"mailboxes with {use} in {lines}: how many")
        client.ok("DELETE Archive")
        client.ok("CREATE Keep (USE (\\Archive))")
        contains(one([it for it in client.ok('LIST "" "*"') if it.endswith(" Keep")], "* LIST"), "\\Archive", "made for it")


def check_esearch(server):
    """ESEARCH and SEARCHRES: MIN, MAX, COUNT, ALL, and $ in what follows"""
    ada = server.account("ada")
    ada.deliver(*(mail(f"number {number}", f"needle{number % 2}\r\n") for number in range(6)))
    with Raw(ada) as client:
        client.ok("SELECT INBOX")
        found = one(client.ok("UID SEARCH RETURN (MIN MAX COUNT ALL) BODY needle1"), "* ESEARCH")
        for part in ["UID", "MIN 2", "MAX 6", "COUNT 3", "ALL 2,4,6"]:
            contains(found, part, "ESEARCH")
        client.ok("SEARCH RETURN (SAVE) BODY needle0")
        lines = client.ok("FETCH $ (UID)")
        equal([it for it in lines if "FETCH" in it], [f"* {uid} FETCH (UID {uid})" for uid in [1, 3, 5]], "FETCH $")
        client.ok("STORE $ +FLAGS.SILENT (\\Deleted)")
        found = one(client.ok("SEARCH RETURN (COUNT) DELETED"), "* ESEARCH")
        contains(found, "COUNT 3", "deleted")
        found = one(client.ok("SEARCH RETURN (ALL) SUBJECT nowhere"), "* ESEARCH")
        lacks(found, "ALL", "ESEARCH that finds nothing")
        for query, wanted in [
            ("OR (SUBJECT 1) NOT BODY needle1", "1:3,5"), ("LARGER 10000", ""), ("SMALLER 10000 2:4", "2:4"),
            ("HEADER Message-ID @", "1:6"),
            ("SENTSINCE 1-Aug-2026 SENTBEFORE 2-Aug-2026", "1:6"), ("BEFORE 1-Jan-2020", ""), ("KEYWORD $none", ""), ("UID 5:*", "5:6"),
        ]:
            found = one(client.ok(f"SEARCH RETURN (ALL) {query}"), "* ESEARCH").partition("ALL ")[2]
            equal(numbers(found) if found else [], numbers(wanted) if wanted else [], f"SEARCH {query}")


def check_quota(server):
    """QUOTA: what is used is told; a full mailbox answers NO [OVERQUOTA]; room comes back at the expunge"""
    ada = server.account("ada", "--quota", "64KiB")
    with Raw(ada) as client:
        lines = client.ok("GETQUOTAROOT INBOX")
        quota = one(lines, "* QUOTA ")
        contains(quota, "STORAGE 0 64", "QUOTA of an empty account")
        big = mail("big", "x" * 76 + "\r\n").decode() + ("x" * 76 + "\r\n") * 400
        client.ok(f"APPEND INBOX {{{len(big)}+}}\r\n{big}")
        used = int(re.search(r"STORAGE (\d+) 64", one(client.ok("GETQUOTAROOT INBOX"), "* QUOTA "))[1])
        true(abs(used - len(big) / 1024) <= 1, f"used {used} KiB for {len(big)} octets")
        client.ok(f"APPEND INBOX {{{len(big)}+}}\r\n{big}")
        client.no(f"APPEND INBOX {{{len(big)}+}}\r\n{big}", "[OVERQUOTA]")
        client.ok("SELECT INBOX")
        client.no("COPY 1 Sent", "[OVERQUOTA]")
        client.ok("STORE 1 +FLAGS (\\Deleted)")
        client.ok("EXPUNGE")
        client.ok(f"APPEND INBOX {{{len(big)}+}}\r\n{big}")


def check_utf8_names(server):
    """names of mailboxes: UTF-8 for a client that is told so, modified UTF-7 for the others, the same mailbox"""
    ada = server.account("ada")
    name = "프로젝트"
    encoded = "&" + base64.b64encode(name.encode("utf-16-be")).decode().rstrip("=").replace("/", ",") + "-"
    with Raw(ada) as modern, Raw(ada) as old:
        modern.ok("ENABLE IMAP4rev2")
        modern.ok(f'CREATE "{name}/2026"')
        names = [it.rpartition(' "/" ')[2].strip('"') for it in old.ok('LIST "" "*"')]
        contains(names, f"{encoded}/2026", "names for an old client")
        names = [it.rpartition(' "/" ')[2].strip('"') for it in modern.ok('LIST "" "*"')]
        contains(names, f"{name}/2026", "names for a modern client")
        message = mail("제목").decode()
        old.ok(f'APPEND "{encoded}/2026" {{{len(message.encode())}+}}\r\n{message}')
        contains(" ".join(modern.ok(f'STATUS "{name}/2026" (MESSAGES)')), "MESSAGES 1", "the same mailbox")
        old.ok(f'RENAME "{encoded}" "{encoded}2"')
        names = [it.rpartition(' "/" ')[2].strip('"') for it in modern.ok('LIST "" "*"')]
        contains(names, f"{name}2/2026", "name after RENAME")
        modern.ok(f'SELECT "{name}2/2026"')


def value(fetched):
    """The one value of a FETCH response: a literal or a quoted string."""
    literal = re.search(r"\{(\d+)\}\r\n", fetched)
    if literal:
        octets = fetched[literal.end() :].encode(errors="surrogateescape")
        return octets[: int(literal[1])].decode()
    return fetched.partition(' "')[2].rpartition('"')[0]


def check_fetch_parts(server):
    """FETCH: ENVELOPE, BODYSTRUCTURE, parts, ranges of octets, decoded parts; peeking leaves no \\Seen"""
    ada = server.account("ada")
    boundary = "=_b"
    text = base64.b64encode("안녕하세요".encode()).decode()
    message = (
        "From: =?UTF-8?B?7JWE7J2064uk?= <ada@interop.test>\r\nTo: bob@interop.test\r\nSubject: parts\r\nMIME-Version: 1.0\r\n"
        f'Content-Type: multipart/mixed; boundary="{boundary}"\r\n\r\npreamble\r\n--{boundary}\r\n'
        f"Content-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: base64\r\n\r\n{text}\r\n--{boundary}\r\n"
        "Content-Type: message/rfc822\r\n\r\nSubject: inner\r\nFrom: eve@elsewhere.test\r\n\r\ninner body\r\n"
        f"--{boundary}--\r\n"
    )
    ada.deliver(message.encode())
    with Raw(ada) as client:
        client.ok("SELECT INBOX")
        envelope = one(client.ok("FETCH 1 (ENVELOPE)"), "* 1 FETCH")
        contains(envelope, '"parts"', "ENVELOPE")
        contains(envelope, '"ada" "interop.test"', "ENVELOPE")
        structure = one(client.ok("FETCH 1 (BODYSTRUCTURE)"), "* 1 FETCH")
        for part in ['"TEXT" "PLAIN"', '"MESSAGE" "RFC822"', '"inner"', '"MIXED"']:
            contains(structure.upper(), part.upper(), "BODYSTRUCTURE")
        for item, wanted in [
            ("BODY.PEEK[1]", text), ("BODY.PEEK[2.1]", "inner body"), ("BODY.PEEK[1]<2.5>", text[2:7]), ("BINARY.PEEK[1]", "안녕하세요"),
            ("BODY.PEEK[2.HEADER.FIELDS (SUBJECT)]", "Subject: inner\r\n\r\n"),
            ("BODY.PEEK[2.MIME]", "Content-Type: message/rfc822\r\n\r\n"),
        ]:
            equal(value(one(client.ok(f"FETCH 1 ({item})"), "* 1 FETCH")), wanted, item)
        lacks(one(client.ok("FETCH 1 (FLAGS)"), "* 1 FETCH"), "\\Seen", "flags after peeking")
        whole = one(client.ok("FETCH 1 (BODY[])"), "* 1 FETCH")
        contains(whole, message, "BODY[]")
        contains(one(client.ok("FETCH 1 (FLAGS)"), "* 1 FETCH"), "\\Seen", "flags after reading")


def check_rename_and_delete(server):
    """RENAME takes children along, that of INBOX moves its mail away; a mailbox made anew has a new UIDVALIDITY"""
    ada = server.account("ada")
    ada.deliver(mail("was in INBOX"))
    with Raw(ada) as client:
        client.ok("CREATE a/b/c")
        client.ok("RENAME a x")
        names = [it.rpartition(" ")[2] for it in client.ok('LIST "" "*"')]
        contains(names, "x/b/c", "names")
        lacks(names, "a", "names")
        before = one(client.ok("STATUS x/b/c (UIDVALIDITY)"), "* STATUS").partition("UIDVALIDITY ")[2]
        client.ok("DELETE x/b/c")
        client.no("SELECT x/b/c", "[NONEXISTENT]")
        client.ok("CREATE x/b/c")
        after = one(client.ok("STATUS x/b/c (UIDVALIDITY)"), "* STATUS").partition("UIDVALIDITY ")[2]
        true(after != before, f"UIDVALIDITY {after} of a mailbox that was made anew")
        client.ok("RENAME INBOX Old")
        contains(one(client.ok("STATUS Old (MESSAGES)"), "* STATUS"), "MESSAGES 1", "Old")
        contains(one(client.ok("STATUS INBOX (MESSAGES)"), "* STATUS"), "MESSAGES 0", "INBOX")
        client.no("DELETE INBOX")
        client.no("CREATE INBOX", "[ALREADYEXISTS]")


def check_two_sessions(server):
    """two sessions in one mailbox: sequence numbers of one never move under the other's feet"""
    ada = server.account("ada")
    ada.deliver(*(mail(f"number {number}") for number in range(5)))
    with Raw(ada) as one_client, Raw(ada) as other:
        one_client.ok("SELECT INBOX")
        other.ok("SELECT INBOX")
        other.ok("UID STORE 2 +FLAGS (\\Deleted)")
        other.ok("EXPUNGE")
        # FETCH may not tell of an expunge: number 5 is still the fifth.
        lines = one_client.ok("FETCH 5 (UID)")
        equal([it for it in lines if "EXPUNGE" in it], [], "EXPUNGE during FETCH")
        contains("".join(lines), "UID 5", "the fifth message")
        lines = one_client.ok("NOOP")
        contains(lines, "* 2 EXPUNGE", "NOOP")
        contains("".join(one_client.ok("FETCH 4 (UID)")), "UID 5", "the fourth message")


def check_privacy(server):
    """one account can neither see nor guess at another's mailboxes"""
    ada, eve = server.account("ada"), server.account("eve")
    with Raw(ada) as client:
        client.ok("CREATE Secret")
    with Raw(eve) as client:
        names = [it.rpartition(" ")[2] for it in client.ok('LIST "" "*"')]
        lacks(names, "Secret", "names")
        local = ada.email.partition("@")[0]
        for name in [f"{ada}/Secret", f"user/{ada}/Secret", f"~{ada}/Secret", f"../{local}/Secret", "../../x", "/etc/passwd"]:
            _, tagged = client.command(f'SELECT "{name}"')
            true(tagged.startswith(("NO", "BAD")), f"SELECT {name} answered {tagged}")
            _, tagged = client.command(f'STATUS "{name}" (MESSAGES)')
            true(tagged.startswith(("NO", "BAD")), f"STATUS {name} answered {tagged}")


def check_bad_input(server):
    """broken commands are answered BAD and lose no boundary; huge ones are refused without being read"""
    ada = server.account("ada")
    with Raw(ada) as client:
        for broken in ["", "FROB", "SELECT", "FETCH 1 (", "UID FROB 1", "SEARCH CHARSET X-NONE ALL", "STORE 1 FLAGS \\"]:
            _, tagged = client.command(broken)
            true(tagged.startswith(("BAD", "NO")), f"{broken!r} answered {tagged}")
        client.ok("NOOP")
        # Refused before the octets, which a client that waits then never sends.
        client.send("x APPEND INBOX {999999999999}\r\n")
        tagged = client.line()
        true(tagged.startswith(("x NO", "x BAD")), f"a literal of a terabyte: {tagged}")
        client.ok("NOOP")
    with Raw(ada, login=False) as client:
        client.send("y LOGIN {100000}\r\n")
        tagged = client.line()
        true(tagged.startswith(("y NO", "y BAD", "* BYE")), f"a large literal before login: {tagged}")
    with Raw(ada, login=False) as client:
        with contextlib.suppress(OSError, ssl.SSLError):
            for _ in range(200):
                client.send(b"A" * 65536)
            client.send(b"\r\n")
        try:
            line = client.line()
        except (lib.Failed, OSError):
            return  # sent away
        true(line.startswith(("* BAD", "* BYE")), f"13 MB of a line were answered {line}")


def check_parallel_appends(server):
    """forty appends from eight sessions at once: each UID once, nothing lost, the quota's sum right"""
    ada = server.account("ada")
    uids, failures = [], []

    def append(worker):
        try:
            with Raw(ada) as client:
                for number in range(5):
                    message = mail(f"worker {worker} number {number}").decode()
                    client.count += 1
                    client.send(f"t{client.count} APPEND INBOX {{{len(message)}+}}\r\n{message}\r\n")
                    _, tagged = client.until(f"t{client.count}")
                    uids.append(int(re.search(r"APPENDUID \d+ (\d+)", tagged)[1]))
        except Exception as failure:
            failures.append(repr(failure))

    workers = [threading.Thread(target=append, args=[worker]) for worker in range(8)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    equal(failures, [], "failures")
    equal(sorted(uids), list(range(1, 41)), "UIDs")
    equal(len({it.partition(b"Subject: ")[2].partition(b"\r\n")[0] for it in ada.messages().values()}), 40, "messages")


def check_live_session_of_disabled(server):
    """an account that is disabled loses its open session soon"""
    ada = server.account("ada")
    with Raw(ada) as client:
        client.ok("SELECT INBOX")
        server.control("user", "disable", ada.email)

        def refused():
            try:
                _, tagged = client.command("NOOP")
            except (lib.Failed, OSError):
                return True
            return not tagged.startswith("OK")

        eventually(refused, "the session of a disabled account ends", seconds=60)


def check_domain(server):
    """a domain that is disabled lets nobody in, and a removed account's address takes no mail"""
    server.control("domain", "add", "second.test")
    email, password = "ada@second.test", "a password of hers"
    server.control("user", "add", email, input=password + "\n")
    ada = lib.Account(server, email, password)
    ada.deliver(mail("first"))
    equal(len(ada.messages()), 1, "messages")
    server.control("domain", "disable", "second.test")
    try:
        ada.messages()
    except imaplib.IMAP4.error as refusal:
        contains(str(refusal), "AUTHENTICATIONFAILED", "login in a disabled domain")
    else:
        raise lib.Failed("a login in a disabled domain succeeded")
    server.control("domain", "enable", "second.test")
    equal(len(ada.messages()), 1, "messages")


if __name__ == "__main__":
    lib.main(__file__, globals())
