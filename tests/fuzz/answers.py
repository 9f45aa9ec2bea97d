"""What a server may answer in each conversation of conversations.py: a turn of its octets each, after RFCs' examples.

They stand in the order of CONVERSATIONS. ``OK x`` at the end of a turn is the tagged answer to the next command.
"""

from __future__ import annotations

from .inputs import CLIENT_SMALL_LIMITS, CUT

_ESEARCH = b'* ESEARCH (TAG "T0") UID MIN 2 MAX 47 ALL 2:9,47 COUNT 9 MODSEQ 1236\r\n'
_ROW = b"* 7 FETCH (UID 7 FLAGS (\\Seen) MODSEQ (65) RFC822.SIZE 5 BODY[] {5}\r\nhello)\r\n"
_ENVELOPE = (
    b'* 7 FETCH (UID 7 ENVELOPE ("17 Jul 1996 02:23:25 -0700" "=?utf-8?q?=C3=A9?=" (("A" NIL "a" "b.org")) NIL NIL '
    b'((NIL NIL "group" NIL)("A" NIL "a" "b")(NIL NIL NIL NIL)) NIL NIL NIL "<m@b.org>") FLAGS ($Junk))\r\n'
)
_SELECTED = (
    b"* OK [CLOSED] x\r\n* 17 EXISTS\r\n* 2 RECENT\r\n* OK [UNSEEN 12] x\r\n* OK [UIDVALIDITY 3857529045] x\r\n"
    b"* OK [UIDNEXT 4392] x\r\n* FLAGS (\\Seen $Junk)\r\n* OK [PERMANENTFLAGS (\\Seen \\*)] x\r\n"
    b"* OK [HIGHESTMODSEQ 715194045007] x\r\n* OK [MAILBOXID (F2212ea87-6097)] x\r\n"
    b"* VANISHED (EARLIER) 300:310,405\r\n* 7 FETCH (UID 7 FLAGS () MODSEQ (9))\r\n"
)
_STATUS = (
    b"* STATUS x (MESSAGES 231 UIDNEXT 44292 UIDVALIDITY 1 UNSEEN 2 RECENT 1 SIZE 9 HIGHESTMODSEQ 7 MAILBOXID (F1) "
    b"APPENDLIMIT NIL DELETED 3 DELETED-STORAGE 4)\r\n"
)
_LIST = (
    b'* LIST (\\HasNoChildren \\Sent) "/" x ("OLDNAME" ("y") "CHILDINFO" ("SUBSCRIBED"))\r\n'
    b'* LIST (\\Noselect) NIL "&Jjo-"\r\n* MYRIGHTS x lrs\r\n'
    b'* METADATA x (/shared/comment "a" /private/x {2}\r\nab)\r\n'
)

_CAPABLE = b"* CAPABILITY IMAP4rev1\r\nOK x"
_DEFLATED = b"\0\x0c\0\xf3\xff* 3 EXISTS\r\n"  # a stored block (RFC 1951, section 3.2.4), without LONG and CUT

