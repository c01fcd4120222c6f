/** A guest of a guest, which has the local APIC of the vCPU that it runs on: AMD SVM, without nested paging. */
import { lapicRegisters } from '../../../abi/apic/lapic.ts';
import type { KvmRegs } from '../../../abi/kvm/index.ts';
import { kvmRun } from '../../../abi/kvm/kvm-run.ts';
import { flat32, type Instruction, mov32, out8 } from '../../../guest/bytes.ts';
import type { GuestCode } from '../../../guest/code.ts';
import type { Vcpu } from '../../../kvm/vcpu/vcpu.ts';
import type { Check } from '../../check.ts';
import { CheckError } from '../../errors.ts';
import { vmmcall, vmrun } from '../../kit/code.ts';
import type { CheckContext } from '../../kit/context.ts';
import { Driver, isPort } from '../../kit/drive.ts';
import { DONE_PORT, icr, icr2, type LapicWrite, writeInstruction } from '../../kit/guests.ts';
import { forwarding, parameterOn, svm } from '../../kit/needs.ts';
import { differences, lapicDifferences } from '../../kit/twin-differences.ts';

const EFER_SVME = 1n << 12n;
const VM_HSAVE_PA = 0xc001_0117;
/** KVM_RUN_X86_GUEST_MODE */
const GUEST_MODE = 1 << 2;
/** Of kvm_run, what an exit may write: its head and its union. */
const RUN_BYTES = 288;
const runOf = ({ kvmRun: run }: Vcpu) => Buffer.from(Buffer.from(run.buffer, run.byteOffset, RUN_BYTES));

/** What is in a VMCB for a guest as flat as its host is. Source: AMD64 Architecture Programmer's Manual vol. 2, appendix B */
function vmcb(rip: number): Uint8Array {
  const bytes = new Uint8Array(0x1000);
  const view = new DataView(bytes.buffer);
  const segment = (at: number, attributes: number) => {
    view.setUint16(at, attributes === 0xc9b ? 0x08 : 0x10, true);
    view.setUint16(at + 2, attributes, true);
    view.setUint32(at + 4, 0xffff_ffff, true);
  };
  view.setUint32(0x10, 3, true); // VMRUN and VMMCALL leave
  view.setUint32(0x58, 1, true); // ASID
  for (const [n, attributes] of [0xc93, 0xc9b, 0xc93, 0xc93, 0xc93, 0xc93].entries())
    segment(0x400 + n * 16, attributes);
  const save: readonly (readonly [number, bigint])[] = [
    [0x4d0, EFER_SVME],
    [0x558, 0x11n], // CR0
    [0x560, 0x400n], // DR7
    [0x568, 0xffff_0ff0n], // DR6
    [0x570, 2n], // RFLAGS
    [0x578, BigInt(rip)],
    [0x668, 0x0007_0406_0007_0406n], // PAT
  ];
  for (const [at, value] of save) view.setBigUint64(at, value, true);
  return bytes;
}

/** Each other values, with bits that the registers do not keep; the last one is for vCPU 2. */
const writes: readonly LapicWrite[] = [
  icr2(0x7100_1234),
  icr(0x5072),
  icr2(0x73ab_cdef),
  icr(0xc_4074),
  icr2(0x0200_5a5a),
  icr(0x5075),
];
/** Of another vCPU, which writes between any two. */
const meanwhile = [icr2(0x6d3c_a5c3), icr(0x3008_c72d)];

const SENDER = 1;
const OTHER = 0;

async function enteredTwice(ctx: CheckContext) {
  const machine = await ctx.machine({ vcpus: 3, apic: 'xapic' });
  const control = machine.shared;
  const bytes = (code: readonly Instruction[]) => Uint8Array.from(code.flatMap((one) => [...one]));
  const inner = control + 0x2000;
  machine.memory.write(control, vmcb(inner));
  machine.memory.write(inner, bytes([...writes.map(writeInstruction), vmmcall]));
  // Without paging VMRUN is no instruction; these have the same bytes in 64-bit code.
  const outer: GuestCode = { mode: 'long64', bytes: bytes([mov32('eax', control), vmrun, out8(DONE_PORT)]) };
  const { vcpu } = machine.vcpu(SENDER).program(outer, { interrupts: false });
  const sregs = vcpu.getSregs();
  vcpu.setSregs({ ...sregs, efer: sregs.efer | EFER_SVME });
  vcpu.setMsr(VM_HSAVE_PA, BigInt(control + 0x1000));
  const often = Array.from({ length: writes.length }, (_, n) => meanwhile[n % 2]!);
  machine.vcpu(OTHER).program(flat32(...often.map(writeInstruction), out8(DONE_PORT)), { interrupts: false });
  return { machine, inner, driver: new Driver(ctx, machine, SENDER), other: new Driver(ctx, machine, OTHER) };
}

