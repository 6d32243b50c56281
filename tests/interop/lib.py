"""What the interop tests share: a Postrider of their own, accounts in it, clients with a deadline, and checks.

Each client has one file. Its functions `check_…(server)` run in the order of writing against one server that the
file has for itself: free ports of 127.0.0.1, data in a folder of its own, the certificate that the server made for
itself as the only one that the clients trust. The doc string of a check is what the output says was checked. A
check fails by raising; the others run all the same, and at the end a failed file shows the server's log.
"""

import contextlib
import imaplib
import json
import os
import random
import secrets
import shutil
import signal
import smtplib
import ssl
import subprocess
import sys
import tempfile
import time
import traceback
from email.message import EmailMessage
from email.utils import make_msgid
from pathlib import Path

DOMAIN = "interop.test"
ROOT = Path(__file__).resolve().parent.parent.parent
SERVICES = ["smtp", "submission", "submissions", "lmtp", "imap", "imaps", "pop3", "pop3s", "metrics"]
# Generous: a debug build on a busy machine hashes a password in seconds.
PATIENCE = 60

imaplib._MAXLINE = 10_000_000  # the library's limit is below what a large FETCH may answer in one line


class Failed(Exception):
    """A check that did not hold."""


class Skipped(Exception):
    """A check that cannot be made on this machine now; the output says why."""


# --- Checks ---------------------------------------------------------------------------------------------------------


def equal(actual, wanted, what):
    """Fails unless the two are equal."""
    if actual != wanted:
        raise Failed(f"{what}:\n  wanted {shorten(wanted)}\n  got    {shorten(actual)}")


def contains(text, part, what):
    """Fails unless `part` is in `text`; both texts, both octets, or a member of a list."""
    if part not in text:
        raise Failed(f"{what}:\n  wanted {shorten(part)}\n  in     {shorten(text)}")


def lacks(text, part, what):
    """Fails if `part` is in `text`."""
    if part in text:
        raise Failed(f"{what}:\n  did not want {shorten(part)}\n  in           {shorten(text)}")


def true(condition, what):
    """Fails unless the condition holds."""
    if not condition:
        raise Failed(what)


def shorten(value):
    """A value for a person to read."""
    text = value if isinstance(value, str) else repr(value)
    return text if len(text) <= 2000 else f"{text[:1000]} […{len(text) - 2000} more…] {text[-1000:]}"


def eventually(look, what, seconds=15):
    """The first true answer of `look`, which may take a while to come."""
    deadline = time.monotonic() + seconds
    while True:
        answer = look()
        if answer:
            return answer
        if time.monotonic() > deadline:
            raise Failed(f"{what}: not within {seconds} s, last answer {shorten(answer)}")
        time.sleep(0.05)


# --- Programs -------------------------------------------------------------------------------------------------------


def environment(home):
    """What a client sees of the world: nothing of the user who runs the tests."""
    return {
        "HOME": str(home),
        "LANG": "C.UTF-8",
        "LC_ALL": "C.UTF-8",
        "LOGNAME": "tester",
        "PATH": os.environ.get("PATH", "/usr/local/bin:/usr/bin:/bin") + ":/usr/sbin:/sbin",
        "TERM": "xterm",
        "TMPDIR": str(home),
        "TZ": "UTC",
        "USER": "tester",
    }


def run(arguments, *, home, input=None, code=0, seconds=PATIENCE):
    """Runs a client to its end and returns what it said on both outputs, as text.

    `code` is the exit code that is wanted, or None for any but 0.
    """
    arguments = [str(it) for it in arguments]
    if isinstance(input, str):
        input = input.encode()
    # Without this a client may wait for what a person at the terminal would type.
    source = {"input": input} if input is not None else {"stdin": subprocess.DEVNULL}
    try:
        done = subprocess.run(
            arguments, env=environment(home), cwd=home, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=seconds, **source
        )
    except subprocess.TimeoutExpired as late:
        said = (late.output or b"").decode(errors="replace")
        raise Failed(f"{arguments[0]} did not end within {seconds} s:\n{said}") from None
    said = done.stdout.decode(errors="replace")
    wanted = done.returncode != 0 if code is None else done.returncode == code
    if not wanted:
        command = " ".join(arguments)
        raise Failed(f"{command}\nended with {done.returncode}, wanted {'a failure' if code is None else code}:\n{said}")
    return said


