"""The units of contrib/systemd under systemd itself, as process 1 of a machine of its own: daemons on PostgreSQL, a bucket and a directory,
installed as docs/services.md says it. Skipped where namespaces are not allowed."""

import contextlib
import functools
import imaplib
import os
import poplib
import re
import signal
import smtplib
import socket
import ssl
import time
import urllib.request
from pathlib import Path

import lib
from lib import PATIENCE, ROOT, Failed, Skipped, contains, equal, lacks, mail, true
from machine import NAME, Machine, wait_for
from neighbours import CORPORATE, LOCAL, SECRETS, USERS

UNITS = ROOT / "contrib" / "systemd"
DAEMONS = {"smtpd": 2090, "imapd": 2091, "pop3d": 2092}
PORTS = [25, 143, 465, 587, 993, 995]
ADA, ANN = USERS
LISTENERS = [("smtp", 25), ("submission", 587), ("submissions", 465), ("imap", 143), ("imaps", 993), ("pop3s", 995)]
LMTP = "/run/postrider/lmtp.sock"

_machine = []


def machine():
    """The one that all checks share, with everything installed."""
    if not _machine:
        if os.geteuid() != 0:
            raise Skipped("systemd as process 1 of a machine of its own: only root may make one")
        try:
            one = Machine()
        except Skipped as why:
            _machine.append(str(why))
        else:
            _machine.append(one)
            install(one)
    if isinstance(_machine[0], str):
        raise Skipped(_machine[0])
    return _machine[0]


def told(check):
    """A check that shows what the units said where it fails."""

    @functools.wraps(check)
    def shown(server):
        try:
            check(server)
        except Skipped:
            raise
        except Exception:
            print(machine().ask("journalctl", "--no-pager", "-q", "-n", "80", "-o", "short-precise", "-u", "postrider*"))
            raise

    return shown


def write(one, path, text, mode=0o644):
    file = one.path(path)
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(text)
    file.chmod(mode)


def install(one):
    """As docs/services.md says it."""
    for unit in UNITS.iterdir():
        if unit.suffix in {".service", ".socket"}:
            write(one, f"/etc/systemd/system/{unit.name}", unit.read_text())
    write(one, "/etc/sysusers.d/postrider.conf", (UNITS / "sysusers.conf").read_text())
    write(one, "/etc/tmpfiles.d/postrider.conf", (UNITS / "tmpfiles.conf").read_text())
    one.run("systemd-sysusers")
    one.run("systemd-tmpfiles", "--create", "postrider.conf")
    shared = one.neighbours.folder
    write(one, "/etc/postrider/ca.pem", (shared / "ca.pem").read_text())
    certificate(one, "first")
    for name, secret in SECRETS.items():
        write(one, f"/etc/credstore/postrider.{name}", secret + "\n", 0o600)
    # Through the DNS, as everywhere but here.
    settings = one.neighbours.settings(NAME, "/etc/postrider/ca.pem", lambda it: f'_file = "${{CREDENTIALS_DIRECTORY}}/postrider.{it}"')
    text = f'hostname = "mail.{LOCAL}"\n{settings}\n'
    text += '[tls]\ncertificate = "/etc/postrider/tls/fullchain.pem"\nkey = "/etc/postrider/tls/privkey.pem"\n'
    for service, port in LISTENERS:
        text += f'[[listener]]\nservice = "{service}"\nbind = ["0.0.0.0:{port}", "[::]:{port}"]\n'
    text += f'[[listener]]\nservice = "lmtp"\nbind = "{LMTP}"\n'
    for program, port in DAEMONS.items():
        text += f'[[listener]]\nservice = "metrics"\nbind = "127.0.0.1:{port}"\nprogram = "{program}"\n'
    write(one, "/etc/postrider/postrider.toml", text, 0o640)
    one.run("chgrp", "-R", "vmail", "/etc/postrider")
    one.run("systemctl", "daemon-reload")
    control(one, "migrate")
    control(one, "domain", "add", LOCAL)
    control(one, "domain", "add", CORPORATE, "--auth", "ldap")
    control(one, "user", "add", ADA, input=USERS[ADA] + "\n")


