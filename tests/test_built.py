# SPDX-License-Identifier: GPL-2.0-only
"""What a makefile says is understood, or told: a flag may say what all of the text means."""

import pytest
from edited import check, fixture

from patchtool.outside.makefile import statements

FOLDER = "arch/x86/kvm"
LISTED = "kvm-y += mmu/mmu.o\nkvm-intel-y += vmx/nested.o\nkvm-amd-y += svm/nested.o\n"
READERS = ("Makefile", *(f"scripts/{one}" for one in ("Kbuild.include", "Makefile.build",
                                                      "Makefile.lib")))  # fmt: skip
SCRIPTS = dict.fromkeys(READERS, "include scripts/Kbuild.include\nc_flags = $(CC_WORDS)\n")
"""What reads the makefile of a folder."""


def told(makefile, more=None, name="Makefile"):
    """Return what is said of a makefile, and hold the verdict to it."""
    tree = fixture("role-regs-fixed")
    tree[f"{FOLDER}/{name}"] = (LISTED + makefile).encode()
    tree.update({path: text.encode() for path, text in (more or {}).items()})
    report = check(tree)
    said = [one.reason for one in report.unknowns]
    assert report.verdict == ("unknown" if said else "covered")
    return said


HARMLESS = {
    "warnings": "ccflags-$(CONFIG_KVM_WERROR) += -Werror -Wno-unused\n",
    "for one file": "CFLAGS_mmu/mmu.o := -O2 -fno-stack-protector\n",
    "less of a flag": "CFLAGS_REMOVE_mmu/mmu.o = $(CC_FLAGS_FTRACE) -pg\n",
    "options": "ccflags-y += $(call cc-option,-Wno-x,-Wno-y) $(call cc-disable-warning, z)\n",
    "places of headers": "ccflags-y += -I $(srctree)/arch/x86/kvm -I$(src) -Ivirt/kvm\n",
    "checks at run time": "KASAN_SANITIZE_mmu.o := n\nKCOV_INSTRUMENT := n\n",
    "frames": "ifeq ($(CONFIG_FRAME_POINTER),y)\nOBJECT_FILES_NON_STANDARD_vmenter.o := y\nendif\n",
    "its own variable": "KVM ?= ../../../virt/kvm\nkvm-y += $(KVM)/kvm_main.o\n",
    "a comment": "# ccflags-y += -DACC_ALL=0\n#\\\n ccflags-y += -DX\n",
    "a header that is made": "$(obj)/offsets.h: $(obj)/offsets.s FORCE\n"
                             "\t$(call filechk,offsets,X)\ntargets += offsets.s\n"
                             "clean-files += offsets.h\n",
    "what has to be made first": "$(obj)/mmu/mmu.o: $(obj)/offsets.h\n",
    "a refusal": "ifndef CONFIG_KVM\n$(error KVM is off, see (this))\nelse ifeq (a,b)\n"
                 "$(warning x)\nendif\n",
    "what is evaluated": "define check_kvm_exports\nKVM := $(shell grep \"$(1)\" | wc -l)\n"
                         "ifneq (0,$$(KVM))\n$$(error $(1) is there)\nendif # KVM\nendef # all\n"
                         "$(eval $(call check_kvm_exports,EXPORT_SYMBOL))\nundefine KVM\n",
}  # fmt: skip
TELLING = {
    "a definition": "ccflags-y += -DACC_ALL=0\n",
    "through a variable": "KVM := -D_Bool=u8\nccflags-y += $(KVM)\n",
    "through two": "KVM := -D_Bool=u8\nnr_kvm_exports = $(KVM)\nccflags-y += $(nr_kvm_exports)\n",
    "that leads to itself": "KVM = $(KVM)\nccflags-y += $(KVM)\n",
    "of somebody else": "ccflags-y += $(KVM_EXTRA)\n",
    "for all": "KBUILD_CPPFLAGS += -D_Bool=u8\n",
    "where headers are": "LINUXINCLUDE += -D_Bool=u8\n",
    "no headers of the compiler": "NOSTDINC_FLAGS += -include $(srctree)/pre.h\n",
    "for one target": "$(obj)/mmu/mmu.o: c_flags += -D_Bool=u8\n",
    "for one target, private": "$(obj)/mmu/mmu.o: private ccflags-y += -DX\n",
    "a name that is composed": "CFLAGS_$(KVM).o := -DX\n",
    "a command": "cmd_cc_o_c = $(CC) -D_Bool=u8 -c -o $@ $<\n",
    "another compiler": "CC := $(srctree)/cc\n",
    "another shell": "SHELL := $(srctree)/sh\n",
    "what kbuild knows is forgotten": "undefine KBUILD_CFLAGS\n",
    "exported": "export KVM := x\n",
    "a recipe": "$(obj)/mmu/mmu.o: mmu.c\n\t$(CC) -DX -c $<\n",
    "a recipe behind a condition": "$(obj)/mmu/mmu.o: mmu.c\nifdef X\n\t$(CC) -DX -c $<\nendif\n",
    "a recipe on one line": "$(obj)/mmu/mmu.o: mmu.c; $(CC) -DX -c $<\n",
    "headers of another folder": "ccflags-y += -I $(srctree)/include/kvm\n",
    "an option that is no warning": "ccflags-y += $(call cc-option,-funsigned-char)\n",
    "a text that is evaluated": "$(eval ccflags-y += -DX)\n",
    "a definition that is evaluated": "define KVM\nccflags-y += -DX\nendef\n"
                                      "$(eval $(call KVM,x))\n",
    "a condition that is evaluated": "ifeq ($(eval ccflags-y += -DX),)\nendif\n",
    "a value that is evaluated": "KVM := $(eval ccflags-y += -DX)\n",
    "what a shell says": "$(shell cat $(src)/flags)\n",
    "another folder of objects": "obj-y += more/\n",
    "a place of files": "vpath %.c other\n",
}  # fmt: skip