# --- Mail -----------------------------------------------------------------------------------------------------------


def mail(subject="a subject", body="a line\r\n", *, sender=f"sender@{DOMAIN}", to=f"somebody@{DOMAIN}", **headers):
    """A plain message, as octets with CRLF."""
    message = EmailMessage()
    message["From"] = sender
    message["To"] = to
    message["Subject"] = subject
    message["Message-ID"] = make_msgid(domain="client.test")
    message["Date"] = "Sat, 01 Aug 2026 12:00:00 +0000"
    for name, value in headers.items():
        message[name.replace("_", "-")] = value
    message.set_content(body.replace("\r\n", "\n"))
    return octets(message)


def octets(message):
    """An EmailMessage as it goes over the wire."""
    return message.as_bytes(policy=message.policy.clone(linesep="\r\n"))


def body_of(message):
    """The octets after the header."""
    return message.partition(b"\r\n\r\n")[2]


class Account:
    """A mailbox to log in to."""

    def __init__(self, server, email, password):
        self.server = server
        self.email = email
        self.password = password

    def __str__(self):
        return self.email

    @property
    def login(self):
        """As curl's -u has it."""
        return f"{self.email}:{self.password}"

    @contextlib.contextmanager
    def imap(self):
        """Logged in over TLS from the first octet."""
        client = imaplib.IMAP4_SSL("localhost", self.server.port["imaps"], ssl_context=self.server.trust(), timeout=PATIENCE)
        try:
            client.login(self.email, self.password)
            yield client
        finally:
            with contextlib.suppress(imaplib.IMAP4.error, OSError):
                client.logout()

    def deliver(self, *messages):
        """Puts messages into INBOX by LMTP."""
        with smtplib.LMTP("localhost", self.server.port["lmtp"]) as client:
            for message in messages:
                client.sendmail(f"sender@{DOMAIN}", [self.email], message)

    def messages(self, mailbox="INBOX"):
        """All messages of a mailbox as octets, by UID."""
        with self.imap() as client:
            answer(client.select(quoted(mailbox), readonly=True))
            _, found = client.uid("FETCH", "1:*", "(UID BODY.PEEK[])")
            messages = {}
            for entry in found:
                if isinstance(entry, tuple):
                    head = entry[0].decode()
                    uid = int(head.split("UID ")[1].split()[0].rstrip(")"))
                    messages[uid] = entry[1]
            return messages

    def only_message(self, mailbox="INBOX"):
        """The one message that is there."""
        messages = self.messages(mailbox)
        equal(len(messages), 1, f"messages in {mailbox} of {self}")
        return next(iter(messages.values()))

    def flags(self, mailbox="INBOX"):
        """The flags of each message, sorted, by UID; without \\Recent."""
        with self.imap() as client:
            answer(client.select(quoted(mailbox), readonly=True))
            _, found = client.uid("FETCH", "1:*", "(UID FLAGS)")
            flags = {}
            for entry in filter(None, found):
                uid = int(entry.split(b"UID ")[1].split()[0].rstrip(b")"))
                flags[uid] = sorted(it.decode() for it in imaplib.ParseFlags(entry) if it != b"\\Recent")
            return flags


def answer(reply):
    """The data of a reply of imaplib that must be OK."""
    status, data = reply
    equal(status, "OK", f"IMAP answered {shorten(data)}")
    return data


def quoted(name):
    """A mailbox name for imaplib, which writes names as they are."""
    return '"' + name.replace("\\", "\\\\").replace('"', '\\"') + '"'


# --- The server -----------------------------------------------------------------------------------------------------


def binary(name="postrider"):
    """A built program: of POSTRIDER_BIN_DIR, or of Cargo's target folder."""
    folder = os.environ.get("POSTRIDER_BIN_DIR")
    if not folder:
        folder = Path(os.environ.get("CARGO_TARGET_DIR", ROOT / "target")) / os.environ.get("POSTRIDER_PROFILE", "debug")
    path = (Path(folder) / name).resolve()
    if not path.is_file():
        sys.exit(f"{path} is not there; build it: cargo build --workspace --bins")
    return path