def control(one, *words, input=None):
    """The control program, with the secrets of the services."""
    secrets = [word for name in SECRETS for word in ("-p", f"LoadCredential=postrider.{name}")]
    run = ["systemd-run", "--quiet", "--uid=vmail", "--pipe", "--wait", "--collect", *secrets]
    return one.run(*run, "postrider", *words, input=input)


def certificate(one, name):
    """Puts a certificate of this name into its place; what it is, as PEM."""
    shared = one.neighbours.folder
    lib.run(
        ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "2", "-subj", f"/CN={name}",
         "-addext", "subjectAltName=DNS:localhost,IP:127.0.0.1", "-keyout", shared / f"{name}.key", "-out", shared / f"{name}.crt"],
        home=shared,
    )
    for source, target in [("crt", "fullchain.pem"), ("key", "privkey.pem")]:
        write(one, f"/etc/postrider/tls/{target}", (shared / f"{name}.{source}").read_text(), 0o640)
    one.run("chgrp", "-R", "vmail", "/etc/postrider/tls")
    return (shared / f"{name}.crt").read_text()


def drop_in(one, unit, text, name="test.conf"):
    write(one, f"/etc/systemd/system/{unit}.d/{name}", text)


def with_sockets(one):
    """Every daemon with the sockets of its .socket unit, and without a privilege, if that is not so yet."""
    if one.show("postrider-imapd.socket", "ActiveState") == "active":
        return
    for program in DAEMONS:
        text = (UNITS / "sockets.conf").read_text().replace("postrider-imapd", f"postrider-{program}")
        drop_in(one, f"postrider-{program}.service", text, "sockets.conf")
    one.run("systemctl", "daemon-reload")
    one.run("systemctl", "stop", *units())
    one.run("systemctl", "enable", "--now", *units("socket"))


def units(kind="service"):
    return [f"postrider-{program}.{kind}" for program in DAEMONS]


def main_pid(one, unit):
    """The number of a service's process, seen from here."""
    within = one.show(unit, "MainPID")
    for status in Path("/proc").glob("[0-9]*/status"):
        with contextlib.suppress(OSError, TypeError):
            numbers = re.search(r"^NSpid:(.*)$", status.read_text(), flags=re.M)[1].split()
            if numbers[-1] == within and unit in (status.parent / "cgroup").read_text() and one.group in (status.parent / "cgroup").read_text():
                return int(status.parent.name)
    raise Failed(f"{unit} has no process {within}")


def ready(one):
    """All daemons say that they are."""
    for program, port in DAEMONS.items():

        def is_ready(port=port):
            with one.network(), contextlib.suppress(OSError):
                return urllib.request.urlopen(f"http://127.0.0.1:{port}/health/ready", timeout=PATIENCE).status == 200

        wait_for(one, f"{program} is ready", is_ready)


def trust(one):
    return ssl.create_default_context(cadata="".join(it.read_text() for it in one.neighbours.folder.glob("*.crt")))


def session(one, user=ADA):
    """IMAP after login and SELECT."""
    with one.network():
        client = imaplib.IMAP4_SSL("localhost", 993, ssl_context=trust(one), timeout=PATIENCE)
    client.login(user, USERS[user])
    equal(client.select("INBOX")[0], "OK", "SELECT")
    return client


def traffic(one, subject):
    """Mail comes in by all ways for both users, and is read and removed by both protocols."""
    context = trust(one)
    with one.network():
        with smtplib.LMTP(str(one.path(LMTP)), timeout=PATIENCE) as client:
            # One at a time: the library reads one answer, not that of each recipient.
            for user in USERS:
                client.sendmail("sender@elsewhere.test", [user], mail(f"{subject} lmtp", "x" * 900_000))
        with smtplib.SMTP("localhost", 25, timeout=PATIENCE) as client:
            client.starttls(context=context)
            client.sendmail("sender@elsewhere.test", [ADA, ANN], mail(f"{subject} smtp"))
        with smtplib.SMTP_SSL("localhost", 465, context=context, timeout=PATIENCE) as client:
            client.login(ANN, USERS[ANN])
            client.sendmail(ANN, [ADA], mail(f"{subject} submissions", sender=ANN))
        with smtplib.SMTP("localhost", 587, timeout=PATIENCE) as client:
            client.starttls(context=context)
            client.login(ADA, USERS[ADA])
            client.sendmail(ADA, [ANN], mail(f"{subject} submission", sender=ADA))
    for user in USERS:
        client = session(one, user)
        found = client.uid("SEARCH", "SUBJECT", f'"{subject} "')[1][0].split()
        equal(len(found), 3, f"messages of {user}")
        equal(len([it for it in client.uid("FETCH", b",".join(found).decode(), "(BODY.PEEK[])")[1] if isinstance(it, tuple)]), 3, "bodies")
        equal(client.uid("SEARCH", "BODY", "xxxx", "SUBJECT", f'"{subject} "')[0], "OK", "a search in bodies")
        client.uid("STORE", found[0].decode(), "+FLAGS", "(\\Deleted)")
        equal(client.expunge()[0], "OK", "EXPUNGE")
        client.logout()
        with one.network():
            pop = poplib.POP3_SSL("localhost", 995, context=context, timeout=PATIENCE)
        pop.user(user)
        pop.pass_(USERS[user])
        true(len(pop.retr(1)[1]) > 3, "RETR")
        pop.dele(1)
        pop.quit()


