"""What the server says no with: an HTTP status that is CloudStack's own error code, and a text.

The product has two families. A ServerApiException keeps its code wherever it is thrown. Any other exception has a code
of its own only in a call that answers at once; in a job it ends as 530, and that is why `in_job` is asked for.
"""

MALFORMED, PARAMETER, UNSUPPORTED, INTERNAL, ACCOUNT = 430, 431, 432, 530, 531
ALLOCATION, CAPACITY, UNAUTHORIZED, LIMITED, UNAVAILABLE = 535, 533, 401, 429, 503


class Refusal(Exception):
    """code: of an answer given at once. cs_code: the number of the exception's class. api: keeps its code in a job."""

    def __init__(self, code, text, cs_code=9999, api=True, uuids=()):
        super().__init__(text)
        self.code, self.text, self.cs_code, self.api, self.uuids = code, text, cs_code, api, list(uuids)

    @property
    def in_job(self):
        return self.code if self.api else INTERNAL


def parameter(text):
    """A ServerApiException about a parameter."""
    return Refusal(PARAMETER, text)


def invalid(text, *entities):
    """InvalidParameterValueException; the entities it is about become the answer's uuidList."""
    return Refusal(PARAMETER, text, 4350, False, [(item.id, word) for word, item in entities])


def runtime(text):
    """CloudRuntimeException."""
    return Refusal(INTERNAL, text, 4250, False)


def internal(text):
    """A ServerApiException that is thrown as an internal error."""
    return Refusal(INTERNAL, text)


def denied(text):
    return Refusal(ACCOUNT, text, 4365, False)


def allocation(text):
    """ResourceAllocationException: a quota."""
    return Refusal(ALLOCATION, text, 4370, False)


def capacity(text):
    return Refusal(CAPACITY, text)


def unauthorized(text="unable to verify user credentials and/or request signature"):
    """Refusals of a login carry no number of a class."""
    return Refusal(UNAUTHORIZED, text, None)