# Replaces itself by the command behind its first two arguments, the numbers of sockets and their names.
HAND_OVER = """
import fcntl, os, sys
sockets = [fcntl.fcntl(int(it), fcntl.F_DUPFD, 500) for it in sys.argv[1].split(",")]
for number, socket in enumerate(sockets, 3):
    os.dup2(socket, number)
    os.close(socket)
os.environ.update(LISTEN_PID=str(os.getpid()), LISTEN_FDS=str(len(sockets)), LISTEN_FDNAMES=sys.argv[2])
os.execv(sys.argv[3], sys.argv[3:])
"""


class Server:
    """A `postrider run`, or another of the programs, with its data, from start to stop."""

    def __init__(self, folder, settings="", listener_settings="", imap_settings="", program="postrider"):
        """`settings` go into the configuration, `listener_settings` into every listener but that of the metrics, `imap_settings`
        into that of imap."""
        self.program = program
        self.dir = Path(folder)
        self.data = self.dir / "data"
        self.config = self.dir / "postrider.toml"
        self.log_path = self.dir / f"{program}.log"
        self.process = None
        self.port = {}
        # Put into its environment, and the listening sockets that it inherits, each with its name, as systemd does both.
        self.environment = {}
        self.sockets = []
        # What starts it, where that is not itself.
        self.prefix = []
        self._settings = settings
        self._listener_settings = listener_settings
        self._imap_settings = imap_settings
        self._names = 0

    # -- Start and stop

    def __enter__(self):
        self.configure()
        self.start()
        missing = [it for it in SERVICES if it not in self.port]
        equal(missing, [], "services without a port")
        self.control("domain", "add", DOMAIN)
        return self

    def __exit__(self, *failure):
        if self.process and self.process.poll() is None:
            self.process.kill()
            self.process.wait()

    def configure(self):
        """Writes the configuration: every service on a free port."""
        lines = [f'hostname = "mail.{DOMAIN}"', f'data_dir = "{self.data}"', self._settings]
        for service in SERVICES:
            lines += ["[[listener]]", f'service = "{service}"', 'bind = "127.0.0.1:0"']
            if service != "metrics":
                lines.append(self._listener_settings)
            if service == "imap":
                lines.append(self._imap_settings)
        self.config.write_text("\n".join(lines) + "\n")

    def start(self):
        """Starts and waits until every listener is ready."""
        ports = self.dir / f"{self.program}.ports.json"
        ports.unlink(missing_ok=True)
        with self.log_path.open("ab") as log:
            self.process = subprocess.Popen(
                [*self.prefix, *self._handing_over(), *self.command, "--ports-file", ports],
                stdin=subprocess.DEVNULL, stdout=log, stderr=log, env={**environment(self.dir), **self.environment}, cwd=self.dir,
                pass_fds=[it.fileno() for _, it in self.sockets],
            )
        deadline = time.monotonic() + PATIENCE
        while not ports.exists():
            if self.process.poll() is not None:
                raise Failed(f"{self.program} ended with {self.process.returncode} at its start")
            if time.monotonic() > deadline:
                raise Failed(f"{self.program} was not ready within {PATIENCE} s")
            time.sleep(0.02)
        self.port = json.loads(ports.read_text())

    def _handing_over(self):
        """What comes before the command, so that it finds its sockets where systemd puts them."""
        if not self.sockets:
            return []
        numbers = ",".join(str(it.fileno()) for _, it in self.sockets)
        return [sys.executable, "-c", HAND_OVER, numbers, ":".join(name for name, _ in self.sockets)]

    @property
    def command(self):
        """What starts it."""
        first = [binary(self.program), "--config", self.config]
        return [*first, "run"] if self.program == "postrider" else first

    def stop(self):
        """Asks it to leave, as an init system does, and waits."""
        if self.process.poll() is not None:
            raise Failed(f"the server ended by itself, with {self.process.returncode}")
        self.process.send_signal(signal.SIGTERM)
        try:
            equal(self.process.wait(timeout=PATIENCE), 0, "exit code after SIGTERM")
        except subprocess.TimeoutExpired:
            raise Failed(f"the server did not leave within {PATIENCE} s of SIGTERM") from None

    # -- What clients need

    @property
    def ca(self):
        """The certificate to trust."""
        return self.data / "tls" / "self-signed.crt"

    def trust(self):
        """The same for Python's clients."""
        return ssl.create_default_context(cafile=self.ca)

    def url(self, scheme, service=None):
        """As in imaps://localhost:40123."""
        return f"{scheme}://localhost:{self.port[service or scheme]}"

    def folder(self, name):
        """An empty folder for a client."""
        folder = self.dir / name
        folder.mkdir()
        return folder

    def log(self):
        """All it has logged so far."""
        return self.log_path.read_text(errors="replace")

    # -- The control program

    def control(self, *arguments, input=None, code=0):
        """Runs a command of the control program and returns what it said."""
        return run([binary(), "--config", self.config, *arguments], home=self.dir, input=input, code=code)

    def account(self, name=None, *options):
        """A new account with a password that only the control program's standard input has seen."""
        self._names += 1
        email = f"{name or 'user'}{self._names}@{DOMAIN}"
        # Hexadecimal: a leading "-" would be an option to some clients.
        password = secrets.token_hex(12)
        self.control("user", "add", email, *options, input=password + "\n")
        return Account(self, email, password)


