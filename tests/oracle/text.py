# SPDX-License-Identifier: GPL-2.0-only
"""C source as text: comments out, conditionals decided, cut into top-level definitions."""

import re
from dataclasses import dataclass

ENABLED = {"CONFIG_X86_64", "CONFIG_64BIT", "CONFIG_SMP", "CONFIG_KVM_SMM"}
NOT_CALLS = {"if", "for", "while", "switch", "return", "sizeof", "defined", "__attribute__"}

_NOISE = re.compile(r"/\*.*?\*/|//[^\n]*|\"(?:\\.|[^\"\\\n])*\"|'(?:\\.|[^'\\\n])+'", re.S)
_ATTRIBUTE = re.compile(r"__attribute__\s*\(\((?:[^()]|\([^()]*\))*\)\)|\b__packed\b")
_LINE = re.compile(r"[ \t]*#[ \t]*(\w+)((?:[^\n\\]|\\.|\\\n)*)")


def _quiet(match):
    text = match.group()
    if text[0] == '"':
        return '""'
    if text[0] == "'":
        return text
    return " " + "\n" * text.count("\n")


def strip(text):
    """Blank out comments, attributes and the contents of strings, keeping the lines."""
    return _ATTRIBUTE.sub(" ", _NOISE.sub(_quiet, text))


def _true(condition):
    if "PTTYPE" in condition:
        return False
    condition = re.sub(
        r"(?:defined|IS_ENABLED|IS_BUILTIN|IS_REACHABLE)\s*\(?\s*(\w+)\s*\)?",
        lambda found: str(int(found[1] in ENABLED)),
        condition.replace("\\\n", " "),
    )
    condition = re.sub(r"\b[A-Za-z_]\w*\s*\([^()]*\)", "0", condition)
    condition = re.sub(r"\b[A-Za-z_]\w*\b", lambda found: str(int(found[0] in ENABLED)), condition)
    condition = re.sub(r"\b(\d+)[uUlL]+\b", r"\1", condition)
    condition = condition.replace("&&", " and ").replace("||", " or ")
    condition = re.sub(r"!(?!=)", " not ", condition)
    try:
        return bool(eval(condition.strip(), {"__builtins__": {}}))
    except Exception:
        return False


def decide(text):
    """Keep the lines that an x86-64 kernel is built from; #define and #undef stay."""
    out, kept, position = [], [], 0
    for found in _LINE.finditer(text):
        line_start = text.rfind("\n", 0, found.start()) + 1
        if text[line_start : found.start()].strip():
            continue
        if all(live for live, _ in kept):
            out.append(text[position : found.start()])
        position = found.end()
        word, rest = found[1], found[2]
        if word in ("ifdef", "ifndef"):
            name = rest.split()[0] if rest.split() else ""
            live = name in ENABLED
            if word == "ifndef":
                live = not live
            kept.append((live, live))
        elif word == "if":
            live = _true(rest)
            kept.append((live, live))
        elif word == "elif" and kept:
            _, done = kept[-1]
            live = not done and _true(rest)
            kept[-1] = (live, done or live)
        elif word == "else" and kept:
            _, done = kept[-1]
            kept[-1] = (not done, True)
        elif word == "endif" and kept:
            kept.pop()
        elif word == "define" and all(live for live, _ in kept):
            out.append(found.group())
    if all(live for live, _ in kept):
        out.append(text[position:])
    return "".join(out)


def balanced(text, start):
    """Return the index behind the bracket that closes the one at start."""
    pairs = {"(": ")", "{": "}", "[": "]"}
    close, depth = pairs[text[start]], 0
    for found in re.compile(f"[{re.escape(text[start] + close)}]").finditer(text, start):
        depth += 1 if found.group() == text[start] else -1
        if not depth:
            return found.end()
    raise ValueError("unbalanced")


@dataclass(frozen=True)
class Piece:
    """One top-level definition of a file."""

    kind: str  # function, macro, call, tag, variable, typedef, enum
    name: str
    text: str
    path: str
    line: int
    head: str = ""


_CALL = re.compile(r"\s*([A-Z_][A-Z0-9_]{3,})\s*(?=\()")
_TAG = re.compile(r"(?:^|\s)(struct|union|enum)\s+(\w+)?\s*\{")


def pieces(text, path):
    """Yield the top-level definitions of a text without comments and conditionals."""
    position, end = 0, len(text)
    while position < end:
        blank = re.compile(r"[\s;]*").match(text, position)
        position = blank.end()
        if position >= end:
            return
        line = text.count("\n", 0, position) + 1
        directive = _LINE.match(text, position)
        if directive:
            if directive[1] == "define":
                name = re.match(r"\s*(\w+)", directive[2])
                if name:
                    yield Piece("macro", name[1], directive.group().strip(), path, line)
            position = directive.end()
            continue
        call = _CALL.match(text, position)
        if call:
            try:
                stop = balanced(text, call.end())
            except ValueError:
                return
            after = re.compile(r"[ \t]*(;|\n|$)").match(text, stop)
            if after:
                yield Piece("call", call[1], text[position:stop], path, line)
                position = stop
                continue
        found = re.compile(r"[;{]").search(text, position)
        if not found:
            return
        stop, head = found.end(), text[position : found.start()]
        if found.group() == "{":
            try:
                stop = balanced(text, found.start())
            except ValueError:
                yield from _broken(head, text[position:], path, line)
                return
            if head.rstrip().endswith(")") and "=" not in head:
                yield from _function(head, text[position:stop], path, line)
                position = stop
                continue
            rest = re.compile(r"[^;{}]*;").match(text, stop)
            stop = rest.end() if rest else stop
        yield from _declaration(text[position:stop], path, line)
        position = stop


def _function(head, text, path, line):
    for name in re.finditer(r"(\w+)\s*\(", head):
        if name[1] not in NOT_CALLS and not name[1].isupper():
            yield Piece("function", name[1], text, path, line, head.strip())
            return


def _broken(head, text, path, line):
    if head.rstrip().endswith(")"):
        yield from _function(head, text, path, line)


def _declaration(text, path, line):
    tag = _TAG.search(text)
    if tag and "=" not in text[: tag.start() + 1] and "(" not in text[: tag.start() + 1]:
        if tag[1] == "enum":
            body = text[tag.end() : text.rfind("}")]
            for item in body.split(","):
                name = re.match(r"\s*(\w+)", item)
                if name:
                    yield Piece("enum", name[1], text, path, line)
        elif tag[2] and not text.lstrip().startswith("typedef"):
            yield Piece("tag", tag[2], text, path, line)
        if tag[2]:
            return
    if text.lstrip().startswith("typedef"):
        name = re.search(r"(\w+)\s*(?:\[[^]]*\])?\s*;\s*$", text)
        if name:
            yield Piece("typedef", name[1], text, path, line)
        return
    front = re.sub(r"\s__\w+\b", "", text.split("=")[0]).rstrip("; \t\n")
    if front.endswith(")"):
        return  # a prototype
    name = re.search(r"(\w+)\s*(?:\[[^]]*\]\s*)*$", front)
    if name and len(front.split()) > 1:
        yield Piece("variable", name[1], text, path, line)
