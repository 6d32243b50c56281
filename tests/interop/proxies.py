"""The examples of contrib/haproxy and contrib/nginx as they stand, with other ports, between real clients and two hosts of daemons."""

import contextlib
import os
import re
import signal
import smtplib
import socket
import subprocess
import urllib.request

import lib
from haproxy import CLIENT, ImapsFrom, SmtpFrom, drain
from lib import DOMAIN, PATIENCE, ROOT, Failed, Server, contains, environment, equal, eventually, lacks, mail, run, true

CONTRIB = ROOT / "contrib"
HOSTS = {"192.0.2.11": "mail1", "192.0.2.12": "mail2"}
SERVICES = {25: "smtp", 587: "submission", 465: "submissions", 143: "imap", 993: "imaps", 110: "pop3", 995: "pop3s"}
PROGRAMS = ["smtpd", "imapd", "pop3d"]
HEALTH = dict(zip([2090, 2091, 2092], PROGRAMS))
# Whom no listener knows as a proxy.
STRANGER = "127.0.0.9"


class Cluster:
    """Two hosts with smtpd, imapd and pop3d each, over one house, whose listeners are those of an example."""

    def __init__(self, server, name, listeners):
        self.dir = server.folder(name)
        text = (CONTRIB / listeners).read_text()
        text = re.sub(r"^bind = .*$", 'bind = "127.0.0.1:0"', text, flags=re.M)
        text = text.replace('proxy_protocol_from = ["192.0.2.10/32"]', 'proxy_protocol_from = ["127.0.0.1/32"]')
        text = f'hostname = "mail.{DOMAIN}"\ndata_dir = "{self.dir}/mail1/data"\n{text}'
        self.programs = {}
        for host in HOSTS.values():
            folder = self.dir / host
            folder.mkdir()
            (folder / "postrider.toml").write_text(text)
            for program in PROGRAMS:
                self.programs[host, program] = Server(folder, program=program)
        self.house = Server(self.dir / "mail1")

    def __enter__(self):
        self.house.control("migrate")
        self.house.control("domain", "add", DOMAIN)
        try:
            for program in self.programs.values():
                program.start()
        except Failed:
            self.__exit__(Failed)
            raise
        return self

    def __exit__(self, *failure):
        for (host, name), program in self.programs.items():
            if failure and failure[0] and program.log_path.exists():
                print(f"----- the log of {name} on {host}\n{lib.tail(program.log(), 15)}\n-----")
            program.__exit__()

    def port(self, host, number):
        """The port there that stands for a standard one."""
        if number in HEALTH:
            return self.programs[host, HEALTH[number]].port["metrics"]
        service = SERVICES[number]
        return next(it.port[service] for (on, _), it in self.programs.items() if on == host and service in it.port)

    def log(self, program, host=None):
        """What a program has logged, on all hosts or one."""
        return "\n".join(it.log() for (on, name), it in self.programs.items() if name == program and host in (None, on))


