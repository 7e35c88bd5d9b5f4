# SPDX-License-Identifier: GPL-2.0-only
"""Who asks for a feature of one guest is known by what he is given and does, else by his name."""

import pytest
from edited import Files

from patchtool.c.asked import asked
from patchtool.c.index import Index
from patchtool.target.kvm import KVM

HERE = "arch/x86/kvm/cpuid.h"
HEAD = "static inline bool guest_can(struct kvm_vcpu *vcpu, unsigned int f)\n{\n"
ANSWER = "\treturn vcpu->arch.caps[f / 32] & (1u << (f & 31));\n}\n"
HELPER = "static inline unsigned int word(unsigned int f)\n{\n\tBODYreturn f / 32;\n}\n\n"
GIVEN = ("vcpu", "X86_FEATURE_GBPAGES")


def told(text, name="guest_can", given=GIVEN):
    """Return of whose CPU a function tells something that a header defines."""
    return asked(Index(Files({HERE: text.encode()}), KVM), name, HERE, given)


@pytest.mark.parametrize(
    "text",
    [
        f"{HEAD}{ANSWER}",
        f"{HEAD}\tunsigned int w = f / 32;\n\n\tw += 1;\n{ANSWER}",
        f"{HEAD}\tBUILD_BUG_ON(f == 3);\n{ANSWER}",
        f"{HEAD}\treturn test_bit(f, vcpu->arch.caps);\n}}\n",
        HELPER.replace("BODY", "") + HEAD + ANSWER.replace("f / 32", "word(f)"),
        "#define WORD(f) ((f) / 32)\n" + HEAD + ANSWER.replace("f / 32", "WORD(f)"),
    ],
)
def test_a_question_by_any_name(text):
    """It is given a guest and a feature, and leaves all as it is."""
    assert told(text) == "guest"


@pytest.mark.parametrize(
    "text",
    [
        f"{HEAD}\tvcpu->arch.seen = f;\n{ANSWER}",
        f"{HEAD}\tvcpu->arch.seen++;\n{ANSWER}",
        f"{HEAD}\tWRITE_ONCE(vcpu->arch.seen, f);\n{ANSWER}",
        f"{HEAD}\tset_bit(f, vcpu->arch.seen);\n{ANSWER}",
        f'{HEAD}\tasm("" : : : "memory");\n{ANSWER}',
        f"{HEAD}\tnote_it(vcpu, f);\n{ANSWER}",
        HELPER.replace("BODY", "seen->f = f;\n\t") + HEAD + ANSWER.replace("f / 32", "word(f)"),
        "#define WORD(v, f) ((v)->seen = (f))\n" + HEAD + ANSWER.replace("f / 32", "WORD(vcpu, f)"),
        "#define BUILD_BUG_ON(x) (seen = (x))\n" + f"{HEAD}\tBUILD_BUG_ON(f == 3);\n{ANSWER}",
        f"{HEAD}{ANSWER}".replace("bool", "void"),
        f"{HEAD}{ANSWER}".replace("bool guest", "u32 *guest"),
        f"{HEAD}{ANSWER}".replace("kvm_vcpu", "other"),
    ],
)
def test_what_is_no_question(text):
    """It does more, or what it calls is not found and not known."""
    assert told(text) is None


def test_a_question_is_of_one_feature():
    """What is asked with something else is no such question, but for the names that are known."""
    assert told(f"{HEAD}{ANSWER}", given=("vcpu", "3")) is None
    assert told("", "guest_cpuid_has") == "guest"
    assert told("", "boot_cpu_has", ("X86_FEATURE_NX",)) == "host"
