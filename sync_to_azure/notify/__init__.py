"""Tell: the log, the mail, the live line and the table; a way of telling that fails changes nothing else.

Nothing is imported here, so that a pass unchanged pays only for what it uses.
"""