class HAProxy:
    """HAProxy with an example; it takes its listening sockets from us, so no port is lost to others."""

    examples = {"through": "haproxy/haproxy.cfg", "ended": "haproxy/haproxy-tls.cfg"}

    def __init__(self, cluster, example):
        self.cluster, self.dir, self.port = cluster, cluster.dir, {}
        self.text = (CONTRIB / self.examples[example]).read_text()
        self.file = self.dir / "haproxy.cfg"

    def configure(self):
        """The example with the ports of now; sockets that it inherits."""
        sockets = []

        def listen(found):
            listening = socket.create_server(("127.0.0.1", 0))
            sockets.append(listening)
            self.port[SERVICES[int(found[1])]] = listening.getsockname()[1]
            return f"bind fd@{listening.fileno()}"

        def backend(found):
            host = HOSTS[found[1]]
            return f"127.0.0.1:{self.cluster.port(host, int(found[2]))} check port {self.cluster.port(host, int(found[3]))}"

        text = re.sub(r"bind :(\d+)", listen, self.text)
        text = re.sub(r"(192\.0\.2\.1[12]):(\d+) check port (\d+)", backend, text)
        # As many as the descriptors of an ordinary user allow.
        text = text.replace("maxconn 20000", "maxconn 200")
        text = text.replace("/etc/haproxy/mail.pem", f"{self.cluster.house.data}/tls/self-signed.pem")
        lacks(text, "192.0.2.", "the example with the ports of now")
        self.file.write_text(text)
        return ["haproxy", "-db", "-f", self.file], sockets

    def __enter__(self):
        for attempt in range(5):
            command, sockets = self.configure()
            self.log = (self.dir / f"proxy{attempt}.log").open("w+b")
            self.process = subprocess.Popen(
                command, stdin=subprocess.DEVNULL, stdout=self.log, stderr=self.log, env=environment(self.dir),
                pass_fds=[it.fileno() for it in sockets],
            )
            for listening in sockets:
                listening.close()
            if eventually(lambda: self.ended() or self.answers(), "the proxy is up", PATIENCE) == "answers":
                return self
            contains(self.said(), "in use", "why the proxy ended")
        raise Failed("no free ports for the proxy")

    def ended(self):
        """Whether it has."""
        return "ended" if self.process.poll() is not None else None

    def answers(self):
        """Whether every port greets, through the proxy."""
        for service in self.port:
            try:
                with socket.create_connection(("127.0.0.1", self.port[service]), timeout=5) as connection:
                    if service in ["imaps", "pop3s", "submissions"]:
                        connection = self.cluster.house.trust().wrap_socket(connection, server_hostname="localhost")
                    with connection:
                        connection.settimeout(5)
                        if not connection.recv(1):
                            return None
            except OSError:
                return None
        return "answers"

    def __exit__(self, *failure):
        self.process.terminate()
        try:
            self.process.wait(timeout=PATIENCE)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        if failure[0]:
            print(f"----- the log of the proxy\n{lib.tail(self.said(), 30)}\n-----")
        self.log.close()

    def said(self):
        """All it has said so far."""
        self.log.flush()
        return open(self.log.name, errors="replace").read()

    def connect(self, service):
        """A connection from an address that is the client's alone, and its port there."""
        connection = socket.create_connection(("127.0.0.1", self.port[service]), timeout=PATIENCE, source_address=(CLIENT, 0))
        return connection, connection.getsockname()[1]

    def imaps(self, account):
        """An IMAP session, logged in, and the client's port."""
        connection, port = self.connect("imaps")
        client = ImapsFrom(connection, ssl_context=self.cluster.house.trust())
        client.login(account.email, account.password)
        return client, port


class Nginx(HAProxy):
    """Nginx with an example, on ports that were free a moment ago."""

    examples = {"through": "nginx/nginx.conf", "ended": "nginx/nginx-tls.conf"}

    def configure(self):
        free = []

        def listen(found):
            listening = socket.create_server(("127.0.0.1", 0))
            free.append(listening)
            self.port[SERVICES[int(found[1])]] = listening.getsockname()[1]
            return f"listen 127.0.0.1:{listening.getsockname()[1]}"

        def backend(found):
            return f"127.0.0.1:{self.cluster.port(HOSTS[found[1]], int(found[2]))}"

        text = re.sub(r"listen (\d+)", listen, self.text)
        text = re.sub(r"(192\.0\.2\.1[12]):(\d+)", backend, text)
        for file in ["mail.crt", "mail.key"]:
            text = text.replace(f"/etc/nginx/{file}", f"{self.cluster.house.data}/tls/self-signed.pem")
        self.file = self.dir / "nginx.conf"
        self.file.write_text(text)
        for listening in free:
            listening.close()
        settings = f"daemon off; pid {self.dir}/nginx.pid; error_log stderr;"
        return ["nginx", "-p", self.dir, "-c", self.file, "-e", "stderr", "-g", settings], []


def sessions(proxy, account):
    """Some sessions through the proxy, and on which host each of them is."""
    cluster = proxy.cluster
    found = []
    for _ in range(4):
        client, port = proxy.imaps(account)
        here = lambda: [host for host in HOSTS.values() if f"{CLIENT}:{port}" in cluster.log("imapd", host)]
        found.append((client, eventually(here, "the log of a host names the client")[0]))
    return found


