# SPDX-License-Identifier: GPL-2.0-only
"""What may leave a set-up out before its entry is come to.

In: the functions that lead to an entry.  ``deciding`` tells what decides whether they call on,
``kept`` what they leave for the next time; ``notes`` judges that far above an entry, ``near``
right above it, where all that decides has to be known.  ``guards_above`` asks them, and looks
for what reads a role or a field there.
"""
