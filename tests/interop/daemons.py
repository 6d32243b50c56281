"""The programs under an operator's hand: drain, reload, one process each, a unix socket, the very first start."""

import contextlib
import json
import smtplib
import socket
import ssl
import subprocess
import time

import lib
from lib import DOMAIN, PATIENCE, Failed, Server, Skipped, body_of, contains, environment, equal, eventually, mail, run, true

# The ports of the embedded default.
DEFAULT_PORTS = {
    "smtp": 2525, "submission": 2587, "submissions": 2465, "lmtp": 2424, "imap": 2143, "imaps": 2993, "pop3": 2110, "pop3s": 2995,
    "metrics": 2090,
}


@contextlib.contextmanager
def another(server, name, **how):
    """A server of its own for one check; its log is shown where the check fails."""
    one = Server(server.folder(name), **how)
    try:
        with one:
            yield one
    except Exception:
        print(f"----- the log of {name}\n{lib.tail(one.log(), 60)}\n-----")
        raise


def imap_greeted(server, trust=None):
    """A connection to imaps, with its file, after the greeting."""
    plain = socket.create_connection(("localhost", server.port["imaps"]), timeout=PATIENCE)
    connection = (trust or server.trust()).wrap_socket(plain, server_hostname="localhost")
    file = connection.makefile("rb")
    true(file.readline().startswith(b"* OK"), "greeting")
    return connection, file


def login(connection, file, account, *commands):
    """Logs in and gives more commands; each must be OK."""
    for command in [f"LOGIN {account} {account.password}", *commands]:
        connection.sendall(f"a {command}\r\n".encode())
        while not (line := file.readline()).startswith(b"a "):
            true(line, f"{command}: the connection ended")
        true(line.startswith(b"a OK"), f"{command} was answered {line}")


def check_drain(server):
    """SIGTERM: a message under way is taken, an idle client is told BYE, nobody new is let in, exit code 0"""
    with another(server, "drain") as one:
        ada = one.account("ada")
        connection, file = imap_greeted(one)
        login(connection, file, ada, "SELECT INBOX")
        connection.sendall(b"b IDLE\r\n")
        true(file.readline().startswith(b"+"), "IDLE")
        busy = smtplib.LMTP("localhost", one.port["lmtp"], timeout=PATIENCE)
        busy.ehlo()
        busy.mail("sender@elsewhere.test")
        busy.rcpt(ada.email)
        equal(busy.docmd("DATA")[0], 354, "DATA")
        busy.send(b"Subject: under way\r\n\r\nfirst half\r\n")
        one.process.terminate()
        eventually(lambda: refused(one.port["imaps"]), "no new connections")
        busy.send(b"second half\r\n.\r\n")
        code, said = busy.getreply()
        equal(code, 250, f"the message under way: {said}")
        heard = b"".join(iter(file.readline, b""))
        contains(heard, b"* BYE", "what the idle client heard")
        equal(one.process.wait(timeout=PATIENCE), 0, "exit code")
        one.start()
        contains(ada.only_message(), b"first half\r\nsecond half\r\n", "the message under way")


def refused(port):
    """Whether nobody listens there any more."""
    try:
        socket.create_connection(("127.0.0.1", port), timeout=PATIENCE).close()
    except ConnectionError:
        return True
    return False


def certificate(folder, name):
    """Makes a certificate signed by itself, and its key."""
    run(
        ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "2", "-subj", f"/CN={name}",
         "-addext", "subjectAltName=DNS:localhost,IP:127.0.0.1", "-keyout", folder / f"{name}.key", "-out", folder / f"{name}.crt"],
        home=folder,
    )
    return folder / f"{name}.crt", folder / f"{name}.key"


def served(server):
    """The certificate that a new connection gets, as PEM."""
    return ssl.get_server_certificate(("127.0.0.1", server.port["imaps"]), timeout=PATIENCE)


