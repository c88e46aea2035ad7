"""What a user can cause: one base class, so that whoever calls detlab can catch it all at once.

A message says what was seen, what was wanted, in which file, and what to do.
"""


class DetlabError(Exception):
    """A file, folder, setting or command that cannot be used as it is; the message says why.

    A wrong argument of a function is a plain ValueError: a mistake in the program that calls it.
    """
