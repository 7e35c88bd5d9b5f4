# SPDX-License-Identifier: GPL-2.0-only
"""What patchtool is told of the code that it looks at: facts, as data.

The wings that read C, prove and write patches know no subsystem and no register; what
they need to know of one is here.  ``record`` is the form, ``kvm`` holds KVM for x86 and
``where`` the paths of it alone, which a lint that has nothing to do needs no more than.
"""
