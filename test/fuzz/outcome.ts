/** Runs one planned payload and says how it ended. */
import { GuestFaultError, IoctlError, KvmDsmError, type Machine, machine, vectorName } from 'kvm-dsm';
import type { Plan } from './plan.ts';

/** In ms, for each payload: most of them end at once. */
const DEADLINE = 30;
/** After so many exits a payload that goes on is good enough. */
const EXITS = 50;

/** What is no error of this package begins so. */
export const UNTYPED = 'UNTYPED';

/**
 * One of: `exits` and the last one's name; the code of an error of this package, with its vector, exit or errno; or
 * UNTYPED and what else was thrown.
 *
 * @param busyTss leaves the task register as KVM has it: see `freeTss`
 */
export async function outcomeOf(plan: Plan, busyTss: boolean): Promise<string> {
  const { irqchip, apic, programs } = plan;
  let guest: Machine | undefined;
  try {
    await using own = await machine({ vcpus: programs.length, irqchip, apic });
    guest = own;
    programs.forEach(({ mode, code, interrupts, idt, start }, id) => {
      const bytes = Uint8Array.from(Buffer.from(code, 'hex'));
      own.vcpu(id).program({ mode, bytes }, { interrupts, idt, start });
      if (!busyTss) freeTss(own, id);
    });
    const trace = await own.run({ until: { exits: EXITS }, deadline: DEADLINE });
    return `exits ${[...trace].at(-1)?.exit.name}`;
  } catch (error) {
    if (!(error instanceof KvmDsmError)) return `${UNTYPED} ${String(error).split('\n', 1)[0]}`;
    if (error instanceof GuestFaultError) return `${error.code} ${vectorName(error.vector)}`;
    if (error instanceof IoctlError) return `${error.code} ${error.ioctl} ${error.errnoName}`;
    const last = guest && [...guest.trace].at(-1)?.exit.name;
    return error.code === 'ERR_GUEST_FAILURE' ? `${error.code} ${last}` : error.code;
  }
}

/**
 * QEMU's TCG ends itself with "invalid tss type" when a guest of its SVM has an exception at CPL 3 outside 64-bit mode
 * while its task register is of the type "busy", as CPUs have it; one of the type "available" it bears.
 */
function freeTss(guest: Machine, id: number): void {
  const { vcpu } = guest.vcpu(id);
  const sregs = vcpu.getSregs();
  vcpu.setSregs({ ...sregs, tr: { ...sregs.tr, type: sregs.tr.type & ~2 } });
}
