"""What mail hosts stand on: PostgreSQL, a bucket and an LDAP directory, all of them on one address and over TLS, with certificates of
one CA that is made for it. For the demonstration beside this file, and for tests that want the same."""

import glob
import os
import pwd
import shutil
import signal
import subprocess
import time
from pathlib import Path

# Generous: a busy machine.
PATIENCE = 90
LOCAL, CORPORATE = "local.example", "corp.example"
USERS = {f"ada@{LOCAL}": "local secret of ada", f"ann@{CORPORATE}": "directory secret of ann"}
# What a server must know beside addresses and names.
SECRETS = {"database": "database secret", "s3-access": "AKIATEST", "s3-secret": "secret/+secret", "ldap": "service secret"}
BUCKET, REGION = "mailboxes", "kr-central-1"
PORTS = {"database": 5432, "bucket": 9443, "bucket without TLS": 9000, "directory": 636}


class Failed(Exception):
    """Something that should hold does not."""


def run(*command, **how):
    """A program that must succeed; what it printed."""
    done = subprocess.run([str(it) for it in command], capture_output=True, text=True, **how)
    if done.returncode:
        raise Failed(f"{' '.join(map(str, command))}: {done.stderr or done.stdout}")
    return done.stdout


def wait_until(holds, what, patience=PATIENCE):
    """Waits; fails when it has waited long enough."""
    begun = time.monotonic()
    while not holds():
        if time.monotonic() - begun > patience:
            raise Failed(f"not in {patience} s: {what}")
        time.sleep(0.1)
    return time.monotonic() - begun


