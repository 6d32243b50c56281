"""The table of figures: median and spread of all rounds, a column a server."""

import statistics

README = "README.md"
BEGIN, END = "<!-- figures: written by benches/compare -->", "<!-- end of figures -->"

# Section, line, load, where the figure is, how to write it, and which way is better.
MORE, LESS = "more is better", "less is better"
ROWS = [
    ("Deliver 4 KiB messages until visible, messages/s", MORE, [
        *[(f"LMTP, {n} session{'s' if n > 1 else ''}", f"lmtp-{n}", ("figures", "visible_per_second"), "{:.0f}") for n in (1, 20, 100)],
        *[(f"SMTP, {n} session{'s' if n > 1 else ''}", f"smtp-{n}", ("figures", "visible_per_second"), "{:.0f}") for n in (1, 20, 100)],
        ("LMTP, 20 sessions into one mailbox (accepted)", "fill", ("figures", "accepted_per_second"), "{:.0f}"),
    ]),
    ("Server CPU, seconds per 1,000 messages delivered", LESS, [
        *[(f"LMTP, {n} session{'s' if n > 1 else ''}", f"lmtp-{n}", ("figures", "server_cpu_per_1000_messages"), "{:.2f}") for n in (1, 20, 100)],
        *[(f"SMTP, {n} session{'s' if n > 1 else ''}", f"smtp-{n}", ("figures", "server_cpu_per_1000_messages"), "{:.2f}") for n in (1, 20, 100)],
    ]),
    ("Mixed IMAP commands/s over TLS", MORE, [
        ("20 clients", "imap-20", ("figures", "commands_per_second"), "{:.0f}"),
        ("100 clients", "imap-100", ("figures", "commands_per_second"), "{:.0f}"),
    ]),
    ("Mixed IMAP commands", LESS, [
        ("20 clients, 95th percentile, ms", "imap-20", ("latency_ms", "all", "p95"), "{:.1f}"),
        ("100 clients, 95th percentile, ms", "imap-100", ("latency_ms", "all", "p95"), "{:.1f}"),
        ("Server CPU, seconds per 1,000 commands, 20 clients", "imap-20", ("figures", "server_cpu_per_1000_commands"), "{:.3f}"),
    ]),
    ("A mailbox of 10,000 messages, ms", LESS, [
        (f"{title}, {which}", "list", ("figures", f"{key}_{step}"), "{:.0f}")
        for step, title in (("select", "SELECT"), ("envelopes", "list of all envelopes"), ("flags", "flags of all"), ("structures", "BODYSTRUCTURE of all"))
        for key, which in (("first", "first"), ("again_2", "again"))
    ]),
    ("1,000 idle IMAP clients over TLS", LESS, [
        ("Memory of the server before (PSS), MiB", "idle", ("figures", "server_pss_before", 1024), "{:.0f}"),
        ("Memory of the server with them (PSS), MiB", "idle", ("figures", "server_pss_idle", 1024), "{:.0f}"),
        ("Memory a client, KiB", "idle", ("figures", "pss_per_client"), "{:.0f}"),
        ("Processes", "idle", ("figures", "server_processes_idle"), "{:.0f}"),
    ]),
    ("From the 250 of a delivery to EXISTS in IDLE, ms", LESS, [
        ("median", "notify", ("latency_ms", "reply_to_exists", "p50"), "{:.1f}"),
        ("95th percentile", "notify", ("latency_ms", "reply_to_exists", "p95"), "{:.1f}"),
    ]),
    ("Others", MORE, [
        ("IMAP logins/s, full TLS handshakes", "login", ("figures", "logins_per_second"), "{:.0f}"),
        ("POP3 RETR over TLS, 10 clients, MB/s", "pop3", ("figures", "megabytes_per_second"), "{:.0f}"),
    ]),
]


def value(found, load, path):
    """One figure of one round, if it was measured; a number at the end of a path divides."""
    here = found.get(load)
    for step in path:
        if here is None:
            return None
        here = here / step if isinstance(step, int) else here.get(step)
    return here


def cell(rounds, load, path, form):
    values = [v for v in (value(found, load, path) for found in rounds) if v is not None]
    if not values:
        return "-"
    failed = any(found.get(load, {}).get("failed") for found in rounds)
    middle = form.format(statistics.median(values))
    low, high = form.format(min(values)), form.format(max(values))
    spread = f" ({low}–{high})" if len(values) > 1 else ""
    return f"{middle}{spread}{' with failures' if failed else ''}"


def render(results, facts):
    """Markdown: what was measured on, then a table with the median and, in brackets, least and most of all rounds."""
    names = list(results)
    lines = [f"- {key}: {text}" for key, text in facts.items()]
    lines += ["", "Median, and in brackets least and most of all rounds.", ""]
    lines += [f"| | {' | '.join(names)} |", f"| --- |{' ---: |' * len(names)}"]
    for section, better, rows in ROWS:
        body = [(title, [cell(results[name], load, path, form) for name in names]) for title, load, path, form in rows]
        body = [(title, cells) for title, cells in body if any(c != "-" for c in cells)]
        if body:
            lines.append(f"| **{section}** ({better}) |{' |' * len(names)}")
            lines += [f"| {title} | {' | '.join(cells)} |" for title, cells in body]
    failures = sorted({f"{name}, {load}: {text}" for name in names for found in results[name]
                       for load, one in found.items() for text in one.get("failed", {})})
    if failures:
        lines += ["", "Failures:", ""] + [f"- {text}" for text in failures]
    return "\n".join(lines)


def write(path, table):
    """Puts the table between its two marks in the README."""
    text = path.read_text()
    head, found, rest = text.partition(BEGIN)
    _, closed, tail = rest.partition(END)
    if not (found and closed):
        raise SystemExit(f"compare: {path} has lost its marks {BEGIN!r} and {END!r}")
    path.write_text(f"{head}{BEGIN}\n{table}\n{END}{tail}")