def check_reload(server):
    """SIGHUP: new connections get the new certificate, open ones go on; a broken configuration changes nothing"""
    folder = server.folder("certificates")
    first, second = certificate(folder, "first"), certificate(folder, "second")
    for source, target in zip(first, ["used.crt", "used.key"]):
        (folder / target).write_bytes(source.read_bytes())
    tls = f'[tls]\ncertificate = "{folder}/used.crt"\nkey = "{folder}/used.key"\n'
    with another(server, "reload", settings=tls) as one:
        ada = one.account("ada")
        equal(served(one).split(), first[0].read_text().split(), "certificate at the start")
        connection, file = imap_greeted(one, trust=ssl.create_default_context(cafile=first[0]))
        login(connection, file, ada, "SELECT INBOX")
        for source, target in zip(second, ["used.crt", "used.key"]):
            (folder / target).write_bytes(source.read_bytes())
        hang_up(one, "configuration reloaded")
        equal(served(one).split(), second[0].read_text().split(), "certificate after the reload")
        connection.sendall(b"c NOOP\r\n")
        true(file.readline().startswith(b"c OK"), "the open connection")
        (folder / "used.crt").write_text("no certificate\n")
        hang_up(one, "configuration not reloaded")
        equal(served(one).split(), second[0].read_text().split(), "certificate after a failed reload")
        good = one.config.read_text()
        one.config.write_text("hostnam = 1\n" + good)
        (folder / "used.crt").write_bytes(second[0].read_bytes())
        hang_up(one, "configuration not reloaded", times=2)
        connection.sendall(b"d NOOP\r\n")
        true(file.readline().startswith(b"d OK"), "the open connection after two failed reloads")
        one.config.write_text(good)
        one.stop()


def hang_up(server, said, times=1):
    """SIGHUP, and waits until the log says what came of it."""
    server.process.send_signal(lib.signal.SIGHUP)
    eventually(lambda: server.log().count(said) >= times, f"log line: {said}")


def check_separate(server):
    """smtpd, imapd and pop3d, each its own process over the same data: what one takes in the others show"""
    folder = server.folder("separate")
    programs = {name: Server(folder, program=name) for name in ["smtpd", "imapd", "pop3d"]}
    programs["smtpd"].configure()
    house = Server(folder)
    house.control("migrate")
    house.control("domain", "add", DOMAIN)
    ada = house.account("ada")
    with contextlib.ExitStack() as stack:
        for program in programs.values():
            stack.callback(Server.__exit__, program)
            program.start()
            house.port.update({service: port for service, port in program.port.items() if service != "metrics"})
        equal(sorted(house.port), sorted(set(lib.SERVICES) - {"metrics"}), "services")
        ada.deliver(mail("in one", "out of another\r\n"))
        contains(ada.only_message(), b"out of another", "by imapd")
        connection, file = imap_greeted(house)
        login(connection, file, ada, "SELECT INBOX")
        connection.sendall(b"b IDLE\r\n")
        true(file.readline().startswith(b"+"), "IDLE")
        ada.deliver(mail("again"))
        # Another process is noticed by looking, at the latest after half a minute.
        while b"2 EXISTS" not in (line := file.readline()):
            true(line, "the connection ended")
        connection.close()
        said = run(["curl", "-sS", "--cacert", house.ca, house.url("pop3s") + "/2", "-u", ada.login], home=folder)
        contains(said, "Subject: again", "by pop3d")
        for program in programs.values():
            program.stop()


def check_unix_socket(server):
    """lmtp on a unix socket, as Postfix has it; who may write is a matter of its folder"""
    path = server.folder("socket") / "lmtp.sock"
    settings = f'[[listener]]\nservice = "lmtp"\nbind = "{path}"\n'
    with another(server, "unix", settings=settings) as one:
        ada = one.account("ada")
        message = mail("by socket", "one\r\n.\r\ntwo\r\n")
        with smtplib.LMTP(str(path)) as client:
            client.sendmail("sender@elsewhere.test", [ada.email], message)
        equal(body_of(ada.only_message()), body_of(message), "body")
        one.process.kill()
        one.process.wait()
        # A socket that a killed process left behind is no obstacle.
        one.start()
        with smtplib.LMTP(str(path)) as client:
            client.sendmail("sender@elsewhere.test", [ada.email], message)
        equal(len(ada.messages()), 2, "messages")
        one.stop()
        true(not path.exists(), "the socket is left behind")


