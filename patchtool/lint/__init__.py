# SPDX-License-Identifier: GPL-2.0-only
"""What a change brings in, and what the source accepts.

``introduced.lint`` compares the trees before and after each step of a series;
``suppress.checked`` checks one tree and sets apart what comments accept.
"""