def healthy(one):
    """No service has been started again, and none complains of something forbidden."""
    for unit in units():
        equal((one.show(unit, "NRestarts"), one.show(unit, "Result"), one.show(unit, "ActiveState")), ("0", "success", "active"), unit)
        for complaint in ["not permitted", "EPERM", "ermission denied", "Read-only", "panicked", "EAFNOSUPPORT", "not supported by protocol"]:
            lacks(one.journal(unit), complaint, f"journal of {unit}")


@told
def check_ports_below_1024_by_capability(server):
    """as the page on services installs them: mail goes in and out on PostgreSQL, bucket and directory; they may bind low ports and nothing else"""
    one = machine()
    one.run("systemctl", "enable", "--now", *units())
    ready(one)
    traffic(one, "capability")
    healthy(one)
    for program in DAEMONS:
        status = open(f"/proc/{main_pid(one, f'postrider-{program}.service')}/status").read()
        for line in ["CapEff:\t0000000000000400", "CapBnd:\t0000000000000400", "NoNewPrivs:\t1", "Seccomp:\t2", "Uid:\t5000\t5000\t5000\t5000"]:
            contains(status, line, f"status of {program}")
    one.run("systemctl", "disable", "--now", *units())
    for unit in units():
        equal((one.show(unit, "Result"), one.show(unit, "ExecMainStatus")), ("success", "0"), f"the end of {unit}")


@told
def check_sockets_and_no_privilege(server):
    """with the sockets of systemd: the same without any privilege, and systemd listens on every port"""
    one = machine()
    with_sockets(one)
    # Sockets alone: the first connection starts the service.
    with one.network():
        with smtplib.SMTP("localhost", 25, timeout=PATIENCE) as client:
            equal(client.noop()[0], 250, "the first connection")
    one.run("systemctl", "enable", "--now", *units())
    ready(one)
    traffic(one, "sockets")
    healthy(one)
    listening = one.ask("ss", "-Hltn")
    for port in PORTS:
        contains(listening, f":{port} ", "listening")
    for program in DAEMONS:
        status = open(f"/proc/{main_pid(one, f'postrider-{program}.service')}/status").read()
        for line in ["CapEff:\t0000000000000000", "CapBnd:\t0000000000000000"]:
            contains(status, line, f"status of {program}")


@told
def check_nothing_forbidden_is_done(server):
    """a service that makes one system call which its unit forbids is killed: none is, at its start, under load, in a reload and at its end"""
    one = machine()
    with_sockets(one)
    for unit in units():
        drop_in(one, unit, "[Service]\nSystemCallErrorNumber=kill\n", "strict.conf")
    one.run("systemctl", "daemon-reload")
    one.run("systemctl", "restart", *units())
    ready(one)
    traffic(one, "strict")
    one.run("systemctl", "reload", *units())
    traffic(one, "reloaded")
    healthy(one)
    one.run("systemctl", "restart", *units())
    ready(one)
    traffic(one, "again")
    healthy(one)


