"""A machine to boot: systemd as process 1 in namespaces of its own, over a view of this machine in which nothing written stays.

It has the programs of this machine and ours where packages put them, no unit but systemd's own few, a network of its own, and there,
under the name `back.two-hosts.test` of a DNS server of its own, the neighbours of contrib/two-hosts: PostgreSQL, a bucket and a
directory, all over TLS.
"""

import atexit
import contextlib
import ctypes
import os
import shlex
import shutil
import signal
import subprocess
import sys
import tempfile
from pathlib import Path

import lib
from lib import PATIENCE, ROOT, Failed, Skipped, eventually, run

sys.path.insert(0, str(ROOT / "contrib" / "two-hosts"))
import neighbours  # noqa: E402

ADDRESS, NAME = "10.77.0.20", "back.two-hosts.test"
# Where programs lie there, wherever they lie here: its /tmp is another one.
PLACES = {"postrider": "/usr/bin", "smtpd": "/usr/sbin", "imapd": "/usr/sbin", "pop3d": "/usr/sbin", "test-bucket": "/usr/bin"}
# What a machine in namespaces has no use for, and what would tidy up.
MASKED = """dev-hugepages.mount getty.target lvm2-monitor.service sys-kernel-debug.mount sys-kernel-tracing.mount systemd-logind.service
systemd-modules-load.service systemd-networkd.service systemd-resolved.service systemd-sysctl.service systemd-timesyncd.service
systemd-tmpfiles-clean.timer systemd-tmpfiles-setup-dev.service systemd-tmpfiles-setup.service systemd-udev-trigger.service
systemd-udevd.service systemd-update-utmp.service""".split()

# The first step: a mount namespace and a control group, which is seen as the root of all from the next on.
ENTER = """
set -eu
mount --make-rprivate /
mount -t tmpfs -o mode=755 none {base}
mkdir {base}/cgroup {base}/upper {base}/work {base}/root
mount -t cgroup2 none {base}/cgroup
mkdir {base}/cgroup/{group}
echo $$ > {base}/cgroup/{group}/cgroup.procs
exec unshare --pid --fork --kill-child --uts --ipc --cgroup --net sh -c {boot}
"""
BOOT = """
set -eu
umount {base}/cgroup
mount -t overlay -o lowerdir=/,upperdir={base}/upper,workdir={base}/work none {base}/root
cd {base}/root
mount -t proc proc proc
mount --bind proc/sys proc/sys
mount -o remount,bind,ro proc/sys
mount -t sysfs -o ro sysfs sys
mount -t cgroup2 cgroup2 sys/fs/cgroup
mount -t tmpfs -o mode=755 none dev
for it in null zero full random urandom tty; do touch dev/$it; mount --bind /dev/$it dev/$it; done
mkdir dev/pts dev/shm
mount -t devpts -o newinstance,ptmxmode=0666,mode=620 none dev/pts
ln -s pts/ptmx dev/ptmx
ln -s /proc/self/fd dev/fd
mount -t tmpfs none dev/shm
mount -t tmpfs -o mode=755 none run
mount -t tmpfs -o mode=1777 none tmp
mount -t tmpfs -o mode=755 none etc/systemd/system
mkdir -p ./{folder}
mount --bind {folder} ./{folder}
{programs}
for it in {masked}; do ln -s /dev/null etc/systemd/system/$it; done
printf '[Unit]\\nRequires=basic.target\\nAfter=basic.target\\n' > etc/systemd/system/machine.target
rm -f etc/machine-id etc/resolv.conf
echo 0123456789abcdef0123456789abcdef > etc/machine-id
echo nameserver 127.0.0.1 > etc/resolv.conf
hostname machine
ip link set lo up
ip address add {address}/32 dev lo
mkdir -p mnt
pivot_root . mnt
umount -l /mnt
# As process 1 finds it on a machine of its own: what it mounts for a service, in a process of its own, has to come through.
mount --make-rshared /
exec env -i container=other PATH=/usr/sbin:/usr/bin:/sbin:/bin /lib/systemd/systemd --system --unit=machine.target --log-target=journal </dev/null
"""
CLONE_NEWNET = 0x40000000


