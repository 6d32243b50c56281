"""Directories that others run: 389 Directory Server and Active Directory (of Samba), each on a machine of its own. Who may log in, who may not
and what the log says why; synchronisation by the id that each of them has. Skipped where namespaces are not allowed."""

import imaplib
import json
import os
import re

import lib
from lib import PATIENCE, Server, Skipped, contains, equal, lacks, true
from machine import NAME, Machine, wait_for

DOMAIN = "with.test"
TYPED, OTHER = "What is typed 1", "Something else 2"
# Further people: more than Active Directory gives in one page, and more than 389 Directory Server gives to whom it was not told to.
CROWD = {"ad": 1100, "389": 2100}
WRONG = "ldap: denied, wrong password"

_machine = []


def machine():
    """The one that all checks share; systemd and a network, nothing else."""
    if not _machine:
        if os.geteuid() != 0:
            raise Skipped("a machine of its own: only root may make one")
        try:
            _machine.append(Machine(with_neighbours=False))
        except Skipped as why:
            _machine.append(str(why))
    if isinstance(_machine[0], str):
        raise Skipped(_machine[0])
    return _machine[0]


class Inside(Server):
    """A server on the machine."""

    def __init__(self, one, name, settings):
        folder = one.neighbours.folder / name
        folder.mkdir()
        super().__init__(folder, settings=settings, listener_settings="", imap_settings="plaintext_login = true")
        self.one = one
        # Without its process namespace, in which nobody here could signal it.
        self.prefix = ["nsenter", "--target", str(one.pid), "--net", "--mount", "--root", f"--wd={folder}", "--"]

    @property
    def command(self):
        return ["/usr/bin/postrider", "--config", self.config, "run"]

    def control(self, *words, input=None, code=0):
        return lib.run([*self.prefix, "/usr/bin/postrider", "--config", self.config, *words], home=self.dir, input=input, code=code)

    def __enter__(self):
        self.configure()
        self.control("domain", "add", DOMAIN, "--auth", "ldap")
        self.start()
        return self

    def opens(self, user, password=TYPED):
        """What a login hears: OK, or the response code."""
        with self.one.network():
            client = imaplib.IMAP4("127.0.0.1", self.port["imap"], timeout=PATIENCE)
        try:
            return client.login(user, password)[0]
        except imaplib.IMAP4.error as refused:
            found = re.search(r"\[([A-Z-]+)\]", str(refused))
            true(found, f"{user}: {refused}")
            return found[1]
        finally:
            client.shutdown()

    def why(self, user):
        """What the log says of the last login."""
        lines = [json.loads(line) for line in self.log().splitlines() if line.startswith("{")]
        return [it["why"] for it in lines if it.get("user") == user][-1]


def ldap(one, what, url, who, password, *more, input=None, code=0):
    """One of the tools of OpenLDAP, on the machine."""
    trust = ["env", "LDAPTLS_REQCERT=never", "LDAPRC=/dev/null"]
    return one.run(*trust, what, "-x", "-H", url, "-D", who, "-w", password, *more, input=input, code=code)


