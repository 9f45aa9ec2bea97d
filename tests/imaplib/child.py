"""A little IMAP server on standard input and output, for tests of IMAP4_stream: the child process itself.

Its argument is how it ends: "well", "in a literal", or "never" (neither by the end of its input nor by SIGTERM); or
that the last octets of a literal are "late".
"""

import signal
import sys
import time

LITERAL = bytes(range(256)) * 1200


def say(octets: bytes) -> None:
    sys.stdout.buffer.write(octets)
    sys.stdout.buffer.flush()


def serve(end: str) -> None:
    say(b"* PREAUTH [CAPABILITY IMAP4rev1 IDLE] hello\r\n")
    for line in sys.stdin.buffer:
        tag, command, *arguments = line.split()
        if command == b"CAPABILITY":
            say(b"* CAPABILITY IMAP4rev1 IDLE\r\n")
        elif command == b"SELECT":
            say(b"* 1 EXISTS\r\n")
        elif command == b"FETCH" and end == "in a literal":
            say(b"* 1 FETCH (BODY[] {%d}\r\nabc" % len(LITERAL))
            return
        elif command == b"FETCH" and end == "late":
            response = b"* 1 FETCH (BODY[] {%d}\r\n%s)\r\n" % (len(LITERAL), LITERAL)
            say(response[:-10])
            time.sleep(0.3)
            say(response[-10:] + tag + b" OK done\r\n")
            continue
        elif command == b"FETCH":
            say(b"* 1 FETCH (BODY[] {%d}\r\n%s)\r\n" % (len(LITERAL), LITERAL))
        elif command == b"APPEND":
            say(b"+ go\r\n")
            received = sys.stdin.buffer.read(int(arguments[-1].strip(b"{}")))
            sys.stdin.buffer.readline()
            say(b"* SEARCH %d\r\n" % len(received))
        elif command == b"IDLE":
            say(b"+ idling\r\n* 2 EXISTS\r\n")
            sys.stdin.buffer.readline()
        elif command == b"LOGOUT":
            say(b"* BYE see you\r\n" + tag + b" OK done\r\n")
            return
        say(tag + b" OK done\r\n")


if __name__ == "__main__":
    if sys.argv[1] == "never":
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
    serve(sys.argv[1])
    while sys.argv[1] == "never":
        time.sleep(60)
