"""A PostgreSQL of its own on loopback: default settings but for names, places and 256 MiB of shared buffers; what it commits is synced."""

import glob
import os
import pathlib
import shutil

from . import process

PACKAGES = ["postgresql"]


def programs():
    """Where its programs are: not in the path on Debian. The newest, if there are several."""
    found = glob.glob("/usr/lib/postgresql/*/bin/initdb")
    found = max(found, key=lambda path: int(path.split("/")[4]), default=None) or shutil.which("initdb")
    return pathlib.Path(found).parent if found else None


class Postgres:
    def __init__(self, directory):
        self.directory, self.bin = directory, programs()
        directory.mkdir(parents=True)
        # It does not run as root.
        self.as_user = []
        if os.geteuid() == 0:
            shutil.chown(directory, "postgres", "postgres")
            self.as_user = ["setpriv", "--reuid=postgres", "--regid=postgres", "--clear-groups", "--"]
        (self.port,) = process.free_ports(1)
        self._run("initdb", "-D", directory / "data", "-U", "postgres", "-A", "trust", "-E", "UTF8", "--locale=C.UTF-8")
        options = f"-p {self.port} -c listen_addresses=127.0.0.1 -c unix_socket_directories={directory} -c shared_buffers=256MB"
        # Its output in a file: a pipe would stay open as long as the server runs.
        self._run("pg_ctl", "-D", directory / "data", "-l", directory / "log", "-w", "-o", options, "start")
        self.pid = int((directory / "data" / "postmaster.pid").read_text().split("\n", 1)[0])

    def _run(self, program, *arguments):
        command = [*self.as_user, self.bin / program, *arguments]
        with open(self.directory / "output", "ab") as out:
            done = process.call(command, out)
        if done != 0:
            said = (self.directory / "output").read_text(errors="replace")[-800:]
            raise process.Failed(f"{program}: exit {done}: {said}")

    def create(self, name):
        """A new database; its URL."""
        self._run("createdb", "-h", "127.0.0.1", "-p", str(self.port), "-U", "postgres", name)
        return f"postgres://postgres@127.0.0.1:{self.port}/{name}?sslmode=disable"

    def stop(self):
        self._run("pg_ctl", "-D", self.directory / "data", "-m", "fast", "-w", "stop")

    def version(self):
        return "PostgreSQL " + process.run(self.bin / "postgres", "--version").split()[2]
