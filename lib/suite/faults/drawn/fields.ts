/**
 * The state that a kernel can consult at the hook and on the way to the exit: what the conditions of drawn faults are about.
 * kernel/fault/arch/x86/kvm/dsm_fault_cond.c reads it; a unit test holds both to the same names.
 */
import { FLAG, type Group, type Op, REPLAYS, type Site, type StateField, WRITES } from './field.ts';

type Tests = readonly (readonly [Op, ...number[]])[];

const EVERYWHERE: readonly Site[] = [...WRITES, ...REPLAYS];

const of =
  (group: Group, where: readonly Site[]) =>
  (name: string, source: string, what: string, ...tests: Tests | [Tests]): StateField => ({
    name,
    group,
    source,
    what,
    sites: where,
    tests: tests[0] === FLAG ? FLAG : (tests as Tests),
  });

const bits = (...numbers: number[]): readonly [Op, ...number[]] => ['has', ...numbers.map((bit) => 2 ** bit)];
const range = (op: Op, from: number, to: number): readonly [Op, ...number[]] => [
  op,
  ...Array.from({ length: to - from + 1 }, (_, i) => from + i),
];

const cpu = of('cpu', WRITES);
const instruction = of('instruction', WRITES);
const vcpu = of('vcpu', WRITES);
const anyVcpu = of('vcpu', EVERYWHERE);
const lapic = of('lapic', EVERYWHERE);
const vm = of('vm', EVERYWHERE);
const history = of('history', WRITES);

/** What the CPU of the writing vCPU is doing. */
const cpuFields = [
  cpu(
    'mode',
    'CR0.PE, EFER.LMA, RFLAGS.VM, CS.D, CS.L',
    'the mode (real, v8086, 16, 32, compatibility, 64)',
    range('eq', 0, 5),
  ),
  cpu('cpl', 'kvm_x86_ops.get_cpl', 'the privilege level', ['eq', 0, 3], ['ne', 0]),
  cpu('rflags', 'kvm_get_rflags()', 'RFLAGS', bits(0, 2, 4, 6, 7, 9, 10, 11, 14, 18, 21), ['lacks', 0x200]),
  cpu('shadow', 'kvm_x86_ops.get_interrupt_shadow', 'the interrupt shadow', ['ne', 0]),
  cpu('nmi-masked', 'kvm_x86_ops.get_nmi_mask', 'the block of NMIs', FLAG),
  cpu('nmi-pending', 'kvm_vcpu_arch.nmi_pending', 'the number of pending NMIs', ['ge', 1]),
  cpu('debug', 'kvm_vcpu.guest_debug', 'the guest debugging by user space', ['ne', 0], bits(1, 16, 17)),
  cpu('cr0', 'kvm_read_cr0()', 'CR0', bits(1, 2, 3, 5, 16, 18, 29, 30, 31), ['lacks', 0x1, 0x80000000]),
  cpu('cr2', 'kvm_vcpu_arch.cr2', 'CR2', ['ne', 0]),
  cpu('cr3', 'kvm_read_cr3()', 'CR3', ['ne', 0], ['eq', 0]),
  cpu('cr4', 'kvm_read_cr4()', 'CR4', bits(0, 2, 3, 4, 5, 7, 9, 16, 18)),
  cpu('efer', 'kvm_vcpu_arch.efer', 'EFER', bits(0, 8, 10, 11)),
  cpu('cs', 'VCPU_SREG_CS', "CS's selector", ['eq', 0], ['ge', 0x10, 0x100, 0x1000]),
  cpu('cs-base', 'VCPU_SREG_CS', "CS's base", ['ne', 0]),
  cpu('ds-base', 'VCPU_SREG_DS', "DS's base", ['ne', 0]),
  cpu('es-base', 'VCPU_SREG_ES', "ES's base", ['ne', 0]),
  cpu('ss-base', 'VCPU_SREG_SS', "SS's base", ['ne', 0]),
  cpu('fs-base', 'VCPU_SREG_FS', "FS's base", ['ne', 0]),
  cpu('gs-base', 'VCPU_SREG_GS', "GS's base", ['ne', 0]),
  cpu('rip', 'kvm_rip_read()', 'RIP', ['lt', 0x1000, 0x10000], ['ge', 0x8000, 0x100000], ['has', 1, 2, 0xff0]),
  cpu('dr7', 'kvm_vcpu_arch.dr7', 'DR7', ['has', 0xff]),
  cpu('xcr0', 'kvm_vcpu_arch.xcr0', 'XCR0', bits(1, 2)),
  cpu('smm', 'is_smm()', 'system management mode', FLAG),
  cpu('l2', 'is_guest_mode()', 'the nested guest', FLAG),
];

