# SPDX-License-Identifier: GPL-2.0-only
"""KVM for x86: its files, its build options, its macros, and the registers of x86.

Sources of the facts about registers: Intel SDM volume 3, "Control Registers" and "IA-32e
Mode Operation"; AMD APM volume 2, "Long-Mode Consistency Checks" and "Five-Level Paging".
They restrict which states a witness may show; a verdict prints the ones it rests on.
"""

from __future__ import annotations

from patchtool.target.record import (
    Ended,
    Implication,
    Named,
    Options,
    Part,
    Query,
    Registers,
    Selected,
    Tables,
    Target,
    Use,
)
from patchtool.target.where import FOLDER, GENERIC, HEADER, HEADERS, ROOTS, UNINCLUDED

REGISTER_BITS: dict[str, dict[int, str]] = {
    "CR0": {0: "PE", 1: "MP", 2: "EM", 3: "TS", 4: "ET", 5: "NE", 16: "WP", 18: "AM", 29: "NW",
            30: "CD", 31: "PG"},
    "CR4": {0: "VME", 1: "PVI", 2: "TSD", 3: "DE", 4: "PSE", 5: "PAE", 6: "MCE", 7: "PGE", 8: "PCE",
            9: "OSFXSR", 10: "OSXMMEXCPT", 11: "UMIP", 12: "LA57", 13: "VMXE", 14: "SMXE",
            16: "FSGSBASE", 17: "PCIDE", 18: "OSXSAVE", 20: "SMEP", 21: "SMAP", 22: "PKE",
            23: "CET", 24: "PKS", 25: "UINTR", 27: "LASS", 28: "LAM_SUP", 32: "FRED"},
    "EFER": {0: "SCE", 8: "LME", 10: "LMA", 11: "NX", 12: "SVME", 13: "LMSLE", 14: "FFXSR",
             15: "TCE", 17: "MCOMMIT", 18: "INTWB", 20: "UAIE", 21: "AIBRSE"},
}  # fmt: skip
"""Names of the bits of the registers that steer paging."""

_IMPLICATIONS: tuple[Implication, ...] = (
    Implication(("EFER", "LMA"), ("CR0", "PG"), "EFER.LMA=1 implies CR0.PG=1"),
    Implication(("EFER", "LMA"), ("CR4", "PAE"), "EFER.LMA=1 implies CR4.PAE=1"),
    Implication(("EFER", "LMA"), ("EFER", "LME"), "EFER.LMA=1 implies EFER.LME=1"),
    Implication(("CR0", "PG"), ("CR0", "PE"), "CR0.PG=1 implies CR0.PE=1"),
)

_YES = {0: "no", 1: "yes"}


def _capability(position: int, name: str, macro: str = "VMX_EPT_{}_BIT") -> Part:
    return Part(name, position, position, macro.format(name))


_EPT_CAPABILITIES = (
    _capability(0, "EXECUTE_ONLY"),
    _capability(6, "PAGE_WALK_4"),
    _capability(7, "PAGE_WALK_5"),
    _capability(8, "UC", "VMX_EPTP_{}_BIT"),
    _capability(14, "WB", "VMX_EPTP_{}_BIT"),
    _capability(16, "2MB_PAGE"),
    _capability(17, "1GB_PAGE"),
    _capability(20, "INVEPT"),
    _capability(21, "AD"),
    _capability(25, "EXTENT_CONTEXT"),
    _capability(26, "EXTENT_GLOBAL"),
)
_EPTP = (
    Part("MT", 0, 2, "VMX_EPTP_MT_MASK", {0: "UC", 6: "WB"}),
    Part("PWL", 3, 5, "VMX_EPTP_PWL_MASK", {3: "4 levels", 4: "5 levels"}),
    Part("AD", 6, 6, "VMX_EPTP_AD_ENABLE_BIT"),
)
_VM_TYPES = ("DEFAULT_VM", "SW_PROTECTED_VM", "SEV_VM", "SEV_ES_VM", "SNP_VM", "TDX_VM")


def _halves(**msrs: str) -> dict[str, Named]:
    """Return the names of MSRs of which the kernel keeps either half in a member."""
    return {
        f"nested_vmx_msrs.{stem}_{half}": Named(f"IA32_VMX_{name}[{bits}]")
        for stem, name in msrs.items()
        for half, bits in (("low", "31:0"), ("high", "63:32"))
    }


