"""The units of contrib/systemd: what systemd says of them, and that they forbid nothing that the daemons do."""

import contextlib
import os
import re
import shutil
import signal
import smtplib
import socket
import sys
import tempfile
from pathlib import Path

import lib
from daemons import imap_greeted, login
from lib import DOMAIN, PATIENCE, ROOT, Failed, Server, Skipped, contains, equal, eventually, mail, run, true

sys.path.insert(0, str(ROOT / "contrib" / "two-hosts"))
import neighbours  # noqa: E402

UNITS = ROOT / "contrib" / "systemd"
PROGRAMS = {"postrider.service": "postrider", "postrider-smtpd.service": "smtpd", "postrider-imapd.service": "imapd", "postrider-pop3d.service": "pop3d"}
# Of `systemd-analyze security`: 0 is a service that can do nothing, 10 one that can do everything.
EXPOSURE = 2.0


def installed(server, name):
    """A folder with the units, whose programs are the built ones."""
    folder = server.folder(name)
    for unit in UNITS.iterdir():
        text = unit.read_text()
        for program in PROGRAMS.values():
            text = re.sub(rf"^(ExecStart=)/usr/s?bin/{program} ", rf"\g<1>{lib.binary(program)} ", text, flags=re.M)
        (folder / unit.name).write_text(text)
    return folder


def check_exposure(server):
    """systemd-analyze security puts every service under 2.0, with privileged ports and, less still, without"""
    equal(sorted(it.name for it in UNITS.glob("*.service")), sorted(PROGRAMS), "services")
    folder = installed(server, "exposure")
    for unit in PROGRAMS:
        before = exposure(folder, unit)
        true(before < EXPOSURE, f"{unit} is at {before}")
        # Of a file alone it reads no drop-ins: what stands last wins there too.
        without = (folder / "sockets.conf").read_text().partition("[Service]")[2]
        with (folder / unit).open("a") as file:
            file.write(f"[Service]\n{without}")
        after = exposure(folder, unit)
        true(after < before, f"{unit} is at {after} without privileges, {before} with")


def exposure(folder, unit):
    """What systemd-analyze says."""
    said = run(["systemd-analyze", "security", "--offline=true", "--no-pager", folder / unit], home=folder)
    found = re.search(r"Overall exposure level for .*: ([0-9.]+) ", said)
    true(found, f"no level in {said}")
    return float(found[1])


def check_verify(server):
    """systemd-analyze verify finds nothing to say about services and sockets"""
    folder = installed(server, "verify")
    units = [it for it in sorted(folder.iterdir()) if it.suffix in {".service", ".socket"}]
    equal(len(units), 7, "units")
    # Two generations, as sockets.conf says it.
    sockets = (folder / "sockets.conf").read_text()
    template = folder / "postrider-imapd@.service"
    template.write_text((folder / "postrider-imapd.service").read_text())
    (folder / f"{template.name}.d").mkdir()
    (folder / f"{template.name}.d" / "sockets.conf").write_text(sockets)
    socket = folder / "postrider-imapd.socket"
    socket.write_text(socket.read_text().replace("[Socket]\n", "[Socket]\nService=postrider-imapd@1.service\n"))
    units.append(folder / "postrider-imapd@1.service")
    # Else systemd takes O_NONBLOCK from the socket of the old generation, whose threads then wait in accept(2) and serve nobody.
    contains(sockets.splitlines(), "NonBlocking=yes", "sockets.conf")
    said = run(["systemd-analyze", "verify", "--man=no", "--recursive-errors=no", *units], home=folder)
    # Of the machine's own units, which are pulled in, there may be anything to say.
    equal([line for line in said.splitlines() if "postrider" in line], [], "what it says")


