"""The client of two-hosts: orders on standard input, as JSON; what it saw on standard output.

    client.py show     mail from outside and between the domains, and what each user then finds
    client.py load     delivers and reads until standard input ends, and counts
    client.py read     reads everything, and says what is whole
    client.py get URL  what a web server answers
"""

import hashlib
import imaplib
import json
import re
import smtplib
import ssl
import sys
import threading
import time
import urllib.error
import urllib.request

imaplib._MAXLINE = 10_000_000
# How long a client waits for an answer before it takes the connection for lost.
PATIENCE = 20
SENDERS, READERS = 4, 2


class Imap(imaplib.IMAP4_SSL):
    """A session of a user, by the certificate's name."""

    def __init__(self, orders, user):
        context = ssl.create_default_context(cafile=orders["ca"])
        self.named = (context, orders["name"])
        super().__init__(orders["front"], 993, ssl_context=context, timeout=PATIENCE)
        self.login(user, f'{orders["users"][user]}')
        self.select("INBOX")

    def _create_socket(self, timeout):
        plain = imaplib.IMAP4._create_socket(self, timeout)
        context, name = self.named
        return context.wrap_socket(plain, server_hostname=name)


def message(name, to):
    """A message that can be made again from its name."""
    seed = hashlib.sha256(name.encode()).hexdigest()
    body = "".join(f"{at} {seed}\r\n" for at in range(int(seed[:2], 16)))
    return f"From: sender@outside.example\r\nTo: {to}\r\nSubject: {name}\r\nMessage-ID: <{name}@outside.example>\r\n\r\n{body}"


def get(url):
    try:
        with urllib.request.urlopen(url, timeout=2) as answer:
            return f"{answer.status}\n{answer.read().decode()}"
    except urllib.error.HTTPError as refused:
        return f"{refused.code}\n"
    except OSError as error:
        return f"none: {error}\n"


def submit(orders, user, to, subject):
    """What a user sends, with login."""
    context = ssl.create_default_context(cafile=orders["ca"])

    class Smtps(smtplib.SMTP_SSL):
        def _get_socket(self, host, port, timeout):
            return context.wrap_socket(smtplib.SMTP._get_socket(self, host, port, timeout), server_hostname=orders["name"])

    with Smtps(orders["front"], 465, timeout=PATIENCE, context=context) as smtp:
        smtp.login(user, orders["users"][user])
        smtp.sendmail(user, [to], f"From: {user}\r\nTo: {to}\r\nSubject: {subject}\r\n\r\nHello.\r\n")


def show(orders):
    users = list(orders["users"])
    lines = []
    for user in users:
        with smtplib.SMTP(orders["front"], 25, timeout=PATIENCE) as smtp:
            smtp.sendmail("sender@outside.example", [user], message("hello", user))
    submit(orders, users[0], users[1], "from the local domain to the directory's")
    submit(orders, users[1], users[0], "from the directory's domain to the local one")
    for user in users:
        imap = Imap(orders, user)
        _, found = imap.uid("FETCH", "1:*", "(BODY.PEEK[HEADER.FIELDS (SUBJECT RECEIVED)])")
        headers = [it[1].decode() for it in found if isinstance(it, tuple)]
        # What has just come, not the load before it.
        for header in headers[-2:]:
            if orders["client"] not in header:
                raise SystemExit(f"no trace of the client's address in {header}")
            by = re.search(r"by (\S+)", header)
            subject = re.search(r"Subject: (.*)", header)
            lines.append(f"{user}: \"{subject[1].strip()}\", taken by {by[1]} from {orders['client']}")
        imap.logout()
    return lines


