"""A DNS server for a machine of its own: `names.py NAME=ADDRESS…` answers on port 53 of 127.0.0.1 (RFC 1035 section 4.1), with the
IPv4 addresses that it was given and with NXDOMAIN for every other name."""

import socket
import struct
import sys

A, IN = 1, 1
ANSWER, NAME_ERROR = 0x8580, 0x8583


def answer(query, known):
    """The whole answer to a query with one question."""
    labels, at = [], 12
    while query[at]:
        labels.append(query[at + 1 : at + 1 + query[at]].decode("ascii", "replace").lower())
        at += 1 + query[at]
    question = query[12 : at + 5]
    kind, _ = struct.unpack(">HH", question[-4:])
    address = known.get(".".join(labels))
    records = b""
    if address and kind == A:
        # The name is the one at octet 12.
        records = struct.pack(">HHHIH", 0xC00C, A, IN, 60, 4) + socket.inet_aton(address)
    flags = ANSWER if address else NAME_ERROR
    return query[:2] + struct.pack(">HHHHH", flags, 1, 1 if records else 0, 0, 0) + question + records


def main():
    known = dict(word.split("=") for word in sys.argv[1:])
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as server:
        server.bind(("127.0.0.1", 53))
        while True:
            query, peer = server.recvfrom(512)
            if len(query) > 16:
                server.sendto(answer(query, known), peer)


main()
