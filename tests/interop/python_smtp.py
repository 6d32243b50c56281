"""Python's smtplib: what SMTP is asked only by those who mean harm, and by those who follow the newest RFCs."""

import base64
import contextlib
import smtplib
import socket
from email import message_from_bytes

import lib
from lib import DOMAIN, PATIENCE, body_of, contains, equal, lacks, mail, true

LIMIT = 100 * 1024 * 1024


@contextlib.contextmanager
def smtp(server, service="smtp", account=None, kind=smtplib.SMTP):
    """A greeted session, with STARTTLS and a login where there is an account."""
    client = kind("localhost", server.port[service], timeout=PATIENCE)
    try:
        client.ehlo("client.test")
        if account:
            client.starttls(context=server.trust())
            client.login(account.email, account.password)
        yield client
    finally:
        client.close()


class Wire:
    """A connection on which octets are written as they are."""

    def __init__(self, port):
        self.socket = socket.create_connection(("127.0.0.1", port), timeout=PATIENCE)
        self.file = self.socket.makefile("rb")

    def __enter__(self):
        return self

    def __exit__(self, *failure):
        self.file.close()
        self.socket.close()

    def send(self, octets):
        self.socket.sendall(octets if isinstance(octets, bytes) else octets.encode())

    def reply(self):
        """The next reply, all its lines."""
        lines = []
        while True:
            line = self.file.readline().decode()
            if not line:
                raise lib.Failed(f"the connection ended after {lines}")
            lines.append(line.rstrip("\r\n"))
            if line[3:4] != "-":
                return "\n".join(lines)

    def say(self, line, wanted):
        """A command and the code that must answer it."""
        self.send(line + "\r\n")
        reply = self.reply()
        true(reply.startswith(wanted), f"{line} was answered {reply}")
        return reply


@contextlib.contextmanager
def envelope(server, to, service="smtp", hello="EHLO"):
    """A connection where sender and recipient have been taken."""
    with Wire(server.port[service]) as wire:
        wire.reply()
        wire.say(f"{hello} client.test", "250")
        wire.say("MAIL FROM:<eve@elsewhere.test>", "250")
        wire.say(f"RCPT TO:<{to}>", "250")
        yield wire


def check_ehlo(server):
    """EHLO offers what belongs to each service, and STARTTLS changes it"""
    for service, has, has_not in [
        ("smtp", ["size", "pipelining", "8bitmime", "smtputf8", "chunking", "binarymime", "enhancedstatuscodes", "starttls"], ["auth", "dsn"]),
        ("submission", ["size", "starttls"], ["auth"]),
    ]:
        with smtp(server, service) as client:
            for extension in has:
                contains(client.esmtp_features, extension, f"EHLO of {service}")
            for extension in has_not:
                lacks(client.esmtp_features, extension, f"EHLO of {service} before STARTTLS")
            equal(client.esmtp_features["size"], str(LIMIT), f"SIZE of {service}")
            client.starttls(context=server.trust())
            client.ehlo("client.test")
            lacks(client.esmtp_features, "starttls", f"EHLO of {service} inside TLS")
            equal("auth" in client.esmtp_features, service == "submission", f"AUTH inside TLS on {service}")