/** The instruction that KVM emulates: struct x86_emulate_ctxt. */
const instructionFields = [
  instruction('opcode', 'x86_emulate_ctxt.b', "the opcode's last byte", [
    'eq',
    0x89,
    0xc7,
    0xa3,
    0xab,
    0xa5,
    0x87,
    0xff,
    0x8f,
    0x01,
    0x09,
    0x21,
    0x31,
    0x81,
    0x60,
    0xb1,
    0xc1,
    0x0f,
    0xc8,
  ]),
  instruction('opcode-len', 'x86_emulate_ctxt.opcode_len', 'the number of opcode bytes', ['ge', 2]),
  instruction('rep', 'x86_emulate_ctxt.rep_prefix', 'the REP prefix', ['ne', 0]),
  instruction('lock', 'x86_emulate_ctxt.lock_prefix', 'the LOCK prefix', FLAG),
  instruction('op-bytes', 'x86_emulate_ctxt.op_bytes', 'the operand size', ['eq', 4, 8], ['ne', 4]),
  instruction('ad-bytes', 'x86_emulate_ctxt.ad_bytes', 'the address size', ['eq', 2, 4, 8]),
  instruction(
    'seg',
    'x86_emulate_ctxt.dst.addr.mem.seg',
    "the operand's segment (ES, CS, SS, DS, FS, GS)",
    range('eq', 0, 5),
  ),
  instruction('ea-moved', 'x86_emulate_ctxt.dst.addr.mem.ea', 'another linear address than the physical one', FLAG),
  instruction('modrm-mod', 'x86_emulate_ctxt.modrm', "ModRM's mod", ['eq', 0, 1, 2]),
];

