"""Debian's Postfix in front of Dovecot: receives SMTP on a high port, queues, delivers over LMTP.

It has its own configuration, queue and data directory, and touches nothing in /etc/postfix or /var/spool/postfix.
Its settings are Postfix's defaults but for names, places, log and the ports. Postfix starts as root only.
"""

import os
import pathlib
import shutil

from . import process

PACKAGES = ["postfix"]
PROGRAMS = ["/usr/sbin/postfix", "/usr/lib/postfix/sbin/master"]

MAIN = """\
compatibility_level = 3.6
config_directory = {config}
queue_directory = {queue}
data_directory = {data}
command_directory = /usr/sbin
daemon_directory = /usr/lib/postfix/sbin
mail_owner = postfix
setgid_group = postdrop
maillog_file = {log}
maillog_file_prefixes = {directory}
multi_instance_enable = no
myhostname = mx.example.test
mydestination =
mynetworks = 127.0.0.0/8
inet_interfaces = 127.0.0.1
inet_protocols = ipv4
virtual_mailbox_domains = example.test
virtual_transport = lmtp:inet:127.0.0.1:{lmtp}
relay_domains =
alias_maps =
local_recipient_maps =
smtpd_relay_restrictions = permit_mynetworks, reject_unauth_destination
smtpd_tls_security_level = none
biff = no
"""

# Debian's master.cf without chroot, and with what receiving and delivering here needs.
MASTER = """\
127.0.0.1:{smtp} inet n - n - - smtpd
pickup     unix n - n 60 1 pickup
cleanup    unix n - n - 0 cleanup
qmgr       unix n - n 300 1 qmgr
tlsmgr     unix - - n 1000? 1 tlsmgr
rewrite    unix - - n - - trivial-rewrite
bounce     unix - - n - 0 bounce
defer      unix - - n - 0 bounce
trace      unix - - n - 0 bounce
verify     unix - - n - 1 verify
flush      unix n - n 1000? 0 flush
proxymap   unix - - n - - proxymap
proxywrite unix - - n - 1 proxymap
smtp       unix - - n - - smtp
relay      unix - - n - - smtp
showq      unix n - n - - showq
error      unix - - n - - error
retry      unix - - n - - error
discard    unix - - n - - discard
local      unix - n n - - local
virtual    unix - n n - - virtual
lmtp       unix - - n - - lmtp
anvil      unix - - n - 1 anvil
scache     unix - - n - 1 scache
postlog    unix-dgram n - n - 1 postlogd
"""


class Postfix:
    def __init__(self, directory, lmtp):
        self.directory = directory
        (self.smtp,) = process.free_ports(1)
        self.config, queue, data = directory / "config", directory / "queue", directory / "data"
        for d in (self.config, queue, data):
            d.mkdir(parents=True, exist_ok=True)
        shutil.chown(data, "postfix", "root")
        # Its parts run as "postfix" and must reach the queue through the temporary directory.
        for d in (queue, *queue.parents):
            if d != pathlib.Path("/") and d.is_relative_to(directory.parent):
                os.chmod(d, d.stat().st_mode | 0o011)
        (self.config / "main.cf").write_text(MAIN.format(config=self.config, queue=queue, data=data, directory=directory,
                                                         log=directory / "postfix.log", lmtp=lmtp))
        (self.config / "master.cf").write_text(MASTER.format(smtp=self.smtp))
        process.run("/usr/sbin/postfix", "-c", self.config, "start")
        self.pid = int((queue / "pid" / "master.pid").read_text())
        try:
            process.wait_for_greeting(self.smtp, b"220")
        except process.Failed as error:
            self.stop()
            log = directory / "postfix.log"
            raise process.Failed(f"{error}\n{log.read_text(errors='replace')[-1500:] if log.exists() else ''}") from None

    def stop(self):
        process.run("/usr/sbin/postfix", "-c", self.config, "stop")

    @staticmethod
    def version():
        return "Postfix " + process.run("/usr/sbin/postconf", "-d", "-h", "mail_version").strip()
