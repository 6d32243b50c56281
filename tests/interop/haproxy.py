"""HAProxy in front: PROXY protocol versions 1 and 2, TLS ended there or passed on."""

import contextlib
import imaplib
import smtplib
import socket
import ssl
import subprocess
import time

import lib
from lib import PATIENCE, Failed, Server, contains, environment, eventually, lacks, mail, true

# All of them are this host; as clients' addresses they tell one client from another.
CLIENT = "127.0.0.7"
PROXY = 'proxy_protocol_from = ["127.0.0.1/32"]'
PROXIED = {"smtp": 2, "submission": 1, "submissions": 2, "imap": 1, "imaps": 2, "pop3s": 2}


class Proxy:
    """A HAProxy with a free port for each service; it takes its listening sockets from us, so no port is lost to others."""

    def __init__(self, server, folder, services=tuple(PROXIED), bind=""):
        """`bind` is what HAProxy is to know of its own sockets."""
        self.server = server
        self.folder = folder
        self.services = services
        self.bind = bind
        self.port = {}

    def __enter__(self):
        sockets = {}
        lines = ["global", "  maxconn 200", "defaults", "  mode tcp"]
        lines += ["  timeout connect 5s", "  timeout client 60s", "  timeout server 60s"]
        for service in self.services:
            listening = socket.create_server(("127.0.0.1", 0))
            listening.set_inheritable(True)
            sockets[service] = listening
            self.port[service] = listening.getsockname()[1]
            send = "send-proxy" if PROXIED[service] == 1 else "send-proxy-v2"
            lines += [f"listen {service}", f"  bind fd@{listening.fileno()} {self.bind}"]
            lines += [f"  server s1 127.0.0.1:{self.server.port[service]} {send} check check-send-proxy inter 500ms"]
        config = self.folder / "haproxy.cfg"
        config.write_text("\n".join(lines) + "\n")
        self.log = (self.folder / "haproxy.log").open("wb")
        self.process = subprocess.Popen(
            ["haproxy", "-db", "-f", config], stdin=subprocess.DEVNULL, stdout=self.log, stderr=self.log,
            env=environment(self.folder), pass_fds=[it.fileno() for it in sockets.values()],
        )
        for listening in sockets.values():
            listening.close()
        return self

    def __exit__(self, *failure):
        self.process.terminate()
        try:
            self.process.wait(timeout=PATIENCE)
        except subprocess.TimeoutExpired:
            self.process.kill()
        self.log.close()

    def said(self):
        return (self.folder / "haproxy.log").read_text(errors="replace")


def connect(port):
    """A connection to the proxy from an address that is the client's alone, and the port it has there."""
    connection = socket.create_connection(("127.0.0.1", port), timeout=PATIENCE, source_address=(CLIENT, 0))
    return connection, connection.getsockname()[1]


class ImapsFrom(imaplib.IMAP4_SSL):
    """An IMAP client over a connection made before."""

    def __init__(self, connection, **how):
        self._made = connection
        super().__init__("localhost", **how)

    def _create_socket(self, timeout):
        return self.ssl_context.wrap_socket(self._made, server_hostname="localhost")


class SmtpFrom(smtplib.SMTP):
    """An SMTP client over a connection made before."""

    def __init__(self, connection):
        self._made = connection
        super().__init__("localhost", 25, local_hostname="client.test", timeout=PATIENCE)

    def _get_socket(self, host, port, timeout):
        return self._made


def check_imaps(server):
    """imaps, version 2: the log names the client, not the proxy"""
    ada = server.account("ada")
    with Proxy(server, server.folder("imaps")) as proxy:
        eventually_up(proxy, "imaps")
        connection, port = connect(proxy.port["imaps"])
        client = ImapsFrom(connection, ssl_context=server.trust())
        client.login(ada.email, ada.password)
        client.logout()
    lines = lines_with(server, f"{CLIENT}:{port}")
    contains("\n".join(lines), ada.email, "log lines of the client")


def check_submission_starttls(server):
    """submission, version 1: STARTTLS and a login behind the proxy; the log names the client"""
    ada = server.account("ada")
    with Proxy(server, server.folder("submission")) as proxy:
        eventually_up(proxy, "submission")
        connection, port = connect(proxy.port["submission"])
        with SmtpFrom(connection) as client:
            client.starttls(context=server.trust())
            client.login(ada.email, ada.password)
            client.sendmail(ada.email, [ada.email], mail("by proxy", sender=ada.email))
    contains("\n".join(lines_with(server, f"{CLIENT}:{port}")), ada.email, "log lines of the client")


def check_smtp(server):
    """smtp, version 2: Received names the client, not the proxy"""
    ada = server.account("ada")
    with Proxy(server, server.folder("smtp")) as proxy:
        eventually_up(proxy, "smtp")
        connection, port = connect(proxy.port["smtp"])
        with SmtpFrom(connection) as client:
            client.sendmail("eve@elsewhere.test", [ada.email], mail("from outside"))
    true(lines_with(server, f"{CLIENT}:{port}"), "the log does not name the client")
    with Proxy(server, server.folder("smtp-read")) as proxy:
        eventually_up(proxy, "imaps")
        connection, _ = connect(proxy.port["imaps"])
        client = ImapsFrom(connection, ssl_context=server.trust())
        client.login(ada.email, ada.password)
        client.select("INBOX")
        _, found = client.fetch("1", "(BODY.PEEK[HEADER])")
        client.logout()
    contains(found[0][1], b"[127.0.0.7]", "Received")


