"""neomutt: a person's mail program: it writes, reads, flags, moves and searches."""

import base64
import codecs
import fcntl
import os
import pty
import select
import struct
import subprocess
import termios
import time

import lib
from lib import PATIENCE, Failed, answer, contains, environment, equal, mail, run


def configure(server, account, name):
    """A folder with a configuration."""
    folder = server.folder(name)
    user = account.email.replace("@", "%40")
    (folder / "neomuttrc").write_text(f"""
set ssl_ca_certificates_file="{server.ca}" certificate_file="{folder}/certificates" ssl_force_tls=yes ssl_starttls=yes
set imap_user="{account.email}" imap_pass="{account.password}"
set smtp_url="smtps://{user}@localhost:{server.port["submissions"]}/" smtp_pass="{account.password}"
set from="{account.email}" realname="Ada Lovelace" use_envelope_from=yes charset=utf-8
set folder="imaps://{user}@localhost:{server.port["imaps"]}/" spoolfile="+INBOX" record="+Sent" postponed="+Drafts"
set imap_passive=no mail_check=0 timeout=5 sleep_time=0 move=no delete=yes quit=yes wait_key=no header_cache="" confirmappend=no
set confirmcreate=no auto_tag=yes imap_check_subscribed=no mark_old=no
set index_format="%4C %Z %s" pager_index_lines=0 pager_stop=yes markers=no resume_draft_files=no
set editor=true autoedit=yes edit_headers=yes abort_unmodified=no
""")
    return folder


def neomutt(folder, *arguments, input=None):
    """Without a terminal."""
    return run(["neomutt", "-n", "-F", folder / "neomuttrc", *arguments], home=folder, input=input)


class Terminal:
    """neomutt on a terminal: what it shows can be waited for, and keys be pressed."""

    def __init__(self, folder, *arguments):
        self.terminal, inside = pty.openpty()
        fcntl.ioctl(inside, termios.TIOCSWINSZ, struct.pack("HHHH", 40, 120, 0, 0))
        command = ["neomutt", "-n", "-F", folder / "neomuttrc", *arguments]
        self.process = subprocess.Popen(
            command, stdin=inside, stdout=inside, stderr=inside, env=environment(folder), cwd=folder, start_new_session=True
        )
        os.close(inside)
        self.shown = ""
        self.seen = 0
        self.decoder = codecs.getincrementaldecoder("utf-8")("replace")

    def __enter__(self):
        return self

    def __exit__(self, *failure):
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait()
        os.close(self.terminal)

    def read(self, deadline):
        """Takes in what has come; false at the end of the program."""
        if not select.select([self.terminal], [], [], max(0, deadline - time.monotonic()))[0]:
            raise Failed(f"neomutt showed nothing more in time:\n{self.shown}")
        try:
            octets = os.read(self.terminal, 65536)
        except OSError:  # the other side is closed
            octets = b""
        self.shown += self.decoder.decode(octets)
        return bool(octets)

    def wait(self, text):
        """Waits until it shows a text that it has not shown before."""
        deadline = time.monotonic() + PATIENCE
        while text not in self.shown[self.seen :]:
            if not self.read(deadline):
                raise Failed(f"neomutt ended before it showed {text!r}:\n{self.shown}")
        self.seen = self.shown.index(text, self.seen) + len(text)

    def press(self, keys):
        os.write(self.terminal, keys.encode())

    def end(self, code=0):
        """Waits for its end; all that it showed."""
        deadline = time.monotonic() + PATIENCE
        while self.read(deadline):
            pass
        equal(self.process.wait(timeout=PATIENCE), code, "neomutt's exit code")
        return self.shown


def keys(folder, pushed):
    """Commands by name, one after the other; what the screen showed."""
    with Terminal(folder, "-e", f'push "{pushed}"') as terminal:
        return terminal.end()


def check_send(server):
    """sends over submissions, with an attachment, a Korean subject and a Korean text"""
    ada, bob = server.account("ada"), server.account("bob")
    folder = configure(server, ada, "send")
    attachment = folder / "report.bin"
    attachment.write_bytes(bytes(range(256)) * 20)
    neomutt(folder, "-s", "안녕하세요 보고서", "-a", attachment, "--", bob.email, input="본문입니다.\n")
    with bob.imap() as client:
        answer(client.select("INBOX"))
        client.literal = "보고서".encode()
        equal(answer(client.search("UTF-8", "SUBJECT")), [b"1"], "search by subject")
        client.literal = "본문입니다".encode()
        equal(answer(client.search("UTF-8", "BODY")), [b"1"], "search in the text")
        _, found = client.fetch("1", "(BODY.PEEK[2])")
        equal(base64.b64decode(found[0][1]), attachment.read_bytes(), "attachment")


def check_read_and_flag(server):
    """reads a message, flags another, deletes a third; subjects and text on the screen are what they should be"""
    ada = server.account("ada")
    folder = configure(server, ada, "read")
    ada.deliver(mail("subject-one", "본문 of the first\r\n"), mail("제목 둘"), mail("subject-three"))
    with Terminal(folder) as terminal:
        terminal.wait("subject-one")
        terminal.wait("제목 둘")
        terminal.press("=\r")
        terminal.wait("본문 of the first")
        terminal.press("ijFjd$q")
        terminal.end()
    equal(ada.flags(), {1: ["\\Seen"], 2: ["\\Flagged"]}, "flags")


def check_move(server):
    """copies a message to a mailbox that is not there yet, moves another one, opens the mailbox"""
    ada = server.account("ada")
    folder = configure(server, ada, "move")
    ada.deliver(mail("copied"), mail("moved"))
    pushed = "<first-entry><copy-message>=Work<enter><next-entry><save-message>=Work<enter><sync-mailbox>"
    keys(folder, pushed + "<change-folder>=Work<enter><exit>")
    contains(ada.only_message(), b"Subject: copied", "what is left in INBOX")
    subjects = [it.partition(b"Subject: ")[2].partition(b"\r\n")[0] for it in ada.messages("Work").values()]
    equal(sorted(subjects), [b"copied", b"moved"], "what is in Work")


def check_search(server):
    """limits the index to what the server finds in bodies, tags it and flags it"""
    ada = server.account("ada")
    folder = configure(server, ada, "search")
    ada.deliver(*(mail(f"number {number}", f"needle{number % 3}\r\n") for number in range(9)))
    keys(folder, "<limit>=b needle1<enter><tag-pattern>.<enter><flag-message><sync-mailbox><exit>")
    flagged = [uid for uid, flags in ada.flags().items() if "\\Flagged" in flags]
    equal(flagged, [2, 5, 8], "what is flagged")


def check_draft(server):
    """postpones a message into Drafts"""
    ada = server.account("ada")
    folder = configure(server, ada, "draft")
    (folder / "letter").write_text(f"To: bob@{lib.DOMAIN}\nSubject: not yet\n\nnot yet done\n")
    with Terminal(folder, "-H", folder / "letter") as terminal:
        # It may stop drawing there until a key is pressed.
        terminal.wait("Security:")
        terminal.press("P")
        terminal.end(code=1)  # nothing was sent
    contains(ada.only_message("Drafts"), b"not yet done", "the draft")


if __name__ == "__main__":
    lib.main(__file__, globals())