class Neighbours:
    """They and whatever else runs, with what they write, in one folder."""

    def __init__(self, folder, programs, address, names, command, ports=PORTS):
        """`programs` is the folder of ours, `address` theirs, and the certificate is for that and for `names`; `command(place, …)` is a
        command in a place, of which theirs is "back"."""
        self.folder, self.bin, self.address, self.names, self.command, self.port = folder, programs, address, names, command, ports
        self.running = {}

    # --- What runs ----------------------------------------------------------------------------------------------

    def start(self, name, place, *command):
        log = (self.folder / f"{name}.log").open("ab")
        command = self.command(place, *command)
        self.running[name] = subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, cwd=self.folder, start_new_session=True
        )
        log.close()

    def end(self, name, how=signal.SIGTERM):
        process = self.running.pop(name, None)
        if process is None:
            return
        if process.poll() is None:
            process.send_signal(how)
        try:
            process.wait(timeout=PATIENCE)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()

    def end_neighbours(self):
        for name in ["slapd", "bucket-tls", "bucket", "postgresql"]:
            # PostgreSQL: a fast shutdown, whoever is still connected.
            self.end(name, signal.SIGINT if name == "postgresql" else signal.SIGTERM)

    def log(self, name):
        path = self.folder / f"{name}.log"
        return "\n".join(path.read_text(errors="replace").splitlines()[-30:]) if path.exists() else ""

    def lives(self, name):
        process = self.running[name]
        if process.poll() is not None:
            raise Failed(f"{name} has ended with {process.returncode}:\n{self.log(name)}")
        return True

    # --- What it consists of ------------------------------------------------------------------------------------

    def start_neighbours(self):
        self.certificates()
        self.bucket()
        self.postgresql()
        self.directory()

    def certificates(self):
        at = {"cwd": self.folder}
        curve = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes"]
        run("openssl", "req", "-x509", *curve, "-keyout", "ca.key", "-out", "ca.pem", "-days", "30", "-subj", "/CN=two-hosts",
            "-addext", "basicConstraints=critical,CA:TRUE", "-addext", "keyUsage=critical,keyCertSign,cRLSign", **at)
        names = [*self.names, f"IP:{self.address}"]
        (self.folder / "names").write_text(f"subjectAltName={','.join(names)}\nbasicConstraints=CA:FALSE\n")
        run("openssl", "req", *curve, "-keyout", "tls.key", "-out", "tls.csr", "-subj", "/CN=two-hosts", **at)
        run("openssl", "x509", "-req", "-in", "tls.csr", "-CA", "ca.pem", "-CAkey", "ca.key", "-CAcreateserial", "-days", "30",
            "-out", "tls.pem", "-extfile", "names", **at)

    def postgresql(self):
        found = sorted(glob.glob("/usr/lib/postgresql/*/bin"))
        if not found:
            raise Failed("PostgreSQL is missing: apt-get install --no-install-recommends postgresql-15")
        tools = Path(found[-1])
        home = self.folder / "postgresql"
        home.mkdir()
        shutil.copy(self.folder / "tls.key", home / "tls.key")
        (home / "tls.key").chmod(0o600)
        as_user = []
        if os.geteuid() == 0:
            users = {it.pw_name: it for it in pwd.getpwall()}
            user = users.get("postgres") or users["nobody"]
            for path in [home, home / "tls.key"]:
                os.chown(path, user.pw_uid, user.pw_gid)
            as_user = ["setpriv", f"--reuid={user.pw_uid}", f"--regid={user.pw_gid}", "--clear-groups"]
        data = home / "data"
        run(*as_user, tools / "initdb", "-D", data, "-U", "postgres", "-A", "trust", "-E", "UTF8", "--locale=C.UTF-8",
            "--no-sync", cwd=home)
        with (data / "pg_hba.conf").open("a") as rules:
            rules.write("hostssl mailserver postrider all scram-sha-256\n")
        settings = {
            "listen_addresses": self.address,
            "port": self.port["database"],
            "unix_socket_directories": home,
            "max_connections": 100,
            "ssl": "on",
            "ssl_cert_file": self.folder / "tls.pem",
            "ssl_key_file": home / "tls.key",
            # What a host that is cut off held is free again after so long.
            "tcp_keepalives_idle": 5,
            "tcp_keepalives_interval": 2,
            "tcp_keepalives_count": 3,
        }
        options = [part for name, value in settings.items() for part in ("-c", f"{name}={value}")]
        self.start("postgresql", "back", *as_user, tools / "postgres", "-D", data, *options)
        ready = self.command("back", tools / "pg_isready", "-q", "-h", home, "-p", self.port["database"])
        wait_until(lambda: self.lives("postgresql") and subprocess.run(ready).returncode == 0, "PostgreSQL answers")
        statements = [f"CREATE ROLE postrider LOGIN PASSWORD '{SECRETS['database']}'", "CREATE DATABASE mailserver OWNER postrider"]
        words = [word for statement in statements for word in ("-c", statement)]
        run(*self.command("back", tools / "psql", "-qX", "-h", home, "-p", self.port["database"], "-U", "postgres", *words))

    def bucket(self):
        """The S3 server of the tests speaks no TLS: HAProxy does it."""
        plain = f"127.0.0.1:{self.port['bucket without TLS']}"
        self.start("bucket", "back", self.bin / "test-bucket", plain)
        both = self.folder / "tls-and-key.pem"
        both.write_text((self.folder / "tls.pem").read_text() + (self.folder / "tls.key").read_text())
        (self.folder / "bucket-tls.cfg").write_text(f"""defaults
  mode tcp
  timeout connect 2s
  timeout client 2m
  timeout server 2m
listen bucket
  bind {self.address}:{self.port['bucket']} ssl crt {both}
  server bucket {plain}
""")
        self.start("bucket-tls", "back", shutil.which("haproxy") or "/usr/sbin/haproxy", "-db", "-f", self.folder / "bucket-tls.cfg")

    def directory(self):
        home = self.folder / "slapd"
        home.mkdir()
        (home / "slapd.conf").write_text(f"""include /etc/ldap/schema/core.schema
include /etc/ldap/schema/cosine.schema
include /etc/ldap/schema/inetorgperson.schema
pidfile {home}/pid
modulepath /usr/lib/ldap
moduleload back_mdb
TLSCACertificateFile {self.folder}/ca.pem
TLSCertificateFile {self.folder}/tls.pem
TLSCertificateKeyFile {self.folder}/tls.key
TLSVerifyClient never
database mdb
suffix "dc=example"
rootdn "cn=admin,dc=example"
rootpw secret
directory {home}
dbnosync
access to attrs=userPassword by anonymous auth by * none
access to * by dn.exact="cn=postrider,dc=example" read by * none
""")
        people = [user for user in USERS if user.endswith(CORPORATE)]
        ldif = f"""dn: dc=example
objectClass: dcObject
objectClass: organization
dc: example
o: Example

dn: cn=postrider,dc=example
objectClass: organizationalRole
objectClass: simpleSecurityObject
cn: postrider
userPassword: {SECRETS['ldap']}

"""
        for mail in people:
            uid = mail.split("@")[0]
            ldif += (f"dn: uid={uid},dc=example\nobjectClass: inetOrgPerson\nuid: {uid}\ncn: {uid}\nsn: {uid}\n"
                     f"mail: {mail}\nuserPassword: {USERS[mail]}\n\n")
        (home / "tree.ldif").write_text(ldif)
        slapd = shutil.which("slapd") or "/usr/sbin/slapd"
        run(slapd, "-T", "add", "-q", "-f", home / "slapd.conf", "-l", home / "tree.ldif")
        url = f"ldaps://{self.address}:{self.port['directory']}/"
        self.start("slapd", "back", slapd, "-f", home / "slapd.conf", "-h", url, "-d", "0")
        ask = self.command("back", "ldapwhoami", "-x", "-H", url)
        environment = {**os.environ, "LDAPTLS_CACERT": str(self.folder / "ca.pem"), "LDAPRC": "/dev/null"}
        answers = lambda: subprocess.run(ask, env=environment, capture_output=True).returncode == 0
        wait_until(lambda: self.lives("slapd") and answers(), "slapd answers")

    def settings(self, host, ca, secret):
        """What a configuration says of them: by this address or name, trusting this file; `secret(name)` is the line of a secret, after its
        key."""
        return f"""[database]
url = "postgres://postrider@{host}:{self.port['database']}/mailserver?sslmode=verify-full&sslrootcert={ca}&statement_timeout=5&connect_timeout=2"
password{secret('database')}
pool_size = 8

[store]
kind = "s3"
endpoint = "https://{host}:{self.port['bucket']}"
ca_file = "{ca}"
bucket = "{BUCKET}"
region = "{REGION}"
path_style = true
access_key{secret('s3-access')}
secret_key{secret('s3-secret')}
timeout = "3s"

[auth.ldap]
url = "ldaps://{host}:{self.port['directory']}"
ca_file = "{ca}"
bind_dn = "cn=postrider,dc=example"
bind_password{secret('ldap')}
base_dn = "dc=example"
"""
