"""What servers say, as values: responses, response codes, and the parts of a message."""

from .model import message as _message
from .model import response_codes as _response_codes
from .model import responses as _responses
from .model.content import Attachment
from .model.headers import Headers
from .model.message import *  # noqa: F403
from .model.response_codes import *  # noqa: F403
from .model.responses import *  # noqa: F403

__all__: list[str] = ["Attachment", "Headers"]
__all__ += _message.__all__
__all__ += _responses.__all__
__all__ += _response_codes.__all__


def __dir__() -> list[str]:
    return sorted(__all__)
