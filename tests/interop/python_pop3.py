"""Python's poplib: POP3's states, what a session that breaks off leaves, and what another one sees meanwhile."""

import contextlib
import poplib

import lib
from lib import PATIENCE, answer, contains, equal, lacks, mail, true


@contextlib.contextmanager
def pop(account, *, login=True):
    """A session over TLS; it ends without QUIT unless the caller quits."""
    client = poplib.POP3_SSL("localhost", account.server.port["pop3s"], context=account.server.trust(), timeout=PATIENCE)
    try:
        if login:
            client.user(account.email)
            client.pass_(account.password)
        yield client
    finally:
        client.close()


def refused(call, *arguments):
    """The text of the error that a call must end with."""
    try:
        said = call(*arguments)
    except poplib.error_proto as refusal:
        return refusal.args[0].decode() if isinstance(refusal.args[0], bytes) else str(refusal)
    raise lib.Failed(f"{call.__name__}{arguments} was answered {said}")


def check_read(server):
    """STAT, LIST, UIDL, RETR, TOP: sizes are those of what is sent"""
    ada = server.account("ada")
    ada.deliver(mail("one", "first line\r\nsecond line\r\nthird line\r\n"), mail("two", ".\r\n.dot\r\n"))
    with pop(ada) as client:
        equal(client.stat()[0], 2, "STAT")
        sizes = [int(it.split()[1]) for it in client.list()[1]]
        equal(client.stat()[1], sum(sizes), "STAT's octets")
        for number, size in enumerate(sizes, 1):
            equal(client.retr(number)[2], size, f"octets of message {number}")
        equal(client.retr(2)[1][-2:], [b".", b".dot"], "lines that begin with a dot")
        top = client.top(1, 2)[1]
        equal(top[top.index(b"") + 1 :], [b"first line", b"second line"], "TOP 1 2")
        uids = [it.split()[1] for it in client.uidl()[1]]
        equal(len(set(uids)), 2, "unique identifiers")
        client.quit()
    with pop(ada) as client:
        equal([it.split()[1] for it in client.uidl()[1]], uids, "unique identifiers in another session")


def check_delete(server):
    """DELE takes effect at QUIT alone; RSET takes it back; a session that breaks off deletes nothing"""
    ada = server.account("ada")
    ada.deliver(*(mail(f"number {number}") for number in range(4)))
    with pop(ada) as client:
        client.dele(1)
        contains(refused(client.retr, 1), "-ERR", "RETR of what is deleted")
        equal(client.stat()[0], 3, "STAT")
        client.rset()
        equal(client.stat()[0], 4, "STAT after RSET")
        client.dele(2)
    equal(len(ada.messages()), 4, "messages after a session that broke off")
    with pop(ada) as client:
        client.dele(2)
        client.dele(4)
        client.quit()
    equal(sorted(ada.messages()), [1, 3], "UIDs that are left")


def check_states(server):
    """nothing but a login before the login, numbers that are not there, a login that is wrong"""
    ada = server.account("ada")
    with pop(ada, login=False) as client:
        for command in [client.stat, client.list, client.uidl]:
            contains(refused(command), "-ERR", command.__name__)
    with pop(ada, login=False) as client:
        client.user(ada.email)
        contains(refused(client.pass_, "wrong"), "-ERR [AUTH]", "a wrong password")
    with pop(ada) as client:
        for number in [0, 1, 999999999999]:
            contains(refused(client.retr, number), "-ERR", f"RETR {number}")
        client.noop()


def check_capa(server):
    """CAPA tells what there is, and no APOP, which needs passwords in the clear on the server"""
    ada = server.account("ada")
    with pop(ada, login=False) as client:
        capabilities = client.capa()
        for capability in ["TOP", "UIDL", "USER", "SASL", "PIPELINING", "RESP-CODES", "UTF8"]:
            contains(capabilities, capability, "CAPA")
        contains(capabilities["SASL"], "PLAIN", "mechanisms")
        lacks(capabilities, "STLS", "CAPA inside TLS")
        lacks(client.getwelcome(), b"<", "a greeting with a time stamp would offer APOP")


def check_beside_imap(server):
    """what IMAP expunges is gone from the next session; what arrives meanwhile appears in it, and not in this one"""
    ada = server.account("ada")
    ada.deliver(mail("one"), mail("two"))
    with pop(ada) as client:
        ada.deliver(mail("three"))
        equal(client.stat()[0], 2, "STAT in the open session")
        client.quit()
    with ada.imap() as other:
        answer(other.select("INBOX"))
        answer(other.store("1", "+FLAGS", r"(\Deleted)"))
        answer(other.expunge())
    with pop(ada) as client:
        equal(client.stat()[0], 2, "STAT")
        lines = client.retr(1)[1]
        true(b"Subject: two" in lines, f"first message: {lines}")


if __name__ == "__main__":
    lib.main(__file__, globals())
