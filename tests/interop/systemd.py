"""Under a service manager: what it is told, and sockets that it opened. It is played by us, by systemd's own protocols."""

import contextlib
import os
import select
import signal
import smtplib
import socket
import threading
import time
import urllib.request

import lib
from daemons import imap_greeted, login
from lib import DOMAIN, PATIENCE, Failed, Server, contains, equal, eventually, lacks, mail, true


class Manager:
    """The socket that NOTIFY_SOCKET names, and all that was said to it."""

    def __init__(self, path):
        """A path, or "@" and a name."""
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.socket.bind("\0" + path[1:] if path.startswith("@") else path)
        self.socket.setblocking(False)
        self.words = []

    def heard(self):
        """Each word as a dictionary of its lines."""
        while select.select([self.socket], [], [], 0)[0]:
            lines = self.socket.recv(65536).decode().splitlines()
            self.words.append(dict(line.split("=", 1) for line in lines))
        return self.words

    def wait_for(self, what, since=0, **wanted):
        """The first word with these lines, of those from number `since` on."""

        def found():
            return [word for word in self.heard()[since:] if wanted.items() <= word.items()]

        return eventually(found, what, PATIENCE)[0]


@contextlib.contextmanager
def daemon(server, name, program="imapd", settings="", sockets=(), listener_settings="", **environment):
    """One of the daemons with data and accounts of its own, not started yet; and the control program's view of its house."""
    folder = server.folder(name)
    one = Server(folder, program=program, settings=settings, listener_settings=listener_settings)
    one.configure()
    one.environment.update(environment)
    one.sockets = list(sockets)
    house = Server(folder)
    house.control("migrate")
    house.control("domain", "add", DOMAIN)
    try:
        yield one, house
    except Exception:
        print(f"----- the log of {name}\n{lib.tail(one.log(), 60)}\n-----")
        raise
    finally:
        one.__exit__()


def check_steps(server):
    """it hears when every listener is ready, of a reload, of a reload that failed, who is still here in a drain, and that it lives; by a path and a name"""
    for place in [str(server.dir / "notify"), f"@postrider-test-{os.getpid()}"]:
        manager = Manager(place)
        with daemon(server, f"steps{len(place)}", program="smtpd", NOTIFY_SOCKET=place, WATCHDOG_USEC="2000000") as (smtpd, house):
            ada = house.account("ada")
            smtpd.start()
            ready = manager.wait_for("ready", READY="1")
            contains(ready["STATUS"], f"lmtp {smtpd.port['lmtp']}", "status when ready")
            before = len(manager.words)
            smtpd.process.send_signal(signal.SIGHUP)
            manager.wait_for("ready again", since=before, READY="1")
            reloading = manager.wait_for("reloading", since=before, RELOADING="1")
            # Of the clock that systemd compares it with.
            true(0 <= time.monotonic() - int(reloading["MONOTONIC_USEC"]) / 1e6 < PATIENCE, "time of the reload")
            good = smtpd.config.read_text()
            smtpd.config.write_text("hostnam = 1\n" + good)
            before = len(manager.words)
            smtpd.process.send_signal(signal.SIGHUP)
            ready = manager.wait_for("ready after a broken configuration", since=before, READY="1")
            contains(ready["STATUS"], "not reloaded", "status after a broken configuration")
            smtpd.config.write_text(good)
            busy = smtplib.LMTP("localhost", smtpd.port["lmtp"], timeout=PATIENCE)
            busy.ehlo()
            busy.mail("sender@elsewhere.test")
            busy.rcpt(ada.email)
            equal(busy.docmd("DATA")[0], 354, "DATA")
            before = len(manager.words)
            smtpd.process.terminate()
            manager.wait_for("stopping", since=before, STOPPING="1")
            draining = manager.wait_for("draining", since=before, STATUS="draining, 1 connection open")
            true(int(draining["EXTEND_TIMEOUT_USEC"]) > 1_000_000, "time asked for")
            manager.wait_for("alive while it drains", since=len(manager.words), WATCHDOG="1")
            busy.send(b"Subject: under way\r\n\r\nbody\r\n.\r\n")
            equal(busy.getreply()[0], 250, "the message under way")
            equal(smtpd.process.wait(timeout=PATIENCE), 0, "exit code")
            equal(sum("READY" in word for word in manager.heard()), 3, "times that it was ready")


def check_watchdog(server):
    """a watchdog hears of a living server in time, and of one for another process not at all"""
    manager = Manager(str(server.dir / "watchdog"))
    given = {"NOTIFY_SOCKET": str(server.dir / "watchdog"), "WATCHDOG_USEC": "2000000"}
    with daemon(server, "watched", **given) as (imapd, _):
        imapd.start()
        eventually(lambda: sum("WATCHDOG" in word for word in manager.heard()) >= 3, "three times alive", PATIENCE)
        imapd.process.send_signal(signal.SIGSTOP)
        manager.heard()
        before = len(manager.words)
        time.sleep(3)
        equal(manager.heard()[before:], [], "words of a process that is stopped")
        imapd.process.send_signal(signal.SIGCONT)
        manager.wait_for("alive again", since=before, WATCHDOG="1")
        imapd.stop()
    before = len(manager.heard())
    with daemon(server, "unwatched", **given, WATCHDOG_PID="1") as (imapd, _):
        imapd.start()
        time.sleep(1.5)
        imapd.stop()
    true(not any("WATCHDOG" in word for word in manager.heard()[before:]), "a watchdog for another process was told")