def check_two_at_once(server):
    """a second server on the same ports is told so and ends, and harms nothing"""
    taken = server.folder("taken") / "postrider.toml"
    text = server.config.read_text().replace(str(server.data), str(taken.parent / "data"))
    taken.write_text(text.replace('"127.0.0.1:0"', f'"127.0.0.1:{server.port["imaps"]}"', 1))
    said = run([lib.binary(), "--config", taken, "run"], home=server.dir, code=1)
    contains(said, str(server.port["imaps"]), "what it said")
    ada = server.account("ada")
    equal(ada.messages(), {}, "messages of the first server")


def check_first_start(server):
    """`postrider run` with nothing configured: the password it prints opens the mailbox, a second start keeps everything"""
    for service, port in DEFAULT_PORTS.items():
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                raise Skipped(f"port {port}, the default of {service}, is taken on this machine") from None
    folder = server.folder("first")
    user, password = None, None
    for start in [1, 2]:
        # Here its data goes to ./postrider-data.
        with (folder / f"out{start}").open("wb") as out:
            process = subprocess.Popen(
                [lib.binary(), "run", "--ports-file", folder / f"ports{start}"],
                stdin=subprocess.DEVNULL, stdout=out, stderr=out, env=environment(folder), cwd=folder,
            )
        try:
            eventually(lambda: (folder / f"ports{start}").exists() or process.poll() is not None, "it is ready", PATIENCE)
            equal(json.loads((folder / f"ports{start}").read_text()), DEFAULT_PORTS, "ports")
            said = eventually(lambda: (folder / f"out{start}").read_text(), "what it says")
            if start == 1:
                user, password = credentials(folder / "out1")
                # What it tells people to try works as it stands.
                examples = (folder / "out1").read_text().partition("Try it")[2].partition("\n")[2].partition("\n\n")[0]
                contains(examples, "curl", "examples")
                shown = run(["bash", "-euc", examples], home=folder)
                contains(shown, "This is a test mailing", "what the last example shows: the mail of the first one")
            ca = ["--cacert", folder / "postrider-data/tls/self-signed.crt", "-u", f"{user}:{password}"]
            (folder / "hello.eml").write_bytes(mail(f"start {start}", sender=user, to=user))
            run(
                ["curl", "-sS", *ca, "smtps://localhost:2465", "--mail-from", user, "--mail-rcpt", user, "-T", folder / "hello.eml"],
                home=folder,
            )
            for subject in ["test", "hello", *(f"start%20{number}" for number in range(1, start + 1))]:
                said = run(["curl", "-sS", *ca, f"imaps://localhost:2993/INBOX?SUBJECT%20%22{subject}%22"], home=folder)
                equal(len(said.split()[2:]), 1, f"messages with the subject {subject}")
            process.terminate()
            equal(process.wait(timeout=PATIENCE), 0, "exit code")
        finally:
            if process.poll() is None:
                process.kill()
                process.wait()


def credentials(out):
    """The address and the password that the first start prints."""
    for _ in range(100):
        words = {line.split()[0].rstrip(":").lower(): line.split()[-1] for line in out.read_text().splitlines() if line.split()}
        if "password" in words:
            user = words.get("user") or words.get("address") or words.get("mailbox") or words.get("login")
            return user, words["password"]
        time.sleep(0.05)
    raise Failed(f"no password in what it said:\n{out.read_text()}")


if __name__ == "__main__":
    lib.main(__file__, globals())