export const nestedChecks: Check[] = [
  {
    id: 'modes.nested.forwarded',
    claim: "Writes by a guest's guest come out once each with the right payload, and leave all else as it was",
    source: 'patch 2/3, arch/x86/kvm/lapic.c: apic_mmio_write; arch/x86/kvm/svm/nested.c',
    needs: [forwarding, svm, parameterOn('kvm_amd.nested')],
    async run(ctx) {
      const { machine, inner, driver, other } = await enteredTwice(ctx);
      const { vcpu } = driver;
      const page = () => machine.vcpus.map((one) => Buffer.from(one.vcpu.getLapic()));
      const wanted = page();
      const set = (of: number, { register, value }: LapicWrite) =>
        wanted[of]!.writeUInt32LE(
          (register === 'ICR' ? value & ~0x1000 : value & 0xff00_0000) >>> 0,
          lapicRegisters[register],
        );
      const irr = (of: number, vector: number) => {
        const at = lapicRegisters.IRR0 + (vector >> 5) * 16;
        wanted[of]!.writeUInt32LE((wanted[of]!.readUInt32LE(at) | (1 << (vector & 31))) >>> 0, at);
      };
      const wrong: string[] = [];
      let before: { regs: KvmRegs; rest: object } | null = null;
      const { apicBase } = vcpu.getSregs();
      const bystanders = () => machine.vcpus.flatMap(({ id, vcpu: one }) => (id === SENDER ? [] : [runOf(one)]));
      let dest = 0;
      for (const [n, write] of writes.entries()) {
        const intruded = other.next();
        set(OTHER, meanwhile[n % 2]!);
        if (intruded.name !== 'KVM_EXIT_DSM_SEND_IRQ' || intruded.id !== OTHER)
          wrong.push(`vCPU ${OTHER}'s write came out as ${intruded.name}`);
        const runs = bystanders();
        const exit = driver.next();
        if (exit.name !== 'KVM_EXIT_DSM_SEND_IRQ')
          throw new CheckError(`write ${n + 1} of ${writes.length} made ${exit.name}`);
        if (write.register === 'ICR2') dest = write.value >>> 24;
        const told = { id: exit.id, val: exit.val, val2: exit.val2, dest: exit.destId ?? dest };
        const due = { id: SENDER, val: lapicRegisters[write.register], val2: write.value, dest };
        set(SENDER, write);
        if (write.value === 0xc_4074) for (const of of [0, 2]) irr(of, 0x74);
        if (write.value === 0x5075) irr(2, 0x75);
        const regs = vcpu.getRegs();
        const rest = { sregs: vcpu.getSregs(), events: vcpu.getVcpuEvents(), mpState: vcpu.getMpState() };
        before ??= { regs, rest };
        const { requestInterruptWindow, immediateExit, readyForInterruptInjection, ifFlag, cr8, ...run } = kvmRun.read(
          vcpu.kvmRun,
          0,
        );
        const asked = { requestInterruptWindow, immediateExit, readyForInterruptInjection, ifFlag, cr8 };
        const unasked = {
          requestInterruptWindow: 0,
          immediateExit: 0,
          readyForInterruptInjection: 1,
          ifFlag: 0,
          cr8: 0n,
        };
        const behind = inner + writes.slice(0, n + 1).reduce((sum, one) => sum + writeInstruction(one).length, 0);
        const found = [
          ...differences('', told, due),
          ...differences('', regs, { ...before.regs, rip: BigInt(behind) }),
          ...differences('', rest, before.rest),
          ...differences(
            'kvm_run',
            { ...asked, flags: run.flags, apicBase: run.apicBase },
            { ...unasked, flags: GUEST_MODE, apicBase },
          ),
          ...(bystanders().every((bytes, of) => bytes.equals(runs[of]!)) ? [] : ["another vCPU's kvm_run changed"]),
          ...page().flatMap((got, of) => lapicDifferences(got, wanted[of]!).map((line) => `vCPU ${of}: ${line}`)),
        ];
        wrong.push(...found.map((line) => `write ${n + 1} of ${writes.length}: ${line}`));
      }
      const last = driver.next();
      if (!isPort(last, DONE_PORT)) wrong.push(`and then ${last.name}, not the end of the outer guest`);
      if (wrong.length > 0) ctx.fail(wrong.slice(0, 8).join('\n'));
    },
  },
];
