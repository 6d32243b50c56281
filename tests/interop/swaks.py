"""swaks: SMTP and LMTP as a postmaster tries them."""

import base64

import lib
from lib import DOMAIN, answer, contains, equal, lacks, run, true

# swaks' exit codes: a refused command each.
RCPT_REFUSED, AUTH_REFUSED, STARTTLS_REFUSED, DATA_REFUSED, NO_AUTH = 24, 28, 29, 25, 28


def swaks(server, service, *arguments, code=0):
    """Runs swaks and returns the dialogue."""
    base = ["swaks", "--server", f"127.0.0.1:{server.port[service]}", "--helo", "client.test", "--timeout", "30"]
    return run([*base, *arguments], home=server.dir, code=code)


def trusting(server, how="--tls"):
    """Options for a verified TLS connection."""
    return [how, "--tls-verify", "--tls-ca-path", server.ca, "--tls-sni", "localhost"]


def login(account, mechanism):
    """Options for a login."""
    return ["--auth", mechanism, "--auth-user", account.email, "--auth-password", account.password]


def check_starttls_plain(server):
    """submission: STARTTLS with a verified certificate, AUTH PLAIN"""
    ada = server.account("ada")
    said = swaks(
        server, "submission", *trusting(server), *login(ada, "PLAIN"), "-f", ada, "-t", ada, "--header", "Subject: swaks starttls"
    )
    contains(said, "235 2.7.0", "reply to AUTH")
    lacks(said.partition("STARTTLS\n ~>")[0].partition("=== TLS started")[0], "250-AUTH", "EHLO before STARTTLS")
    contains(ada.only_message(), b"Subject: swaks starttls\r\n", "what arrived")


def check_tls_login(server):
    """submissions: TLS from the first octet, AUTH LOGIN, an attachment with a Korean name arrives octet by octet"""
    ada = server.account("ada")
    attachment = server.dir / "보고서.bin"
    attachment.write_bytes(bytes(range(256)) * 40)
    encoded = "=?UTF-8?B?" + base64.b64encode("안녕하세요, 보고서입니다".encode()).decode() + "?="
    swaks(
        server, "submissions", *trusting(server, "--tls-on-connect"), *login(ada, "LOGIN"), "-f", ada, "-t", ada,
        "--header", f"Subject: {encoded}", "--body", "본문입니다",
        "--attach-name", "report.bin", "--attach-type", "application/octet-stream", "--attach", f"@{attachment}",
    )
    with ada.imap() as client:
        answer(client.select("INBOX"))
        # A literal in UTF-8, as Korean clients search.
        client.literal = "보고서".encode()
        equal(answer(client.uid("SEARCH", "CHARSET", "UTF-8", "SUBJECT")), [b"1"], "search for a Korean word")
        client.literal = "없는말".encode()
        equal(answer(client.uid("SEARCH", "CHARSET", "UTF-8", "SUBJECT")), [b""], "search for a word that is not there")
        structure = answer(client.fetch("1", "(BODYSTRUCTURE)"))[0]
        contains(structure, b'"report.bin"', "BODYSTRUCTURE")
        _, found = client.fetch("1", "(BODY.PEEK[2])")
        equal(base64.b64decode(found[0][1]), attachment.read_bytes(), "attachment")
        _, found = client.fetch("1", "(BINARY.PEEK[2])")
        true(found[0][1] == attachment.read_bytes(), "attachment, decoded by the server")


def check_auth_refused(server):
    """submission: a wrong password is refused with 535 5.7.8, a login before STARTTLS not even tried"""
    ada = server.account("ada")
    wrong = ["--auth", "PLAIN", "--auth-user", ada, "--auth-password", "wrong"]
    said = swaks(server, "submission", *trusting(server), *wrong, "-f", ada, "-t", ada, code=AUTH_REFUSED)
    contains(said, "535 5.7.8", "reply to AUTH")
    said = swaks(server, "submission", *login(ada, "PLAIN"), "-f", ada, "-t", ada, code=NO_AUTH)
    lacks(said, " -> AUTH", "what was sent in the clear")
    equal(ada.messages(), {}, "messages")


