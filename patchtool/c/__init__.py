# SPDX-License-Identifier: GPL-2.0-only
"""C, from text to terms; knows no subsystem.

In: a source of files and a ``Target`` that says where to look.  ``index.Index`` finds
definitions by name, ``layout.Types`` lays types out as x86-64 does, ``lower.Lowering`` runs a
function and returns a ``Lowered``: memory as vectors of bits, guards, stores, troubles.
Integers have the width of their C type, 8 to 64 bits.  What is not understood is no error:
it is an opaque word or a trouble, with its place.
"""