class Machine:
    """One that runs."""

    def __init__(self, *, with_neighbours=True):
        self.folder = Path(tempfile.mkdtemp(prefix="postrider-machine."))
        self.folder.chmod(0o711)
        self.group = f"postrider-machine-{os.getpid()}"
        self.process, self.pid, self.neighbours, self.names = None, None, None, None
        atexit.register(self.stop)
        self._boot()
        if with_neighbours:
            self.neighbours.start_neighbours()
        else:
            self.neighbours.certificates()

    def _boot(self):
        base = self.folder / "base"
        base.mkdir()
        shared = self.folder / "shared"
        shared.mkdir(mode=0o711)
        found = {name: lib.binary(name) for name in PLACES}
        programs = [f"touch ./{PLACES[name]}/{name}; mount --bind {path} ./{PLACES[name]}/{name}" for name, path in found.items()]
        boot = BOOT.format(base=base, folder=shared, programs="\n".join(programs), masked=" ".join(MASKED), address=ADDRESS)
        enter = ENTER.format(base=base, group=self.group, boot=shlex.quote(boot))
        log = (self.folder / "boot.log").open("ab")
        self.process = subprocess.Popen(
            ["unshare", "--mount", "sh", "-c", enter], stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True
        )
        eventually(lambda: self._has_booted() or self.process.poll() is not None, "systemd starts", PATIENCE)
        if self.process.poll() is not None:
            said = (self.folder / "boot.log").read_text(errors="replace").strip()
            raise Skipped(f"systemd cannot be started in namespaces here: {said}")
        eventually(lambda: self.ask("systemctl", "is-active", "machine.target") == "active", "it has booted", PATIENCE)
        script = Path(__file__).parent / "names.py"
        answers = {NAME: ADDRESS}
        self.names = subprocess.Popen(self.command("python3", "-c", script.read_text(), *(f"{k}={v}" for k, v in answers.items())))
        self.neighbours = neighbours.Neighbours(
            shared, Path(PLACES["test-bucket"]), ADDRESS, [f"DNS:{NAME}", "DNS:localhost", "IP:127.0.0.1"], lambda _, *words: self.command(*words)
        )

    def _has_booted(self):
        """Whether process 1 there is systemd, and takes orders."""
        children = Path(f"/proc/{self.process.pid}/task/{self.process.pid}/children")
        with contextlib.suppress(OSError, IndexError):
            pid = int(children.read_text().split()[0])
            if Path(f"/proc/{pid}/comm").read_text().strip() == "systemd" and Path(f"/proc/{pid}/root/run/systemd/private").exists():
                self.pid = pid
        return self.pid

    def stop(self):
        """Everything there ends with its process 1."""
        if self.neighbours:
            self.neighbours.end_neighbours()
        for process in [self.names, self.process]:
            if process and process.poll() is None:
                if process is self.process and self.pid:
                    os.kill(self.pid, signal.SIGKILL)
                else:
                    process.kill()
                process.wait()
        self.pid = None
        groups = f"mount -t cgroup2 none {self.folder}/base && find {self.folder}/base/{self.group} -depth -type d -exec rmdir {{}} +"
        subprocess.run(["unshare", "--mount", "sh", "-c", groups], capture_output=True)
        shutil.rmtree(self.folder, ignore_errors=True)

    # --- From outside -------------------------------------------------------------------------------------------------

    def command(self, *words):
        """A command as one that root gives there."""
        return ["nsenter", "--target", str(self.pid), "--all", "--root", "--wd", "--", *map(str, words)]

    def run(self, *words, input=None, code=0):
        """It must succeed; what it said."""
        return run(self.command(*words), home="/", input=input, code=code)

    def ask(self, *words):
        """What a command says, whatever its end."""
        done = subprocess.run(self.command(*words), stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, errors="replace")
        return done.stdout.strip()

    def path(self, path):
        """A file there, for who is here."""
        return Path(f"/proc/{self.pid}/root{path}")

    def journal(self, unit):
        """What a unit and systemd have said."""
        return self.ask("journalctl", "--no-pager", "-q", "-o", "cat", "-u", unit)

    def show(self, unit, name):
        """A property of a unit."""
        return self.ask("systemctl", "show", "--value", "-p", name, unit)

    @contextlib.contextmanager
    def network(self):
        """Sockets that this thread opens meanwhile are of the machine's network."""
        enter = ctypes.CDLL(None, use_errno=True).setns
        with open("/proc/thread-self/ns/net") as here, open(f"/proc/{self.pid}/ns/net") as there:
            if enter(there.fileno(), CLONE_NEWNET) != 0:
                raise Failed(f"setns: {os.strerror(ctypes.get_errno())}")
            try:
                yield
            finally:
                enter(here.fileno(), CLONE_NEWNET)


def wait_for(machine, what, holds):
    """Waits, and shows the end of the journal where it waits in vain."""
    try:
        return eventually(holds, what, PATIENCE)
    except Failed:
        print(machine.ask("journalctl", "--no-pager", "-q", "-n", "60"))
        raise
