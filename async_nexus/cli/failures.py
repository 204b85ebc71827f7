"""What stops a command, other than being used wrongly."""


class TargetFailed(Exception):
    """The user's own module raised while it was loaded; `error` is what it raised."""

    def __init__(self, error: BaseException) -> None:
        super().__init__(error)
        self.error = error