_NAMES: dict[str, Named] = {
    "kvm_vcpu_arch.maxphyaddr": Named("MAXPHYADDR"),
    "kvm_vcpu_arch.reserved_gpa_bits": Named("reserved_gpa_bits"),
    "kvm_host_values.maxphyaddr": Named("MAXPHYADDR"),
    "cpuinfo_x86.x86_phys_bits": Named("MAXPHYADDR"),
    "shadow_phys_bits": Named("MAXPHYADDR (shadow_phys_bits)"),
    "kvm_arch.vm_type": Named(
        "VM type", {number: f"KVM_X86_{name}" for number, name in enumerate(_VM_TYPES)}
    ),
    **_halves(
        pinbased_ctls="TRUE_PINBASED_CTLS",
        procbased_ctls="TRUE_PROCBASED_CTLS",
        secondary_ctls="PROCBASED_CTLS2",
        exit_ctls="TRUE_EXIT_CTLS",
        entry_ctls="TRUE_ENTRY_CTLS",
        misc="MISC",
    ),
    "nested_vmx_msrs.ept_caps": Named("IA32_VMX_EPT_VPID_CAP", parts=_EPT_CAPABILITIES),
    "nested_vmx_msrs.vpid_caps": Named("IA32_VMX_EPT_VPID_CAP[63:32]"),
    "nested_vmx_msrs.basic": Named("IA32_VMX_BASIC"),
    "nested_vmx_msrs.vmfunc_controls": Named("IA32_VMX_VMFUNC"),
    "vmcs12.ept_pointer": Named("EPTP", parts=_EPTP),
    "vmcs12.*": Named("vmcs12->{}"),
}
"""Names from the SDM, volume 3, "VMX Capability Reporting Facility" and "EPTP"; the types of a
VM are those of KVM_CREATE_VM."""

_FEATURE = r"X86_FEATURE_(\w+)"
_ANSWERS = (
    Query(r"(?:boot|static|this)_cpu_has|cpu_feature_enabled", _FEATURE, Named("CPUID.{}", _YES)),
    Query(r"kvm_cpu_cap_has", _FEATURE, Named("KVM's CPUID.{}", _YES)),
    Query(r"boot_cpu_has_bug", r"X86_BUG_(\w+)", Named("CPU bug {}", _YES)),
    Query(r"guest_cpuid_is_amd(?:_\w+)?", "", Named("guest vendor", {0: "other", 1: "AMD"})),
    Query(r"guest_cpuid_is_intel(?:_\w+)?", "",
          Named("guest vendor", {0: "other", 1: "Intel"})),
    Query(r"cpuid_query_maxphyaddr", "", Named("MAXPHYADDR")),
    Query(r"cpuid_query_maxguestphyaddr", "", Named("GuestPhysBits")),
    Query(r"\w+", _FEATURE, Named("guest CPUID.{}", _YES)),
)  # fmt: skip