def check_size(server):
    """a message that says it is too large is refused at MAIL, one that does not say so at its end"""
    ada = server.account("ada")
    with smtp(server) as client:
        code, said = client.docmd("MAIL", f"FROM:<eve@elsewhere.test> SIZE={LIMIT + 1}")
        equal(code, 552, f"MAIL with SIZE: {said}")
        code, said = client.docmd("MAIL", f"FROM:<eve@elsewhere.test> SIZE={LIMIT}")
        equal(code, 250, f"MAIL with SIZE: {said}")
    with envelope(server, ada) as wire:
        wire.say("DATA", "354")
        wire.send("Subject: too large\r\n\r\n")
        block = (b"x" * 998 + b"\r\n") * 1024
        for _ in range(LIMIT // len(block) + 2):
            wire.send(block)
        wire.say(".", "552")
        wire.say("NOOP", "250")
    equal(ada.messages(), {}, "messages")


def check_smuggling(server):
    """line ends that two servers could read in two ways end no message: nothing is smuggled"""
    ada = server.account("ada")
    smuggled = f"MAIL FROM:<mallory@elsewhere.test>\r\nRCPT TO:<{ada}>\r\nDATA\r\nSubject: smuggled\r\n\r\nx\r\n.\r\n".encode()
    for end in [b"\n.\n", b"\n.\r\n", b"\r.\r", b"\r\n.\n", b"\r\n.\r", b"\r.\r\n", b"\n.\r", b"\r\n\x00.\r\n"]:
        with envelope(server, ada) as wire:
            wire.say("DATA", "354")
            wire.send(b"Subject: outer\r\n\r\nbody" + end + smuggled)
            wire.send(b"\r\n.\r\n")
            wire.reply()
    for message in ada.messages().values():
        true(message.partition(b"\r\n\r\n")[0].count(b"smuggled") == 0, f"a smuggled message: {message}")


def check_pipelining(server):
    """pipelined commands are answered in order; who talks before the greeting or injects before TLS is not obeyed"""
    ada = server.account("ada")
    with Wire(server.port["smtp"]) as wire:
        wire.reply()
        wire.say("EHLO client.test", "250")
        wire.send(f"MAIL FROM:<eve@elsewhere.test>\r\nRCPT TO:<{ada}>\r\nRCPT TO:<nobody@{DOMAIN}>\r\nDATA\r\n")
        codes = [wire.reply()[:3] for _ in range(4)]
        equal(codes, ["250", "250", "550", "354"], "replies")
        wire.send("Subject: pipelined\r\n\r\nx\r\n.\r\nMAIL FROM:<eve@elsewhere.test>\r\nQUIT\r\n")
        codes = [wire.reply()[:3] for _ in range(3)]
        equal(codes, ["250", "250", "221"], "replies")
    equal(len(ada.messages()), 1, "messages")
    with Wire(server.port["submission"]) as wire:
        wire.reply()
        wire.say("EHLO client.test", "250")
        # What comes with STARTTLS in one packet must not be taken for what comes after the handshake.
        wire.send("STARTTLS\r\nNOOP\r\n")
        first = wire.reply()
        if first.startswith("220"):
            rest = b""
            with contextlib.suppress(OSError):
                wire.socket.settimeout(2)
                rest = wire.file.read(1) or b""
            true(not rest.startswith(b"2"), f"the injected command was answered {rest}")


def check_bdat(server):
    """BDAT: chunks of any size, octets as they are, and mixtures with DATA refused"""
    ada = server.account("ada")
    message = mail("in chunks", "first\r\n.\r\nlast line\r\n")
    with envelope(server, ada) as wire:
        for at in range(0, len(message), 50):
            chunk = message[at : at + 50]
            last = " LAST" if at + 50 >= len(message) else ""
            wire.send(f"BDAT {len(chunk)}{last}\r\n".encode() + chunk)
            true(wire.reply().startswith("250"), "BDAT")
    equal(body_of(ada.only_message()), body_of(message), "body")
    with envelope(server, ada) as wire:
        wire.send(b"BDAT 5\r\nabcde")
        wire.reply()
        wire.say("DATA", "503")
    with Wire(server.port["smtp"]) as wire:
        wire.reply()
        wire.say("EHLO client.test", "250")
        wire.send(b"BDAT 10 LAST\r\nRSET\r\nNO\r\n")
        true(wire.reply().startswith("503"), "BDAT without MAIL")
        wire.say("NOOP", "250")
    equal(len(ada.messages()), 1, "messages")


def check_smtputf8(server):
    """SMTPUTF8: a sender and a subject outside of ASCII arrive as they are; without the extension they are refused"""
    ada = server.account("ada")
    message = f"From: 아이다@예시.test\r\nTo: {ada}\r\nSubject: 제목입니다\r\n\r\n본문\r\n".encode()
    with smtp(server) as client:
        client.mail("아이다@예시.test", ["SMTPUTF8", "BODY=8BITMIME"])
        equal(client.rcpt(ada.email)[0], 250, "RCPT")
        equal(client.data(message)[0], 250, "DATA")
    contains(ada.only_message(), "Subject: 제목입니다\r\n".encode(), "header")
    with Wire(server.port["smtp"]) as wire:
        wire.reply()
        wire.say("EHLO client.test", "250")
        wire.send("MAIL FROM:<아이다@예시.test>\r\n")
        true(wire.reply().startswith("5"), "MAIL with UTF-8 and without SMTPUTF8")
    with smtp(server, "submission", account=ada) as client:
        client.sendmail(ada.email, [ada.email], message, mail_options=["SMTPUTF8", "BODY=8BITMIME"])
    equal(len(ada.messages()), 2, "messages")


def check_submission_sender(server):
    """submission: a user sends as nobody else"""
    ada, bob = server.account("ada"), server.account("bob")
    with smtp(server, "submission", account=ada) as client:
        code, said = client.mail(bob.email)
        if code == 250:
            code, said = client.rcpt(ada.email)
        true(code in (550, 553), f"MAIL FROM somebody else: {code} {said}")
        client.rset()
        equal(client.mail(ada.email)[0], 250, "MAIL FROM oneself")


def check_login(server):
    """submission: AUTH only inside TLS, only once, PLAIN and LOGIN, broken base64 harms nobody"""
    ada = server.account("ada")
    token = base64.b64encode(f"\0{ada.email}\0{ada.password}".encode()).decode()
    with smtp(server, "submission") as client:
        code, _ = client.docmd("AUTH", f"PLAIN {token}")
        true(code in (502, 503, 504, 530, 538), f"AUTH before STARTTLS: {code}")
        code, _ = client.mail(ada.email)
        true(code == 530 or code == 503, f"MAIL before STARTTLS: {code}")
    with smtp(server, "submission") as client:
        client.starttls(context=server.trust())
        client.ehlo("client.test")
        equal(client.mail(ada.email)[0], 530, "MAIL before AUTH")
        for broken in ["PLAIN =", "PLAIN !!!!", "PLAIN " + base64.b64encode(b"no zeros").decode(), "FROB x", "PLAIN " + "A" * 20000]:
            code, said = client.docmd("AUTH", broken)
            true(500 <= code < 600, f"AUTH {broken[:30]}: {code} {said}")
        equal(client.docmd("AUTH", f"PLAIN {token}")[0], 235, "AUTH after broken ones")
        equal(client.docmd("AUTH", f"PLAIN {token}")[0], 503, "AUTH again")
    with smtp(server, "submission", account=ada, kind=LoginOnly):
        pass
    with smtp(server, "smtp") as client:
        client.starttls(context=server.trust())
        client.ehlo("client.test")
        true(client.docmd("AUTH", f"PLAIN {token}")[0] in (502, 503, 504), "AUTH on port 25")


class LoginOnly(smtplib.SMTP):
    """A client that knows AUTH LOGIN alone."""

    def login(self, user, password):
        self.ehlo("client.test")
        self.user, self.password = user, password
        equal(self.auth("LOGIN", self.auth_login)[0], 235, "AUTH LOGIN")


def check_bad_commands(server):
    """unknown and broken commands are answered with 5yz, VRFY tells nothing, long lines end nothing"""
    ada = server.account("ada")
    with Wire(server.port["smtp"]) as wire:
        wire.reply()
        wire.say("MAIL FROM:<a@b.test>", "503")
        wire.say("EHLO client.test", "250")
        for command, wanted in [
            ("FROB", "5"), ("MAIL FROM:<>x", "5"), ("MAIL FROM:<a b@c.test>", "501"), ("MAIL FROM:<a@b.test> FROB=1", "555"),
            ("RCPT TO:<x@y.test>", "503"), ("DATA", "503"), (f"VRFY {ada}", "252"), (f"EXPN {ada}", "5"), ("TURN", "5"),
            ("A" * 5000, "500"),
            ("MAIL FROM:<-oProxy@b.test>", "2"),
        ]:
            wire.say(command, wanted)
        wire.say("RSET", "250")
        wire.say("NOOP", "250")
        wire.say("QUIT", "221")


def check_binary(server):
    """a binary message comes in chunks alone, and what a mailbox hands out holds its octets"""
    ada = server.account("ada")
    octets = bytes(range(256)) * 5
    head = b"MIME-Version: 1.0\r\nSubject: binary\r\nContent-Type: application/x\r\nContent-Transfer-Encoding: binary\r\n\r\n"
    with Wire(server.port["smtp"]) as wire:
        wire.reply()
        wire.say("EHLO client.test", "250")
        wire.say("MAIL FROM:<eve@elsewhere.test> BODY=BINARYMIME", "250")
        wire.say(f"RCPT TO:<{ada}>", "250")
        wire.say("DATA", "503")
        wire.send(f"BDAT {len(head + octets)} LAST\r\n".encode() + head + octets)
        reply = wire.reply()
        true(reply.startswith("250"), f"BDAT was answered {reply}")
    [message] = ada.messages().values()
    equal(message_from_bytes(message).get_payload(decode=True), octets, "octets of the part")


def check_report(server):
    """who submits with NOTIFY=SUCCESS gets a report that Python reads as one"""
    ada, bob = server.account("ada"), server.account("bob")
    with smtp(server, "submission", ada) as client:
        client.sendmail(ada.email, [bob.email], mail("hello"), mail_options=["RET=HDRS", "ENVID=QQ+2B1"], rcpt_options=["NOTIFY=SUCCESS"])
    equal(len(bob.messages()), 1, "messages of the recipient")
    [report] = ada.messages().values()
    report = message_from_bytes(report)
    equal(report.get_content_type(), "multipart/report", "type")
    equal(report["Return-Path"], "<>", "Return-Path")
    message, recipient = report.get_payload(1).get_payload()
    equal(message["Original-Envelope-Id"], "QQ+1", "ENVID")
    equal(recipient["Final-Recipient"], f"rfc822; {bob.email}", "recipient")
    equal(recipient["Action"], "delivered", "action")


def check_loop(server):
    """a message with too many Received fields goes in circles and is refused"""
    ada = server.account("ada")
    hops = "".join(f"Received: from hop{hop}.test by hop{hop + 1}.test; Sat, 1 Aug 2026 12:00:00 +0000\r\n" for hop in range(60))
    with envelope(server, ada) as wire:
        wire.say("DATA", "354")
        wire.send(hops + "Subject: round and round\r\n\r\nx\r\n")
        wire.say(".", "554")
    equal(ada.messages(), {}, "messages")


def check_lmtp_only_here(server):
    """LMTP greets with LHLO alone, SMTP with HELO and EHLO alone"""
    with Wire(server.port["lmtp"]) as wire:
        wire.reply()
        wire.say("EHLO client.test", "5")
        wire.say("LHLO client.test", "250")
    with Wire(server.port["smtp"]) as wire:
        wire.reply()
        wire.say("LHLO client.test", "5")
        wire.say("HELO client.test", "250")


if __name__ == "__main__":
    lib.main(__file__, globals())