def through(server, kind):
    """Mail comes in, is sent, and is read by all ways through a proxy that passes TLS on."""
    with Cluster(server, f"through-{kind.__name__}", "behind-proxy.toml") as cluster, kind(cluster, "through") as proxy:
        equal(sorted(proxy.port), ["imap", "imaps", "pop3s", "smtp", "submission", "submissions"], "services")
        house = cluster.house
        ada = house.account("ada")
        house.port = proxy.port
        connection, from_smtp = proxy.connect("smtp")
        with SmtpFrom(connection) as client:
            client.sendmail("eve@elsewhere.test", [ada.email], mail("from outside"))
        connection, from_submission = proxy.connect("submission")
        with SmtpFrom(connection) as client:
            client.starttls(context=house.trust())
            client.login(ada.email, ada.password)
            client.sendmail(ada.email, [ada.email], mail("by STARTTLS", sender=ada.email))
        letter = proxy.dir / "letter.eml"
        letter.write_bytes(mail("by TLS", sender=ada.email))
        curl = ["curl", "-sS", "--interface", CLIENT, "--cacert", house.ca, "-u", ada.login]
        run(
            [*curl, f"smtps://localhost:{proxy.port['submissions']}", "--mail-from", ada, "--mail-rcpt", ada, "--upload-file", letter],
            home=proxy.dir,
        )
        letters = ada.messages()
        equal(len(letters), 3, "messages")
        received = next(it for it in letters.values() if b"from outside" in it)
        contains(received, b"[127.0.0.7]", "Received")
        said = run([*curl, "--ssl-reqd", f"imap://localhost:{proxy.port['imap']}/INBOX?ALL"], home=proxy.dir)
        contains(said, "SEARCH 1 2 3", "by imap with STARTTLS")
        said = run([*curl, f"pop3s://localhost:{proxy.port['pop3s']}/1"], home=proxy.dir)
        contains(said, "Subject: from outside", "by pop3s")
        for port in [from_smtp, from_submission]:
            eventually(lambda: f"{CLIENT}:{port}" in cluster.log("smtpd"), "smtpd's log names the client")
        for program in ["imapd", "pop3d"]:
            eventually(lambda: f'"{CLIENT}:' in cluster.log(program), f"{program}'s log names the client")
        held = sessions(proxy, ada)
        equal(sorted({host for _, host in held}), ["mail1", "mail2"], "hosts that serve")
        for client, _ in held:
            client.logout()


def check_haproxy_through(server):
    """haproxy.cfg: mail by every service, the hosts share the clients, and their logs name them"""
    through(server, HAProxy)


def check_nginx_through(server):
    """nginx.conf: mail by every service, the hosts share the clients, and their logs name them"""
    through(server, Nginx)


def check_attack_34_strangers(server):
    """who is not the proxy cannot claim to be somebody else, and the proxy's address gets nowhere without a header; counted"""
    with Cluster(server, "strangers", "behind-proxy.toml") as cluster:
        smtp = cluster.port("mail1", 25)
        spoofed = b"PROXY TCP4 198.51.100.66 127.0.0.1 4321 25\r\n"
        # A client like any other says this before its greeting.
        for claim in [spoofed, b"\r\n\r\n\x00\r\nQUIT\n\x21\x11\x00\x0c\xc6\x33\x64\x42\x7f\x00\x00\x01\x10\xe1\x00\x19"]:
            connection = socket.create_connection(("127.0.0.1", smtp), timeout=PATIENCE, source_address=(STRANGER, 0))
            with connection, contextlib.suppress(ConnectionError):
                connection.sendall(claim + b"EHLO client.test\r\nQUIT\r\n")
                heard = drain(connection)
                true(b"250 " not in heard, f"after {claim}: {heard}")
        lacks(cluster.log("smtpd"), "198.51.100.66", "log")
        imaps = cluster.port("mail1", 993)
        connection = socket.create_connection(("127.0.0.1", imaps), timeout=PATIENCE, source_address=(STRANGER, 0))
        with connection, contextlib.suppress(ConnectionError):
            connection.sendall(spoofed)
            # No handshake comes of it: the most that is heard is an alert.
            true(not drain(connection).startswith(b"\x16"), "a handshake after a header that nobody asked for")
        lacks(cluster.log("imapd"), "198.51.100.66", "log")
        for number in [25, 587, 143]:
            with socket.create_connection(("127.0.0.1", cluster.port("mail1", number)), timeout=PATIENCE) as connection:
                connection.sendall(b"EHLO client.test\r\n")
                heard = drain(connection)
            true(not heard.startswith((b"220", b"* OK")), f"greeted without a header: {heard}")
        metrics = urllib.request.urlopen(f"http://127.0.0.1:{cluster.port('mail1', 2090)}/metrics", timeout=PATIENCE).read().decode()
        counted = re.findall(r'postrider_connections_refused_total\{[^}]*proxy_header[^}]*\} (\d+)', metrics)
        equal(sum(map(int, counted)), 2, "connections to smtpd that were refused for their header")