def check_users_and_folders(server):
    """sysusers makes vmail with 5000 as uid and gid, tmpfiles makes the folders for it"""
    root = server.folder("root")
    (root / "etc").mkdir()
    run(["systemd-sysusers", f"--root={root}", UNITS / "sysusers.conf"], home=server.dir)
    contains((root / "etc/passwd").read_text(), "vmail:x:5000:5000:", "users")
    contains((root / "etc/group").read_text(), "vmail:x:5000:", "groups")
    if os.geteuid() != 0:
        return
    run(["systemd-tmpfiles", f"--root={root}", "--create", UNITS / "tmpfiles.conf"], home=server.dir)
    for folder, mode, owner in [("etc/postrider", 0o750, (0, 5000)), ("etc/credstore", 0o700, (0, 0)), ("run/postrider", 0o750, (5000, 5000))]:
        found = (root / folder).stat()
        equal((oct(found.st_mode & 0o7777), (found.st_uid, found.st_gid)), (oct(mode), owner), folder)


def check_sockets_are_those_of_the_example(server):
    """each socket unit has an address of a listener of its program in examples/postrider.toml, or one of the program's metrics"""
    example = (ROOT / "examples" / "postrider.toml").read_text()
    for unit in UNITS.glob("*.socket"):
        found = re.findall(r"^ListenStream=(.*)$", unit.read_text(), flags=re.M)
        true(len(found) > 1, f"sockets of {unit.name}")
        for address in found:
            if address.startswith("127.0.0.1:209"):
                continue
            wanted = f'bind = "{address}"' if address.startswith("/") else f'bind = ["0.0.0.0:{address}", "[::]:{address}"]'
            contains(example, wanted, f"examples/postrider.toml, for {unit.name}")


def check_credentials(server):
    """a secret that the service manager keeps is found by the name of its folder"""
    folder = server.folder("credentials")
    (folder / "postrider.database").write_text("secret\n")
    (folder / "postrider.database").chmod(0o400)
    config = folder / "postrider.toml"
    config.write_text(
        f'data_dir = "{folder}/data"\n[database]\nurl = "postgres://postrider@localhost/mail"\n'
        'password_file = "${CREDENTIALS_DIRECTORY}/postrider.database"\n'
    )
    check = [lib.binary(), "--config", config, "check-config"]
    run(["env", f"CREDENTIALS_DIRECTORY={folder}", *check], home=folder)
    contains(run(check, home=folder, code=1), "CREDENTIALS_DIRECTORY", "what it says where there is none")


def filter_of(unit):
    """The system calls that a unit allows, by name; groups are what systemd says they are."""
    sets = {}
    for line in run(["systemd-analyze", "syscall-filter", "--no-pager"], home=ROOT).splitlines():
        if line.startswith("@"):
            name = line.split()[0]
            sets[name] = set()
        elif line.startswith("    ") and not line.strip().startswith("#"):
            sets[name].add(line.strip())

    def expanded(word):
        return {word} if word[0] != "@" else set().union(*(expanded(it) for it in sets[word]))

    allowed = set()
    for line in re.findall(r"^SystemCallFilter=(.*)$", (UNITS / unit).read_text(), flags=re.M):
        words = set().union(*(expanded(it) for it in line.lstrip("~").split()))
        allowed = allowed - words if line.startswith("~") else allowed | words
    return allowed


def check_system_calls(server):
    """every system call of the daemons, from start to end under some load, is one that their units allow"""
    for unit, program in PROGRAMS.items():
        used = traced(server, program, "embedded")
        true(len(used) > 40, f"system calls of {program}: {sorted(used)}")
        equal(sorted(used - filter_of(unit)), [], f"system calls of {program} that {unit} forbids")


def check_system_calls_with_neighbours(server):
    """the same on PostgreSQL, a bucket and a directory, over TLS and by name"""
    folder = Path(tempfile.mkdtemp(prefix="postrider-neighbours."))
    # PostgreSQL runs as a user of its own.
    folder.chmod(0o711)
    ports = {name: free_port() for name in neighbours.PORTS}
    beside = neighbours.Neighbours(folder, Path(lib.binary()).parent, "127.0.0.1", ["DNS:localhost"], lambda _, *words: [*map(str, words)], ports)
    try:
        beside.start_neighbours()
        settings = beside.settings("localhost", folder / "ca.pem", lambda it: f' = "{neighbours.SECRETS[it]}"')
        for unit, program in PROGRAMS.items():
            used = traced(server, program, "neighbours", settings)
            true(len(used) > 40, f"system calls of {program}: {sorted(used)}")
            equal(sorted(used - filter_of(unit)), [], f"system calls of {program} that {unit} forbids")
    finally:
        beside.end_neighbours()
        shutil.rmtree(folder)