/** The vCPU as KVM and user space know it. */
const vcpuFields = [
  anyVcpu('vcpu-id', 'kvm_vcpu.vcpu_id', 'the vcpu_id', ['eq', 0, 1, 2, 3], ['ge', 2, 4, 8, 16, 64], ['has', 1]),
  anyVcpu('vcpu-idx', 'kvm_vcpu.vcpu_idx', "the vCPU's index", ['eq', 0, 1, 2], ['ge', 1, 2, 3, 8]),
  anyVcpu('id-not-idx', 'kvm_vcpu.vcpu_id, vcpu_idx', 'a vcpu_id that is not the index', FLAG),
  vcpu('immediate-exit', 'kvm_run.immediate_exit', 'immediate_exit', ['ne', 0]),
  vcpu('signal', 'signal_pending()', 'a pending signal', FLAG),
  vcpu('valid-regs', 'kvm_run.kvm_valid_regs', 'kvm_valid_regs', ['ne', 0], ['has', 1, 2, 4]),
  vcpu('irq-window', 'kvm_run.request_interrupt_window', 'request_interrupt_window', ['ne', 0]),
  vcpu('event-request', 'KVM_REQ_EVENT', 'a requested look at events', FLAG),
  vcpu('runs', 'calls of KVM_RUN', 'the number of KVM_RUNs', ['eq', 1, 2, 3], ['ge', 2, 3, 5, 10, 50]),
  vcpu('last-exit', 'kvm_run.exit_reason', 'the last exit reason', ['eq', 1, 2, 4, 5, 6, 7, 10, 45], ['ne', 45]),
  vcpu('halts', 'kvm_vcpu_stat.halt_exits', 'the number of HLTs', ['ge', 1, 2]),
  vcpu('irqs', 'kvm_vcpu_stat.irq_injections', 'the number of interrupts taken', ['ge', 1, 2, 10]),
  vcpu('nmis', 'kvm_vcpu_stat.nmi_injections', 'the number of NMIs taken', ['ge', 1]),
  vcpu('signals', 'kvm_vcpu_stat.signal_exits', 'the number of KVM_RUNs that a signal ended', ['ge', 1]),
  vcpu('cpu-moved', 'kvm_vcpu.cpu', 'another physical CPU than at the last write', FLAG),
  anyVcpu('cpuid', 'kvm_vcpu_arch.cpuid_nent', 'the number of CPUID entries', ['eq', 0], ['ge', 1]),
  anyVcpu('kvm-cpuid', 'kvm_vcpu_arch.kvm_cpuid', "KVM's leaves in CPUID", FLAG),
  anyVcpu('hyperv', 'kvm_vcpu_arch.hyperv_enabled', 'Hyper-V', FLAG),
  anyVcpu('x2apic-cpuid', 'X86_FEATURE_X2APIC', 'x2APIC in CPUID', FLAG),
  anyVcpu('pv-eoi', 'kvm_vcpu_arch.pv_eoi', 'the PV EOI', FLAG),
  anyVcpu('async-pf', 'kvm_vcpu_arch.apf', 'asynchronous page faults', FLAG),
  anyVcpu('steal-time', 'kvm_vcpu_arch.st', 'steal time', FLAG),
  anyVcpu('kvmclock', 'kvm_vcpu_arch.time', 'kvmclock', FLAG),
  anyVcpu('tsc-adjust', 'kvm_vcpu_arch.ia32_tsc_adjust_msr', 'IA32_TSC_ADJUST', ['ne', 0]),
  anyVcpu('hv-os-id', 'kvm_hv.hv_guest_os_id', "Hyper-V's guest OS id", FLAG),
  anyVcpu('hv-hypercall', 'kvm_hv.hv_hypercall', "Hyper-V's hypercall page", FLAG),
  anyVcpu('hv-tsc', 'kvm_hv.hv_tsc_page', "Hyper-V's reference TSC", FLAG),
  anyVcpu('hv-assist', 'kvm_vcpu_hv.hv_vapic', "Hyper-V's VP assist page", FLAG),
  anyVcpu('hv-synic', 'kvm_vcpu_hv_synic.active', "Hyper-V's SynIC", FLAG),
  of('vcpu', REPLAYS)('mp-state', 'kvm_vcpu_arch.mp_state', "the vCPU's mp_state", ['eq', 0, 1, 2, 3]),
  of('vcpu', REPLAYS)('in-guest', 'kvm_vcpu.mode', 'a vCPU that is in the guest', FLAG),
];

