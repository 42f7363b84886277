"""
One e-mail, from an address and a text to a mail server's "taken".

``text``, ``address`` and ``message`` say what is sent, ``server`` where to,
``conversation`` carries it, and ``answers`` says what came back.
"""
