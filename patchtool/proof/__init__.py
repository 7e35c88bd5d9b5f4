# SPDX-License-Identifier: GPL-2.0-only
"""Terms, decision diagrams and the two-run property; knows no C.

``bits`` makes terms and vectors of any width, least significant bit first; ``coverage``
answers a ``Question`` by an ``Answer``: covered, gap with a witness, or unknown.  A question
that is too large, for want of time or of a solver, is unknown as well; nothing is raised.
"""
