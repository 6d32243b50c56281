"""Postrider as it runs without other services: `postrider run`, SQLite, Maildir on the local file system."""

import json
import time

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

{listeners}
[metrics]
bind = "127.0.0.1:0"
"""

SERVICES = ["smtp", "lmtp", "imap", "imaps", "pop3s"]


class Postrider:
    def __init__(self, program, directory, tls, users):
        self.program, self.directory = program, directory
        directory.mkdir(parents=True, exist_ok=True)
        self.config = directory / "postrider.toml"
        # As behind a proxy that has ended TLS: one load reads in clear.
        listeners = "".join(f'[[listener]]\nservice = "{s}"\nbind = "127.0.0.1:0"\n' + ("plaintext_login = true\n" if s == "imap" else "") + "\n"
                            for s in SERVICES)
        self.config.write_text(CONFIG.format(data=directory / "data", tls=tls, listeners=listeners))
        self.control("migrate")
        self.control("domain", "add", "example.test")
        table = directory / "users.csv"
        table.write_text("email,password_hash\n" + "".join(f"{user},{process.HASH}\n" for user in users))
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

    def restart(self):
        self.stop()
        self.start()

    def control(self, *command):
        return process.run(self.program, "--config", self.config, *command)

    @property
    def pid(self):
        return self.daemon.pid

    def stop(self):
        self.daemon.stop()
