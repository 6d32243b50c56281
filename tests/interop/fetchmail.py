"""fetchmail: mail taken from the server by POP3 and IMAP, and mail brought to it."""

import email
import email.policy

import lib
from lib import body_of, contains, equal, mail, run

NOTHING_NEW = 1


def poll(server, account, folder, protocol, service, *options, uidl="", deliver=None, code=0, password=None):
    """Polls once; what it fetches goes into `mbox` of the folder, or where `deliver` says."""
    # Without `ssl` it asks for STARTTLS, and `sslproto` makes that a must.
    tls = 'ssl sslproto "TLS1.3+"' if service in ["imaps", "pop3s"] else 'sslproto "TLS1.3+"'
    deliver = deliver or f'mda "cat >> {folder}/mbox"'
    config = folder / "fetchmailrc"
    config.write_text(f"""set no bouncemail
set no syslog
poll localhost protocol {protocol} service {server.port[service]} {uidl}
  user "{account.email}" password "{password or account.password}" {" ".join(options)}
  {tls} sslcertck sslcertfile "{server.ca}"
  {deliver}
""")
    config.chmod(0o600)
    files = ["--pidfile", folder / "pid", "--idfile", folder / "ids"]
    return run(["fetchmail", "--verbose", "--nodetach", "--fetchmailrc", config, *files], home=folder, code=code)


def subjects(folder):
    """What is in the mbox, in order."""
    lines = (folder / "mbox").read_text().splitlines()
    return [line.removeprefix("Subject: ") for line in lines if line.startswith("Subject: ")]


def check_pop3s_keep(server):
    """pop3s: fetches all, keeps it on the server, and by UIDL knows what it has"""
    ada, folder = server.account("ada"), server.folder("pop3s-keep")
    ada.deliver(mail("one"), mail("two", ".\r\n..\r\nend\r\n"))
    poll(server, ada, folder, "pop3", "pop3s", "keep", uidl="uidl")
    equal(subjects(folder), ["one", "two"], "fetched")
    contains((folder / "mbox").read_text(), "\n.\n..\nend\n", "dots")
    poll(server, ada, folder, "pop3", "pop3s", "keep", uidl="uidl", code=NOTHING_NEW)
    ada.deliver(mail("three"))
    poll(server, ada, folder, "pop3", "pop3s", "keep", uidl="uidl")
    equal(subjects(folder), ["one", "two", "three"], "fetched")
    equal(len(ada.messages()), 3, "messages on the server")


def check_pop3s_take(server):
    """pop3s: fetches all and takes it from the server"""
    ada, folder = server.account("ada"), server.folder("pop3s-take")
    ada.deliver(*(mail(f"number {number}") for number in range(20)))
    poll(server, ada, folder, "pop3", "pop3s", "nokeep", "fetchall")
    equal(subjects(folder), [f"number {number}" for number in range(20)], "fetched")
    equal(ada.messages(), {}, "messages on the server")


def check_pop3_stls(server):
    """pop3: STLS comes before the login"""
    ada, folder = server.account("ada"), server.folder("pop3-stls")
    ada.deliver(mail("by STLS"))
    said = poll(server, ada, folder, "pop3", "pop3", "keep")
    contains(said, "STLS", "dialogue")
    equal(subjects(folder), ["by STLS"], "fetched")


def check_imaps_keep(server):
    """imaps: fetches what is unseen and marks it seen"""
    ada, folder = server.account("ada"), server.folder("imaps-keep")
    ada.deliver(mail("one"), mail("two"))
    poll(server, ada, folder, "imap", "imaps", "keep")
    equal(subjects(folder), ["one", "two"], "fetched")
    equal(ada.flags(), {1: ["\\Seen"], 2: ["\\Seen"]}, "flags")
    poll(server, ada, folder, "imap", "imaps", "keep", code=NOTHING_NEW)


def check_imaps_take(server):
    """imaps: fetches a folder and expunges it; imap with STARTTLS does the same"""
    for service in ["imaps", "imap"]:
        ada, folder = server.account("ada"), server.folder(f"{service}-take")
        with ada.imap() as client:
            client.create("Work")
            client.append("Work", None, None, mail(f"work by {service}"))
        ada.deliver(mail("not this one"))
        poll(server, ada, folder, "imap", service, "nokeep", "folder Work")
        equal(subjects(folder), [f"work by {service}"], "fetched")
        equal(ada.messages("Work"), {}, "messages in Work")
        equal(len(ada.messages()), 1, "messages in INBOX")


def check_delivers_to_us(server):
    """pop3s to lmtp: what it fetches from one account arrives in another one as it was"""
    old, new, folder = server.account("old"), server.account("new"), server.folder("forward")
    message = mail("moves house", "body\r\n.\r\n한글\r\n")
    old.deliver(message)
    deliver = f'lmtp smtphost "localhost/{server.port["lmtp"]}" smtpname "{new}"'
    poll(server, old, folder, "pop3", "pop3s", "nokeep", "fetchall", deliver=deliver)
    arrived = new.only_message()
    equal(body_of(arrived), body_of(message), "body")
    equal(email.message_from_bytes(arrived, policy=email.policy.default)["Subject"], "moves house", "subject")
    equal(old.messages(), {}, "messages on the old side")


def check_wrong_password(server):
    """a wrong password is an authentication failure, not a fault of the server"""
    ada, folder = server.account("ada"), server.folder("wrong")
    for protocol, service in [("pop3", "pop3s"), ("imap", "imaps")]:
        poll(server, ada, folder, protocol, service, "keep", password="wrong", code=3)


if __name__ == "__main__":
    lib.main(__file__, globals())
