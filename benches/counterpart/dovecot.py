"""Debian's Dovecot as a site would run it: Maildir, fsync on, system users for its parts, TLS, LMTP for Postfix.

What differs from its defaults, and why, so that the comparison is fair to it:
- login processes serve many connections (service_count = 0) and wait ready, its own "high performance" setting: with one process
  a connection, thousands of clients would need thousands of login processes more; and a process that served one IMAP or POP3
  session serves others after it, instead of being made anew for each;
- process limits are raised so that 5,000 clients fit;
- its cache of logins is on (auth_cache_size), as the other server's is;
- passwords are hashed with bcrypt at its lowest cost: hashing is the same work for every server, and not what is measured;
- the listener in clear takes passwords, since one load reads without TLS.

`mail_fsync` is its default, "optimized": what it acknowledges over LMTP and APPEND is synced, what can be rebuilt is not.
`imap-hibernate` is off, as by default: it would give the memory of idle clients back, and take it again with their next command.
"""

import os
import pathlib
import pwd
import shutil

from . import process

PACKAGES = ["dovecot-imapd", "dovecot-pop3d", "dovecot-lmtpd"]
PROGRAMS = ["/usr/sbin/dovecot", "/usr/lib/dovecot/imap", "/usr/lib/dovecot/pop3", "/usr/lib/dovecot/lmtp"]

CONFIG = """\
base_dir = {run}
state_dir = {run}
log_path = {log}
protocols = imap pop3 lmtp
listen = 127.0.0.1
ssl = yes
disable_plaintext_auth = no
mail_fsync = optimized
auth_cache_size = 16M
auth_cache_ttl = 1 hour
ssl_min_protocol = TLSv1.2
ssl_cert = <{tls}/server.crt
ssl_key = <{tls}/server.key
auth_mechanisms = plain
mail_location = maildir:{mail}/%u
mail_uid = {owner}
mail_gid = {owner}
first_valid_uid = 1
mail_max_userip_connections = 50
passdb {{
  driver = passwd-file
  args = {users}
}}
userdb {{
  driver = static
  args = uid={owner} gid={owner} home={mail}/%u
}}
namespace inbox {{
  inbox = yes
}}
service imap-login {{
  service_count = 0
  client_limit = 4000
  process_min_avail = 2
  inet_listener imap {{
    port = {imap}
  }}
  inet_listener imaps {{
    port = {imaps}
    ssl = yes
  }}
}}
service imap {{
  process_limit = 6000
  service_count = 256
  process_min_avail = 2
}}
service pop3-login {{
  service_count = 0
  client_limit = 4000
  process_min_avail = 2
  inet_listener pop3 {{
    port = 0
  }}
  inet_listener pop3s {{
    port = {pop3s}
    ssl = yes
  }}
}}
service pop3 {{
  process_limit = 1000
  service_count = 256
  process_min_avail = 2
}}
service lmtp {{
  process_min_avail = 2
  process_limit = 200
  inet_listener lmtp {{
    port = {lmtp}
  }}
}}
service anvil {{
  client_limit = 12000
}}
service auth {{
  client_limit = 12000
}}
service stats {{
  client_limit = 12000
}}
"""


def watches():
    """How many of its IDLE clients the kernel lets watch their mailbox at a time: all belong to one system user."""
    return int(pathlib.Path("/proc/sys/fs/inotify/max_user_instances").read_text())


class Dovecot:
    def __init__(self, directory, tls, users):
        self.directory = directory
        self.imap, self.imaps, self.pop3s, self.lmtp = process.free_ports(4)
        owner = pwd.getpwnam("mail")
        mail, run = directory / "mail", directory / "run"
        for d in (mail, run):
            d.mkdir(parents=True, exist_ok=True)
        os.chown(mail, owner.pw_uid, owner.pw_gid)
        table = directory / "users"
        table.write_text("".join(f"{user}:{process.HASH}::::::\n" for user in users))
        shutil.chown(table, "root", "dovecot")
        table.chmod(0o640)
        config = directory / "dovecot.conf"
        config.write_text(CONFIG.format(run=run, log=directory / "dovecot.log", tls=tls, mail=mail, users=table,
                                        owner=owner.pw_uid, imap=self.imap, imaps=self.imaps, pop3s=self.pop3s, lmtp=self.lmtp))
        self.config = config
        self.start()

    def start(self):
        self.daemon = process.Daemon(["/usr/sbin/dovecot", "-F", "-c", self.config], self.directory / "dovecot.out")
        try:
            process.wait_for_greeting(self.lmtp, b"220")
        except process.Failed as error:
            self.stop()
            log = self.directory / "dovecot.log"
            said = log.read_text(errors="replace")[-800:] if log.exists() else ""
            raise process.Failed(f"{error}\n{self.daemon.tail()}\n{said}") from None

    def restart(self):
        self.stop()
        self.start()

    @property
    def pid(self):
        return self.daemon.pid

    def stop(self):
        self.daemon.stop()

    @staticmethod
    def version():
        return "Dovecot " + process.run("/usr/sbin/dovecot", "--version").split()[0]
