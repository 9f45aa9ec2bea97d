"""Mailboxes with a special use, on servers that do not mark them (RFC 6154): by the names that programs give them."""

from __future__ import annotations

import functools
import unicodedata
from collections.abc import Iterable
from typing import Final

from .responses import MailboxInfo

__all__ = ["mailbox_for"]

# What mail programs and providers call them; compared without regard to case, accents and prefix.
_NAMES: Final = {
    "\\Sent": (
        *("Sent", "Sent Items", "Sent Messages", "Sent Mail", "Sent Objects"),
        *("Gesendet", "Gesendete Objekte", "Gesendete Elemente", "Gesendete Nachrichten"),
        *("Éléments envoyés", "Messages envoyés", "Envoyés", "Objets envoyés", "Courrier envoyé"),
        *("Enviados", "Elementos enviados", "Mensajes enviados", "Correo enviado", "Itens enviados"),
        *("Inviata", "Posta inviata", "Inviati", "Messaggi inviati", "Elementi inviati"),
        *("Verzonden", "Verzonden items", "Verzonden berichten", "Skickat", "Skickade objekt", "Skickade meddelanden"),
        *("Sendt", "Sendte elementer", "Sendt post", "Lähetetyt", "Wysłane", "Elementy wysłane", "Odeslaná pošta"),
        *("Odeslané", "Odoslané", "Elküldött", "Elküldött elemek", "Gönderilmiş Öğeler", "Gönderilenler", "Trimise"),
        *("Отправленные", "Отправленное", "Надіслані", "Изпратени", "Απεσταλμένα", "已发送", "已发送邮件", "寄件備份"),
        *("送信済み", "送信済みアイテム", "送信済みメール", "보낸편지함", "보낸 편지함", "보낸메일함"),
    ),
    "\\Drafts": (
        *("Drafts", "Draft", "Entwürfe", "Entwurf", "Brouillons", "Brouillon", "Borradores", "Rascunhos", "Bozze"),
        *("Concepten", "Utkast", "Kladder", "Kladde", "Luonnokset", "Kopie robocze", "Szkice", "Wersje robocze"),
        *("Koncepty", "Rozepsané", "Piszkozatok", "Taslaklar", "Ciorne", "Черновики", "Чернетки", "Чернови"),
        *("Πρόχειρα", "草稿箱", "草稿", "下書き", "임시보관함", "임시 보관함"),
    ),
    "\\Trash": (
        *("Trash", "Deleted", "Deleted Items", "Deleted Messages", "Bin", "Wastebasket", "Rubbish"),
        *("Papierkorb", "Gelöscht", "Gelöschte Objekte", "Gelöschte Elemente", "Gelöschte Nachrichten"),
        *("Corbeille", "Éléments supprimés", "Messages supprimés", "Poubelle", "Papelera", "Elementos eliminados"),
        *("Papelera de reciclaje", "Lixo", "Lixeira", "Itens excluídos", "Cestino", "Posta eliminata"),
        *("Elementi eliminati", "Prullenbak", "Prullenmand", "Verwijderde items", "Papperskorgen", "Borttaget"),
        *("Borttagna objekt", "Slettet", "Slettede elementer", "Papirkurv", "Papirkurven", "Roskakori", "Poistetut"),
        *("Kosz", "Elementy usunięte", "Koš", "Odstraněná pošta", "Kôš", "Kuka", "Törölt elemek", "Çöp Kutusu"),
        *("Çöp", "Silinmiş Öğeler", "Coș de gunoi", "Корзина", "Удаленные", "Удалённые", "Кошик", "Видалені"),
        *("Кошче", "Κάδος απορριμμάτων", "Διαγραμμένα", "已删除", "已删除邮件", "垃圾桶", "刪除的郵件", "ごみ箱"),
        *("ゴミ箱", "削除済みアイテム", "휴지통", "지운편지함"),
    ),
    "\\Junk": (
        *("Junk", "Spam", "Junk E-mail", "Junk Email", "Junk Mail", "Bulk Mail", "Spamverdacht", "Spam-Verdacht"),
        *("Junk-E-Mail", "Unerwünscht", "Unerwünschte Werbung", "Courrier indésirable", "Indésirables", "Pourriel"),
        *("Correo no deseado", "Lixo eletrônico", "Lixo eletrónico", "Posta indesiderata", "Ongewenste e-mail"),
        *("Ongewenst", "Skräppost", "Uønsket e-post", "Uønsket mail", "Roskaposti", "Wiadomości-śmieci", "Niechciane"),
        *("Nevyžádaná pošta", "Nevyžiadaná pošta", "Levélszemét", "Gereksiz", "Önemsiz E-posta", "Спам"),
        *("Нежелательная почта", "Небажана пошта", "Ανεπιθύμητα", "垃圾邮件", "垃圾郵件", "迷惑メール", "스팸메일함"),
    ),
    "\\Archive": (
        *("Archive", "Archives", "Archived", "Archiv", "Archivé", "Archivo", "Archivio", "Archief", "Arkiv", "Arkisto"),
        *("Arquivo", "Archiwum", "Archív", "Archívum", "Arşiv", "Arhivă", "Архив", "Архів", "Αρχείο", "归档", "封存"),
        *("アーカイブ", "보관함"),
    ),
    "\\All": ("All Mail", "Alle Nachrichten", "Tous les messages", "Todos", "Tutti i messaggi", "Alle berichten"),
    "\\Flagged": ("Flagged", "Starred", "Markiert", "Suivis", "Destacados", "Con estrella", "Speciali", "Met ster"),
    "\\Important": ("Important", "Wichtig", "Importants", "Importantes", "Importanti", "Belangrijk", "Viktigt"),
}
_PREFIXES = ("inbox", "[gmail]", "[google mail]")


def _key(name: str) -> str:
    decomposed = unicodedata.normalize("NFKD", name.casefold())
    return "".join(character for character in decomposed if not unicodedata.combining(character)).strip()


@functools.cache
def _uses() -> dict[str, str]:
    return {_key(name): use for use, names in _NAMES.items() for name in names}


def mailbox_for(use: str, mailboxes: Iterable[MailboxInfo]) -> MailboxInfo | None:
    """Return the mailbox for a special use: one that is marked so, else the first of a usual name, else None.

    A name below another mailbox is taken only below INBOX or Gmail's root: ``Work/Sent`` is the user's own.
    """
    candidates = [mailbox for mailbox in mailboxes if mailbox.is_selectable]
    for mailbox in candidates:
        if use in mailbox.attributes:
            return mailbox
    for mailbox in candidates:
        *parents, name = mailbox.name.split(mailbox.delimiter) if mailbox.delimiter else [mailbox.name]
        if parents and (len(parents) > 1 or parents[0].casefold() not in _PREFIXES):
            continue
        # One that is marked for another use is no candidate for this one.
        if _uses().get(_key(name)) == use and not mailbox.special_use:
            return mailbox
    return None
