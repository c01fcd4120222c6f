/** Register structs of a vCPU. Source of every layout: arch/x86/include/uapi/asm/kvm.h. */
import { array, bytes, type LayoutValue, layout, struct, structArray, u8, u16, u32, u64 } from '../layout.ts';

/** struct kvm_regs: KVM_GET_REGS, KVM_SET_REGS. */
export const kvmRegs = layout('struct kvm_regs', 144, {
  rax: u64(0),
  rbx: u64(8),
  rcx: u64(16),
  rdx: u64(24),
  rsi: u64(32),
  rdi: u64(40),
  rsp: u64(48),
  rbp: u64(56),
  r8: u64(64),
  r9: u64(72),
  r10: u64(80),
  r11: u64(88),
  r12: u64(96),
  r13: u64(104),
  r14: u64(112),
  r15: u64(120),
  rip: u64(128),
  rflags: u64(136),
});
/** The general registers of a vCPU, RIP and RFLAGS: struct kvm_regs, decoded. All are 64 bits. */
export type KvmRegs = { [K in keyof LayoutValue<typeof kvmRegs>]: LayoutValue<typeof kvmRegs>[K] };

/** The same as `kvmRegs.read(view)`, in full: four times as fast, and a script reads registers more often than any other struct. */
export function readRegs(view: DataView): KvmRegs {
  return {
    rax: view.getBigUint64(0, true),
    rbx: view.getBigUint64(8, true),
    rcx: view.getBigUint64(16, true),
    rdx: view.getBigUint64(24, true),
    rsi: view.getBigUint64(32, true),
    rdi: view.getBigUint64(40, true),
    rsp: view.getBigUint64(48, true),
    rbp: view.getBigUint64(56, true),
    r8: view.getBigUint64(64, true),
    r9: view.getBigUint64(72, true),
    r10: view.getBigUint64(80, true),
    r11: view.getBigUint64(88, true),
    r12: view.getBigUint64(96, true),
    r13: view.getBigUint64(104, true),
    r14: view.getBigUint64(112, true),
    r15: view.getBigUint64(120, true),
    rip: view.getBigUint64(128, true),
    rflags: view.getBigUint64(136, true),
  };
}

/** RFLAGS bit 1, which is always set. Source: SDM vol. 1, EFLAGS register. */
export const RFLAGS_FIXED = 1n << 1n;
/** RFLAGS bit 9: the vCPU takes maskable interrupts. */
export const RFLAGS_IF = 1n << 9n;

/** struct kvm_segment: `limit` in bytes; `type`, `s`, `dpl`, ... as in the descriptor; `unusable` is VMX's. */
export const kvmSegment = layout('struct kvm_segment', 24, {
  base: u64(0),
  limit: u32(8),
  selector: u16(12),
  type: u8(14),
  present: u8(15),
  dpl: u8(16),
  db: u8(17),
  s: u8(18),
  l: u8(19),
  g: u8(20),
  avl: u8(21),
  unusable: u8(22),
});
/** A segment register with its hidden part: struct kvm_segment, decoded. */
export type KvmSegment = { [K in keyof LayoutValue<typeof kvmSegment>]: LayoutValue<typeof kvmSegment>[K] };

/** struct kvm_dtable: GDTR or IDTR; `limit` in bytes, less one. */
export const kvmDtable = layout('struct kvm_dtable', 16, { base: u64(0), limit: u16(8) });
export type KvmDtable = LayoutValue<typeof kvmDtable>;

const segmentsAndControl = {
  cs: struct<KvmSegment>(kvmSegment, 0),
  ds: struct<KvmSegment>(kvmSegment, 24),
  es: struct<KvmSegment>(kvmSegment, 48),
  fs: struct<KvmSegment>(kvmSegment, 72),
  gs: struct<KvmSegment>(kvmSegment, 96),
  ss: struct<KvmSegment>(kvmSegment, 120),
  tr: struct<KvmSegment>(kvmSegment, 144),
  ldt: struct<KvmSegment>(kvmSegment, 168),
  gdt: struct(kvmDtable, 192),
  idt: struct(kvmDtable, 208),
  cr0: u64(224),
  cr2: u64(232),
  cr3: u64(240),
  cr4: u64(248),
  cr8: u64(256),
  efer: u64(264),
  apicBase: u64(272),
};

