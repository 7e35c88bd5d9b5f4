# SPDX-License-Identifier: GPL-2.0-only
"""Which keys there are, which ways lead to them, and what else touches them.

In: an index.  ``roles`` finds the keys and who sets them up, ``entries`` the ways to each
guard; the other rooms return ``Trouble`` records for whatever may hide a skip.  None changes
what it is given.  Raises InputError where a tree is not what the target says.
"""
