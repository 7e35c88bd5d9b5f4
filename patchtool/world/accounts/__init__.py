# SPDX-License-Identifier: GPL-2.0-only
"""Every mention of what a proof rests on, accounted for.

In: the text of a tree, and the runs of its set-ups.  ``mentions`` reads what stands around a
name, ``holders``, ``overruns`` and ``backwards`` look for who changes a context without naming
it, ``strays`` and ``readers`` tell of which contexts a store or a read may be.  ``ledger``
keeps the accounts; what is not recognised is a doubt, with its place.
"""