@told
def check_reload(server):
    """systemctl reload: the new certificate is served, sessions go on"""
    one = machine()
    with_sockets(one)
    one.run("systemctl", "start", *units())
    client = session(one)
    second = certificate(one, "second")

    def served(port):
        with one.network():
            return ssl.get_server_certificate(("127.0.0.1", port), timeout=PATIENCE)

    for port in [465, 993, 995]:
        true(served(port).split() != second.split(), "the certificate before the reload")
    one.run("systemctl", "reload", *units())
    for port in [465, 993, 995]:
        wait_for(one, f"the new certificate on {port}", lambda: served(port).split() == second.split())
    equal(client.noop()[0], "OK", "the open session")
    client.logout()
    healthy(one)


@told
def check_watchdog(server):
    """a daemon that hangs is killed and started again, and who connects meanwhile is served by the next"""
    one = machine()
    with_sockets(one)
    unit = "postrider-imapd.service"
    drop_in(one, unit, "[Service]\nWatchdogSec=8s\n", "watchdog.conf")
    one.run("systemctl", "daemon-reload")
    one.run("systemctl", "restart", unit)
    time.sleep(10)
    equal(one.show(unit, "NRestarts"), "0", "restarts of one that lives")
    os.kill(main_pid(one, unit), signal.SIGSTOP)

    def served():
        # Whose connection it had just taken loses it, as by any crash; everybody else waits.
        with contextlib.suppress(OSError):
            return session(one)

    client = wait_for(one, "the next one serves", served)
    equal(one.show(unit, "NRestarts"), "1", "restarts of one that hung")
    contains(one.ask("journalctl", "--no-pager", "-q", "-u", unit), "Watchdog timeout", "journal")
    client.logout()
    one.path(f"/etc/systemd/system/{unit}.d/watchdog.conf").unlink()
    one.run("systemctl", "daemon-reload")
    one.run("systemctl", "restart", unit)


@told
def check_stop_while_it_drains(server):
    """systemctl stop waits for a message under way, for longer than TimeoutStopSec alone would let it"""
    one = machine()
    with_sockets(one)
    unit = "postrider-smtpd.service"
    drop_in(one, unit, "[Service]\nTimeoutStopSec=4s\n", "stop.conf")
    one.run("systemctl", "daemon-reload")
    one.run("systemctl", "restart", unit)
    with one.network():
        busy = smtplib.SMTP("localhost", 25, timeout=PATIENCE)
    busy.ehlo()
    busy.mail("sender@elsewhere.test")
    equal(busy.rcpt(ADA)[0], 250, "RCPT")
    equal(busy.docmd("DATA")[0], 354, "DATA")
    one.run("systemctl", "stop", "--no-block", unit)
    wait_for(one, "it drains", lambda: "draining, 1 connection open" in one.show(unit, "StatusText"))
    time.sleep(7)
    equal(one.show(unit, "ActiveState"), "deactivating", "seven seconds later")
    busy.send(b"Subject: under way\r\n\r\nbody\r\n.\r\n")
    equal(busy.getreply()[0], 250, "the message under way")
    busy.close()
    wait_for(one, "it has ended", lambda: one.show(unit, "ActiveState") in {"inactive", "active"})
    equal((one.show(unit, "Result"), one.show(unit, "ExecMainStatus")), ("success", "0"), "its end")
    one.path(f"/etc/systemd/system/{unit}.d/stop.conf").unlink()
    one.run("systemctl", "daemon-reload")
    # Who connects to the socket starts the next.
    with one.network(), smtplib.SMTP("localhost", 25, timeout=PATIENCE) as client:
        equal(client.noop()[0], 250, "who comes later")
    client = session(one)
    true(client.uid("SEARCH", "SUBJECT", '"under way"')[1][0], "the message under way")
    client.logout()


