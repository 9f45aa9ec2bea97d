"""The commands, one body each, by families of RFCs. The signature of a class is that of the clients' method.

A family is imported when one of its commands is first named: a program does without most of them.
"""

from __future__ import annotations

from .._lazy import lazy
from ._homes import HOMES

TYPE_CHECKING = False
if TYPE_CHECKING:  # tools/generate_methods.py makes _homes.py of these lines
    from .acl import DeleteACL, GetACL, ListRights, MyRights, SetACL
    from .append import (
        Append,
        AppendMessage,
        AppendResult,
        Catenate,
        MessageData,
        MultiAppend,
        MultiAppendResult,
        Replace,
    )
    from .auth import Authenticate, Login
    from .base import Command, Flow, Session, State
    from .extensions import ID, Comparator, Enable, GetJMAPAccess, Language, Unauthenticate
    from .fetch import Fetch, FetchInto, FetchResult
    from .idle import Idle
    from .mailbox import (
        Create,
        Delete,
        List,
        LSub,
        Namespace,
        Rename,
        Status,
        Subscribe,
        Unsubscribe,
        XList,
    )
    from .metadata import GetMetadata, MetadataResult, SetMetadata
    from .notify import EventGroup, MailboxFilter, Notify, NotifyEvent, NotifyNone
    from .quota import GetQuota, GetQuotaRoot, MailboxQuota, SetQuota
    from .search import (
        CancelUpdate,
        MailboxSearchResult,
        MultiSearch,
        Search,
        SearchResult,
        Sort,
        SortResult,
        Thread,
    )
    from .select import (
        Check,
        Close,
        Examine,
        Expunge,
        ExpungeResult,
        QResync,
        Select,
        SelectedMailbox,
        Unselect,
    )
    from .session import Capability, Compress, Logout, Noop, StartTLS
    from .store import (
        Action,
        AddFlags,
        Copy,
        CopyResult,
        Move,
        RemoveFlags,
        SetFlags,
        Store,
        StoreGmailLabels,
        StoreResult,
    )
else:
    __getattr__, __dir__ = lazy(__name__, HOMES)

__all__ = [
    "ID",
    "Action",
    "AddFlags",
    "Append",
    "AppendMessage",
    "AppendResult",
    "Authenticate",
    "CancelUpdate",
    "Capability",
    "Catenate",
    "Check",
    "Close",
    "Command",
    "Comparator",
    "Compress",
    "Copy",
    "CopyResult",
    "Create",
    "Delete",
    "DeleteACL",
    "Enable",
    "EventGroup",
    "Examine",
    "Expunge",
    "ExpungeResult",
    "Fetch",
    "FetchInto",
    "FetchResult",
    "Flow",
    "GetACL",
    "GetJMAPAccess",
    "GetMetadata",
    "GetQuota",
    "GetQuotaRoot",
    "Idle",
    "LSub",
    "Language",
    "List",
    "ListRights",
    "Login",
    "Logout",
    "MailboxFilter",
    "MailboxQuota",
    "MailboxSearchResult",
    "MessageData",
    "MetadataResult",
    "Move",
    "MultiAppend",
    "MultiAppendResult",
    "MultiSearch",
    "MyRights",
    "Namespace",
    "Noop",
    "Notify",
    "NotifyEvent",
    "NotifyNone",
    "QResync",
    "RemoveFlags",
    "Rename",
    "Replace",
    "Search",
    "SearchResult",
    "Select",
    "SelectedMailbox",
    "Session",
    "SetACL",
    "SetFlags",
    "SetMetadata",
    "SetQuota",
    "Sort",
    "SortResult",
    "StartTLS",
    "State",
    "Status",
    "Store",
    "StoreGmailLabels",
    "StoreResult",
    "Subscribe",
    "Thread",
    "Unauthenticate",
    "Unselect",
    "Unsubscribe",
    "XList",
]