def check_389(server):
    """389 Directory Server: who may log in, nsAccountLock, a lock by password policy, synchronisation by nsUniqueId"""
    one = machine()
    if not one.path("/usr/sbin/dscreate").exists():
        raise Skipped("389 Directory Server is not installed: apt-get install 389-ds-base")
    manager, secret = "cn=Directory Manager", "directory manager secret"
    one.path("/root/389.inf").write_text(f"""[general]
config_version = 2
full_machine_name = {NAME}
start = True
[slapd]
instance_name = test
root_password = {secret}
port = 10389
secure_port = 10636
self_sign_cert = True
[backend-userroot]
suffix = dc=test
create_suffix_entry = True
""")
    one.run("dscreate", "from-file", "/root/389.inf")
    url = f"ldaps://{NAME}:10636"

    def person(uid, password, more=""):
        return (f"dn: uid={uid},ou=people,dc=test\nobjectClass: inetOrgPerson\nuid: {uid}\ncn: {uid}\nsn: {uid}\n"
                f"mail: {uid}@{DOMAIN}\nuserPassword: {password}\n{more}\n")

    tree = "dn: ou=people,dc=test\nobjectClass: organizationalUnit\nou: people\n\n"
    tree += "dn: cn=postrider,dc=test\nobjectClass: organizationalRole\nobjectClass: simpleSecurityObject\ncn: postrider\nuserPassword: service secret\n\n"
    tree += person("yes", TYPED) + person("wrong", OTHER) + person("disabled", TYPED, "nsAccountLock: true\n") + person("locked", TYPED)
    tree += person("renamed", TYPED) + person("leaver", TYPED)
    ldap(one, "ldapadd", url, manager, secret, input=tree)
    aci = '(targetattr="*")(version 3.0; acl "postrider"; allow (read, search, compare) userdn="ldap:///cn=postrider,dc=test";)'
    policy = "".join(f"replace: {name}\n{name}: {value}\n-\n" for name, value in
                     {"passwordLockout": "on", "passwordMaxFailure": 3, "passwordUnlock": "off"}.items())
    ldap(one, "ldapmodify", url, manager, secret, input=f"dn: dc=test\nchangetype: modify\nadd: aci\naci: {aci}\n\ndn: cn=config\nchangetype: modify\n{policy}\n")
    ca = one.neighbours.folder / "389-ca.pem"
    ca.write_text(one.path("/etc/dirsrv/slapd-test/ca.crt").read_text())
    settings = f"""[auth]
cache = "0s"
[auth.ldap]
url = "{url}"
ca_file = "{ca}"
bind_dn = "cn=postrider,dc=test"
bind_password = "service secret"
base_dn = "ou=people,dc=test"
id_attribute = "nsUniqueId"
"""
    with Inside(one, "389", settings) as inside:
        for user, heard in {"yes": "OK", "wrong": "AUTHENTICATIONFAILED", "disabled": "AUTHENTICATIONFAILED", "nobody": "AUTHENTICATIONFAILED"}.items():
            equal(inside.opens(f"{user}@{DOMAIN}"), heard, user)
        equal(inside.opens(f"locked@{DOMAIN}"), "OK", "before it is locked")
        for _ in range(3):
            equal(inside.opens(f"locked@{DOMAIN}", OTHER), "AUTHENTICATIONFAILED", "a wrong password")
        equal(inside.opens(f"locked@{DOMAIN}"), "AUTHENTICATIONFAILED", "the right password of who is locked")
        for user, why in {
            "wrong": WRONG,
            "disabled": "ldap: denied, unwillingToPerform (53): Account inactivated",
            "locked": "ldap: denied, constraintViolation (19): Exceed password retry limit",
            "nobody": "ldap: unknown, no entry",
        }.items():
            contains(inside.why(f"{user}@{DOMAIN}"), why, f"log of {user}")
        equal(inside.opens(f"renamed@{DOMAIN}"), "OK", "before the new name")
        contains(inside.control("ldap", "sync"), f"{DOMAIN}: 6 entries", "synchronised")
        ldap(one, "ldapmodify", url, manager, secret, input=f"dn: uid=renamed,ou=people,dc=test\nchangetype: modify\nreplace: mail\nmail: new-name@{DOMAIN}\n")
        ldap(one, "ldapdelete", url, manager, secret, "uid=leaver,ou=people,dc=test")
        said = inside.control("ldap", "sync")
        contains(said, f"disable leaver@{DOMAIN}: gone from the directory", "synchronised")
        contains(said, f"rename renamed@{DOMAIN} to new-name@{DOMAIN}", "synchronised")
        equal(inside.opens(f"new-name@{DOMAIN}"), "OK", "after the new name")
        equal(inside.opens(f"leaver@{DOMAIN}"), "AUTHENTICATIONFAILED", "who has left")
        # More than it gives in one answer to whom it was not told to.
        people = "".join(person(f"crowd{at}", TYPED) for at in range(CROWD["389"]))
        ldap(one, "ldapadd", url, manager, secret, input=people)
        said = inside.control("ldap", "sync")
        contains(said, f"{DOMAIN}: {CROWD['389'] + 5} entries, {CROWD['389']} changes made", "synchronised")
        equal(inside.opens(f"crowd{CROWD['389'] - 1}@{DOMAIN}"), "OK", "the last of the crowd")


