"""curl: SMTP, IMAP and POP3 from the command line, each in clear with STARTTLS and in TLS from the first octet."""

import json

import lib
from lib import DOMAIN, body_of, contains, equal, lacks, mail, run, true

# curl's exit codes.
DENIED, TLS_FAILED, UNTRUSTED, REFUSED, NO_TLS = 67, 35, 60, 55, 64


def curl(server, *arguments, code=0, trust=True):
    """Runs curl and returns what it said."""
    options = ["--silent", "--show-error", "--max-time", "45"]
    if trust:
        options += ["--cacert", server.ca]
    return run(["curl", *options, *arguments], home=server.dir, code=code)


def letter(server, message):
    """A file to upload."""
    path = server.dir / "letter.eml"
    path.write_bytes(message)
    return path


def send(server, url, message, *, sender, to, options=(), **how):
    """Sends a message as it is."""
    envelope = ["--mail-from", sender, "--mail-rcpt", to]
    return curl(server, url, *options, *envelope, "--upload-file", letter(server, message), **how)


def check_submission_starttls(server):
    """submission: STARTTLS, login, and the message arrives as it was sent"""
    ada = server.account("ada")
    message = mail("over submission", ".a dot\r\n..two dots\r\n.\r\nlast\r\n", sender=str(ada), to=str(ada))
    send(server, server.url("smtp", "submission"), message, sender=ada, to=ada, options=["--ssl-reqd", "-u", ada.login])
    arrived = ada.only_message()
    equal(body_of(arrived), body_of(message), "body")
    contains(arrived, b"Subject: over submission\r\n", "header")
    received = arrived.partition(b"\r\nFrom:")[0]
    contains(received, b"with ESMTPSA", "Received")
    contains(received, b"([127.0.0.1])", "Received")


