from typing import Optional


class NexTalkError(Exception):
    """What a call raises: the server's refusal, or that it could not be asked.

    ``status`` is the HTTP status, or 0 where no answer came: then ``message`` is ``timeout`` or ``connection failed``.
    ``detail`` says what is wrong with a parameter (400), or what the system says of a connection.
    ``retry_after`` is the number of seconds after which the server wants to be asked again (429, 503).
    """

    def __init__(
        self,
        status: int,
        message: str,
        detail: Optional[str] = None,
        retry_after: Optional[int] = None,
    ) -> None:
        super().__init__(status, message, detail)
        self.status = status
        self.message = message
        self.detail = detail
        self.retry_after = retry_after

    def __str__(self) -> str:
        text = f"{self.status} {self.message}" if self.status else self.message
        return f"{text}: {self.detail}" if self.detail else text