/** struct kvm_sregs: KVM_GET_SREGS, KVM_SET_SREGS. `interruptBitmap`: 256 bits, the vector of a pending injection. */
export const kvmSregs = layout('struct kvm_sregs', 312, {
  ...segmentsAndControl,
  interruptBitmap: array(u64, 280, 4),
});
/** Segment, table and control registers, EFER and IA32_APICBASE: struct kvm_sregs, decoded. */
export type KvmSregs = { [K in keyof LayoutValue<typeof kvmSregs>]: LayoutValue<typeof kvmSregs>[K] };

/** struct kvm_sregs2: KVM_GET_SREGS2, KVM_SET_SREGS2. `pdptrs` count if `flags` has KVM_SREGS2_FLAGS_PDPTRS_VALID. */
export const kvmSregs2 = layout('struct kvm_sregs2', 320, {
  ...segmentsAndControl,
  flags: u64(280),
  pdptrs: array(u64, 288, 4),
});
/** The same with the PDPTRs of PAE paging, and without the pending injection: struct kvm_sregs2, decoded. */
export type KvmSregs2 = LayoutValue<typeof kvmSregs2>;

export const KVM_SREGS2_FLAGS_PDPTRS_VALID = 1;

/** struct kvm_fpu: KVM_GET_FPU, KVM_SET_FPU. `fpr`: 8 x 16 bytes; `xmm`: 16 x 16 bytes. */
export const kvmFpu = layout('struct kvm_fpu', 416, {
  fpr: bytes(0, 128),
  fcw: u16(128),
  fsw: u16(130),
  ftwx: u8(132),
  lastOpcode: u16(134),
  lastIp: u64(136),
  lastDp: u64(144),
  xmm: bytes(152, 256),
  mxcsr: u32(408),
});
/** The x87 and SSE state: struct kvm_fpu, decoded. */
export type KvmFpu = LayoutValue<typeof kvmFpu>;

/** struct kvm_debugregs: KVM_GET_DEBUGREGS, KVM_SET_DEBUGREGS. `db`: DR0..DR3. */
export const kvmDebugregs = layout('struct kvm_debugregs', 128, {
  db: array(u64, 0, 4),
  dr6: u64(32),
  dr7: u64(40),
  flags: u64(48),
});
/** DR0 to DR3, DR6 and DR7: struct kvm_debugregs, decoded. */
export type KvmDebugregs = LayoutValue<typeof kvmDebugregs>;

/** struct kvm_xcr: one extended control register. */
export const kvmXcr = layout('struct kvm_xcr', 16, { xcr: u32(0), value: u64(8) });
/** An extended control register (XCR0 is 0) and its value: struct kvm_xcr, decoded. */
export type KvmXcr = LayoutValue<typeof kvmXcr>;

/** struct kvm_xcrs: KVM_GET_XCRS, KVM_SET_XCRS; the first `nrXcrs` of 16 entries count. */
export const kvmXcrs = layout('struct kvm_xcrs', 392, {
  nrXcrs: u32(0),
  flags: u32(4),
  xcrs: structArray(kvmXcr, 8, 16),
});
export type KvmXcrs = LayoutValue<typeof kvmXcrs>;

/** struct kvm_xsave: KVM_GET_XSAVE, KVM_SET_XSAVE; the XSAVE area, 4096 bytes. KVM_GET_XSAVE2 may return more. */
export const kvmXsave = layout('struct kvm_xsave', 4096, { region: bytes(0, 4096) });
export type KvmXsave = LayoutValue<typeof kvmXsave>;