def check_submissions(server):
    """submissions: TLS from the first octet, login, a message of 5 MiB arrives whole"""
    ada = server.account("ada")
    message = mail("large", "0123456789abcdef" * 4 + "\r\n", sender=str(ada), to=str(ada)) + b"x" * 76 + b"\r\n"
    message += (b"y" * 76 + b"\r\n") * (5 * 1024 * 1024 // 78)
    send(server, server.url("smtps", "submissions"), message, sender=ada, to=ada, options=["-u", ada.login])
    true(body_of(ada.only_message()) == body_of(message), "the body is another one")


def check_mx(server):
    """smtp: mail for a local user without login; other domains and unknown users are refused"""
    ada = server.account("ada")
    message = mail("from outside", to=str(ada))
    url = server.url("smtp")
    send(server, url, message, sender="bob@elsewhere.test", to=ada, options=["--ssl-reqd"])
    send(server, url, message, sender="bob@elsewhere.test", to=ada)
    equal(len(ada.messages()), 2, "messages")
    for stranger in ["bob@elsewhere.test", f"nobody@{DOMAIN}"]:
        said = send(server, url, message, sender="bob@elsewhere.test", to=stranger, options=["--verbose"], code=REFUSED)
        contains(said, "< 550 5.", "reply to RCPT")
    equal(len(ada.messages()), 2, "messages")


def check_submission_in_clear(server):
    """submission: no login and no mail before STARTTLS"""
    ada = server.account("ada")
    said = send(
        server, server.url("smtp", "submission"), mail(), sender=ada, to=ada, options=["--verbose", "-u", ada.login], code=None
    )
    lacks(said, "AUTH PLAIN", "EHLO before STARTTLS")
    lacks(said, "> AUTH", "what the client tried")
    equal(ada.messages(), {}, "messages")


def check_imaps(server):
    """imaps: LIST, fetch by number and by UID, a section, SEARCH, STATUS"""
    ada = server.account("ada")
    ada.deliver(mail("the first", "one\r\n"), mail("the second", "two\r\n"))
    url, user = server.url("imaps"), ["-u", ada.login]
    contains(curl(server, url, *user), '"/" INBOX', "LIST")
    contains(curl(server, f"{url}/INBOX;MAILINDEX=2", *user), "Subject: the second", "fetch by number")
    contains(curl(server, f"{url}/INBOX;UID=1", *user), "Subject: the first", "fetch by UID")
    equal(curl(server, f"{url}/INBOX;UID=1/;SECTION=TEXT", *user), "one\r\n", "a section")
    contains(curl(server, f"{url}/INBOX?SUBJECT%20second", *user), "* SEARCH 2", "SEARCH")
    equal(curl(server, f"{url}/INBOX?SUBJECT%20third", *user).strip(), "* SEARCH", "SEARCH that finds nothing")
    status = curl(server, url, *user, "-X", "STATUS INBOX (MESSAGES UIDNEXT UNSEEN)")
    for part in ["MESSAGES 2", "UIDNEXT 3"]:
        contains(status, part, "STATUS")
    curl(server, f"{url}/INBOX;MAILINDEX=3", *user, code=None)


def check_imap_append(server):
    """imaps: APPEND keeps the octets"""
    ada = server.account("ada")
    message = mail("a draft", "not yet done\r\n")
    curl(server, server.url("imaps") + "/Drafts", "-u", ada.login, "--upload-file", letter(server, message))
    equal(ada.only_message("Drafts"), message, "the draft")


def check_imap_starttls(server):
    """imap: login after STARTTLS, and never before"""
    ada = server.account("ada")
    ada.deliver(mail("by STARTTLS"))
    url = server.url("imap") + "/INBOX;MAILINDEX=1"
    contains(curl(server, url, "--ssl-reqd", "-u", ada.login), "Subject: by STARTTLS", "message")
    said = curl(server, url, "--verbose", "-u", ada.login, code=DENIED)
    contains(said, "LOGINDISABLED", "capabilities before STARTTLS")


def check_pop3s(server):
    """pop3s: list, retrieve with dots as they were, delete"""
    ada = server.account("ada")
    ada.deliver(mail("pop", ".dots\r\n..\r\n.\r\nend\r\n"), mail("pop again"))
    url, user = server.url("pop3s"), ["-u", ada.login]
    listed = curl(server, url + "/", *user).split()
    equal(listed[::2], ["1", "2"], "LIST")
    first = curl(server, url + "/1", *user)
    true(first.endswith("\r\n\r\n.dots\r\n..\r\n.\r\nend\r\n"), f"RETR: {first}")
    uids = curl(server, url + "/", *user, "--request", "UIDL").split()
    equal((uids[::2], len(set(uids[1::2]))), (["1", "2"], 2), f"UIDL: {uids}")
    curl(server, url + "/1", *user, "--request", "DELE", "--head")
    left = ada.only_message()
    contains(left, b"Subject: pop again", "what is left")


def check_pop3_stls(server):
    """pop3: login after STLS, and never before"""
    ada = server.account("ada")
    ada.deliver(mail("by STLS"))
    url = server.url("pop3") + "/1"
    contains(curl(server, url, "--ssl-reqd", "-u", ada.login), "Subject: by STLS", "message")
    said = curl(server, url, "--verbose", "-u", ada.login, code=None)
    lacks(said, "Subject: by STLS", "what is told in the clear")


def check_wrong_password(server):
    """a wrong password is refused by all protocols, and an unknown user hears the same"""
    ada = server.account("ada")
    replies = []
    for user in [f"{ada}:wrong", f"nobody@{DOMAIN}:wrong"]:
        heard = []
        for service in ["imaps", "pop3s"]:
            said = curl(server, server.url(service), "--verbose", "-u", user, code=DENIED)
            heard.append([line.split(" ", 1)[1] for line in said.splitlines() if line.startswith(("< A", "< -ERR"))][-1])
        options = ["--verbose", "-u", user]
        said = send(server, server.url("smtps", "submissions"), mail(), sender=ada, to=ada, options=options, code=DENIED)
        contains(said, "< 535 5.7.8", "reply to AUTH")
        replies.append(heard)
    equal(replies[0], replies[1], "answers for a wrong password and for an unknown user")


def check_tls(server):
    """TLS 1.2 is refused, and the certificate is one that a client has to be told to trust"""
    ada = server.account("ada")
    curl(server, server.url("imaps"), "-u", ada.login, "--tls-max", "1.2", code=TLS_FAILED)
    curl(server, server.url("imaps"), "-u", ada.login, trust=False, code=UNTRUSTED)
    said = curl(server, server.url("imaps"), "-u", ada.login, "--verbose")
    contains(said, "TLSv1.3", "what was agreed on")


def check_health(server):
    """metrics: alive, ready, and numbers that the control program's listings cannot give"""
    url = f"http://127.0.0.1:{server.port['metrics']}"
    curl(server, "--fail", f"{url}/health/live")
    curl(server, "--fail", f"{url}/health/ready")
    ada = server.account("ada")
    curl(server, server.url("imaps"), "-u", ada.login)
    metrics = curl(server, "--fail", f"{url}/metrics")
    contains(metrics, "# TYPE postrider_", "metrics")
    lacks(metrics, str(ada), "metrics name no accounts")


def check_control(server):
    """the control program tells of accounts as JSON, and a disabled one is out at once"""
    ada = server.account("ada")
    listed = json.loads(server.control("--json", "user", "list", DOMAIN))
    contains(json.dumps(listed), str(ada), "user list")
    lacks(json.dumps(listed), "$2", "user list shows no hashes")
    curl(server, server.url("imaps"), "-u", ada.login)
    server.control("user", "disable", str(ada))
    curl(server, server.url("imaps"), "-u", ada.login, code=DENIED)
    server.control("user", "enable", str(ada))
    curl(server, server.url("imaps"), "-u", ada.login)


if __name__ == "__main__":
    lib.main(__file__, globals())