@pytest.mark.parametrize("makefile", HARMLESS.values(), ids=HARMLESS)
def test_what_says_nothing_of_the_text(makefile):
    """What is made of it, how well, and what is checked is no matter."""
    assert told(makefile) == []


@pytest.mark.parametrize("makefile", TELLING.values(), ids=TELLING)
def test_what_may_say_what_the_text_means(makefile):
    """Whatever is not known to be harmless is told."""
    assert told(makefile)


def test_a_makefile_that_is_included():
    """It is read as well; where it is not found, that is told."""
    taken = "include $(srctree)/arch/x86/kvm/more.mk\n"
    assert told(taken) == ["$(srctree)/arch/x86/kvm/more.mk is taken in here, and is not found"]
    assert told(taken, {f"{FOLDER}/more.mk": "ccflags-y += -Wall\n"}) == []
    assert told(taken, {f"{FOLDER}/more.mk": "ccflags-y += -DX\n" + taken})
    assert told("-include $(shell ls)\n") and told("include /etc/more.mk\n")


def test_a_kbuild_goes_before_a_makefile():
    """Where both are there, the kernel reads the Kbuild."""
    assert told("ccflags-y += -DX\n", {f"{FOLDER}/Kbuild": LISTED}) == []
    assert told("ccflags-y += -DX\n", {f"{FOLDER}/Makefile": LISTED}, "Kbuild")


def test_a_variable_that_nobody_else_reads():
    """It is known by what reads makefiles, where that is there to be looked at."""
    assert told("of_mine := -DX\n", SCRIPTS) == []
    assert told("CC_WORDS := -DX\n", SCRIPTS)
    assert told("of_mine := -DX\n", {**SCRIPTS, "Makefile": "all: ; echo $(of_mine)\n"})
    assert told("of_mine := -DX\n")


def test_statements_have_their_lines():
    """A line that goes on is counted where it begins, and words in brackets are one."""
    text = "a := 1\n\nb-y += x.o \\\n  y.o\n$(error no (such) x)\nc: d\n\te $(call f, g)\n"
    assert [(one.line, one.kind, one.name, one.words) for one in statements(text)] == [
        (1, "assignment", "a", ("1",)),
        (3, "assignment", "b-y", ("x.o", "y.o")),
        (5, "call", "error", ("no", "(such)", "x")),
        (6, "rule", "", ("d",)),
        (7, "recipe", "", ("e", "$(call", "f,", "g)")),
    ]