def check_watchdog_of_a_thread_that_hangs(server):
    """one thread hangs and all else goes on: the watchdog is silent, and hears again when the thread goes on"""
    manager = Manager(str(server.dir / "hung"))
    shared = listening("imaps")
    given = {"NOTIFY_SOCKET": str(server.dir / "hung"), "WATCHDOG_USEC": "8000000"}
    with daemon(server, "hung-server", sockets=[shared], **given) as (imapd, _):
        imapd.start()
        manager.wait_for("alive", WATCHDOG="1")
        # What another process can do to a socket that it shares: whoever has accepted a connection then waits in accept(2) for the next.
        shared[1].setblocking(True)
        with socket.create_connection(shared[1].getsockname(), timeout=PATIENCE):
            eventually(lambda: '"not alive' in imapd.log(), "it notices", PATIENCE)
            contains(imapd.log(), "arbiters do not answer", "who does not answer")
        before = len(manager.heard())
        time.sleep(6)
        equal(manager.heard()[before:], [], "words while a thread hangs")
        # Others would have called it alive.
        live = urllib.request.urlopen(f"http://127.0.0.1:{imapd.port['metrics']}/health/live", timeout=PATIENCE)
        equal(live.status, 200, "health/live")
        shared[1].setblocking(False)

        def alive():
            # Each connection lets one thread go on.
            socket.create_connection(shared[1].getsockname(), timeout=PATIENCE).close()
            return any("WATCHDOG" in word for word in manager.heard()[before:])

        eventually(alive, "alive again", PATIENCE)
        contains(imapd.log(), "alive again", "log")
        imapd.stop()


def check_nobody_hears(server):
    """a socket that is broken, missing or of an unknown kind is a line in the log, and everything is served"""
    for number, place in enumerate([str(server.dir / "nobody"), "vsock:2:1234", "relative"]):
        with daemon(server, f"unheard{number}", NOTIFY_SOCKET=place) as (imapd, house):
            ada = house.account("ada")
            imapd.start()
            connection, file = imap_greeted(imapd)
            login(connection, file, ada, "SELECT INBOX")
            connection.close()
            imapd.stop()
            equal(imapd.log().count("service manager"), 1, "lines in the log")


def listening(name=None):
    """A socket as systemd opens it."""
    return name, socket.create_server(("127.0.0.1", 0))


def check_inherited(server):
    """sockets are taken over by the name of a service, or by their address; who inherits opens none itself"""
    named = listening("imaps")
    addressed = listening("postrider-imapd.socket")
    with daemon(server, "inherited", sockets=[named, addressed]) as (imapd, house):
        ada = house.account("ada")
        port = addressed[1].getsockname()[1]
        text = imapd.config.read_text().replace('service = "imap"\nbind = "127.0.0.1:0"', f'service = "imap"\nbind = "127.0.0.1:{port}"')
        imapd.config.write_text(text)
        imapd.start()
        equal(imapd.port["imaps"], named[1].getsockname()[1], "port of imaps")
        equal(imapd.port["imap"], port, "port of imap")
        connection, file = imap_greeted(imapd)
        login(connection, file, ada, "SELECT INBOX")
        with socket.create_connection(("127.0.0.1", port), timeout=PATIENCE) as plain:
            true(plain.recv(512).startswith(b"* OK"), "greeting of imap")
        contains(imapd.log(), "not opened", "log, of the address that a socket has taken the place of")
        imapd.stop()


def check_inherited_by_nobody(server):
    """a socket that is for no listener of the program ends its start, by name; so does what is no listening socket"""
    one, other = socket.socketpair()
    for sockets, said in [
        ([listening("smtp")], "smtp"),
        ([listening("strange")], "strange"),
        ([("imaps", one)], "imaps"),
        ([("imaps", socket.socket(socket.AF_INET, socket.SOCK_DGRAM))], "imaps"),
    ]:
        with daemon(server, f"nobody{id(sockets)}", sockets=sockets) as (imapd, _):
            try:
                imapd.start()
            except Failed:
                contains(imapd.log(), said, "what it said")
                contains(imapd.log(), "inherited", "what it said")
            else:
                raise Failed(f"{sockets} were taken over")
    other.close()


class Generations:
    """Two processes over one listening socket and one house."""

    def __init__(self, server, name):
        self.socket = listening("imaps")
        self.server, self.name = server, name

    def __enter__(self):
        folder = self.server.folder(self.name)
        self.house = Server(folder)
        self.house.configure()
        self.house.control("migrate")
        self.house.control("domain", "add", DOMAIN)
        self.all = []
        for number in [1, 2]:
            one = Server(folder, program="imapd")
            one.log_path = folder / f"{number}.log"
            one.sockets = [self.socket]
            self.all.append(one)
        return self

    def __exit__(self, *failure):
        for number, one in enumerate(self.all, 1):
            if failure[0]:
                print(f"----- the log of {self.name}, generation {number}\n{lib.tail(one.log(), 40)}\n-----")
            one.__exit__()


