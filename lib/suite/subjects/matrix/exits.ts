/** The sender's runs, exit by exit. */
import { lapicRegisters } from '../../../abi/apic/lapic.ts';
import { KVM_RUN_X86_SMM } from '../../../abi/kvm/exit-reason.ts';
import { mpStates } from '../../../abi/kvm/index.ts';
import { kvmRun } from '../../../abi/kvm/kvm-run.ts';
import { DeadlineError } from '../../../base/errors.ts';
import { hex } from '../../../base/text.ts';
import type { Exit } from '../../../exit/exit.ts';
import { CheckError } from '../../errors.ts';
import type { CheckContext } from '../../kit/context.ts';
import { isPort, saw } from '../../kit/drive.ts';
import { DONE_PORT } from '../../kit/guests.ts';
import type { VcpuState } from './bed.ts';
import { isAsked } from './forms.ts';
import { type ExpectedWrites, judgeStates, type Seen, upTo } from './judge.ts';
import type { Scene } from './scene.ts';

/** More than any scene makes. */
const MAX_EXITS = 1024;

/** Exits that tell of writes, and others. */
export interface Exits {
  seen: Seen[];
  strange: Exit[];
  /** Of the writes of one instruction, how many have not come out. */
  skipped: 0 | 1;
}

/** Whether an exit tells of the second of an instruction's writes, where the first would be next. */
function isSecond({ writes, joint }: ExpectedWrites, made: number, exit: Exit): boolean {
  const second = writes[made + 1];
  if (joint !== made || exit.name !== 'KVM_EXIT_DSM_SEND_IRQ') return false;
  return exit.val === lapicRegisters[second!.register] && exit.val2 === second!.value;
}

/**
 * Up to the next exit. QEMU's VMRUN does not take VMCB's interrupt shadow (target/i386/tcg, helper_vmrun): where an interrupt of the host comes
 * between STI and HLT, the guest takes its own before HLT, and sleeps. That is no fault of the kernel's: it is woken.
 */
function enter(ctx: CheckContext, { vcpu, bed, ending }: Scene): Exit {
  const next = () => vcpu.run({ profile: ctx.profile });
  try {
    return next();
  } catch (error) {
    const overslept =
      error instanceof DeadlineError &&
      ctx.facts.on === 'svm' &&
      ending !== null &&
      bed.handled().includes(ending) &&
      vcpu.getMpState() === mpStates.KVM_MP_STATE_HALTED;
    if (!overslept) throw error;
    ctx.log(`vCPU ${vcpu.vcpuId} took vector ${hex(ending)} before its HLT, and was woken`);
    vcpu.setMpState(mpStates.KVM_MP_STATE_RUNNABLE);
    return next();
  }
}

/** `between` is told after the exit of each write how many there have been. */
export function run(
  ctx: CheckContext,
  scene: Scene,
  expected: ExpectedWrites,
  before: VcpuState,
  between: (made: number) => void,
): Exits {
  const { vcpu, mode } = scene;
  const exits: Exits = { seen: [], strange: [], skipped: 0 };
  const { seen, strange } = exits;
  const isEnd = (exit: Exit) =>
    mode.noPorts
      ? exit.name === 'KVM_EXIT_MMIO' && exit.isWrite && exit.data[0] === DONE_PORT
      : isPort(exit, DONE_PORT);
  for (;;) {
    const exit = saw(ctx, vcpu, scene.interrupt?.(vcpu) ?? enter(ctx, scene));
    if (isEnd(exit)) return exits;
    if (isSecond(expected, seen.length, exit)) exits.skipped = 1;
    const made = seen.length + exits.skipped + 1;
    // When the first of an instruction's writes comes out, the second is made as well.
    const isFirst = expected.joint === made - 1;
    const look = made > expected.writes.length || isFirst ? null : () => atExit(scene, upTo(expected, made), before);
    if (note(scene, exit, exits, look)) between(made);
    else if (scene.form.asks && isAsked(exit)) vcpu.completeRead(expected.writes[made - 1]?.value ?? 0);
    if (seen.length + strange.length > MAX_EXITS) throw new CheckError(`${MAX_EXITS} exits, and the guest goes on`);
  }
}

/** What kvm_run says beside the payload, and what the sender is like, at the exit of the last of these writes. */
function atExit(scene: Scene, expected: ExpectedWrites, before: VcpuState): string[] {
  const { vcpu, bed, sender, flags } = scene;
  // A decoder takes an emulated CPU long.
  const { kvmRun: view } = vcpu;
  const { fields } = kvmRun;
  const sregs = bed.sregs(before);
  const interrupts = (flags >> 9n) & 1n;
  const now = scene.light ? before : bed.glance(sender);
  const tpr = now.lapic.readUInt32LE(lapicRegisters.TPR);
  const rows: [string, bigint | number, bigint | number][] = [
    ['request_interrupt_window', fields.requestInterruptWindow.read(view, 0), scene.window],
    ['immediate_exit', fields.immediateExit.read(view, 0), 0],
    ['if_flag', fields.ifFlag.read(view, 0), Number(interrupts)],
    ['flags', fields.flags.read(view, 0), bed.events(before).smi.smm === 1 ? KVM_RUN_X86_SMM : 0],
    ['cr8', fields.cr8.read(view, 0), BigInt(tpr >> 4)],
    ['apic_base', fields.apicBase.read(view, 0), sregs.apicBase],
  ];
  // With the full irqchip nobody needs to ask.
  if (interrupts === 0n || bed.irqchip === 'full') {
    const ready = fields.readyForInterruptInjection.read(view, 0);
    rows.push(['ready_for_interrupt_injection', ready, bed.irqchip === 'full' ? 1 : 0]);
  }
  return [
    ...rows.flatMap(([name, got, wanted]) =>
      got === wanted ? [] : [`${name} is ${hex(got)}, expected ${hex(wanted)}`],
    ),
    ...(scene.steps || scene.light
      ? []
      : judgeStates(scene, expected, { [sender]: before }, new Map([[sender, now]]))
    ).map(({ text }) => text),
  ];
}

/** False: the exit is not of a write. `look`: what is not as it should be then. */
export function note(scene: Scene, exit: Exit, { seen, strange }: Exits, look: (() => string[]) | null): boolean {
  if (exit.name !== 'KVM_EXIT_DSM_SEND_IRQ') {
    strange.push(exit);
    return false;
  }
  seen.push({ exit, texts: look?.() ?? [] });
  for (const act of scene.atWrite) act(scene.vcpu);
  return true;
}