def check_direct(server):
    """a peer that must begin with a PROXY header and does not gets nothing, on any listener"""
    for service in PROXIED:
        with socket.create_connection(("127.0.0.1", server.port[service]), timeout=PATIENCE) as connection:
            connection.sendall(b"EHLO client.test\r\n" if service.startswith("s") else b"a NOOP\r\n")
            heard = drain(connection)
        # It may be told why; it is not greeted.
        true(not heard.startswith((b"220", b"* OK", b"+OK")), f"{service} greeted: {heard}")


def check_lies(server):
    """broken headers end the connection and nothing else"""
    for lie in [
        b"PROXY TCP4 203.0.113.9\r\n",
        b"PROXY TCP4 999.0.0.1 127.0.0.1 1 2\r\n",
        b"PROXY " + b"A" * 200 + b"\r\n",
        b"\r\n\r\n\x00\r\nQUIT\n\x21\x11\xff\xff" + b"\x00" * 64,
        b"\r\n\r\n\x00\r\nQUIT\n\x31\x11\x00\x0c" + b"\x00" * 12,
    ]:
        with socket.create_connection(("127.0.0.1", server.port["smtp"]), timeout=PATIENCE) as connection:
            connection.sendall(lie)
            # The server may be gone already.
            with contextlib.suppress(OSError):
                connection.shutdown(socket.SHUT_WR)
            heard = drain(connection)
        true(not heard.startswith(b"220"), f"greeted after {lie}: {heard}")
    lacks(server.log(), "203.0.113.9:", "log")


def check_spoofed_inside(server):
    """a client cannot give itself another address by a header of its own inside the proxy's connection"""
    with Proxy(server, server.folder("spoofed")) as proxy:
        eventually_up(proxy, "smtp")
        connection, _ = connect(proxy.port["smtp"])
        with connection:
            # Who speaks before it is greeted would be refused for that alone.
            heard = connection.recv(512)
            connection.sendall(b"PROXY TCP4 198.51.100.66 127.0.0.1 4321 25\r\nEHLO client.test\r\n")
            connection.shutdown(socket.SHUT_WR)
            heard += drain(connection)
    lacks(server.log(), "198.51.100.66:", "log")
    lines = heard.split(b"\r\n")
    true(lines[0].startswith(b"220") and lines[1].startswith(b"500 "), f"replies: {lines}")


def check_tls_ended_in_front(server):
    """imap, version 1: the proxy has ended the TLS, so a login without STARTTLS is taken; without the setting it is not"""
    folder = server.folder("ended")
    with Server(folder, listener_settings=PROXY, imap_settings="plaintext_login = true") as behind:
        ada = behind.account("ada")
        with ending_tls(behind, folder) as (client, port):
            client.login(ada.email, ada.password)
            client.select("INBOX")
            client.logout()
        contains("\n".join(lines_with(behind, f"{CLIENT}:{port}")), ada.email, "log lines of the client")
        behind.stop()
    with ending_tls(server, server.folder("not-ended")) as (client, _):
        contains(client.capabilities, "LOGINDISABLED", "capabilities of a listener without the setting")
        client.shutdown()


@contextlib.contextmanager
def ending_tls(server, folder):
    """A client with TLS to a proxy that ends it and goes on in the clear, and the client's port."""
    # Certificate and key in one file, as HAProxy has them too.
    both = server.data / "tls" / "self-signed.pem"
    with Proxy(server, folder, services=["imap"], bind=f"ssl crt {both} alpn imap") as proxy:
        eventually_up(proxy, "imap", tls=True)
        connection, port = connect(proxy.port["imap"])
        yield ImapsFrom(connection, ssl_context=server.trust()), port


def check_health_checks(server):
    """the proxy's own checks (LOCAL, no client) keep every listener in service and ban nobody"""
    with Proxy(server, server.folder("health")) as proxy:
        eventually_up(proxy, "smtp")
        time.sleep(2)
        lacks(proxy.said(), "is DOWN", "HAProxy's log")
        for service in PROXIED:
            eventually_up(proxy, service)


def lines_with(server, text):
    """Lines of the log that name a text; they may come a moment after the client has left."""
    return eventually(lambda: [line for line in server.log().splitlines() if text in line], f"log line with {text}")


def eventually_up(proxy, service, tls=False):
    """Waits until the server greets through the proxy."""

    def greeted():
        if proxy.process.poll() is not None:
            raise Failed(f"HAProxy ended: {proxy.said()}")
        try:
            connection, _ = connect(proxy.port[service])
            with connection:
                connection.settimeout(5)
                if tls or service in ["imaps", "submissions", "pop3s"]:
                    context = ssl.create_default_context(cafile=proxy.server.ca)
                    with context.wrap_socket(connection, server_hostname="localhost") as secured:
                        return bool(secured.recv(1))
                return bool(connection.recv(1))
        except OSError:
            return False

    eventually(greeted, f"{service} through HAProxy", seconds=PATIENCE)


def drain(connection):
    """All that still comes."""
    heard = b""
    try:
        while more := connection.recv(4096):
            heard += more
    except ConnectionResetError:
        pass
    return heard


if __name__ == "__main__":
    lib.main(__file__, globals(), listener_settings=PROXY)