/** The local APIC of the vCPU that writes, or that is replayed on, as it was before. */
const lapicFields = [
  lapic('sw-enabled', 'kvm_lapic.sw_enabled', 'the software enable of the local APIC', ['eq', 0, 1]),
  lapic('spurious', 'SVR 7:0', 'the spurious vector', ['ne', 0xff], ['lt', 0x80]),
  lapic('svr', 'SVR', 'the SVR', bits(9, 12)),
  lapic('tpr', 'TPR', 'the TPR', ['eq', 0], ['ge', 1, 0x10, 0x20, 0x80, 0xf0], ['has', 0xf]),
  lapic('ppr', 'PPR', 'the PPR', ['ge', 0x10, 0x40, 0x80]),
  lapic('isr', 'ISR', 'the highest vector in service', ['ge', 0x10, 0x40, 0x80, 0xc0]),
  lapic('isr-count', 'kvm_lapic.isr_count', 'the number of vectors in service', ['eq', 1], ['ge', 1, 2]),
  lapic('irr', 'IRR', 'the highest pending vector', ['ge', 0x10, 0x40, 0x80, 0xc0]),
  lapic('apic-id', 'APIC ID 31:24', 'the APIC ID', ['ne', 0], ['ge', 2, 8]),
  lapic('apic-id-moved', 'APIC ID, kvm_vcpu.vcpu_id', 'another APIC ID than the vcpu_id', FLAG),
  lapic('ldr', 'LDR 31:24', 'the logical APIC ID', ['ne', 0], bits(0, 1, 7)),
  lapic('dfr', 'DFR 31:28', 'the destination format', ['eq', 0], ['eq', 15]),
  lapic('lvtt', 'LVT timer', 'the timer LVT', ['lacks', 0x10000], ['has', 0x20000, 0x40000, 0xff]),
  lapic('lvt0', 'LVT LINT0', 'the LINT0 LVT', ['lacks', 0x10000], ['has', 0x700, 0x8000]),
  lapic('lvt1', 'LVT LINT1', 'the LINT1 LVT', ['lacks', 0x10000], ['has', 0x400]),
  lapic('lvterr', 'LVT error', 'the error LVT', ['lacks', 0x10000], ['has', 0xff]),
  lapic('lvtpc', 'LVT performance counter', "the performance counter's LVT", ['lacks', 0x10000]),
  lapic('lvtthmr', 'LVT thermal', 'the thermal LVT', ['lacks', 0x10000]),
  lapic('timer-mode', 'kvm_timer.timer_mode', 'the timer mode (one-shot, periodic, deadline)', ['eq', 1, 2]),
  lapic('timer-armed', 'TMICT, kvm_timer.tscdeadline', 'a running timer', FLAG),
  lapic('tdcr', 'TDCR', 'the timer divisor', ['ne', 0]),
  lapic('esr', 'ESR', 'the ESR', ['ne', 0]),
  lapic('old-icr', 'ICR', 'the ICR before', ['eq', 0], ['has', 0xff, 0x700, 0x800, 0x4000, 0x8000, 0xc0000]),
  lapic('old-icr2', 'ICR2 31:24', 'the destination in ICR2 before', ['eq', 0, 1, 0xff], ['ge', 2, 0x80]),
  lapic('base-moved', 'kvm_lapic.base_address', 'another APIC base than 0xfee00000', FLAG),
  lapic('bsp', 'IA32_APIC_BASE.BSP', 'the bit of the boot processor', ['eq', 0, 1]),
  lapic('events', 'kvm_lapic.pending_events', 'pending INIT or SIPI', ['ne', 0]),
  lapic('vapic', 'kvm_lapic.vapic_addr', 'the address of the virtual TPR', ['ne', 0]),
];

const vmFields = [
  vm('vcpus', 'kvm.online_vcpus', 'the number of vCPUs', ['eq', 1, 2, 3], ['ge', 2, 3, 4, 5, 9, 17, 33]),
  vm('full-irqchip', 'kvm_arch.irqchip_mode', 'the full irqchip', ['eq', 0, 1]),
  vm('pit', 'kvm_arch.vpit', 'the PIT', FLAG),
  vm('slots', 'kvm_memslots()', 'the number of memory slots', ['eq', 1], ['ge', 2, 3, 5]),
  vm('dirty-log', 'kvm.nr_memslots_dirty_logging', 'the number of slots with a dirty log', ['ge', 1]),
  vm('readonly', 'KVM_MEM_READONLY', 'the number of read-only slots', ['ge', 1]),
  vm('pages', 'kvm.nr_memslot_pages', 'the number of memory pages', ['ge', 0x200, 0x1000], ['lt', 0x100]),
  vm('ioeventfds', 'kvm.ioeventfds', 'ioeventfds', FLAG),
  vm('irqfds', 'kvm.irqfds', 'irqfds', FLAG),
  vm('coalesced', 'kvm.coalesced_zones', 'coalesced MMIO zones', FLAG),
  vm('routes', 'kvm.irq_routing', 'the number of GSIs with a route', ['eq', 0], ['ge', 1, 25]),
  vm('map-mode', 'kvm_apic_map.logical_mode', 'the logical mode of the APIC map', ['eq', 0, 1, 2, 3]),
  vm('map-max', 'kvm_apic_map.max_apic_id', 'the highest APIC ID', ['eq', 0], ['ge', 1, 8, 0x80]),
  vm('x2apic-format', 'kvm_arch.x2apic_format', "KVM_CAP_X2APIC_API's 32-bit IDs", FLAG),
  vm('no-broadcast-quirk', 'kvm_arch.x2apic_broadcast_quirk_disabled', "KVM_CAP_X2APIC_API's broadcast", FLAG),
  vm('quirks', 'kvm_arch.disabled_quirks', 'the disabled quirks', ['ne', 0]),
  vm('msr-filter', 'kvm_arch.msr_filter', 'the MSR filter', FLAG),
  vm('msr-exits', 'kvm_arch.user_space_msr_mask', 'the MSR exits to user space', ['ne', 0]),
  vm('exits-disabled', 'kvm_arch.hlt_in_guest, ...', 'disabled exits (HLT, PAUSE, MWAIT, C-states)', ['ne', 0]),
  vm('bsp-id', 'kvm_arch.bsp_vcpu_id', 'the vcpu_id of the boot processor', ['ne', 0]),
];