class Load:
    """Clients that go on until they are told to end, and what they saw."""

    def __init__(self, orders):
        self.orders = orders
        self.stop = threading.Event()
        self.lock = threading.Lock()
        self.seen = {"delivered": 0, "read": 0, "later": 0, "lost": 0, "silence": 0.0, "names": [], "again": [], "wrong": []}
        self.last = time.monotonic()

    def count(self, what):
        with self.lock:
            self.seen[what] += 1

    def yes(self, name):
        with self.lock:
            now = time.monotonic()
            self.seen["silence"] = max(self.seen["silence"], now - self.last)
            self.last = now
            self.seen["delivered"] += 1
            self.seen["names"].append(name)

    def deliver(self, sender):
        users = list(self.orders["users"])
        number, smtp = 0, None
        while not self.stop.is_set():
            number += 1
            name = f"n{sender}.{number}.{time.time_ns():x}"
            to = users[number % len(users)]
            # Until somebody says yes: the message does not change, nor does its name.
            while not self.stop.is_set():
                sent = False
                try:
                    if smtp is None:
                        smtp = smtplib.SMTP(self.orders["front"], 25, timeout=PATIENCE)
                        smtp.ehlo("outside.example")
                    smtp.mail("sender@outside.example")
                    code, _ = smtp.rcpt(to)
                    if code == 250:
                        sent = True
                        code, said = smtp.data(message(name, to))
                    if code == 250:
                        self.yes(name)
                        break
                    if code >= 500:
                        with self.lock:
                            self.seen["wrong"].append(f"{code} {said!r}")
                    self.count("later")
                    smtp.rset()
                except (OSError, smtplib.SMTPException) as error:
                    if isinstance(error, smtplib.SMTPResponseException) and error.smtp_code >= 500:
                        with self.lock:
                            self.seen["wrong"].append(str(error))
                    if sent:
                        with self.lock:
                            self.seen["again"].append(name)
                    self.count("lost")
                    if smtp is not None:
                        smtp.close()
                    smtp = None
                    time.sleep(0.2)

    def read(self, reader):
        users = list(self.orders["users"])
        user = users[reader % len(users)]
        imap = None
        while not self.stop.is_set():
            try:
                if imap is None:
                    imap = Imap(self.orders, user)
                status, found = imap.uid("FETCH", "*", "(BODY.PEEK[])")
                if status == "OK":
                    self.count("read")
                elif "UNAVAILABLE" in str(found):
                    self.count("later")
                else:
                    with self.lock:
                        self.seen["wrong"].append(f"{status} {found!r}")
                time.sleep(0.02)
            except (OSError, imaplib.IMAP4.error) as error:
                text = str(error)
                refused = type(error) is imaplib.IMAP4.error and "UNAVAILABLE" not in text
                if refused and "AUTHENTICATIONFAILED" in text:
                    with self.lock:
                        self.seen["wrong"].append(text)
                self.count("lost")
                imap = None
                time.sleep(0.2)

    def run(self):
        threads = [threading.Thread(target=self.deliver, args=(at,)) for at in range(SENDERS)]
        threads += [threading.Thread(target=self.read, args=(at,)) for at in range(READERS)]
        for thread in threads:
            thread.start()
        # Orders end when everything has been seen.
        sys.stdin.read()
        self.stop.set()
        for thread in threads:
            thread.join()
        return self.seen


def read(orders):
    count, damaged, octets = {}, [], {}
    for user in orders["users"]:
        imap = Imap(orders, user)
        _, found = imap.uid("FETCH", "1:*", "(RFC822.SIZE)")
        octets[user] = sum(int(re.search(rb"RFC822.SIZE (\d+)", it)[1]) for it in found if it)
        _, found = imap.uid("FETCH", "1:*", "(BODY.PEEK[])")
        for text in (it[1].decode() for it in found if isinstance(it, tuple)):
            name = re.search(r"Message-ID: <(n[^@]*)@outside.example>", text)
            if name is None:
                continue
            count[name[1]] = count.get(name[1], 0) + 1
            if not text.endswith(message(name[1], user)):
                damaged.append(name[1])
        imap.logout()
    return {"count": count, "damaged": damaged, "octets": octets}


def main():
    what = sys.argv[1]
    if what == "get":
        print(get(sys.argv[2]))
        return
    if what == "load":
        print(json.dumps(Load(json.loads(sys.stdin.readline())).run()))
        return
    orders = json.loads(sys.stdin.read())
    print(json.dumps({"show": show, "read": read}[what](orders)))


if __name__ == "__main__":
    main()
