# SPDX-License-Identifier: GPL-2.0-only
"""Edits of small kernels whose effect is known by construction: form, target, place, time, option.

A form is one way in which C or the kernel changes an object.  A target is the object.  A place
is where the text of the store stands, a time is when it runs, an option is what is compiled
around it.  ``truth`` tells from the semantics alone what a combination does, ``compiled`` lets
gcc say the same.  Nothing in here asks the engine what it knows.
"""