# --- Running the checks ---------------------------------------------------------------------------------------------


def main(file, names, **settings):
    """Runs the checks of one file; ends the process with 1 if one failed.

    The last line is `N passed, N failed`, for whoever adds them up.
    """
    # Whoever stops this stops the server too, by way of `with`.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    client = Path(file).stem
    checks = [it for name, it in names.items() if name.startswith("check_")]
    only = sys.argv[1:]
    if only:
        checks = [it for it in checks if it.__name__.removeprefix("check_") in only]
    folder = tempfile.mkdtemp(prefix=f"postrider-{client}.")
    passed, failed = 0, 0
    server = Server(folder, **settings)
    try:
        with server:
            for check in checks:
                what = " ".join(check.__doc__.split())
                start = time.monotonic()
                if attempt(f"{client}: {what}", check, server, start):
                    passed += 1
                else:
                    failed += 1
            if attempt(f"{client}: the server is still well, and leaves when asked", Server.stop, server, time.monotonic()):
                passed += 1
            else:
                failed += 1
    except Failed as failure:
        print(f"FAIL  {client}: {failure}")
        failed += 1
    if "panicked" in server.log():
        print(f"FAIL  {client}: the server's log shows a panic")
        failed += 1
    if failed:
        print(f"----- the server's log ({client})")
        print(tail(server.log()))
        print("-----")
    if os.environ.get("TESTS_KEEP"):
        print(f"kept: {folder}")
    else:
        shutil.rmtree(folder)
    print(f"{passed} passed, {failed} failed")
    sys.exit(1 if failed else 0)


def attempt(what, check, server, start):
    """Runs one check and prints how it went."""
    try:
        check(server)
    except Skipped as skipped:
        print(f"skip  {what}: {skipped}")
        return True
    except Failed as failure:
        reason = str(failure)
    except Exception:  # a client library's own: the trace says where
        reason = traceback.format_exc()
    else:
        print(f"ok    {what} ({time.monotonic() - start:.1f} s)")
        return True
    indented = "\n".join(f"      {line}" for line in reason.splitlines())
    print(f"FAIL  {what}\n{indented}")
    return False


def tail(log, lines=300):
    """The end of a log."""
    all_lines = log.splitlines()
    left_out = len(all_lines) - lines
    head = [f"[{left_out} lines before]"] if left_out > 0 else []
    return "\n".join(head + all_lines[-lines:])


def kill_until_done(command, environment, what, seed):
    """Runs a command, killed after ever longer whiles, until it comes to its end. The first while is too short for anything on any machine."""
    dice, patience, killed = random.Random(seed), 0.004, 0
    while patience < 120:
        process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, env=environment)
        try:
            process.wait(timeout=patience * dice.uniform(0.5, 1))
        except subprocess.TimeoutExpired:
            process.send_signal(signal.SIGKILL)
            process.wait()
            killed, patience = killed + 1, patience * 1.25
            continue
        equal(process.returncode, 0, f"exit code of the {what} that came to its end")
        true(killed > 0, "nothing was killed")
        return
    raise Failed(f"it did not come to its end in {killed} runs")