def one_drains(server, kind):
    """A host drains: who is new comes to the other, who is there stays until the host goes at once."""
    with Cluster(server, f"drain-{kind.__name__}", "behind-proxy.toml") as cluster, kind(cluster, "through") as proxy:
        ada = cluster.house.account("ada")
        held = sessions(proxy, ada)
        going = held[0][1]
        other = next(it for it in HOSTS.values() if it != going)
        imapd = cluster.programs[going, "imapd"]
        imapd.process.send_signal(signal.SIGUSR1)
        eventually(lambda: '"listeners","took' in imapd.log().replace(" ", ""), "it lets go of its listeners", PATIENCE)
        for _ in range(6):
            client, port = proxy.imaps(ada)
            eventually(lambda: f"{CLIENT}:{port}" in cluster.log("imapd", other), "the other's log names the client")
            client.logout()
        for client, _ in held:
            equal(client.noop()[0], "OK", "a session that was there before")
        imapd.process.terminate()
        equal(imapd.process.wait(timeout=PATIENCE), 0, "exit code")
        for client, host in held:
            if host == other:
                equal(client.noop()[0], "OK", "a session on the other host")
                client.logout()
        for _ in range(6):
            client, _ = proxy.imaps(ada)
            client.logout()
        return proxy.said()


def check_haproxy_drain(server):
    """haproxy.cfg: one of two hosts drains; nobody is refused, sessions stay, and health checks take it out"""
    with Cluster(server, "health", "behind-proxy.toml") as cluster:
        for host in HOSTS.values():
            for number in HEALTH:
                said = urllib.request.urlopen(f"http://127.0.0.1:{cluster.port(host, number)}/health/ready", timeout=PATIENCE)
                equal(said.status, 200, "health")
    one_drains(server, HAProxy)
    with Cluster(server, "checked", "behind-proxy.toml") as cluster, HAProxy(cluster, "through") as proxy:
        ada = cluster.house.account("ada")
        imapd = cluster.programs["mail1", "imapd"]
        imapd.stop()
        eventually(lambda: "Server imaps/mail1 is DOWN" in proxy.said(), "a health check that fails", PATIENCE)
        lacks(proxy.said(), "mail2 is DOWN", "HAProxy's log")
        lacks(proxy.said(), "Server smtp/mail1 is DOWN", "HAProxy's log")
        for _ in range(4):
            client, _ = proxy.imaps(ada)
            client.logout()


def check_nginx_drain(server):
    """nginx.conf: one of two hosts drains; nobody is refused, and sessions stay"""
    one_drains(server, Nginx)


def tls_ended(server, kind):
    """Mail is sent and read through a proxy that ends the TLS."""
    with Cluster(server, f"ended-{kind.__name__}", "behind-proxy-tls.toml") as cluster, kind(cluster, "ended") as proxy:
        equal(sorted(proxy.port), ["imaps", "pop3s", "submissions"], "services")
        house = cluster.house
        ada = house.account("ada")
        with smtplib.SMTP_SSL(
            "localhost", proxy.port["submissions"], context=house.trust(), timeout=PATIENCE, source_address=(CLIENT, 0)
        ) as client:
            client.login(ada.email, ada.password)
            client.sendmail(ada.email, [ada.email], mail("by proxy", sender=ada.email))
        client, port = proxy.imaps(ada)
        equal(client.select("INBOX"), ("OK", [b"1"]), "INBOX")
        eventually(lambda: f"{CLIENT}:{port}" in cluster.log("imapd"), "imapd's log names the client")
        client.logout()
        said = run(
            ["curl", "-sS", "--cacert", house.ca, f"pop3s://localhost:{proxy.port['pop3s']}/1", "-u", ada.login], home=proxy.dir
        )
        contains(said, "Subject: by proxy", "by pop3s")


def check_haproxy_tls_ended(server):
    """haproxy-tls.cfg: TLS 1.3 ends at the proxy, logins go on in the clear, logs name the client"""
    tls_ended(server, HAProxy)


def check_nginx_tls_ended(server):
    """nginx-tls.conf: TLS 1.3 ends at the proxy, logins go on in the clear, logs name the client"""
    tls_ended(server, Nginx)


if __name__ == "__main__":
    os.environ["PATH"] += ":/usr/sbin:/sbin"
    lib.main(__file__, globals())
