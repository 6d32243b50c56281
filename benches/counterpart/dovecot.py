"""Debian's Dovecot as a site would run it: Maildir, fsync on, system users for its parts, TLS, LMTP for Postfix.

What differs from Debian's defaults, and why, so that the comparison is fair to it:
- login processes serve many connections (service_count = 0), Dovecot's own "high performance" setting: with one process
  a connection, 1,000 clients would need 1,000 login processes more;
- process limits are raised so that 1,000 clients fit;
- passwords are hashed with bcrypt at its lowest cost: hashing is the same work for every server, and not what is measured.
"""

import os
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
ssl = required
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
    port = 0
  }}
  inet_listener imaps {{
    port = {imaps}
    ssl = yes
  }}
}}
service imap {{
  process_limit = 4000
}}
service pop3-login {{
  service_count = 0
  client_limit = 4000
  inet_listener pop3 {{
    port = 0
  }}
  inet_listener pop3s {{
    port = {pop3s}
    ssl = yes
  }}
}}
service lmtp {{
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


class Dovecot:
    def __init__(self, directory, tls, users):
        self.directory = directory
        self.imaps, self.pop3s, self.lmtp = process.free_ports(3)
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
                                        owner=owner.pw_uid, imaps=self.imaps, pop3s=self.pop3s, lmtp=self.lmtp))
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
