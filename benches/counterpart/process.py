"""Starting, waiting for and ending processes: only those that were started here, by their id."""

import os
import pathlib
import signal
import socket
import subprocess
import time


# The password of every account, and its bcrypt hash at cost 4 (one millisecond): all servers check the same one.
PASSWORD = "secret"
HASH = "{BLF-CRYPT}$2b$04$postriderloadtestsaltuCDEp0k2UVGARcME87WMCrlLs09aZ4t2"
# The same at the cost that a site has.
HASH_12 = "{BLF-CRYPT}$2b$12$postriderloadtestsaltuTTrZ8i3yCVc0NibTs7LN64Iqb0AQR.6"


class Failed(Exception):
    """A server did not do what a measurement needs; the text says what."""


def free_ports(count):
    """Ports that nobody listens on now. All are taken before the first is given back, so that they differ."""
    sockets = [socket.socket() for _ in range(count)]
    try:
        for s in sockets:
            s.bind(("127.0.0.1", 0))
        return [s.getsockname()[1] for s in sockets]
    finally:
        for s in sockets:
            s.close()


def wait_for_greeting(port, begins, seconds=30):
    """Waits until the server on this port says hello."""
    end = time.monotonic() + seconds
    said = b""
    while time.monotonic() < end:
        try:
            with socket.create_connection(("127.0.0.1", port), timeout=5) as s:
                said = s.recv(512)
                if said.startswith(begins):
                    return
        except OSError:
            pass
        time.sleep(0.05)
    raise Failed(f"nobody says {begins!r} on port {port} after {seconds} s (last: {said[:80]!r})")


def run(*command, stdin=None, env=None):
    """Runs a program to its end; its output, or what it complained about as Failed."""
    command = [str(c) for c in command]
    done = subprocess.run(command, input=stdin, capture_output=True, text=True, env=env)
    if done.returncode != 0:
        raise Failed(f"{' '.join(command)}: exit {done.returncode}: {(done.stderr or done.stdout).strip()[-800:]}")
    return done.stdout


def call(command, output):
    """Runs a program to its end, its output into an open file; its exit status."""
    return subprocess.call([str(c) for c in command], stdin=subprocess.DEVNULL, stdout=output, stderr=output)


class Daemon:
    """A server in the foreground, in a session of its own."""

    def __init__(self, command, log, env=None):
        self.log = pathlib.Path(log)
        with open(log, "ab") as out:
            self.process = subprocess.Popen([str(c) for c in command], stdin=subprocess.DEVNULL, stdout=out,
                                            stderr=out, start_new_session=True, env=env)
        self.pid = self.process.pid

    def alive(self):
        return self.process.poll() is None

    def stop(self):
        """Asks it to go; after 20 s makes it."""
        if self.alive():
            self.process.send_signal(signal.SIGTERM)
            try:
                self.process.wait(20)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()

    def tail(self):
        return self.log.read_text(errors="replace")[-1500:]


def make_certificate(directory):
    """An authority and a P-256 certificate for 127.0.0.1 and localhost; the same for every server."""
    d = pathlib.Path(directory)
    d.mkdir(parents=True, exist_ok=True)
    ec = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes"]
    run("openssl", "req", "-x509", *ec, "-keyout", d / "ca.key", "-out", d / "ca.crt", "-days", "30", "-subj", "/CN=load test CA",
        "-addext", "basicConstraints=critical,CA:TRUE", "-addext", "keyUsage=critical,keyCertSign,cRLSign")
    run("openssl", "req", "-new", *ec, "-keyout", d / "server.key", "-out", d / "server.csr", "-subj", "/CN=localhost")
    (d / "extensions").write_text("subjectAltName=DNS:localhost,IP:127.0.0.1\nextendedKeyUsage=serverAuth\nbasicConstraints=CA:FALSE\n")
    run("openssl", "x509", "-req", "-in", d / "server.csr", "-CA", d / "ca.crt", "-CAkey", d / "ca.key", "-CAcreateserial",
        "-days", "30", "-out", d / "server.crt", "-extfile", d / "extensions")
    for key in ("ca.key", "server.key"):
        os.chmod(d / key, 0o600)
    return d