const historyFields = [
  history(
    'writes',
    'since the VM began',
    "this vCPU's writes of both registers",
    ['eq', 1, 2, 3, 5, 16],
    ['ge', 2, 3, 8, 64, 256, 1000],
    ['mod', 2, 3, 5, 7, 16, 64, 256, 1000],
  ),
  history(
    'reg-writes',
    'since the VM began',
    "this vCPU's writes of the same register",
    ['eq', 1, 2, 4],
    ['ge', 3, 8, 100, 1000],
    ['mod', 2, 3, 10, 100, 500],
  ),
  history(
    'vm-writes',
    'since the VM began',
    "all vCPUs' writes",
    ['eq', 4],
    ['ge', 8, 100, 1000],
    ['mod', 5, 17, 128, 1024],
  ),
  history('run-writes', 'since KVM_RUN was called', 'the writes within this KVM_RUN', ['ge', 2]),
  history('same-reg', 'the last write', 'the same register as the last write of this vCPU', ['eq', 0, 1]),
  history('same-value', 'the last write of the register', 'the same value as last time', FLAG),
  history('other-wrote', 'the last write in the VM', 'another vCPU that wrote last', FLAG),
  history('us-in-run', 'ktime since KVM_RUN was called', 'the time since KVM_RUN began (us)', [
    'ge',
    1000,
    10_000,
    100_000,
  ]),
  history(
    'us-since-write',
    'ktime since the last write',
    'the time since the last write (us)',
    ['lt', 1000],
    ['ge', 10_000, 100_000],
  ),
];

const IPIS: readonly Site[] = ['icr', 'ipi-icr', 'x2apic'];
const ipi = of('write', IPIS);
const target = of('target', IPIS);

/** Of the first other vCPU that the IPI names. */
const targetFields = [
  target('to-mp-state', 'kvm_vcpu_arch.mp_state', "the target's mp_state", ['eq', 0, 1, 3]),
  target('to-sw-enabled', 'kvm_lapic.sw_enabled', "the software enable of the target's local APIC", ['eq', 0]),
  target('to-tpr', 'TPR', "the target's TPR", ['eq', 0x20], ['has', 0x80, 0x40]),
  target('to-irr', 'IRR', "the target's highest pending vector", ['eq', 0, 0xfe]),
  target('to-isr', 'ISR', "the target's highest vector in service", ['eq', 0x41, 0xfe]),
  target('to-timer-mode', 'kvm_timer.timer_mode', "the target's timer mode (one-shot, periodic, deadline)", [
    'eq',
    1,
    2,
  ]),
  target('to-nmi-pending', 'kvm_vcpu_arch.nmi_pending', "the target's pending NMIs", ['eq', 1]),
];