REGISTERS = Registers(
    bits=REGISTER_BITS,
    members={"cr0": "CR0", "cr4": "CR4", "efer": "EFER"},
    macros={"CR0": "X86_CR0_{}", "CR4": "X86_CR4_{}", "EFER": "EFER_{}"},
    implications=_IMPLICATIONS,
    ranges={
        "kvm_vcpu_arch.maxphyaddr": (32, 52, "MAXPHYADDR lies between 32 and 52"),
        "kvm_host.maxphyaddr": (32, 52, "MAXPHYADDR lies between 32 and 52"),
        "shadow_phys_bits": (32, 52, "MAXPHYADDR lies between 32 and 52"),
        "boot_cpu_data.x86_phys_bits": (32, 52, "MAXPHYADDR lies between 32 and 52"),
        "kvm_vcpu_arch.tdp_level": (4, 5, "the page tables of the host have 4 or 5 levels"),
        "max_tdp_level": (4, 5, "the page tables of the host have 4 or 5 levels"),
        "tdp_root_level": (0, 5, "page tables have at most 5 levels"),
    },
    usual={
        "kvm_vcpu_arch.maxphyaddr": (36, 52),
        "kvm_host.maxphyaddr": (36, 52),
        "kvm_vcpu_arch.tdp_level": (4, 5),
    },
    files=frozenset({"kvm_vcpu_arch", "kvm_mmu_role_regs", "vmcb_save_area"}),
    fills={
        "cache_reg": frozenset({"cr0", "cr3", "cr4", "regs", "regs_avail"}),
        "decache_cr0_guest_bits": frozenset({"cr0"}),
        "decache_cr3": frozenset({"cr3"}),
        "decache_cr4_guest_bits": frozenset({"cr4"}),
    },
    held={
        register: rf"(?:[\w.>()-]*\bvmcb->save\.{register}|vmcs_readl\(GUEST_{register.upper()}\))"
        for register in ("cr0", "cr3", "cr4")
    },
    owned=r"[\w.>-]*\bguest_owned_bits|[\w.>-]*\bcr[04]_guest_owned_bits",
    guest_queries=(
        r"guest_cpuid_(?:has|is)\w*|guest_cpu_cap_has|guest_can_use|cpuid_query_max\w*phyaddr"
    ),
    host_queries=(
        r"(?:boot|static|this)_cpu_has|cpu_feature_enabled|kvm_cpu_cap_has|boot_cpu_has_bug"
    ),
    numbers=r"cpuid_query_max\w*phyaddr",
    told=("cpuid_entries", "cpu_caps"),
    tables=Tables(
        record="kvm_cpuid_entry2",
        finders=r"\w*find_cpuid_entry\w*|cpuid_entry2_find",
        keys=("function", "index", "flags"),
        registers=("eax", "ebx", "ecx", "edx"),
        feature=r"X86_FEATURE_\w+",
        # enum cpuid_leafs.
        words={
            0: (0x1, "edx"),
            1: (0x80000001, "edx"),
            4: (0x1, "ecx"),
            6: (0x80000001, "ecx"),
            9: (0x7, "ebx"),
            10: (0xD, "eax"),
            12: (0x7, "eax"),
            13: (0x80000008, "ebx"),
            14: (0x6, "eax"),
            15: (0x8000000A, "edx"),
            16: (0x7, "ecx"),
            17: (0x80000007, "ebx"),
            18: (0x7, "edx"),
            19: (0x8000001F, "eax"),
            20: (0x80000021, "eax"),
        },
        host=r"kvm_cpu_cap_\w+|setup_\w+|cpuid_feature\w*|__feature_\w+|F|SF|VENDOR_F",
        capabilities=("boot_cpu_data", "x86_capability"),
        reading=r"cpu_has(?:_bug)?|test_cpu_cap",
        parameter="x86_feature",
        values="x86_(?:family|model|stepping)",
    ),
    computed=frozenset({"reserved_gpa_bits"}),
    births=r"kvm_arch_vcpu_(?:create|init|setup)|(?:kvm|vmx|svm|vt)_(?:create_vcpu|vcpu_create)",
    origins="kvm_arch_init_vm",
    # kvm_vm_ioctl_create_vcpu() counts a vCPU under the lock before it makes it.
    counted=("created_vcpus", "lock"),
    fixed=frozenset({"boot_cpu_data", "kvm_caps", "kvm_host", "kvm_x86_ops"}),
    names=_NAMES,
    answers=_ANSWERS,
)

