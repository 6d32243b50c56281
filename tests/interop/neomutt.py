"""neomutt: a person's mail program: it writes, reads, flags, moves and searches."""

import base64
import shlex

import lib
from lib import answer, contains, equal, mail, quoted, run


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
""")
    return folder


def neomutt(folder, *arguments, input=None):
    """Without a terminal."""
    return run(["neomutt", "-n", "-F", folder / "neomuttrc", *arguments], home=folder, input=input)


def keys(folder, pushed, *arguments):
    """On a terminal, with these keys pressed; what the screen showed."""
    command = ["neomutt", "-n", "-F", str(folder / "neomuttrc"), "-e", f'push "{pushed}"', *map(str, arguments)]
    line = f"stty rows 40 cols 120; {shlex.join(command)}"
    return run(["script", "--quiet", "--return", "--command", line, "/dev/null"], home=folder)


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
    """reads a message, flags another, deletes a third; the screen shows subjects and text"""
    ada = server.account("ada")
    folder = configure(server, ada, "read")
    ada.deliver(mail("subject-one", "text of the first\r\n"), mail("제목 둘"), mail("subject-three"))
    pushed = "<first-entry><display-message><exit><next-entry><flag-message><next-entry><delete-message><sync-mailbox><exit>"
    shown = keys(folder, pushed)
    for text in ["subject-one", "제목 둘", "text of the first"]:
        contains(shown, text, "what the screen showed")
    equal(ada.flags(), {1: ["\\Seen"], 2: ["\\Flagged"]}, "flags")


def check_move(server):
    """makes a mailbox, copies a message there, moves another one, opens it"""
    ada = server.account("ada")
    folder = configure(server, ada, "move")
    with ada.imap() as client:
        answer(client.create(quoted("Work/보고".encode("utf-7").decode().replace("+", "&"))))
        answer(client.create("Work"))
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
    keys(folder, "<postpone-message>", "-e", "set editor=true", "-H", folder / "letter")
    contains(ada.only_message("Drafts"), b"not yet done", "the draft")


if __name__ == "__main__":
    lib.main(__file__, globals())