const writeFields = [
  ipi('vector', 'ICR 7:0', 'the vector', range('eq', 0, 255), ['lt', 16, 32], ['ge', 0x80, 0xf0]),
  ipi('delivery-mode', 'ICR 10:8', 'the delivery mode', range('eq', 0, 7)),
  ipi('dest-mode', 'ICR 11', 'the logical destination mode', ['eq', 0, 1]),
  ipi('delivery-status', 'ICR 12', 'the delivery status', FLAG),
  ipi('level', 'ICR 14', 'the level', ['eq', 0, 1]),
  ipi('trigger', 'ICR 15', 'the trigger mode', ['eq', 0, 1]),
  ipi('shorthand', 'ICR 19:18', 'the shorthand', ['eq', 0, 1, 2, 3]),
  of('write', ['icr', 'ipi-icr'])('reserved', 'ICR 31:20, 17:16, 13', 'the reserved bits', [
    'has',
    0x2000,
    0x30000,
    0xfff00000,
  ]),
  ipi('dest', 'ICR2 31:24', 'the destination', ['eq', 0, 1, 2, 3, 0xff], ['ge', 4, 0x10, 0x80]),
  ipi('dest-self', 'kvm_apic_match_dest()', 'the sender among the destinations', ['eq', 0, 1]),
  ipi('dest-count', 'kvm_apic_match_dest()', 'the number of destinations', ['eq', 0, 1, 2], ['ge', 2, 3]),
  of('write', ['icr2', 'ipi-icr2'])(
    'value',
    'ICR2',
    'the value',
    ['eq', 0],
    ['has', 0xffffff],
    ...[24, 25, 26, 27, 28, 31].map((bit) => ['has', 2 ** bit] as const),
  ),
  of('write', ['icr', 'icr2', 'ipi-icr', 'ipi-icr2'])(
    'unchanged',
    'the register before',
    'the value that the register has',
    FLAG,
  ),
  of('write', ['ipi-icr', 'ipi-icr2'])(
    'arg-dest',
    'kvm_dsm_ipi_arg.dest_id',
    "the argument's dest_id",
    ['eq', 0],
    ['ne', 0],
  ),
  of('write', ['base'])('host', 'kvm_dsm_apic_base_arg.host', "the argument's host", ['eq', 0, 1]),
  of('write', ['base'])('base-value', 'kvm_dsm_apic_base_arg.data', 'the value', bits(8, 10, 11), [
    'lacks',
    0x100,
    0x400,
    0x800,
  ]),
];

/** What a write of another register is told by. */
const otherFields = [
  of('write', ['other'])('register', 'the offset', 'the register', [
    'eq',
    0x20,
    0x30,
    0x80,
    0xb0,
    0xd0,
    0xe0,
    0xf0,
    0x280,
    0x320,
    0x330,
    0x340,
    0x350,
    0x360,
    0x370,
    0x380,
    0x3e0,
  ]),
];

export const fields: readonly StateField[] = [
  ...vcpuFields,
  ...cpuFields,
  ...instructionFields,
  ...lapicFields,
  ...vmFields,
  ...historyFields,
  ...targetFields,
  ...writeFields,
  ...otherFields,
];

/** State that is no field, and why. */
export const leftOut: readonly { what: string; why: string }[] = [
  {
    what: 'kvm_vcpu_arch.exception, interrupt.injected',
    why: 'an instruction that is emulated has no event under way',
  },
  { what: 'mp_state at a write', why: 'a vCPU that executes is KVM_MP_STATE_RUNNABLE' },
  { what: 'hardware enable, x2APIC mode at a write by MMIO', why: 'the hook is not reached' },
  { what: 'the general registers', why: 'the value written and the address are in them: those are fields' },
  {
    what: 'the vector register file, FPU, debug registers 0 to 3, PMU, MTRR, MCE banks',
    why: 'nothing between the hook and the exit has to do with them',
  },
  { what: 'bits that TCG lacks: VMX, AVIC, SEV, TDX, PKU', why: 'the lanes cannot run a guest with them' },
  { what: 'the number of the physical CPU', why: 'the scheduler chooses it: that it has changed is a field' },
];