KVM = Target(
    name="KVM for x86",
    folder=FOLDER,
    header=HEADER,
    host="kvm_vcpu_arch",
    main="arch/x86/kvm/mmu/mmu.c",
    short="KVM",
    each="vCPU",
    handle="kvm_vcpu",
    shared="kvm",
    role="mmu_role",
    module="kvm",
    generic=GENERIC,
    makefiles=("Makefile", "arch/x86/Makefile", "arch/x86/Kbuild", "virt/kvm/Makefile.kvm"),
    private=frozenset({
        "KVM", "check_kvm_exports", "exports_grep_trailer", "get_kvm_exports", "nr_kvm_exports",
    }),
    watched=(
        "arch/x86/include/uapi/asm/processor-flags.h",
        "arch/x86/include/asm/msr-index.h",
    ),
    headers=HEADERS,
    unwatched=UNINCLUDED,
    followed=(
        "arch/x86/include/",
        "include/linux/const.h",
        "include/linux/bits.h",
        "include/vdso/",
        "include/uapi/linux/const.h",
    ),
    near=("arch/x86/include/",),
    roots=ROOTS,
    constants=(
        ("arch/x86/include/uapi/",),
        ("/const.h", "/bits.h", "/processor-flags.h", "/msr-index.h", "features.h"),
    ),
    others=(
        "arch/x86/include/asm/pgtable_types.h",
        "include/uapi/asm-generic/errno-base.h",
        "include/uapi/asm-generic/errno.h",
    ),
    options=Options(
        on=frozenset(
            {"CONFIG_X86", "CONFIG_X86_64", "CONFIG_64BIT", "CONFIG_MMU", "__KERNEL__",
             "__x86_64__"}
        ),
        off=frozenset(
            {"CONFIG_X86_32", "__ASSEMBLY__", "__ASSEMBLER__", "__i386__", "__CHECKER__"}
        ),
        built=frozenset({"CONFIG_KVM"}),
        declared=("virt/kvm", "arch/x86", "init", "arch"),
    ),
    silent=r"pgprintk|rmap_printk|vcpu_unimpl|vcpu_debug\w*|kvm_(?:err|info|debug)|kvm_pr_\w+|kvm_mmu_audit",
    checking=r"KVM_BUG(?:_ON\w*)?",
    asked=r"kvm_vcpu_(?:un)?map|kvm_(?:vcpu_)?(?:read|write)_guest\w*|fpu_\w+|vcpu_(?:load|put)|set_hv_tscchange_cb|(?:rd|wr)msrl?_safe",
    dispatchers=frozenset({"kvm_x86_call"}),
    prefix="kvm_x86_",
    vendors=("arch/x86/kvm/svm", "arch/x86/kvm/vmx"),
    calls=("kvm_", "nested_", "init_", "__kvm_"),
    registers=REGISTERS,
    uses=(
        # Nested NPT takes npt_enabled, nested EPT takes enable_ept.
        Use(
            context="guest_mmu",
            host="tdp_enabled",
            text="guest_mmu is used for nested TDP alone, which KVM offers with tdp_enabled",
        ),
        # Only nested_{svm,ept}_init_mmu_context() let walk_mmu point to it.
        Use(
            context="nested_mmu",
            host="tdp_enabled",
            text="nested_mmu is used for nested TDP alone, which KVM offers with tdp_enabled",
        ),
    ),
    selected=(
        # nested_ept_init_mmu_context() lets it point there until the nested guest is left.
        Selected(
            pointer="walk_mmu",
            context="nested_mmu",
            bits=(
                ("kvm_vcpu_arch.hflags", "HF_GUEST_MASK"),
                # SDM, volume 3, "VM-Execution Control Fields".
                ("vmcs12.cpu_based_vm_exec_control", "0x80000000"),
                ("vmcs12.secondary_vm_exec_control", "0x2"),
            ),
            text="walk_mmu is nested_mmu while a nested guest runs on nested EPT",
        ),
    ),
    # A guest without paging has no page tables, and reset_guest_paging_metadata() leaves alone
    # what describes them.
    unread=("CR0.PG=0",),
    # A table that is read by level is read at the levels that a walk comes to, from the root down.
    # With a root of three levels (PAE paging), an entry of the third is a PDPTE: it maps no page.
    reached=((r"\[0\]\[(\d)\]", 0), (r"\[1\]\[([013-9])\]", 0), (r"\[1\]\[(2)\]", 1)),
    depths=frozenset({"root_level", "shadow_root_level", "level"}),
    deep=(2, 5),
    within={
        # In assembler, by offsets out of kvm-asm-offsets.c or of its own.
        "regs": frozenset({"__vmx_vcpu_run", "__svm_vcpu_run", "__svm_sev_es_vcpu_run"}),
        # KVM_REQUEST_MASK leaves no more bits than there are, as kvm_make_request() is given.
        "requests": frozenset({"set_bit", "clear_bit"}),
        # They take a pointer to one word, or to a set of signals.
        "pkru": frozenset({"fpu_copy_uabi_to_guest_fpstate"}),
        "efer": frozenset({"rdmsrq_safe"}),
        "sigset": frozenset({"sigprocmask"}),
    },
    counted=frozenset({"kvm_mmio_fragment"}),
    filling={
        "kvm_read_guest": (2, 3),
        "kvm_read_guest_cached": (2, 3),
        "kvm_vcpu_read_guest": (2, 3),
    },
    # KVM_BUG_ON() sets it, and kvm_vm_dead(): virt/kvm/kvm_main.c.
    ended=Ended(frozenset({"vm_bugged", "vm_dead"}), "kvm_vcpu_ioctl"),
    trusted=(
        "code outside KVM's text does not touch the members of KVM's contexts, nor define one of"
        " its names anew",
        "no object is changed through a pointer to an unrelated type, nor by a subscript beyond"
        " its end",
        "a vCPU is made of zeroes",
        "a vendor hook is one of those in the text",
        "a set-up is asked for after every change of its inputs",
        "no other thread changes what a set-up reads while it runs",
        "the kernel is a 64-bit one",
    ),
)  # fmt: skip