ANSWERS: dict[str, list[bytes]] = {
    "append": [b"+ go on\r\n", b"OK [APPENDUID 38505 3955] x"],
    "append from a file": [b"+ go on\r\n", b"NO [TOOBIG] x"],
    "authenticate CRAM-MD5": [b"+ PDE4OTYuNjk3MTcwOTUyQHBvc3RvZmZpY2UucmVzdG9uLm1jaS5uZXQ+\r\n", b"OK x", _CAPABLE],
    "authenticate LOGIN": [b"+ VXNlcm5hbWU6\r\n", b"+ UGFzc3dvcmQ6\r\n", b"OK x", _CAPABLE],
    "authenticate OAUTHBEARER": [b"+ eyJzdGF0dXMiOiJpbnZhbGlkX3Rva2VuIn0=\r\n", b"NO [AUTHENTICATIONFAILED] x"],
    "authenticate PLAIN": [b"+ \r\n", b"OK [CAPABILITY IMAP4rev2] x"],
    "authenticate SCRAM": [  # RFC 7677, section 3
        (
            b"+ cj1yT3ByTkdmd0ViZVJXZ2JORWtxTyVodllEcFdVYTJSYVRDQWZ1eEZJbGopaE5sRiRrMCxzPVcyMlphSjBTTlk3c29F"
            b"c1VFamI2Z1E9PSxpPTQwOTY=\r\n"
        ),
        b"+ dj02cnJpVFJCaTIzV3BSUi93dHVwK21NaFVaVW4vZEI1bkxUSlJzamw5NUc0PQ==\r\n",
        b"OK x",
        _CAPABLE,
    ],
    "cancel_update": [b"OK x"],
    "capability": [b"* CAPABILITY IMAP4rev1 IDLE\r\nOK x"],
    "catenate": [b"+ go on\r\n", b'NO [BADURL "/INBOX/;UID=20"] x'],
    "check": [b"OK x"],
    "close": [b"OK x"],
    "comparator": [b'* COMPARATOR i;unicode-casemap ("i;ascii-casemap")\r\nOK x'],
    "compress": [b"OK x", _DEFLATED],
    "copy": [b"OK [COPYUID 38505 304,319:320 3956:3958] x"],
    "create": [b"OK [MAILBOXID (F1)] x"],
    "delete": [b"NO [NONEXISTENT] x"],
    "delete_acl": [b"OK x"],
    "enable": [b"* ENABLED UTF8=ACCEPT QRESYNC\r\nOK x"],
    "examine": [_SELECTED + b"OK [READ-ONLY] x"],
    "expunge": [b"* 3 EXPUNGE\r\n* 3 EXPUNGE\r\n* VANISHED 405,407\r\nOK [HIGHESTMODSEQ 9] x"],
    "fetch": [_ENVELOPE + b"* 8 FETCH (UID 8 FLAGS () BODY[] NIL)\r\n* 7 FETCH (UID 7 BODY[] {1}\r\na)\r\nOK x"],
    "fetch by number": [
        (
            b'* 7 FETCH (BODYSTRUCTURE (("TEXT" "PLAIN" ("CHARSET" "x") NIL NIL "7BIT" 1 1)'
            b'("APPLICATION" "PDF" NIL NIL NIL "BASE64" 9 NIL '
            b'("attachment" ("filename*0*" "utf-8\'\'%C3" "filename*1*" "%A9")) "en" "l") '
            b'"MIXED") INTERNALDATE "17-Jul-1996 02:44:25 -0700")\r\nOK x'
        ),
    ],
    "fetch flags": [b"* VANISHED (EARLIER) 1\r\n* 7 FETCH (UID 7 FLAGS (a) MODSEQ (2))\r\n* 7 EXPUNGE\r\nOK x"],
    "get_acl": [b"* ACL x Fred rwipslda -john lr\r\nOK x"],
    "get_jmap_access": [b'* JMAPACCESS "https://example.org/jmap"\r\nOK x'],
    "get_metadata": [b"* METADATA x (/shared/comment {1}\r\na)\r\nOK [METADATA LONGENTRIES 2199] x"],
    "get_quota": [b'* QUOTA "" (STORAGE 10 512 MESSAGE 1 2)\r\nOK x'],
    "get_quota_root": [b'* QUOTAROOT x "" #a\r\n* QUOTA #a (STORAGE 10 512)\r\nOK x'],
    "id": [b'* ID ("name" "Cyrus" "version" NIL)\r\nOK x'],
    "idle": [b"+ idling\r\n", b"* 4 EXISTS\r\n", b"OK x"],
    "language": [b"* LANGUAGE (DE)\r\nOK x"],
    "list": [_LIST + _STATUS + b"OK x"],
    "list_rights": [b"* LISTRIGHTS x fred la r s w\r\nOK x"],
    "login": [b"* CAPABILITY IMAP4rev1\r\nOK x"],
    "logout": [b"* BYE x\r\nOK x"],
    "lsub": [b'* LSUB (\\Noselect) "." x\r\nOK x'],
    "move": [b"* OK [COPYUID 432432 1:2 9:10] x\r\n* 1 EXPUNGE\r\nOK [MESSAGELIMIT 1000 23221] x"],
    "multi_append": [b"+ go on\r\n", b"+ go on\r\n", b"OK [APPENDUID 1 3:4] x"],
    "multi_search": [
        b"+ go on\r\n",
        b'* ESEARCH (TAG "T0" MAILBOX "Lists/a" UIDVALIDITY 1) UID ALL 4:5 COUNT 2\r\nOK x',
    ],
    "my_rights": [b"* MYRIGHTS x rwiptsldaex\r\nOK x"],
    "namespace": [b'* NAMESPACE (("" "/" "X-PARAM" ("FLAG1" "F2"))) NIL (("Public/" "/"))\r\nOK x'],
    "noop": [
        (
            b"* 23 EXISTS\r\n* 4 EXPUNGE\r\n* OK [INPROGRESS (NIL 175 1000)] x\r\n* NO [ALERT] x\r\n"
            b'* OK [NOUPDATE "T0"] x\r\n* 1.5e+3 EXISTS\r\n* OK [REFERRAL imap://a] x\r\nOK x'
        )
    ],
    "notify": [_STATUS + b"NO [BADEVENT (MessageNew)] x"],
    "notify_none": [b"OK [NOTIFICATIONOVERFLOW] x"],
    "rename": [b"NO [ALREADYEXISTS] x"],
    "replace": [b"+ go on\r\n", b"* OK [APPENDUID 1 2] x\r\n* 7 EXPUNGE\r\nOK x"],
    "search": [b"+ go on\r\n", _ESEARCH + b"OK x"],
    "search partial": [b'* ESEARCH (TAG "T0") PARTIAL (1:9 2,4:5)\r\nOK x'],
    "search updated": [
        (
            b'* ESEARCH (TAG "T0") ALL 1:9\r\n'
            b'* ESEARCH (TAG "T0") ADDTO (0 4:5 2 9) REMOVEFROM (1 3) RELEVANCY (9 1)\r\nOK x'
        )
    ],
    "select": [_SELECTED + b"OK [READ-WRITE] x"],
    "select to synchronize": [_SELECTED + b"OK [READ-WRITE] x"],
    "set_acl": [b"NO [NOPERM] x"],
    "set_metadata": [b"+ go on\r\n", b"NO [METADATA MAXSIZE 9] x"],
    "set_quota": [b'* QUOTA "" (STORAGE 10 512)\r\nOK x'],
    "sort": [b"+ go on\r\n", b"* SORT 2 84 882 (MODSEQ 9)\r\nOK x"],
    "sort partial": [b"+ go on\r\n", b'* ESEARCH (TAG "T0") UID COUNT 9 PARTIAL (1:9 5,1)\r\nOK x'],
    "starttls": [b"OK x"],
    "status": [_STATUS + b"OK x"],
    "store": [b"* 7 FETCH (UID 7 FLAGS (a) MODSEQ (9))\r\nOK [MODIFIED 7,9] x"],
    "store_gmail_labels": [b'* 7 FETCH (UID 7 X-GM-LABELS (\\Inbox "a b" &AOk-))\r\nOK x'],
    "subscribe": [b"OK x"],
    "thread": [b"+ go on\r\n", b"* THREAD (2)(3 6 (4 23)(44 7 96))((3)(5))\r\nOK x"],
    "unauthenticate": [b"OK [CAPABILITY IMAP4rev1] x"],
    "unselect": [b"OK x"],
    "unsubscribe": [b"OK x"],
    "xlist": [b'* XLIST (\\HasNoChildren \\AllMail) "/" x\r\nOK x'],
    "the greeting": [b"* OK [CAPABILITY IMAP4rev1] ready\r\n", b"* CAPABILITY IMAP4rev1\r\nOK x"],
    "the beginning": [
        b"* CAPABILITY IMAP4rev1 STARTTLS LOGINDISABLED\r\nOK x",
        b"OK x",
        b"* CAPABILITY IMAP4rev1 IMAP4rev2 ENABLE AUTH=PLAIN ID COMPRESS=DEFLATE SASL-IR\r\nOK x",
        b"OK [CAPABILITY IMAP4rev1 IMAP4rev2 ENABLE ID COMPRESS=DEFLATE] x",
        b"* ENABLED IMAP4rev2\r\nOK x",
        b"* ID NIL\r\nOK x",
        b"OK x",
    ],
    "in UTF-8": ['* LIST () "/" "é"\r\n* LIST () "/" &AOk-\r\nOK x'.encode(), _STATUS + b"OK x"],
    "several fetches": [
        (
            b"* 3 FETCH (UID 3 FLAGS ())\r\n* 5 FETCH (UID 5 MODSEQ (7) BODY[HEADER] {2}\r\n\r\n)\r\n* SEARCH 1 2\r\n"
            b'* ESEARCH (TAG "T2") UID ALL 1\r\nT2 OK x\r\nT0 OK x\r\nT1 OK x\r\n'
        ),
        b"T3 OK x\r\n",
    ],
    "to files": [b"* 7 FETCH (UID 7 BODY[] {6}\r\nhello! BODY[1.MIME] {3}\r\na\r\n FLAGS ())\r\n" + _ROW + b"OK x"],
    "to files by number": [b"* 7 FETCH (BINARY[1] ~{2}\r\na\0 RFC822 {8}\r\nhello...)\r\nOK x", b"OK x"],
    "fetch_iter": [
        _ENVELOPE + b"NO x",
        _ENVELOPE.replace(b"7", b"8") + b"T1 OK [MESSAGELIMIT 1 8] x\r\n",
        b"T2 NO x\r\nT3 OK x\r\n",
    ],
    "fetch_iter without an end": [_ROW + _ROW.replace(b"7", b"9") + b"OK x"],
    "idle()": [b"+ idling\r\n* 4 EXISTS\r\n* 7 FETCH (FLAGS ())\r\n", b"OK x", b"T1 NO x\r\n", b"T2 OK x\r\n"],
    "search()": [b"+ go on\r\n", b"NO [BADCHARSET (ISO-8859-1)] x", b"+ go on\r\n", b"* SEARCH 1 3\r\nT1 OK x\r\n"],
    "move()": [b"OK [COPYUID 1 1:3 4:6] x", b"* 1 FETCH (UID 1 FLAGS (\\Deleted))\r\nT1 OK x\r\n", b"T2 OK x\r\n"],
    "plain searches": [b"* SEARCH 2 84 882\r\n* SORT 1\r\nOK x", b"* SORT 2 1\r\nT1 OK x\r\n"],
    "given up": [_ROW + b"OK x", _STATUS + b"OK x"],
    "compressed": [_ROW + b"T1 OK x\r\n", _STATUS + b"T2 OK x\r\n"],
    "compressed by the fuzzer": [_DEFLATED],
}


def seeds() -> list[bytes]:
    """The inputs that say so, under both sets of limits."""
    found = []
    for number, answer in enumerate(ANSWERS.values()):
        turns, tag = [], 0
        for turn in answer:
            head, line, last = turn.rpartition(b"\n")
            if last:
                turn = head + line + b"T%d %s\r\n" % (tag, last)
                tag += 1
            turns.append(turn)
        said = bytes([CUT]).join(turns)
        found += [bytes([number]) + said, bytes([number | CLIENT_SMALL_LIMITS]) + said]
    return found