def noop(connection, file, tag="n"):
    """A command of a session that lives."""
    connection.sendall(f"{tag} NOOP\r\n".encode())
    while not (line := file.readline()).startswith(f"{tag} ".encode()):
        true(line, "the session ended")
    true(line.startswith(f"{tag} OK".encode()), f"NOOP was answered {line}")


def check_two_generations(server):
    """the old one retires: its sessions go on, who is new comes to the new one, nobody is refused, and it leaves after its last client"""
    with Generations(server, "generations") as both:
        old, new = both.all
        old.start()
        ada = both.house.account("ada")
        kept, kept_file = imap_greeted(old)
        login(kept, kept_file, ada, "SELECT INBOX")
        with hammer(old) as connects:
            new.start()
            eventually(lambda: connects() > 20, "connections while both accept", PATIENCE)
            old.process.send_signal(signal.SIGUSR1)
            eventually(lambda: "retired" in old.log(), "it retires", PATIENCE)
            noop(kept, kept_file)
            before = connects()
            eventually(lambda: connects() > before + 20, "connections to the new one", PATIENCE)
        greeted = connects()
        # What came while it let go may be the old one's; from now on all is the new one's.
        for _ in range(5):
            connection, file = imap_greeted(new)
            port = connection.getsockname()[1]
            login(connection, file, ada)
            eventually(lambda: f"127.0.0.1:{port}" in new.log(), "the new one's log names the client", PATIENCE)
            lacks(old.log(), f"127.0.0.1:{port}", "the old one's log")
            connection.close()
        noop(kept, kept_file)
        equal(old.process.poll(), None, "the old one is still here")
        kept.sendall(b"z LOGOUT\r\n")
        contains(kept_file.read(), b"z OK", "the end of the kept session")
        equal(old.process.wait(timeout=PATIENCE), 0, "exit code of the old one")
        true(greeted > 40, f"connections: {greeted}")
        new.stop()


def check_restart_under_socket(server):
    """an old one that is stopped: a connection is never refused, it waits for the next one"""
    with Generations(server, "restarted") as both:
        old, new = both.all
        old.start()
        ada = both.house.account("ada")
        kept, kept_file = imap_greeted(old)
        login(kept, kept_file, ada, "SELECT INBOX")
        old.stop()
        contains(kept_file.read(), b"* BYE", "what the old one's client heard")
        # Nobody accepts now; the kernel does.
        waiting = socket.create_connection(both.socket[1].getsockname(), timeout=PATIENCE)
        new.start()
        with new.trust().wrap_socket(waiting, server_hostname="localhost") as secured:
            true(secured.recv(512).startswith(b"* OK"), "greeting of who waited")
        new.stop()


def check_plain_binds_are_alone(server):
    """without inherited sockets a second generation is refused its ports, and a disabled account leaves a retired one at once"""
    with daemon(server, "alone") as (imapd, house):
        ada = house.account("ada")
        imapd.start()
        text = imapd.config.read_text().replace('service = "imaps"\nbind = "127.0.0.1:0"', f'service = "imaps"\nbind = "127.0.0.1:{imapd.port["imaps"]}"')
        imapd.config.write_text(text)
        second = Server(imapd.dir, program="imapd")
        second.log_path = imapd.dir / "second.log"
        try:
            second.start()
        except Failed:
            contains(second.log(), str(imapd.port["imaps"]), "what the second one said")
        else:
            second.stop()
            raise Failed("two servers listen on one port")
        # The ports file of the second one took the place of the first one's.
        connection, file = imap_greeted(imapd)
        login(connection, file, ada, "SELECT INBOX")
        imapd.process.send_signal(signal.SIGUSR1)
        eventually(lambda: "retired" in imapd.log(), "it retires", PATIENCE)
        house.control("user", "disable", ada.email)
        contains(file.read(), b"* BYE", "what the session of a disabled account hears")
        equal(imapd.process.wait(timeout=PATIENCE), 0, "exit code")


@contextlib.contextmanager
def hammer(server):
    """Connects again and again, and asks for a greeting over TLS each time; fails at the end if one was refused. Yields the count."""
    stop = threading.Event()
    failures, greeted = [], []

    def run():
        while not stop.is_set():
            try:
                connection, file = imap_greeted(server)
                greeted.append(1)
                file.close()
                connection.close()
            except Exception as failure:  # whatever it is, the check fails by it
                failures.append(repr(failure))
                return

    threads = [threading.Thread(target=run) for _ in range(2)]
    for thread in threads:
        thread.start()
    try:
        yield lambda: len(greeted)
    finally:
        stop.set()
        for thread in threads:
            thread.join(timeout=PATIENCE)
    equal(failures, [], "connections that failed")


if __name__ == "__main__":
    lib.main(__file__, globals())
