/**
 * What a drawn fault does wrong. kernel/arch/x86/kvm/dsm_fault_act.c does it; a unit test holds both to the same names.
 */
import { REPLAYS, type Site, WRITES } from './field.ts';

export interface Action {
  /** As the kernel's parameter has it. */
  name: string;
  /** In the words of a sentence, `#` for the parameter. */
  what: string;
  sites: readonly Site[];
  /** What is drawn as parameter; none: it takes none. */
  values: readonly number[];
  /** What a parameter is called. */
  words?: Readonly<Record<number, string>>;
}

const range = (from: number, to: number) => Array.from({ length: to - from + 1 }, (_, i) => from + i);
const BITS = range(0, 31);

const at =
  (where: readonly Site[]) =>
  (name: string, what: string, values: readonly number[] = []): Action => ({ name, what, sites: where, values });

const write = at(WRITES);
const replay = at(REPLAYS);
const both = at([...WRITES, ...REPLAYS]);
const IPIS: readonly Site[] = ['icr', 'ipi-icr'];

/** Of the exit. */
const exitActions = [
  write('lose', 'makes no exit'),
  write('double', 'makes two exits'),
  {
    ...write('late', 'makes its exit #', [1, 2, 3]),
    words: { 1: 'with the next KVM_RUN', 2: 'after the next write', 3: 'after another exit' },
  },
  write('other-vcpu', 'makes the exit of the vCPU # further', [1, 2]),
  write('reason', 'makes exit #', [0, 17, 44, 46, 47]),
  write('flip-id', 'has bit # of id flipped', [0, 1, 2, 7, 8, 16, 31]),
  write('flip-val', 'has bit # of val flipped', [0, 4, 7, 8, 31]),
  write('flip-val2', 'has bit # of val2 flipped', BITS),
  write('flip-dest', 'has bit # of dest_id flipped', [...range(0, 8), 24, 31]),
  write('stale-val2', "has val2 of this vCPU's write before"),
  write('stale-dest', "has dest_id of this vCPU's write before"),
  write('foreign-val2', 'has val2 of the write of another vCPU'),
  write('foreign-dest', 'has dest_id of the write of another vCPU'),
  write('foreign-id', 'has the id of the vCPU that wrote before'),
  write('read-back', 'has val2 read back from the register'),
  write('zero-dest', 'has dest_id 0'),
];

/** Of what the local APIC does. */
const localActions = [
  at(['icr', 'icr2'])('skip-local', 'leaves the local APIC as it was'),
  at(IPIS)('unsent', 'stores the ICR and sends nothing'),
  at(IPIS)('send-twice', 'sends the IPI twice, the second time after the target may have taken it'),
  at(IPIS)('flip-sent', 'sends the IPI with bit # of the ICR flipped', [0, 1, 4, 7, 8, 10, 11, 18, 19]),
  at(IPIS)('flip-target', 'sends the IPI with bit # of the destination flipped', [0, 1, 7]),
  at(IPIS)('no-shorthand', 'sends the IPI without its shorthand'),
];

/** Of replays. */
const replayActions = [
  replay('ignore', 'does nothing and answers 0'),
  replay('refuse', 'does nothing and answers errno #', [4, 11, 14, 16, 22, 25]),
  replay('answer', 'acts and answers errno # all the same', [4, 11, 14, 16, 22]),
  replay('next-vcpu', 'acts on the vCPU # further', [1, 2]),
  at(['ipi-icr', 'x2apic'])('clear-bit', 'leaves bit # of the value out', [0, 1, 4, 7, 8, 9, 10, 11, 14, 15, 18, 19]),
  at(['ipi-icr2'])('clear-bit', 'leaves bit # of the value out', range(24, 31)),
  at(['base'])('clear-bit', 'leaves bit # of the value out', [8, 10, 11, 12, 20, 31]),
  at(['x2apic'])('clear-high', 'leaves bit # of the destination out', [0, 1, 24, 25]),
  at(['base'])('flip-host', 'takes host for the contrary'),
  at(['ipi-icr', 'ipi-icr2', 'x2apic'])('tell', 'makes an exit of the vCPU that is replayed on'),
];

/** Of neighbours. */
const neighbourActions = [
  both('poke-tpr', 'flips bit # of the TPR', [4, 5, 7]),
  both('poke-svr', 'flips bit # of the SVR', [0, 8, 9]),
  both('poke-ldr', 'flips bit # of the LDR', [24, 31]),
  both('poke-dfr', 'flips bit # of the DFR', [28, 31]),
  both('poke-lvtt', 'flips bit # of the timer LVT', [0, 16, 17]),
  both('poke-lvt0', 'flips bit # of the LINT0 LVT', [0, 16]),
  both('poke-lvt1', 'flips bit # of the LINT1 LVT', [0, 16]),
  both('poke-lvterr', 'flips bit # of the error LVT', [0, 16]),
  both('poke-esr', 'sets bit # of the ESR', [5, 7]),
  both('poke-icr', 'flips bit # of the ICR as it reads back', [0, 8, 11, 12, 14, 18]),
  both('poke-icr2', 'flips bit # of ICR2 as it reads back', [0, 24, 31]),
  both('set-isr', 'puts vector # in service', [0x31, 0x55, 0xee]),
  both('set-irr', 'makes vector # pending', [0x35, 0x55, 0xee]),
  both('stray-irr', 'makes vector # pending at the vCPU behind', [0x35, 0xee]),
  both('flip-base', 'flips bit # of IA32_APIC_BASE', [8]),
  both('nmi', 'makes an NMI pending'),
  both('halt', 'halts the vCPU'),
];

/** Of the vCPU's registers and of kvm_run, when the exit is told. */
const exitStateActions = [
  write('rip', 'has RIP # too far', [1, 2]),
  write('flip-rflags', 'flips bit # of RFLAGS', [0, 6, 9, 10, 11]),
  write(
    'flip-gpr',
    'flips bit 0 of general register #',
    range(0, 15).filter((number) => number !== 4),
  ),
  write('flip-cr2', 'flips bit 0 of CR2'),
  write('flip-fs-base', "flips bit 4 of FS's base"),
  write('set-shadow', 'sets the interrupt shadow'),
  write('run-if', "inverts kvm_run's if_flag"),
  write('run-ready', "inverts kvm_run's ready_for_interrupt_injection"),
  write('run-base', "flips bit # of kvm_run's apic_base", [8, 11]),
  write('run-cr8', "flips bit # of kvm_run's cr8", [0, 3]),
  write('run-flags', "sets bit # of kvm_run's flags", [0, 1]),
  write('run-immediate', "sets kvm_run's immediate_exit"),
  write('run-window', "sets kvm_run's request_interrupt_window"),
  write('leak', "has its payload in the next vCPU's kvm_run too"),
];

/** A write of another register. */
const otherActions = [at(['other'])('forward', 'makes the exit too')];

export const actions: readonly Action[] = [
  ...exitActions,
  ...localActions,
  ...replayActions,
  ...neighbourActions,
  ...exitStateActions,
  ...otherActions,
];
