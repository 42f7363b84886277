"""
One e-mail, from an address and a text to a mail server's "taken".

``text``, ``address`` and ``message`` say what is sent, ``server`` where to. ``delivery``
is the door: it takes a kept connection or a new one (``connections``), on the event loop
that runs or on a thread's (``carrier``). ``conversation`` speaks SMTP, and ``answers``
says what the server's words mean.
"""