def check_active_directory(server):
    """Active Directory: why a bind is refused, sAMAccountName and userPrincipalName, objectGUID, more people than a page"""
    one = machine()
    if not one.path("/usr/share/samba/setup/ad-schema").exists():
        raise Skipped("the domain controller of Samba is not installed: apt-get install samba-ad-dc samba-ad-provision")
    one.path("/etc/samba/smb.conf").unlink(missing_ok=True)
    admin = "Admin secret 1"
    one.run("samba-tool", "domain", "provision", "--realm=AD.TEST", "--domain=AD", "--server-role=dc", f"--adminpass={admin}", "--dns-backend=NONE",
            "--host-name=back", "--option=bind interfaces only=yes", "--option=interfaces=lo")
    shared = one.neighbours.folder
    for name in ["ca.pem", "tls.pem", "tls.key"]:
        one.path(f"/var/lib/samba/private/tls/{name}").write_text((shared / name).read_text())
        one.path(f"/var/lib/samba/private/tls/{name}").chmod(0o600)
    file = one.path("/etc/samba/smb.conf")
    tls = "[global]\n\ttls cafile = tls/ca.pem\n\ttls certfile = tls/tls.pem\n\ttls keyfile = tls/tls.key\n"
    file.write_text(file.read_text().replace("[global]\n", tls, 1))
    for name in ["--complexity=off", "--min-pwd-length=4", "--history-length=0", "--min-pwd-age=0"]:
        one.run("samba-tool", "domain", "passwordsettings", "set", name)
    one.run("samba-tool", "domain", "passwordsettings", "set", "--account-lockout-threshold=3")
    for user, password, *more in [("postrider", "Service secret 1"), ("yes", TYPED), ("wrong", OTHER), ("disabled", TYPED), ("locked", TYPED),
                                  ("change", TYPED, "--must-change-at-next-login"), ("renamed", TYPED), ("moved", TYPED), ("leaver", TYPED),
                                  ("jdoe", TYPED), ("expired", TYPED)]:
        address = [] if user == "postrider" else [f"--mail-address={'jane.doe' if user == 'jdoe' else user}@{DOMAIN}"]
        one.run("samba-tool", "user", "create", user, password, *address, *more)
    one.run("samba-tool", "user", "disable", "disabled")
    one.run("systemctl", "unmask", "samba-ad-dc")
    one.run("systemctl", "start", "samba-ad-dc")
    url = f"ldaps://{NAME}"
    who = ("administrator@ad.test", admin)
    wait_for(one, "it answers", lambda: "dn:" in one.ask("env", "LDAPTLS_REQCERT=never", "ldapsearch", "-x", "-H", url, "-D", who[0], "-w", who[1], "-b", "", "-s", "base"))
    crowd = "".join(
        f"dn: CN=crowd{at},CN=Users,DC=ad,DC=test\nobjectClass: user\nsAMAccountName: crowd{at}\nmail: crowd{at}@{DOMAIN}\nuserAccountControl: 546\n\n"
        for at in range(CROWD["ad"])
    )
    ldap(one, "ldapadd", url, *who, input=crowd)
    ldap(one, "ldapmodify", url, *who, input=f"dn: CN=jdoe,CN=Users,DC=ad,DC=test\nchangetype: modify\nreplace: userPrincipalName\nuserPrincipalName: jd@{DOMAIN}\n")
    settings = f"""[auth]
cache = "0s"
[auth.ldap]
url = "{url}"
ca_file = "{shared}/ca.pem"
bind_dn = "postrider@ad.test"
bind_password = "Service secret 1"
base_dn = "dc=ad,dc=test"
user_filter = "(&(objectCategory=person)(objectClass=user)(|(mail={{email}})(userPrincipalName={{email}})(sAMAccountName={{uid}})))"
sync_filter = "(&(objectCategory=person)(objectClass=user)(mail=*@{DOMAIN}))"
id_attribute = "objectGUID"
uid_attribute = "sAMAccountName"
alias_attributes = ["userPrincipalName"]
default_domain = "{DOMAIN}"
sync_page = 500
"""
    with Inside(one, "ad", settings) as inside:
        for login in [f"yes@{DOMAIN}", "yes", f"jane.doe@{DOMAIN}", f"jdoe@{DOMAIN}", "jdoe", f"jd@{DOMAIN}"]:
            equal(inside.opens(login), "OK", login)
        equal(len(re.findall(r"^jane.doe@", inside.control("user", "list"), flags=re.M)), 1, "accounts of one who has three names")
        for _ in range(3):
            equal(inside.opens(f"locked@{DOMAIN}", OTHER), "AUTHENTICATIONFAILED", "a wrong password")
        contains(inside.why(f"locked@{DOMAIN}"), WRONG, "log of who is not locked yet")
        for user, why in {
            "wrong": WRONG,
            "disabled": "ldap: denied, the entry is disabled",
            "change": "ldap: denied, the password must be changed first",
            "locked": "ldap: denied, the entry is locked",
            "nobody": "ldap: unknown, no entry",
        }.items():
            equal(inside.opens(f"{user}@{DOMAIN}"), "AUTHENTICATIONFAILED", user)
            contains(inside.why(f"{user}@{DOMAIN}"), why, f"log of {user}")
        equal(inside.opens(f"yes@{DOMAIN}", ""), "AUTHENTICATIONFAILED", "an empty password")
        contains(inside.control("ldap", "sync"), f"{DOMAIN}: {CROWD['ad'] + 10} entries", "synchronised")
        # They are disabled there, and get no mailbox.
        inside.control("user", "show", f"crowd{CROWD['ad'] - 1}@{DOMAIN}", code=1)
        ldap(one, "ldapmodify", url, *who, input=f"dn: CN=renamed,CN=Users,DC=ad,DC=test\nchangetype: modify\nreplace: mail\nmail: new-name@{DOMAIN}\n")
        ldap(one, "ldapmodify", url, *who, input="dn: CN=moved,CN=Users,DC=ad,DC=test\nchangetype: modrdn\nnewrdn: CN=elsewhere\ndeleteoldrdn: 1\n")
        one.run("samba-tool", "user", "delete", "leaver")
        # It refers whoever searches its root to its parts without people, which hinders nobody from being gone.
        said = inside.control("ldap", "sync")
        contains(said, f"rename renamed@{DOMAIN} to new-name@{DOMAIN}", "synchronised")
        contains(said, f"disable leaver@{DOMAIN}: gone from the directory", "synchronised")
        lacks(said, f"disable moved@{DOMAIN}", "synchronised")
        for login, heard in {"new-name": "OK", "moved": "OK", "leaver": "AUTHENTICATIONFAILED"}.items():
            equal(inside.opens(f"{login}@{DOMAIN}"), heard, f"{login} afterwards")
        # The day of the first landing on the moon.
        ldap(one, "ldapmodify", url, *who, input="dn: CN=expired,CN=Users,DC=ad,DC=test\nchangetype: modify\nreplace: accountExpires\naccountExpires: 116303292000000000\n")
        contains(inside.control("ldap", "sync"), f"disable expired@{DOMAIN}: expired by accountExpires", "synchronised")
        equal(inside.opens(f"expired@{DOMAIN}"), "AUTHENTICATIONFAILED", "who has expired")
        contains(inside.why(f"expired@{DOMAIN}"), "ldap: denied, the entry has expired", "log of who has expired")


if __name__ == "__main__":
    lib.main(__file__, globals())