@told
def check_two_generations(server):
    """as sockets.conf says it: the old one keeps its sessions and leaves after the last; metrics are the new one's"""
    one = machine()
    one.run("systemctl", "disable", "--now", "postrider-imapd.service", "postrider-imapd.socket")
    service = one.path("/etc/systemd/system/postrider-imapd.service").read_text()
    write(one, "/etc/systemd/system/postrider-imapd@.service", service)
    drop_in(one, "postrider-imapd@.service", (UNITS / "sockets.conf").read_text(), "sockets.conf")
    sockets = (UNITS / "postrider-imapd.socket").read_text().replace("[Socket]\n", "[Socket]\nService=postrider-imapd@1.service\n")
    write(one, "/etc/systemd/system/postrider-imapd.socket", sockets)
    one.run("systemctl", "daemon-reload")
    one.run("systemctl", "start", "postrider-imapd.socket", "postrider-imapd@1")
    kept = session(one)
    one.run("systemctl", "start", "postrider-imapd@2")
    one.run("systemctl", "kill", "--kill-whom=main", "--signal=USR1", "postrider-imapd@1")
    wait_for(one, "the old one says so", lambda: one.show("postrider-imapd@1", "StatusText") == "retired, 1 connection open")
    for _ in range(10):
        client = session(one, ANN)
        client.logout()
    lacks(one.journal("postrider-imapd@1"), ANN, "the old one's journal")
    contains(one.journal("postrider-imapd@2"), ANN, "the new one's journal")

    for _ in range(10):
        with one.network():
            text = urllib.request.urlopen("http://127.0.0.1:2091/metrics", timeout=PATIENCE).read().decode()
        # The kept session is the old one's, of which nobody hears any more.
        true(re.search(r'^postrider_connections_open\{service="imaps"\} 0$', text, flags=re.M), f"metrics of the new one:\n{text}")
    equal(kept.noop()[0], "OK", "the kept session")
    equal(one.show("postrider-imapd@1", "ActiveState"), "active", "the old one")
    kept.logout()
    wait_for(one, "the old one has left", lambda: one.show("postrider-imapd@1", "ActiveState") == "inactive")
    equal((one.show("postrider-imapd@1", "Result"), one.show("postrider-imapd@1", "NRestarts")), ("success", "0"), "its end")
    session(one).logout()
    one.run("systemctl", "stop", "postrider-imapd@2", "postrider-imapd.socket")


def own_metrics(one):
    """Gives the metrics that imapd had to the program that is all in one."""
    text = one.path("/etc/postrider/postrider.toml").read_text()
    write(one, "/etc/postrider/postrider.toml", text.replace('program = "imapd"', 'program = "postrider"'), 0o640)


@told
def check_all_in_one(server):
    """postrider.service takes the place of the three, with their ports"""
    one = machine()
    own_metrics(one)
    one.run("systemctl", "start", "postrider.service")
    for unit in [*units(), *units("socket")]:
        true(one.show(unit, "ActiveState") in {"inactive", "failed"}, f"{unit} beside postrider.service")
    traffic(one, "alone")
    unit = "postrider.service"
    equal((one.show(unit, "NRestarts"), one.show(unit, "ActiveState")), ("0", "active"), unit)
    one.run("systemctl", "stop", unit)
    equal((one.show(unit, "Result"), one.show(unit, "ExecMainStatus")), ("success", "0"), f"the end of {unit}")


@told
def check_attack_47_secrets_are_told_to_nobody(server):
    """after all of this no journal, status, command line, environment or metric holds a secret of the services or a password of a user"""
    one = machine()
    own_metrics(one)
    one.run("systemctl", "start", "postrider.service")
    with one.network():
        metrics = urllib.request.urlopen("http://127.0.0.1:2091/metrics", timeout=PATIENCE).read().decode()
        # Who mistypes a name has often typed a password: it is refused like any other, and kept nowhere either.
        client = imaplib.IMAP4_SSL("localhost", 993, ssl_context=trust(one), timeout=PATIENCE)
        try:
            client.login(ADA, f"{USERS[ADA]} mistyped")
        except imaplib.IMAP4.error:
            client.shutdown()
        else:
            raise Failed("a wrong password was right")
    status = Path(f"/proc/{main_pid(one, 'postrider.service')}")
    said = {
        "the journal": one.ask("journalctl", "--no-pager", "-q", "-o", "json"),
        "its properties": one.ask("systemctl", "show", "postrider.service"),
        "its command line": (status / "cmdline").read_text(),
        "its environment": (status / "environ").read_text(),
        "metrics": metrics,
    }
    contains(said["the journal"], ADA, "the journal is there")
    for where, text in said.items():
        for secret in [*SECRETS.values(), *USERS.values()]:
            # The key's name is no secret, and S3 sends it with each request.
            if secret != SECRETS["s3-access"]:
                lacks(text, secret, where)
    one.run("systemctl", "stop", "postrider.service")


if __name__ == "__main__":
    lib.main(__file__, globals())