def free_port():
    with socket.create_server(("127.0.0.1", 0)) as taken:
        return taken.getsockname()[1]


def traced(server, program, where, settings=""):
    """The system calls that a program makes: mail comes in and is read where it serves that, it reloads, it is asked for metrics."""
    folder = server.folder(f"traced-{program}-{where}")
    counts = folder / "calls"
    one = Server(folder, program=program, settings=settings)
    one.configure()
    house = Server(folder)
    house.control("migrate")
    if DOMAIN not in house.control("domain", "list"):
        house.control("domain", "add", DOMAIN)
        if settings:
            house.control("domain", "add", neighbours.CORPORATE, "--auth", "ldap")
    ada = house.account(f"ada-{program}-")
    # Of the directory, where there is one.
    ann = lib.Account(house, *list(neighbours.USERS.items())[1]) if settings else ada
    # The program itself has the number that we know; strace watches it from beside.
    one.prefix = ["strace", "-D", "-f", "-qq", "-c", "-U", "name", "-o", counts]
    with contextlib.ExitStack() as stack:
        stack.callback(one.__exit__)
        try:
            one.start()
        except Failed:
            if "ptrace" in one.log() or "PTRACE" in one.log():
                raise Skipped("this machine does not let strace watch a process") from None
            raise
        mailer = None
        if "lmtp" not in one.port:
            mailer = Server(folder, program="smtpd")
            stack.callback(mailer.__exit__)
            mailer.start()
        house.port = {**(mailer.port if mailer else {}), **one.port}
        ada.deliver(mail("one"), mail("two", "x" * 900_000))
        if "imaps" in one.port:
            true(len(ada.messages()) == 2, "messages")
            connection, file = imap_greeted(one)
            login(connection, file, ada, "SELECT INBOX", 'SEARCH TEXT "x"', "STORE 1 +FLAGS (\\Deleted)", "EXPUNGE")
            connection.close()
            with ann.imap() as client:
                equal(client.select()[0], "OK", "SELECT")
        if "submissions" in one.port:
            with smtplib.SMTP_SSL("localhost", one.port["submissions"], context=house.trust(), timeout=PATIENCE) as client:
                client.login(ann.email, ann.password)
                client.sendmail(ann.email, [ada.email], mail("three", sender=ann.email))
        if "pop3s" in one.port:
            for _ in range(2):
                run(["curl", "-sS", "--cacert", house.ca, f"pop3s://localhost:{one.port['pop3s']}/1", "-u", ada.login], home=folder)
        for path in ["metrics", "health/ready"]:
            run(["curl", "-sSf", f"http://127.0.0.1:{one.port['metrics']}/{path}"], home=folder)
        # MemoryDenyWriteExecute forbids them.
        true("rwx" not in open(f"/proc/{one.process.pid}/maps").read(), f"memory of {program} that is written and executed")
        one.process.send_signal(signal.SIGHUP)
        eventually(lambda: "configuration reloaded" in one.log(), "reloaded", PATIENCE)
        one.stop()
    eventually(lambda: counts.exists() and counts.read_text().strip(), "what strace counted", PATIENCE)
    names = [line.split()[-1] for line in counts.read_text().splitlines()]
    # A heading and two rules are among them.
    used = {it for it in names if re.fullmatch(r"[a-z][a-z0-9_]*", it)} - {"total", "syscall", "name"}
    # SQLite gives files of root's to the owner of their database, if root it is.
    return used - ({"fchown"} if os.geteuid() == 0 else set())


if __name__ == "__main__":
    lib.main(__file__, globals())