def check_no_relay(server):
    """smtp: mail for somebody elsewhere is refused, mail for an unknown local user too"""
    ada = server.account("ada")
    for stranger in ["bob@elsewhere.test", f"nobody@{DOMAIN}", f"ada%elsewhere.test@{DOMAIN}", "@elsewhere.test:ada@" + DOMAIN]:
        said = swaks(server, "smtp", "-f", "eve@elsewhere.test", "-t", stranger, code=RCPT_REFUSED)
        contains(said, "<** 550 5." if "@elsewhere.test:" not in stranger else "<** 5", f"reply to RCPT TO {stranger}")
    equal(ada.messages(), {}, "messages")


def check_pipeline(server):
    """smtp: pipelined commands with several recipients"""
    ada, bob = server.account("ada"), server.account("bob")
    swaks(server, "smtp", "--pipeline", "-f", "eve@elsewhere.test", "-t", f"{ada},{bob}", "--header", "Subject: pipelined")
    for account in [ada, bob]:
        contains(account.only_message(), b"Subject: pipelined\r\n", f"what {account} got")


def check_null_sender(server):
    """smtp: a bounce, with the null reverse-path, is taken and Return-Path says so"""
    ada = server.account("ada")
    swaks(server, "smtp", "-f", "<>", "-t", ada)
    contains(ada.only_message(), b"Return-Path: <>\r\n", "header")


def check_lmtp(server):
    """lmtp: one reply a recipient: two deliver, one is unknown"""
    ada, bob = server.account("ada"), server.account("bob")
    said = swaks(
        server, "lmtp", "--protocol", "LMTP", "-f", "eve@elsewhere.test", "-t", f"{ada},{bob}", "--header", "Subject: by LMTP"
    )
    after = said.partition(" -> .\n")[2]
    equal(after.count("<-  250 2."), 2, f"replies after the final dot:\n{said}\nreplies")
    for account in [ada, bob]:
        contains(account.only_message(), b"Subject: by LMTP\r\n", f"what {account} got")
    said = swaks(server, "lmtp", "--protocol", "LMTP", "-f", "eve@elsewhere.test", "-t", f"nobody@{DOMAIN}", code=RCPT_REFUSED)
    contains(said, "<** 550 5.1.1", "reply to RCPT")


def check_plus_address(server):
    """lmtp: an address with a detail reaches the mailbox, an alias its destination"""
    ada = server.account("ada")
    local, _, domain = ada.email.partition("@")
    server.control("alias", "add", f"sales@{DOMAIN}", ada.email)
    for to in [f"{local}+lists@{domain}", f"sales@{DOMAIN}", ada.email.upper()]:
        swaks(server, "lmtp", "--protocol", "LMTP", "-f", "eve@elsewhere.test", "-t", to)
    equal(len(ada.messages()), 3, "messages")
    server.control("alias", "remove", f"sales@{DOMAIN}", ada.email)
    swaks(server, "lmtp", "--protocol", "LMTP", "-f", "eve@elsewhere.test", "-t", f"sales@{DOMAIN}", code=RCPT_REFUSED)


def check_quota(server):
    """lmtp: a full mailbox answers 452 4.2.2 for now, and the administrator can make it larger"""
    ada = server.account("ada", "--quota", "20KiB")
    big = server.dir / "big.txt"
    big.write_text("x" * 70 + "\n")
    big.write_text(("x" * 70 + "\n") * 200)
    arguments = ["--protocol", "LMTP", "-f", "eve@elsewhere.test", "-t", ada, "--body", f"@{big}"]
    swaks(server, "lmtp", *arguments)
    said = swaks(server, "lmtp", *arguments, code=None)
    contains(said, "452 4.2.2", "reply to a message that does not fit")
    equal(len(ada.messages()), 1, "messages")
    server.control("user", "quota", ada.email, "1MiB")
    swaks(server, "lmtp", *arguments)
    equal(len(ada.messages()), 2, "messages")


def check_proxy_header_unasked(server):
    """smtp: a PROXY header from whom none is expected gets a client nowhere"""
    ada = server.account("ada")
    spoofed = ["--proxy-version", "1", "--proxy-family", "TCP4", "--proxy-source", "203.0.113.9", "--proxy-source-port", "4321"]
    spoofed += ["--proxy-dest", "127.0.0.1", "--proxy-dest-port", "25"]
    swaks(server, "smtp", *spoofed, "-f", "eve@elsewhere.test", "-t", ada, code=None)
    equal(ada.messages(), {}, "messages")
    lacks(server.log(), "203.0.113.9:", "log")


if __name__ == "__main__":
    lib.main(__file__, globals())
