"""Postrider in one process, `postrider run`: without other services (SQLite, Maildir on the local file system), or with those it is told of."""

import json
import time
import urllib.request

from . import process

CONFIG = """\
hostname = "mx.example.test"
data_dir = "{data}"

[tls]
certificate = "{tls}/server.crt"
key = "{tls}/server.key"
min_version = "1.2"

[auth]
# The hash stays as cheap as it is for the other server.
upgrade_hashes = false

[limits]
exempt = ["127.0.0.1/32"]

{more}
{listeners}
[metrics]
bind = "127.0.0.1:0"
"""

SERVICES = ["smtp", "lmtp", "imap", "imaps", "pop3s"]


class Postrider:
    def __init__(self, program, directory, tls, users, more="", hash=process.HASH):
        """`more` are further tables of its configuration; all users have the same hash."""
        self.program, self.directory = program, directory
        directory.mkdir(parents=True, exist_ok=True)
        self.config = directory / "postrider.toml"
        # As behind a proxy that has ended TLS: one load reads in clear.
        listeners = "".join(f'[[listener]]\nservice = "{s}"\nbind = "127.0.0.1:0"\n' + ("plaintext_login = true\n" if s == "imap" else "") + "\n"
                            for s in SERVICES)
        self.config.write_text(CONFIG.format(data=directory / "data", tls=tls, listeners=listeners, more=more))
        self.control("migrate")
        self.control("domain", "add", "example.test")
        table = directory / "users.csv"
        table.write_text("email,password_hash\n" + "".join(f"{user},{hash}\n" for user in users))
        self.control("user", "import", table)
        self.start()

    def start(self):
        ports = self.directory / "ports.json"
        ports.unlink(missing_ok=True)
        command = [self.program, "--config", self.config, "run", "--ports-file", ports]
        self.daemon = process.Daemon(command, self.directory / "postrider.log")
        end = time.monotonic() + 60
        while not ports.exists():
            if not self.daemon.alive() or time.monotonic() > end:
                self.stop()
                raise process.Failed(f"postrider did not start:\n{self.daemon.tail()}")
            time.sleep(0.05)
        taken = json.loads(ports.read_text())
        self.smtp, self.lmtp, self.imap, self.imaps, self.pop3s = (taken[s] for s in SERVICES)
        self.metrics = taken["metrics"]

    def restart(self):
        self.stop()
        self.start()

    def control(self, *command):
        return process.run(self.program, "--config", self.config, *command)

    def asked_store(self):
        """How often the store was asked for something so far."""
        with urllib.request.urlopen(f"http://127.0.0.1:{self.metrics}/metrics", timeout=10) as answer:
            lines = answer.read().decode().splitlines()
        asked = [line for line in lines if line.startswith("postrider_store_seconds_count{")]
        # Whether the store is there is looked at now and then, whatever clients do.
        return sum(float(line.rsplit(" ", 1)[1]) for line in asked if 'operation="probe"' not in line)

    @property
    def pid(self):
        return self.daemon.pid

    def stop(self):
        self.daemon.stop()
