/** The faults that the lab's kernel can be given: kernel/arch/x86/kvm/dsm_fault.c. */

export interface Fault {
  /** What to write to the parameter. */
  readonly name: string;
  /** The same as a number; 0 is none. */
  readonly number: number;
  /** What the kernel does wrong. */
  readonly what: string;
  /** The checks whose claims it breaks: ids, or globs of them. Under it, no other check may say anything else. */
  readonly breaks: readonly string[];
}

/**
 * The parameter of a kernel with CONFIG_KVM_DSM_FAULT. Takes a name or a number; `none` or 0 is the series as it is. Reads
 * as every name in the order of the numbers, the chosen one in brackets. To be written while no VM is there.
 */
export const FAULT_PARAMETER = '/sys/module/kvm/parameters/dsm_fault';

export const faults: readonly Fault[] = [
  { name: 'drop-nth', number: 1, what: "every seventh of a vCPU's ICR and ICR2 writes makes no exit", breaks: ['*'] },
  { name: 'duplicate', number: 2, what: 'KVM_RUN returns twice for each write', breaks: ['*'] },
  { name: 'swap-values', number: 3, what: 'val holds the value written and val2 the register', breaks: ['*'] },
  {
    name: 'masked-value',
    number: 4,
    what: 'val2 is read back from the register, without its reserved and busy bits',
    breaks: ['*'],
  },
  { name: 'stale-dest-id', number: 5, what: "an ICR2 write's dest_id is of the ICR2 before it", breaks: ['*'] },
  { name: 'unshifted-dest-id', number: 6, what: 'dest_id is the whole of ICR2, not its bits 31:24', breaks: ['*'] },
  { name: 'id-index', number: 7, what: "id is the vCPU's index, not its vcpu_id", breaks: ['*'] },
  { name: 'id-target', number: 8, what: 'id is of the destination, not of the vCPU that wrote', breaks: ['*'] },
  {
    name: 'before-write',
    number: 9,
    what: 'the exit comes before the local APIC has acted, which it does on resume',
    breaks: ['*'],
  },
  { name: 'skip-local', number: 10, what: 'an ICR write delivers nothing in this kernel', breaks: ['*'] },
  { name: 'deliver-twice', number: 11, what: "an ICR write's IPI is delivered once more on resume", breaks: ['*'] },
  { name: 'forward-eoi-tpr', number: 12, what: 'writes of EOI and TPR make the exit too', breaks: ['*'] },
  { name: 'forward-above', number: 13, what: 'writes of every register from ICR upwards make the exit', breaks: ['*'] },
  { name: 'forget-icr2', number: 14, what: 'ICR2 writes make no exit', breaks: ['*'] },
  { name: 'forget-icr', number: 15, what: 'ICR writes make no exit', breaks: ['*'] },
  {
    name: 'lose-on-signal',
    number: 16,
    what: 'a signal that is pending, or that ends KVM_RUN, drops the exit',
    breaks: ['*'],
  },
  {
    name: 'lose-on-immediate-exit',
    number: 17,
    what: 'a KVM_RUN with immediate_exit set drops the exit',
    breaks: ['*'],
  },
  {
    name: 'lose-on-race',
    number: 18,
    what: "one slot for all vCPUs: another vCPU's write drops the exit",
    breaks: ['*'],
  },
  {
    name: 'report-again',
    number: 19,
    what: 'the exit comes again on the resume from the exit that follows it',
    breaks: ['*'],
  },
  { name: 'wrong-exit', number: 20, what: 'exit_reason is 44, KVM_EXIT_DAPIC', breaks: ['*'] },
  {
    name: 'rip-behind',
    number: 21,
    what: 'RIP is at the instruction that wrote until the vCPU is resumed',
    breaks: ['*'],
  },
  { name: 'clobber-rdx', number: 22, what: 'RDX holds the value written after the exit', breaks: ['*'] },
  { name: 'leak-kvm-run', number: 23, what: "the payload is in the next vCPU's kvm_run as well", breaks: ['*'] },
  { name: 'only-split', number: 24, what: 'no exit unless the irqchip is split', breaks: ['*'] },
  { name: 'only-vcpu0', number: 25, what: 'no exit unless vcpu_id is 0', breaks: ['*'] },
  { name: 'lose-first', number: 26, what: "no exit for a vCPU's first write", breaks: ['*'] },
  { name: 'report-reads', number: 27, what: 'reads of ICR and ICR2 make the exit too', breaks: ['*'] },
  {
    name: 'any-width',
    number: 28,
    what: 'writes within ICR and ICR2 of the wrong size or alignment make the exit too',
    breaks: ['*'],
  },
  { name: 'late', number: 29, what: 'the exit waits for the next KVM_RUN', breaks: ['*'] },
  { name: 'only-default-base', number: 30, what: 'no exit unless the APIC base is 0xfee00000', breaks: ['*'] },
  { name: 'only-enabled', number: 31, what: 'no exit unless the local APIC is enabled by software', breaks: ['*'] },
  {
    name: 'only-fixed',
    number: 32,
    what: 'ICR writes of another delivery mode than fixed make no exit',
    breaks: ['*'],
  },
  { name: 'no-shorthand', number: 33, what: 'ICR writes with a shorthand make no exit', breaks: ['*'] },
  { name: 'only-absent', number: 34, what: 'ICR writes with a destination in this VM make no exit', breaks: ['*'] },
];
